//! Lists of plugins: `marketplace.json`.

use std::collections::HashSet;
use std::path::{Component, Path};

use super::settings::{Node, is_there, shown};
use super::{Report, Subject, plugin};

/// Where a plugin comes from, and the keys that this needs.
const SOURCES: [(&str, &[&str]); 6] = [
    ("github", &["repo"]),
    ("url", &["url"]),
    ("git-subdir", &["url", "path"]),
    ("npm", &["package"]),
    ("archive", &["url"]),
    ("command", &["command"]),
];

/// The longest command of a source, and the longest time that it may take, in seconds.
const COMMAND: usize = 500;

pub(super) fn check(root: &Node, subject: &Subject<'_>, report: &mut Report) {
    if !root.is_table() {
        report.add("market.shape", Some(root.line), "it is no table".to_owned());
        return;
    }
    plugin::name(root, "the marketplace", report);
    let owner = root.get("owner");
    if owner
        .and_then(|owner| owner.get("name"))
        .and_then(Node::text)
        .is_none()
    {
        let line = owner.map_or(root.line, |owner| owner.line);
        report.add(
            "market.shape",
            Some(line),
            "there is no `owner` with a `name`".to_owned(),
        );
    }
    let Some(plugins) = root.get("plugins").filter(|plugins| plugins.is_list()) else {
        let line = root
            .get("plugins")
            .map_or(root.line, |plugins| plugins.line);
        report.add(
            "market.shape",
            Some(line),
            "there is no list `plugins`".to_owned(),
        );
        return;
    };
    let base = root
        .get("metadata")
        .and_then(|metadata| metadata.get("pluginRoot"));
    let base = base.and_then(Node::text);
    let mut names = HashSet::new();
    for entry in plugins.list() {
        if !entry.is_table() {
            report.add(
                "market.shape",
                Some(entry.line),
                "a plugin is no table".to_owned(),
            );
            continue;
        }
        plugin::name(entry, "a plugin", report);
        let name = entry.get("name").and_then(Node::text).unwrap_or("?");
        if !names.insert(name) {
            let message = format!("the plugin `{}` is listed twice", shown(name));
            report.add("market.twice", Some(entry.line), message);
        }
        if let Some(strict) = entry.get("strict").filter(|strict| !strict.is_switch()) {
            let message = "`strict` is neither true nor false".to_owned();
            report.add("field.type", Some(strict.line), message);
        }
        match entry.get("source") {
            None => {
                let message = format!("the plugin `{}` has no `source`", shown(name));
                report.add("market.source", Some(entry.line), message);
            }
            Some(source) => match source.text() {
                Some(path) => local(path, source, base, subject, report),
                None => remote(source, report),
            },
        }
    }
}

/// A plugin beside the list.
fn local(
    path: &str,
    source: &Node,
    base: Option<&str>,
    subject: &Subject<'_>,
    report: &mut Report,
) {
    let line = Some(source.line);
    let leads_out = Path::new(path)
        .components()
        .any(|part| matches!(part, Component::ParentDir | Component::RootDir));
    let is_bare = !path.starts_with("./") && path != ".";
    if leads_out || is_bare && base.is_none() {
        let message = format!("`{}` does not begin with `./`, or leads out", shown(path));
        report.add("market.source", line, message);
        return;
    }
    let base = base.filter(|_| is_bare).unwrap_or_default();
    let whole = Path::new(base.trim_start_matches("./")).join(path.trim_start_matches("./"));
    let is_root = whole.as_os_str().is_empty() || path == ".";
    if !is_root && !is_there(subject.files, &whole) {
        report.add(
            "link.broken",
            line,
            format!("there is no `{}`", shown(path)),
        );
    }
}

fn remote(source: &Node, report: &mut Report) {
    let kind = source
        .get("source")
        .and_then(Node::text)
        .unwrap_or_default();
    let Some((_, needed)) = SOURCES.iter().find(|(name, _)| *name == kind) else {
        let message = format!("nobody knows the source `{}`", shown(kind));
        report.add("market.source", Some(source.line), message);
        return;
    };
    for key in *needed {
        if source.get(key).and_then(Node::text).is_none() {
            let message = format!("the source `{kind}` has no `{key}`");
            report.add("market.source", Some(source.line), message);
        }
    }
    let text = |key: &str| {
        source
            .get(key)
            .and_then(|node| Some((node.text()?, node.line)))
    };
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|c| c.is_ascii_hexdigit());
    for (key, length) in [("sha", 40), ("sha256", 64)] {
        if let Some((hash, line)) = text(key).filter(|(hash, _)| !is_hex(hash, length)) {
            let message = format!(
                "`{key}` is `{}`, not {length} hexadecimal digits",
                shown(hash)
            );
            report.add("market.source", Some(line), message);
        }
    }
    if let Some((url, line)) = text("url").filter(|_| kind == "archive")
        && !url.starts_with("https://")
    {
        let message = "an archive is fetched by https only".to_owned();
        report.add("market.source", Some(line), message);
    }
    if let Some((command, line)) = text("command").filter(|_| kind == "command") {
        let is_plain = command.bytes().all(|c| (b' '..=b'~').contains(&c));
        if command.len() > COMMAND || !is_plain {
            let message = format!("the command has more than {COMMAND} characters, or odd ones");
            report.add("market.source", Some(line), message);
        }
        report.add(
            "market.command",
            Some(line),
            "the source is a program that is run".to_owned(),
        );
    }
}
