//! The config: what a file means, and edits of one key.

use skillmeat_shared::config;
use skillmeat_shared::paths::{Environment, Home};

use super::lines_of;

/// No variable is set.
#[derive(Debug)]
struct Nothing;

impl Environment for Nothing {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
}

const KEY: &str = "cache.max_size_mb";

#[expect(clippy::disallowed_methods, reason = "others write like this")]
pub(super) fn check(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("home"));
    std::fs::create_dir(home.root()).unwrap();
    std::fs::write(home.config(), bytes).unwrap();
    let before = config::load(&home, &Nothing);
    for problem in &before.problems {
        let line = problem.line.unwrap_or(1);
        assert!((1..=lines_of(bytes)).contains(&line), "{problem:?}");
    }
    let text = || String::from_utf8(std::fs::read(home.config()).unwrap());
    let Ok(()) = config::set(&home, KEY, "321") else {
        // What can't be edited stays as it was.
        assert_eq!(std::fs::read(home.config()).unwrap(), bytes);
        return;
    };
    let once = text().unwrap();
    let set = config::load(&home, &Nothing);
    assert_eq!(set.setting(KEY).unwrap().value, 321);
    for (old, new) in before.settings.iter().zip(&set.settings) {
        assert!(
            old.key == KEY || (&old.key, &old.value) == (&new.key, &new.value),
            "{old:?} {new:?}"
        );
    }
    config::set(&home, KEY, "321").unwrap();
    assert_eq!(text().unwrap(), once, "twice is once");
    assert!(config::unset(&home, KEY).unwrap());
    assert!(!config::unset(&home, KEY).unwrap(), "gone is gone");
    let written = String::from_utf8(bytes.to_vec()).unwrap();
    let comments = |text: &str| text.matches('#').count();
    let named = written.contains("max_size_mb");
    assert!(
        named || comments(&text().unwrap()) >= comments(&written),
        "a comment vanished"
    );
}
