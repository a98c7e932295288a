//! Repairs of what older programs left in collections: each is planned like any change, and is one operation.

mod entries;
mod files;

use skillmeat_shared::collection::LOCK;
use skillmeat_shared::collection::lockfile::Lockfile;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::App;
use super::change::{Actor, Asked, Caller, ChangeItem, ChangeSummary, Draft};

/// A repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repair {
    /// Tools from frontmatter into entries.
    Tools,
    /// URLs to the names of platforms.
    OriginSource,
    /// Paths that are absolute or oddly written.
    Layout,
    /// Files that lie in another collection.
    Misplaced,
    /// Artifacts without an entry, and locks without an artifact.
    Orphans,
    /// Entries without files.
    Missing,
}

impl Repair {
    /// Whether it takes locks along.
    const fn needs_lock(self) -> bool {
        matches!(self, Self::Misplaced | Self::Orphans | Self::Missing)
    }
}

/// All of them, in an order in which none has to be done twice.
const ALL: [(Repair, &str, &str); 6] = [
    (
        Repair::OriginSource,
        "origin-source",
        "repair.origin-source",
    ),
    (Repair::Layout, "layout", "repair.layout"),
    (Repair::Misplaced, "misplaced", "repair.misplaced"),
    (Repair::Orphans, "orphans", "repair.orphans"),
    (Repair::Missing, "missing", "repair.missing"),
    (Repair::Tools, "tools", "repair.tools"),
];

/// What mends an artifact whose files lie in another collection than its entry.
const MISPLACED: &str = "`sm repair misplaced`";

/// The copy of a manifest as it was before a repair.
const BACKUP: &str = "collection.toml.bak";

/// The results that a summary always counts.
const RESULTS: [&str; 4] = ["fixed", "unchanged", "skipped", "failed"];

/// What is to be repaired.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields of RepairRequest; see maintenance.proto"
)]
pub struct RepairRequest {
    pub repair: String,
    pub collection: String,
    pub execute: bool,
}

/// One collection while it is repaired.
struct Site<'s, 'a> {
    app: &'s App,
    draft: &'s mut Draft<'a>,
    name: &'s str,
    /// All collections.
    all: &'s [String],
    text: String,
    manifest: Manifest,
    items: &'s mut Vec<ChangeItem>,
    done: &'static str,
}

