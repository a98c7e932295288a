//! Files of every bad sort in an artifact: read as far as can be, never followed outside, never opened
//! where opening could hang.

use std::fmt::Write as _;
use std::fs::{File, hard_link};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{codes, copy, fixture, skill, text, write};

/// The artifact `x`, whose SKILL.md has this content.
fn with_manifest(content: impl AsRef<[u8]>) -> (Sandbox, Value) {
    let sandbox = Sandbox::initialised();
    write(sandbox.collection("default", "skills/x/SKILL.md"), content);
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let shown = sandbox.show("x");
    (sandbox, shown)
}

/// The home `x` lies in answers, and the good artifact beside it is there.
fn serves(sandbox: &Sandbox) {
    skill(&sandbox.collection("default", "skills"), "good", "Fine");
    sandbox.shows("good", "a good artifact beside it", |shown| {
        shown["description"] == "Fine"
    });
    assert!(sandbox.json(&["search", "fine"])["hits"].is_array());
}

fn kind_of(shown: &Value, path: &str) -> String {
    let files = shown["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"] == path);
    text(&file.unwrap_or_else(|| panic!("no {path} in {shown:#}"))["kind"])
}

#[test]
fn invalid_yaml_falls_back_to_folder_and_first_paragraph() {
    let (sandbox, shown) = with_manifest(
        "---\nname: x\n\t- : {a: b\n]]] *\n  description\n---\n# Title\n\nThe first paragraph.\n",
    );
    assert_eq!(shown["parse_status"], "fallback");
    assert_eq!(shown["name"], "x");
    assert_eq!(shown["description"], "The first paragraph.");
    assert!(
        shown["parse_error"]["line"].as_u64().unwrap() >= 2,
        "{shown:#}"
    );
    assert!(codes(&shown["problems"]).contains(&"frontmatter.invalid".to_owned()));
    let seen = sandbox.run(&["show", "x"]).ok().stdout;
    assert!(seen.contains("SKILL.md:"), "{seen}");
    serves(&sandbox);
}

#[test]
fn what_is_no_yaml_is_never_the_description() {
    for (yaml, line) in [
        ("\tname: x\n\tdescription: tabs", 2),
        ("name: x\n? [a", 3),
        ("? [a", 2),
    ] {
        let (_sandbox, shown) = with_manifest(format!("---\n{yaml}\n---\nPara.\n"));
        assert_eq!(shown["parse_status"], "fallback", "{yaml:?}");
        assert_eq!(shown["parse_error"]["line"], line, "{shown:#}");
        assert_eq!(shown["description"], "Para.", "{yaml:?}");
        assert_eq!(codes(&shown["problems"]), ["frontmatter.invalid"]);
    }
}

#[test]
fn plain_scalars_with_colons_are_repaired() {
    let (_sandbox, shown) =
        with_manifest("---\nname: x\ndescription: Use this: it works\ntags: [a, b]\n---\n");
    assert_eq!(shown["parse_status"], "repaired");
    assert_eq!(shown["description"], "Use this: it works");
    assert_eq!(shown["tags"], json!(["a", "b"]));
}

#[test]
fn no_frontmatter_is_no_fault() {
    let (_sandbox, shown) = with_manifest("# Heading\n\nJust words.\n");
    assert_eq!(shown["parse_status"], "strict");
    assert_eq!(shown["description"], "Just words.");
    assert_eq!(shown["problems"], json!([]));
}

#[test]
fn byte_order_marks_and_dos_line_ends_are_read() {
    let (_sandbox, shown) = with_manifest(
        "\u{feff}---\r\nname: x\r\ndescription: With a mark\r\ntags:\r\n  - dos\r\n---\r\nBody\r\n",
    );
    assert_eq!(shown["parse_status"], "strict");
    assert_eq!(shown["description"], "With a mark");
    assert_eq!(shown["tags"], json!(["dos"]));
}

#[test]
fn invalid_utf8_is_told_and_shown_as_far_as_it_goes() {
    let (sandbox, shown) =
        with_manifest(b"---\nname: x\ndescription: caf\xe9 con leche\n---\nBody \xff\xfe\n");
    assert!(
        text(&shown["description"]).contains("con leche"),
        "{shown:#}"
    );
    assert!(codes(&shown["problems"]).contains(&"file.encoding".to_owned()));
    assert!(shown["content_hash"].is_string());
    serves(&sandbox);
}

#[test]
fn nul_bytes_do_no_harm() {
    let (sandbox, shown) = with_manifest(b"---\nname: x\ndescription: a\0b\n---\nBody\0\0 zebra\n");
    assert!(shown["content_hash"].is_string());
    drop(sandbox.run(&["show", "x"]).ok());
    drop(sandbox.run(&["search", "zebra"]).ok());
    serves(&sandbox);
}

