//! The past: objects, trees, snapshots.
//!
//! An *object* is some bytes under their SHA-256; a *tree* is an object that lists a folder; a [`Node`]
//! names the state of one path, and all below it, whatever it is. So a state of a whole collection is one
//! hash, and states that share files share their objects.
//!
//! Invariants: what is captured is restored byte for byte, with modes (but setuid, setgid and sticky of a
//! file), links, empty folders and names of any bytes; links are never followed; nothing is left out but a collection's own `.git` and what is no file
//! (pipes, sockets, devices), which is told; a tree has one encoding, so equal states have equal hashes.
//!
//! Where objects are kept is behind the ports [`Objects`] and [`Keep`].

pub mod ancestor;
pub mod capture;
pub mod diff;
mod encoding;
pub mod export;
pub mod file;
mod folder;
mod memory;
pub mod object;
mod packed;
pub mod restore;
pub mod retention;
pub mod seen;
pub mod snapshot;
pub mod tree;
pub mod unified;

pub use capture::{Again, Captured, capture, capture_again, capture_collection};
pub use memory::MemoryObjects;
pub use object::{Keep, Objects};
pub use tree::{Entry, Node, Tree};
