//! `sm collection import URL`: a clone that one works in, of repositories that may be hostile.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, text, write};
use skillmeat_tests::repository::{Server, commit, git, noting_git, stand_in_for_ssh};
use skillmeat_tests::wait::until_true;

const MANIFEST: &str = "[tool.skillmeat]\nname = \"team\"\nversion = \"1.0.0\"\n\n\
    [[artifacts]]\nname = \"one\"\ntype = \"skill\"\npath = \"skills/one\"\norigin = \"local\"\n\
    added = \"2026-01-01T00:00:00\"\ntags = [\"shared\"]\n\n\
    [[groups]]\nname = \"All\"\nmembers = [\"one\"]\n\n\
    [[tag_definitions]]\nname = \"shared\"\nslug = \"shared\"\ncolor = \"#112233\"\n";

/// A repository that holds a collection, with two commits.
pub(crate) fn shared(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.path("served/team.git");
    write(folder.join("collection.toml"), MANIFEST);
    write(folder.join(".gitignore"), "*.log\n");
    commit(&folder, "first");
    skill(&folder.join("skills"), "one", "Shared");
    std::os::unix::fs::symlink("SKILL.md", folder.join("skills/one/link.md")).unwrap();
    commit(&folder, "second");
    folder
}

pub(crate) fn import(sandbox: &Sandbox, url: &str) -> Value {
    sandbox.json(&["collection", "import", url])
}

/// That the collection is there, with groups and tags, and is a clone like others.
fn is_whole(sandbox: &Sandbox, url: &str) {
    until_true("the rows of what was imported", || {
        sandbox.json(&["list", "-c", "team"])["total"] == 1
    });
    let shown = sandbox.json(&["collection", "show", "team"]);
    assert_eq!(
        shown["groups"][0]["members"],
        json!([{"member": "one", "id": "skill:one"}])
    );
    assert_eq!(shown["tag_definitions"][0]["color"], "#112233");
    let clone = sandbox.collection("team", "");
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
    assert_eq!(git(&clone, &["log", "--format=%s"]), "second\nfirst");
    assert_eq!(git(&clone, &["remote", "get-url", "origin"]), url);
    assert!(clone.join("skills/one/link.md").is_symlink());
    let keys = git(&clone, &["config", "--local", "--list", "--name-only"]);
    for key in keys.lines() {
        let is_harmless = [
            "core.repositoryformatversion",
            "core.filemode",
            "core.bare",
            "core.logallrefupdates",
            "remote.origin.url",
            "remote.origin.fetch",
        ]
        .contains(&key)
            || key.starts_with("branch.main.");
        assert!(is_harmless, "{keys}");
    }
    assert!(!clone.join(".git/hooks").exists());
    assert_eq!(leftovers(sandbox), 0);
}

/// What stands in the folder where repositories are fetched to, and half-made collections.
pub(crate) fn leftovers(sandbox: &Sandbox) -> usize {
    let count = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let entries = entries.map(|entry| entry.unwrap().file_name());
        entries
            .filter(|name| name.to_string_lossy().starts_with(".skillmeat-tmp-"))
            .count()
    };
    count(&sandbox.home().unpacked()) + count(&sandbox.home().collections())
}

#[test]
fn a_repository_becomes_a_clone_and_nothing_in_it_is_run() {
    let sandbox = Sandbox::initialised();
    let folder = shared(&sandbox);
    let proof = sandbox.path("was-run");
    write(folder.join(".gitattributes"), "* filter=evil\n");
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-q", "--amend", "-m", "second"]);
    // What the user's own git would run: a filter, hooks, and templates of hooks.
    let hook = format!("#!/bin/sh\ntouch {}\n", proof.display());
    for place in ["hooks/post-checkout", "template/hooks/post-checkout"] {
        use std::os::unix::fs::PermissionsExt as _;
        write(sandbox.path(place), &hook);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(sandbox.path(place), mode).unwrap();
    }
    write(
        sandbox.path(".gitconfig"),
        format!(
            "[filter \"evil\"]\n\tsmudge = touch {0}\n\trequired = true\n[core]\n\thooksPath = {1}\n\
             [init]\n\ttemplateDir = {2}\n",
            proof.display(),
            sandbox.path("hooks").display(),
            sandbox.path("template").display()
        ),
    );
    let url = format!("file://{}", folder.display());
    let dry = sandbox.json(&["collection", "import", &url, "--dry-run"]);
    assert_eq!(dry["items"][0]["result"], "would-import");
    assert!(!sandbox.collection("team", "").exists());
    assert_eq!(import(&sandbox, &url)["collection"], "team");
    assert!(!proof.exists());
    is_whole(&sandbox, &url);

    // What is new there comes with git, and is seen.
    skill(&folder.join("skills"), "two", "Pulled");
    commit(&folder, "third");
    git(
        &sandbox.collection("team", ""),
        &["pull", "-q", "--ff-only"],
    );
    sandbox.shows("two", "what was pulled", |shown| {
        shown["description"] == "Pulled"
    });
    // A deleted clone comes back with its history.
    sandbox.json(&["collection", "delete", "team", "--yes"]);
    assert!(!sandbox.collection("team", "").exists());
    sandbox.json(&["undo"]);
    let clone = sandbox.collection("team", "");
    assert_eq!(git(&clone, &["log", "--format=%s"]), "third\nsecond\nfirst");
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
}

