//! Groups.

use std::collections::HashMap;

use super::change::{Change, change};
use super::list::{Block, Key};
use super::transfer::insert_blocks;
use super::value::Value;
use super::{List, syntax};
use crate::collection::MANIFEST;
use crate::collection::manifest::{Group, Manifest};
use crate::collection::membership::{self, ByName, Style};
use crate::document::quote;
use crate::{ArtifactId, Code, Error, Result};

/// What changes of a group; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupChange {
    /// Another name.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The colour.
    pub color: Option<String>,
    /// The icon.
    pub icon: Option<String>,
    /// The place among the groups.
    pub position: Option<i64>,
    /// All members in their order, as they are to be written.
    pub members: Option<Vec<String>>,
}

/// The manifest with one more group.
///
/// # Errors
/// [`Code::GroupExists`]; [`Code::ManifestInvalid`] if the text is no TOML or can't be edited.
pub fn add_group(text: &str, group: &Group) -> Result<String> {
    let manifest = Manifest::parse(text).map_err(|error| syntax(&error))?;
    refuse_double(&manifest, &group.name)?;
    let scalars = [
        ("name", quote(&group.name)),
        ("description", quote(&group.description)),
        ("color", quote(&group.color)),
        ("icon", quote(&group.icon)),
        ("position", group.position.to_string()),
    ];
    let members = Value::from(group.members.as_slice());
    let pairs = |on_lines: bool| -> Vec<String> {
        let members = ("members", members.render(on_lines));
        let pairs = scalars.iter().chain([&members]);
        pairs
            .map(|(key, value)| format!("{key} = {value}"))
            .collect()
    };
    let block = Block {
        table: format!("[[groups]]\n{}\n", pairs(true).join("\n")),
        inline: format!("{{ {} }}", pairs(false).join(", ")),
    };
    insert_blocks(text, List::Groups, &[block], None)
}

fn refuse_double(manifest: &Manifest, name: &str) -> Result<()> {
    if manifest.groups.iter().any(|group| group.name == name) {
        return Err(Error::new(
            Code::GroupExists,
            format!("there is a group `{name}` already"),
        )
        .hint("choose another name, or change that group with `sm group update`")
        .at(MANIFEST, None));
    }
    Ok(())
}

/// The manifest with this group changed.
///
/// # Errors
/// [`Code::GroupNotFound`]; [`Code::GroupExists`] if the new name is taken; [`Code::ManifestInvalid`] if the text
/// is no TOML or can't be edited.
pub fn update_group(text: &str, name: &str, to: &GroupChange) -> Result<String> {
    let manifest = Manifest::parse(text).map_err(|error| syntax(&error))?;
    if let Some(new) = to.name.as_deref().filter(|new| *new != name) {
        refuse_double(&manifest, new)?;
    }
    let old = manifest.groups.iter().find(|group| group.name == name);
    let texts = [
        ("name", &to.name, old.map(|old| &old.name)),
        (
            "description",
            &to.description,
            old.map(|old| &old.description),
        ),
        ("color", &to.color, old.map(|old| &old.color)),
        ("icon", &to.icon, old.map(|old| &old.icon)),
    ];
    // What a group says without a word is not written down.
    let mut changes: Vec<Change> = texts
        .into_iter()
        .filter(|(_, new, old)| new.as_ref() != *old)
        .filter_map(|(key, new, _)| Some(Change::set(key, new.as_deref()?)))
        .collect();
    if let Some(position) = to.position {
        changes.push(Change::set("position", position));
    }
    if let Some(members) = to
        .members
        .as_ref()
        .filter(|new| Some(*new) != old.map(|old| &old.members))
    {
        changes.push(Change::set("members", members.as_slice()));
    }
    change(text, &[(Key::Group(name.to_owned()), changes)])
}

