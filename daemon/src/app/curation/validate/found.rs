//! What there is to be held to rules at a path: an artifact, a plugin with its parts, or all of a folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::{detect, discover, name};
use skillmeat_shared::kind::Shape;
use skillmeat_shared::{Code, Kind, Result};

use super::Artifact;

/// The artifacts at a path that a person named.
pub(super) fn found(path: &Path) -> Result<Vec<Artifact>> {
    match detect::detect(path) {
        Ok(kind) => {
            if path.is_dir() && kind != Kind::Skill {
                let mut found = discover::discover(path, &mut |_| {})?;
                let is_plugin = kind == Kind::Composite;
                if is_plugin && !found.plugins.iter().any(|plugin| plugin == path) {
                    found.plugins.push(path.to_owned());
                }
                if !found.plugins.is_empty() {
                    return Ok(with_plugins(found));
                }
            }
            let is_inner = path.is_file() && kind.shape() == Shape::Folder;
            let outer = path.parent().filter(|_| is_inner).unwrap_or(path);
            let called = name::default_name(path, &kind).unwrap_or_default();
            Ok(vec![Artifact {
                id: format!("{kind}:{called}"),
                kind,
                path: outer.to_path_buf(),
            }])
        }
        Err(error) if error.code == Code::ArtifactUndetected && path.is_dir() => {
            let found = discover::discover(path, &mut |_| {})?;
            if found.candidates.is_empty() && found.plugins.is_empty() {
                return Err(error);
            }
            Ok(with_plugins(found))
        }
        // The file inside of an artifact stands for it.
        Err(error) => match path.parent().filter(|_| path.is_file()) {
            Some(folder) if folder.ends_with(".claude-plugin") => {
                found(folder.parent().unwrap_or(folder))
            }
            Some(folder) if detect::detect(folder).is_ok() => found(folder),
            _ => Err(error),
        },
    }
}

/// The plugins and lists of plugins that were found, and all parts that are more than settings of theirs.
fn with_plugins(found: discover::Discovery) -> Vec<Artifact> {
    let plugins = found.plugins;
    let covered: BTreeSet<PathBuf> = plugins
        .iter()
        .flat_map(|plugin| {
            [".mcp.json", "hooks", "hooks/hooks.json", ""].map(|part| plugin.join(part))
        })
        .collect();
    let is_covered = |part: &discover::Candidate| {
        matches!(part.kind, Kind::Hook | Kind::Mcp) && covered.contains(&part.path)
    };
    let mut all: Vec<Artifact> = found
        .candidates
        .into_iter()
        .filter(|part| !is_covered(part))
        .map(|one| Artifact {
            id: format!("{}:{}", one.kind, one.name),
            kind: one.kind,
            path: one.path,
        })
        .collect();
    all.extend(plugins.into_iter().map(|path| {
        let called = name::default_name(&path, &Kind::Composite).unwrap_or_default();
        Artifact {
            id: format!("{}:{called}", Kind::Composite),
            kind: Kind::Composite,
            path,
        }
    }));
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}
