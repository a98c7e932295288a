//! Links between entries, which name artifacts.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};
use toml::de::{DeTable, DeValue};

use super::change::verified;
use super::list::List;
use super::{Cut, apply, syntax};
use crate::document::{self, Lines, quote};
use crate::{ArtifactId, Kind, Result};

/// How a link names an artifact: `type::name`.
const ID: &str = "artifact_id";
const NAME: &str = "artifact_name";
const KIND: &str = "artifact_type";

/// The manifest in whose entries the links to these artifacts have their new names.
///
/// # Errors
/// [`crate::Code::ManifestInvalid`] if the text is no TOML, or a link is written in a way that can't be changed.
pub fn rename_links(text: &str, renamed: &[(ArtifactId, String)]) -> Result<String> {
    let root = document::parse(text, &Lines::of(text)).map_err(|error| syntax(&error))?;
    let to: HashMap<&ArtifactId, &str> =
        renamed.iter().map(|(id, new)| (id, new.as_str())).collect();
    let mut cuts: Vec<Cut> = Vec::new();
    for link in links(root.get_ref()) {
        let text_of = |key: &str| link.get(key).and_then(|value| value.get_ref().as_str());
        let Some(id) = target(&text_of) else { continue };
        let Some(new) = to.get(&id) else { continue };
        for (key, value) in written(&id, new) {
            if let Some(old) = link.get(key).filter(|old| old.get_ref().is_str()) {
                cuts.push((old.span(), quote(&value)));
            }
        }
    }
    if cuts.is_empty() {
        return Ok(text.to_owned());
    }
    verified(text, Some(apply(text, cuts)), "changed", |model| {
        let entries = model.list(List::Artifacts).into_iter().flatten();
        let links = entries.filter_map(|entry| {
            let metadata = entry.get_mut("metadata")?;
            metadata.get_mut("linked_artifacts")?.as_array_mut()
        });
        for link in links.flatten().filter_map(Json::as_object_mut) {
            rename_in(link, &to);
        }
    })
}

fn rename_in(link: &mut Map<String, Json>, to: &HashMap<&ArtifactId, &str>) {
    let id = target(&|key| link.get(key).and_then(Json::as_str));
    let Some(id) = id else { return };
    let Some(new) = to.get(&id) else { return };
    for (key, value) in written(&id, new) {
        if let Some(old) = link.get_mut(key).filter(|old| old.is_string()) {
            *old = value.into();
        }
    }
}

/// All links of all entries.
fn links<'t>(root: &'t DeTable<'t>) -> impl Iterator<Item = &'t DeTable<'t>> {
    let items = |value: &'t DeValue<'t>| match value {
        DeValue::Array(items) => Some(items.iter().filter_map(|item| item.get_ref().as_table())),
        _ => None,
    };
    let entries = root.get(List::Artifacts.as_str());
    let entries = entries.and_then(|value| items(value.get_ref()));
    let metadata = entries.into_iter().flatten().filter_map(move |entry| {
        let metadata = entry.get("metadata")?.get_ref().as_table()?;
        items(metadata.get("linked_artifacts")?.get_ref())
    });
    metadata.flatten()
}

/// The artifact that a link leads to.
fn target<'t>(text_of: &dyn Fn(&str) -> Option<&'t str>) -> Option<ArtifactId> {
    let said = text_of(ID).and_then(|id| id.split_once("::"));
    let (kind, name) = said.or_else(|| Some((text_of(KIND)?, text_of(NAME)?)))?;
    Some(ArtifactId::new(Kind::from_manifest(kind), name))
}

/// The keys of a link to an artifact of another name.
fn written(id: &ArtifactId, new: &str) -> [(&'static str, String); 2] {
    [(ID, format!("{}::{new}", id.kind)), (NAME, new.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_follow_in_every_form() {
        let text = "\
[[artifacts]]
name = \"a\"
type = \"skill\"

[artifacts.metadata]
title = \"b\"

[[artifacts.metadata.linked_artifacts]]
artifact_id = 'skill::b' # why
artifact_name = \"b\"
artifact_type = \"skill\"
link_type = \"requires\"

[[artifacts.metadata.linked_artifacts]]
artifact_id = \"command::b\"
artifact_name = \"b\"

[[artifacts]]
name = \"c\"
type = \"skill\"
metadata = { linked_artifacts = [{ artifact_type = \"skill\", artifact_name = \"b\" }, 7] }
";
        let renamed = [(ArtifactId::new(Kind::Skill, "b"), "new".to_owned())];
        let out = rename_links(text, &renamed).unwrap();
        let wanted = text
            .replace("'skill::b'", "\"skill::new\"")
            .replacen(
                "artifact_name = \"b\"\nartifact_type",
                "artifact_name = \"new\"\nartifact_type",
                1,
            )
            .replace("artifact_name = \"b\" }", "artifact_name = \"new\" }");
        assert_eq!(out, wanted);
        assert_eq!(rename_links(&out, &renamed).unwrap(), out);
        assert_eq!(rename_links("", &renamed).unwrap(), "");
    }
}
