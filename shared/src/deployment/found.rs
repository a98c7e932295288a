//! What a user has in the folders of agents already.
//!
//! Invariants: nothing is written and no artifact's code is run; a link to a skill or a file, as installers
//! set them, is followed once and told as the place that it leads to; links further down are not followed.
//! What looks like an artifact and is left out is named with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::agents::{Agents, Folder};
use crate::artifact::detect;
use crate::artifact::discover::{self, Candidate};
use crate::{Error, Kind};

/// Artifacts that are told at once.
pub const MAX_FOUND: usize = 5_000;

/// Folders that the search for projects looks at.
const MAX_FOLDERS: usize = 50_000;

/// An artifact in a folder of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// Its name there.
    pub name: String,
    /// Where it stands.
    pub place: PathBuf,
    /// Where its files are, free of links.
    pub real: PathBuf,
    /// The agents whose folder it is, by id.
    pub agents: Vec<String>,
}

/// What folders hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The artifacts, folder by folder, by name.
    pub found: Vec<Found>,
    /// What is left out, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Looks into folders of agents; those that do not exist hold nothing. `progress` is told how many artifacts
/// were found so far.
pub fn look(folders: &[Folder], progress: &mut dyn FnMut(usize)) -> Findings {
    let mut findings = Findings::default();
    let mut seen = BTreeSet::new();
    for folder in folders {
        let Ok(real) = fs::canonicalize(&folder.path) else {
            continue;
        };
        // One agent's folder may be a link to another's.
        if !seen.insert((real, folder.kind.clone())) {
            continue;
        }
        let mut look = Look {
            folder,
            findings: &mut findings,
        };
        match folder.kind {
            Kind::Mcp => look.servers(),
            Kind::Skill => look.skills(),
            Kind::Hook => look.hooks(),
            _ => look.files(),
        }
        progress(findings.found.len());
        if findings.found.len() > MAX_FOUND {
            findings.found.truncate(MAX_FOUND);
            let why = format!("more than {MAX_FOUND} artifacts: the rest is left out");
            findings.skipped.push((folder.path.clone(), why));
            break;
        }
    }
    findings
}

struct Look<'a> {
    folder: &'a Folder,
    findings: &'a mut Findings,
}

impl Look<'_> {
    fn skip(&mut self, path: &Path, why: impl Into<String>) {
        self.findings.skipped.push((path.to_owned(), why.into()));
    }

    fn add(&mut self, name: String, place: &Path) {
        match fs::canonicalize(place) {
            Ok(real) => self.findings.found.push(Found {
                kind: self.folder.kind.clone(),
                name,
                place: place.to_owned(),
                real,
                agents: self.folder.agents.clone(),
            }),
            Err(_) => self.skip(place, "a link that leads nowhere"),
        }
    }

    /// What a folder holds, by name, without what is hidden.
    fn entries(&mut self, folder: &Path) -> Vec<(String, PathBuf)> {
        let read = match fs::read_dir(folder) {
            Ok(read) => read,
            Err(error) => {
                self.skip(folder, Error::io("read", folder, &error).message);
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for entry in read.flatten().take(discover::MAX_ENTRIES) {
            match entry.file_name().into_string() {
                Ok(name) if name.starts_with('.') => {}
                Ok(name) => entries.push((name, entry.path())),
                Err(_) => self.skip(&entry.path(), "its name is not UTF-8"),
            }
        }
        entries.sort_unstable();
        entries
    }

    fn skills(&mut self) {
        for (name, path) in self.entries(&self.folder.path.clone()) {
            let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
            if path.is_dir() && is_skill(&path) {
                self.add(name, &path);
            } else if is_link {
                let nowhere = fs::metadata(&path).is_err();
                let why = if nowhere {
                    "a link that leads nowhere"
                } else {
                    "a link to something that is no skill"
                };
                self.skip(&path, why);
            } else if path.is_dir() {
                self.below(&path);
            }
        }
    }

    /// Skills further down.
    fn below(&mut self, folder: &Path) {
        match discover::discover(folder, &mut |_| {}) {
            Ok(below) => self.take(below),
            Err(error) => self.skip(folder, error.message),
        }
    }

    fn take(&mut self, discovery: discover::Discovery) {
        self.findings.skipped.extend(discovery.skipped);
        let of_kind = |one: &Candidate| one.kind == self.folder.kind;
        let (ours, _): (Vec<_>, Vec<_>) = discovery.candidates.into_iter().partition(of_kind);
        for one in ours {
            self.add(one.name, &one.path);
        }
    }

    /// Agents and commands, each a file.
    fn files(&mut self) {
        let root = self.folder.path.clone();
        let kind = Some(self.folder.kind.clone());
        if self.folder.end.strip_suffix(".md").is_some() {
            // Files that a careless look would take twice are links; they come after what they lead to.
            match discover::discover_as(&root, kind, &mut |_| {}) {
                Ok(mut found) => {
                    found.skipped.retain(|(path, _)| !is_linked_file(path));
                    self.take(found);
                }
                Err(error) => return self.skip(&root, error.message),
            }
        }
        for (name, path) in self.entries(&root) {
            if path.extension().is_some_and(|end| end == "toml") {
                self.skip(&path, "a form that only its agent reads");
            } else if let Some(stem) = name.strip_suffix(".md")
                && fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink())
            {
                self.add(stem.to_owned(), &path);
            }
        }
        let end = self.folder.end.strip_suffix(".md").unwrap_or_default();
        for one in &mut self.findings.found {
            if one.place.starts_with(&root)
                && let Some(name) = one.name.strip_suffix(end)
            {
                one.name = name.to_owned();
            }
        }
    }

    /// A file with servers. Other files of settings hold more than servers.
    fn servers(&mut self) {
        let path = self.folder.path.clone();
        if path.is_file() {
            self.add(self.folder.owner.clone(), &path);
        }
    }

    /// A file of settings is its agent's own: what else stands in it is nobody else's business.
    fn hooks(&mut self) {
        let path = self.folder.path.clone();
        if detect::has_hooks(&path) {
            let why = "hooks among other settings: put them into the hooks.json of a folder, and `sm add` that";
            self.skip(&path, why);
        }
    }
}

