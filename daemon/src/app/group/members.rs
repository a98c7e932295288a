//! The members of a group: added, removed, moved, put in order.

use skillmeat_shared::collection::edit::{self, GroupChange};
use skillmeat_shared::collection::manifest::Group;
use skillmeat_shared::collection::membership::{self, Style};
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::Plan;

/// A reference as a person writes it.
pub(in crate::app) fn written(reference: &ArtifactRef) -> String {
    match &reference.kind {
        Some(kind) => format!("{kind}:{}", reference.name),
        None => reference.name.clone(),
    }
}

/// The artifact that a reference names.
///
/// # Errors
/// [`Code::ArtifactNotFound`]; [`Code::ArtifactAmbiguous`] if several kinds have the name.
pub(in crate::app) fn artifact(ids: &[ArtifactId], reference: &ArtifactRef) -> Result<ArtifactId> {
    let is_kind = |id: &&ArtifactId| reference.kind.as_ref().is_none_or(|kind| *kind == id.kind);
    let lower = reference.name.to_lowercase();
    let mut found: Vec<&ArtifactId> = ids
        .iter()
        .filter(is_kind)
        .filter(|id| id.name.to_lowercase() == lower)
        .collect();
    if found.iter().any(|id| id.name == reference.name) {
        found.retain(|id| id.name == reference.name);
    }
    found.dedup();
    let name = written(reference);
    match found.as_slice() {
        [id] => Ok((*id).clone()),
        [] => Err(Error::new(
            Code::ArtifactNotFound,
            format!("there is no artifact `{name}`"),
        )
        .hint("`sm list` shows those that there are")),
        several => {
            let names: Vec<String> = several.iter().map(|id| format!("`{id}`")).collect();
            let message = format!("`{name}` may be {}", names.join(" or "));
            Err(Error::new(Code::ArtifactAmbiguous, message).hint("name its type: TYPE:NAME"))
        }
    }
}

impl Plan<'_> {
    /// Where a member is in a group: as it is written there, or as the artifact that it names. Of several
    /// artifacts of one name that which is a member is meant.
    fn place(&self, group: &Group, member: &str) -> Option<usize> {
        let exact = group.members.iter().position(|other| other == member);
        exact.or_else(|| {
            let Ok(reference) = member.parse::<ArtifactRef>();
            let id = artifact(&self.members_of(group), &reference).ok()?;
            self.place_of(group, &id)
        })
    }

    /// The artifacts that are members.
    fn members_of(&self, group: &Group) -> Vec<ArtifactId> {
        let members = group.members.iter();
        members
            .filter_map(|member| membership::resolve(member, &self.ids).cloned())
            .collect()
    }

    fn place_of(&self, group: &Group, id: &ArtifactId) -> Option<usize> {
        let mut members = group.members.iter();
        members.position(|other| membership::resolve(other, &self.ids) == Some(id))
    }

    fn put_members(&mut self, group: &str, members: Vec<String>) -> Result<()> {
        let change = GroupChange {
            members: Some(members),
            ..GroupChange::default()
        };
        self.text = edit::update_group(&self.text, group, &change)?;
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        group: &str,
        references: &[ArtifactRef],
        at: Option<usize>,
    ) -> Result<()> {
        let group = self.group(group)?.clone();
        let style = Style::for_group(&group, &self.manifest.groups);
        let mut members = group.members.clone();
        let mut at = at.unwrap_or(members.len()).min(members.len());
        let mut taken: Vec<ArtifactId> = Vec::new();
        for reference in references {
            match artifact(&self.ids, reference) {
                Err(error) => self.fail(&written(reference), &error),
                Ok(id) if taken.contains(&id) => {}
                Ok(id) if self.place_of(&group, &id).is_some() => {
                    self.tell(&id.to_string(), "unchanged", "it is a member already");
                    taken.push(id);
                }
                Ok(id) => {
                    members.insert(at, membership::spell(&id, style, &self.ids));
                    at += 1;
                    self.tell(&id.to_string(), self.done, "");
                    taken.push(id);
                }
            }
        }
        self.put_members(&group.name, members)
    }

    pub(super) fn remove(&mut self, group: &str, wanted: &[String]) -> Result<()> {
        let group = self.group(group)?.clone();
        let mut gone = Vec::new();
        for member in wanted {
            match self.place(&group, member) {
                Some(at) => {
                    gone.push(at);
                    let named = group.members.get(at);
                    let id = named.and_then(|named| membership::resolve(named, &self.ids));
                    let shown = id.map_or_else(|| member.clone(), ToString::to_string);
                    self.tell(&shown, self.done, "");
                }
                None => self.absent(member, &group.name),
            }
        }
        let mut places = 0_usize..;
        let mut members = group.members.clone();
        members.retain(|_| places.next().is_some_and(|at| !gone.contains(&at)));
        self.put_members(&group.name, members)
    }

    /// Tells of something that is no member: an artifact, or nothing at all.
    fn absent(&mut self, member: &str, group: &str) {
        let Ok(reference) = member.parse::<ArtifactRef>();
        match artifact(&self.ids, &reference) {
            Ok(id) => {
                let reason = format!("it is no member of `{group}`");
                self.tell(&id.to_string(), "unchanged", &reason);
            }
            Err(error) => self.fail(member, &error),
        }
    }

    pub(super) fn move_between(
        &mut self,
        from: &str,
        to: &str,
        references: &[ArtifactRef],
    ) -> Result<()> {
        let (source, target) = (self.group(from)?.clone(), self.group(to)?.clone());
        if source.name == target.name {
            return Err(
                Error::new(Code::InvalidArgument, "the two groups are the same one")
                    .hint("`sm group reorder` changes the order within a group"),
            );
        }
        let style = Style::for_group(&target, &self.manifest.groups);
        let (mut left, mut there) = (source.members.clone(), target.members.clone());
        for reference in references {
            let found = artifact(&self.members_of(&source), reference)
                .or_else(|_| artifact(&self.ids, reference));
            let id = match found {
                Ok(id) => id,
                Err(error) => {
                    self.fail(&written(reference), &error);
                    continue;
                }
            };
            let is_it = |member: &String| membership::resolve(member, &self.ids) == Some(&id);
            if !left.iter().any(is_it) {
                let reason = format!("it is no member of `{from}`");
                self.tell(&id.to_string(), "unchanged", &reason);
                continue;
            }
            left.retain(|member| !is_it(member));
            if !there.iter().any(is_it) {
                there.push(membership::spell(&id, style, &self.ids));
            }
            self.tell(&id.to_string(), self.done, "");
        }
        self.put_members(from, left)?;
        self.put_members(to, there)
    }

    pub(super) fn reorder_members(&mut self, group: &str, first: &[String]) -> Result<()> {
        let group = self.group(group)?.clone();
        let mut order = Vec::new();
        for member in first {
            match self.place(&group, member) {
                Some(at) if order.contains(&at) => {}
                Some(at) => order.push(at),
                None => {
                    let message = format!("`{member}` is no member of the group `{}`", group.name);
                    return Err(Error::new(Code::ArtifactNotFound, message)
                        .hint(format!("`sm group show {}` shows its members", group.name)));
                }
            }
        }
        let rest: Vec<usize> = (0..group.members.len())
            .filter(|at| !order.contains(at))
            .collect();
        order.extend(rest);
        let members: Vec<String> = order
            .iter()
            .filter_map(|at| group.members.get(*at).cloned())
            .collect();
        let result = if members == group.members {
            "unchanged"
        } else {
            self.done
        };
        self.put_members(&group.name, members)?;
        self.tell(&group.name, result, "");
        Ok(())
    }
}
