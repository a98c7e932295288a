//! Every mutation, at every step: an end of the process, a full disk, a broken disk, another program that
//! writes. Afterwards either the old or the new state stands, and files, manifest, lock and rows agree.
//!
//! Each step of each mutation is tried in one of the ways, by turns, so that each way is tried at each sort of
//! step. `SKILLMEAT_STEPS_ALL` has all of them tried in all ways, and `SKILLMEAT_STEPS` names the mutations that
//! are, by the beginnings of their names.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod mutation;
mod state;
mod table;
mod trial;
mod writer;

use mutation::Mutation;
use trial::Trial;

/// Tries each of these mutations.
fn all(mutations: &[Mutation]) {
    let wanted = std::env::var("SKILLMEAT_STEPS").unwrap_or_default();
    for mutation in mutations {
        if !wanted
            .split(',')
            .any(|name| mutation.name.starts_with(name))
        {
            continue;
        }
        let mut trial = Trial::new(mutation);
        trial.fail();
        trial.kill();
        trial.write();
        trial.end();
    }
}

macro_rules! tests {
    ($($name:ident: $table:expr;)*) => {
        $(#[test]
        fn $name() {
            all($table);
        })*
    };
}

tests! {
    adding: table::ADD;
    adopting_and_replacing: table::REPLACE;
    removing: table::REMOVE;
    moving: table::MOVE;
    setting: table::SET;
    validating_and_rating: table::MEND;
    defining_tags: table::TAG;
    tagging: table::TAGGED;
    making_groups: table::GROUP;
    filling_groups: table::MEMBER;
    changing_collections: table::COLLECTION;
    importing_collections: table::IMPORT;
    repairing: table::REPAIR;
    repairing_all: table::REPAIR_MORE;
    going_back: table::BACK;
    undoing: table::UNDO;
    undoing_across_names: table::RENAMED;
    keeping_snapshots: table::SNAPSHOT;
    forgetting: table::FORGET;
}
