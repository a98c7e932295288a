//! Use-cases of collections: list, show, create, use, init.

pub(super) mod change;
mod export;

use std::path::PathBuf;

use skillmeat_shared::artifact::Problem;
use skillmeat_shared::collection::manifest::TagDefinition;
use skillmeat_shared::collection::{LOCK, MANIFEST, edit, lockfile};
use skillmeat_shared::error::word;
use skillmeat_shared::fs::create_new;
use skillmeat_shared::reconcile::{CollectionState, Scope};
use skillmeat_shared::{Code, Error, Kind, Result, artifact, config};

use super::{App, Freshness};
use crate::app::change::{Actor, Asked, Draft, Place, Source};
use crate::app::ingest::OWN_WRITE;
use crate::app::selection::unknown;
use crate::store::collection::{self, CollectionView, GroupView};

/// The key that names the default collection.
pub(super) const DEFAULT_COLLECTION: &str = "settings.default-collection";

/// Mode of the files that we write into collections.
const MODE: u32 = 0o600;

/// A collection with what lists tell of it besides its row.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its row.
    pub view: CollectionView,
    /// Whether commands mean it when they name none.
    pub is_default: bool,
    /// Its freshness.
    pub freshness: Freshness,
}

impl Described {
    /// Tells of what keeps it from being compared with its files, also if its row could not be told.
    fn tell_failure(&mut self) {
        let unreadable = CollectionState::Unreadable;
        let mut outdated = self.freshness.outdated.iter();
        if self.view.state != unreadable
            && let Some(one) = outdated.find(|one| one.state == unreadable.as_str())
        {
            self.view.state = unreadable;
            let problem = Problem::new("collection.unreadable", one.reason.clone());
            self.view.problems.insert(0, problem);
        }
    }
}

/// Everything about one collection.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The collection.
    pub described: Described,
    /// Its groups.
    pub groups: Vec<GroupView>,
    /// Its tag definitions.
    pub tag_definitions: Vec<TagDefinition>,
    /// Tags in use, most used first.
    pub tags: Vec<(String, u64)>,
}

/// What `init` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// The home.
    pub home: PathBuf,
    /// The collection's name.
    pub collection: String,
    /// The config file.
    pub config: PathBuf,
    /// The collection was made.
    pub created_collection: bool,
    /// The config file was made.
    pub created_config: bool,
    /// Artifacts in the collection.
    pub artifacts: u64,
}

pub(super) fn not_found(name: &str) -> Error {
    Error::new(
        Code::CollectionNotFound,
        format!("there is no collection `{name}`"),
    )
    .hint("`sm collection list` shows those that there are")
}

/// The same, naming the nearest of the collections that there are.
pub(super) fn not_found_near(name: &str, names: &[(i64, String)]) -> Error {
    let error = Error::new(
        Code::CollectionNotFound,
        format!("there is no collection `{name}`"),
    );
    if names.is_empty() {
        return error.hint(format!("`sm init --name {}` makes it", word(name)));
    }
    let others = names.iter().map(|(_, other)| other.as_str());
    unknown(
        error,
        name,
        others,
        "`sm collection list` shows those that there are",
    )
}

pub(super) fn exists(name: &str, otherwise: &str) -> Error {
    let message = format!("the collection `{name}` exists already");
    Error::new(Code::CollectionExists, message).hint(otherwise)
}

impl App {
    /// All collections.
    pub fn collections(&self) -> Result<Vec<Described>> {
        let store = self.store()?;
        let default = self.collection_or_default("");
        let building = self.building();
        let described = store.read(|connection| {
            let mut described = Vec::new();
            for view in collection::all(connection)? {
                let freshness =
                    self.freshness_of(connection, &[(view.row, view.name.clone())], &building)?;
                let mut one = Described {
                    is_default: view.name == default,
                    view,
                    freshness,
                };
                one.tell_failure();
                described.push(one);
            }
            Ok(described)
        })?;
        let is_complete = described.iter().all(|one| one.freshness.complete);
        self.counters.read(is_complete);
        Ok(described)
    }

    /// Everything about one collection; the default one if the name is empty.
    pub fn collection(&self, name: &str) -> Result<Whole> {
        let wanted = self.collection_or_default(name);
        let store = self.store()?;
        let names = store.read(collection::names)?;
        let described = self
            .collections()?
            .into_iter()
            .find(|described| described.view.name == wanted)
            .ok_or_else(|| not_found_near(&wanted, &names))?;
        let row = described.view.row;
        store.read(|connection| {
            Ok(Whole {
                groups: collection::groups(connection, row)?,
                tag_definitions: collection::tag_definitions(connection, row)?,
                tags: collection::tags(connection, Some(row))?,
                described,
            })
        })
    }

