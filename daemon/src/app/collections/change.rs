//! Renaming, deleting and importing collections.

use std::path::{Path, PathBuf};

use skillmeat_shared::bundle::archive::{self, Limits};
use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::error::word;
use skillmeat_shared::fs::copy::Links;
use skillmeat_shared::history::Node;
use skillmeat_shared::paths::{Environment as _, ProcessEnvironment};
use skillmeat_shared::source::{RepositoryUrl, is_url, shown};
use skillmeat_shared::{Code, Error, Result, artifact, config, failpoint, fs};

use super::{App, exists, not_found_near};
use crate::app::change::{
    Actor, Asked, Caller, ChangeItem, ChangeSummary, Draft, Place, Source, Telling,
};
use crate::store::collection::{self, CollectionView};
use crate::upstream::git;

/// Largest manifest that is read for a name, bytes.
const MAX_MANIFEST: u64 = 64 << 20;

/// What an archive of a collection may hold.
const LIMITS: Limits = Limits {
    entries: fs::copy::MAX_ENTRIES,
    bytes: fs::copy::MAX_BYTES,
    ratio: archive::RATIO,
    portable: false,
    flat: false,
};

/// What to do if an imported collection has a name that is taken.
const IMPORTED: &str = "choose another name with `--name`";

/// What is to change.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the messages of collection.proto")]
pub enum CollectionAction {
    Create {
        name: String,
    },
    Use {
        name: String,
    },
    Rename {
        name: String,
        new_name: String,
    },
    Delete {
        name: String,
    },
    Import {
        source: String,
        name: String,
        copy: bool,
    },
}

/// A change of collections.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of ChangeCollectionRequest")]
pub struct CollectionRequest {
    pub dry_run: bool,
    pub action: CollectionAction,
}

/// Where an imported collection comes from.
struct Origin {
    folder: PathBuf,
    /// What it is called if its manifest says nothing.
    called: String,
    taken: Taken,
    /// What there is to know of it.
    note: String,
    /// Removes what was fetched or unpacked.
    made: Option<Made>,
}

impl Origin {
    /// An error that names what was fetched or unpacked as what it came from: where it lies is soon gone.
    fn named(&self, source: &str, error: Error) -> Error {
        let made = match &self.made {
            Some(Made::Cloned(_)) => self.folder.as_path(),
            Some(Made::Unpacked(unpacked)) => unpacked.root(),
            None => return error,
        };
        let source = shown(source);
        let inside = |path: &PathBuf| {
            let rest = path.strip_prefix(made).ok()?;
            Some(Path::new(&source).join(rest))
        };
        Error {
            message: error.message.replace(&made.display().to_string(), &source),
            path: error.path.map(|path| inside(&path).unwrap_or(path)),
            ..error
        }
    }
}

/// How a folder becomes a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It stays where it is, and a link leads there.
    InPlace,
    /// What is in it is copied.
    Copied,
    /// It is ours, and moves.
    Moved,
}

/// What was made for an import and goes with it.
enum Made {
    Cloned(#[expect(dead_code, reason = "it goes when it is dropped")] tempfile::TempDir),
    Unpacked(archive::Unpacked),
}

impl App {
    /// Changes collections as a whole. What takes long before anything changes ends as soon as nobody wants it.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`], [`Code::CollectionExists`], and what fetching, unpacking and changing may
    /// fail with.
    pub fn change_collections(
        &self,
        request: &CollectionRequest,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        match &request.action {
            CollectionAction::Create { name } => {
                artifact::name::validate(name)?;
                self.whole(
                    (
                        "collection.create",
                        format!("create the collection `{name}`"),
                    ),
                    ("created", "would-create"),
                    (name, ""),
                    request.dry_run,
                    caller,
                    &|draft| self.plan_creation(name, draft),
                )
            }
            CollectionAction::Use { name } => {
                self.check_there(name)?;
                let what = format!("make `{name}` the default collection");
                let _turn = config::turn(&self.boot.home)?;
                self.whole(
                    ("collection.use", what),
                    ("changed", "would-change"),
                    (name, ""),
                    request.dry_run,
                    caller,
                    &|draft| {
                        if self.collection_or_default("") == *name {
                            return Ok(());
                        }
                        self.plan_default(draft, name)
                    },
                )
            }
            CollectionAction::Rename { name, new_name } => {
                self.rename_collection(name, new_name, request.dry_run, caller)
            }
            CollectionAction::Delete { name } => {
                self.delete_collection(name, request.dry_run, caller)
            }
            CollectionAction::Import { source, name, copy } => {
                let origin = self.origin(source, *copy, caller)?;
                self.import_collection(source, &origin, name, request.dry_run, caller)
                    .map_err(|error| origin.named(source, error))
            }
        }
    }

    /// A collection that lies in the home.
    fn own(&self, name: &str) -> Result<CollectionView> {
        let store = self.store()?;
        let all = store.read(collection::all)?;
        let Some(view) = all.iter().find(|view| view.name == name).cloned() else {
            let names: Vec<(i64, String)> =
                all.into_iter().map(|view| (view.row, view.name)).collect();
            return Err(not_found_near(name, &names));
        };
        if view.external {
            let message = format!("`{name}` lies outside of the home, where the config names it");
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("change `collection.path`, or the name in its manifest"));
        }
        Ok(view)
    }

