//! Threads: two things at the same time, and what is less urgent.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Does two things side by side; one after the other, if there is no thread for the first.
pub fn beside<A: Send, B>(
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

/// Does something with both halves of a list side by side, or with all of it if it is short. What came of each part, in
/// order.
pub fn in_halves<T: Sync, A: Send>(
    name: &str,
    list: &[T],
    short: usize,
    work: &(dyn Fn(&[T]) -> A + Sync),
) -> Vec<A> {
    if list.len() < short {
        return vec![work(list)];
    }
    let (first, second) = list.split_at(list.len() / 2);
    let (first, second) = beside(name, &|| work(first), || work(second));
    vec![first, second]
}

/// Lets other threads go before this one, by so many steps of niceness. Where that would be said of the whole process,
/// and where it is refused, nothing changes.
pub fn give_way(steps: i32) {
    if cfg!(target_os = "linux") {
        rustix::process::setpriority_process(None, steps).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[test]
    fn a_long_list_is_halved() {
        let sum = |short: usize| in_halves("test", &[1, 2, 3], short, &|part| part.to_vec());
        assert_eq!(sum(4), [vec![1, 2, 3]]);
        assert_eq!(sum(3), [vec![1], vec![2, 3]]);
    }

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
