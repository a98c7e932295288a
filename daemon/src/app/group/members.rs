//! The members of a group: added, removed, moved, put in order.

use std::collections::{BTreeSet, HashMap, HashSet};

use skillmeat_shared::collection::edit::{self, GroupChange};
use skillmeat_shared::collection::manifest::Group;
use skillmeat_shared::collection::membership::{ByName, Style};
use skillmeat_shared::error::word;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::{Plan, id_of};
use crate::app::selection::{Selected, Selection, parsed};

/// A reference as a person writes it.
fn written(reference: &ArtifactRef) -> String {
    match &reference.kind {
        Some(kind) => format!("{kind}:{}", reference.name),
        None => reference.name.clone(),
    }
}

/// The artifact that a reference names.
///
/// # Errors
/// [`Code::ArtifactNotFound`]; [`Code::ArtifactAmbiguous`] if several kinds have the name.
fn artifact(ids: &ByName, reference: &ArtifactRef) -> Result<ArtifactId> {
    let is_kind = |id: &&ArtifactId| reference.kind.as_ref().is_none_or(|kind| *kind == id.kind);
    let meant = ids.meant(&reference.name).into_iter();
    let mut meant = meant.map(|ids| ids.iter().filter(is_kind).collect::<Vec<_>>());
    let mut found = meant.find(|ids| !ids.is_empty()).unwrap_or_default();
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

/// The members of a group, and where they stand in it.
struct Members {
    by_text: HashMap<String, usize>,
    by_id: HashMap<ArtifactId, usize>,
    /// The artifacts that are members, in their order.
    ids: Vec<ArtifactId>,
    by_name: ByName,
}

impl Members {
    fn of(group: &Group, known: &ByName) -> Self {
        let mut members = Self {
            by_text: HashMap::new(),
            by_id: HashMap::new(),
            ids: Vec::new(),
            by_name: ByName::default(),
        };
        for (at, member) in group.members.iter().enumerate() {
            members.by_text.entry(member.clone()).or_insert(at);
            if let Some(id) = known.resolve(member)
                && !members.by_id.contains_key(id)
            {
                members.by_id.insert(id.clone(), at);
                members.ids.push(id.clone());
            }
        }
        members.by_name = ByName::of(members.ids.iter().cloned());
        members
    }

    /// Where a member is: as it is written there, or as the artifact that it names. Of several artifacts of one
    /// name that which is a member is meant.
    fn place(&self, member: &str) -> Option<usize> {
        let exact = self.by_text.get(member).copied();
        exact.or_else(|| {
            let id = artifact(&self.by_name, &parsed(member)).ok()?;
            self.by_id.get(&id).copied()
        })
    }
}

impl Plan<'_> {
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
        selected: &Selected,
        at: Option<usize>,
    ) -> Result<()> {
        let group = self.group(group)?.clone();
        let style = Style::for_group(&group, &self.manifest.groups);
        let there = Members::of(&group, &self.known);
        self.fail_all(&selected.failed);
        let mut new = Vec::new();
        for id in selected.rows.iter().map(id_of) {
            if there.by_id.contains_key(&id) {
                self.tell(&id.to_string(), "unchanged", "it is a member already");
            } else {
                new.push(self.known.spell(&id, style));
                self.tell(&id.to_string(), self.done, "");
            }
        }
        let mut members = group.members;
        let at = at.unwrap_or(members.len()).min(members.len());
        members.splice(at..at, new);
        self.put_members(&group.name, members)
    }

    /// The members that a selection names, and names of what is none, each once. `filtered` is what the selection
    /// means in the collection, if it has filters: then only members are meant.
    fn chosen(
        &mut self,
        (group, members): (&str, &Members),
        selection: &Selection,
        filtered: Option<Selected>,
    ) -> Vec<String> {
        if let Some(selected) = filtered {
            self.fail_all(&selected.failed);
            let ids = selected.rows.iter().map(id_of);
            return ids
                .filter(|id| members.by_id.contains_key(id))
                .map(|id| id.to_string())
                .collect();
        }
        let mut chosen: Vec<String> = Vec::new();
        for name in &selection.names {
            let reference = parsed(name);
            let is_member = members.by_text.contains_key(name) && !reference.is_all();
            if is_member || !reference.is_pattern() {
                chosen.push(name.clone());
                continue;
            }
            let before = chosen.len();
            let fits = |id: &&ArtifactId| reference.fits(id.kind.as_str(), &id.name);
            chosen.extend(members.ids.iter().filter(fits).map(ToString::to_string));
            if chosen.len() == before {
                let message = format!("no member of `{group}` fits `{name}`");
                self.fail(name, &Error::new(Code::ArtifactNotFound, message));
            }
        }
        let mut seen = HashSet::new();
        chosen.retain(|name| seen.insert(name.clone()));
        chosen
    }

    pub(super) fn remove(
        &mut self,
        group: &str,
        selection: &Selection,
        filtered: Option<Selected>,
    ) -> Result<()> {
        let group = self.group(group)?.clone();
        let members = Members::of(&group, &self.known);
        let mut gone = BTreeSet::new();
        for member in &self.chosen((&group.name, &members), selection, filtered) {
            match members.place(member) {
                Some(at) if !gone.insert(at) => {}
                Some(at) => {
                    let named = group.members.get(at);
                    let id = named.and_then(|named| self.known.resolve(named));
                    let shown = id.map_or_else(|| member.clone(), ToString::to_string);
                    self.tell(&shown, self.done, "");
                }
                None => self.absent(member, &group.name),
            }
        }
        let mut places = 0_usize..;
        let mut left = group.members;
        left.retain(|_| places.next().is_some_and(|at| !gone.contains(&at)));
        self.put_members(&group.name, left)
    }

    /// Tells of something that is no member: an artifact, or nothing at all.
    fn absent(&mut self, member: &str, group: &str) {
        match artifact(&self.known, &parsed(member)) {
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
        selection: &Selection,
        filtered: Option<Selected>,
    ) -> Result<()> {
        let (source, target) = (self.group(from)?.clone(), self.group(to)?.clone());
        if source.name == target.name {
            return Err(
                Error::new(Code::InvalidArgument, "the two groups are the same one")
                    .hint("`sm group reorder` changes the order within a group"),
            );
        }
        let style = Style::for_group(&target, &self.manifest.groups);
        let members = Members::of(&source, &self.known);
        let in_target = Members::of(&target, &self.known);
        let mut there = target.members;
        let mut leaving: BTreeSet<ArtifactId> = BTreeSet::new();
        for name in &self.chosen((from, &members), selection, filtered) {
            let reference = parsed(name);
            let found = artifact(&members.by_name, &reference);
            let Ok(id) = found else {
                self.absent(name, from);
                continue;
            };
            self.tell(&id.to_string(), self.done, "");
            if !in_target.by_id.contains_key(&id) {
                there.push(self.known.spell(&id, style));
            }
            leaving.insert(id);
        }
        let mut left = source.members;
        let stays = |member: &String| {
            let id = self.known.resolve(member);
            id.is_none_or(|id| !leaving.contains(id))
        };
        left.retain(stays);
        self.put_members(from, left)?;
        self.put_members(to, there)
    }

    pub(super) fn reorder_members(&mut self, group: &str, first: &[String]) -> Result<()> {
        let group = self.group(group)?.clone();
        let places = Members::of(&group, &self.known);
        let mut order = Vec::new();
        for member in first {
            match places.place(member) {
                Some(at) if order.contains(&at) => {}
                Some(at) => order.push(at),
                None => {
                    let message = format!("`{member}` is no member of the group `{}`", group.name);
                    return Err(Error::new(Code::ArtifactNotFound, message).hint(format!(
                        "`sm group show {}` shows its members",
                        word(&group.name)
                    )));
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
