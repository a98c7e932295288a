//! `collection.toml`: what a collection says of itself.
//!
//! Only a text that is no TOML fails as a whole. An entry that can't be understood becomes a problem with
//! its line, and every other entry counts. The values of an MCP server's environment are secrets: they are
//! left in the file and never kept.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::MANIFEST;
use super::entry;
use super::field::Fields;
use crate::artifact::Problem;
use crate::document::{self, Lines};
use crate::{ArtifactId, Kind};

pub use super::entry::{Broken, Entry, EntryMetadata};
pub use crate::document::SyntaxError;

/// A manifest, as far as it can be understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The collection itself.
    pub header: Header,
    /// The artifacts, in the order of the file; no two have one id.
    pub entries: Vec<Entry>,
    /// Entries that name no artifact.
    pub broken: Vec<Broken>,
    /// The groups, in the order of the file.
    pub groups: Vec<Group>,
    /// The tags that have a description or a colour, in the order of the file.
    pub tag_definitions: Vec<TagDefinition>,
    /// The MCP servers, in the order of the file.
    pub mcp_servers: Vec<McpServer>,
    /// Keys and tables that nobody knows, with their dots, sorted. They stay in the file.
    pub unknown_keys: Vec<String>,
    /// What is wrong with the file, but not with an entry that is kept.
    pub problems: Vec<Problem>,
}

/// `[collection]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Header {
    /// `name`.
    pub name: Option<String>,
    /// `version`, of the format.
    pub version: Option<String>,
    /// `created`, as written.
    pub created: Option<String>,
    /// `updated`, as written.
    pub updated: Option<String>,
    /// Which table it is.
    pub style: HeaderStyle,
}

/// Under which name the header stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderStyle {
    /// `[collection]`, as both programs write it.
    Collection,
    /// `[tool.skillmeat]`, as documents show it.
    ToolSkillmeat,
    /// There is none.
    #[default]
    Absent,
}

/// `[[groups]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// `name`.
    pub name: String,
    /// `description`, or empty.
    pub description: String,
    /// `color`, or empty.
    pub color: String,
    /// `icon`, or empty.
    pub icon: String,
    /// `position`, or the place in the file, from 0.
    pub position: i64,
    /// The members as written: `type:name` or a bare name.
    pub members: Vec<String>,
}

/// `[[tag_definitions]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TagDefinition {
    /// `name`.
    pub name: String,
    /// `slug`, or the name.
    pub slug: String,
    /// `color`, or empty.
    pub color: String,
    /// `description`, or empty.
    pub description: String,
}

/// `[[mcp_servers]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct McpServer {
    /// `name`.
    pub name: String,
    /// `repo`.
    pub repo: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `status`.
    pub status: Option<String>,
    /// `resolved_sha`.
    pub resolved_sha: Option<String>,
    /// `resolved_version`.
    pub resolved_version: Option<String>,
    /// `installed_at`, as written.
    pub installed_at: Option<String>,
    /// `last_updated`, as written.
    pub last_updated: Option<String>,
    /// The names of the variables in `env_vars`. Their values are never kept.
    pub env_names: Vec<String>,
    /// Where it begins, from 1. Not kept, as with entries.
    #[serde(skip)]
    pub line: u32,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// If the text is no TOML, or if there is nothing in it at all: an editor has emptied it and will write
    /// it in a moment.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Err(SyntaxError {
                message: "the manifest is empty".to_owned(),
                line: 1,
            });
        }
        let lines = Lines::of(text);
        let root = document::parse(text, &lines)?;
        let mut reading = Reading {
            lines: &lines,
            manifest: Self::default(),
            unknown: BTreeSet::new(),
            names: HashSet::new(),
        };
        reading.root(root.get_ref());
        let mut manifest = reading.manifest;
        manifest.unknown_keys = reading.unknown.into_iter().collect();
        manifest.problems.sort_by_key(|problem| problem.line);
        Ok(manifest)
    }
}

struct Reading<'l> {
    lines: &'l Lines,
    manifest: Manifest,
    unknown: BTreeSet<String>,
    /// Names of what may stand once only, with what they are names of.
    names: HashSet<(&'static str, String)>,
}