#[test]
fn ten_megabytes_of_frontmatter_are_bounded() {
    let mut content = String::from("---\nname: x\ndescription: Big\nnotes:\n");
    while content.len() < 10 << 20 {
        writeln!(
            content,
            "  - \"a line of notes that goes on and on and on\""
        )
        .unwrap();
    }
    content.push_str("---\nBody\n");
    let start = Instant::now();
    let (sandbox, shown) = with_manifest(&content);
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(shown["size"], content.len());
    assert!(shown["content_hash"].is_string());
    assert!(shown["frontmatter"].to_string().len() < 2 << 20);
    serves(&sandbox);
    let memory = sandbox.json(&["daemon", "status"])["memory_bytes"].as_u64();
    assert!(memory.unwrap() < 500 << 20, "{memory:?}");
}

#[test]
fn an_alias_bomb_does_not_go_off() {
    let mut bomb =
        String::from("---\nname: x\na: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (this, last) in ('b'..='j').zip('a'..) {
        let nine = vec![format!("*{last}"); 9].join(", ");
        writeln!(bomb, "{this}: &{this} [{nine}]").unwrap();
    }
    bomb.push_str("description: boom\n---\nBody\n");
    let start = Instant::now();
    let (sandbox, shown) = with_manifest(&bomb);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_ne!(shown["parse_status"], "strict", "{shown:#}");
    let memory = sandbox.json(&["daemon", "status"])["memory_bytes"].as_u64();
    assert!(memory.unwrap() < 300 << 20, "{memory:?}");
    serves(&sandbox);
}

#[test]
fn a_sparse_file_of_two_gigabytes_is_not_read() {
    let sandbox = Sandbox::initialised();
    let place = skill(&sandbox.collection("default", "skills"), "x", "Large");
    let file = File::create(place.join("disk.img")).unwrap();
    file.set_len(2 << 30).unwrap();
    let start = Instant::now();
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let shown = sandbox.shows("x", "the large artifact", |shown| shown["file_count"] == 2);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(shown["content_hash"], Value::Null);
    assert!(
        codes(&shown["problems"]).contains(&"hash.too_large".to_owned()),
        "{shown:#}"
    );
    assert_eq!(shown["description"], "Large");
    assert!(shown["size"].as_u64().unwrap() > 2 << 30);
    serves(&sandbox);
}