fn is_skill(folder: &Path) -> bool {
    ["SKILL.md", "skill.md"]
        .iter()
        .any(|name| folder.join(name).is_file())
}

fn is_linked_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) && path.is_file()
}

/// The projects below a folder, which may be one itself: folders in which some agent has its own. Looks
/// `depth` folders deep, also into projects, but not into hidden folders, links, or folders called as in `excluded`.
pub fn projects(agents: &Agents, root: &Path, depth: usize, excluded: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![(root.to_owned(), depth)];
    let mut seen = 0;
    while let Some((folder, left)) = open.pop() {
        seen += 1;
        if agents.is_project(&folder) {
            found.push(folder.clone());
        }
        if left == 0 || seen > MAX_FOLDERS {
            continue;
        }
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !name.starts_with('.') && !excluded.contains(&name) {
                open.push((entry.path(), left - 1));
            }
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::paths::Home;

    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::fs::write(path, text.as_bytes(), 0o600).unwrap();
    }

    fn agents() -> Agents {
        Agents::load(&Home::at("/nowhere")).unwrap()
    }

    fn shown(findings: &Findings) -> Vec<String> {
        let shown = |one: &Found| format!("{}:{}", one.kind, one.name);
        findings.found.iter().map(shown).collect()
    }

    fn why(findings: &Findings, name: &str) -> String {
        let (_, why) = findings
            .skipped
            .iter()
            .find(|(path, _)| path.ends_with(name))
            .unwrap();
        why.clone()
    }

    #[test]
    fn skills_are_found_through_links_and_in_categories() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        put(&at(".agents/skills/pdf/SKILL.md"), "---\nname: pdf\n---\n");
        put(&at(".claude/skills/own/SKILL.md"), "---\nname: own\n---\n");
        put(
            &at(".claude/skills/office/docx/SKILL.md"),
            "---\nname: docx\n---\n",
        );
        put(
            &at(".claude/skills/.system/inner/SKILL.md"),
            "---\nname: x\n---\n",
        );
        put(&at(".claude/skills/README.md"), "about\n");
        symlink("../../.agents/skills/pdf", at(".claude/skills/pdf")).unwrap();
        symlink("nowhere", at(".claude/skills/gone")).unwrap();
        symlink("/etc", at(".claude/skills/etc")).unwrap();
        let findings = look(&agents().of_project(None, folder.path()), &mut |_| {});
        assert_eq!(
            shown(&findings),
            ["skill:docx", "skill:own", "skill:pdf", "skill:pdf"]
        );
        let pdf: Vec<&Found> = findings.found.iter().filter(|f| f.name == "pdf").collect();
        assert_eq!(pdf[0].real, pdf[1].real);
        assert_ne!(pdf[0].place, pdf[1].place);
        assert!(why(&findings, "gone").contains("nowhere"));
        assert!(why(&findings, "etc").contains("no skill"));
    }

    #[test]
    fn files_of_agents_and_commands_take_the_form_of_their_agent() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let agent = "---\nname: r\ndescription: d\n---\n# R\n";
        put(&at(".claude/agents/review.md"), agent);
        put(&at(".claude/agents/deep/inner.md"), agent);
        put(&at(".claude/agents/README.md"), "# About\n");
        put(&at(".claude/commands/git/commit.md"), "Commit.\n");
        put(&at(".github/agents/plan.agent.md"), agent);
        put(&at(".github/prompts/fix.prompt.md"), "Fix.\n");
        put(&at(".codex/agents/a.toml"), "x = 1\n");
        put(&at("dotfiles/linked.md"), agent);
        put(&at(".mcp.json"), "{\"mcpServers\": {}}");
        symlink("../../dotfiles/linked.md", at(".claude/agents/linked.md")).unwrap();
        let findings = look(&agents().of_project(None, folder.path()), &mut |_| {});
        let mut names = shown(&findings);
        let project = folder.path().file_name().unwrap().to_string_lossy();
        assert_eq!(names.remove(4), format!("mcp:{project}"));
        assert_eq!(
            names,
            [
                "agent:inner",
                "agent:review",
                "agent:linked",
                "command:commit",
                "agent:plan",
                "command:fix"
            ]
        );
        assert!(why(&findings, "a.toml").contains("only its agent"));
    }

    #[test]
    fn projects_are_found_to_a_depth() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in [
            "one/.claude/skills/x",
            "one/packages/part/.claude/skills/x",
            "team/two/.cursor/skills/x",
            "team/three/four/.agents/skills/x",
            "node_modules/five/.claude/skills/x",
            ".hidden/six/.claude/skills/x",
            "seven/skills/x",
        ] {
            fs::create_dir_all(at(path)).unwrap();
        }
        let excluded = ["node_modules".to_owned()];
        let found = |depth| projects(&agents(), folder.path(), depth, &excluded);
        assert_eq!(found(1), [at("one")]);
        assert_eq!(found(2), [at("one"), at("team/two")]);
        assert_eq!(
            found(3),
            [
                at("one"),
                at("one/packages/part"),
                at("team/three/four"),
                at("team/two")
            ]
        );
    }
}
