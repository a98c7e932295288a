//! Ratings, and what they are now.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use skillmeat_shared::collection::ratings::{BEST, FILE, MAX_BYTES, Ratings};
use skillmeat_shared::fs::read_bounded;
use skillmeat_shared::{Code, Error, Result};

use super::super::App;
use super::super::change::{Caller, ChangeSummary};
use super::super::selection::Selection;
use super::{Work, id_of, said};

/// The results that a summary always counts.
const RESULTS: [&str; 3] = ["rated", "unchanged", "failed"];

/// What is to be rated.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of RateArtifactsRequest; see curation.proto"
)]
pub struct RateRequest {
    pub selection: Selection,
    pub stars: Option<u8>,
    pub dry_run: bool,
}

impl App {
    /// Rates artifacts.
    pub fn rate(&self, request: &RateRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        if request
            .stars
            .is_some_and(|stars| !(1..=BEST).contains(&stars))
        {
            return Err(
                Error::new(Code::InvalidArgument, "a rating is a number from 1 to 5")
                    .hint("5 is the best; `--clear` takes a rating away"),
            );
        }
        let work = Work {
            verb: "artifact.rate",
            words: match request.stars {
                Some(stars) => format!("rate {stars}:"),
                None => "rate no more:".to_owned(),
            },
            results: &RESULTS,
            dry_run: request.dry_run,
        };
        self.curate(&work, &request.selection, caller, &|draft, batch| {
            let now = draft.ratings()?;
            let collection = batch.collection.to_owned();
            let mut ratings = Vec::new();
            for row in batch.rows {
                let id = id_of(row);
                if now.of(&collection, &id.to_string()) == request.stars {
                    batch.done(row, "unchanged", "", "");
                } else {
                    ratings.push((collection.clone(), id, request.stars));
                    let result = said(request.dry_run, "would-rate", "rated");
                    batch.done(row, result, "", "");
                }
            }
            draft.rate(&ratings)
        })
    }

    /// The ratings as their file has them now.
    pub fn ratings(&self) -> Arc<Ratings> {
        self.rated.get(&self.boot.home.root().join(FILE))
    }
}

/// What tells that a file is another one than before.
type Stamp = (SystemTime, u64, u64);

/// The ratings in memory. They are read again when the file is not the one that was read: nobody needs to be
/// told that it was changed by hand.
#[derive(Debug, Default)]
pub(in crate::app) struct Rated(Mutex<(Option<Stamp>, Arc<Ratings>)>);

impl Rated {
    fn get(&self, path: &Path) -> Arc<Ratings> {
        use std::os::unix::fs::MetadataExt as _;

        let stamp = std::fs::metadata(path)
            .ok()
            .and_then(|file| Some((file.modified().ok()?, file.len(), file.ino())));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that was just written may change again without looking different.
        let is_young = stamp.is_some_and(|(at, _, _)| {
            let age = SystemTime::now().duration_since(at);
            age.map_or(true, |age| age.as_secs() < 2)
        });
        if kept.0 != stamp || is_young {
            let text = stamp
                .and_then(|_| read_bounded(path, MAX_BYTES).ok())
                .and_then(|bytes| String::from_utf8(bytes).ok());
            kept.1 = Arc::new(Ratings::parse(&text.unwrap_or_default()));
            kept.0 = stamp;
        }
        Arc::clone(&kept.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "people write like this")]
    fn what_is_written_by_hand_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ratings.toml");
        let rated = Rated::default();
        let of = || rated.get(&path).of("c", "skill:a");
        assert_eq!(of(), None);
        for stars in [3, 4, 1] {
            std::fs::write(&path, format!("[c]\n\"skill:a\" = {stars}\n")).unwrap();
            assert_eq!(of(), Some(stars));
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(of(), None);
    }
}