impl Reading<'_> {
    fn root(&mut self, root: &DeTable<'_>) {
        const KNOWN: [&str; 6] = [
            "collection",
            "tool",
            "artifacts",
            "groups",
            "tag_definitions",
            "mcp_servers",
        ];
        let mut fields = Fields::new(root, self.lines, "the manifest", MANIFEST);
        self.unknown
            .extend(fields.others(&KNOWN).map(str::to_owned));
        let own = fields.table("collection");
        let tool = fields.table("tool");
        self.manifest.problems.append(&mut fields.problems);
        self.header(own, tool);
        for (place, (line, table)) in self.tables(root, "artifacts").into_iter().enumerate() {
            self.entry(table, place + 1, line);
        }
        self.duplicates();
        for (place, (line, table)) in self.tables(root, "groups").into_iter().enumerate() {
            self.group(table, place, line);
        }
        for (line, table) in self.tables(root, "tag_definitions") {
            self.tag(table, line);
        }
        for (line, table) in self.tables(root, "mcp_servers") {
            self.server(table, line);
        }
        self.aliases();
    }

    /// The tables of an array of tables, however it is written, with their lines.
    fn tables<'t, 'a>(&mut self, root: &'t DeTable<'a>, key: &str) -> Vec<(u32, &'t DeTable<'a>)> {
        let Some(value) = root.get(key) else {
            return Vec::new();
        };
        let line = |value: &Spanned<DeValue<'_>>| self.lines.start(&value.span());
        let mut wrong = Vec::new();
        let mut tables = Vec::new();
        match value.get_ref() {
            DeValue::Array(items) => {
                for item in items {
                    match item.get_ref() {
                        DeValue::Table(table) => tables.push((line(item), table)),
                        other => wrong.push((line(item), other)),
                    }
                }
            }
            other => wrong.push((line(value), other)),
        }
        self.manifest
            .problems
            .extend(wrong.into_iter().map(|(line, value)| {
                let is = document::type_name(value);
                let message = format!("`{key}` must be an array of tables, but there is {is}");
                Problem::new("manifest.wrong_type", message).at(MANIFEST, Some(line))
            }));
        tables
    }

    fn header(&mut self, own: Option<&DeTable<'_>>, tool: Option<&DeTable<'_>>) {
        const KNOWN: [&str; 4] = ["name", "version", "created", "updated"];
        let inner = tool.and_then(|tool| {
            let mut fields = Fields::new(tool, self.lines, "`tool`", MANIFEST);
            let table = fields.table("skillmeat");
            self.unknown.extend(
                fields
                    .others(&["skillmeat"])
                    .map(|key| format!("tool.{key}")),
            );
            self.manifest.problems.append(&mut fields.problems);
            table
        });
        let (table, style, name) = match (own, inner) {
            (Some(table), _) => (table, HeaderStyle::Collection, "collection"),
            (None, Some(table)) => (table, HeaderStyle::ToolSkillmeat, "tool.skillmeat"),
            (None, None) => {
                let message = "there is no `[collection]` table";
                let problem = Problem::new("manifest.no_header", message).at(MANIFEST, None);
                self.manifest.problems.push(problem);
                return;
            }
        };
        let mut fields = Fields::new(table, self.lines, format!("`{name}`"), MANIFEST);
        self.unknown
            .extend(fields.others(&KNOWN).map(|key| format!("{name}.{key}")));
        self.manifest.header = Header {
            name: fields.text("name"),
            version: fields.text("version"),
            created: fields.text("created"),
            updated: fields.text("updated"),
            style,
        };
        self.manifest.problems.append(&mut fields.problems);
    }

    fn entry(&mut self, table: &DeTable<'_>, place: usize, line: u32) {
        match entry::read(table, place, line, self.lines) {
            Ok((entry, unknown)) => {
                self.unknown
                    .extend(unknown.into_iter().map(|key| format!("artifacts.{key}")));
                self.manifest.entries.push(entry);
            }
            Err(broken) => {
                self.manifest.problems.push(broken.problem.clone());
                self.manifest.broken.push(*broken);
            }
        }
    }

    /// Of two entries for one artifact the first counts.
    fn duplicates(&mut self) {
        let mut seen = HashSet::with_capacity(self.manifest.entries.len());
        let problems = &mut self.manifest.problems;
        self.manifest.entries.retain(|entry| {
            let first = seen.insert(entry.id.clone());
            if !first {
                let message = format!(
                    "there is a second entry for `{}`; the first counts",
                    entry.id
                );
                let problem = Problem::new("entry.duplicate", message);
                problems.push(problem.at(MANIFEST, Some(entry.line)));
            }
            first
        });
    }

    /// An alias means one artifact: not one that is called so, and not one that has the alias, too.
    fn aliases(&mut self) {
        let entries = &self.manifest.entries;
        let others = entries.iter().flat_map(|entry| &entry.aliases);
        let mut meant: HashMap<String, Vec<ArtifactId>> = others
            .map(|alias| (alias.to_ascii_lowercase(), Vec::new()))
            .collect();
        let servers = self.manifest.mcp_servers.iter();
        let servers = servers.map(|server| (&Kind::Mcp, &server.name));
        let named = entries.iter().map(|entry| (&entry.id.kind, &entry.id.name));
        for (kind, name) in named.chain(servers) {
            // Names that are nobody's alias take nothing.
            if let Some(ids) = meant.get_mut(&name.to_ascii_lowercase()) {
                ids.push(ArtifactId::new(kind.clone(), name.clone()));
            }
        }
        for entry in entries {
            for alias in &entry.aliases {
                let ids = meant.entry(alias.to_ascii_lowercase()).or_default();
                if let Some(other) = ids.iter().find(|id| **id != entry.id) {
                    let message =
                        format!("the alias `{alias}` of `{}` means `{other}`, too", entry.id);
                    let problem = Problem::new("entry.alias", message);
                    self.manifest
                        .problems
                        .push(problem.at(MANIFEST, Some(entry.line)));
                }
                ids.push(entry.id.clone());
            }
        }
    }

    /// A name that must be there.
    fn name(&mut self, fields: &mut Fields<'_, '_>, what: &str, line: u32) -> Option<String> {
        let name = fields.text("name").filter(|name| !name.trim().is_empty());
        if name.is_none() {
            let problem = Problem::new("manifest.no_name", format!("{what} has no name"));
            self.manifest
                .problems
                .push(problem.at(MANIFEST, Some(line)));
        }
        name
    }

    /// Whether no other thing of this sort had the name before.
    fn is_first(&mut self, what: &'static str, name: &str, line: u32) -> bool {
        if self.names.insert((what, name.to_owned())) {
            return true;
        }
        let message = format!("there is a second {what} `{name}`; the first counts");
        let problem = Problem::new("manifest.duplicate", message).at(MANIFEST, Some(line));
        self.manifest.problems.push(problem);
        false
    }

    fn group(&mut self, table: &DeTable<'_>, place: usize, line: u32) {
        const KNOWN: [&str; 6] = [
            "name",
            "description",
            "color",
            "icon",
            "position",
            "members",
        ];
        let mut fields = Fields::new(table, self.lines, "a group", MANIFEST);
        if let Some(name) = self.name(&mut fields, "a group", line) {
            let fallback = i64::try_from(place).unwrap_or(i64::MAX);
            let group = Group {
                description: fields.text("description").unwrap_or_default(),
                color: fields.text("color").unwrap_or_default(),
                icon: fields.text("icon").unwrap_or_default(),
                position: fields.integer("position").unwrap_or(fallback),
                members: fields.texts("members"),
                name,
            };
            self.unknown
                .extend(fields.others(&KNOWN).map(|key| format!("groups.{key}")));
            if self.is_first("group", &group.name, line) {
                self.manifest.groups.push(group);
            }
        }
        self.manifest.problems.append(&mut fields.problems);
    }

    fn tag(&mut self, table: &DeTable<'_>, line: u32) {
        const KNOWN: [&str; 4] = ["name", "slug", "color", "description"];
        let mut fields = Fields::new(table, self.lines, "a tag definition", MANIFEST);
        if let Some(name) = self.name(&mut fields, "a tag definition", line) {
            let tag = TagDefinition {
                slug: fields.text("slug").unwrap_or_else(|| name.clone()),
                color: fields.text("color").unwrap_or_default(),
                description: fields.text("description").unwrap_or_default(),
                name,
            };
            self.unknown.extend(
                fields
                    .others(&KNOWN)
                    .map(|key| format!("tag_definitions.{key}")),
            );
            if self.is_first("definition of the tag", &tag.name, line) {
                self.manifest.tag_definitions.push(tag);
            }
        }
        self.manifest.problems.append(&mut fields.problems);
    }

    fn server(&mut self, table: &DeTable<'_>, line: u32) {
        const KNOWN: [&str; 10] = [
            "name",
            "repo",
            "version",
            "description",
            "status",
            "resolved_sha",
            "resolved_version",
            "installed_at",
            "last_updated",
            "env_vars",
        ];
        let mut fields = Fields::new(table, self.lines, "an MCP server", MANIFEST);
        if let Some(name) = self.name(&mut fields, "an MCP server", line) {
            let server = McpServer {
                repo: fields.text("repo"),
                version: fields.text("version"),
                description: fields.text("description"),
                status: fields.text("status"),
                resolved_sha: fields.text("resolved_sha"),
                resolved_version: fields.text("resolved_version"),
                installed_at: fields.text("installed_at"),
                last_updated: fields.text("last_updated"),
                env_names: fields.table("env_vars").map(names_of).unwrap_or_default(),
                line,
                name,
            };
            self.unknown.extend(
                fields
                    .others(&KNOWN)
                    .map(|key| format!("mcp_servers.{key}")),
            );
            if self.is_first("MCP server", &server.name, line) {
                self.manifest.mcp_servers.push(server);
            }
        }
        self.manifest.problems.append(&mut fields.problems);
    }
}

fn names_of(table: &DeTable<'_>) -> Vec<String> {
    document::in_order(table)
        .into_iter()
        .map(|(key, _)| key.get_ref().as_ref().to_owned())
        .collect()
}

#[cfg(test)]
mod tests;