impl App {
    /// Repairs collections, or says what would be repaired.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a repair that nobody knows; [`Code::CollectionNotFound`]; what a change may
    /// fail with. What can't be repaired fails alone.
    pub fn repair(&self, request: &RepairRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        let wanted: Vec<_> = ALL
            .into_iter()
            .filter(|(_, name, _)| request.repair == "all" || request.repair == *name)
            .collect();
        if wanted.is_empty() {
            let shown: String = request.repair.escape_debug().take(80).collect();
            let message = format!("there is no repair `{shown}`");
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("tools, origin-source, layout, misplaced, orphans, missing, or all"));
        }
        let all: Vec<String> = self
            .collections()?
            .into_iter()
            .map(|described| described.view.name)
            .collect();
        let sites = if request.collection.is_empty() {
            all.clone()
        } else {
            vec![self.known_collection(&request.collection)?]
        };
        let mut summary = ChangeSummary {
            collection: request.collection.clone(),
            dry_run: !request.execute,
            counts: RESULTS.map(|result| (result, 0)).to_vec(),
            ..ChangeSummary::default()
        };
        // Each repair is one operation. What is only planned is planned as one, so that each meets what those before it
        // would leave.
        let together = if request.execute { 1 } else { wanted.len() };
        for repairs in wanted.chunks(together) {
            let [(_, name, verb), ..] = repairs else {
                continue;
            };
            let asked = Asked {
                verb,
                what: format!("repair {name} of {}", quoted(&sites)),
                actor: Actor::CommandLine,
                dry_run: !request.execute,
                undoes: None,
            };
            let changed = self.change_told(&asked, caller, &|draft| {
                let mut items = Vec::new();
                for (repair, _, _) in repairs {
                    for site in &sites {
                        self.repair_site(*repair, site, &all, request.execute, &mut items, draft)?;
                    }
                }
                Ok(items)
            })?;
            let one = ChangeSummary::told("", &RESULTS, &changed.report, &changed, caller);
            for (result, count) in one.counts {
                match summary
                    .counts
                    .iter_mut()
                    .find(|(other, _)| *other == result)
                {
                    Some((_, sum)) => *sum += count,
                    None => summary.counts.push((result, count)),
                }
            }
            summary.seq = one.seq;
            summary.operation = one.operation.or(summary.operation);
            let is_left =
                |item: &ChangeItem| item.result == "skipped" && item.reason.contains(MISPLACED);
            if changed.report.iter().any(is_left) {
                summary.notes.push(format!(
                    "what lies in another collection than its entry is left to {MISPLACED}"
                ));
            }
            for step in one
                .steps
                .iter()
                .filter(|step| step.path.starts_with(BACKUP))
            {
                let (name, path) = (&step.collection, &step.path);
                let be = if request.execute { "is" } else { "would be" };
                let told = format!("the manifest of `{name}` as it was {be} kept as `{path}`");
                summary.notes.push(told);
            }
            if let Some(id) = &summary.operation
                && changed.operation.is_some()
            {
                summary.notes.push(format!(
                    "what `repair {name}` changed is in the history: `sm undo {id}` brings it back"
                ));
            }
            summary.steps.extend(one.steps);
            summary.notes.extend(one.notes);
        }
        Ok(summary)
    }

    fn repair_site(
        &self,
        repair: Repair,
        name: &str,
        all: &[String],
        execute: bool,
        items: &mut Vec<ChangeItem>,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        let read = draft.root(name).and_then(|_| {
            if repair.needs_lock() {
                sound_lock(draft, name)?;
            }
            draft.parsed(name)
        });
        let (text, manifest) = match read {
            Ok(read) => read,
            // A collection that can't be read does not keep the others from being repaired.
            Err(error) if error.code != Code::FileChanged => {
                items.push(failed(name, &error));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut site = Site {
            app: self,
            draft,
            name,
            all,
            text,
            manifest,
            items,
            done: if execute { "fixed" } else { "would-fix" },
        };
        match repair {
            Repair::Tools => site.tools()?,
            Repair::OriginSource => site.origin_source()?,
            Repair::Layout => site.layout()?,
            Repair::Misplaced => site.misplaced()?,
            Repair::Orphans => site.orphans()?,
            Repair::Missing => site.missing()?,
        }
        let text = site.text;
        self.put_manifest(name, &text, draft)
    }
}

impl Site<'_, '_> {
    fn tell(&mut self, id: &ArtifactId, result: &'static str, reason: &str) {
        self.items.push(ChangeItem {
            id: id.to_string(),
            source: self.name.to_owned(),
            result,
            reason: reason.to_owned(),
            ..ChangeItem::default()
        });
    }

    fn fixed(&mut self, id: &ArtifactId, what: &str) {
        self.tell(id, self.done, what);
    }

    fn fail(&mut self, id: &ArtifactId, error: &Error) {
        let item = failed(&id.to_string(), error);
        self.items.push(ChangeItem {
            source: self.name.to_owned(),
            ..item
        });
    }
}

/// What the lock file of a collection says, as drafted so far.
fn sound_lock(draft: &mut Draft<'_>, name: &str) -> Result<Lockfile> {
    let text = draft.lock(name)?;
    let root = draft.root(name)?;
    Lockfile::parse(&text).map_err(|error| {
        let message = format!("the lock file of `{name}` can't be read: {}", error.message);
        Error::new(Code::ManifestInvalid, message).at(root.join(LOCK), Some(error.line))
    })
}

fn failed(id: &str, error: &Error) -> ChangeItem {
    let path = error.path.as_ref().map(|path| path.display().to_string());
    let line = error.line.map(|line| format!(":{line}"));
    ChangeItem {
        id: id.to_owned(),
        source: path.unwrap_or_default() + &line.unwrap_or_default(),
        result: "failed",
        reason: error.message.clone(),
        code: Some(error.code),
        ..ChangeItem::default()
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
