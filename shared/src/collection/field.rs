//! Reading the fields of one table, tolerantly: what has a wrong type becomes a problem with its line.

use toml::de::{DeTable, DeValue};

use crate::artifact::Problem;
use crate::document::{self, Lines};

/// One table of a file, and what was found wrong in it.
pub(super) struct Fields<'t, 'a> {
    table: &'t DeTable<'a>,
    lines: &'t Lines,
    /// How the table is called in messages.
    what: String,
    /// The file, relative to the collection.
    file: &'static str,
    pub(super) problems: Vec<Problem>,
}

impl<'t, 'a> Fields<'t, 'a> {
    pub(super) fn new(
        table: &'t DeTable<'a>,
        lines: &'t Lines,
        what: impl Into<String>,
        file: &'static str,
    ) -> Self {
        Self {
            table,
            lines,
            what: what.into(),
            file,
            problems: Vec::new(),
        }
    }

    fn wrong(&mut self, key: &str, wanted: &str) {
        let Some((name, value)) = self.table.get_key_value(key) else {
            return;
        };
        let line = self.lines.start(&name.span());
        let is = document::type_name(value.get_ref());
        self.problems.push(
            Problem::new(
                "manifest.wrong_type",
                format!("`{key}` of {} must be {wanted}, but is {is}", self.what),
            )
            .at(self.file, Some(line)),
        );
    }

    /// Adds a problem on the line of a key.
    pub(super) fn problem(&mut self, key: &str, code: &str, message: String) {
        let line = self
            .table
            .get_key_value(key)
            .map(|(name, _)| self.lines.start(&name.span()));
        self.problems
            .push(Problem::new(code, message).at(self.file, line));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn table(&mut self, key: &str) -> Option<&'t DeTable<'a>> {
        if let DeValue::Table(table) = self.table.get(key)?.get_ref() {
            return Some(table);
        }
        self.wrong(key, "a table");
        None
    }

    /// A text. Dates are texts without quotes. Numbers are taken as they are written, and reported.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.table.get(key)?.get_ref() {
            DeValue::String(text) => Some(text.as_ref().to_owned()),
            DeValue::Datetime(date) => Some(date.to_string()),
            DeValue::Integer(number) => {
                self.wrong(key, "a string");
                Some(number.to_string())
            }
            DeValue::Float(number) => {
                self.wrong(key, "a string");
                Some(number.to_string())
            }
            _ => {
                self.wrong(key, "a string");
                None
            }
        }
    }

    /// A list of texts. A single text counts as a list of one; what is no text is reported and left out.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(items) => {
                let texts: Vec<String> = items
                    .iter()
                    .filter_map(|item| item.get_ref().as_str().map(str::to_owned))
                    .collect();
                if texts.len() < items.len() {
                    self.wrong(key, "an array of strings only");
                }
                texts
            }
            DeValue::String(text) => {
                let text = text.as_ref().to_owned();
                self.wrong(key, "an array of strings");
                vec![text]
            }
            _ => {
                self.wrong(key, "an array of strings");
                Vec::new()
            }
        }
    }

    pub(super) fn integer(&mut self, key: &str) -> Option<i64> {
        let found = match self.table.get(key)?.get_ref() {
            DeValue::Integer(number) => document::integer(number),
            _ => None,
        };
        if found.is_none() {
            self.wrong(key, "an integer");
        }
        found
    }

    /// The keys that are not among these.
    pub(super) fn others(&self, known: &[&str]) -> impl Iterator<Item = &'t str> {
        let known: Vec<&str> = known.to_vec();
        self.table
            .keys()
            .map(|key| key.get_ref().as_ref())
            .filter(move |key| !known.contains(key))
    }
}
