//! Changing a manifest and a lock file: bytes are put between the old ones, and nothing else is touched.
//!
//! The text is cut where the statements and items stand. So comments, order, blanks, line ends and unknown
//! keys stay byte for byte as they were, outside of the entry that is changed and inside of it. Every result
//! is parsed and compared with what was asked for before it is given back: an edit does exactly that, or fails.

mod add;
mod change;
mod group;
mod header;
pub(super) mod inline;
pub(super) mod keys;
mod lexer;
mod link;
mod list;
mod lock;
mod sections;
mod table;
mod tag;
mod transfer;
pub(super) mod value;

use std::ops::Range;

use super::MANIFEST;
use crate::document::SyntaxError;
use crate::{Code, Error};

pub use self::add::{NewEntry, add_entries, render_new};
pub use self::change::{Change, change, remove};
pub use self::group::{GroupChange, Rejoined, add_group, rejoin, rename_members, update_group};
pub use self::header::{date, rename};
pub use self::link::rename_links;
pub use self::list::{Key, List};
pub use self::lock::{
    block as lock_block, carry as carry_lock, put as put_lock, remove as remove_lock,
    rename as rename_lock, set as set_lock,
};
pub use self::tag::{TagChange, define_tag, update_tag};
pub use self::transfer::{block, blocks, insert, insert_all};
pub use self::value::Value;

/// Bytes of the old text and what stands there in the new one.
type Cut = (Range<usize>, String);

fn apply(text: &str, mut cuts: Vec<Cut>) -> String {
    cuts.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + 1024);
    let mut at = 0;
    for (range, new) in cuts {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&new);
        at = range.end.max(at);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn syntax(error: &SyntaxError) -> Error {
    invalid(
        format!("the manifest can't be read: {}", error.message),
        Some(error.line),
    )
}

fn invalid(message: impl Into<String>, line: Option<u32>) -> Error {
    Error::new(Code::ManifestInvalid, message)
        .hint(format!("mend `{MANIFEST}`; nothing was written"))
        .at(MANIFEST, line)
}

#[cfg(test)]
mod tests;
