//! How rows and answers spell the paths of a collection.
//!
//! A name on disk is any bytes, and a path in a row is text. Bytes that are no UTF-8 are spelled `\xff`, as shells
//! read it between `$'` and `'`. So that a spelling stands for one name only, the backslash of a name that has
//! the same in plain letters is spelled `\x5c`. All other names are spelled as they are.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::{Code, Error, Result};

/// The spelling of a path.
pub fn spell(path: &Path) -> String {
    if let Some(text) = path.to_str().filter(|text| is_plain(text)) {
        return text.to_owned();
    }
    let mut spelled = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some((before, after)) = rest.split_once('\\') {
            spelled.push_str(before);
            spelled.push_str(byte(after).map_or("\\", |_| "\\x5c"));
            rest = after;
        }
        spelled.push_str(rest);
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            write!(spelled, "\\x{byte:02x}").ok();
        }
    }
    spelled
}

/// The path that a spelling stands for.
pub fn unspell(spelled: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(spelled.len());
    let mut rest = spelled;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let (byte, after) = byte(after).unwrap_or((b'\\', after));
        bytes.push(byte);
        rest = after;
    }
    bytes.extend(rest.as_bytes());
    OsString::from_vec(bytes).into()
}

/// Where a path that is spelled stands on disk.
pub fn on_disk(root: &Path, spelled: &str) -> PathBuf {
    root.join(unspell(spelled))
}

/// Whether a path is spelled as it is.
pub fn is_plain(spelled: &str) -> bool {
    !spelled
        .match_indices('\\')
        .any(|(at, _)| spelled.get(at + 1..).and_then(byte).is_some())
}

/// Refuses what is spelled in another way than its name on disk: no manifest can name it.
///
/// # Errors
/// [`Code::InvalidName`].
pub fn plain(spelled: &str) -> Result<()> {
    if is_plain(spelled) {
        return Ok(());
    }
    let what = if unspell(spelled).to_str().is_none() {
        "is not UTF-8"
    } else {
        "reads like bytes that are not UTF-8"
    };
    Err(Error::new(
        Code::InvalidName,
        format!("the name of `{spelled}` {what}, which no manifest can say"),
    )
    .hint(hint(spelled)))
}

/// How a name that is no text becomes one.
pub fn hint(spelled: &str) -> String {
    let mut quoted = String::new();
    for chunk in unspell(spelled).as_os_str().as_bytes().utf8_chunks() {
        quoted.push_str(&chunk.valid().replace('\\', r"\\").replace('\'', r"\'"));
        for byte in chunk.invalid() {
            write!(quoted, "\\x{byte:02x}").ok();
        }
    }
    format!("rename it on disk; bash and zsh know it as `$'{quoted}'`")
}

/// The byte that is spelled behind a backslash, and what follows: one that no UTF-8 begins with by itself, or the
/// backslash.
fn byte(after: &str) -> Option<(u8, &str)> {
    let digits = after.strip_prefix('x')?.get(..2)?;
    if digits.contains(|c: char| !matches!(c, '0'..='9' | 'a'..='f')) {
        return None;
    }
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (byte >= 0x80 || byte == b'\\').then(|| (byte, after.get(3..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use proptest::prelude::*;

    use super::*;

    fn path(bytes: &[u8]) -> &Path {
        Path::new(OsStr::from_bytes(bytes))
    }

    #[test]
    fn bytes_that_are_no_text_are_spelled_and_all_else_is_as_it_is() {
        for (bytes, spelled) in [
            (&b"skills/bad\xff\xfename"[..], r"skills/bad\xff\xfename"),
            (br"skills/bad\xff", r"skills/bad\x5cxff"),
            (br"skills/bad\x5cxff", r"skills/bad\x5cx5cxff"),
            (br"back\slash\x41\xzz\xFF\", r"back\slash\x41\xzz\xFF\"),
            ("größe\u{fffd}".as_bytes(), "größe\u{fffd}"),
            (b"\\\xff", r"\\xff"),
        ] {
            assert_eq!(spell(path(bytes)), spelled);
            assert_eq!(unspell(spelled), path(bytes));
            assert_eq!(is_plain(spelled), bytes == spelled.as_bytes(), "{spelled}");
        }
        assert!(hint(r"a\b's\xff").ends_with(r"`$'a\\b\'s\xff'`"));
        let told = |spelled: &str| plain(spelled).map_err(|error| error.message);
        assert!(told(r"a\xff").unwrap_err().contains("is not UTF-8"));
        assert!(told(r"a\x5cxff").unwrap_err().contains("reads like"));
        assert_eq!(told(r"a\b"), Ok(()));
    }

    proptest! {
        #[test]
        fn each_name_has_a_spelling_of_its_own(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\\'), Just(b'x'), Just(b'f'), Just(b'5'), Just(b'c'), any::<u8>()], 0..12)
        ) {
            prop_assert_eq!(unspell(&spell(path(&bytes))), path(&bytes));
        }
    }
}
