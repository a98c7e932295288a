//! The registry of coding agents: which folders each reads and writes, for the user and in projects.
//!
//! It is data: `agents.toml` beside this file, and what the user's own file says otherwise, since agents move
//! their folders more often than programs are released.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::document::Lines;
use crate::paths::{Environment, Home, user_home};
use crate::{Code, Error, Kind, Result};

/// The registry that every build carries.
const SHIPPED: &str = include_str!("agents.toml");

/// The version of the file's form.
const VERSION: u32 = 1;

/// Bytes of the user's own file.
const MAX_FILE: u64 = 1 << 20;

/// Agents of one registry.
const MAX_AGENTS: usize = 1_000;

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Agent {
    /// Its name in commands.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The variable that moves its folder in the user's home.
    pub variable: Option<Variable>,
    /// How the files of its agents end.
    #[serde(default = "markdown")]
    pub agents_end: String,
    /// How the files of its commands end.
    #[serde(default = "markdown")]
    pub commands_end: String,
    /// Below the project's folder.
    #[serde(default)]
    pub project: Folders,
    /// Below the user's home folder.
    #[serde(default)]
    pub user: Folders,
}

/// A variable that names the folder which stands for another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The variable.
    pub name: String,
    /// The folder that it replaces.
    pub folder: String,
}

/// The folders of one scope; the first of each is where the agent writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Folders {
    /// Folders of skills.
    pub skills: Vec<String>,
    /// Folders of subagents.
    pub agents: Vec<String>,
    /// Folders of commands.
    pub commands: Vec<String>,
    /// Files with MCP servers.
    pub mcp: Vec<String>,
    /// Files in which hooks stand among other settings.
    pub settings: Vec<String>,
    /// Folders of skills that belong to others, and are read too.
    pub also: Vec<String>,
}

impl Folders {
    /// What the agent calls its own, with the kind that it holds.
    fn own(&self) -> impl Iterator<Item = (Kind, &str)> {
        [
            (Kind::Skill, &self.skills),
            (Kind::Agent, &self.agents),
            (Kind::Command, &self.commands),
            (Kind::Mcp, &self.mcp),
            (Kind::Hook, &self.settings),
        ]
        .into_iter()
        .flat_map(|(kind, all)| {
            all.iter()
                .map(move |folder| (kind.clone(), folder.as_str()))
        })
    }
}

fn markdown() -> String {
    ".md".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    agent: Vec<Agent>,
}

/// A folder of some agent on this disk, or a file with MCP servers or hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The agents whose own it is, by id.
    pub agents: Vec<String>,
    /// What it holds.
    pub kind: Kind,
    /// Where it is, if it is.
    pub path: PathBuf,
    /// How the names of its files end, if it holds files.
    pub end: String,
    /// The name for what has none of its own: that of the project, or of the agent.
    pub owner: String,
}

/// All agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agents {
    all: Vec<Agent>,
}

