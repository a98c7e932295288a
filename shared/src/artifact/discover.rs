//! Finds every artifact in a tree: skills, agents, commands, hooks, MCP servers, workflows and souls,
//! and so the parts of plugins.
//!
//! Invariants: the order depends on names alone; symlinked folders are not followed; what looks like an
//! artifact and is left out is named with the reason. A skill's folder is its own: agents and commands
//! inside it are its parts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::artifact::{content, detect, frontmatter, read};
use crate::{Code, Error, Kind, Result};

/// Levels of folders that are looked into.
pub const MAX_DEPTH: usize = 24;
/// Files and folders that are looked at.
pub const MAX_ENTRIES: usize = 500_000;

/// An artifact that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its kind.
    pub kind: Kind,
    /// The name that it would get.
    pub name: String,
    /// Its file or folder. An MCP server at a plugin's root is the configuration file alone.
    pub path: PathBuf,
    /// The plugin that it is a part of: the name of the plugin's folder.
    pub plugin: Option<String>,
}

/// What a tree holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovery {
    /// The artifacts, by path.
    pub candidates: Vec<Candidate>,
    /// The folders with a `.claude-plugin/plugin.json` or `marketplace.json`, by path.
    pub plugins: Vec<PathBuf>,
    /// What looked like an artifact and is none, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Finds every artifact below `root`, which may be one itself. `progress` is called after each folder
/// with the number of artifacts found so far.
///
/// # Errors
///
/// `file.not_found` or `usage.invalid_argument` if `root` is no folder. A folder inside that can't be
/// read is skipped.
pub fn discover(root: &Path, progress: &mut dyn FnMut(usize)) -> Result<Discovery> {
    discover_as(root, None, progress)
}

/// As [`discover`], of a folder that holds artifacts of one kind, whatever its own name is.
///
/// # Errors
///
/// As [`discover`].
pub fn discover_as(
    root: &Path,
    kind: Option<Kind>,
    progress: &mut dyn FnMut(usize),
) -> Result<Discovery> {
    let stat = fs::metadata(root).map_err(|error| Error::io("read", root, &error))?;
    if !stat.is_dir() {
        let message = format!("`{}` is no folder", root.display());
        return Err(Error::new(Code::InvalidArgument, message)
            .hint("leave `--all` out to add one file")
            .at(root, None));
    }
    let mut search = Search {
        found: Discovery::default(),
        seen: 0,
        progress,
    };
    search.folder(
        root,
        &Place {
            kind,
            plugin: None,
            depth: 0,
        },
    );
    let mut found = search.found;
    found
        .candidates
        .sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.kind.cmp(&b.kind)));
    found.plugins.sort_unstable();
    Ok(found)
}

/// Where the search stands.
#[derive(Clone)]
struct Place {
    /// The kind that the container around it holds.
    kind: Option<Kind>,
    plugin: Option<String>,
    depth: usize,
}

struct Search<'a> {
    found: Discovery,
    seen: usize,
    progress: &'a mut dyn FnMut(usize),
}

/// One folder's entries by name.
#[derive(Default)]
struct Listing {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Listing {
    fn file(&self, name: &str) -> Option<&PathBuf> {
        let called = |path: &&PathBuf| {
            path.file_name()
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        self.files.iter().find(called)
    }

    /// Whether a folder below holds artifacts of its own.
    fn has_container(&self) -> bool {
        self.folders
            .iter()
            .filter_map(|path| path.file_name())
            .any(|n| detect::container(n).is_some())
    }
}

impl Search<'_> {
    fn skip(&mut self, path: &Path, reason: impl Into<String>) {
        self.found.skipped.push((path.to_owned(), reason.into()));
    }

    fn add(&mut self, kind: Kind, path: &Path, name: Option<String>, place: &Place) {
        let name = name.or_else(|| crate::artifact::name::default_name(path, &kind));
        if let Some(reason) = detect::is_not_copied(&kind, path) {
            return self.skip(path, reason);
        }
        match name {
            Some(name) => {
                let plugin = place.plugin.clone();
                self.found.candidates.push(Candidate {
                    kind,
                    name,
                    path: path.to_owned(),
                    plugin,
                });
            }
            None => self.skip(path, "its name is not UTF-8"),
        }
    }

    fn folder(&mut self, folder: &Path, outer: &Place) {
        let Some(listing) = self.list(folder) else {
            return;
        };
        let mut place = outer.clone();
        let said = listing.folders.iter().find(|path| is_plugin(path));
        let says = |name: &str| said.is_some_and(|said| said.join(name).is_file());
        let is_plugin = says("plugin.json");
        if is_plugin || says("marketplace.json") {
            self.found.plugins.push(folder.to_owned());
        }
        if is_plugin {
            place.plugin = folder_name(folder);
            place.kind = None;
        }
        if listing.file("SKILL.md").is_some() {
            if !listing
                .folders
                .iter()
                .any(|path| path.file_name().is_some_and(|n| n == "skills"))
            {
                self.add(Kind::Skill, folder, None, &place);
                return (self.progress)(self.found.candidates.len());
            }
            self.skip(folder, "a skill around further skills: add it by itself");
        }
        self.settings(folder, &listing, &place);
        if listing.files.iter().any(|path| is_workflow(path)) {
            self.add(Kind::Workflow, folder, None, &place);
        }
        if let Some(soul) = listing.file("SOUL.md") {
            self.add(Kind::Soul, soul, folder_name(folder), &place);
        }
        if let Some(kind @ (Kind::Agent | Kind::Command)) = &place.kind {
            for file in &listing.files {
                self.markdown(kind, file, &place);
            }
        }
        (self.progress)(self.found.candidates.len());
        for below in &listing.folders {
            let name = below.file_name().unwrap_or_default();
            if place.depth >= MAX_DEPTH {
                self.skip(below, format!("more than {MAX_DEPTH} folders deep"));
                continue;
            }
            let kind = detect::container(name).or_else(|| place.kind.clone());
            self.folder(
                below,
                &Place {
                    kind,
                    plugin: place.plugin.clone(),
                    depth: place.depth + 1,
                },
            );
        }
    }

