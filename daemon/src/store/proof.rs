//! Comparing a database that was not closed in order with the sums of its pages, in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use skillmeat_shared::{Code, Error, Result};

use super::Store;
use super::pages::{Proof, Proven};

/// What is still to be compared of an open database.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Locked while it is compared.
    proof: Mutex<Option<Proof>>,
    unproven: Arc<AtomicBool>,
    stopped: AtomicBool,
}

impl Keeper {
    pub(super) fn new(proof: Option<Proof>) -> Self {
        Self {
            unproven: Arc::new(AtomicBool::new(proof.is_some())),
            proof: Mutex::new(proof),
            stopped: AtomicBool::new(false),
        }
    }

    /// Whether it is not known yet, or not so, that every page is as it was written.
    pub(super) fn unproven(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.unproven)
    }

    /// The database is about to be closed.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn run(&self) -> Option<Proven> {
        let mut slot = self.proof.lock().unwrap_or_else(PoisonError::into_inner);
        let proven = slot
            .as_ref()?
            .run(&|| !self.stopped.load(Ordering::Relaxed));
        if matches!(proven, Proven::Sound(_)) {
            self.unproven.store(false, Ordering::Release);
        }
        *slot = None;
        Some(proven)
    }
}

impl Store {
    /// Whether the pages of the database are still to be compared with their sums.
    pub fn is_unproven(&self) -> bool {
        self.database().proof.unproven.load(Ordering::Relaxed)
    }

    /// Compares the pages of a database that was not closed in order with their sums, or waits for who does. What is
    /// damaged is then told as if a read had found it.
    pub fn prove(&self) {
        let started = Instant::now();
        let Some(proven) = self.database().proof.run() else {
            return;
        };
        match proven {
            Proven::Sound(pages) => {
                let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(target: "store", pages, ms, "every page of the cache is as it was written");
            }
            Proven::Damaged(why) => self.note_damage(&why),
            Proven::Stopped => {}
        }
    }

    /// Compares all pages of the database with their sums, also after an end that was in order; what is wrong. What is
    /// damaged is then told as if a read had found it.
    pub fn compare_pages(&self) -> Result<Option<String>> {
        self.prove();
        let wrong = self.database().writer.compare()?;
        if let Some(why) = &wrong {
            self.note_damage(why);
        }
        Ok(wrong)
    }

    /// Takes note of damage, as if a read had found it: the cache is built anew.
    pub fn note_damage(&self, why: &str) {
        tracing::error!(target: "store", "the cache is damaged: {why}");
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        *damage = Some(why.to_owned());
        drop(damage);
        let error = Error::new(Code::CacheDamaged, why);
        // Only for what it does with the error.
        drop(self.noticed::<()>(Err(error)));
    }
}
