//! Places that artifacts come from, other than this machine's folders.

pub mod git;
