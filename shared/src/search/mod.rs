//! Searching: what a query means, which words are near ones, and where in a text it matches.
//!
//! Any bytes are a query: what holds no letter or digit simply finds nothing.

mod count;
mod fold;
mod near;
mod query;
mod snippet;
mod stretches;

pub use count::Counter;
pub use fold::{distinct_words, fold, words};
pub use near::Vocabulary;
pub use query::{Query, Term};
pub use snippet::{Snippet, snippet_of_files, snippet_of_line, snippet_of_text};