#[test]
fn fifos_sockets_and_devices_are_never_opened() {
    let sandbox = Sandbox::initialised();
    let place = skill(&sandbox.collection("default", "skills"), "x", "Special");
    mknodat(
        CWD,
        place.join("pipe"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let _socket = UnixListener::bind(place.join("socket")).unwrap();
    let device = mknodat(
        CWD,
        place.join("zero"),
        FileType::CharacterDevice,
        Mode::RUSR,
        rustix::fs::makedev(1, 5),
    );
    // A FIFO where the manifest should be would block for ever.
    let other = sandbox.collection("default", "skills/y");
    std::fs::create_dir_all(&other).unwrap();
    mknodat(
        CWD,
        other.join("SKILL.md"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    drop(sandbox.run(&["cache", "refresh", "--force"]).ok());
    let shown = sandbox.show("x");
    assert_eq!(kind_of(&shown, "pipe"), "special");
    assert_eq!(kind_of(&shown, "socket"), "special");
    if device.is_ok() {
        assert_eq!(kind_of(&shown, "zero"), "special");
    }
    assert_eq!(shown["description"], "Special");
    assert!(shown["content_hash"].is_string());
    assert_eq!(kind_of(&sandbox.show("y"), "SKILL.md"), "special");
    serves(&sandbox);
    // Nor when it is added.
    let error = sandbox.run(&["add", other.to_str().unwrap(), "--name", "z"]);
    assert_ne!(error.code, Some(0), "{error:?}");
}

#[test]
fn a_fifo_as_manifest_of_a_collection_blocks_nothing() {
    let sandbox = Sandbox::initialised();
    let place = sandbox.collection("pipes", "");
    std::fs::create_dir_all(&place).unwrap();
    mknodat(
        CWD,
        place.join("collection.toml"),
        FileType::Fifo,
        Mode::RUSR,
        0,
    )
    .unwrap();
    serves(&sandbox);
    sandbox.stop();
    sandbox.ready();
    serves(&sandbox);
}

#[test]
fn links_in_a_circle_come_to_an_end() {
    let sandbox = Sandbox::initialised();
    let place = skill(&sandbox.collection("default", "skills"), "x", "Round");
    symlink("..", place.join("up")).unwrap();
    symlink("b", place.join("a")).unwrap();
    symlink("a", place.join("b")).unwrap();
    symlink("nowhere", place.join("dangling")).unwrap();
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let shown = sandbox.shows("x", "the links", |shown| {
        shown["files"].as_array().unwrap().len() == 5
    });
    assert_eq!(shown["description"], "Round");
    assert_eq!(kind_of(&shown, "up"), "folder-link");
    for link in ["a", "b", "dangling"] {
        assert_eq!(kind_of(&shown, link), "broken-link");
    }
    assert!(shown["content_hash"].is_string());
    serves(&sandbox);
}

#[test]
fn links_that_leave_the_collection_are_not_read() {
    let sandbox = Sandbox::initialised();
    write(sandbox.path("secret.txt"), "the word is xylophone\n");
    skill(&sandbox.path("elsewhere"), "deep", "xylophone");
    let place = skill(&sandbox.collection("default", "skills"), "x", "Linked");
    symlink(sandbox.path("secret.txt"), place.join("secret.md")).unwrap();
    symlink(sandbox.path("elsewhere"), place.join("folder")).unwrap();
    symlink("/etc/passwd", place.join("passwd")).unwrap();
    // An artifact that is itself such a link.
    symlink(
        sandbox.path("elsewhere/deep"),
        sandbox.collection("default", "skills/out"),
    )
    .unwrap();
    drop(sandbox.run(&["cache", "refresh", "--force"]).ok());
    let shown = sandbox.shows("x", "the links", |shown| {
        !shown["problems"].as_array().unwrap().is_empty()
    });
    assert_eq!(shown["description"], "Linked");
    let told = shown["problems"].to_string();
    assert!(told.contains("secret.md"), "{told}");
    assert_eq!(codes(&sandbox.show("out")["problems"]), ["link.outside"]);
    sandbox.cache_until("the text index", |cache| cache["unindexed_artifacts"] == 0);
    let found = sandbox.json(&["search", "xylophone"]);
    assert_eq!(found["hits"], json!([]), "{found:#}");
    let everything = sandbox.run(&["list", "--all", "--json"]).ok().stdout;
    assert!(!everything.contains("xylophone"), "{everything}");
}

#[test]
fn a_file_that_can_not_be_read_is_told_and_the_rest_is_served() {
    let sandbox = Sandbox::initialised();
    let place = skill(&sandbox.collection("default", "skills"), "x", "Closed");
    let closed = place.join("closed.md");
    write(&closed, "words");
    let none = Mode::empty();
    rustix::fs::chmod(&closed, none).unwrap();
    if File::open(&closed).is_ok() {
        // A user who may read everything: permissions say nothing here.
        return;
    }
    drop(sandbox.run(&["cache", "refresh", "--force"]).ok());
    let shown = sandbox.shows("x", "the closed file", |shown| {
        !shown["problems"].as_array().unwrap().is_empty()
    });
    assert!(codes(&shown["problems"]).contains(&"file.unreadable".to_owned()));
    assert_eq!(shown["description"], "Closed");
    rustix::fs::chmod(&closed, Mode::RUSR).unwrap();
    sandbox.shows("x", "the file that was opened", |shown| {
        shown["problems"] == json!([])
    });
}

#[test]
fn a_folder_where_a_file_should_be_is_told() {
    let sandbox = Sandbox::initialised();
    let place = sandbox.collection("default", "skills/x");
    std::fs::create_dir_all(place.join("SKILL.md")).unwrap();
    write(sandbox.collection("default", "commands/y.md/z.txt"), "z");
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let shown = sandbox.show("x");
    assert!(
        codes(&shown["problems"]).contains(&"artifact.no_manifest".to_owned()),
        "{shown:#}"
    );
    serves(&sandbox);
}

#[test]
fn deep_trees_and_many_files_are_bounded() {
    let sandbox = Sandbox::initialised();
    let place = skill(&sandbox.collection("default", "skills"), "x", "Deep");
    let mut deep = place.clone();
    for _ in 0..200 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    write(deep.join("end.txt"), "end");
    drop(sandbox.run(&["cache", "refresh"]).ok());
    assert_eq!(sandbox.show("x")["description"], "Deep");
    serves(&sandbox);
}

#[test]
fn hard_links_and_edits_of_the_same_size_are_seen() {
    let sandbox = Sandbox::initialised();
    let place = skill(&sandbox.collection("default", "skills"), "x", "Aaaa");
    sandbox.shows("x", "the skill", |shown| shown["description"] == "Aaaa");
    let file = place.join("SKILL.md");
    let old = std::fs::metadata(&file).unwrap().modified().unwrap();
    let content = std::fs::read_to_string(&file).unwrap();
    // Same size, and the time put back: size and mtime lie.
    write(&file, content.replace("Aaaa", "Bbbb"));
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(old)
        .unwrap();
    sandbox.shows("x", "the edit behind its back", |shown| {
        shown["description"] == "Bbbb"
    });
    // The same while nobody watches.
    sandbox.stop();
    write(&file, content.replace("Aaaa", "Cccc"));
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(old)
        .unwrap();
    sandbox.ready();
    sandbox.shows("x", "the edit while nobody watched", |shown| {
        shown["description"] == "Cccc"
    });
    hard_link(&file, place.join("again.md")).unwrap();
    sandbox.shows("x", "the second name", |shown| shown["file_count"] == 2);
}

#[test]
fn the_clock_of_files_may_lie_in_the_future_or_before_the_epoch() {
    let sandbox = Sandbox::initialised();
    let place = skill(&sandbox.collection("default", "skills"), "x", "Odd times");
    let file = place.join("SKILL.md");
    for time in [
        std::time::UNIX_EPOCH - Duration::from_hours(24 * 365),
        std::time::UNIX_EPOCH + Duration::from_secs(8_000_000_000),
    ] {
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(time)
            .unwrap();
        drop(sandbox.run(&["cache", "refresh"]).ok());
        assert_eq!(sandbox.show("x")["description"], "Odd times");
        drop(sandbox.run(&["show", "x"]).ok());
        drop(sandbox.run(&["list", "--verbose"]).ok());
    }
}

#[test]
fn adding_follows_no_link_out_of_the_source() {
    let sandbox = Sandbox::initialised();
    write(sandbox.path("secret.txt"), "the word is xylophone\n");
    let source = sandbox.path("src/linked");
    copy(
        &fixture("../../shared/tests/fixtures/sources/skills/doc-writer"),
        &source,
    );
    symlink(sandbox.path("secret.txt"), source.join("secret.txt")).unwrap();
    symlink("/dev/zero", source.join("zero")).unwrap();
    mknodat(CWD, source.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let answer = sandbox.run(&["add", source.to_str().unwrap(), "--json"]);
    let copied = sandbox.collection("default", "skills/linked/secret.txt");
    let leaked = std::fs::read_to_string(&copied).unwrap_or_default();
    assert!(!leaked.contains("xylophone"), "{answer:?}");
    assert!(!Path::new(&sandbox.collection("default", "skills/linked/pipe")).exists());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(sandbox.show("linked")["status"], "managed");
}

#[test]
fn what_a_copy_leaves_out_is_told() {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("src/skills/linked");
    skill(&sandbox.path("src/skills"), "linked", "Has links");
    for name in ["a.md", "b.md", "c.md"] {
        symlink("/etc/passwd", source.join(name)).unwrap();
    }
    symlink(".", source.join("loop")).unwrap();
    mknodat(CWD, source.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let source = source.to_str().unwrap();
    let told = "`skills/linked` is copied without `a.md` (a link that leads out of it), \
                `b.md` (a link that leads out of it), `c.md` (a link that leads out of it) and 2 more";
    let planned = sandbox.json(&["add", source, "--dry-run"]);
    assert_eq!(planned["notes"], json!([told]));
    let added = sandbox.run(&["add", source]).ok();
    assert!(
        added.stderr.contains(told) || added.stdout.contains(told),
        "{added:?}"
    );
    drop(sandbox.run(&["remove", "linked", "--yes"]).ok());
    assert_eq!(sandbox.json(&["add", source])["notes"], json!([told]));
}

#[test]
fn an_artifact_whose_manifest_would_not_be_copied_is_not_added() {
    let sandbox = Sandbox::initialised();
    let tree = sandbox.path("src");
    write(
        tree.join("shared/text.md"),
        "---\ndescription: Shared\n---\n",
    );
    skill(&tree.join("skills"), "fine", "Its own");
    for (folder, file) in [("skills/lk", "SKILL.md"), ("odd/agent", "AGENT.md")] {
        std::fs::create_dir_all(tree.join(folder)).unwrap();
        symlink("../../shared/text.md", tree.join(folder).join(file)).unwrap();
        let error = sandbox.fails(&["add", tree.join(folder).to_str().unwrap()], 2);
        assert_eq!(error["code"], "artifact.invalid");
        let message = text(&error["message"]);
        assert!(
            message.contains(file) && message.contains("a link"),
            "{message}"
        );
    }
    assert!(sandbox.ids().is_empty());
    assert!(!sandbox.collection("default", "skills/lk").exists());
    let added = sandbox.json(&["add", "--all", tree.to_str().unwrap()]);
    assert_eq!((&added["added"], &added["skipped"]), (&json!(1), &json!(2)));
    let skipped = added["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| text(&item["source"]).ends_with("skills/lk"))
        .unwrap();
    assert_eq!(skipped["result"], "skipped");
    assert!(text(&skipped["reason"]).contains("SKILL.md"), "{skipped}");
    assert_eq!(sandbox.ids(), ["skill:fine"]);
}
