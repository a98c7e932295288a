//! `path` of an entry: relative to the collection, as both programs write it.

use std::path::Path;

use crate::kind::Shape;
use crate::{ArtifactId, Kind};

/// Where an artifact lies if its entry does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(pub String);

impl Home {
    /// The usual place of an artifact: `skills/x`, `agents/x.md`. `None` for kinds without one.
    pub fn of(id: &ArtifactId) -> Option<Self> {
        let container = id.kind.container()?;
        let ending = match id.kind.shape() {
            Shape::Markdown => ".md",
            Shape::Folder | Shape::Any => "",
        };
        Some(Self(format!("{container}/{}{ending}", id.name)))
    }
}

/// A path as it should be written, if it is written in another way: relative, with `/`, without what means
/// nothing. `Err` if it leads out of the collection.
#[expect(
    clippy::result_unit_err,
    reason = "there is nothing more to say of a path that leads out"
)]
pub fn normal_path(path: &str, root: &Path) -> Result<Option<String>, ()> {
    let slashed = path.replace('\\', "/");
    let relative = if slashed.starts_with('/') {
        let inside = Path::new(&slashed).strip_prefix(root).map_err(|_| ())?;
        inside.to_str().ok_or(())?.to_owned()
    } else {
        slashed
    };
    let parts: Vec<&str> = relative
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(());
    }
    let normal = parts.join("/");
    Ok((normal != path).then_some(normal))
}

/// What an absolute path of a collection that lay somewhere else would be in this one.
pub fn moved_path(path: &str, kind: &Kind) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let container = kind.container()?;
    let (_, inside) = path.rsplit_once(&format!("/{container}/"))?;
    let inside = match normal_path(inside, Path::new("/")) {
        Ok(normal) => normal.unwrap_or_else(|| inside.to_owned()),
        Err(()) => return None,
    };
    Some(format!("{container}/{inside}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_and_plain() {
        let root = Path::new("/home/me/c");
        let of = |path: &str| normal_path(path, root);
        assert_eq!(of("skills/a"), Ok(None));
        assert_eq!(of("skills/a/").unwrap().as_deref(), Some("skills/a"));
        assert_eq!(of("./skills//a").unwrap().as_deref(), Some("skills/a"));
        assert_eq!(of("skills\\a").unwrap().as_deref(), Some("skills/a"));
        assert_eq!(
            of("/home/me/c/skills/a").unwrap().as_deref(),
            Some("skills/a")
        );
        for bad in ["/etc", "../x", "skills/../../x", "", "/"] {
            assert_eq!(of(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn paths_of_a_moved_collection_are_found_by_the_folder_of_their_kind() {
        let of = |path: &str| moved_path(path, &Kind::Skill);
        assert_eq!(of("/old/skills/x/skills/a/").as_deref(), Some("skills/a"));
        for bad in ["skills/a", "/old/agents/a", "/skills/../..", "/old/skills/"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn usual_places_are_those_of_the_ancestor() {
        let of = |kind: Kind| Home::of(&ArtifactId::new(kind, "x")).map(|home| home.0);
        assert_eq!(of(Kind::Skill).as_deref(), Some("skills/x"));
        assert_eq!(of(Kind::Command).as_deref(), Some("commands/x.md"));
        assert_eq!(of(Kind::Agent).as_deref(), Some("agents/x.md"));
    }
}
