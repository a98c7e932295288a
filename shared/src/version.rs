//! Which version this program is, and which of two is newer.

use std::cmp::Ordering;

/// The version of this program.
#[cfg(not(debug_assertions))]
pub const fn program() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The protocol that this program speaks, given the one that it was built with.
#[cfg(not(debug_assertions))]
pub const fn protocol(built: &'static str) -> &'static str {
    built
}

/// In builds with debug assertions, the version that a program passes for: `version` or `version/protocol`.
pub const VARIABLE: &str = "SKILLMEAT_PRETEND_VERSION";

#[cfg(debug_assertions)]
pub use pretended::{program, protocol};

/// In builds with debug assertions a program can pass for another version, so that tests have an older and a
/// newer one of the real thing.
#[cfg(debug_assertions)]
mod pretended {
    use std::sync::OnceLock;

    use super::VARIABLE;

    fn pretended() -> Option<&'static (String, Option<String>)> {
        static PRETENDED: OnceLock<Option<(String, Option<String>)>> = OnceLock::new();
        let read = || {
            let text = std::env::var(VARIABLE).ok()?;
            Some(match text.split_once('/') {
                Some((version, protocol)) => (version.to_owned(), Some(protocol.to_owned())),
                None => (text, None),
            })
        };
        PRETENDED.get_or_init(read).as_ref()
    }

    /// The version of this program.
    pub fn program() -> &'static str {
        pretended().map_or(env!("CARGO_PKG_VERSION"), |(version, _)| version.as_str())
    }

    /// The protocol that this program speaks, given the one that it was built with.
    pub fn protocol(built: &'static str) -> &'static str {
        pretended()
            .and_then(|(_, protocol)| protocol.as_deref())
            .unwrap_or(built)
    }
}

/// Which of two versions is the newer one, by the rules of Semantic Versioning; `None` if either is none.
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (parse(one)?, parse(other)?);
    Some(one.numbers.cmp(&other.numbers).then_with(|| {
        match (one.early.is_empty(), other.early.is_empty()) {
            (true, true) => Ordering::Equal,
            // What comes before a version is older than it.
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => one.early.cmp(&other.early),
        }
    }))
}

/// Whether `one` is certainly newer than `other`.
pub fn is_newer(one: &str, other: &str) -> bool {
    compare(one, other) == Some(Ordering::Greater)
}

/// The number before the first dot of a protocol such as `1.0`. Programs that share it understand each other.
pub fn major(protocol: &str) -> &str {
    protocol.split('.').next().unwrap_or_default()
}

struct Parsed<'a> {
    numbers: [u64; 3],
    early: Vec<Part<'a>>,
}

/// A part of what follows the hyphen. Numbers are older than words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Number(u64),
    Word(&'a str),
}

fn parse(text: &str) -> Option<Parsed<'_>> {
    let text = text.split('+').next()?;
    let (numbers, early) = match text.split_once('-') {
        Some((numbers, early)) => (numbers, early.split('.').map(part).collect()),
        None => (text, Vec::new()),
    };
    let mut found = numbers.split('.').map(|number| number.parse::<u64>().ok());
    let mut next = || found.next().flatten();
    let numbers = [next()?, next()?, next()?];
    found.next().is_none().then_some(Parsed { numbers, early })
}

fn part(text: &str) -> Part<'_> {
    text.parse().map_or(Part::Word(text), Part::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_their_order() {
        let rising = [
            "0.0.9",
            "0.1.0-alpha",
            "0.1.0-alpha.1",
            "0.1.0-alpha.beta",
            "0.1.0-beta.2",
            "0.1.0-beta.11",
            "0.1.0",
            "0.2.0",
            "0.10.0",
            "1.0.0",
        ];
        for (at, one) in rising.iter().enumerate() {
            for (other_at, other) in rising.iter().enumerate() {
                assert_eq!(
                    compare(one, other),
                    Some(at.cmp(&other_at)),
                    "{one} {other}"
                );
            }
        }
        assert_eq!(compare("1.0.0+a", "1.0.0+b"), Some(Ordering::Equal));
    }

    #[test]
    fn what_is_no_version_is_newer_than_nothing() {
        for text in ["", "1", "1.0", "1.0.0.0", "x.y.z", "-1.0.0", "1.0.x"] {
            assert_eq!(compare(text, "0.1.0"), None, "{text}");
            assert!(!is_newer(text, "0.1.0") && !is_newer("0.1.0", text));
        }
    }

    #[test]
    fn a_protocol_has_a_major_number() {
        assert_eq!(major("1.4"), "1");
        assert_eq!(major("12"), "12");
        assert_eq!(major(""), "");
    }
}
