//! Which kind of artifact a file or a folder is, and whether it may be added as one.
//!
//! A folder is told by its manifest file, a lone Markdown file by the folder that it stands in, then by
//! its frontmatter.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::artifact::metadata::required_file;
use crate::artifact::{frontmatter, read};
use crate::{Code, Error, Kind, Result};

/// Bytes of a settings file that are looked at.
const SETTINGS_BYTES: usize = 1024 * 1024;

/// Manifest files that make a folder an artifact, in the order in which they are looked for. A plugin's
/// own manifest comes before the hooks and servers that a plugin may hold.
const MANIFESTS: &[(&str, Kind)] = &[
    ("SKILL.md", Kind::Skill),
    ("AGENT.md", Kind::Agent),
    (".claude-plugin/plugin.json", Kind::Composite),
    ("COMPOSITE.md", Kind::Composite),
    ("PLUGIN.md", Kind::Composite),
    ("hooks.json", Kind::Hook),
    ("hooks/hooks.json", Kind::Hook),
    ("settings.json", Kind::Hook),
    (".mcp.json", Kind::Mcp),
    ("mcp.json", Kind::Mcp),
    ("WORKFLOW.yaml", Kind::Workflow),
    ("WORKFLOW.yml", Kind::Workflow),
    ("WORKFLOW.json", Kind::Workflow),
    ("COMMAND.md", Kind::Command),
    ("SOUL.md", Kind::Soul),
];

/// The kind of container that a folder of this name is, whatever its case: `agents` holds agents.
pub(crate) fn container(name: &OsStr) -> Option<Kind> {
    let name = name.to_str()?.to_ascii_lowercase();
    Some(match name.as_str() {
        "skills" | "skill" | "claude-skills" => Kind::Skill,
        "commands" | "command" | "claude-commands" => Kind::Command,
        "agents" | "agent" | "subagents" | "claude-agents" => Kind::Agent,
        "hooks" | "hook" | "claude-hooks" => Kind::Hook,
        "mcp" | "mcp-servers" | "servers" | "mcp_servers" | "claude-mcp" => Kind::Mcp,
        "workflows" | "workflow" | "claude-workflows" => Kind::Workflow,
        "composites" | "composite" | "plugins" | "plugin" | "claude-composites" => Kind::Composite,
        "souls" | "soul-docs" => Kind::Soul,
        _ => return None,
    })
}

/// Whether a file is a document about its folder rather than an artifact.
pub fn is_document(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_ascii_lowercase();
    let names = [
        "readme",
        "changelog",
        "license",
        "contributing",
        "code_of_conduct",
        "security",
        "claude",
        "agents",
    ];
    stem.to_str().is_some_and(|stem| names.contains(&stem))
}

/// Whether a settings file has a `hooks` key.
pub(crate) fn has_hooks(path: &Path) -> bool {
    read::read_head(path, SETTINGS_BYTES)
        .is_ok_and(|bytes| frontmatter::parse_json(&bytes).fields.contains_key("hooks"))
}

/// The kind of the file or folder at `path`.
///
/// # Errors
///
/// `file.not_found`, or `artifact.undetected` naming what was looked for.
pub fn detect(path: &Path) -> Result<Kind> {
    let stat = fs::metadata(path).map_err(|error| Error::io("read", path, &error))?;
    let kind = if stat.is_dir() {
        folder(path)?
    } else if stat.is_file() {
        file(path)?
    } else {
        None
    };
    kind.ok_or_else(|| {
        let shown = path.display();
        let error = Error::new(Code::ArtifactUndetected, format!("can't tell what `{shown}` is"))
            .at(path, None);
        if stat.is_dir() {
            error
                .hint(
                    "a folder is told by one of SKILL.md, AGENT.md, COMMAND.md, settings.json with hooks, \
                     hooks.json, .mcp.json, .claude-plugin/plugin.json, WORKFLOW.yaml: name its kind with `--type`",
                )
                .hint("`sm add --all` finds every artifact below a folder")
        } else {
            error.hint("name its kind with `--type`")
        }
    })
}

fn folder(path: &Path) -> Result<Option<Kind>> {
    let names = names(path)?;
    for (manifest, kind) in MANIFESTS {
        let Some(found) = locate(path, &names, manifest) else {
            continue;
        };
        if *manifest == "settings.json" && !has_hooks(&found) {
            continue;
        }
        if matches!(kind, Kind::Hook | Kind::Mcp) && holds_several(path, &names)? {
            return Ok(None);
        }
        return Ok(Some(kind.clone()));
    }
    // What is left of the rule "a folder with Markdown is a command": one file, and nothing that makes
    // the folder a container of several artifacts.
    let holds_artifacts = path.file_name().and_then(container).is_some()
        || names
            .iter()
            .any(|name| container(name.as_os_str()).is_some());
    let markdown = names
        .iter()
        .map(Path::new)
        .filter(|name| is_markdown(name) && !is_document(name));
    Ok((!holds_artifacts && markdown.count() == 1).then_some(Kind::Command))
}

