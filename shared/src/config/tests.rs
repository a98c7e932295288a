use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::paths::Home;

type Env = BTreeMap<String, String>;

struct Sample {
    _folder: tempfile::TempDir,
    home: Home,
}

impl Sample {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        crate::fs::write(&home.config(), text.as_bytes(), 0o600).unwrap();
        Self {
            _folder: folder,
            home,
        }
    }

    fn load(&self) -> Loaded {
        load(&self.home, &Env::new())
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.home.config()).unwrap()
    }
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn problems(loaded: &Loaded) -> Vec<(Code, Option<u32>)> {
    loaded
        .problems
        .iter()
        .map(|problem| (problem.code, problem.line))
        .collect()
}

#[test]
fn without_a_file_there_are_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&Home::at(folder.path()), &Env::new());
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.config, Config::default());
    assert!(
        loaded
            .settings
            .iter()
            .all(|setting| setting.origin == Origin::Default)
    );
    assert_eq!(loaded.setting("cache.ttl").unwrap().value, "6h");
}

#[test]
fn a_folder_in_the_place_of_the_file_is_to_be_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    std::fs::create_dir(home.config()).unwrap();
    let loaded = load(&home, &Env::new());
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.problems.len(), 1);
    assert!(
        loaded.problems[0].hints[0].contains("move"),
        "{:?}",
        loaded.problems
    );
}

#[test]
fn the_default_text_is_clean() {
    let sample = Sample::new(default_text());
    let loaded = sample.load();
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.config, Config::default());
    let line = |name: &str| loaded.setting(name).unwrap().origin.clone();
    assert_eq!(
        line("analytics.enabled"),
        Origin::File {
            path: sample.home.config(),
            line: 6
        }
    );
}

#[test]
fn the_ancestors_spellings_count_less_than_the_working_ones() {
    let sample = Sample::new(
        "github-token = \"ghp_top_level_000\"\ndefault-collection = \"top\"\n[settings]\n\
         default-collection = \"inner\"\n[api]\nlog_level = \"DEBUG\"\ncache_ttl_hours = 2\nport = \"8000\"\n\
         [github]\ntoken = \"ghp_github_table\"\n[collection]\npath = \"~/more\"\n",
    );
    let loaded = load(&sample.home, &env(&[("HOME", "/u")]));
    assert_eq!(loaded.problems, []);
    let config = &loaded.config;
    assert_eq!(config.default_collection, "inner");
    assert_eq!(
        config.github_token.as_ref().unwrap().expose(),
        "ghp_top_level_000"
    );
    assert_eq!(config.log_level, Level::Debug);
    assert_eq!(config.cache_ttl, Duration::from_hours(2));
    assert_eq!(
        config.collection_path.as_deref(),
        Some(std::path::Path::new("/u/more"))
    );
    assert_eq!(loaded.setting("api.port").unwrap().value, 8000);
    let alias = loaded.setting("github-token").unwrap();
    assert_eq!(
        (alias.key.as_str(), alias.secret),
        ("settings.github-token", true)
    );
    assert_eq!(
        alias.origin,
        Origin::File {
            path: sample.home.config(),
            line: 1
        }
    );
    assert!(!format!("{loaded:?}").contains("top_level"));
}

#[test]
fn the_environment_overrides_the_file() {
    let sample = Sample::new("[cache]\nttl = \"1h\"\n[log]\nlevel = \"error\"\n");
    let env = env(&[
        ("SKILLMEAT_CACHE_TTL_HOURS", "0.5"),
        ("SKILLMEAT_LOG_LEVEL", "nonsense"),
        ("SKILLMEAT_CACHE_METADATA_TTL", " "),
        ("GITHUB_TOKEN", "second"),
        ("SKILLMEAT_GITHUB_TOKEN", "first"),
    ]);
    let loaded = load(&sample.home, &env);
    assert_eq!(loaded.config.cache_ttl, Duration::from_mins(30));
    assert_eq!(
        loaded.setting("cache.ttl").unwrap().origin,
        Origin::Environment {
            name: "SKILLMEAT_CACHE_TTL_HOURS".to_owned()
        }
    );
    assert_eq!(loaded.config.log_level, Level::Error);
    assert_eq!(loaded.config.cache_metadata_ttl, Duration::from_mins(30));
    assert_eq!(loaded.config.github_token, Some(Secret::new("first")));
    assert_eq!(problems(&loaded), [(Code::ConfigInvalid, None)]);
    assert!(loaded.problems[0].message.contains("SKILLMEAT_LOG_LEVEL"));
}

