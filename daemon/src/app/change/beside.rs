//! Two things at the same time.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Does two things side by side; one after the other, if there is no thread for the first.
pub(super) fn beside<A: Send, B>(
    name: &str,
    one: &(dyn Fn() -> A + Sync),
    other: impl FnOnce() -> B,
) -> (A, B) {
    scope(|scope| {
        let started = Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, one);
        let other = other();
        let one = match started {
            Ok(running) => running.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => one(),
        };
        (one, other)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[test]
    fn both_are_done_at_the_same_time_and_a_panic_is_handed_on() {
        let (sender, receiver) = sync_channel(0);
        let receiver = Mutex::new(receiver);
        let waits = || {
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv().unwrap()
        };
        assert_eq!(beside("test", &waits, || sender.send(1).unwrap()), (1, ()));
        let panics = || panic!("on purpose");
        let outcome = std::panic::catch_unwind(|| beside::<(), _>("test", &panics, || ()));
        assert!(outcome.is_err());
    }
}
