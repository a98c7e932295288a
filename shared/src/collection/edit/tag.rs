//! Definitions of tags.

use super::change::{Change, change};
use super::list::{Block, Key};
use super::transfer::insert_blocks;
use super::{List, syntax};
use crate::collection::MANIFEST;
use crate::collection::manifest::{Manifest, TagDefinition};
use crate::document::quote;
use crate::{Code, Error, Result};

/// What changes of a tag's definition; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagChange {
    /// Another name.
    pub name: Option<String>,
    /// Another slug.
    pub slug: Option<String>,
    /// The colour.
    pub color: Option<String>,
    /// The description.
    pub description: Option<String>,
}

/// The manifest with one more definition of a tag.
///
/// # Errors
/// [`Code::TagExists`]; [`Code::ManifestInvalid`] if the text is no TOML or can't be edited.
pub fn define_tag(text: &str, tag: &TagDefinition) -> Result<String> {
    let manifest = Manifest::parse(text).map_err(|error| syntax(&error))?;
    refuse_double(&manifest, Some(&tag.name), Some(&tag.slug), None)?;
    let pairs: Vec<String> = [
        ("name", &tag.name),
        ("slug", &tag.slug),
        ("color", &tag.color),
        ("description", &tag.description),
    ]
    .into_iter()
    .map(|(key, value)| format!("{key} = {}", quote(value)))
    .collect();
    let block = Block {
        table: format!("[[tag_definitions]]\n{}\n", pairs.join("\n")),
        inline: format!("{{ {} }}", pairs.join(", ")),
    };
    insert_blocks(text, List::TagDefinitions, &[block], None)
}

fn refuse_double(
    manifest: &Manifest,
    name: Option<&str>,
    slug: Option<&str>,
    but: Option<&str>,
) -> Result<()> {
    let double = manifest
        .tag_definitions
        .iter()
        .filter(|tag| Some(tag.slug.as_str()) != but)
        .find(|tag| name == Some(tag.name.as_str()) || slug == Some(tag.slug.as_str()));
    let Some(tag) = double else { return Ok(()) };
    let message = format!("the tag `{}` is defined already", tag.name);
    Err(Error::new(Code::TagExists, message).at(MANIFEST, None))
}

/// The manifest with the definition of the tag with this slug changed.
///
/// # Errors
/// [`Code::TagNotFound`]; [`Code::TagExists`] if the new name or slug is taken; [`Code::ManifestInvalid`] if the
/// text is no TOML or can't be edited.
pub fn update_tag(text: &str, slug: &str, to: &TagChange) -> Result<String> {
    let manifest = Manifest::parse(text).map_err(|error| syntax(&error))?;
    refuse_double(
        &manifest,
        to.name.as_deref(),
        to.slug.as_deref(),
        Some(slug),
    )?;
    let old = manifest.tag_definitions.iter().find(|tag| tag.slug == slug);
    let texts = [
        ("name", &to.name, old.map(|old| &old.name)),
        ("slug", &to.slug, old.map(|old| &old.slug)),
        ("color", &to.color, old.map(|old| &old.color)),
        (
            "description",
            &to.description,
            old.map(|old| &old.description),
        ),
    ];
    let changes: Vec<Change> = texts
        .into_iter()
        .filter(|(_, new, old)| new.as_ref() != *old)
        .filter_map(|(key, new, _)| Some(Change::set(key, new.as_deref()?)))
        .collect();
    change(text, &[(Key::Tag(slug.to_owned()), changes)])
}