#[test]
fn what_is_wrong_is_said_and_passed_over() {
    let sample = Sample::new(
        "cache = 5\nwhat = 1\n[settings]\ndefault-collection = 7\ndefault_colection = \"x\"\n[log]\n\
         level = \"loud\"\nmax_files = 0\n[watch]\nsettle_ms = \"100\"\nmax_delay_ms = 20\n[daemon]\n\
         autostart = \"no\"\n[analytics]\nenabled = { a = 1 }\n[collection]\npath = \"relative\"\n",
    );
    let loaded = sample.load();
    assert_eq!(
        problems(&loaded),
        [
            (Code::ConfigInvalid, Some(1)),
            (Code::ConfigUnknownKey, Some(2)),
            (Code::ConfigInvalid, Some(4)),
            (Code::ConfigUnknownKey, Some(5)),
            (Code::ConfigInvalid, Some(7)),
            (Code::ConfigInvalid, Some(8)),
            (Code::ConfigInvalid, Some(15)),
            (Code::ConfigInvalid, Some(17)),
        ]
    );
    assert!(loaded.problems[3].hints[0].contains("settings.default-collection"));
    for problem in &loaded.problems {
        assert_eq!(problem.path, Some(sample.home.config()));
        assert!(!problem.hints.is_empty(), "{problem}");
    }
    let config = &loaded.config;
    assert_eq!(config.default_collection, "default");
    assert_eq!(config.log_max_files, 5);
    assert!(!config.daemon_autostart);
    // A delay below the time of rest makes no sense.
    assert_eq!(config.watch_settle, Duration::from_millis(100));
    assert_eq!(config.watch_max_delay, Duration::from_millis(100));
    assert_eq!(config.collection_path, None);
}

#[test]
fn a_syntax_error_leaves_the_defaults() {
    let sample = Sample::new("[cache]\nttl = \"1h\"\nmax_size_mb = \n");
    let loaded = sample.load();
    assert_eq!(problems(&loaded), [(Code::ConfigInvalid, Some(3))]);
    assert_eq!(loaded.config, Config::default());
    let error = set(&sample.home, "cache.ttl", "2h").unwrap_err();
    assert_eq!((error.code, error.line), (Code::ConfigInvalid, Some(3)));
    std::fs::remove_file(sample.home.config()).unwrap();
    std::fs::create_dir(sample.home.config()).unwrap();
    assert_eq!(problems(&sample.load()), [(Code::ConfigInvalid, None)]);
    let sample = Sample::new("");
    crate::fs::write(&sample.home.config(), b"a = 1\nb = \"\xff\"\n", 0o600).unwrap();
    assert_eq!(problems(&sample.load()), [(Code::ConfigInvalid, Some(2))]);
}

#[test]
fn tables_that_are_only_kept_are_shown() {
    let sample = Sample::new(
        "[platform.defaults.codex]\nroot = \".codex\"\n[scoring.weights]\ntrust = 0.5\n[instances.a]\nurl = \"u\"\nApi-Token = \"hunter2\"\n",
    );
    let loaded = sample.load();
    assert_eq!(loaded.problems, []);
    let setting = loaded.setting("platform.defaults.codex.root").unwrap();
    assert_eq!(
        (setting.value.as_str(), setting.used),
        (Some(".codex"), false)
    );
    assert_eq!(loaded.setting("scoring.weights.trust").unwrap().value, 0.5);
    let token = loaded.setting("instances.a.Api-Token").unwrap();
    assert_eq!((token.value.as_str(), token.secret), (Some("****"), true));
    let error = loaded.setting("cache.tll").unwrap_err();
    assert_eq!(error.code, Code::ConfigUnknownKey);
    assert_eq!(error.hints, ["did you mean `cache.ttl`?"]);
}

