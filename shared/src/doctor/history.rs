//! The history: whether it can be used, what was put aside of it, and what was lost.

use super::{Diagnosis, Finding, HISTORY_LOST, HISTORY_REPLACED, HISTORY_UNUSABLE};
use crate::health;
use crate::history::file;
use crate::paths::Home;

/// What is wrong with the history of a home.
pub fn examine(home: &Home) -> Vec<Finding> {
    let path = home.history();
    let finding = |diagnosis: &'static Diagnosis, (subject, message, hints): health::Finding| {
        Finding::new(diagnosis, subject, message).hinted(hints)
    };
    let trouble = file::trouble(&path).map(|error| {
        let found = finding(&HISTORY_UNUSABLE, health::of_history(&error));
        found.at(&path, None)
    });
    let aside = file::aside(&path);
    let replaced = health::of_histories_aside(&aside).map(|told| {
        let found = finding(&HISTORY_REPLACED, told);
        match aside.last() {
            Some(newest) => found.at(newest, None),
            None => found,
        }
    });
    let lost = health::of_lost_history(&path, file::lost(&path, true));
    let lost = lost.map(|told| finding(&HISTORY_LOST, told));
    trouble.into_iter().chain(replaced).chain(lost).collect()
}
