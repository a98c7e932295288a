//! Clearing away what a program that was killed left half-written.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::atomic::TEMP_PREFIX;

/// How old a temporary must be before it counts as left behind: another machine may share the folder and be
/// at work on it.
pub const LEFT_BEHIND: Duration = Duration::from_mins(10);

/// Deletes temporaries of ours in a folder that were left behind; tells how many. Links are never followed,
/// and what can't be deleted stays for the next time.
pub fn sweep(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| is_left_behind(entry) && remove(&entry.path()))
        .count()
}

/// Deletes temporaries of ours that were left behind in a folder and the folders in it, so many levels down; tells how
/// many. No more than so many entries are looked at. Among the files of others, names must be just as we make them.
pub fn sweep_below(folder: &Path, levels: usize, entries: &mut usize) -> usize {
    let mut swept = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(left) = entries.checked_sub(1) else {
            return swept;
        };
        *entries = left;
        if is_left_behind(&entry) && is_our_name(&entry.file_name()) {
            swept += usize::from(remove(&entry.path()));
        } else if levels > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            swept += sweep_below(&entry.path(), levels - 1, entries);
        }
    }
    swept
}

/// Deletes temporaries in a folder that those made who owned our home before us, however young: they are dead. Tells how
/// many.
pub fn sweep_predecessors(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let theirs = entries.filter(|entry| {
        let name = entry.file_name();
        let parts = parts_of(&name).map(|parts| parts.map(String::from_utf8_lossy));
        parts.is_some_and(|[process, serial, mark]| {
            super::atomic::is_of_predecessor(&process, &serial, &mark)
        })
    });
    theirs.filter(|entry| remove(&entry.path())).count()
}

/// Whether a name is one that [`Temporary`](super::atomic::Temporary) makes.
fn is_our_name(name: &OsStr) -> bool {
    parts_of(name).is_some()
}

/// Process, number and mark (or moment) in a name that [`Temporary`](super::atomic::Temporary) makes, perhaps with an
/// extension.
fn parts_of(name: &OsStr) -> Option<[&[u8]; 3]> {
    let rest = name
        .as_encoded_bytes()
        .strip_prefix(TEMP_PREFIX.as_bytes())?;
    let rest = rest.split(|byte| *byte == b'.').next().unwrap_or_default();
    let parts: Vec<&[u8]> = rest.split(|byte| *byte == b'-').collect();
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    match parts.as_slice() {
        [process, serial, mark]
            if is_number(process)
                && is_number(serial)
                && mark.len() == 8
                && mark.iter().all(u8::is_ascii_hexdigit) =>
        {
            Some([process, serial, mark])
        }
        _ => None,
    }
}

/// Whether an entry is a temporary of ours that was left behind.
pub fn is_left_behind(entry: &fs::DirEntry) -> bool {
    let is_ours = entry
        .file_name()
        .as_encoded_bytes()
        .starts_with(TEMP_PREFIX.as_bytes());
    is_ours
        && entry
            .metadata()
            .and_then(|found| found.modified())
            .is_ok_and(|at| {
                SystemTime::now()
                    .duration_since(at)
                    .is_ok_and(|age| age > LEFT_BEHIND)
            })
}