    /// Makes an empty collection.
    pub fn create_collection(&self, name: &str) -> Result<Described> {
        artifact::name::validate(name)?;
        let asked = Asked {
            verb: "collection.create",
            what: format!("create the collection `{name}`"),
            actor: Actor::CommandLine,
            dry_run: false,
            undoes: None,
        };
        self.change(&asked, &|draft| self.plan_creation(name, draft))?;
        self.collections()?
            .into_iter()
            .find(|described| described.view.name == name)
            .ok_or_else(|| not_found(name))
    }

    fn plan_creation(&self, name: &str, draft: &mut Draft<'_>) -> Result<()> {
        let is_external = |view: &CollectionView| view.external && view.name == name;
        let at = |path: &str| Place::home(format!("collections/{name}{path}"));
        let manifest = at(&format!("/{MANIFEST}"));
        if draft.exists(&manifest)? || self.store()?.read(collection::all)?.iter().any(is_external)
        {
            let otherwise = format!(
                "`sm collection use {}` makes it the default one",
                word(name)
            );
            return Err(exists(name, &otherwise));
        }
        artifact::name::validate_given(name)?;
        let text = if draft.exists(&at(""))? {
            draft.new_manifest(name, &manifest)?
        } else {
            draft.put(&at(""), Source::Folder)?;
            // Those of another one, whose folder somebody else took away.
            draft.forget_rated(name)?;
            edit::render_new(name, self.now())
        };
        for kind in [Kind::Skill, Kind::Command, Kind::Agent] {
            let Some(container) = kind.container() else {
                continue;
            };
            let container = at(&format!("/{container}"));
            if !draft.exists(&container)? {
                draft.put(&container, Source::Folder)?;
            }
        }
        let lock = at(&format!("/{LOCK}"));
        if !draft.exists(&lock)? {
            draft.write(&lock, lockfile::render_new().into())?;
        }
        draft.write(&manifest, text.into_bytes())
    }

    /// Waits until a collection that was just made has its rows.
    fn settle(&self, name: &str) -> Result<()> {
        self.ingest.run(name, Scope::WHOLE, OWN_WRITE).map(|_| ())
    }

    /// Makes a collection the default one; returns the name of the one before.
    pub fn use_collection(&self, name: &str) -> Result<String> {
        self.check_there(name)?;
        let before = self.collection_or_default("");
        if before != name {
            let asked = Asked {
                verb: "collection.use",
                what: format!("make `{name}` the default collection"),
                actor: Actor::CommandLine,
                dry_run: false,
                undoes: None,
            };
            let _turn = config::turn(&self.boot.home)?;
            self.change(&asked, &|draft| self.plan_default(draft, name))?;
        }
        Ok(before)
    }

    /// Fails if there is no collection of this name.
    fn check_there(&self, name: &str) -> Result<()> {
        let names = self.store()?.read(collection::names)?;
        if names.iter().any(|(_, other)| other == name) {
            return Ok(());
        }
        Err(not_found_near(name, &names))
    }

    /// Drafts that the config names this collection as the default one.
    fn plan_default(&self, draft: &mut Draft<'_>, name: &str) -> Result<()> {
        let place = Place::config();
        let text = draft.text(&place)?.unwrap_or_default();
        let path = self.boot.home.config();
        let text = config::with(&path, &text, DEFAULT_COLLECTION, name)?;
        draft.write(&place, text.into_bytes())
    }

    /// Sets up what is missing of a home: config and collection. What is there stays as it is.
    pub fn initialise(&self, name: &str) -> Result<Initialised> {
        // The one that commands mean which name none.
        let name = self.collection_or_default(name);
        let name = name.as_str();
        artifact::name::validate(name)?;
        let config = self.boot.home.config();
        let created_config = config.symlink_metadata().is_err();
        if created_config {
            create_new(&config, config::default_text().as_bytes(), MODE)?;
            if name != "default" {
                config::set(&self.boot.home, DEFAULT_COLLECTION, name)?;
            }
            self.reload_config();
            self.look_at_own_config()?;
        }
        let created_collection = match self.create_collection(name) {
            Ok(_) => true,
            Err(error) if error.code == Code::CollectionExists => {
                self.ingest.look_at_home();
                self.settle(name)?;
                false
            }
            Err(error) => return Err(error),
        };
        let artifacts = self
            .collections()?
            .iter()
            .find(|described| described.view.name == name)
            .map_or(0, |described| described.view.artifacts());
        Ok(Initialised {
            home: self.boot.home.root().to_owned(),
            collection: name.to_owned(),
            config,
            created_collection,
            created_config,
            artifacts,
        })
    }
}
