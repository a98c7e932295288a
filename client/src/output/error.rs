//! How an error looks: `error:`, the place, `hint:` lines; or one JSON object.

use skillmeat_shared::error::ErrorJson;
use skillmeat_shared::{Code, Error};

use super::escape::{escape, paragraph};
use super::style::{Paint, Tone};

/// The error as lines for a person.
pub(crate) fn text(error: &Error, verbose: bool, paint: Paint) -> String {
    let mut text = paragraph(&error.message);
    // Who was asked and says no makes no mistake.
    if error.code != Code::Interrupted {
        text = format!("{} {text}", paint.apply(Tone::Bad, "error:"));
    }
    if verbose {
        text.push(' ');
        text.push_str(&paint.apply(Tone::Dim, &format!("[{}]", error.code)));
    }
    text.push('\n');
    if let Some(path) = &error.path {
        let path = path.display().to_string();
        // A path that the message names already is not said again.
        let place = match error.line {
            Some(line) => Some(format!("{path}:{line}")),
            None => Some(path).filter(|path| !error.message.contains(path)),
        };
        if let Some(place) = place {
            text.push_str("  at ");
            text.push_str(&escape(&place));
            text.push('\n');
        }
    }
    for hint in &error.hints {
        text.push_str(&paint.apply(Tone::Label, "hint:"));
        text.push(' ');
        text.push_str(&escape(hint));
        text.push('\n');
    }
    text
}

/// The error as one JSON object, on one line.
pub(crate) fn json(error: &Error) -> String {
    ErrorJson::from(error).to_line()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Error {
        Error::new(
            Code::ManifestInvalid,
            "the manifest of `a\u{1b}b` can't be read",
        )
        .hint("mend it, then run `sm cache refresh`")
        .at("/home/collection.toml", Some(7))
    }

    #[test]
    fn text_names_the_place_and_the_way_out() {
        assert_eq!(
            text(&error(), false, Paint::off()),
            "error: the manifest of `a\\u{1b}b` can't be read\n  at /home/collection.toml:7\n\
             hint: mend it, then run `sm cache refresh`\n"
        );
        assert!(text(&error(), true, Paint::off()).contains("[manifest.invalid]"));
    }

    #[test]
    fn who_says_no_makes_no_mistake() {
        let declined = Error::new(Code::Interrupted, "nothing was changed");
        let said = text(&declined, false, Paint::off());
        assert_eq!(said, "nothing was changed\n");
    }

    #[test]
    fn a_path_in_the_message_is_not_said_twice() {
        let error = Error::new(Code::FileNotFound, "can't read `/a/b`: gone").at("/a/b", None);
        assert_eq!(
            text(&error, false, Paint::off()),
            "error: can't read `/a/b`: gone\n"
        );
    }

    #[test]
    fn a_hint_stays_on_its_line() {
        let error = Error::new(Code::ArtifactNotFound, "no").hint("did you mean `new\nline`?");
        assert_eq!(
            text(&error, false, Paint::off()),
            "error: no\nhint: did you mean `new\\nline`?\n"
        );
    }

    #[test]
    fn json_is_one_object() {
        let value: serde_json::Value = serde_json::from_str(&json(&error())).unwrap();
        assert_eq!(value["error"]["code"], "manifest.invalid");
        assert_eq!(value["error"]["line"], 7);
        assert_eq!(
            value["error"]["hints"][0],
            "mend it, then run `sm cache refresh`"
        );
    }
}