/// The manifest in whose groups these artifacts have other names, or are no members any more where there is
/// none. Bare names stay bare. `text` may name the artifacts in its entries by then, or still.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML or can't be edited.
pub fn rename_members(text: &str, moved: &[(ArtifactId, Option<String>)]) -> Result<String> {
    let manifest = Manifest::parse(text).map_err(|error| syntax(&error))?;
    let to: HashMap<&ArtifactId, Option<&String>> =
        moved.iter().map(|(id, new)| (id, new.as_ref())).collect();
    let entries = manifest.entries.iter().map(|entry| &entry.id);
    let moving = moved.iter().map(|(id, _)| id);
    let before = ByName::of(entries.chain(moving).cloned());
    let mut edits = Vec::new();
    for group in &manifest.groups {
        let members: Vec<String> = group
            .members
            .iter()
            .filter_map(|member| {
                let Some(old) = before.resolve(member) else {
                    return Some(member.clone());
                };
                match to.get(old) {
                    None => Some(member.clone()),
                    Some(None) => None,
                    Some(Some(name)) => {
                        let new = ArtifactId::new(old.kind.clone(), name.as_str());
                        let others = before.named(name).iter().filter(|id| *id != old);
                        Some(membership::spell(&new, Style::of(member), others))
                    }
                }
            })
            .collect();
        if members != group.members {
            let change = Change::set("members", members.as_slice());
            edits.push((Key::Group(group.name.clone()), vec![change]));
        }
    }
    change(text, &edits)
}

/// What became of members that come back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rejoined {
    /// The manifest.
    pub text: String,
    /// Those that are members of a group again.
    pub joined: Vec<ArtifactId>,
    /// Those that were in a group that is gone, with its name.
    pub gone: Vec<(ArtifactId, String)>,
}

/// The manifest in whose groups these artifacts are members again that were so in another one, each behind the nearest
/// member that stood before it there. Nobody else leaves or moves, and no group is made anew. `known` are the artifacts
/// that members may name.
///
/// # Errors
/// [`Code::ManifestInvalid`] if the text is no TOML or can't be edited.
pub fn rejoin(text: &str, then: &[Group], back: &[ArtifactId], known: &ByName) -> Result<Rejoined> {
    let manifest = Manifest::parse(text).map_err(|error| syntax(&error))?;
    // A member that names no artifact is only itself.
    let meant = |member: &String| {
        let id = known.resolve(member);
        id.map_or_else(|| member.clone(), ToString::to_string)
    };
    let (mut edits, mut done) = (Vec::new(), Rejoined::default());
    for was in then {
        let order: Vec<String> = was.members.iter().map(meant).collect();
        let coming = back.iter().map(|id| {
            (
                id,
                order.iter().position(|member| *member == id.to_string()),
            )
        });
        let mut coming: Vec<_> = coming.filter_map(|(id, at)| Some((at?, id))).collect();
        coming.sort();
        coming.dedup();
        let Some(group) = manifest.groups.iter().find(|group| group.name == was.name) else {
            let gone = coming
                .into_iter()
                .map(|(_, id)| (id.clone(), was.name.clone()));
            done.gone.extend(gone);
            continue;
        };
        let style = Style::for_group(group, std::slice::from_ref(was));
        let mut members = group.members.clone();
        for (at, id) in coming {
            let now: Vec<String> = members.iter().map(meant).collect();
            if now.contains(&id.to_string()) {
                continue;
            }
            let find = |member: &String| now.iter().position(|other| other == member);
            let (before, after) = order.split_at(at);
            let place = before.iter().rev().find_map(find).map(|place| place + 1);
            let place = place.or_else(|| after.iter().find_map(find));
            members.insert(place.unwrap_or(members.len()), known.spell(id, style));
            done.joined.push(id.clone());
        }
        if members != group.members {
            let change = Change::set("members", members.as_slice());
            edits.push((Key::Group(group.name.clone()), vec![change]));
        }
    }
    done.text = change(text, &edits)?;
    Ok(done)
}
