//! Disks that come and go, and a kernel that watches no further folder: the real ones, in a namespace.

use serde_json::Value;
use skillmeat_tests::home::{binary, codes, skill, text, write};
use skillmeat_tests::namespace::Namespace;
use skillmeat_tests::wait::until_true;
use skillmeat_tests::{Sandbox, daemon};

fn sm(args: &str) -> String {
    format!("{} {args}", binary("sm").display())
}

fn root(status: &Value, name: &str) -> Value {
    let roots = status["roots"].as_array().unwrap();
    let found = roots.iter().find(|root| root["collection"] == name);
    found.cloned().unwrap_or(Value::Null)
}

/// A collection on a disk that is mounted at `disk`, in a way that shows what stands in `aside`.
fn comes_and_goes(mount: fn(disk: &str, aside: &str) -> String) {
    let mut sandbox = Sandbox::new();
    let (disk, aside) = (sandbox.path("disk"), sandbox.path("aside"));
    for folder in [&disk, &aside] {
        std::fs::create_dir_all(folder).unwrap();
    }
    skill(&aside.join("library/skills"), "one", "On a disk");
    write(
        aside.join("library/collection.toml"),
        "[collection]\nname = \"team\"\n",
    );
    let edited = skill(&sandbox.path("edited"), "one", "After the mount");
    let place = disk.join("library");
    sandbox.set("SKILLMEAT_COLLECTION_PATH", place.to_str().unwrap());
    sandbox.configure(crate::BACKEND, "");
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    let mount = mount(disk.to_str().unwrap(), aside.to_str().unwrap());
    namespace.run(&mount);
    namespace.run(&sm("init"));
    namespace.run(&sm("config set watch.poll_interval 1s"));
    sandbox.shows("one", "the skill on the disk", |_| true);
    sandbox.status_until("a watched disk", |status| {
        root(status, "team")["state"] == "watching" && status["daemon"]["state"] == "ready"
    });
    namespace.run(&format!("umount {}", disk.display()));
    // A mount that showed the folders of another disk ends without an event: the next pass finds out.
    drop(sandbox.run(&["cache", "refresh"]));
    let status = sandbox.status_until("a missing disk", |status| {
        root(status, "team")["state"] == "missing"
            && codes(&status["warnings"]).contains(&"collection-unreachable".to_owned())
    });
    assert_eq!(root(&status, "default")["state"], "watching");
    assert_eq!(sandbox.show("one")["description"], "On a disk");
    namespace.run(&mount);
    sandbox.status_until("the disk again", |status| {
        root(status, "team")["state"] == "watching" && codes(&status["warnings"]).is_empty()
    });
    let file = edited.join("SKILL.md");
    let target = place.join("skills/one/SKILL.md");
    namespace.run(&format!("cp {} {}", file.display(), target.display()));
    sandbox.shows("one", "an edit after that", |shown| {
        shown["description"] == "After the mount"
    });
}

#[test]
fn a_disk_that_is_unmounted_and_mounted_again() {
    comes_and_goes(|disk, aside| format!("mount -t tmpfs none {disk} && cp -r {aside}/. {disk}"));
}

#[test]
fn a_folder_of_another_disk_that_is_unmounted_and_mounted_again() {
    comes_and_goes(|disk, aside| format!("mount --bind {aside} {disk}"));
}

#[test]
fn a_disk_that_is_mounted_over_a_collection_hides_it_until_it_goes() {
    let sandbox = Sandbox::new();
    sandbox.configure(crate::BACKEND, "[daemon]\nself_check = \"1s\"\n");
    let aside = sandbox.path("aside");
    skill(&aside.join("skills"), "one", "Over it");
    write(aside.join("collection.toml"), "[collection]\n");
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    namespace.run(&sm("init"));
    let place = sandbox.collection("default", "");
    skill(&place.join("skills"), "one", "Below it");
    let is = |what: &str| {
        sandbox.shows("one", what, |shown| shown["description"] == what);
    };
    is("Below it");
    let (place, aside) = (place.display(), aside.display());
    namespace.run(&format!(
        "mount -t tmpfs none {place} && cp -r {aside}/. {place}"
    ));
    is("Over it");
    namespace.run(&format!(
        "sed -i 's/Over it/Edited/' {place}/skills/one/SKILL.md"
    ));
    is("Edited");
    namespace.run(&format!("umount {place}"));
    is("Below it");
}

