//! What of a clone is somebody's work, and what git only keeps for itself: an index that was refreshed, objects that
//! were packed, logs.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Where git keeps its own things.
pub const GIT: &str = ".git";

/// What a path in a clone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Somebody's: the work tree, the config, a merge that is not finished.
    Own,
    /// Names of commits, which may stand in one file or in many.
    Refs,
    /// What the next commit is to hold, and how files looked.
    Index,
    /// What git makes anew, or nobody looks for.
    Upkeep,
}

/// What a path is, relative to the clone.
pub fn part(path: &Path) -> Part {
    let Ok(inner) = path.strip_prefix(GIT) else {
        return Part::Own;
    };
    match inner.as_os_str().as_bytes() {
        b"index" => Part::Index,
        b"HEAD" | b"packed-refs" | b"refs" => Part::Refs,
        b"objects" | b"logs" | b"FETCH_HEAD" | b"ORIG_HEAD" | b"gc.log" | b"gc.pid"
        | b"info/refs" => Part::Upkeep,
        _ if inner.starts_with("refs") => Part::Refs,
        _ if inner.starts_with("objects") || inner.starts_with("logs") => Part::Upkeep,
        _ => Part::Own,
    }
}

/// The names in `packed-refs` and what they mean.
pub fn packed_refs(text: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n');
    let named = lines.filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        let (hash, name) = line.split_at_checked(at)?;
        hash.iter()
            .all(u8::is_ascii_hexdigit)
            .then(|| (name.trim_ascii().to_vec(), hash.to_vec()))
    });
    named.collect()
}

/// One file that the next commit is to hold, without how it looked: mode, object, flags and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    mode: [u8; 4],
    object: [u8; OBJECT],
    flags: u8,
    more: [u8; 2],
    name: Vec<u8>,
}

/// Bytes of the name of an object.
const OBJECT: usize = 20;

/// Bytes of times, device and inode, before the mode.
const LOOKS: usize = 24;

/// Bytes of owner, group and size, behind the mode.
const OWNER: usize = 12;

/// Of the flags: there are more of them.
const EXTENDED: u8 = 0x40;

/// Of the flags: always taken as unchanged, and the stage. The others say how long the name is.
const MEANING: u8 = 0xb0;

/// The files in an index; nothing if it is none that we know, or if a part of it stands elsewhere.
pub fn staged(index: &[u8]) -> Option<Vec<Staged>> {
    let mut rest = index;
    if take(&mut rest, 4)? != b"DIRC" {
        return None;
    }
    let version = number(&mut rest)?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let mut all: Vec<Staged> = Vec::new();
    for _ in 0..number(&mut rest)? {
        let whole = rest.len();
        take(&mut rest, LOOKS)?;
        let mode = array(&mut rest)?;
        take(&mut rest, OWNER)?;
        let object = array(&mut rest)?;
        let [high, _]: [u8; 2] = array(&mut rest)?;
        let more = if high & EXTENDED != 0 {
            array(&mut rest)?
        } else {
            [0; 2]
        };
        let mut name = if version == 4 {
            let before = all.last().map_or(&[][..], |last| last.name.as_slice());
            let kept = before.len().checked_sub(varint(&mut rest)?)?;
            before.get(..kept)?.to_vec()
        } else {
            Vec::new()
        };
        let end = rest.iter().position(|byte| *byte == 0)?;
        name.extend(take(&mut rest, end)?);
        if version == 4 {
            take(&mut rest, 1)?;
        } else {
            // One to eight zeros, up to a multiple of eight.
            let used = whole - rest.len();
            take(&mut rest, 8 - used % 8)?;
        }
        all.push(Staged {
            mode,
            object,
            flags: high & MEANING,
            more,
            name,
        });
    }
    // Extensions, then a checksum.
    while rest.len() > OBJECT {
        if take(&mut rest, 4)? == b"link" {
            return None;
        }
        let size = number(&mut rest)?;
        take(&mut rest, usize::try_from(size).ok()?)?;
    }
    (rest.len() == OBJECT).then_some(all)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    take(rest, N)?.try_into().ok()
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    array(rest).map(u32::from_be_bytes)
}

