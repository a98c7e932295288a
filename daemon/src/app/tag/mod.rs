//! Changing tags: their definitions, and the artifacts that carry them. A tag stands in an artifact's own file
//! and in its entry of the manifest.

mod retag;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use skillmeat_shared::collection::edit::{self, Change, Key, TagChange};
use skillmeat_shared::collection::manifest::{Manifest, TagDefinition};
use skillmeat_shared::collection::naming;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::App;
use super::change::{Caller, ChangeItem, ChangeSummary, Draft};
use super::curation::relock::{Touched, relock};
use super::selection::{Selection, no_tag, spread};
use crate::store::list::{self, Query, Summary};
use retag::Retag;

/// More artifacts than a collection has.
const ALL: u32 = 10_000_000;

/// What is to change.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the messages of tag.proto")]
pub enum TagAction {
    Define {
        name: String,
        color: Option<String>,
        description: Option<String>,
        only_new: bool,
    },
    Rename(String, String),
    Delete(Vec<String>),
    Add(Vec<String>, Selection),
    Remove(Vec<String>, Selection),
}

/// A change of tags.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of ChangeTagsRequest")]
pub struct TagRequest {
    pub collection: String,
    pub dry_run: bool,
    pub action: TagAction,
}

impl TagAction {
    /// The verb, what was done, what would be.
    const fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Define { .. } => ("tag.define", "defined", "would-define"),
            Self::Rename(..) => ("tag.rename", "renamed", "would-rename"),
            Self::Delete(_) => ("tag.delete", "deleted", "would-delete"),
            Self::Add(..) => ("tag.add", "added", "would-add"),
            Self::Remove(..) => ("tag.remove", "removed", "would-remove"),
        }
    }

    fn told(&self, collection: &str) -> String {
        let quoted = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        match self {
            Self::Define { name, .. } => format!("define the tag `{name}` in `{collection}`"),
            Self::Rename(old, new) => {
                format!("rename the tag `{old}` to `{new}` in `{collection}`")
            }
            Self::Delete(tags) => format!("delete the tags {} of `{collection}`", quoted(tags)),
            Self::Add(tags, of) | Self::Remove(tags, of) => {
                let (verb, on) = if matches!(self, Self::Add(..)) {
                    ("add", "to")
                } else {
                    ("remove", "from")
                };
                format!(
                    "{verb} the tags {} {on} {} of `{collection}`",
                    quoted(tags),
                    of.words()
                )
            }
        }
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// A tag's definition, by its name or slug.
fn definition<'m>(manifest: &'m Manifest, tag: &str) -> Option<&'m TagDefinition> {
    let slug = naming::slug(tag);
    let mut all = manifest.tag_definitions.iter();
    all.find(|one| same(&one.name, tag) || one.slug == slug)
}

/// The manifest of a collection that is being changed, and what is told of it.
struct Plan<'d, 'a> {
    app: &'d App,
    draft: &'d mut Draft<'a>,
    collection: &'d str,
    text: String,
    manifest: Manifest,
    rows: Vec<Summary>,
    entries: Vec<(Key, Vec<Change>)>,
    touched: Vec<Touched>,
    done: &'static str,
    items: Vec<ChangeItem>,
}

impl App {
    /// Changes tags of a collection.
    ///
    /// # Errors
    /// [`Code::TagNotFound`], [`Code::TagExists`], and what a change may fail with. An artifact whose file can't
    /// be changed fails alone.
    pub fn change_tags(&self, request: &TagRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        let collection = self.known_collection(&request.collection)?;
        let (words, what) = (request.action.words(), request.action.told(&collection));
        let merged = Cell::new(None);
        let changed = self.change_things(
            &collection,
            words,
            what,
            request.dry_run,
            caller,
            &|said, draft| self.plan_tags(&collection, &request.action, said, &merged, draft),
        );
        let mut summary = changed?;
        if let (Some(both), TagAction::Rename(old, new)) = (merged.get(), &request.action) {
            let be = if request.dry_run {
                "would become"
            } else {
                "became"
            };
            let had = if both == 1 { "artifact" } else { "artifacts" };
            let undo = summary.operation.as_ref();
            let undo = undo.map(|operation| format!("; `sm undo {operation}` parts them"));
            summary.notes.push(format!(
                "`{new}` was there already: the two {be} one tag; {both} {had} had `{old}` and `{new}`{}",
                undo.unwrap_or_default()
            ));
        }
        Ok(summary)
    }