    /// One folder's entries, without what never holds artifacts.
    fn list(&mut self, folder: &Path) -> Option<Listing> {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.skip(folder, Error::io("read", folder, &error).message);
                return None;
            }
        };
        let mut linked = Vec::new();
        for entry in entries.flatten() {
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                if self.seen == MAX_ENTRIES + 1 {
                    self.skip(
                        folder,
                        format!("more than {MAX_ENTRIES} files: the rest is left out"),
                    );
                }
                break;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if kind.is_file() {
                listing.files.push(path);
            } else if kind.is_dir() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let hidden = name.starts_with('.') && !name.starts_with(".claude");
                if !hidden && name != "node_modules" && name != "__pycache__" {
                    listing.folders.push(path);
                }
            } else if kind.is_symlink() && detect::is_manifest(&entry.file_name()) {
                match fs::metadata(&path) {
                    Ok(found) if found.is_file() => listing.files.push(path),
                    Ok(found) if found.is_dir() => {}
                    Ok(_) => self.skip(&path, "a pipe, socket or device"),
                    Err(_) => self.skip(&path, "a link that leads nowhere"),
                }
            } else if !kind.is_symlink() && detect::is_manifest(&entry.file_name()) {
                self.skip(&path, "a pipe, socket or device");
            } else if kind.is_symlink() && (path.is_dir() || is_markdown(&path)) {
                linked.push(path);
            }
        }
        listing.folders.sort_unstable();
        listing.files.sort_unstable();
        linked.sort_unstable();
        for path in linked.iter().filter(|path| looks_like_artifact(path)) {
            self.skip(path, "a link: add what it points to");
        }
        Some(listing)
    }

    /// Hooks and servers, which are told by their settings.
    fn settings(&mut self, folder: &Path, listing: &Listing, place: &Place) {
        let is_shared = listing.has_container() || is_plugin_root(listing);
        if let Some(hooks) = listing.file("hooks.json") {
            let inner = folder
                .file_name()
                .is_some_and(|name| name.eq_ignore_ascii_case("hooks"));
            if inner || !is_shared {
                let name = folder.parent().filter(|_| inner).and_then(folder_name);
                self.add(Kind::Hook, folder, name, place);
            } else {
                self.skip(
                    hooks,
                    "hooks beside other artifacts: put them into a folder of their own",
                );
            }
        } else if let Some(settings) = listing.file("settings.json")
            && detect::has_hooks(settings)
        {
            let is_project = folder.file_name().is_some_and(|name| name == ".claude");
            if is_project || is_shared {
                self.skip(settings, "settings of a project or plugin, not of one hook");
            } else {
                self.add(Kind::Hook, folder, None, place);
            }
        }
        if let Some(server) = listing
            .file(".mcp.json")
            .or_else(|| listing.file("mcp.json"))
        {
            let alone = place.kind == Some(Kind::Mcp) && !is_shared;
            let path = if alone { folder } else { server };
            self.add(Kind::Mcp, path, folder_name(folder), place);
        }
    }

    fn markdown(&mut self, kind: &Kind, file: &Path, place: &Place) {
        if !is_markdown(file) {
            return;
        }
        let head = match read::read_head(file, read::MANIFEST_BYTES) {
            Ok(head) => head,
            Err(error) => return self.skip(file, Error::io("read", file, &error).message),
        };
        let document = frontmatter::parse(&head);
        let text = content::text_of(&head).unwrap_or_default();
        if text.trim().is_empty() {
            self.skip(file, "empty, or not text");
        } else if !document.has_frontmatter && detect::is_document(file) {
            self.skip(file, "a document about its folder");
        } else if !document.has_frontmatter && *kind == Kind::Agent {
            self.skip(
                file,
                "no frontmatter: an agent needs `name` and `description`",
            );
        } else {
            self.add(kind.clone(), file, None, place);
        }
    }
}

/// The name of a folder, also of `.` and `..`.
fn folder_name(folder: &Path) -> Option<String> {
    crate::artifact::name::default_name(folder, &Kind::Composite)
}

fn is_plugin(folder: &Path) -> bool {
    folder
        .file_name()
        .is_some_and(|name| name == ".claude-plugin")
}

fn is_plugin_root(listing: &Listing) -> bool {
    listing.folders.iter().any(|path| is_plugin(path))
}

fn is_markdown(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

fn is_workflow(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    ["WORKFLOW.yaml", "WORKFLOW.yml", "WORKFLOW.json"]
        .iter()
        .any(|n| name.eq_ignore_ascii_case(n))
}

/// Whether a link stands where an artifact would: a skill's folder, or a file among agents or commands.
fn looks_like_artifact(path: &Path) -> bool {
    if path.is_dir() {
        return path.join("SKILL.md").is_file()
            || path.file_name().and_then(detect::container).is_some();
    }
    path.parent()
        .and_then(Path::file_name)
        .and_then(detect::container)
        .is_some()
}

#[cfg(test)]
mod tests;
