//! Kinds of artifacts, their folders in a collection, and how they are spelled.

use std::fmt;
use std::str::FromStr;

/// What an artifact is. Kinds that we do not know are kept by name and shown, never refused on read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A folder with a `SKILL.md`.
    Skill,
    /// A slash command: one Markdown file.
    Command,
    /// A subagent: one Markdown file.
    Agent,
    /// A folder with hook settings in JSON.
    Hook,
    /// An MCP server.
    Mcp,
    /// A workflow: a folder or a YAML or JSON file.
    Workflow,
    /// A plugin, stack or suite: a folder.
    Composite,
    /// An orchestration script: one file.
    Orchestration,
    /// A soul: one Markdown file.
    Soul,
    /// Any other kind, by the name that the manifest gives.
    Other(Box<str>),
}

/// How the artifacts of a kind lie in their container folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `<container>/<name>/`.
    Folder,
    /// `<container>/<name>.md`.
    Markdown,
    /// `<container>/<name>.<extension>`, or a folder.
    Any,
}

impl Kind {
    /// The kinds with a place of their own in a collection, in the order in which they are listed.
    pub const KNOWN: &'static [Self] = &[
        Self::Skill,
        Self::Command,
        Self::Agent,
        Self::Hook,
        Self::Mcp,
        Self::Workflow,
        Self::Composite,
        Self::Orchestration,
        Self::Soul,
    ];

    /// Names of kinds that programs of either generation write and that have no folder of their own.
    const FOREIGN: &'static [&'static str] = &[
        "project_config",
        "spec_file",
        "rule_file",
        "context_file",
        "progress_template",
        "context_module",
        "template",
        "group",
        "deployment_set",
        "context_pack",
        "bundle",
        "reviewer_role",
        "council",
    ];

    /// The name in manifests and ids.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Skill => "skill",
            Self::Command => "command",
            Self::Agent => "agent",
            Self::Hook => "hook",
            Self::Mcp => "mcp",
            Self::Workflow => "workflow",
            Self::Composite => "composite",
            Self::Orchestration => "orchestration",
            Self::Soul => "soul",
            Self::Other(name) => name,
        }
    }

    /// Reads a kind as manifests spell it. Never fails: unknown names become [`Kind::Other`].
    pub fn from_manifest(name: &str) -> Self {
        match name {
            "skill" => Self::Skill,
            "command" => Self::Command,
            "agent" => Self::Agent,
            "hook" => Self::Hook,
            "mcp" | "mcp_server" | "mcp-server" | "mcpserver" => Self::Mcp,
            "workflow" => Self::Workflow,
            "composite" => Self::Composite,
            "orchestration" => Self::Orchestration,
            "soul" => Self::Soul,
            other => Self::Other(other.into()),
        }
    }

    /// Whether programs of either generation know the kind.
    pub fn is_recognised(&self) -> bool {
        match self {
            Self::Other(name) => Self::FOREIGN.contains(&name.as_ref()),
            _ => true,
        }
    }

    /// The folder of a collection that holds artifacts of this kind, if it has one.
    pub const fn container(&self) -> Option<&'static str> {
        match self {
            Self::Skill => Some("skills"),
            Self::Command => Some("commands"),
            Self::Agent => Some("agents"),
            Self::Hook => Some("hooks"),
            Self::Mcp => Some("mcp"),
            Self::Workflow | Self::Orchestration => Some("workflows"),
            Self::Composite => Some("composites"),
            Self::Soul => Some("souls"),
            Self::Other(_) => None,
        }
    }

    /// How artifacts of this kind lie in their folder.
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Skill | Self::Hook | Self::Mcp | Self::Composite => Shape::Folder,
            Self::Command | Self::Agent | Self::Soul => Shape::Markdown,
            Self::Workflow | Self::Orchestration | Self::Other(_) => Shape::Any,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = crate::Error;

    /// Reads a kind as a person types it: any case, plural, or one of the ancestor's aliases.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let kind = Self::from_manifest(&lower);
        if kind.is_recognised() {
            return Ok(kind);
        }
        match lower.as_str() {
            "plugin" | "plugins" => return Ok(Self::Composite),
            "mcps" | "mcp-servers" | "mcp_servers" => return Ok(Self::Mcp),
            _ => {}
        }
        if let Some(kind) = lower.strip_suffix('s').map(Self::from_manifest)
            && kind.is_recognised()
        {
            return Ok(kind);
        }
        let known: Vec<&str> = Self::KNOWN.iter().map(Self::as_str).collect();
        Err(crate::Error::new(
            crate::Code::InvalidArgument,
            format!("`{text}` is no artifact kind"),
        )
        .hint(format!("use one of {}", known.join(", "))))
    }
}
