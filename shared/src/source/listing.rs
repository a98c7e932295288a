//! What git says that a repository holds, looked at before anything of it is on the disk.

use crate::bundle::archive::{Gate, Limits, Node};
use crate::fs::copy;
use crate::{Code, Error, Result};

/// What a repository may hold: what an imported archive may, but names that mean the same on every disk.
pub const LIMITS: Limits = Limits {
    entries: copy::MAX_ENTRIES,
    bytes: copy::MAX_BYTES,
    ratio: u64::MAX,
    portable: true,
    flat: false,
};

/// Links that are followed to where they lead.
const MAX_LINKS: usize = 1000;

/// Bytes of the longest link.
const MAX_LINK: u64 = 4096;

/// Holds what `git ls-tree -r -l -z` listed to the rules for what comes from somebody else. `target` reads where
/// a link leads, by the name of its object. The submodules, which nobody fetches.
///
/// # Errors
/// [`Code::ArchiveRefused`] or [`Code::FileTooLarge`], naming the entry; what `target` fails with.
pub fn check(
    listing: &[u8],
    target: &mut dyn FnMut(&str) -> Result<Vec<u8>>,
) -> Result<Vec<String>> {
    let mut gate = Gate::new(LIMITS);
    let mut submodules = Vec::new();
    let mut links = 0;
    for line in listing
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
    {
        let entry = Entry::parse(line).ok_or_else(|| {
            let message = "git lists something that can't be understood";
            Error::new(Code::UpstreamFailed, message)
        })?;
        let admitted = match entry.mode {
            "160000" => {
                submodules.push(
                    String::from_utf8_lossy(entry.path)
                        .escape_debug()
                        .to_string(),
                );
                gate.admit(entry.path, &Node::Folder)
            }
            "120000" => {
                links += 1;
                if links > MAX_LINKS || entry.size > MAX_LINK {
                    gate.admit(entry.path, &Node::Special("a link too many"))
                } else {
                    let target = target(entry.object)?;
                    gate.admit(entry.path, &Node::Symlink(&target))
                }
            }
            _ => gate
                .admit(entry.path, &Node::File(entry.size))
                .and_then(|path| gate.grow(entry.path, entry.size).map(|()| path)),
        };
        admitted.map_err(|error| {
            let message = format!("the repository can't be taken in: {}", error.message);
            Error::new(error.code, message)
                .hint("clone it yourself, look at it, and name the folder")
        })?;
    }
    Ok(submodules)
}

/// One line of the listing.
struct Entry<'a> {
    mode: &'a str,
    object: &'a str,
    size: u64,
    path: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads `mode SP type SP object SP+ size TAB path`; the size of a submodule is `-`.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let (facts, path) = line.split_at_checked(tab)?;
        let mut facts = std::str::from_utf8(facts).ok()?.split_ascii_whitespace();
        let (mode, _, object) = (facts.next()?, facts.next()?, facts.next()?);
        let size = match facts.next()? {
            "-" => 0,
            size => size.parse().ok()?,
        };
        Some(Self {
            mode,
            object,
            size,
            path: path.get(1..)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "257cc5642cb1a054f08cc83f2d943e56fd3ebe99";

    fn line(mode: &str, size: &str, path: &str) -> String {
        let kind = if mode == "160000" { "commit" } else { "blob" };
        format!("{mode} {kind} {OBJECT} {size:>7}\t{path}\0")
    }

    fn checked(lines: &[String], link: &str) -> Result<Vec<String>> {
        check(lines.concat().as_bytes(), &mut |object| {
            assert_eq!(object, OBJECT);
            Ok(link.as_bytes().to_vec())
        })
    }

    #[test]
    fn what_git_lists_is_let_in() {
        let lines = [
            line("100644", "12", "collection.toml"),
            line("100755", "1048576", "skills/one/run me.sh"),
            line("120000", "8", "skills/one/link.md"),
            line("160000", "-", "vendor/x"),
        ];
        assert_eq!(checked(&lines, "SKILL.md").unwrap(), ["vendor/x"]);
        assert_eq!(checked(&[], "").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn hostile_layouts_are_refused_by_name() {
        for (lines, link, why) in [
            (
                vec![line("120000", "8", "a/b")],
                "../../etc",
                "`a/b` is a link that leads out",
            ),
            (
                vec![line("120000", "8", "a")],
                "/etc/passwd",
                "`a` is a link that leads out",
            ),
            (
                vec![line("120000", "9999", "a")],
                "x",
                "`a` is a link too many",
            ),
            (
                vec![line("100644", "1", "a/../../x")],
                "",
                "leads out with `..`",
            ),
            (
                vec![
                    line("100644", "1", "skills/A"),
                    line("100644", "1", "skills/a"),
                ],
                "",
                "has the same name as `skills/A` on some disks",
            ),
            (
                vec![line("120000", "1", "a"), line("100644", "1", "a/b")],
                "b",
                "lies below an entry that is no folder",
            ),
            (
                vec![line("100644", "2000000000", "big")],
                "",
                "takes the whole above",
            ),
            (vec![line("100644", "1", "a\nb")], "", "control character"),
        ] {
            let error = checked(&lines, link).unwrap_err();
            assert!(error.message.contains(why), "{error}");
        }
        let many: Vec<String> = (0..=LIMITS.entries)
            .map(|n| line("100644", "0", &n.to_string()))
            .collect();
        assert_eq!(checked(&many, "").unwrap_err().code, Code::FileTooLarge);
        let odd = checked(&["nonsense\0".to_owned()], "").unwrap_err();
        assert_eq!(odd.code, Code::UpstreamFailed);
    }
}
