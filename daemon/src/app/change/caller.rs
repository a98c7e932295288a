//! Who asked for a change: hears how far it is, and may leave.

use skillmeat_shared::{Code, Error, Result};

use super::Telling;

/// Who asked for a change.
pub trait Caller {
    /// Hears something.
    fn tell(&self, telling: Telling);

    /// Whether nobody waits for the change any more.
    fn is_gone(&self) -> bool;
}

/// The daemon itself, which hears nothing and stays.
pub(in crate::app) struct Nobody;

impl Caller for Nobody {
    fn tell(&self, _: Telling) {}

    fn is_gone(&self) -> bool {
        false
    }
}

/// Gives up a change that nobody waits for, as long as no file has changed.
///
/// # Errors
/// [`Code::Interrupted`].
pub(in crate::app) fn is_wanted(caller: &dyn Caller) -> Result<()> {
    if caller.is_gone() {
        return Err(
            Error::new(Code::Interrupted, "given up: who asked for it has left")
                .hint("nothing was changed; run it again"),
        );
    }
    Ok(())
}