#[test]
fn tables_of_the_ancestor_are_checked_and_written_as_tables() {
    let sample = Sample::new("[settings]\n");
    let weights = "trust=0.5, quality = 0.3,match=0.2";
    for spelled in ["score-weights", "scoring.weights"] {
        set(&sample.home, spelled, weights).unwrap();
        let text = "[settings]\n\n[scoring.weights]\ntrust = 0.5\nquality = 0.3\nmatch = 0.2\n";
        assert_eq!(sample.text(), text);
        let loaded = sample.load();
        assert_eq!(loaded.problems, []);
        let whole = loaded.setting(spelled).unwrap();
        assert_eq!(whole.key, "scoring.weights");
        assert_eq!(whole.value["quality"], 0.3);
        assert!(unset(&sample.home, spelled).unwrap());
        assert_eq!(sample.text(), "[settings]\n");
    }
    set(
        &sample.home,
        "instances.a",
        "{ url = \"u\", edition = \"local\" }",
    )
    .unwrap();
    let loaded = sample.load();
    assert_eq!(loaded.setting("instances.a.url").unwrap().value, "u");
    for (key, text) in [
        ("score-weights", "trust=1"),
        ("score-weights", "trust=0.5,quality=0.5,match=0.5"),
        ("score-weights", "trust=a,quality=0.5,match=0.5"),
        ("platform.x", "y"),
        ("instances.a", "{ url ="),
        ("similarity.thresholds", "high=0.5,partial=0.5"),
    ] {
        let error = set(&sample.home, key, text).unwrap_err();
        assert_eq!(error.code, Code::ConfigInvalid, "{key} {text}");
        assert!(error.hints[0].contains("a table"), "{error:?}");
    }
    let sample = Sample::new(
        "[platform]\nx = 1\n[platform.defaults]\ncodex = \"y\"\n[scoring.weights]\ntrust = 1.0\n\
         quality = \"0.5\"\nmatch = 0\n[similarity.thresholds]\nhigh = 0.5\nlow = 0.6\n[memory]\nfederation = true\n",
    );
    assert_eq!(
        problems(&sample.load()),
        [2, 4, 5, 9].map(|line| (Code::ConfigInvalid, Some(line)))
    );
}

#[test]
fn a_duration_has_its_unit() {
    let sample = Sample::new("[cache]\nttl = \"6\"\nmetadata_ttl = 30\n[daemon]\nidle_exit = 0\n");
    let loaded = sample.load();
    assert_eq!(
        problems(&loaded),
        [2, 3].map(|line| (Code::ConfigInvalid, Some(line)))
    );
    assert!(loaded.problems[0].message.contains("with its unit"));
    assert_eq!(loaded.config.cache_ttl, Duration::from_hours(6));
    assert_eq!(loaded.config.daemon_idle_exit, Duration::ZERO);
    let error = set(&sample.home, "cache.ttl", "6").unwrap_err();
    assert_eq!(error.code, Code::ConfigInvalid);
    assert!(error.hints[0].contains("`1h30m`"), "{error:?}");
}

#[test]
fn a_first_line_leaves_no_blank_one() {
    let sample = Sample::new("github-token = \"a\"\n\n[settings]\n");
    assert!(unset(&sample.home, "github-token").unwrap());
    assert_eq!(sample.text(), "[settings]\n");
}

#[test]
fn setting_a_key_keeps_everything_else() {
    let text = "# mine\n[settings]\n  default-collection = \"default\" # why\nupdate-strategy = \"prompt\"\n\n\
                [unknown]\nx = [ 1,2 ]\n";
    let sample = Sample::new(text);
    let home = &sample.home;
    std::fs::set_permissions(home.config(), std::fs::Permissions::from_mode(0o644)).unwrap();
    set(home, "default-collection", "work").unwrap();
    assert_eq!(sample.text(), text.replace("\"default\"", "\"work\""));
    assert_eq!(
        std::fs::metadata(home.config()).unwrap().mode() & 0o777,
        0o600
    );
    set(home, "cache.max_size_mb", "250").unwrap();
    set(home, "daemon.autostart", "off").unwrap();
    set(home, "api.cache_ttl_hours", "1.5").unwrap();
    set(home, "search.project-roots", "a, b").unwrap();
    set(home, "platform.custom_context.enabled", "true").unwrap();
    set(home, "platform.custom_context.mode", "addendum").unwrap();
    let config = sample.load().config;
    assert_eq!(
        (config.cache_max_size_mb, config.daemon_autostart),
        (250, false)
    );
    assert_eq!(config.cache_ttl, Duration::from_mins(90));
    let loaded = sample.load();
    let value = |name: &str| loaded.setting(name).unwrap().value.to_string();
    assert_eq!(value("search.project-roots"), r#"["a","b"]"#);
    assert_eq!(value("platform.custom_context.enabled"), "true");
    assert_eq!(value("platform.custom_context.mode"), "\"addendum\"");
    assert!(
        sample
            .text()
            .starts_with("# mine\n[settings]\n  default-collection = \"work\" # why\n")
    );
    assert!(sample.text().contains("[unknown]\nx = [ 1,2 ]\n"));
}

#[test]
fn a_file_is_made_when_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path().join("new/home"));
    assert!(!unset(&home, "cache.ttl").unwrap());
    assert!(!home.root().exists());
    set(&home, "settings.github-token", "ghp_0123456789abcdef").unwrap();
    let loaded = load(&home, &Env::new());
    assert_eq!(
        loaded.setting("settings.github-token").unwrap().value,
        "ghp_****cdef"
    );
    assert_eq!(
        std::fs::metadata(home.config()).unwrap().mode() & 0o777,
        0o600
    );
}

