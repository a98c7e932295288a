//! The header of a manifest: `[collection]` or `[tool.skillmeat]`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::change::{Expected, verified};
use super::table::{self, Scope};
use super::value::Value;
use super::{Cut, apply, syntax};
use crate::Result;
use crate::collection::manifest::{HeaderStyle, Manifest};
use crate::document::{self, Lines, quote};
use crate::time::Timestamp;

/// The manifest with the header's `updated` set to `now`. A header in a form that can't be dated stays as it
/// is: a date must not keep anything else from being written.
///
/// # Errors
/// [`crate::Code::ManifestInvalid`] if the text is no TOML.
pub fn date(text: &str, now: Timestamp) -> Result<String> {
    let out = apply(text, bump(text, now)?.into_iter().collect());
    let is_dated = Manifest::parse(&out)
        .is_ok_and(|manifest| manifest.header.updated == Some(now.to_manifest()));
    Ok(if is_dated { out } else { text.to_owned() })
}

/// The manifest with another name in its header; one without a header gets `[collection]`.
///
/// # Errors
/// [`crate::Code::ManifestInvalid`] if the text is no TOML, or can't be edited there.
pub fn rename(text: &str, name: &str) -> Result<String> {
    let old = Manifest::parse(text).map_err(|error| syntax(&error))?;
    let path: &[&str] = match old.header.style {
        HeaderStyle::Collection | HeaderStyle::Absent => &["collection", "name"],
        HeaderStyle::ToolSkillmeat => &["tool", "skillmeat", "name"],
    };
    let value = Value::from(name);
    let out = table::change(text, Scope::Document, path, Some(&value));
    verified(text, out.ok(), "renamed", |model: &mut Expected| {
        model.set(path, Some(&value));
    })
}

/// The change that dates the header.
pub(super) fn bump(text: &str, now: Timestamp) -> Result<Option<Cut>> {
    let lines = Lines::of(text);
    let root = document::parse(text, &lines).map_err(|error| syntax(&error))?;
    let table = |table: &'_ Spanned<DeValue<'_>>| table.get_ref().is_table();
    let own = root
        .get_ref()
        .get("collection")
        .filter(|value| table(value));
    let tool = || {
        root.get_ref()
            .get("tool")?
            .get_ref()
            .as_table()?
            .get("skillmeat")
    };
    let Some(header) = own.or_else(tool) else {
        return Ok(None);
    };
    let moment = quote(&now.to_manifest());
    let Some(fields) = header.get_ref().as_table() else {
        return Ok(None);
    };
    if let Some(old) = fields.get("updated") {
        return Ok(Some((old.span(), moment)));
    }
    let Some(at) = last_scalar(fields) else {
        return Ok(None);
    };
    let is_inline = text
        .get(header.span())
        .is_some_and(|written| written.starts_with('{'));
    if is_inline {
        return Ok(Some((at..at, format!(", updated = {moment}"))));
    }
    let carriage = if text.contains("\r\n") { "\r" } else { "" };
    // Behind the comment that may follow the value.
    let rest = text.get(at..).unwrap_or_default();
    let end = rest
        .find(['\r', '\n'])
        .map_or(text.len(), |found| at + found);
    Ok(Some((end..end, format!("{carriage}\nupdated = {moment}"))))
}

fn last_scalar(fields: &DeTable<'_>) -> Option<usize> {
    fields
        .values()
        .filter(|value| !value.get_ref().is_table() && !value.get_ref().is_array())
        .map(|value| value.span().end)
        .max()
}
