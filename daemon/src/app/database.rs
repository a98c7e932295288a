//! The cache's database as a whole: what it is, its schema, checks, copies. Works as far as it can while the
//! daemon can't open it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use skillmeat_shared::{Code, Error, Result};

use super::App;
use super::ingest::{Change, taken_down};
use crate::store::migrate::{self, Applied, SCHEMA_VERSION, TITLES};
use crate::store::{ANEW, Store, backup, evict, files, meta, sql_error};

/// What the database is.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of DbCurrentResponse; see db.proto")]
pub struct Current {
    pub path: PathBuf,
    pub state: &'static str,
    pub schema: Option<u32>,
    pub size_bytes: u64,
    pub free_bytes: u64,
    pub log_bytes: u64,
    pub instance: String,
    pub error: Option<Error>,
    pub replaced: Option<(i64, String)>,
    pub copies: Vec<PathBuf>,
}

/// One version of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of DbMigration; see db.proto")]
pub struct Migration {
    pub version: u32,
    pub title: &'static str,
    pub is_applied: bool,
    pub applied: Option<Applied>,
}

/// How the schema was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of DbMigrateResponse; see db.proto")]
pub struct Migrated {
    pub before: Option<u32>,
    pub after: u32,
    pub how: &'static str,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Nothing: it is sound.
    pub findings: Vec<String>,
    /// How long the check took.
    pub took: Duration,
    /// Whether it is put aside and built anew.
    pub rebuilding: bool,
}

fn refuse(message: String, hint: &str) -> Error {
    Error::new(Code::InvalidArgument, message).hint(hint)
}