#[test]
fn a_disk_that_is_mounted_over_a_folder_of_a_collection_hides_it_until_it_goes() {
    let sandbox = Sandbox::new();
    sandbox.configure(crate::BACKEND, "[daemon]\nself_check = \"1s\"\n");
    let aside = sandbox.path("aside");
    skill(&aside, "one", "Over it");
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    namespace.run(&sm("init"));
    let place = sandbox.collection("default", "skills");
    skill(&place, "one", "Below it");
    let is = |what: &str| {
        sandbox.shows("one", what, |shown| shown["description"] == what);
    };
    is("Below it");
    let (place, aside) = (place.display(), aside.display());
    for mount in [
        format!("mount --bind {aside} {place}"),
        format!("mount -t tmpfs none {place} && cp -r {aside}/. {place}"),
    ] {
        namespace.run(&mount);
        is("Over it");
        namespace.run(&format!("sed -i 's/Over it/Edited/' {place}/one/SKILL.md"));
        is("Edited");
        namespace.run(&format!("sed -i 's/Edited/Over it/' {place}/one/SKILL.md"));
        namespace.run(&format!("umount {place}"));
        is("Below it");
    }
}

#[test]
fn layers_that_are_mounted_on_a_folder_of_a_collection_are_looked_at_as_well() {
    if crate::BACKEND == "poll" {
        return;
    }
    let sandbox = Sandbox::initialised();
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    let place = sandbox.collection("default", "skills");
    skill(&place, "one", "In a layer");
    drop(sandbox.shows("one", "the skill", |shown| shown["name"] == "one"));
    sandbox.stop();
    let layers = sandbox.path("layers");
    let (place, layers) = (place.display(), layers.display());
    namespace.run(&format!("mkdir {layers} && mount -t tmpfs none {layers}"));
    namespace.run(&format!("mkdir {layers}/upper {layers}/work"));
    let options = format!("lowerdir={place},upperdir={layers}/upper,workdir={layers}/work");
    if !namespace.tries(&format!("mount -t overlay -o {options} none {place}")) {
        eprintln!("skipped: this system mounts no layers for a user");
        return;
    }
    namespace.run(&sm("daemon start"));
    let status = sandbox.status_until("a watched collection", |status| {
        root(status, "default")["state"] == "watching"
    });
    let watched = root(&status, "default");
    assert_eq!(watched["backend"], "native+poll", "{watched}");
    assert!(text(&watched["reason"]).contains("overlay"), "{watched}");
}

#[test]
fn a_kernel_without_watches_left_makes_one_collection_polled() {
    // The kernel is not asked for any there.
    if crate::BACKEND == "poll" {
        return;
    }
    let sandbox = Sandbox::new();
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    let limit = "/proc/sys/user/max_inotify_watches";
    if !namespace.tries(&format!("echo 40 > {limit}")) {
        eprintln!("skipped: the limit of a namespace can't be set");
        return;
    }
    namespace.run(&sm("init"));
    namespace.run(&sm("config set watch.poll_interval 1s"));
    for number in 0..60 {
        let name = format!("s{number}");
        skill(
            &sandbox.collection("default", "skills"),
            &name,
            "One of many",
        );
    }
    let status = sandbox.status_until("a limit that is hit", |status| {
        codes(&status["warnings"]).contains(&"watch-limit".to_owned())
    });
    let limited = root(&status, "default");
    assert_eq!(limited["state"], "watching");
    assert_eq!(limited["backend"], "poll");
    assert!(text(&limited["reason"]).contains("(40)"), "{limited}");
    let all = status["warnings"].to_string();
    assert!(all.contains("max_user_watches"), "{all}");
    // It is polled; others are not.
    skill(&sandbox.collection("default", "skills"), "s7", "Edited");
    sandbox.shows("s7", "an edit of what is polled", |shown| {
        shown["description"] == "Edited"
    });
    drop(sandbox.run(&["collection", "create", "small"]).ok());
    sandbox.status_until("a collection that is not polled", |status| {
        root(status, "small")["backend"] == "native"
    });
    // A raised limit is noticed, and the warning goes.
    namespace.run(&format!("echo 10000 > {limit}"));
    sandbox.status_until("the kernel's watches again", |status| {
        root(status, "default")["backend"] == "native" && codes(&status["warnings"]).is_empty()
    });
    skill(
        &sandbox.collection("default", "skills"),
        "s8",
        "Edited, too",
    );
    sandbox.shows("s8", "an edit of what is watched", |shown| {
        shown["description"] == "Edited, too"
    });
}

