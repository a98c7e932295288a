//! Failpoints: named steps at which a test makes the program die, hang, or meet a full or a broken disk.
//!
//! They exist in builds with debug assertions only, and only in a program that calls [`arm`], which is the
//! daemon; elsewhere [`hit`] is nothing. `SKILLMEAT_FAILPOINTS` tells what happens where: `name=action`,
//! several separated by `;`. `name=action@3` happens at the third hit only. The actions are `kill` (as a
//! power cut would), `panic`, `hang`, `enospc` and `eio`. A value `@/some/file` names a file that is read at
//! every hit, so that a running program can be told anew; hits are counted anew then. With such a file there
//! are two more actions: `wait` stands still until the file says something else, and `*=note` only takes notes.
//! Both write the steps that they pass to `/some/file.passed`, a line `name@count` for each.

/// The variable of the daemon that tells what happens where.
pub const VARIABLE: &str = "SKILLMEAT_FAILPOINTS";

/// The names of all failpoints, sorted. The part before the dot is the area.
pub const ALL: &[&str] = &[
    "atomic.after_place",
    "atomic.after_rename",
    "atomic.before_place",
    "atomic.before_rename",
    "atomic.create",
    "atomic.sync",
    "atomic.sync_folder",
    "atomic.write",
    "backup.before_copy",
    "backup.before_rename",
    "boot.after_cache",
    "boot.after_home",
    "boot.after_lock",
    "boot.after_rendezvous",
    "boot.after_socket",
    "boot.before_cache",
    "boot.serving",
    "change.before_rows",
    "change.placed",
    "change.placing",
    "change.planned",
    "change.ready",
    "change.recorded",
    "config.loaded",
    "copy.folder",
    "copy.sync",
    "copy.write",
    "exchange.after",
    "exchange.before",
    "exchange.flush",
    "history.after_commit",
    "history.before_begin",
    "history.before_commit",
    "import.fetched",
    "index.before_commit",
    "late.sealed",
    "migrate.after",
    "migrate.before",
    "migrate.before_commit",
    "reconcile.after_commit",
    "reconcile.before_begin",
    "reconcile.before_commit",
    "restore.flush",
    "restore.write",
    "shutdown.asked",
    "shutdown.before_checkpoint",
    "shutdown.before_cleanup",
    "shutdown.before_persist",
    "shutdown.before_seal",
    "store.after_commit",
    "store.before_begin",
    "store.before_commit",
    "task.accept",
    "task.ingest",
    "task.keeper",
    "task.schedule",
    "task.self_check",
    "task.text_index",
    "task.warnings",
    "task.watch",
];

/// The names of one area.
pub fn of_area(area: &str) -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .copied()
        .filter(move |name| name.split_once('.').is_some_and(|(first, _)| first == area))
}

/// Takes what [`VARIABLE`] says; only the first call counts.
#[cfg(not(debug_assertions))]
pub fn arm(_spec: Option<String>) {}

/// Passes a failpoint.
///
/// # Errors
/// What a test asked for.
#[cfg(not(debug_assertions))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature as where it does something"
)]
pub const fn hit(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(debug_assertions)]
pub use armed::{arm, hit};

