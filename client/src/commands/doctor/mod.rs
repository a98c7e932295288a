//! `sm doctor`: what is wrong with the home, the daemon and the system around them, and mending what is
//! safe to mend. Starts no daemon: what only a daemon can tell is left out if none runs.

mod daemon;
mod mending;
mod programs;
mod report;
mod services;

use std::io::ErrorKind;
use std::path::Path;

use skillmeat_proto::v1;
use skillmeat_shared::config::{self, Loaded, Origin};
use skillmeat_shared::doctor::{
    self, CACHE_DAMAGED, CONFIG_INVALID, Collection, Finding, HOME_READ_ONLY, Machine,
    NOT_WRITABLE, RealAccess,
};
use skillmeat_shared::health::{self, Severity};
use skillmeat_shared::paths::{CachePlace, Environment as _, Home, SystemProbe, cache_place};
use skillmeat_shared::{Code, Error, reconcile};

use super::{Context, Failure, Outcome};
use crate::cli::DoctorArgs;
use daemon::Daemon;

/// One thing that was looked at.
struct Check {
    name: &'static str,
    /// What was seen, if all is well.
    detail: String,
    findings: Vec<Finding>,
    /// What the daemon says of it and we did not find.
    told: Vec<v1::Warning>,
}

impl Check {
    fn new(name: &'static str, detail: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self {
            name,
            detail: detail.into(),
            findings,
            told: Vec::new(),
        }
    }

    /// The severities of all that is wrong.
    fn severities(&self) -> impl Iterator<Item = Severity> {
        let own = self.findings.iter().map(|found| found.diagnosis.severity);
        own.chain(self.told.iter().map(|told| severity_of(&told.severity)))
    }

    /// Whether all is well; `None` if that was not looked at.
    fn is_ok(&self, daemon: &Daemon) -> Option<bool> {
        if self.severities().next().is_some() {
            return Some(false);
        }
        let is_open = self.name == DATABASE && !matches!(daemon.checked, Some(Ok(_)));
        (!is_open).then_some(true)
    }
}

/// The check that needs a daemon.
const DATABASE: &str = "database";

/// Everything that was seen.
struct Examined {
    home: Home,
    daemon: Daemon,
    git: Option<doctor::git::Git>,
    checks: Vec<Check>,
}

impl Examined {
    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| &check.findings)
    }

    /// What the daemon says of itself and no check of ours found.
    fn warnings(&self) -> impl Iterator<Item = &v1::Warning> {
        self.checks.iter().flat_map(|check| &check.told)
    }

    /// How many findings and warnings are of a severity.
    fn count(&self, severity: Severity) -> usize {
        let all = self.checks.iter().flat_map(Check::severities);
        all.filter(|found| *found == severity).count()
    }
}

/// The severity of a name on the wire; a new one counts as a warning.
fn severity_of(name: &str) -> Severity {
    match name {
        "error" => Severity::Error,
        "info" => Severity::Info,
        _ => Severity::Warning,
    }
}

pub(super) async fn run(context: &mut Context, args: DoctorArgs) -> Outcome {
    let home = context.home()?;
    may_look(&home)?;
    let mut examined = examine(context, &home).await;
    let mended = if args.fix {
        let mended = mending::mend(&home, &examined).await?;
        if !mended.is_empty() {
            examined = examine(context, &home).await;
        }
        Some(mended)
    } else {
        None
    };
    report::show(context, &examined, mended.as_ref())?;
    if examined.count(Severity::Error) > 0 {
        return Err(Failure::Told(Code::PartialFailure.kind().exit_code()));
    }
    Ok(())
}

/// Fails for a home of which nothing can be told.
fn may_look(home: &Home) -> Result<(), Error> {
    match std::fs::symlink_metadata(home.root()) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Error::io("look at", home.root(), &error)
                .hint("choose another folder with `--home` or `SKILLMEAT_HOME`"))
        }
        _ => Ok(()),
    }
}

async fn examine(context: &Context, home: &Home) -> Examined {
    let env = &context.env;
    let loaded = config::load(home, env);
    let probe = SystemProbe::new(env);
    let cache = cache_place(home, loaded.config.cache_path.as_deref(), &probe);
    let expected = expected(home, &loaded, &cache);
    let configured = loaded.config.collection_path.as_deref();
    let collections = doctor::in_home(home, configured, &expected);

    let (daemon, of_daemon) = daemon::look(home, context).await;
    let git_path = daemon.variable("PATH").or_else(|| env.var("PATH"));
    let (git, of_git) = match doctor::git::ask(&git_path.unwrap_or_default()) {
        Ok(git) => (Some(git), Vec::new()),
        Err(finding) => (None, vec![*finding]),
    };
    let (service, of_service) = services::look(home, env);
    let git_words = git.as_ref().map_or_else(String::new, |git| {
        format!("{} at {}", git.version, git.path.display())
    });
    let mut permissions = doctor::examine_folders(home, &cache.database, &collections, &RealAccess);
    permissions.extend(doctor::secrets(home));
    let of_collections = collections.iter().flat_map(doctor::examine_collection);
    let mut checks = vec![
        Check::new("daemon", daemon.words(), of_daemon),
        Check::new("programs", "one of each", programs::look(env)),
        Check::new("service", service, of_service),
        Check::new(DATABASE, database_words(&daemon), database(&daemon, &cache)),
        Check::new(
            "history",
            history_words(home),
            doctor::examine_history(home),
        ),
        Check::new("git", git_words, of_git),
        Check::new(
            "config",
            "no mistakes",
            loaded.problems.iter().map(of_config).collect(),
        ),
        Check::new("permissions", "yours alone", permissions),
        Check::new(
            "system",
            "disks, limits and clock are fine",
            doctor::examine_system(home, &cache, &collections, &Machine),
        ),
        Check::new(
            "collections",
            format!("{} looked at", collections.len()),
            of_collections.collect(),
        ),
        Check::new("leftovers", "none", leftovers(home, &cache, &collections)),
    ];
    take_over(&mut checks, home, daemon.warnings());
    Examined {
        home: home.clone(),
        daemon,
        git,
        checks,
    }
}

