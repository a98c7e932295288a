//! Values that are no YAML without quotes get them.

use std::path::Path;

use super::super::{load, parse_file};
use super::locate::Form;
use super::{Editor, Fault, render};
use crate::artifact::ParseStatus;
use crate::{Kind, Result};

/// The bytes of a file whose broken values are quoted; everything else as it was. They say what was read before.
///
/// # Errors
/// As [`edit`](super::edit).
pub fn quote(bytes: &[u8], file: &Path, kind: &Kind) -> Result<Vec<u8>> {
    super::changed(bytes, file, |text, layout| {
        Editor::new(text, file, kind, layout)?.quoted()
    })
}

impl Editor<'_> {
    fn quoted(&self) -> std::result::Result<Option<String>, Fault> {
        if self.document.status != ParseStatus::Repaired {
            return Ok(None);
        }
        let mut edits = Vec::new();
        for mut entry in super::locate::entries(self.text, self.region()) {
            let whole = self.text.get(entry.lines.clone()).unwrap_or_default();
            let value = self.document.fields.get(&entry.key);
            if let Some(value) = value.and_then(|value| value.as_str())
                && load(whole).is_err()
            {
                self.widen(&mut entry);
                edits.push((entry.value, render::scalar_in(value, Form::Double, false)));
            }
        }
        let text = super::replaced(self.text, edits);
        let after = parse_file(self.file, text.as_bytes());
        let is_good = after.status == ParseStatus::Strict
            && after.fields == self.document.fields
            && after.body == self.document.body;
        if is_good {
            return Ok(Some(text));
        }
        let line = self.document.error.as_ref().and_then(|(_, line)| *line);
        Err(Fault {
            line: line.unwrap_or(1),
            why: "quotes alone do not mend its fields".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_and_never_closed_is_quoted() {
        for (before, after) in [
            ("name: [\n", "name: \"[\"\n"),
            ("name: {a\n", "name: \"{a\"\n"),
            ("tags: [a, b\n", "tags: \"[a, b\"\n"),
            ("title: \"He said\n", "title: \"\\\"He said\"\n"),
            ("title: 'tis # so\n", "title: \"'tis # so\"\n"),
            ("title: [x\n  goes on\n", "title: \"[x goes on\"\n"),
        ] {
            let text =
                |fields: &str| format!("---\n{fields}author: me\nkeywords: [z]\n---\n[body]\n");
            let quoted = quote(text(before).as_bytes(), Path::new("SKILL.md"), &Kind::Skill);
            let quoted = quoted.map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(quoted, Ok(text(after)), "{before}");
        }
    }
}
