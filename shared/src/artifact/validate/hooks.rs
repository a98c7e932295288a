//! Hooks of Claude Code: in `hooks.json`, in settings, and in the fields of skills and agents.

use std::path::Path;

use super::settings::{Node, What, is_there, shown};
use super::{Report, Subject};
use crate::Kind;

/// What can happen.
const EVENTS: [&str; 31] = [
    "SessionStart",
    "Setup",
    "SessionEnd",
    "UserPromptSubmit",
    "UserPromptExpansion",
    "PreToolUse",
    "PermissionRequest",
    "PermissionDenied",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "Notification",
    "MessageDisplay",
    "SubagentStart",
    "SubagentStop",
    "TaskCreated",
    "TaskCompleted",
    "Stop",
    "StopFailure",
    "TeammateIdle",
    "InstructionsLoaded",
    "ConfigChange",
    "CwdChanged",
    "DirectoryAdded",
    "FileChanged",
    "WorktreeCreate",
    "WorktreeRemove",
    "PreCompact",
    "PostCompact",
    "Elicitation",
    "ElicitationResult",
];

/// What does something then, and the keys that it needs.
const HANDLERS: [(&str, &[&str]); 5] = [
    ("command", &["command"]),
    ("http", &["url"]),
    ("mcp_tool", &["server", "tool"]),
    ("prompt", &["prompt"]),
    ("agent", &["prompt"]),
];

/// What stands for a plugin's own folder in a command.
const ROOT: &str = "${CLAUDE_PLUGIN_ROOT}/";

/// A file of hooks, or of settings with hooks in them.
pub(super) fn file(root: &Node, subject: &Subject<'_>, report: &mut Report) {
    let Some(hooks) = root.get("hooks") else {
        let message = "there is no `hooks`".to_owned();
        report.add("hook.shape", Some(root.line), message);
        return;
    };
    events(hooks, subject, report);
}

/// The table of events.
pub(super) fn events(hooks: &Node, subject: &Subject<'_>, report: &mut Report) {
    if !hooks.is_table() {
        let message = "`hooks` is no table of events".to_owned();
        report.add("hook.shape", Some(hooks.line), message);
        return;
    }
    for (event, entries) in hooks.table() {
        let name = shown(event);
        if !EVENTS.contains(&event.as_str()) {
            let near = EVENTS
                .iter()
                .find(|known| known.eq_ignore_ascii_case(event));
            let meant = near.map_or(String::new(), |known| format!("; it is spelled `{known}`"));
            let message = format!("nobody knows the event `{name}`{meant}");
            report.add("hook.event", Some(entries.line), message);
        }
        if !entries.is_list() {
            let message = format!("`{name}` is no list");
            report.add("hook.shape", Some(entries.line), message);
        }
        for entry in entries.list() {
            self::entry(&name, entry, subject, report);
        }
    }
}

/// One matcher with its handlers.
fn entry(event: &str, entry: &Node, subject: &Subject<'_>, report: &mut Report) {
    if !entry.is_table() {
        let message = format!("`{event}` holds something that is no table");
        report.add("hook.shape", Some(entry.line), message);
        return;
    }
    if let Some(matcher) = entry.get("matcher").filter(|matcher| !matcher.is_text()) {
        let message = "`matcher` is no text".to_owned();
        report.add("field.type", Some(matcher.line), message);
    }
    match entry.get("hooks") {
        Some(handlers) if handlers.is_list() => {
            for one in handlers.list() {
                handler(event, one, subject, report);
            }
        }
        found => {
            let line = found.map_or(entry.line, |found| found.line);
            let message = format!("an entry of `{event}` has no list `hooks`");
            report.add("hook.shape", Some(line), message);
        }
    }
}

fn handler(event: &str, handler: &Node, subject: &Subject<'_>, report: &mut Report) {
    let line = Some(handler.line);
    if !handler.is_table() {
        let message = format!("a handler of `{event}` is no table");
        report.add("hook.shape", line, message);
        return;
    }
    let Some(kind) = handler.get("type").and_then(Node::text) else {
        let message = format!("a handler of `{event}` has no `type`");
        report.add("hook.type", line, message);
        return;
    };
    let Some((_, needed)) = HANDLERS.iter().find(|(name, _)| *name == kind) else {
        let message = format!("a handler of `{event}` has the type `{}`", shown(kind));
        let line = handler.get("type").map(|node| node.line);
        report.add("hook.type", line, message);
        return;
    };
    for key in *needed {
        if handler.get(key).and_then(Node::text).is_none() {
            let message = format!("a handler of `{event}` has no `{key}`");
            report.add("hook.incomplete", line, message);
        }
    }
    fields(handler, subject, report);
    if let Some(command) = handler.get("command").filter(|_| kind == "command") {
        scripts(command, subject, report);
    }
}

/// The other keys of a handler.
fn fields(handler: &Node, subject: &Subject<'_>, report: &mut Report) {
    for (key, node) in handler.table() {
        let line = Some(node.line);
        let wanted = match key.as_str() {
            "timeout" => match node.what {
                What::Number(seconds) if seconds > 0.0 => continue,
                _ => "no number of seconds above 0",
            },
            "args" | "allowedEnvVars" if !node.is_texts() => "no list of texts",
            "async" | "asyncRewake" | "once" if !node.is_switch() => "neither true nor false",
            "headers" if !node.is_text_table() => "no table of texts",
            "if" | "statusMessage" | "shell" | "model" if !node.is_text() => "no text",
            "once" if !matches!(subject.kind, Kind::Skill | Kind::Command) => {
                let message = "`once` has an effect in the fields of skills only".to_owned();
                report.add("field.ignored", line, message);
                continue;
            }
            _ => continue,
        };
        report.add("field.type", line, format!("`{key}` is {wanted}"));
    }
}

/// Scripts of a plugin that a command names are there.
fn scripts(command: &Node, subject: &Subject<'_>, report: &mut Report) {
    if *subject.kind != Kind::Composite {
        return;
    }
    let text = command.text().unwrap_or_default();
    for (at, _) in text.match_indices(ROOT) {
        let rest = text.get(at + ROOT.len()..).unwrap_or_default();
        let is_end = |c: char| c.is_whitespace() || "\"'`;|&<>()".contains(c);
        let path = rest.split(is_end).next().unwrap_or_default();
        let is_plain = !path.is_empty() && !path.contains(['$', '*', '?', '{', '\\', '[']);
        if is_plain && !is_there(subject.files, Path::new(path)) {
            let message = format!("there is no `{}`, which a hook runs", shown(path));
            report.add("hook.script", Some(command.line), message);
        }
    }
}
