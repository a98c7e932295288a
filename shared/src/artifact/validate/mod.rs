//! What is wrong with an artifact by the rules of those who read it: the Agent Skills specification and Claude
//! Code.
//!
//! Pure: the caller reads the files. Every finding names a rule of [`RULES`], the file, and the line if there is
//! one. What can be mended without guessing carries its change.

mod agent;
mod body;
mod fields;
mod hooks;
mod marketplace;
mod mcp;
mod plugin;
mod rules;
mod settings;
mod skill;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::artifact::ParseStatus;
use crate::artifact::frontmatter::edit::Change;
use crate::artifact::frontmatter::{self, Document};

pub use rules::{RULES, Rule};
pub use settings::settings_files;

/// Findings of one artifact: more tell nothing new.
const MAX: usize = 1000;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Some program does not take the artifact, or takes it for something else.
    Error,
    /// Some program does less than was meant.
    Warning,
    /// Worth knowing.
    Advice,
}

impl Severity {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        }
    }
}

/// How a finding can be mended without guessing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Fields of the file change.
    Fields(Change),
    /// Values are quoted that are no YAML without quotes.
    Quote,
    /// The file gets this name.
    Rename(&'static str),
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that is broken.
    pub rule: &'static Rule,
    /// How much it matters, as strictly as was asked.
    pub severity: Severity,
    /// Relative to the artifact; the file's own name for artifacts of one file.
    pub file: String,
    /// From 1.
    pub line: Option<u32>,
    /// What is wrong. Lower-case start, no full stop.
    pub message: String,
    /// How it can be mended.
    pub fix: Option<Fix>,
}

/// An artifact as its files say it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What it is.
    pub kind: &'a Kind,
    /// What its folder or file is called.
    pub name: &'a str,
    /// Whether it is one file.
    pub is_file: bool,
    /// The file that says what it is and its bytes, if there is one.
    pub manifest: Option<(&'a Path, &'a [u8])>,
    /// All of its files.
    pub files: &'a [PathBuf],
    /// Those of [`settings_files`], with their bytes.
    pub settings: &'a [(PathBuf, Vec<u8>)],
}

/// Everything that is wrong, errors first, then by lines. `strict` holds it to the letter of the specification:
/// what is a warning otherwise is an error then.
pub fn validate(subject: &Subject<'_>, strict: bool) -> Vec<Finding> {
    let mut report = Report {
        findings: Vec::new(),
        file: String::new(),
        strict,
    };
    examine(subject, &mut report);
    settings::check(subject, &mut report);
    report.findings.sort_by(|a, b| {
        let key = |finding: &Finding| (finding.severity, finding.line, finding.rule.id);
        key(a).cmp(&key(b)).then_with(|| a.file.cmp(&b.file))
    });
    report.findings
}

fn examine(subject: &Subject<'_>, report: &mut Report) {
    let Some((file, bytes)) = subject.manifest else {
        if let Some(wanted) = crate::artifact::metadata::required_file(subject.kind) {
            report.add("file.missing", None, format!("there is no {wanted}"));
        }
        return;
    };
    report.file = file.to_string_lossy().into_owned();
    let Ok(text) = std::str::from_utf8(bytes) else {
        report.add("file.encoding", None, "it is not UTF-8".to_owned());
        return;
    };
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
        .is_empty()
    {
        report.add("file.empty", None, "it is empty".to_owned());
        return;
    }
    if subject.settings.iter().any(|(other, _)| other == file) {
        // It is read as settings, with lines.
        return;
    }
    let document = frontmatter::parse_file(file, bytes);
    readable(&document, (subject.kind, file, bytes), report);
    let page = Page {
        subject,
        text,
        document: &document,
    };
    match subject.kind {
        Kind::Skill => skill::check(&page, report),
        Kind::Command => skill::command(&page, report),
        Kind::Agent => agent::check(&page, report),
        _ => {}
    }
    if matches!(subject.kind, Kind::Skill | Kind::Command | Kind::Agent) {
        body::check(&page, report);
        inline(&page, report);
    }
    report.offer_what_works((subject.kind, file, bytes));
}

/// Hooks and servers in the fields.
fn inline(page: &Page<'_>, report: &mut Report) {
    let at = |key: &str| {
        let value = page.document.fields.get(key)?;
        Some(settings::Node::of(value, page.line(key).unwrap_or(1)))
    };
    if let Some(hooks) = at("hooks").filter(settings::Node::is_table) {
        hooks::events(&hooks, page.subject, report);
    }
    if let Some(servers) = at("mcpServers").filter(settings::Node::is_table) {
        mcp::servers(&servers, report);
    }
}

/// Whether the fields can be read at all.
fn readable(document: &Document, (kind, file, bytes): (&Kind, &Path, &[u8]), report: &mut Report) {
    let Some((message, line)) = &document.error else {
        if let Some((key, line)) = frontmatter::doubled(file, bytes) {
            let message = format!("invalid YAML: the key `{key}` stands twice");
            report.add("fields.invalid", line, message);
        }
        return;
    };
    if document.status != ParseStatus::Repaired {
        report.add("fields.invalid", *line, message.clone());
    } else if frontmatter::edit::quote(bytes, file, kind).is_ok() {
        report.fixable("fields.quotes", *line, message.clone(), Fix::Quote);
    } else {
        report.add("fields.quotes", *line, message.clone());
    }
}

/// What a check looks at.
struct Page<'a> {
    subject: &'a Subject<'a>,
    text: &'a str,
    document: &'a Document,
}

impl Page<'_> {
    /// The line of a field.
    fn line(&self, key: &str) -> Option<u32> {
        frontmatter::line_of(self.text, key)
    }
}

/// The findings so far.
struct Report {
    findings: Vec<Finding>,
    file: String,
    strict: bool,
}

impl Report {
    fn add(&mut self, rule: &str, line: Option<u32>, message: String) {
        self.put(rule, line, message, None);
    }

    fn fixable(&mut self, rule: &str, line: Option<u32>, message: String, fix: Fix) {
        self.put(rule, line, message, Some(fix));
    }

    /// Offers to change fields only where that can be done in the form in which they are written.
    fn offer_what_works(&mut self, (kind, file, bytes): (&Kind, &Path, &[u8])) {
        let quotes = |one: &Finding| one.fix == Some(Fix::Quote);
        let quoted = self.findings.iter().any(quotes);
        let quoted = quoted.then(|| frontmatter::edit::quote(bytes, file, kind));
        let quoted = quoted.and_then(Result::ok);
        let bytes = quoted.as_deref().unwrap_or(bytes);
        for finding in &mut self.findings {
            if let Some(Fix::Fields(change)) = &finding.fix {
                let changes = std::slice::from_ref(change);
                if frontmatter::edit::edit(bytes, file, kind, changes).is_err() {
                    finding.fix = None;
                }
            }
        }
    }

    fn put(&mut self, rule: &str, line: Option<u32>, message: String, fix: Option<Fix>) {
        let Some(rule) = RULES.iter().find(|known| known.id == rule) else {
            return;
        };
        if self.findings.len() >= MAX {
            return;
        }
        self.findings.push(Finding {
            rule,
            severity: if self.strict {
                rule.strict
            } else {
                rule.severity
            },
            file: self.file.clone(),
            line,
            message,
            fix,
        });
    }
}

#[cfg(test)]
mod tests;