impl Agents {
    /// The agents that every build knows, and those of the home's `state/agents.toml`.
    ///
    /// # Errors
    /// `config.invalid` if that file can't be read.
    pub fn load(home: &Home) -> Result<Self> {
        let mut agents = Self {
            all: parse(SHIPPED, None)?,
        };
        let path = home.agents();
        match crate::fs::read_bounded(&path, MAX_FILE) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                agents.take(parse(&text, Some(&path))?);
                Ok(agents)
            }
            Err(error) if error.code == Code::FileNotFound => Ok(agents),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, own: Vec<Agent>) {
        for agent in own {
            match self.all.iter_mut().find(|known| known.id == agent.id) {
                Some(known) => *known = agent,
                None => self.all.push(agent),
            }
        }
    }

    /// All of them, in the order of the registry.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.all.iter()
    }

    /// The agent with this id, whatever its case.
    ///
    /// # Errors
    /// `usage.invalid_argument`, naming the nearest one.
    pub fn get(&self, id: &str) -> Result<&Agent> {
        let found = self
            .all
            .iter()
            .find(|agent| agent.id.eq_ignore_ascii_case(id));
        found.ok_or_else(|| {
            let error = Error::new(
                Code::InvalidArgument,
                format!("`{id}` is no agent and no folder"),
            );
            let near = self
                .all
                .iter()
                .map(|agent| (strsim::damerau_levenshtein(&agent.id, id), &agent.id))
                .min()
                .filter(|(distance, _)| *distance <= id.len() / 3);
            match near {
                Some((_, near)) => error.hint(format!("did you mean `{near}`?")),
                None => error
                    .hint("name an agent such as `claude-code`, `codex`, `cursor`, or a folder"),
            }
        })
    }

    /// The folders that agents have in the user's home folder: those of `only`, or of all.
    pub fn of_user(&self, only: Option<&Agent>, env: &dyn Environment) -> Vec<Folder> {
        let Some(home) = user_home(env) else {
            return Vec::new();
        };
        let mut gathered = Gathered::default();
        for agent in self.chosen(only) {
            for (kind, folder) in agent.user.own() {
                let moved = agent.variable.as_ref().and_then(|variable| {
                    let rest = Path::new(folder).strip_prefix(&variable.folder).ok()?;
                    let root = env.path(&variable.name).filter(|root| root.is_absolute())?;
                    Some(root.join(rest))
                });
                let path = moved.unwrap_or_else(|| home.join(folder));
                gathered.add(agent, kind, path, &agent.id);
            }
        }
        gathered.all
    }

    /// The folders that agents may have in a project.
    pub fn of_project(&self, only: Option<&Agent>, project: &Path) -> Vec<Folder> {
        let owner = name_of(project);
        let mut gathered = Gathered::default();
        for agent in self.chosen(only) {
            for (kind, folder) in agent.project.own() {
                gathered.add(agent, kind, project.join(folder), &owner);
            }
        }
        gathered.all
    }

    /// The folders of an agent that `path` names: the agent's whole folder (`.claude`, `.codeium/windsurf`), or
    /// one in it (`.claude/skills`). Empty if it is none.
    pub fn at(&self, path: &Path) -> Vec<Folder> {
        let mut gathered = Gathered::default();
        for agent in &self.all {
            for (kind, folder) in agent.project.own().chain(agent.user.own()) {
                let folder = Path::new(folder);
                // A folder called `skills` may be anybody's.
                if !is_hidden(folder) {
                    continue;
                }
                let around = folder.parent().filter(|parent| *parent != Path::new(""));
                if path.ends_with(folder) && !matches!(kind, Kind::Mcp | Kind::Hook) {
                    gathered.add(agent, kind, path.to_owned(), &agent.id);
                } else if let (Some(around), Some(name)) = (around, folder.file_name())
                    && path.ends_with(around)
                {
                    gathered.add(agent, kind, path.join(name), &agent.id);
                }
            }
        }
        gathered.all
    }

    /// Whether a folder is a project that some agent works in: it has the folder of one.
    pub fn is_project(&self, folder: &Path) -> bool {
        self.all
            .iter()
            .flat_map(|agent| agent.project.own())
            .any(|(_, own)| is_hidden(Path::new(own)) && folder.join(own).exists())
    }

    fn chosen<'a>(&'a self, only: Option<&'a Agent>) -> Box<dyn Iterator<Item = &'a Agent> + 'a> {
        match only {
            Some(agent) => Box::new(std::iter::once(agent)),
            None => Box::new(self.all.iter()),
        }
    }
}

/// Folders, each once, in the order of the registry.
#[derive(Default)]
struct Gathered {
    all: Vec<Folder>,
    places: BTreeMap<(PathBuf, Kind), usize>,
}

impl Gathered {
    fn add(&mut self, agent: &Agent, kind: Kind, path: PathBuf, owner: &str) {
        let key = (path, kind);
        if let Some(known) = self.places.get(&key).and_then(|at| self.all.get_mut(*at)) {
            if !known.agents.contains(&agent.id) {
                known.agents.push(agent.id.clone());
            }
            return;
        }
        let (path, kind) = key.clone();
        let end = match kind {
            Kind::Agent => agent.agents_end.clone(),
            Kind::Command => agent.commands_end.clone(),
            _ => String::new(),
        };
        self.places.insert(key, self.all.len());
        self.all.push(Folder {
            agents: vec![agent.id.clone()],
            kind,
            path,
            end,
            owner: owner.to_owned(),
        });
    }
}

fn is_hidden(folder: &Path) -> bool {
    folder.as_os_str().as_encoded_bytes().starts_with(b".")
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn parse(text: &str, path: Option<&Path>) -> Result<Vec<Agent>> {
    let invalid = |message: String, line: Option<u32>| {
        let shown = path.unwrap_or_else(|| Path::new("agents.toml"));
        let error = Error::new(
            Code::ConfigInvalid,
            format!("`{}`: {message}", shown.display()),
        );
        error
            .hint("mend the file, or move it away to use the agents that are built in")
            .at(shown, line)
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| Lines::of(text).at(span.start));
        let message = error
            .message()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        invalid(message, line)
    })?;
    if file.version != VERSION {
        let message = format!(
            "its version is {}, and this program reads {VERSION}",
            file.version
        );
        return Err(invalid(message, None));
    }
    if file.agent.len() > MAX_AGENTS {
        let message = format!("it has more than {MAX_AGENTS} agents");
        return Err(invalid(message, None));
    }
    for agent in &file.agent {
        if let Some(why) = fault(agent) {
            let message = format!("the agent `{}` {why}", agent.id.escape_debug());
            return Err(invalid(message, None));
        }
    }
    Ok(file.agent)
}