    fn whole(
        &self,
        (verb, what): (&'static str, String),
        (done, would): (&'static str, &'static str),
        (name, note): (&str, &str),
        dry_run: bool,
        caller: &dyn Caller,
        plan: &dyn Fn(&mut Draft<'_>) -> Result<()>,
    ) -> Result<ChangeSummary> {
        let asked = Asked {
            verb,
            what,
            actor: Actor::CommandLine,
            dry_run,
            undoes: None,
        };
        let changed = self.change(&asked, plan)?;
        let item = ChangeItem {
            id: name.to_owned(),
            result: match changed.steps.as_slice() {
                [] => "unchanged",
                _ if dry_run => would,
                _ => done,
            },
            reason: note.to_owned(),
            path: self.boot.home.collection(name).display().to_string(),
            ..ChangeItem::default()
        };
        let items = [item];
        Ok(ChangeSummary::told(name, &[done], &items, &changed, caller))
    }

    fn rename_collection(
        &self,
        name: &str,
        new_name: &str,
        dry_run: bool,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        artifact::name::validate_given(new_name)?;
        self.own(name)?;
        self.is_free(new_name, "choose another name")?;
        let is_default = self.collection_or_default("") == name;
        let plan = |draft: &mut Draft<'_>| {
            draft.rename_collection(name, new_name)?;
            if is_default {
                self.plan_default(draft, new_name)?;
            }
            Ok(())
        };
        let what = format!("rename the collection `{name}` to `{new_name}`");
        let words = ("renamed", "would-rename");
        self.whole(
            ("collection.rename", what),
            words,
            (new_name, &format!("was `{name}`")),
            dry_run,
            caller,
            &plan,
        )
    }

    fn delete_collection(
        &self,
        name: &str,
        dry_run: bool,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        self.own(name)?;
        let others = self.collections()?.len() > 1;
        if others && self.collection_or_default("") == name {
            let message = format!("`{name}` is the default collection");
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("make another one the default first: `sm collection use NAME`"));
        }
        let plan = |draft: &mut Draft<'_>| {
            draft.remove(&Place::collection_as_whole(name))?;
            draft.forget_rated(name)
        };
        let what = format!("delete the collection `{name}`");
        let words = ("deleted", "would-delete");
        self.whole(
            ("collection.delete", what),
            words,
            (name, ""),
            dry_run,
            caller,
            &plan,
        )
    }

    fn is_free(&self, name: &str, otherwise: &str) -> Result<()> {
        let is_there = self.boot.home.collection(name).symlink_metadata().is_ok()
            || self
                .store()?
                .read(collection::all)?
                .iter()
                .any(|view| view.name == name);
        if !is_there {
            return Ok(());
        }
        Err(exists(name, otherwise))
    }

    /// Finds out what is to be imported: a folder, an archive, or a repository, which is fetched.
    fn origin(&self, source: &str, copy: bool, caller: &dyn Caller) -> Result<Origin> {
        let room = self.boot.home.unpacked();
        if is_url(source) {
            let url = RepositoryUrl::parse(source)?;
            caller.tell(Telling::Progress(0, 0, "fetching"));
            fs::make_folders(&room)?;
            fs::sweep(&room);
            let cloned = tempfile::Builder::new()
                .prefix(fs::TEMP_PREFIX)
                .tempdir_in(&room)
                .map_err(|error| Error::io("create a folder in", &room, &error))?;
            let folder = cloned.path().join("repository");
            let is_wanted = || !caller.is_gone() && !self.ingest.is_stopping();
            let environment = |name: &str| ProcessEnvironment.var(name);
            let submodules = git::clone(&url, &folder, &environment, &is_wanted)?;
            failpoint::step("import.fetched")?;
            return Ok(Origin {
                folder,
                called: repository_name(url.plain()),
                taken: Taken::Moved,
                note: without(&submodules),
                made: Some(Made::Cloned(cloned)),
            });
        }
        let path = PathBuf::from(source);
        if path.is_file()
            && let Some(stem) = archive::stem(&path)
        {
            caller.tell(Telling::Progress(0, 0, "unpacking"));
            let unpacked = archive::unpack(&path, &room, stem, &LIMITS)?;
            let folder = single_folder(unpacked.root());
            return Ok(Origin {
                called: name_of(&folder),
                folder,
                taken: Taken::Copied,
                note: String::new(),
                made: Some(Made::Unpacked(unpacked)),
            });
        }
        let folder =
            std::fs::canonicalize(&path).map_err(|error| Error::io("open", &path, &error))?;
        if !folder.is_dir() {
            let message = format!("`{source}` is neither a folder nor an archive");
            return Err(Error::new(Code::InvalidArgument, message).hint(
                "name a folder with a `collection.toml`, a `.tar.gz` or `.zip`, or a git URL",
            ));
        }
        Ok(Origin {
            called: name_of(&folder),
            folder,
            taken: if copy { Taken::Copied } else { Taken::InPlace },
            note: String::new(),
            made: None,
        })
    }

    /// Fails if what is to be served in its place is a collection already: each change of it would be one of two.
    fn is_new(&self, origin: &Origin, name: &str) -> Result<()> {
        let is_in_place = origin.taken == Taken::InPlace;
        let Some(served) = is_in_place
            .then(|| self.served_at(&origin.folder))
            .flatten()
        else {
            return Ok(());
        };
        let message = format!(
            "`{}` is served already, as `{served}`",
            origin.folder.display()
        );
        let error = Error::new(Code::CollectionExists, message);
        Err(if name.is_empty() || name == served {
            error.hint(a_copy(&origin.folder, ""))
        } else {
            let (old, new) = (word(&served), word(name));
            let rename = format!("`sm collection rename {old} {new}` gives it that name");
            error.hint(rename).hint(a_copy(&origin.folder, name))
        })
    }

    fn import_collection(
        &self,
        source: &str,
        origin: &Origin,
        name: &str,
        dry_run: bool,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        let folder = origin.folder.as_path();
        self.is_new(origin, name)?;
        let said = said_name(folder, &shown(source))?;
        let said = said.unwrap_or_else(|| origin.called.clone());
        let home = std::fs::canonicalize(self.boot.home.root()).ok();
        if origin.taken == Taken::InPlace
            && home.is_some_and(|home| folder.starts_with(&home) || home.starts_with(folder))
        {
            let message = format!("`{}` lies in the home, or the home in it", folder.display());
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("a collection in the home is found by itself")
                .hint(a_copy(folder, name)));
        }
        let wanted = Some(name.to_owned()).filter(|name| !name.is_empty());
        let wanted = wanted.unwrap_or(said);
        artifact::name::validate_given(&wanted)?;
        self.is_free(&wanted, IMPORTED)?;
        let plan = |draft: &mut Draft<'_>| {
            let place = Place::collection_as_whole(&wanted);
            self.is_new(origin, name)?;
            // Nothing of a folder that moved can move again.
            if draft.exists(&place)? {
                return Err(exists(&wanted, IMPORTED));
            }
            let from = match origin.taken {
                Taken::InPlace => Source::Past(Node::Link {
                    target: folder.as_os_str().to_owned(),
                }),
                Taken::Copied => Source::Disk(folder.to_owned(), Links::Kept),
                Taken::Moved => Source::Ours(folder.to_owned()),
            };
            draft.put(&place, from)
        };
        let what = format!("import `{}` as the collection `{wanted}`", shown(source));
        let words = ("imported", "would-import");
        self.whole(
            ("collection.import", what),
            words,
            (&wanted, &origin.note),
            dry_run,
            caller,
            &plan,
        )
    }
}

