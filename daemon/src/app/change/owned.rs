//! What other programs change of the home's own files: the config, of which no more than keys is recorded, and the
//! ratings.

use std::sync::{Mutex, PoisonError};

use skillmeat_shared::collection::ratings::FILE;
use skillmeat_shared::config::record;
use skillmeat_shared::fs::read_bounded;
use skillmeat_shared::history::{self, Keep, Node, object};
use skillmeat_shared::{Code, Result};

use super::past;
use super::place::{CONFIG, Place};
use super::settings::{MAX_BYTES, MODE};
use crate::app::App;
use crate::store::history::operation::TouchedPath;
use crate::store::history::{known, operation};

/// The config as it was when it was looked at last. Its text, which may hold secrets, stands nowhere else.
#[derive(Default)]
pub(in crate::app) struct SeenConfig(Mutex<Option<String>>);

/// Whether a place is one of these files.
pub(super) fn is_owned(place: &Place) -> bool {
    place.is_config() || *place == Place::home(FILE)
}

impl App {
    /// What others changed since these files were looked at last.
    pub(super) fn owned_by_others(&self, objects: &dyn Keep) -> Result<Vec<TouchedPath>> {
        let mut touched = Vec::new();
        if let Some((before, after)) = self.look_at_own_config()? {
            let record = record::record(&before, &after);
            let side = |text: &str| -> Result<Option<Node>> {
                Ok(Some(Node::File {
                    mode: MODE,
                    size: text.len() as u64,
                    hash: object::put(objects, text.as_bytes())?,
                }))
            };
            let sides = (side(&record.before)?, side(&record.after)?);
            touched.push(past::touched(&Place::home(CONFIG), sides.0, sides.1));
        }
        // Their first state is kept while nobody needs the machine, or once a change of ours has written them.
        if let (true, before) = self.ratings_known()? {
            let after = self.ratings_now(objects)?;
            if after != before {
                let place = Place::home(FILE);
                touched.push(past::touched(&place, before, after));
            }
        }
        Ok(touched)
    }

    /// Keeps the ratings for the first time, as an older program left them.
    pub(super) fn keep_first_ratings(&self) -> Result<()> {
        if let (true, _) = self.ratings_known()? {
            return Ok(());
        }
        let batch = self.history.batch();
        let Some(node) = self.ratings_now(&batch)? else {
            return Ok(());
        };
        batch.commit(|transaction| known::set(transaction, "", FILE, Some(&node)))?;
        tracing::info!(target: "history", "the ratings kept for the first time");
        Ok(())
    }

    /// Whether the ratings were ever kept, or an operation left none, and as what.
    fn ratings_known(&self) -> Result<(bool, Option<Node>)> {
        self.history
            .read(|connection| match known::get(connection, "", FILE)? {
                None => {
                    let left = operation::left_at(connection, "", FILE, false)?;
                    Ok((left == Some(None), None))
                }
                node => Ok((true, node)),
            })
    }

    fn ratings_now(&self, objects: &dyn Keep) -> Result<Option<Node>> {
        Ok(history::capture(&self.boot.home.root().join(FILE), objects)?.node)
    }

    /// Looks at the config; what it was and is, if it is another one than the last time.
    pub(in crate::app) fn look_at_own_config(&self) -> Result<Option<(String, String)>> {
        let now = match read_bounded(&self.boot.home.config(), MAX_BYTES) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.code == Code::FileNotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut seen = self
            .seen_config
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = seen.replace(now.clone());
        Ok(before
            .filter(|before| *before != now)
            .map(|before| (before, now)))
    }
}