/// Puts what the daemon says of itself among the checks that it is of, unless one of them found it.
fn take_over(checks: &mut [Check], home: &Home, warnings: &[v1::Warning]) {
    let known: Vec<(&str, String)> = checks
        .iter()
        .flat_map(|check| &check.findings)
        .map(|finding| (finding.diagnosis.code, finding.subject.clone()))
        .collect();
    let is_known = |wanted: &str, about: &str| {
        let mut known = known.iter();
        known.any(|(code, subject)| *code == wanted && subject == about)
    };
    let root = home.root().display().to_string();
    for warning in warnings {
        // What a daemon makes of a home that can't be written follows from that.
        let follows = warning.code == HOME_READ_ONLY.code && is_known(NOT_WRITABLE.code, &root);
        if follows || is_known(&warning.code, &warning.subject) {
            continue;
        }
        let room = match warning.code.split('-').next() {
            Some("cache") => DATABASE,
            Some("history" | "snapshot") => "history",
            Some("collection") => "collections",
            Some("config") => "config",
            Some("disk" | "home" | "watch") => "system",
            _ => "daemon",
        };
        if let Some(check) = checks.iter_mut().find(|check| check.name == room) {
            check.told.push(warning.clone());
        }
    }
}

/// The collections of the home that should be there: those that rows know, and the one that the config names, if any was
/// ever made.
fn expected(home: &Home, loaded: &Loaded, cache: &CachePlace) -> Vec<String> {
    let known = reconcile::known(&cache.database).into_iter();
    let mut expected: Vec<String> = known
        .filter(|one| !one.external && one.path == home.collection(&one.name))
        .map(|one| one.name)
        .collect();
    let is_named = loaded
        .setting("settings.default-collection")
        .is_ok_and(|setting| setting.origin != Origin::Default);
    if is_named && home.collections().is_dir() {
        expected.push(loaded.config.default_collection.clone());
    }
    expected
}

fn of_config(problem: &skillmeat_shared::Error) -> Finding {
    let (subject, message, hints) = health::of_config(problem);
    let finding = Finding::new(&CONFIG_INVALID, subject, message).hinted(hints);
    match &problem.path {
        Some(path) => finding.at(path, problem.line),
        None => finding,
    }
}

fn database_words(daemon: &Daemon) -> String {
    match &daemon.checked {
        Some(Ok(_)) => "sound".to_owned(),
        Some(Err(error)) => format!("not checked: {error}"),
        None => "only a daemon that runs can check it".to_owned(),
    }
}

fn history_words(home: &Home) -> String {
    let words = if home.history().exists() {
        "can be used"
    } else {
        "nothing is recorded yet"
    };
    words.to_owned()
}

/// What is wrong with the cache: what SQLite says if a daemon has it open, else what can be told from outside.
fn database(daemon: &Daemon, cache: &CachePlace) -> Vec<Finding> {
    let path = &cache.database;
    let finding = |message: String| vec![Finding::new(&CACHE_DAMAGED, "", message).at(path, None)];
    if let Some(Ok(damage)) = &daemon.checked {
        return damage.first().map_or_else(Vec::new, |first| {
            finding(format!("the cache is damaged: {first}"))
        });
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            finding(format!("`{}` is not a regular file", path.display()))
        }
        Ok(found) if found.len() > 0 && !is_database(path) => {
            finding(format!("`{}` is not a database", path.display()))
        }
        _ => Vec::new(),
    }
}

/// Whether a file begins as a database of SQLite does.
fn is_database(path: &Path) -> bool {
    use std::io::Read as _;
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let mut start = [0; MAGIC.len()];
    // What can't be read is the business of another check.
    std::fs::File::open(path).map_or(true, |mut file| {
        file.read_exact(&mut start).is_ok() && start == *MAGIC
    })
}

fn leftovers(home: &Home, cache: &CachePlace, collections: &[Collection]) -> Vec<Finding> {
    let mut folders = vec![
        home.root().to_path_buf(),
        home.collections(),
        home.run_dir(),
        home.logs_dir(),
    ];
    folders.extend(cache.database.parent().map(Path::to_path_buf));
    for collection in collections {
        folders.push(collection.path.clone());
        let inner = std::fs::read_dir(&collection.path);
        let inner = inner.into_iter().flatten().filter_map(Result::ok);
        let mut inner: Vec<_> = inner
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        inner.sort();
        folders.append(&mut inner);
    }
    folders
        .iter()
        .flat_map(|folder| doctor::in_folder(folder))
        .collect()
}
