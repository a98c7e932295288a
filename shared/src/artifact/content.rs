//! The text of an artifact's files, as the search index takes it: bounded, and never binary.

use std::borrow::Cow;
use std::path::Path;

/// Bytes of one file that are indexed; the rest of a longer file is left out.
pub const MAX_FILE_BYTES: usize = 64 * 1024;
/// Bytes of one artifact that are indexed.
pub const MAX_ARTIFACT_BYTES: usize = 512 * 1024;
/// Files of one artifact that are indexed.
pub const MAX_FILES: usize = 200;
/// How far into a file a NUL makes it binary.
const PROBE_BYTES: usize = 8 * 1024;

/// Names of files that usually hold secrets, and endings of such names.
const PRIVATE: [&str; 9] = [
    ".mcp.json",
    "mcp.json",
    "settings.local.json",
    "credentials.json",
    ".netrc",
    ".npmrc",
    ".pypirc",
    "id_rsa",
    "id_ed25519",
];
const PRIVATE_ENDINGS: [&str; 4] = [".pem", ".key", ".p12", ".env"];

/// Whether a file usually holds secrets: it is hashed like any other, but its text stays out of the
/// index, so that no copy of a token lies in the cache or appears in a search.
pub fn is_private(path: &Path) -> bool {
    let Some(name) = path.file_name() else {
        return false;
    };
    let name = name.to_string_lossy().to_ascii_lowercase();
    name.starts_with(".env")
        || PRIVATE.contains(&name.as_str())
        || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The text in the first [`MAX_FILE_BYTES`] of a file, without a byte order mark; bytes that are no
/// UTF-8 become U+FFFD. `None` for a binary file: one with a NUL in its first 8 KiB.
pub fn text_of(bytes: &[u8]) -> Option<String> {
    if bytes.get(..PROBE_BYTES).unwrap_or(bytes).contains(&0) {
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    Some(match bytes.get(..MAX_FILE_BYTES) {
        Some(head) if head.len() < bytes.len() => lossy(whole_characters(head)).into_owned(),
        _ => lossy(bytes).into_owned(),
    })
}

/// Bytes as text; owned if some had to be replaced. Valid text, which nearly all is, is checked by
/// words rather than by characters.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The bytes without the beginning of a character that a cut left at their end.
pub(crate) fn whole_characters(bytes: &[u8]) -> &[u8] {
    let tail = bytes.len().saturating_sub(3);
    let mut end = bytes.len();
    for (at, byte) in bytes.iter().enumerate().skip(tail) {
        let length = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            _ => 1,
        };
        if at + length > bytes.len() {
            end = at;
            break;
        }
    }
    bytes.get(..end).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_loses_its_mark_and_keeps_its_lines() {
        assert_eq!(
            text_of("\u{feff}a\r\nü\n".as_bytes()).as_deref(),
            Some("a\r\nü\n")
        );
        assert_eq!(text_of(b"").as_deref(), Some(""));
        assert_eq!(text_of(b"a\xFFb").as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    fn a_nul_near_the_start_makes_a_file_binary() {
        assert_eq!(text_of(b"\x7fELF\0"), None);
        let mut late = vec![b'a'; PROBE_BYTES];
        late.push(0);
        assert_eq!(text_of(&late).map(|text| text.len()), Some(PROBE_BYTES + 1));
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        for lead in 0..4 {
            for unit in ["é", "€", "😀"] {
                let mut text = "x".repeat(lead);
                while text.len() < MAX_FILE_BYTES + 8 {
                    text.push_str(unit);
                }
                let cut = text_of(text.as_bytes()).unwrap();
                assert!(cut.len() <= MAX_FILE_BYTES && cut.len() > MAX_FILE_BYTES - 4);
                assert!(text.starts_with(&cut), "{lead} {unit}");
            }
        }
    }

    #[test]
    fn files_that_usually_hold_secrets_are_private() {
        for name in [
            ".env",
            "a/.env.local",
            "prod.env",
            ".mcp.json",
            "keys/id_rsa",
            "tls/Server.KEY",
        ] {
            assert!(is_private(Path::new(name)), "{name}");
        }
        for name in [
            "SKILL.md",
            "environment.md",
            "mcp.json.md",
            "keyboard.txt",
            "",
        ] {
            assert!(!is_private(Path::new(name)), "{name}");
        }
    }
}