    fn plan_tags(
        &self,
        collection: &str,
        action: &TagAction,
        done: &'static str,
        merged: &Cell<Option<usize>>,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<ChangeItem>> {
        let (text, manifest) = draft.parsed(collection)?;
        draft.existing(collection)?;
        let store = self.store()?;
        let asked = self.asked(&store, collection, false)?;
        let query = Query {
            collection: asked.first().map(|(row, _)| *row),
            limit: ALL,
            ..Query::default()
        };
        let (rows, _) = store.read(|connection| list::page(connection, &query))?;
        let mut plan = Plan {
            app: self,
            draft,
            collection,
            text,
            manifest,
            rows,
            entries: Vec::new(),
            touched: Vec::new(),
            done,
            items: Vec::new(),
        };
        match action {
            TagAction::Define {
                name,
                color,
                description,
                only_new,
            } => plan.define(name, color.as_deref(), description.clone(), *only_new)?,
            TagAction::Rename(old, new) => merged.set(plan.rename(old, new)?),
            TagAction::Delete(tags) => plan.delete(tags)?,
            TagAction::Add(tags, artifacts) => plan.put(tags, artifacts, true)?,
            TagAction::Remove(tags, artifacts) => plan.put(tags, artifacts, false)?,
        }
        plan.finish()
    }
}

impl Plan<'_, '_> {
    fn finish(self) -> Result<Vec<ChangeItem>> {
        relock(self.draft, self.collection, &self.touched)?;
        let text = edit::change(&self.text, &self.entries)?;
        self.app.put_manifest(self.collection, &text, self.draft)?;
        Ok(self.items)
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

    fn define(
        &mut self,
        name: &str,
        color: Option<&str>,
        description: Option<String>,
        only_new: bool,
    ) -> Result<()> {
        self.check_name(name)?;
        naming::check_description(description.as_deref().unwrap_or_default())?;
        let color = color.map(naming::color).transpose()?;
        let text = match definition(&self.manifest, name) {
            Some(old) if only_new => {
                let message = format!("the tag `{}` is defined already", old.name);
                return Err(Error::new(Code::TagExists, message)
                    .hint("`sm tag define` changes its definition"));
            }
            Some(old) => {
                let change = TagChange {
                    color,
                    description,
                    ..TagChange::default()
                };
                edit::update_tag(&self.text, &old.slug, &change)?
            }
            None => {
                let tag = TagDefinition {
                    name: name.to_owned(),
                    slug: naming::slug(name),
                    color: color.unwrap_or_default(),
                    description: description.unwrap_or_default(),
                };
                edit::define_tag(&self.text, &tag)?
            }
        };
        let result = if text == self.text {
            "unchanged"
        } else {
            self.done
        };
        self.text = text;
        self.tell(name, result, "");
        Ok(())
    }

    /// The artifacts that carry a tag, with the ways in which they write it.
    fn carrying(&self, tag: &str) -> Vec<(usize, Vec<String>)> {
        let spelled = |row: &Summary| -> Vec<String> {
            let own = row.tags.iter().filter(|own| same(own, tag));
            own.cloned().collect()
        };
        let all = self.rows.iter().enumerate();
        all.map(|(at, row)| (at, spelled(row)))
            .filter(|(_, tags)| !tags.is_empty())
            .collect()
    }

    /// Tells of how many artifacts that had both, if the new name is that of another tag.
    fn rename(&mut self, old: &str, new: &str) -> Result<Option<usize>> {
        self.check_name(new)?;
        if old == new {
            return Err(Error::new(
                Code::InvalidArgument,
                "the two names are the same one",
            ));
        }
        let carrying = self.carrying(old);
        let from = definition(&self.manifest, old).cloned();
        if carrying.is_empty() && from.is_none() {
            return Err(self.no_tag(old));
        }
        let slug = from.as_ref().map(|from| &from.slug);
        let other = definition(&self.manifest, new).filter(|other| Some(&other.slug) != slug);
        let is_defined = other.is_some();
        let others = if same(old, new) {
            Vec::new()
        } else {
            self.carrying(new)
        };
        let both = carrying
            .iter()
            .filter(|(at, _)| others.iter().any(|(other, _)| other == at));
        let merged = (is_defined || !others.is_empty()).then(|| both.count());
        if let Some(from) = from {
            self.text = if is_defined {
                // The two become one, and the definition of the other counts.
                edit::remove(&self.text, &[Key::Tag(from.slug)])?
            } else {
                let change = TagChange {
                    name: Some(new.to_owned()),
                    slug: Some(naming::slug(new)),
                    ..TagChange::default()
                };
                edit::update_tag(&self.text, &from.slug, &change)?
            };
            self.tell(old, self.done, "");
        }
        let total = carrying.len();
        for (done, (at, spelled)) in carrying.into_iter().enumerate() {
            self.draft.progress.at(done, total, "planning");
            let retag = Retag {
                gone: spelled.into_iter().filter(|tag| tag != new).collect(),
                new: vec![new.to_owned()],
            };
            self.retag(at, &retag);
        }
        Ok(merged)
    }

    fn delete(&mut self, tags: &[String]) -> Result<()> {
        let mut gone: BTreeSet<Key> = BTreeSet::new();
        let mut artifacts: Vec<(usize, Vec<String>)> = Vec::new();
        let tags = spread(tags, self.names());
        for (at, tag) in tags.iter().enumerate() {
            if tags.iter().take(at).any(|other| same(other, tag)) {
                continue;
            }
            let carrying = self.carrying(tag);
            let defined = definition(&self.manifest, tag).map(|one| Key::Tag(one.slug.clone()));
            if carrying.is_empty() && defined.is_none() {
                if tags.len() == 1 {
                    return Err(self.no_tag(tag));
                }
                self.fail(tag, &self.no_tag(tag));
                continue;
            }
            if let Some(key) = defined {
                gone.insert(key);
                self.tell(tag, self.done, "");
            }
            for (at, spelled) in carrying {
                match artifacts.iter_mut().find(|(other, _)| *other == at) {
                    Some((_, all)) => all.extend(spelled),
                    None => artifacts.push((at, spelled)),
                }
            }
        }
        let gone: Vec<Key> = gone.into_iter().collect();
        self.text = edit::remove(&self.text, &gone)?;
        let total = artifacts.len();
        for (done, (at, spelled)) in artifacts.into_iter().enumerate() {
            self.draft.progress.at(done, total, "planning");
            let retag = Retag {
                gone: spelled,
                new: Vec::new(),
            };
            self.retag(at, &retag);
        }
        Ok(())
    }

    /// Checks the name of a tag that may be new.
    fn check_name(&self, tag: &str) -> Result<()> {
        let check = if self.names().any(|one| same(one, tag)) {
            naming::check_name
        } else {
            naming::check_given
        };
        check("tag", tag)
    }

    /// Those that are defined, and those in use as each artifact writes them.
    fn names(&self) -> impl Iterator<Item = &str> {
        let defined = self.manifest.tag_definitions.iter();
        let defined = defined.map(|one| one.name.as_str());
        let used = self.rows.iter().flat_map(|row| &row.tags);
        defined.chain(used.map(String::as_str))
    }

    /// The error that there is no such tag.
    fn no_tag(&self, tag: &str) -> Error {
        no_tag(tag, self.names())
    }

    fn put(&mut self, tags: &[String], selection: &Selection, is_new: bool) -> Result<()> {
        if is_new {
            for tag in tags {
                self.check_name(tag)?;
            }
        }
        let selected = self.app.select(self.collection, selection)?;
        for (name, error) in &selected.failed {
            self.fail(name, error);
        }
        let places = self.rows.iter().enumerate();
        let places: HashMap<i64, usize> = places.map(|(at, row)| (row.row, at)).collect();
        let total = selected.rows.len();
        for (done, row) in selected.rows.iter().enumerate() {
            self.draft.progress.at(done, total, "planning");
            let Some(at) = places.get(&row.row).copied() else {
                continue;
            };
            let own = self
                .rows
                .get(at)
                .map(|row| row.tags.clone())
                .unwrap_or_default();
            let has = |tag: &&String| own.iter().any(|own| same(own, tag));
            let retag = if is_new {
                Retag {
                    gone: Vec::new(),
                    new: tags.iter().filter(|tag| !has(tag)).cloned().collect(),
                }
            } else {
                let is_gone = |own: &&String| tags.iter().any(|tag| same(tag, own));
                Retag {
                    gone: own.iter().filter(is_gone).cloned().collect(),
                    new: Vec::new(),
                }
            };
            self.retag(at, &retag);
        }
        Ok(())
    }
}

fn id_of(row: &Summary) -> ArtifactId {
    ArtifactId::new(
        skillmeat_shared::Kind::from_manifest(&row.kind),
        row.name.as_str(),
    )
}
