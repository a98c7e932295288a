//! What groups and tags may be called, and the colours and icons that they may have.

use crate::artifact::name::meant_otherwise;
use crate::{Code, Error, Result};

/// Characters of a name.
const MAX_NAME: usize = 200;

/// Characters of a description.
const MAX_DESCRIPTION: usize = 2000;

/// Checks a new name that a person gives a group or a tag: as with artifacts, it means nothing else where they are
/// chosen. What is called so already keeps its name.
///
/// # Errors
/// As [`check_name`].
pub fn check_given(what: &str, name: &str) -> Result<()> {
    check_name(what, name)?;
    match meant_otherwise(name) {
        Some(fault) => Err(broken(what, name, fault)),
        None => Ok(()),
    }
}

/// Checks the name of a group or a tag. `what` is "group" or "tag".
///
/// # Errors
/// `usage.invalid_name`, saying which rule it breaks.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let fault = if name.trim().is_empty() {
        "is empty"
    } else if name.trim() != name {
        "starts or ends with a blank"
    } else if name.chars().any(is_unseen) {
        "has a control character in it"
    } else if what == "tag" && name.contains(',') {
        "has a comma in it, which stands between tags"
    } else if name.chars().count() > MAX_NAME {
        "is longer than 200 characters"
    } else {
        return Ok(());
    };
    Err(broken(what, name, fault))
}

fn broken(what: &str, name: &str, fault: &str) -> Error {
    let shown: String = name.escape_debug().take(80).collect();
    let message = format!("the name `{shown}` of the {what} {fault}");
    Error::new(Code::InvalidName, message).hint("choose another name")
}

/// Characters that can't be seen, or change how the line is shown.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Checks a description.
///
/// # Errors
/// `usage.invalid_argument`.
pub fn check_description(text: &str) -> Result<()> {
    if text.chars().count() <= MAX_DESCRIPTION {
        return Ok(());
    }
    let message = "the description is longer than 2000 characters";
    Err(Error::new(Code::InvalidArgument, message).hint("shorten it"))
}

/// A colour as it is written down: `#rrggbb`, or a word such as `slate`. Empty: none.
///
/// # Errors
/// `usage.invalid_argument`.
pub fn color(text: &str) -> Result<String> {
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if let Some(digits) = text.strip_prefix('#') {
        let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        match digits.len() {
            6 if is_hex => return Ok(text.to_owned()),
            3 if is_hex => {
                let doubled = digits.chars().flat_map(|digit| [digit, digit]);
                return Ok(std::iter::once('#').chain(doubled).collect());
            }
            _ => {}
        }
    } else if is_word && text.len() <= 40 {
        return Ok(text.to_owned());
    }
    let shown: String = text.escape_debug().take(80).collect();
    Err(
        Error::new(Code::InvalidArgument, format!("`{shown}` is no colour"))
            .hint("write `#rrggbb`, such as `#3B82F6`, or a word, such as `slate`"),
    )
}

/// Checks the name of an icon: a word. Empty: none.
///
/// # Errors
/// `usage.invalid_argument`.
pub fn check_icon(text: &str) -> Result<()> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ':') || !c.is_ascii();
    if text.chars().all(is_word) && !text.chars().any(is_unseen) && text.chars().count() <= 60 {
        return Ok(());
    }
    let shown: String = text.escape_debug().take(80).collect();
    Err(Error::new(
        Code::InvalidArgument,
        format!("`{shown}` is no name of an icon"),
    )
    .hint("write a word, such as `layers`"))
}

/// Checks a place in an order.
///
/// # Errors
/// `usage.invalid_argument`.
pub fn position(at: i64) -> Result<i64> {
    if at >= 0 {
        return Ok(at);
    }
    Err(
        Error::new(Code::InvalidArgument, format!("`{at}` is no position"))
            .hint("a position is a number from 0"),
    )
}

/// The slug of a tag: lower case, with hyphens for all but letters and digits.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || matches!(c, '.' | '+' | '#') {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        name.to_owned()
    } else {
        slug.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_seen_and_typed() {
        for good in ["Data Layer", "größe", "c++", "a:b", "日本"] {
            assert_eq!(check_given("group", good), Ok(()), "{good}");
        }
        assert!(check_name("group", "a,b").is_ok() && check_name("tag", "a,b").is_err());
        let long = "x".repeat(201);
        for bad in ["", "  ", " a", "a\n", "a\u{202e}b", long.as_str()] {
            assert_eq!(
                check_given("group", bad).unwrap_err().code,
                Code::InvalidName,
                "{bad:?}"
            );
        }
        for chooses in ["*", "b*", "?", "[z]", "k=v", "-x", "-"] {
            assert_eq!(check_name("tag", chooses), Ok(()), "{chooses}");
            let error = check_given("tag", chooses).unwrap_err();
            assert_eq!(error.code, Code::InvalidName, "{chooses}");
            assert!(error.message.contains("of the tag"), "{error:?}");
        }
    }

    #[test]
    fn colours_are_digits_or_words() {
        for (text, written) in [
            ("#3b82F6", "#3b82F6"),
            ("#fa0", "#ffaa00"),
            ("slate", "slate"),
            ("", ""),
        ] {
            assert_eq!(color(text).unwrap(), written);
        }
        for bad in ["#12345", "#ggg", "a b", "red;", "#"] {
            assert_eq!(color(bad).unwrap_err().code, Code::InvalidArgument, "{bad}");
        }
        assert!(check_icon("layers").is_ok() && check_icon("🛡").is_ok() && check_icon("").is_ok());
        assert!(check_icon("a b").is_err() && check_icon("a\u{202e}").is_err());
    }

    #[test]
    fn slugs_are_what_tags_have_in_common() {
        for (name, written) in [
            ("Back End", "back-end"),
            ("back_end", "back-end"),
            ("C++", "c++"),
            (" x -- y ", "x-y"),
            ("--", "--"),
        ] {
            assert_eq!(slug(name), written);
        }
    }
}