#[test]
fn wrong_values_and_names_are_refused() {
    let sample = Sample::new("x = 1\n[settings]\n");
    let code = |key: &str, text: &str| set(&sample.home, key, text).unwrap_err().code;
    for (key, text) in [
        ("cache.ttl", "soon"),
        ("cache.ttl", "0s"),
        ("cache.max_size_mb", "-1"),
        ("log.level", "loud"),
        ("settings.update-strategy", "never"),
        ("settings.default-collection", "../x"),
        ("settings.github-token", " "),
        ("collection.path", "relative"),
        ("scoring", "1"),
        ("daemon.autostart", "maybe"),
    ] {
        assert_eq!(code(key, text), Code::ConfigInvalid, "{key} {text}");
    }
    for key in ["cache.tll", "", "a..b", "x", "settings"] {
        assert_eq!(code(key, "1"), Code::ConfigUnknownKey, "{key}");
    }
    let error = set(&sample.home, "settings.github-token", "\n").unwrap_err();
    assert!(!error.message.contains('\n'));
    assert_eq!(sample.text(), "x = 1\n[settings]\n");
    let blocked = Sample::new("cache = 1\n");
    assert_eq!(
        set(&blocked.home, "cache.ttl", "1h").unwrap_err().code,
        Code::ConfigInvalid
    );
}

#[test]
fn a_table_goes_with_its_last_key() {
    let without = |text: &str, key: &str| {
        let text = edit::without(std::path::Path::new("config.toml"), text, key);
        text.unwrap().unwrap()
    };
    let one = "[watch]\nsettle = \"1s\"\n";
    assert_eq!(without(one, "watch.settle"), "");
    let two = format!("[cache]\nttl = \"1h\"\n\n{one}");
    assert_eq!(without(&two, "watch.settle"), "[cache]\nttl = \"1h\"\n");
    let more = format!("{one}max_delay = \"9s\"\n");
    let left = "[watch]\nmax_delay = \"9s\"\n";
    assert_eq!(without(&more, "watch.settle"), left);
    let told = format!("# mine\n{one}");
    assert_eq!(without(&told, "watch.settle"), "# mine\n[watch]\n");
}

#[test]
fn unsetting_removes_every_spelling() {
    let sample = Sample::new(
        "github-token = \"a\" # c\nslip = 1\n[settings]\ngithub-token = \"b\"\n[github]\ntoken = \"c\"\n",
    );
    assert!(unset(&sample.home, "settings.github-token").unwrap());
    assert_eq!(sample.load().config.github_token, None);
    assert!(!unset(&sample.home, "github-token").unwrap());
    assert!(unset(&sample.home, "slip").unwrap());
    assert_eq!(
        unset(&sample.home, "slip").unwrap_err().code,
        Code::ConfigUnknownKey
    );
    assert_eq!(sample.load().problems, []);
}

#[test]
fn a_text_can_be_checked_before_it_is_kept() {
    let sample = Sample::new("");
    let found = |text: &str| check(&sample.home, text, &Env::new()).len();
    assert_eq!(found(default_text()), 0);
    assert_eq!(found("a = "), 1);
    assert_eq!(found("[cache]\nttl = \"1s\"\nmax = 2\n"), 1);
}

#[test]
fn secrets_are_masked() {
    assert_eq!(mask("ghp_0123456789y000"), "ghp_****y000");
    for short in ["", "a", "ghp_dummy", "éééé"] {
        assert_eq!(mask(short), "****");
    }
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "****");
}

#[test]
fn line_ends_of_another_system_are_read() {
    let sample = Sample::new("\u{feff}[cache]\r\nttl = \"2h\" # c\r\n");
    assert_eq!(sample.load().config.cache_ttl, Duration::from_hours(2));
    set(&sample.home, "cache.ttl", "3h").unwrap();
    assert_eq!(sample.load().config.cache_ttl, Duration::from_hours(3));
    assert_eq!(sample.text(), "\u{feff}[cache]\r\nttl = \"3h\" # c\r\n");
}