/// A number of seven bits a byte, in which none can be written in two ways.
fn varint(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    loop {
        let [byte] = array(rest)?;
        value = value
            .checked_mul(128)?
            .checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        value = value.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_does_for_itself_is_told_from_work() {
        for (path, wanted) in [
            ("skills/a/SKILL.md", Part::Own),
            ("", Part::Own),
            (".gitignore", Part::Own),
            (".git", Part::Own),
            (".git/config", Part::Own),
            (".git/MERGE_HEAD", Part::Own),
            (".git/index.lock", Part::Own),
            (".git/hooks/pre-commit", Part::Own),
            (".git/refsx", Part::Own),
            (".git/index", Part::Index),
            (".git/HEAD", Part::Refs),
            (".git/refs/stash", Part::Refs),
            (".git/packed-refs", Part::Refs),
            (".git/objects/pack/x.pack", Part::Upkeep),
            (".git/logs/HEAD", Part::Upkeep),
            ("skills/.git/objects/x", Part::Own),
        ] {
            assert_eq!(part(Path::new(path)), wanted, "{path}");
        }
    }

    #[test]
    fn packed_names_are_read() {
        let text = b"# pack-refs with: peeled\n12ab refs/heads/main\n^34cd\n56ef refs/tags/v1\n";
        let found = packed_refs(text);
        let of = |name: &str| found.get(name.as_bytes()).map(Vec::as_slice);
        assert_eq!(found.len(), 2);
        assert_eq!(of("refs/heads/main"), Some(&b"12ab"[..]));
        assert_eq!(of("refs/tags/v1"), Some(&b"56ef"[..]));
    }

    /// An index of these names, as git writes it; `looks` stands for times and sizes.
    fn index(version: u32, names: &[&str], looks: u8, end: &[u8]) -> Vec<u8> {
        let mut out = b"DIRC".to_vec();
        out.extend(version.to_be_bytes());
        out.extend(u32::try_from(names.len()).unwrap().to_be_bytes());
        let mut before = "";
        for name in names {
            let start = out.len();
            out.extend([looks; LOOKS]);
            out.extend(0o100_644_u32.to_be_bytes());
            out.extend([looks; OWNER]);
            out.extend([7; OBJECT]);
            out.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
            if version == 4 {
                let same = before.bytes().zip(name.bytes());
                let same = same.take_while(|(one, other)| one == other).count();
                out.push(u8::try_from(before.len() - same).unwrap());
                out.extend(&name.as_bytes()[same..]);
                out.push(0);
            } else {
                out.extend(name.as_bytes());
                let used = out.len() - start;
                out.extend(vec![0; 8 - used % 8]);
            }
            before = name;
        }
        out.extend(end);
        out.extend([looks; OBJECT]);
        out
    }

    #[test]
    fn an_index_says_the_same_however_files_looked() {
        let names = ["a", "skills/one/SKILL.md", "skills/one/x"];
        for version in [2, 3, 4] {
            let old = staged(&index(version, &names, 1, b"")).unwrap();
            assert_eq!(old.len(), 3);
            assert_eq!(old[2].name, b"skills/one/x");
            assert_eq!(staged(&index(2, &names, 9, b"TREE\0\0\0\x02ab")), Some(old));
        }
        assert_ne!(
            staged(&index(2, &names, 1, b"")),
            staged(&index(2, &names[..2], 1, b""))
        );
    }

    #[test]
    fn what_is_no_index_or_only_a_part_of_one_is_nothing() {
        let whole = index(2, &["a", "b"], 1, b"");
        for end in 0..whole.len() {
            assert_eq!(staged(&whole[..end]), None, "{end}");
        }
        assert_eq!(staged(&index(2, &["a"], 1, b"link\0\0\0\0")), None);
        assert_eq!(staged(&index(5, &["a"], 1, b"")), None);
        assert_eq!(staged(b"DIRC\0\0\0\x02\xff\xff\xff\xff"), None);
    }
}