/// Whether a folder with hooks or servers holds other artifacts besides, so that it is none itself.
fn holds_several(path: &Path, names: &[PathBuf]) -> Result<bool> {
    if !names
        .iter()
        .any(|name| container(name.as_os_str()).is_some())
    {
        return Ok(false);
    }
    let parts = crate::artifact::discover::discover(path, &mut |_| {})?.candidates;
    let is_other = |kind: &Kind| !matches!(kind, Kind::Hook | Kind::Mcp);
    Ok(parts.len() > 1 || parts.iter().any(|part| is_other(&part.kind)))
}

fn names(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error: &std::io::Error| Error::io("read", folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)
        .map_err(|e| fail(&e))?
        .take(crate::artifact::scan::MAX_ENTRIES)
    {
        names.push(PathBuf::from(entry.map_err(|e| fail(&e))?.file_name()));
    }
    names.sort_unstable();
    Ok(names)
}

/// The manifest file of this name in a folder, in its exact spelling or, at the top, any other.
fn locate(folder: &Path, names: &[PathBuf], manifest: &str) -> Option<PathBuf> {
    let exact = folder.join(manifest);
    if exact.is_file() {
        return Some(exact);
    }
    let other = names
        .iter()
        .find(|name| name.as_os_str().eq_ignore_ascii_case(manifest))?;
    Some(folder.join(other)).filter(|path| path.is_file())
}

