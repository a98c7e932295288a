//! Copies of the cache for places that can't take them.

use std::path::Path;

use serde_json::Value;
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{binary, skill, text, write};
use skillmeat_tests::namespace::Namespace;

/// Asks for a copy in a folder in vain: the error, which names that folder, and nothing is left there.
#[track_caller]
fn refused(sandbox: &Sandbox, namespace: &mut Namespace, folder: &Path, code: i32) -> Value {
    let target = folder.join("copy.db");
    let target = target.to_str().unwrap();
    let error = sandbox.fails(&["db", "backup", target], code);
    assert!(text(&error["message"]).contains(target), "{error}");
    assert_eq!(text(&error["path"]), target, "{error}");
    let hints = error["hints"].to_string();
    assert!(!hints.contains("cache"), "{error}");
    let empty = format!("test -z \"$(ls -A {})\"", folder.display());
    assert!(namespace.tries(&empty), "something was left: {error}");
    error
}

#[test]
fn a_copy_that_its_place_cant_take_is_told_of_that_place() {
    let sandbox = Sandbox::new();
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    namespace.run(&format!("{} init", binary("sm").display()));
    for n in 0..20 {
        let folder = skill(
            &sandbox.collection("default", "skills"),
            &format!("s{n}"),
            "Plain",
        );
        let words: Vec<String> = (0..4_000u32)
            .map(|word| format!("w{:06x}", (n + word * 31).wrapping_mul(2_654_435_761)))
            .collect();
        write(folder.join("words.md"), words.join(" "));
    }
    sandbox.status_until("all rows", |status| status["artifacts"] == 20);
    sandbox.cache_until("all texts", |cache| cache["unindexed_artifacts"] == 0);
    let place = |name: &str| {
        let folder = sandbox.path(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    for kilobytes in [4, 64, 256, 1024] {
        let full = place(&format!("full{kilobytes}"));
        namespace.run(&format!(
            "mount -t tmpfs -o size={kilobytes}k none {}",
            full.display()
        ));
        let error = refused(&sandbox, &mut namespace, &full, 1);
        assert_eq!(error["code"], "file.disk_full", "{error}");
        assert!(error["hints"].to_string().contains("that disk"), "{error}");
    }
    let read_only = place("read-only");
    namespace.run(&format!(
        "mount -t tmpfs -o ro none {}",
        read_only.display()
    ));
    let error = refused(&sandbox, &mut namespace, &read_only, 5);
    assert_eq!(error["code"], "file.permission", "{error}");
    assert!(
        text(&error["message"]).ends_with("read-only file system"),
        "{error}"
    );
    assert!(error["hints"].to_string().contains("folder"), "{error}");
    // The cache is as it was.
    assert_eq!(sandbox.json(&["db", "check"])["ok"], true);
    drop(sandbox.run(&["db", "backup", "copy.db"]).ok());
}