/// Passes a failpoint that stands for no file of its own.
///
/// # Errors
/// What a test asked for, as [`Code::FileIo`](crate::Code::FileIo).
pub fn step(name: &'static str) -> crate::Result<()> {
    hit(name).map_err(|error| {
        crate::Error::new(crate::Code::FileIo, format!("`{name}` failed: {error}"))
    })
}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::HashMap;
    use std::fs;
    use std::io::{self, Write as _};
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    /// The rest between two looks of one who waits.
    const REST: Duration = Duration::from_millis(1);

    static SPEC: OnceLock<Option<String>> = OnceLock::new();

    /// How often each failpoint was passed since the program was told what to do.
    static HITS: Mutex<Option<Hits>> = Mutex::new(None);

    #[derive(Default)]
    struct Hits {
        told: String,
        counts: HashMap<&'static str, u64>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Action {
        Kill,
        Panic,
        Hang,
        Full,
        Broken,
        Wait,
        Note,
    }

    /// Takes what [`VARIABLE`](super::VARIABLE) says; only the first call counts.
    pub fn arm(spec: Option<String>) {
        SPEC.get_or_init(|| spec);
    }

    /// Passes a failpoint.
    ///
    /// # Errors
    /// What a test asked for.
    pub fn hit(name: &'static str) -> io::Result<()> {
        let Some(Some(spec)) = SPEC.get() else {
            return Ok(());
        };
        let file = spec.strip_prefix('@').map(Path::new);
        let told = file.map_or_else(|| spec.clone(), read);
        let count = count(&told, name);
        match action(&told, name, count) {
            None => Ok(()),
            Some(action) => act(action, name, count, file, &told),
        }
    }

    fn read(file: &Path) -> String {
        fs::read_to_string(file).unwrap_or_default()
    }

    fn count(told: &str, name: &'static str) -> u64 {
        let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
        let hits = hits.get_or_insert_default();
        if hits.told != told {
            told.clone_into(&mut hits.told);
            hits.counts.clear();
        }
        let count = hits.counts.entry(name).or_default();
        *count += 1;
        *count
    }

    /// What a test wants to happen at this hit.
    pub(super) fn action(spec: &str, name: &str, count: u64) -> Option<Action> {
        spec.split(';')
            .filter_map(|one| one.trim().split_once('='))
            .filter(|(wanted, what)| *wanted == name || (*wanted, *what) == ("*", "note"))
            .find_map(|(_, what)| {
                let (what, nth) = match what.split_once('@') {
                    Some((what, nth)) => (what, Some(nth.parse::<u64>().ok()?)),
                    None => (what, None),
                };
                if nth.is_some_and(|nth| nth != count) {
                    return None;
                }
                match what {
                    "kill" => Some(Action::Kill),
                    "panic" => Some(Action::Panic),
                    "hang" => Some(Action::Hang),
                    "enospc" => Some(Action::Full),
                    "eio" => Some(Action::Broken),
                    "wait" => Some(Action::Wait),
                    "note" => Some(Action::Note),
                    _ => None,
                }
            })
    }

    /// Tells a test that a step was passed.
    fn note(file: &Path, name: &str, count: u64) -> io::Result<()> {
        let mut passed = PathBuf::from(file).into_os_string();
        passed.push(".passed");
        let mut passed = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(passed)?;
        passed.write_all(format!("{name}@{count}\n").as_bytes())
    }

    #[expect(clippy::panic, reason = "a test asked for it")]
    fn act(
        action: Action,
        name: &str,
        count: u64,
        file: Option<&Path>,
        told: &str,
    ) -> io::Result<()> {
        match action {
            Action::Kill => {
                kill_process(getpid(), Signal::KILL)?;
                park()
            }
            Action::Panic => panic!("the failpoint `{name}` was asked to panic"),
            Action::Hang => park(),
            Action::Full => Err(Errno::NOSPC.into()),
            Action::Broken => Err(Errno::IO.into()),
            Action::Note => file.map_or(Ok(()), |file| note(file, name, count)),
            Action::Wait => {
                let Some(file) = file else { park() };
                note(file, name, count)?;
                while read(file) == told {
                    std::thread::park_timeout(REST);
                }
                Ok(())
            }
        }
    }

    fn park() -> ! {
        loop {
            std::thread::park();
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::armed::{Action, action};
    use super::*;

    #[test]
    fn the_list_is_sorted_and_every_name_has_an_area() {
        assert!(ALL.is_sorted() && ALL.iter().all(|name| name.contains('.')));
        assert_eq!(
            of_area("index").collect::<Vec<_>>(),
            ["index.before_commit"]
        );
    }

    #[test]
    fn a_spec_names_steps_actions_and_hits() {
        let spec =
            "boot.after_lock=kill; atomic.write=enospc@2;atomic.sync=eio;x=nonsense;y=hang@z";
        assert_eq!(action(spec, "boot.after_lock", 1), Some(Action::Kill));
        assert_eq!(action(spec, "boot.after_lock", 7), Some(Action::Kill));
        assert_eq!(action(spec, "atomic.write", 1), None);
        assert_eq!(action(spec, "atomic.write", 2), Some(Action::Full));
        assert_eq!(action(spec, "atomic.write", 3), None);
        assert_eq!(action(spec, "atomic.sync", 1), Some(Action::Broken));
        assert_eq!(action(spec, "x", 1), None);
        assert_eq!(action(spec, "y", 1), None);
        assert_eq!(action(spec, "boot", 1), None);
        assert_eq!(action("a=hang;a=panic@1", "a", 1), Some(Action::Hang));
        assert_eq!(action("a=wait@2", "a", 2), Some(Action::Wait));
        assert_eq!(action("*=note", "a", 4), Some(Action::Note));
        assert_eq!(action("*=kill", "a", 4), None);
        assert_eq!(action("a=panic@2;a=hang@1", "a", 1), Some(Action::Hang));
    }

    #[test]
    fn nothing_happens_where_nothing_is_asked_for() {
        hit("boot.after_lock").unwrap();
        step("boot.after_lock").unwrap();
    }
}
