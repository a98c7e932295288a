//! Which artifacts the members of a group are.

use std::collections::{BTreeSet, HashMap};

use crate::ArtifactId;
use crate::id::ArtifactRef;

/// The endings that a name may be written with.
const ENDINGS: [&str; 5] = [".md", ".txt", ".json", ".yaml", ".yml"];

/// The artifacts of a collection by their names.
#[derive(Debug, Default)]
pub struct Index<'a> {
    by_name: HashMap<&'a str, BTreeSet<&'a ArtifactId>>,
}

impl<'a> Index<'a> {
    /// An index of these artifacts.
    pub fn of(ids: impl IntoIterator<Item = &'a ArtifactId>) -> Self {
        let mut by_name: HashMap<&str, BTreeSet<&ArtifactId>> = HashMap::new();
        for id in ids {
            by_name.entry(id.name.as_str()).or_default().insert(id);
        }
        Self { by_name }
    }

    /// The artifact that a member names: as `type:name`, or else by its bare name. A bare name that several
    /// kinds share means the first of them in the order of [`Kind::KNOWN`](crate::Kind::KNOWN).
    pub fn find(&self, member: &str) -> Option<&'a ArtifactId> {
        self.find_exactly(member).or_else(|| {
            ENDINGS
                .iter()
                .find_map(|ending| self.find_exactly(member.strip_suffix(ending)?))
        })
    }

    fn find_exactly(&self, member: &str) -> Option<&'a ArtifactId> {
        let typed = member.parse::<ArtifactRef>().ok().and_then(|wanted| {
            let kind = wanted.kind?;
            self.by_name
                .get(wanted.name.as_str())?
                .iter()
                .find(|id| id.kind == kind)
                .copied()
        });
        let foreign = || {
            let id = ArtifactId::parse(member)?;
            self.by_name.get(id.name.as_str())?.get(&id).copied()
        };
        let bare = || self.by_name.get(member)?.first().copied();
        typed.or_else(foreign).or_else(bare)
    }
}

/// Each member as written, with the artifact that it names, if there is one.
pub fn resolve<'a>(
    members: &[String],
    ids: impl IntoIterator<Item = &'a ArtifactId>,
) -> Vec<(String, Option<ArtifactId>)> {
    let index = Index::of(ids);
    members
        .iter()
        .map(|member| (member.clone(), index.find(member).cloned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn members_are_found_by_id_and_by_name() {
        let ids = [
            ArtifactId::new(Kind::Agent, "both"),
            ArtifactId::new(Kind::Skill, "both"),
            ArtifactId::new(Kind::Command, "review"),
            ArtifactId::new(Kind::Skill, "a:b"),
            ArtifactId::new(Kind::Other("spell".into()), "x"),
        ];
        let found = |member: &str| {
            let members = [member.to_owned()];
            let resolved = resolve(&members, &ids).remove(0);
            assert_eq!(resolved.0, member);
            resolved.1.map(|id| id.to_string())
        };
        let cases = [
            ("agent:both", Some("agent:both")),
            ("both", Some("skill:both")),
            ("review", Some("command:review")),
            ("review.md", Some("command:review")),
            ("Commands:review", Some("command:review")),
            ("skill:review", None),
            ("a:b", Some("skill:a:b")),
            ("skill:a:b", Some("skill:a:b")),
            ("spell:x", Some("spell:x")),
            ("", None),
            ("agent:", None),
            ("nobody", None),
        ];
        for (member, id) in cases {
            assert_eq!(found(member).as_deref(), id, "{member:?}");
        }
    }
}
