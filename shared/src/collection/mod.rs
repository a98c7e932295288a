//! Collections: the folder, its manifest, its lock file, and what is grouped and tagged in it.
//!
//! Both files are read so that one bad part never hides the rest, and are edited, never rewritten: what we
//! do not understand stays as it is, byte for byte. Both can be read by the ancestor after we wrote them.

pub mod beside;
pub mod edit;
pub mod entry;
pub mod export;
mod field;
pub mod layout;
pub mod lockfile;
pub mod manifest;
pub mod membership;
pub mod naming;
pub mod ratings;
pub mod spelling;
pub mod undo;

/// The manifest's name in the collection's folder.
pub const MANIFEST: &str = "collection.toml";

/// The lock file's name in the collection's folder.
pub const LOCK: &str = "collection.lock";
