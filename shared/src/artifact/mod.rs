//! Artifacts: how one is read from its files, and what is known of it.
//!
//! The files of an artifact are the truth about it; the manifest's entry stands beside them. Nothing
//! here drops an artifact because something in it is broken: what can't be read becomes a [`Problem`].

pub mod content;
pub mod detect;
pub mod discover;
pub mod frontmatter;
pub mod hash;
pub mod metadata;
pub mod name;
pub mod read;
pub mod scan;
pub mod tools;
pub mod validate;

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the frontmatter of an artifact was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParseStatus {
    /// It is valid YAML, or there is none.
    #[default]
    Strict,
    /// It became valid after plain scalars were quoted.
    Repaired,
    /// It can't be read: name and description come from the folder and the first paragraph.
    Fallback,
}

impl ParseStatus {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Repaired => "repaired",
            Self::Fallback => "fallback",
        }
    }

    /// The status with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Strict, Self::Repaired, Self::Fallback]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// Where an artifact stands between manifest and disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In the manifest and on disk.
    Managed,
    /// On disk, not in the manifest.
    Unmanaged,
    /// In the manifest, not on disk.
    Missing,
    /// Declared in the manifest and without files by nature: an entry of `[[mcp_servers]]`.
    Declared,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Managed,
        Self::Unmanaged,
        Self::Missing,
        Self::Declared,
    ];

    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Unmanaged => "unmanaged",
            Self::Missing => "missing",
            Self::Declared => "declared",
        }
    }

    /// The status with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something about an artifact or a collection that a person should know or mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// A stable name, such as `frontmatter.invalid`.
    pub code: String,
    /// What is wrong. Lower-case start, no full stop.
    pub message: String,
    /// The file, relative to the collection.
    pub path: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
}

impl Problem {
    /// A problem with nothing but a code and a message.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            path: None,
            line: None,
        }
    }

    /// The same problem with the file (relative to the collection) and line.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>, line: Option<u32>) -> Self {
        self.path = Some(path.into());
        self.line = line;
        self
    }
}

/// What an artifact says of itself, read from its own files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// `title`.
    pub title: Option<String>,
    /// `description`, or the first paragraph of the body.
    pub description: Option<String>,
    /// `author`.
    pub author: Option<String>,
    /// `license`.
    pub license: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `tags`, in their order, without repeats.
    pub tags: Vec<String>,
    /// Known tool names, normalised, without repeats.
    pub tools: Vec<String>,
    /// Tools as they are written, such as `Bash(git diff:*)`.
    pub tool_patterns: Vec<String>,
    /// `aliases`.
    pub aliases: Vec<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `dependencies`.
    pub dependencies: Vec<String>,
    /// The whole frontmatter as JSON; an empty object if there is none.
    pub frontmatter: serde_json::Map<String, serde_json::Value>,
    /// How the frontmatter was understood.
    pub parse_status: ParseStatus,
    /// What is wrong with it: message, and line in the file from 1.
    pub parse_error: Option<(String, Option<u32>)>,
}
