//! Which artifact a member of a group is, and how members are written.
//!
//! The ancestor writes `type:name`, its documents bare names. Both work; a file keeps the style it has.

use std::collections::HashMap;

use super::manifest::Group;
use crate::ArtifactId;

/// How a group's members are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `type:name`
    Typed,
    /// The name alone.
    Bare,
}

impl Style {
    /// The style of one member.
    pub fn of(member: &str) -> Self {
        if ArtifactId::parse(member).is_some() {
            Self::Typed
        } else {
            Self::Bare
        }
    }

    /// The style for new members of a group: its own, else that of the file's other groups, else the ancestor's.
    pub fn for_group(group: &Group, all: &[Group]) -> Self {
        let own = style_of(&group.members);
        own.or_else(|| all.iter().find_map(|other| style_of(&other.members)))
            .unwrap_or(Self::Typed)
    }
}

/// Bare if all members are.
fn style_of(members: &[String]) -> Option<Style> {
    let is_bare = |member: &String| Style::of(member) == Style::Bare;
    match members {
        [] => None,
        members if members.iter().all(is_bare) => Some(Style::Bare),
        _ => Some(Style::Typed),
    }
}

/// Artifacts by their names, for those who look for many.
#[derive(Debug, Clone, Default)]
pub struct ByName(HashMap<String, Vec<ArtifactId>>);

impl ByName {
    /// Sorts artifacts by name.
    pub fn of(ids: impl IntoIterator<Item = ArtifactId>) -> Self {
        let mut by_name: HashMap<String, Vec<ArtifactId>> = HashMap::new();
        for id in ids {
            by_name.entry(id.name.to_lowercase()).or_default().push(id);
        }
        Self(by_name)
    }

    /// The artifacts of this name, in any case.
    pub fn named(&self, name: &str) -> &[ArtifactId] {
        self.0.get(&name.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// As [`resolve`].
    pub fn resolve(&self, member: &str) -> Option<&ArtifactId> {
        match ArtifactId::parse(member) {
            Some(wanted) => resolve(member, self.named(&wanted.name)),
            None => resolve(member, self.named(member)),
        }
    }

    /// As [`spell`].
    pub fn spell(&self, id: &ArtifactId, style: Style) -> String {
        spell(id, style, self.named(&id.name))
    }
}

/// The artifact that a member names. A bare name that several kinds share stands for the first of them.
pub fn resolve<'i>(
    member: &str,
    ids: impl IntoIterator<Item = &'i ArtifactId>,
) -> Option<&'i ArtifactId> {
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let fits = |id: &&ArtifactId| match ArtifactId::parse(member) {
        Some(wanted) => wanted.kind == id.kind && same(&wanted.name, &id.name),
        None => same(member, &id.name),
    };
    // A name may differ from another one in its case only; the exact one is meant then.
    let is_exact = |id: &ArtifactId| id.name == member || id.to_string() == member;
    ids.into_iter()
        .filter(fits)
        .min_by_key(|id| (!is_exact(id), id.kind.as_str().to_owned()))
}

/// A member as it is written in this style. A bare name that would stand for another artifact gets its type.
pub fn spell<'i>(
    id: &ArtifactId,
    style: Style,
    ids: impl IntoIterator<Item = &'i ArtifactId>,
) -> String {
    let is_clear = resolve(&id.name, ids).is_none_or(|found| found == id);
    if style == Style::Bare && is_clear && Style::of(&id.name) == Style::Bare {
        id.name.clone()
    } else {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn group(members: &[&str]) -> Group {
        Group {
            members: members.iter().map(|&member| member.to_owned()).collect(),
            ..Group::default()
        }
    }

    #[test]
    fn a_file_keeps_its_style() {
        let typed = group(&["skill:a", "b"]);
        let bare = group(&["a", "b"]);
        let empty = group(&[]);
        for (of, all, style) in [
            (&typed, vec![&bare], Style::Typed),
            (&bare, vec![&typed], Style::Bare),
            (&empty, vec![&empty, &bare], Style::Bare),
            (&empty, vec![&typed, &bare], Style::Typed),
            (&empty, vec![], Style::Typed),
        ] {
            let all: Vec<Group> = all.into_iter().cloned().collect();
            assert_eq!(Style::for_group(of, &all), style, "{of:?} {all:?}");
        }
    }

    #[test]
    fn bare_names_stand_for_one_artifact() {
        let ids = [
            ArtifactId::new(Kind::Skill, "a"),
            ArtifactId::new(Kind::Command, "a"),
            ArtifactId::new(Kind::Skill, "B"),
        ];
        let found = |member: &str| resolve(member, &ids).map(ToString::to_string);
        assert_eq!(found("a").as_deref(), Some("command:a"));
        assert_eq!(found("skill:a").as_deref(), Some("skill:a"));
        assert_eq!(found("b").as_deref(), Some("skill:B"));
        assert_eq!(found("agent:a"), None);
        let by_name = ByName::of(ids.clone());
        for member in ["a", "A", "skill:a", "b", "agent:a", "none", ":", ""] {
            assert_eq!(by_name.resolve(member), resolve(member, &ids), "{member}");
        }
        assert_eq!(by_name.spell(&ids[0], Style::Bare), "skill:a");
        assert_eq!(by_name.spell(&ids[1], Style::Bare), "a");
        assert_eq!(spell(&ids[0], Style::Bare, &ids), "skill:a");
        assert_eq!(spell(&ids[1], Style::Bare, &ids), "a");
        assert_eq!(spell(&ids[1], Style::Typed, &ids), "command:a");
        assert_eq!(
            spell(&ArtifactId::new(Kind::Skill, "new"), Style::Bare, &ids),
            "new"
        );
    }
}
