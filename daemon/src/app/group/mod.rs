//! Changing groups: each change is planned on the manifest's text, and is one operation.

mod members;

use skillmeat_shared::collection::edit::{self, GroupChange, Key};
use skillmeat_shared::collection::manifest::{Group, Manifest};
use skillmeat_shared::collection::membership::{ByName, Style};
use skillmeat_shared::collection::naming;
use skillmeat_shared::{ArtifactId, Error, Kind, Result};

use super::App;
use super::change::{Caller, ChangeItem, ChangeSummary, Draft};
use super::selection::{Selected, Selection, no_group, spread};
use crate::store::list::Summary;

/// What is to change.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the messages of group.proto")]
pub enum GroupAction {
    Create(Group, Option<i64>, Option<Selection>),
    Update(String, GroupChange),
    Delete(Vec<String>),
    Add(String, Selection, Option<usize>),
    Remove(String, Selection),
    Move(String, String, Selection),
    Copy(String, String, String),
    Reorder(Vec<String>),
    ReorderMembers(String, Vec<String>),
}

/// A change of groups.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of ChangeGroupsRequest")]
pub struct GroupRequest {
    pub collection: String,
    pub dry_run: bool,
    pub action: GroupAction,
}

/// The words for a change: its verb, what was done, what would be.
type Words = (&'static str, &'static str, &'static str);

impl GroupAction {
    const fn words(&self) -> Words {
        match self {
            Self::Create(..) => ("group.create", "created", "would-create"),
            Self::Update(..) => ("group.update", "updated", "would-update"),
            Self::Delete(_) => ("group.delete", "deleted", "would-delete"),
            Self::Add(..) => ("group.add", "added", "would-add"),
            Self::Remove(..) => ("group.remove", "removed", "would-remove"),
            Self::Move(..) => ("group.move", "moved", "would-move"),
            Self::Copy(..) => ("group.copy", "copied", "would-copy"),
            Self::Reorder(_) | Self::ReorderMembers(..) => {
                ("group.reorder", "reordered", "would-reorder")
            }
        }
    }

    /// The change in words, for the log of operations.
    fn told(&self, collection: &str) -> String {
        let quoted = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        match self {
            Self::Create(group, ..) => {
                format!("create the group `{}` in `{collection}`", group.name)
            }
            Self::Update(name, _) => format!("change the group `{name}` of `{collection}`"),
            Self::Delete(names) => {
                format!("delete {} from the groups of `{collection}`", quoted(names))
            }
            Self::Add(group, members, _) => {
                let words = members.words();
                format!("add {words} to the group `{group}` of `{collection}`")
            }
            Self::Remove(group, members) => {
                let words = members.words();
                format!("remove {words} from the group `{group}` of `{collection}`")
            }
            Self::Move(from, to, members) => {
                let words = members.words();
                format!("move {words} from the group `{from}` to `{to}` of `{collection}`")
            }
            Self::Copy(name, to, new) => {
                let to = if to.is_empty() { collection } else { to };
                let new = if new.is_empty() { name } else { new };
                format!("copy the group `{name}` of `{collection}` to `{new}` of `{to}`")
            }
            Self::Reorder(names) => format!(
                "put {} first of the groups of `{collection}`",
                quoted(names)
            ),
            Self::ReorderMembers(group, members) => {
                format!(
                    "put {} first in the group `{group}` of `{collection}`",
                    quoted(members)
                )
            }
        }
    }
}

/// The manifest that is being changed, and what is told of it.
struct Plan<'p> {
    text: String,
    manifest: Manifest,
    known: ByName,
    /// What is said of a thing that was changed.
    done: &'static str,
    items: &'p mut Vec<ChangeItem>,
}

impl App {
    /// Changes groups of a collection.
    ///
    /// # Errors
    /// [`GroupNotFound`](skillmeat_shared::Code::GroupNotFound), [`GroupExists`](skillmeat_shared::Code::GroupExists),
    /// and what a change may fail with. An artifact that can't be found fails alone.
    pub fn change_groups(
        &self,
        request: &GroupRequest,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        let collection = self.known_collection(&request.collection)?;
        let (words, what) = (request.action.words(), request.action.told(&collection));
        self.change_things(
            &collection,
            words,
            what,
            request.dry_run,
            caller,
            &|said, draft| {
                let mut items = Vec::new();
                self.plan_groups(&collection, &request.action, said, &mut items, draft)?;
                Ok(items)
            },
        )
    }