fn is_markdown(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

fn file(path: &Path) -> Result<Option<Kind>> {
    let name = path.file_name().unwrap_or_default();
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let full = fs::canonicalize(path).map_err(|error| Error::io("read", path, &error))?;
    if is("SKILL.md") || is("hooks.json") || (is("settings.json") && has_hooks(path)) {
        let shown = path.display();
        let folder = full.parent().unwrap_or(&full);
        return Err(Error::new(
            Code::ArtifactUndetected,
            format!("`{shown}` is one file of an artifact that is a folder"),
        )
        .hint(format!("name the folder: `{}`", folder.display()))
        .at(path, None));
    }
    if is(".mcp.json") || is("mcp.json") {
        return Ok(Some(Kind::Mcp));
    }
    // Of a link, the place where it stands counts before the one that it leads to.
    let named = std::path::absolute(path).unwrap_or_else(|_| full.clone());
    let around: Vec<Kind> = [&named, &full]
        .into_iter()
        .flat_map(|path| path.ancestors().skip(1).take(2))
        .filter_map(|p| p.file_name())
        .filter_map(container)
        .collect();
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    Ok(match extension.to_str() {
        Some("md") if is("AGENT.md") => Some(Kind::Agent),
        Some("md") if is("SOUL.md") => Some(Kind::Soul),
        Some("md") if is("COMMAND.md") => Some(Kind::Command),
        // A README beside agents is no agent, as long as nothing in it says so.
        Some("md") if is_document(path) && !reads_like_agent(path)? => None,
        Some("md") => {
            let told = around
                .into_iter()
                .find(|k| matches!(k, Kind::Agent | Kind::Command | Kind::Soul));
            Some(match told {
                Some(kind) => kind,
                None if reads_like_agent(path)? => Kind::Agent,
                None => Kind::Command,
            })
        }
        Some("yaml" | "yml" | "json") => {
            let is_workflow = is("WORKFLOW.yaml") || is("WORKFLOW.yml") || is("WORKFLOW.json");
            (is_workflow || around.contains(&Kind::Workflow)).then_some(Kind::Workflow)
        }
        Some("js" | "ts" | "py" | "sh") if around.contains(&Kind::Workflow) => {
            Some(Kind::Orchestration)
        }
        _ => None,
    })
}

/// An agent names itself and its tools or model; only commands have an argument hint.
fn reads_like_agent(path: &Path) -> Result<bool> {
    let bytes =
        read::read_head(path, read::MANIFEST_BYTES).map_err(|e| Error::io("read", path, &e))?;
    let fields = frontmatter::parse(&bytes).fields;
    let has = |key: &str| fields.contains_key(key);
    Ok(
        (has("tools") || has("model"))
            && has("name")
            && has("description")
            && !has("argument-hint"),
    )
}

/// Checks that the file or folder at `path` may be added as an artifact of this kind.
///
/// # Errors
///
/// `file.not_found`, or `artifact.invalid` saying what is missing.
pub fn check(kind: &Kind, path: &Path) -> Result<()> {
    let stat = fs::metadata(path).map_err(|error| Error::io("read", path, &error))?;
    let invalid = |message: String| Error::new(Code::ArtifactInvalid, message).at(path, None);
    let shown = path.display();
    if !stat.is_dir() && !stat.is_file() {
        return Err(invalid(format!("`{shown}` is neither a file nor a folder")));
    }
    let manifest = if stat.is_dir() {
        folder_manifest(kind, path)?
    } else {
        Some(path.to_owned()).filter(|_| takes_file(kind, path))
    };
    let Some(manifest) = manifest else {
        if matches!(kind, Kind::Other(_)) {
            return Ok(());
        }
        let error = match required_file(kind) {
            Some(wanted) if stat.is_dir() => {
                invalid(format!("`{shown}` is no {kind}: it has no {wanted}"))
            }
            _ => invalid(format!("`{shown}` is no {kind}: {}", shape(kind))),
        };
        return Err(error.hint("name another kind with `--type`, or mend the files"));
    };
    if stat.is_dir() && leads_out(path, &manifest) {
        let message = format!(
            "`{}` is a link that leads out of the folder, which a copy leaves out",
            manifest.display()
        );
        return Err(invalid(message).hint("put the file itself in its place and add it again"));
    }
    let bytes = read::read_head(&manifest, SETTINGS_BYTES)
        .map_err(|error| Error::io("read", &manifest, &error))?;
    let fault = match std::str::from_utf8(crate::artifact::content::whole_characters(&bytes)) {
        Ok(text)
            if text
                .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
                .is_empty() =>
        {
            "is empty"
        }
        Ok(_) => return Ok(()),
        Err(_) => "is not UTF-8",
    };
    Err(invalid(format!("`{}` {fault}", manifest.display())).hint("mend the file and add it again"))
}

/// Whether a file of a folder is a link, or behind one, that leads out of the folder.
fn leads_out(folder: &Path, file: &Path) -> bool {
    match (fs::canonicalize(folder), fs::canonicalize(file)) {
        (Ok(folder), Ok(file)) => !file.starts_with(folder),
        _ => true,
    }
}

/// Why a copy of what was found in a tree would not have the file that makes it an artifact.
pub(crate) fn is_not_copied(kind: &Kind, path: &Path) -> Option<String> {
    let (folder, manifest) = if path.is_dir() {
        (path, folder_manifest(kind, path).ok().flatten()?)
    } else {
        (path.parent()?, path.to_owned())
    };
    leads_out(folder, &manifest).then(|| {
        let name = manifest.strip_prefix(folder).unwrap_or(&manifest);
        format!(
            "`{}` is a link that leads out of its folder",
            name.display()
        )
    })
}

/// Whether a file of this name, in any case, makes its folder an artifact.
pub(crate) fn is_manifest(name: &OsStr) -> bool {
    MANIFESTS
        .iter()
        .any(|(manifest, _)| name.eq_ignore_ascii_case(manifest))
}

fn takes_file(kind: &Kind, path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let extension = extension.to_str().unwrap_or_default();
    match kind {
        Kind::Command | Kind::Agent | Kind::Soul => extension == "md",
        Kind::Mcp => path
            .file_name()
            .is_some_and(|name| name == ".mcp.json" || name == "mcp.json"),
        Kind::Workflow => matches!(extension, "yaml" | "yml" | "json"),
        Kind::Orchestration => matches!(extension, "js" | "ts" | "py" | "sh"),
        Kind::Skill | Kind::Hook | Kind::Composite | Kind::Other(_) => false,
    }
}

const fn shape(kind: &Kind) -> &'static str {
    match kind {
        Kind::Skill => "that is a folder with `SKILL.md`",
        Kind::Command | Kind::Agent | Kind::Soul => "that is one Markdown file",
        Kind::Hook => "that is a folder with `settings.json` or `hooks.json`",
        Kind::Mcp => "that is a folder with `.mcp.json` or `mcp.json`, or this file",
        Kind::Workflow => "that is a folder with `WORKFLOW.yaml`, or a YAML or JSON file",
        Kind::Composite => {
            "that is a folder with `.claude-plugin/plugin.json` or parts of a plugin"
        }
        Kind::Orchestration => "that is one .js, .ts, .py or .sh file",
        Kind::Other(_) => "it does not exist",
    }
}

/// The file that makes a folder an artifact of this kind.
fn folder_manifest(kind: &Kind, path: &Path) -> Result<Option<PathBuf>> {
    let names = names(path)?;
    let mut manifests = MANIFESTS.iter().filter(|(_, of)| of == kind);
    if let Some(found) = manifests.find_map(|(manifest, _)| locate(path, &names, manifest)) {
        return Ok(Some(found));
    }
    Ok(match kind {
        Kind::Command | Kind::Agent | Kind::Soul => names
            .iter()
            .find(|name| is_markdown(name) && !is_document(name))
            .map(|name| path.join(name)),
        Kind::Composite => crate::artifact::discover::discover(path, &mut |_| {})?
            .candidates
            .into_iter()
            .find_map(|part| {
                folder_manifest(&part.kind, &part.path)
                    .ok()
                    .flatten()
                    .or(Some(part.path))
            }),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