#[test]
fn over_http_credentials_are_used_and_kept_nowhere() {
    let mut sandbox = Sandbox::new();
    let asked = sandbox.path("git.log");
    let folder = noting_git(&sandbox.path("bin"), &asked);
    sandbox.set("PATH", &format!("{}:/usr/bin:/bin", folder.display()));
    drop(sandbox.run(&["init"]).ok());
    shared(&sandbox);
    // me:s3cret
    let server = Server::start(&sandbox.path("served"), Some("Basic bWU6czNjcmV0"));
    let plain = server.url("", "team.git");
    let refused = sandbox.fails(&["collection", "import", &plain], 6);
    assert_eq!(refused["code"], "upstream.failed");
    let wrong = server.url("me:wr0ng@", "team.git");
    let refused = sandbox.fails(&["collection", "import", &wrong], 6);
    assert!(!refused.to_string().contains("wr0ng"), "{refused}");
    let done = import(&sandbox, &server.url("me:s3cret@", "team.git"));
    assert_eq!(done["items"][0]["result"], "imported");
    is_whole(&sandbox, &plain);
    assert!(server.heard().contains("bWU6czNjcmV0"));
    // Everybody on the machine can read the arguments of a process.
    let asked = std::fs::read_to_string(asked).unwrap();
    assert!(asked.contains(&plain), "{asked}");
    assert!(
        !asked.contains("s3cret") && !asked.contains("czNjcmV0"),
        "{asked}"
    );

    // Neither as it is written, nor as it was sent, in any file of the home.
    sandbox.stop();
    let said = sandbox.json(&["log"]).to_string() + &done.to_string();
    let mut folders = vec![sandbox.home().root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            let bytes = String::from_utf8_lossy(&bytes);
            let is_told = bytes.contains("s3cret") || bytes.contains("czNjcmV0");
            assert!(!is_told, "{}", entry.path().display());
        }
    }
    assert!(!said.contains("s3cret") && said.contains(&plain), "{said}");
    let error = sandbox.fails(
        &[
            "collection",
            "import",
            &server.url("me:s3cret@", "none.git"),
        ],
        6,
    );
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn over_ssh_nobody_is_asked_anything() {
    let mut sandbox = Sandbox::new();
    let log = sandbox.path("ssh.log");
    let folder = stand_in_for_ssh(&sandbox.path("bin"), &log);
    sandbox.set("PATH", &format!("{}:/usr/bin:/bin", folder.display()));
    drop(sandbox.run(&["init"]).ok());
    let folder = shared(&sandbox);
    let url = format!("ssh://git@host.example{}", folder.display());
    let with_password = url.replace("git@", "git:s3cret@");
    assert_eq!(import(&sandbox, &with_password)["collection"], "team");
    is_whole(&sandbox, &url);
    let asked = std::fs::read_to_string(&log).unwrap();
    assert!(asked.contains("BatchMode=yes"), "{asked}");
    assert!(
        asked.contains("git@host.example") && !asked.contains("s3cret"),
        "{asked}"
    );
    let short = format!("git@host.example:{}", folder.display());
    sandbox.json(&["collection", "import", &short, "--name", "again"]);
    assert!(sandbox.collection("again", ".git").is_dir());
    // A host is never taken for an option.
    let error = sandbox.fails(&["collection", "import", "ssh://-oProxyCommand=x/y"], 6);
    assert_eq!(error["code"], "upstream.failed");
}

/// A repository with one commit whose tree git itself would not make.
fn made_of(sandbox: &Sandbox, name: &str, lines: &str) -> String {
    let folder = sandbox.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    git(&folder, &["init", "-q"]);
    write(folder.join("collection.toml"), MANIFEST);
    let blob = git(&folder, &["hash-object", "-w", "collection.toml"]);
    let write_tree = |listing: String| {
        let file = folder.join(".git/listing");
        write(&file, listing);
        let mut command = std::process::Command::new("git");
        command.current_dir(&folder).args(["mktree", "--missing"]);
        command.stdin(std::fs::File::open(file).unwrap());
        let done = command.output().unwrap();
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    };
    let inner = write_tree(format!("100644 blob {blob}\tx\n"));
    let lines = lines.replace("BLOB", &blob).replace("TREE", &inner);
    let tree = write_tree(format!("100644 blob {blob}\tcollection.toml\n{lines}"));
    let commit = git(&folder, &["commit-tree", &tree, "-m", "odd"]);
    git(&folder, &["update-ref", "refs/heads/main", &commit]);
    format!("file://{}", folder.display())
}