/// The path without links in its folder.
fn in_real_folder(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

impl App {
    fn database(&self) -> PathBuf {
        self.gate
            .open()
            .map_or_else(|| self.cache_place().database, |store| store.path().into())
    }

    /// Why nobody may look into the open cache's file: who opens one that was emptied deletes the log, and with it
    /// what may be all rows. It is built anew.
    fn loss(&self) -> Option<Error> {
        let store = self.gate.open().filter(|store| store.is_gone())?;
        self.notice_loss(&store);
        let why = "the cache's file was deleted, replaced or cut short";
        let error = Error::new(Code::CacheDamaged, why).hint(ANEW);
        Some(error.at(store.path(), None))
    }

    /// A connection to look into the database.
    fn open_to_look(&self) -> Result<Connection> {
        match self.loss() {
            None => backup::open_to_look(&self.database()),
            Some(error) => Err(error),
        }
    }

    /// What the database is, and whether it is in use.
    pub fn db_current(&self) -> Current {
        let path = self.database();
        let loss = self.loss();
        let is_lost = loss.is_some();
        let error = self.gate.failure().or_else(|| loss.clone());
        let mut current = Current {
            state: match &error {
                _ if !path.exists() => "missing",
                Some(_) => "failed",
                None => "opening",
            },
            size_bytes: files::size_of(&path),
            log_bytes: files::log_bytes(&path),
            copies: migrate::copies(&path),
            error,
            ..Current::default()
        };
        let looked = loss.map_or_else(|| backup::open_to_look(&path), Err);
        let looked = looked.and_then(|connection| {
            let facts = || -> rusqlite::Result<()> {
                current.schema = Some(migrate::version(&connection)?);
                current.free_bytes = evict::free_bytes(&connection)?;
                current.instance = meta::instance(&connection)?;
                current.replaced = meta::replaced(&connection)?;
                Ok(())
            };
            let mut facts = facts;
            facts().map_err(|error| sql_error(&error))
        });
        let code = current.error.as_ref().map(|error| error.code);
        if self.gate.open().is_some() && !is_lost {
            current.state = "open";
        } else if current.schema.is_some_and(|schema| schema > SCHEMA_VERSION) {
            current.state = "newer";
        } else if code == Some(Code::CacheClosed) {
            current.state = "closed";
        } else if looked.is_err_and(|error| error.code == Code::CacheDamaged) {
            current.state = "damaged";
        }
        current.path = path;
        current
    }

    /// The versions of the schema, from the first.
    pub fn db_history(&self) -> Result<Vec<Migration>> {
        let connection = self.open_to_look()?;
        let history = || -> rusqlite::Result<Vec<Migration>> {
            let schema = migrate::version(&connection)?;
            (1..=schema.max(SCHEMA_VERSION))
                .map(|version| {
                    let title = TITLES.get(version as usize - 1).copied();
                    Ok(Migration {
                        version,
                        title: title.unwrap_or_default(),
                        is_applied: version <= schema,
                        applied: migrate::applied(&connection, version)?,
                    })
                })
                .collect()
        };
        history().map_err(|error| sql_error(&error))
    }

    /// Brings the schema up or down; `None` means the newest that this program knows. A database of a newer
    /// program can't be changed: the copy that was made before it takes its place, or an empty one.
    pub fn db_migrate(&self, target: Option<u32>, down: bool) -> Result<Migrated> {
        // First: who opens it holds the lock, too.
        self.until_open_or_failed()?;
        let one_at_a_time = self.mutation.lock();
        let target = target.unwrap_or(SCHEMA_VERSION);
        if target == 0 || target > SCHEMA_VERSION {
            return Err(refuse(
                format!("this skillmeatd knows the schemas 1 to {SCHEMA_VERSION}, not {target}"),
                "`sm db history` lists them",
            ));
        }
        if let Some(loss) = self.loss() {
            return Err(loss);
        }
        let path = self.database();
        let before = self.db_current().schema;
        let wrong_way = match before {
            Some(before) if down => before < target,
            Some(before) => before > target,
            None => false,
        };
        if let Some(before) = before.filter(|_| wrong_way) {
            let (way, other) = if down {
                ("down", "upgrade")
            } else {
                ("up", "downgrade")
            };
            let why =
                format!("the cache has schema {before}, from which no way leads {way} to {target}");
            return Err(refuse(why, &format!("`sm db {other} {target}`")));
        }
        let mut done = Migrated {
            before,
            after: target,
            how: "in-place",
        };
        let is_open = self.gate.open().is_some();
        if is_open && before == Some(target) {
            done.how = "none";
        } else if is_open {
            self.ingest.change(Change::Down(target))?;
        } else {
            done.how = prepare(&path, before, target)?;
            drop(one_at_a_time);
            if target == SCHEMA_VERSION {
                self.open_again()?;
            } else {
                self.cannot_open(taken_down(target));
            }
        }
        Ok(done)
    }

    /// Looks for damage. A database that is open and damaged is built anew.
    pub fn db_check(&self, thorough: bool) -> Result<Checked> {
        let started = Instant::now();
        let open = self.gate.open().map(|store| (store.instance(), store));
        let mut findings = Vec::new();
        if let Some(loss) = self.loss() {
            findings.push(loss.message);
        } else {
            let connection = backup::open_to_look(&self.database())?;
            let checked = backup::check(&connection, thorough);
            findings.extend(checked.unwrap_or_else(|error| vec![error.to_string()]));
            if let Some((instance, store)) = &open {
                // What this one finds it has noted itself.
                let altered = store.compare_pages()?;
                // Of the one that was looked into: another may have taken its place since.
                let is_same = store.instance() == *instance;
                if let Some(first) = findings.first().filter(|_| altered.is_none() && is_same) {
                    store.note_damage(first);
                }
                findings.extend(altered);
            }
        }
        Ok(Checked {
            rebuilding: open.is_some() && !findings.is_empty(),
            findings,
            took: started.elapsed(),
        })
    }

    /// Gives free pages back to the disk; bytes before and after.
    pub fn db_vacuum(&self) -> Result<(u64, u64)> {
        let store = self.store()?;
        let before = store.size_bytes();
        store.compact()?;
        Ok((before, store.size_bytes()))
    }

    /// Writes a copy of the database to a place that is not ours; its size and schema.
    pub fn db_backup(&self, target: &Path, force: bool) -> Result<(u64, u32)> {
        let path = self.database();
        if !target.is_absolute() {
            return Err(refuse(
                format!("`{}` is not absolute", target.display()),
                "name the whole path",
            ));
        }
        if let Some(folder) = target.parent().filter(|folder| !folder.is_dir()) {
            let why = format!("there is no folder `{}`", folder.display());
            return Err(Error::new(Code::FileNotFound, why).at(folder, None));
        }
        let real = in_real_folder(target);
        if let Some(owner) = self.owner_of(&real) {
            let why = format!("`{}` lies in {owner}", target.display());
            return Err(refuse(why, "name a file in another folder").at(target, None));
        }
        let is_part = files::is_part(&in_real_folder(&path), &real);
        match std::fs::symlink_metadata(target) {
            Err(_) if !is_part => {}
            Ok(found) if found.is_file() && !is_part && force => {}
            Ok(found) if found.is_file() && !is_part => {
                let why = format!("`{}` exists already", target.display());
                return Err(Error::new(Code::FileExists, why)
                    .hint("name another file, or replace it with `--force`")
                    .at(target, None));
            }
            _ => {
                return Err(refuse(
                    format!("`{}` can't be replaced", target.display()),
                    "name another file",
                )
                .at(target, None));
            }
        }
        let connection = self.open_to_look()?;
        let schema = migrate::version(&connection).map_err(|error| sql_error(&error))?;
        backup::copy(&connection, target).map_err(|error| match error.code {
            Code::FilePermission => error.hint("name a file in a folder that can be written"),
            _ => error,
        })?;
        Ok((files::size_of(target), schema))
    }

    /// Takes a copy over and compares its rows with the files; the schema that the copy had.
    pub fn db_restore(&self, file: &Path) -> Result<u32> {
        // First: who opens it holds the lock, too.
        self.until_open_or_failed()?;
        let one_at_a_time = self.mutation.lock();
        let path = self.database();
        if files::identity(file).is_some_and(|found| files::identity(&path) == Some(found)) {
            return Err(refuse(
                format!("`{}` is the cache itself", file.display()),
                "name a file that `sm db backup` wrote",
            ));
        }
        let schema = backup::check_file(file)?;
        if self.gate.open().is_some() {
            // The present one serves meanwhile, and goes on if the disk has no room for another.
            let fresh = backup::prepare(file, &path)?;
            self.ingest.change(Change::Restore(fresh))?;
        } else {
            backup::take_over(file, &path)?;
            drop(one_at_a_time);
            self.open_again()?;
        }
        let store = self.store()?;
        let names: Vec<String> = self
            .targets(&store)?
            .into_iter()
            .map(|target| target.name)
            .collect();
        self.refresh(&names, false, "rebuild")?;
        Ok(schema)
    }

    /// Waits while the daemon is starting; that it can't open the cache is no obstacle here.
    pub(super) fn until_open_or_failed(&self) -> Result<()> {
        match self.store() {
            Err(error) if error.code == Code::DaemonStarting => Err(error),
            _ => Ok(()),
        }
    }

    /// Has the cache opened that could not be, or was not to be.
    pub(super) fn open_again(&self) -> Result<std::sync::Arc<Store>> {
        self.gate.restart();
        self.ingest.retry();
        self.store()
    }
}

/// Brings the file of a database that is not open to a version; tells how.
fn prepare(path: &Path, before: Option<u32>, target: u32) -> Result<&'static str> {
    match before {
        Some(before) if before == target => Ok("none"),
        Some(before) if before <= SCHEMA_VERSION => {
            migrate::move_file(path, target).map(|()| "in-place")
        }
        _ => {
            let copy = backup::usable_copy(path, target);
            if let Some((copy, version)) = copy {
                backup::take_over(&copy, path)?;
                if version < target {
                    migrate::move_file(path, target)?;
                }
                return Ok("copy");
            }
            // What a newer program wrote may be wanted by it again.
            files::put_aside(path)?;
            Ok("anew")
        }
    }
}