    fn plan_groups(
        &self,
        collection: &str,
        action: &GroupAction,
        done: &'static str,
        items: &mut Vec<ChangeItem>,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        let mut plan = Plan::of(draft, collection, done, items)?;
        // Of the rows as the files are now: the plan has seen to that.
        let select = |selection: &Selection| self.select(collection, selection);
        let filtered = |selection: &Selection| {
            // Nothing at all is named: selecting says so.
            let needs_rows = selection.is_filtered() || selection.names.is_empty();
            needs_rows.then(|| select(selection)).transpose()
        };
        match action {
            GroupAction::Create(group, position, members) => {
                let members = members.as_ref().map(select).transpose()?;
                plan.create(group, *position, &members.unwrap_or_default())?;
            }
            GroupAction::Update(name, change) => plan.update(name, change)?,
            GroupAction::Delete(names) => plan.delete(names)?,
            GroupAction::Add(group, members, at) => {
                // An unknown group is the first thing to say.
                plan.group(group)?;
                plan.add(group, &select(members)?, *at)?;
            }
            GroupAction::Remove(group, members) => {
                plan.remove(group, members, filtered(members)?)?;
            }
            GroupAction::Move(from, to, members) => {
                plan.move_between(from, to, members, filtered(members)?)?;
            }
            GroupAction::Copy(name, to, new) if !to.is_empty() && to != collection => {
                let target = self.known_collection(to)?;
                let group = plan.group(name)?.clone();
                let mut other = Plan::of(draft, &target, done, plan.items)?;
                other.copy(&group, new)?;
                return self.put_manifest(&target, &other.text, draft);
            }
            GroupAction::Copy(name, _, new) => {
                let group = plan.group(name)?.clone();
                plan.copy(&group, new)?;
            }
            GroupAction::Reorder(names) => plan.reorder(names)?,
            GroupAction::ReorderMembers(group, members) => plan.reorder_members(group, members)?,
        }
        let text = plan.text;
        self.put_manifest(collection, &text, draft)
    }

    /// Drafts a manifest that was changed, dated.
    pub(super) fn put_manifest(
        &self,
        collection: &str,
        text: &str,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        draft.edit_manifest(collection, &|old| {
            if old == text {
                return Ok(old.to_owned());
            }
            edit::date(text, self.now())
        })
    }

    /// The name of a collection that there is; the default one's if it is empty.
    pub(super) fn known_collection(&self, name: &str) -> Result<String> {
        let store = self.store()?;
        self.asked(&store, name, false)?;
        Ok(self.collection_or_default(name))
    }
}

impl<'p> Plan<'p> {
    fn of(
        draft: &mut Draft<'_>,
        collection: &str,
        done: &'static str,
        items: &'p mut Vec<ChangeItem>,
    ) -> Result<Self> {
        let (text, manifest) = draft.parsed(collection)?;
        let existing = draft.existing(collection)?;
        Ok(Self {
            text,
            manifest,
            known: ByName::of(existing.into_iter().map(|one| one.id)),
            done,
            items,
        })
    }

    fn group(&self, name: &str) -> Result<&Group> {
        let found = self.manifest.groups.iter().find(|group| group.name == name);
        let names = self.manifest.groups.iter().map(|group| group.name.as_str());
        found.ok_or_else(|| no_group(name, names))
    }

    fn tell(&mut self, id: &str, result: &'static str, reason: &str) {
        self.items.push(ChangeItem {
            id: id.to_owned(),
            result,
            reason: reason.to_owned(),
            ..ChangeItem::default()
        });
    }

    fn fail(&mut self, id: &str, error: &Error) {
        self.items.push(ChangeItem {
            id: id.to_owned(),
            result: "failed",
            reason: error.message.clone(),
            code: Some(error.code),
            ..ChangeItem::default()
        });
    }

    fn fail_all(&mut self, failed: &[(String, Error)]) {
        for (name, error) in failed {
            self.fail(name, error);
        }
    }

    fn create(&mut self, group: &Group, position: Option<i64>, members: &Selected) -> Result<()> {
        let mut group = checked(group)?;
        let last = self
            .manifest
            .groups
            .iter()
            .map(|group| group.position)
            .max();
        let next = last.map_or(0, |last| last.saturating_add(1));
        group.position = position.map_or(Ok(next), naming::position)?;
        self.make_room(group.position, &group.name)?;
        let style = Style::for_group(&group, &self.manifest.groups);
        self.fail_all(&members.failed);
        let ids = members.rows.iter().map(id_of);
        group.members = ids.map(|id| self.known.spell(&id, style)).collect();
        self.text = edit::add_group(&self.text, &group)?;
        self.tell(&group.name, self.done, "");
        Ok(())
    }