/// The command for a copy of a folder that can't be served in its place.
fn a_copy(folder: &Path, name: &str) -> String {
    let folder = folder.to_string_lossy();
    let (folder, name) = (
        word(&folder),
        word(if name.is_empty() { "NEW" } else { name }),
    );
    format!("`sm collection import {folder} --copy --name {name}` imports a copy")
}

/// What to know of a repository with submodules.
fn without(submodules: &[String]) -> String {
    match submodules {
        [] => String::new(),
        [one] => format!("without its submodule `{one}`"),
        [first, rest @ ..] => format!("without its submodule `{first}` and {} more", rest.len()),
    }
}

/// The folder that an archive holds, if it holds nothing else; else what it was unpacked to.
fn single_folder(root: &Path) -> PathBuf {
    let entries: Vec<PathBuf> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    match entries.as_slice() {
        [only] if only.is_dir() && !root.join(MANIFEST).exists() => only.clone(),
        _ => root.to_owned(),
    }
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The last part of a URL.
fn repository_name(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let last = url.rsplit(['/', ':']).next().unwrap_or_default();
    last.trim_end_matches(".git").to_owned()
}

/// The name that the manifest in a folder gives it. `source` is what the person named.
fn said_name(folder: &Path, source: &str) -> Result<Option<String>> {
    let path = folder.join(MANIFEST);
    let bytes = fs::read_bounded(&path, MAX_MANIFEST).map_err(|error| {
        if error.code != Code::FileNotFound {
            return error;
        }
        let message = format!("`{source}` is no collection: it has no `{MANIFEST}`");
        Error::new(Code::FileNotFound, message)
            .hint("`sm add --all FOLDER` takes in the artifacts of any folder")
    })?;
    let invalid = |message: String, line: Option<u32>| {
        Error::new(
            Code::ManifestInvalid,
            format!("the manifest of `{source}` can't be read: {message}"),
        )
        .at(&path, line)
    };
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned(), None))?;
    let manifest =
        Manifest::parse(&text).map_err(|error| invalid(error.message, Some(error.line)))?;
    let said = manifest.header.name;
    Ok(said.filter(|name| artifact::name::validate_given(name).is_ok()))
}
