//! Clearing away what a program that was killed left half-written.

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
}