#[test]
fn hostile_and_useless_repositories_leave_nothing_behind() {
    let sandbox = Sandbox::initialised();
    let fails = |source: &str, exit: i32, code: &str, why: &str| {
        let error = sandbox.fails(&["collection", "import", source], exit);
        let message = text(&error["message"]);
        assert!(
            error["code"] == code && message.contains(why),
            "{source}: {error}"
        );
        assert_eq!(leftovers(&sandbox), 0, "{source}");
        assert!(!sandbox.collection("team", "").exists(), "{source}");
    };
    let link = sandbox.path("target");
    for (n, (target, lines, why)) in [
        (
            "/etc/passwd",
            "120000 blob LINK\tpasswd\n",
            "`passwd` is a link that leads out",
        ),
        (
            "../../..",
            "120000 blob LINK\tup\n",
            "`up` is a link that leads out",
        ),
        (
            "x",
            "100644 blob BLOB\tREADME\n100644 blob BLOB\tReadme\n",
            "same name as",
        ),
        ("x", "100644 blob BLOB\tcon.md\n", "Windows keeps"),
    ]
    .iter()
    .enumerate()
    {
        write(&link, target);
        let name = format!("odd-{n}");
        let repository = sandbox.path(&name);
        std::fs::create_dir_all(&repository).unwrap();
        git(&repository, &["init", "-q"]);
        let object = git(&repository, &["hash-object", "-w", link.to_str().unwrap()]);
        let url = made_of(&sandbox, &name, &lines.replace("LINK", &object));
        fails(&url, 5, "archive.refused", why);
    }
    // Names that git checks for itself.
    for (name, lines, why) in [
        ("dots", "040000 tree TREE\t..\n", "hasDotdot"),
        ("dot-git", "040000 tree TREE\t.GIT\n", "hasDotgit"),
    ] {
        let url = made_of(&sandbox, name, lines);
        fails(&url, 6, "upstream.failed", why);
    }
    let plain = sandbox.path("plain");
    write(plain.join("README.md"), "no collection");
    commit(&plain, "x");
    fails(
        &format!("file://{}", plain.display()),
        3,
        "file.not_found",
        "it has no `collection.toml`",
    );
    let broken = sandbox.path("broken");
    write(broken.join("collection.toml"), "[tool");
    commit(&broken, "x");
    fails(
        &format!("file://{}", broken.display()),
        4,
        "manifest.invalid",
        "can't be read",
    );
    let empty = sandbox.path("empty");
    std::fs::create_dir_all(&empty).unwrap();
    git(&empty, &["init", "-q"]);
    for (source, why) in [
        (format!("file://{}", empty.display()), "HEAD"),
        ("file:///nowhere/at/all".to_owned(), "nowhere"),
        ("http://127.0.0.1:1/x".to_owned(), "127.0.0.1"),
        ("https://host.invalid/x".to_owned(), "host.invalid"),
    ] {
        fails(&source, 6, "upstream.failed", why);
    }
    fails(
        "https://me:s3cret@x.org/a?b",
        2,
        "usage.invalid_argument",
        "`https://x.org/a`",
    );
}

#[test]
fn submodules_are_left_out_and_told() {
    let sandbox = Sandbox::initialised();
    let commit = "257cc5642cb1a054f08cc83f2d943e56fd3ebe99";
    let url = made_of(
        &sandbox,
        "outer",
        &format!("160000 commit {commit}\tvendored\n"),
    );
    let done = import(&sandbox, &url);
    let item = &done["items"][0];
    assert_eq!(item["reason"], "without its submodule `vendored`", "{done}");
    assert!(sandbox.collection("team", "vendored").is_dir());
}

#[test]
fn a_daemon_that_is_killed_half_way_has_imported_nothing_or_all() {
    for (step, stands) in [
        ("import.fetched", false),
        ("change.recorded", false),
        ("change.placed", true),
    ] {
        let mut sandbox = Sandbox::initialised();
        let url = format!("file://{}", shared(&sandbox).display());
        sandbox.stop();
        sandbox.set("SKILLMEAT_FAILPOINTS", &format!("{step}=kill"));
        assert_ne!(
            sandbox.run(&["collection", "import", &url]).code,
            Some(0),
            "{step}"
        );
        sandbox.kill();
        sandbox.set("SKILLMEAT_FAILPOINTS", "");
        sandbox.ready();
        let team = sandbox.collection("team", "");
        assert_eq!(team.exists(), stands, "{step}");
        if !stands {
            drop(sandbox.run(&["collection", "import", &url]).ok());
        }
        assert_eq!(git(&team, &["status", "--porcelain"]), "", "{step}");
    }
}
