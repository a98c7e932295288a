//! Where collections and artifacts come from, other than this machine's folders.

pub mod clone;
pub mod listing;
mod url;

pub use url::{RepositoryUrl, is_url, shown};
