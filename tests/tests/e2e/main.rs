//! The two programs together, in homes of their own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

/// How changes are noticed, for the modules that another binary runs in another way.
const BACKEND: &str = "auto";

mod add;
mod adopt;
mod again;
mod ancestral;
mod archives;
mod asking;
mod cache;
mod choosing;
mod clocks;
mod clones;
mod collections;
mod config;
mod container;
mod copies;
mod corpus;
mod curation;
mod daemon;
mod damage;
mod database;
mod disks;
mod doctor;
mod edit;
mod emptied;
mod ending;
mod external;
mod failing;
mod faults;
mod fields;
mod files;
mod findings;
mod groups;
mod health;
mod homes;
mod intake;
mod keeping;
mod leaving;
mod library;
mod links;
mod list;
mod load;
mod locking;
mod lost;
mod manifests;
mod mounts;
mod names;
mod outside;
mod permissions;
mod ratings;
mod rebuilding;
mod renaming;
mod repair;
mod repairing;
mod repositories;
mod restoring;
mod rot;
mod schedules;
mod search;
mod service;
mod shell;
mod snapshots;
mod starting;
mod storms;
mod tags;
mod telling;
mod together;
mod told;
mod trail;
mod undo;
mod unreadable;
mod untouched;
mod upkeep;
mod validate;
mod versions;
mod watch;
mod wire;