fn remove(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).is_ok(),
        Ok(_) => fs::remove_file(path).is_ok(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::atomic::{Temporary, own_temporaries};

    #[test]
    fn what_the_owners_before_us_left_goes_however_young_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // As another process, before it was known who owns what.
        let stray = Temporary::name_in(folder.path());
        fs::create_dir(&stray).unwrap();
        assert_eq!(sweep_predecessors(folder.path()), 0);
        own_temporaries(folder.path(), "here").unwrap();
        let ours = Temporary::name_in(folder.path());
        fs::create_dir(&ours).unwrap();
        assert_eq!(sweep_predecessors(folder.path()), 0);
        let name = ours.file_name().unwrap();
        let parts = parts_of(name).unwrap();
        let [process, serial, mark] = parts.map(|part| str::from_utf8(part).unwrap());
        let serial: u64 = serial.parse().unwrap();
        let other = u32::from_str_radix(mark, 16).unwrap() ^ 1;
        let theirs = [
            format!("{TEMP_PREFIX}1{process}-{serial}-{mark}"),
            format!("{TEMP_PREFIX}{process}-{}-{mark}.lock", serial - 1_000_000),
        ];
        let others = [
            format!("{TEMP_PREFIX}1{process}-{serial}-{other:08x}"),
            format!("{TEMP_PREFIX}1{process}-{serial}-{mark}-notes"),
            format!("1{process}-{serial}-{mark}"),
        ];
        for name in theirs.iter().chain(&others) {
            fs::create_dir(at(name)).unwrap();
            fs::create_dir(at(name).join("skills")).unwrap();
        }
        assert_eq!(sweep_predecessors(folder.path()), 2);
        assert!(others.iter().all(|name| at(name).exists()));
        assert!(ours.exists() && stray.exists());
        assert_eq!(sweep_predecessors(&at("nowhere")), 0);
    }

    #[test]
    fn only_old_temporaries_go() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            "SKILL.md",
            ".skillmeat-tmp-1-young",
            ".skillmeat-tmp-1-old",
            ".other-tmp",
        ] {
            fs::File::create(at(name)).unwrap();
        }
        fs::create_dir(at(".skillmeat-tmp-2-folder")).unwrap();
        fs::create_dir(at(".skillmeat-tmp-2-folder/skills")).unwrap();
        let old = SystemTime::now() - LEFT_BEHIND * 2;
        for name in [
            "SKILL.md",
            ".skillmeat-tmp-1-old",
            ".skillmeat-tmp-2-folder",
            ".other-tmp",
        ] {
            fs::File::open(at(name)).unwrap().set_modified(old).unwrap();
        }
        assert_eq!(sweep(folder.path()), 2);
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, [".other-tmp", ".skillmeat-tmp-1-young", "SKILL.md"]);
        assert_eq!(sweep(&at("nowhere")), 0);
    }

    #[test]
    fn below_only_what_has_one_of_our_names_goes() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("skills/a/deep");
        fs::create_dir_all(&inner).unwrap();
        let old = SystemTime::now() - LEFT_BEHIND * 2;
        let made = Temporary::name_in(&inner);
        let made = made.file_name().unwrap().to_str().unwrap().to_owned();
        let with_extension = format!("{made}.md");
        let kept = [
            ".skillmeat-tmp-",
            ".skillmeat-tmp-1-2-notes",
            ".skillmeat-tmp-1-2-0123456g",
            ".skillmeat-tmp-about.md",
            "x.skillmeat-tmp-1-2-01234567",
        ];
        for name in kept
            .iter()
            .chain([&made.as_str(), &with_extension.as_str()])
        {
            let file = fs::File::create(inner.join(name)).unwrap();
            file.set_modified(old).unwrap();
        }
        fs::create_dir(inner.join(".skillmeat-tmp-1-2-01234567")).unwrap();
        let young = Temporary::name_in(folder.path());
        fs::File::create(&young).unwrap();
        let outside = tempfile::tempdir().unwrap();
        let there = outside.path().join(&made);
        fs::File::create(&there).unwrap().set_modified(old).unwrap();
        std::os::unix::fs::symlink(outside.path(), inner.join("link")).unwrap();

        assert_eq!(sweep_below(folder.path(), 2, &mut 100), 0);
        assert_eq!(sweep_below(folder.path(), 3, &mut 3), 0);
        assert_eq!(sweep_below(folder.path(), 3, &mut 100), 2);
        assert!(kept.iter().all(|name| inner.join(name).exists()));
        assert!(inner.join(".skillmeat-tmp-1-2-01234567").exists());
        assert!(young.exists() && there.exists());
    }
}
