//! MCP servers as Claude Code reads them.

use super::settings::{Node, What, shown};
use super::{Report, Subject};
use crate::Kind;

/// How a server is reached.
const TYPES: [&str; 4] = ["stdio", "http", "sse", "ws"];

/// The shortest time that a server can be given, in ms.
const SHORTEST: f64 = 1000.0;

/// A file of servers.
pub(super) fn file(root: &Node, subject: &Subject<'_>, report: &mut Report) {
    match root.get("mcpServers") {
        Some(all) => servers(all, report),
        // Plugins may leave the outer table out.
        None if is_bare(root) => {
            if *subject.kind == Kind::Mcp {
                let message = "there is no `mcpServers` around the servers".to_owned();
                report.add("mcp.bare", Some(root.line), message);
            }
            servers(root, report);
        }
        None => {
            let message = "there is no `mcpServers`".to_owned();
            report.add("mcp.shape", Some(root.line), message);
        }
    }
}

/// Whether a table holds servers itself.
fn is_bare(root: &Node) -> bool {
    let is_server = |node: &Node| {
        ["command", "url", "type"]
            .iter()
            .any(|key| node.get(key).is_some())
    };
    !root.table().is_empty() && root.table().iter().all(|(_, node)| is_server(node))
}

/// A table of servers.
pub(super) fn servers(all: &Node, report: &mut Report) {
    if !all.is_table() {
        let message = "`mcpServers` is no table of servers".to_owned();
        report.add("mcp.shape", Some(all.line), message);
        return;
    }
    for (name, one) in all.table() {
        server(&shown(name), one, report);
    }
}

fn server(name: &str, server: &Node, report: &mut Report) {
    let line = Some(server.line);
    if !server.is_table() {
        report.add(
            "mcp.shape",
            line,
            format!("the server `{name}` is no table"),
        );
        return;
    }
    let has = |key: &str| server.get(key).and_then(Node::text).is_some();
    let kind = server.get("type");
    let said = kind.map(|kind| kind.text().unwrap_or_default());
    if let (Some(kind), Some(said)) = (kind, said.filter(|said| !TYPES.contains(said))) {
        let message = format!("the server `{name}` has the type `{}`", shown(said));
        report.add("mcp.type", Some(kind.line), message);
    } else if said.is_none() && has("url") && !has("command") {
        let message = format!("the server `{name}` has a `url` and no `type`");
        report.add("mcp.type", line, message);
    } else {
        let needed = match said {
            None | Some("stdio") => "command",
            Some(_) => "url",
        };
        if !has(needed) {
            let message = format!("the server `{name}` has no `{needed}`");
            report.add("mcp.incomplete", line, message);
        }
    }
    for (key, node) in server.table() {
        let wanted = match key.as_str() {
            "args" if !node.is_texts() => "no list of texts",
            "env" | "headers" if !node.is_text_table() => "no table of texts",
            "oauth" if !node.is_table() => "no table",
            "alwaysLoad" if !node.is_switch() => "neither true nor false",
            "timeout" => match node.what {
                What::Number(ms) if ms >= SHORTEST => continue,
                _ => "no number of milliseconds from 1000",
            },
            "headersHelper" => {
                let message =
                    format!("`headersHelper` of `{name}` is a command that runs by itself");
                report.add("mcp.helper", Some(node.line), message);
                continue;
            }
            _ => continue,
        };
        report.add(
            "field.type",
            Some(node.line),
            format!("`{key}` of `{name}` is {wanted}"),
        );
    }
}
