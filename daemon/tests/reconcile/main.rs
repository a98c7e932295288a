//! Reconciling over a real store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::format_push_string,
    clippy::allow_attributes_without_reason,
    missing_docs
)]

mod bench;
mod identity;
mod passes;
