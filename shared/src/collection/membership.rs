//! Which artifact a member of a group is, and how members are written.
//!
//! The ancestor writes `type:name`, its documents bare names. Both work; a file keeps the style it has. An ending such
//! as `.md` counts only between names that differ without it.

use std::collections::HashMap;

use super::manifest::Group;
use crate::ArtifactId;
use crate::artifact::name;

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
pub struct ByName {
    whole: HashMap<String, Vec<ArtifactId>>,
    /// Those whose names have an ending, by what is before it.
    bare: HashMap<String, Vec<ArtifactId>>,
}

impl ByName {
    /// Sorts artifacts by name.
    pub fn of(ids: impl IntoIterator<Item = ArtifactId>) -> Self {
        let mut by_name = Self::default();
        for id in ids {
            if let Some(bare) = name::bare(&id.name) {
                let same = by_name.bare.entry(bare.to_lowercase()).or_default();
                same.push(id.clone());
            }
            let same = by_name.whole.entry(id.name.to_lowercase()).or_default();
            same.push(id);
        }
        by_name
    }

    /// The artifacts of this name, in any case.
    pub fn named(&self, name: &str) -> &[ArtifactId] {
        of(&self.whole, name)
    }

    /// What a name may mean, the nearest first: the artifacts of this name, and those that have it but for an ending.
    pub fn meant(&self, name: &str) -> [&[ArtifactId]; 3] {
        let bare = name::bare(name);
        [
            self.named(name),
            bare.map_or(&[], |bare| self.named(bare)),
            of(&self.bare, bare.unwrap_or(name)),
        ]
    }

    /// As [`resolve`].
    pub fn resolve(&self, member: &str) -> Option<&ArtifactId> {
        let wanted = ArtifactId::parse(member);
        let name = wanted.as_ref().map_or(member, |wanted| &wanted.name);
        let mut meant = self.meant(name).into_iter();
        meant.find_map(|ids| resolve(member, ids))
    }

    /// As [`spell`].
    pub fn spell(&self, id: &ArtifactId, style: Style) -> String {
        spell(id, style, self.named(&id.name))
    }
}

fn of<'i>(ids: &'i HashMap<String, Vec<ArtifactId>>, name: &str) -> &'i [ArtifactId] {
    ids.get(&name.to_lowercase()).map_or(&[], Vec::as_slice)
}

/// The artifact that a member names. A bare name that several kinds share stands for the first of them.
pub fn resolve<'i>(
    member: &str,
    ids: impl IntoIterator<Item = &'i ArtifactId>,
) -> Option<&'i ArtifactId> {
    let wanted = ArtifactId::parse(member);
    let name = wanted.as_ref().map_or(member, |wanted| &wanted.name);
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let fits = |id: &&ArtifactId| {
        wanted.as_ref().is_none_or(|wanted| wanted.kind == id.kind)
            && same(name::bare_or_whole(name), name::bare_or_whole(&id.name))
    };
    // A name may differ from another one in its case or ending only; the nearest one is meant then.
    let is_exact = |id: &ArtifactId| id.name == member || id.to_string() == member;
    ids.into_iter().filter(fits).min_by_key(|id| {
        let kind = id.kind.as_str().to_owned();
        (!is_exact(id), !same(name, &id.name), kind)
    })
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
    fn an_ending_counts_only_where_names_differ_without_it() {
        let ids = [
            ArtifactId::new(Kind::Command, "review.md"),
            ArtifactId::new(Kind::Skill, "plan"),
            ArtifactId::new(Kind::Skill, "Both"),
            ArtifactId::new(Kind::Skill, "both.md"),
            ArtifactId::new(Kind::Agent, "both.txt"),
            ArtifactId::new(Kind::Skill, ".md"),
        ];
        let by_name = ByName::of(ids.clone());
        for (member, meant) in [
            ("review", Some("command:review.md")),
            ("Review", Some("command:review.md")),
            ("command:review", Some("command:review.md")),
            ("review.md", Some("command:review.md")),
            ("review.txt", Some("command:review.md")),
            ("skill:review", None),
            ("plan.yaml", Some("skill:plan")),
            ("plan.rs", None),
            ("both", Some("skill:Both")),
            ("both.md", Some("skill:both.md")),
            ("agent:both", Some("agent:both.txt")),
            (".md", Some("skill:.md")),
            ("", None),
        ] {
            let found = by_name.resolve(member);
            assert_eq!(found.map(ToString::to_string).as_deref(), meant, "{member}");
            assert_eq!(resolve(member, &ids), found, "{member}");
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