#[test]
fn a_kernel_without_watchers_left_is_asked_again_when_it_has_some() {
    // The kernel is not asked for any there.
    if crate::BACKEND == "poll" {
        return;
    }
    let sandbox = Sandbox::new();
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    let limit = "/proc/sys/user/max_inotify_instances";
    if !namespace.tries(&format!("echo 0 > {limit}")) {
        eprintln!("skipped: the limit of a namespace can't be set");
        return;
    }
    namespace.run(&sm("init"));
    namespace.run(&sm("config set watch.poll_interval 1s"));
    skill(&sandbox.collection("default", "skills"), "one", "Old");
    // Nothing else is then a reason to ask.
    namespace.run(&sm("daemon restart"));
    let status = sandbox.status_until("a limit that is hit", |status| {
        status["daemon"]["state"] == "ready"
            && codes(&status["warnings"]).contains(&"watch-limit".to_owned())
    });
    let limited = root(&status, "default");
    assert_eq!(limited["backend"], "poll");
    assert!(text(&limited["reason"]).contains("watchers"), "{limited}");
    namespace.run(&format!("echo 100 > {limit}"));
    sandbox.status_until("the kernel's watcher", |status| {
        root(status, "default")["backend"] == "native" && codes(&status["warnings"]).is_empty()
    });
    skill(&sandbox.collection("default", "skills"), "one", "New");
    sandbox.shows("one", "what is told", |shown| shown["description"] == "New");
}

#[test]
fn a_read_only_home_that_can_be_written_again() {
    let mut sandbox = Sandbox::new();
    let elsewhere = sandbox.path("elsewhere");
    sandbox.set("XDG_CACHE_HOME", elsewhere.to_str().unwrap());
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    sandbox.configure(crate::BACKEND, "[daemon]\nself_check = \"1s\"\n");
    skill(&sandbox.collection("default", "skills"), "one", "Plain");
    namespace.run(&sm("init"));
    namespace.run(&sm("daemon stop"));
    let home = sandbox.home().root().display().to_string();
    namespace.run(&format!(
        "mount --bind {home} {home} && mount -o remount,bind,ro {home}"
    ));
    let status = sandbox.path("status.json");
    let ask = format!("{} >{}", sm("status --json"), status.display());
    let is_read_only = |namespace: &mut Namespace| {
        namespace.run(&ask);
        let told: Value = serde_json::from_slice(&std::fs::read(&status).unwrap()).unwrap();
        let warnings = codes(&told["warnings"]);
        // One cause, one warning.
        assert!(warnings.len() <= 1, "{warnings:?}");
        warnings == ["home-read-only"]
    };
    assert!(is_read_only(&mut namespace));
    assert_eq!(daemon::processes(sandbox.home().root()).len(), 1);
    // Its lock stands elsewhere, so it must make room for one that is in the home.
    namespace.run(&format!("mount -o remount,bind,rw {home}"));
    until_true("the end of that daemon", || {
        daemon::processes(sandbox.home().root()).is_empty()
    });
    assert!(!is_read_only(&mut namespace));
    let log = std::fs::read_to_string(sandbox.home().log_file()).unwrap();
    assert!(log.contains("serving"), "{log}");
    namespace.run(&sm("collection create work"));
    assert_eq!(daemon::processes(sandbox.home().root()).len(), 1);
}