/// What is wrong with an agent.
fn fault(agent: &Agent) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if agent.id.is_empty() || !agent.id.chars().all(plain) {
        return Some("has an id of other than small letters, digits and hyphens");
    }
    let leads_out =
        |(_, folder): (Kind, &str)| crate::fs::join(Path::new("/"), Path::new(folder)).is_err();
    if agent.project.own().chain(agent.user.own()).any(leads_out) {
        return Some("has a folder that is not below the project's or the user's");
    }
    let ends = [&agent.agents_end, &agent.commands_end];
    if ends
        .iter()
        .any(|end| !end.starts_with('.') || end.contains('/'))
    {
        return Some("has files that end in something else than an extension");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents() -> Agents {
        Agents {
            all: parse(SHIPPED, None).unwrap(),
        }
    }

    fn paths(folders: &[Folder]) -> Vec<String> {
        let shown = |one: &Folder| format!("{} {}", one.kind, one.path.display());
        folders.iter().map(shown).collect()
    }

    #[test]
    fn the_registry_is_sound() {
        let agents = agents();
        let mut ids: Vec<&str> = agents.iter().map(|agent| agent.id.as_str()).collect();
        assert!(ids.len() > 50);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), agents.all.len());
        for agent in agents.iter() {
            assert!(!agent.project.skills.is_empty(), "{}", agent.id);
            assert!(!agent.user.skills.is_empty(), "{}", agent.id);
        }
    }

    #[test]
    fn folders_of_the_user_follow_the_environment() {
        let agents = agents();
        let env: BTreeMap<String, String> = [
            ("HOME".to_owned(), "/home/u".to_owned()),
            ("CODEX_HOME".to_owned(), "/data/codex".to_owned()),
            ("CLAUDE_CONFIG_DIR".to_owned(), "relative".to_owned()),
        ]
        .into();
        let claude = agents.get("Claude-Code").unwrap();
        assert_eq!(
            paths(&agents.of_user(Some(claude), &env)),
            [
                "skill /home/u/.claude/skills",
                "agent /home/u/.claude/agents",
                "command /home/u/.claude/commands",
                "hook /home/u/.claude/settings.json",
            ]
        );
        let codex = agents.get("codex").unwrap();
        assert_eq!(
            paths(&agents.of_user(Some(codex), &env)),
            ["skill /data/codex/skills", "agent /data/codex/agents"]
        );
        let all = agents.of_user(None, &env);
        let shared: Vec<&Folder> = all
            .iter()
            .filter(|one| one.path == Path::new("/home/u/.agents/skills"))
            .collect();
        assert_eq!(shared.len(), 1);
        assert!(shared[0].agents.contains(&"zed".to_owned()));
        assert_eq!(shared[0].agents[0], "agents-folder");
    }

    #[test]
    fn an_agents_folder_is_known_by_its_path() {
        let agents = agents();
        assert_eq!(
            paths(&agents.at(Path::new("/x/.claude"))),
            [
                "skill /x/.claude/skills",
                "agent /x/.claude/agents",
                "command /x/.claude/commands",
                "hook /x/.claude/settings.json",
                "hook /x/.claude/settings.local.json",
            ]
        );
        assert_eq!(
            paths(&agents.at(Path::new("/x/.codeium/windsurf"))),
            ["skill /x/.codeium/windsurf/skills"]
        );
        assert_eq!(
            paths(&agents.at(Path::new("/x/.github/prompts"))),
            ["command /x/.github/prompts"]
        );
        for none in [
            "/x",
            "/x/skills",
            "/x/data",
            "/x/.config",
            "/",
            "/x/.claude2",
        ] {
            assert_eq!(agents.at(Path::new(none)), [], "{none}");
        }
    }

    #[test]
    fn names_of_agents_are_corrected() {
        let error = agents().get("cluade-code").unwrap_err();
        assert_eq!(error.hints, ["did you mean `claude-code`?"]);
        assert!(agents().get("nothing-like-it").is_err());
    }

    #[test]
    fn the_users_file_replaces_and_adds() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        std::fs::create_dir_all(home.agents().parent().unwrap()).unwrap();
        let text = "version = 1\n[[agent]]\nid = \"codex\"\nname = \"C\"\nuser = { skills = [\".c/skills\"] }\n\
                    [[agent]]\nid = \"mine\"\nname = \"Mine\"\n";
        crate::fs::write(&home.agents(), text.as_bytes(), 0o600).unwrap();
        let agents = Agents::load(&home).unwrap();
        assert_eq!(agents.get("codex").unwrap().user.skills, [".c/skills"]);
        assert_eq!(agents.get("mine").unwrap().agents_end, ".md");
        for (bad, why) in [
            ("version = 2", "version is 2"),
            ("version = 1\n[[agent]]\nid = 3", "invalid type"),
            (
                "version = 1\n[[agent]]\nid = \"A\"\nname = \"\"",
                "small letters",
            ),
            (
                "version = 1\n[[agent]]\nid = \"a\"\nname = \"\"\nuser = { skills = [\"../x\"] }",
                "not below",
            ),
        ] {
            crate::fs::write(&home.agents(), bad.as_bytes(), 0o600).unwrap();
            let error = Agents::load(&home).unwrap_err();
            assert_eq!(error.code, Code::ConfigInvalid);
            assert!(error.message.contains(why), "{error:?}");
        }
    }
}