    /// Moves the groups that stand at a position one on, and those that stand in their way. `but` is to stand there.
    fn make_room(&mut self, position: i64, but: &str) -> Result<()> {
        let mut others: Vec<(i64, &str)> = self
            .manifest
            .groups
            .iter()
            .filter(|group| group.name != but && group.position >= position)
            .map(|group| (group.position, group.name.as_str()))
            .collect();
        others.sort_by_key(|(at, _)| *at);
        let mut taken = position;
        for (at, name) in others {
            if at > taken {
                break;
            }
            taken = taken.saturating_add(1);
            let change = GroupChange {
                position: Some(taken),
                ..GroupChange::default()
            };
            self.text = edit::update_group(&self.text, name, &change)?;
        }
        Ok(())
    }

    fn update(&mut self, name: &str, change: &GroupChange) -> Result<()> {
        self.group(name)?;
        if let Some(new) = change.name.as_ref().filter(|new| *new != name) {
            naming::check_given("group", new)?;
        }
        if let Some(description) = &change.description {
            naming::check_description(description)?;
        }
        if let Some(icon) = &change.icon {
            naming::check_icon(icon)?;
        }
        let color = change.color.as_deref().map(naming::color).transpose()?;
        let change = GroupChange {
            color,
            ..change.clone()
        };
        let before = self.text.clone();
        if let Some(position) = change.position {
            naming::position(position)?;
            self.make_room(position, name)?;
        }
        let text = edit::update_group(&self.text, name, &change)?;
        let result = if text == before {
            "unchanged"
        } else {
            self.done
        };
        self.text = text;
        self.tell(change.name.as_deref().unwrap_or(name), result, "");
        Ok(())
    }

    fn delete(&mut self, names: &[String]) -> Result<()> {
        let mut gone: Vec<Key> = Vec::new();
        let there = self.manifest.groups.iter().map(|group| group.name.as_str());
        for name in &spread(names, there) {
            match self.group(name) {
                Ok(_) => {
                    gone.push(Key::Group(name.clone()));
                    self.tell(name, self.done, "");
                }
                Err(error) => self.fail(name, &error),
            }
        }
        self.text = edit::remove(&self.text, &gone)?;
        Ok(())
    }

    fn copy(&mut self, group: &Group, new_name: &str) -> Result<()> {
        let name = if new_name.is_empty() || new_name == group.name {
            &group.name
        } else {
            naming::check_given("group", new_name)?;
            new_name
        };
        let copy = Group {
            name: name.to_owned(),
            ..group.clone()
        };
        let last = self
            .manifest
            .groups
            .iter()
            .map(|group| group.position)
            .max();
        let copy = Group {
            position: last.map_or(0, |last| last.saturating_add(1)),
            ..copy
        };
        self.text = edit::add_group(&self.text, &copy)?;
        self.tell(name, self.done, "");
        Ok(())
    }

    fn reorder(&mut self, names: &[String]) -> Result<()> {
        let mut order = Vec::new();
        for name in names {
            self.group(name)?;
            if !order.contains(name) {
                order.push(name.clone());
            }
        }
        let mut rest: Vec<&Group> = self.manifest.groups.iter().collect();
        rest.sort_by_key(|group| group.position);
        let rest = rest.into_iter().map(|group| group.name.clone());
        let rest: Vec<String> = rest.filter(|name| !order.contains(name)).collect();
        order.extend(rest);
        for (position, name) in (0..).zip(&order) {
            let result = if self.group(name)?.position == position {
                "unchanged"
            } else {
                let change = GroupChange {
                    position: Some(position),
                    ..GroupChange::default()
                };
                self.text = edit::update_group(&self.text, name, &change)?;
                self.done
            };
            self.tell(name, result, "");
        }
        Ok(())
    }
}

fn id_of(row: &Summary) -> ArtifactId {
    ArtifactId::new(Kind::from_manifest(&row.kind), row.name.as_str())
}

/// A new group whose parts follow the rules.
fn checked(group: &Group) -> Result<Group> {
    naming::check_given("group", &group.name)?;
    naming::check_description(&group.description)?;
    naming::check_icon(&group.icon)?;
    Ok(Group {
        color: naming::color(&group.color)?,
        ..group.clone()
    })
}
