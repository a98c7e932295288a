//! Archives of snapshots and collections: ours come back whatever they hold, bombs stay out.

use std::fs::{self, File};
use std::path::Path;

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{text, write};

/// Bytes of zeros that pack a thousand times.
const ZEROS: usize = 8 << 20;

/// An archive of one collection with a file of zeros, as any program packs it.
fn bomb(sandbox: &Sandbox, at: &Path) {
    let from = sandbox.path("from");
    write(
        from.join("default/collection.toml"),
        "[collection]\nname = \"default\"\n",
    );
    write(from.join("default/skills/big/zeros"), vec![0; ZEROS]);
    let mut tar = std::process::Command::new("tar");
    tar.arg("-czf").arg(at).arg("-C").arg(from).arg("default");
    assert!(tar.status().unwrap().success());
}

#[test]
fn a_bomb_is_no_snapshot() {
    let sandbox = Sandbox::initialised();
    let file = sandbox.path("bomb.tar.gz");
    bomb(&sandbox, &file);
    let path = file.to_str().unwrap();
    for args in [
        &["snapshot", "import", path][..],
        &["collection", "import", path],
    ] {
        let error = sandbox.fails(args, 5);
        assert_eq!(error["code"], "archive.refused", "{error:#}");
        let message = text(&error["message"]);
        assert!(message.contains("more than 100 times larger"), "{message}");
    }
    // The ancestor's are read by the same rule.
    let (folder, id) = (
        sandbox.home().snapshots("default"),
        "20261120-155145-120724",
    );
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&file, folder.join(format!("{id}.tar.gz"))).unwrap();
    let index = format!(
        "[[snapshots]]\nid = \"{id}\"\ntimestamp = \"2026-11-20T15:51:45.120724\"\nmessage = \"\"\n\
         artifact_count = 1\ntarball_path = \"/gone/{id}.tar.gz\"\n"
    );
    write(folder.join("snapshots.toml"), index);
    let told = sandbox.run(&["snapshot", "verify", id]).exits(9).stdout;
    assert!(told.contains("100 times larger"), "{told}");
    let error = sandbox.fails(&["rollback", id, "--yes"], 5);
    assert_eq!(error["code"], "archive.refused", "{error:#}");
}

#[test]
fn what_we_export_we_import_also_where_it_packs_very_well() {
    let sandbox = Sandbox::with_two();
    let zeros = sandbox.collection("default", "skills/one/zeros");
    File::create(&zeros).unwrap().set_len(ZEROS as u64).unwrap();
    let id = text(&sandbox.json(&["snapshot"])["snapshot"]["id"]);
    let (one, other) = (sandbox.path("s.tar.gz"), sandbox.path("c.tar.gz"));
    let (one, other) = (one.to_str().unwrap(), other.to_str().unwrap());
    sandbox.json(&["snapshot", "export", &id, one]);
    assert!(fs::metadata(one).unwrap().len() < ZEROS as u64 / 10);
    sandbox.json(&["snapshot", "delete", &id, "--yes"]);
    let imported = text(&sandbox.json(&["snapshot", "import", one])["id"]);
    fs::remove_file(&zeros).unwrap();
    sandbox.json(&["rollback", &imported, "--yes"]);
    assert_eq!(fs::metadata(&zeros).unwrap().len(), ZEROS as u64);
    sandbox.json(&["collection", "export", "default", other]);
    sandbox.json(&["collection", "import", other, "--name", "copy"]);
    let copied = sandbox.collection("copy", "skills/one/zeros");
    assert_eq!(fs::metadata(copied).unwrap().len(), ZEROS as u64);
}

#[test]
fn what_we_export_we_import_whatever_the_names_are() {
    let sandbox = Sandbox::with_two();
    let at = |name: &str| sandbox.collection("default", &format!("skills/one/{name}"));
    let names = ["README", "readme", "a\u{1b}[31m\nb", "CON", "x.zip"];
    for name in names {
        write(at(name), name);
    }
    let id = text(&sandbox.json(&["snapshot"])["snapshot"]["id"]);
    let file = sandbox.path("s.tar.gz");
    let path = file.to_str().unwrap();
    let told = sandbox.run(&["snapshot", "export", &id, path]).ok().stderr;
    assert!(!told.contains("will refuse"), "{told}");
    sandbox.json(&["snapshot", "delete", &id, "--yes"]);
    let imported = text(&sandbox.json(&["snapshot", "import", path])["id"]);
    for name in names {
        fs::remove_file(at(name)).unwrap();
    }
    let would = sandbox.run(&["snapshot", "diff", &imported]).ok().stdout;
    assert!(!would.contains('\u{1b}'), "{would:?}");
    sandbox.json(&["rollback", &imported, "--yes"]);
    for name in names {
        assert_eq!(fs::read_to_string(at(name)).unwrap(), name);
    }
}

#[test]
fn what_is_no_archive_is_no_snapshot_and_says_what_one_is() {
    let sandbox = Sandbox::initialised();
    let file = sandbox.path("notes.tar.gz");
    write(&file, "no archive");
    let error = sandbox.fails(&["snapshot", "import", file.to_str().unwrap()], 2);
    assert_eq!(error["code"], "archive.invalid", "{error:#}");
    let hints = error["hints"].to_string();
    assert!(hints.contains("sm snapshot export"), "{hints}");
    assert!(!hints.contains(".skill"), "{hints}");
}

#[test]
fn a_broken_manifest_in_an_archive_is_named_as_it_lies_there() {
    let sandbox = Sandbox::initialised();
    let from = sandbox.path("from");
    write(
        from.join("team/collection.toml"),
        "[collection]\nname = \"team\"\nx = = 1\n",
    );
    let file = sandbox.path("x.tgz");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-czf").arg(&file).arg("-C").arg(from).arg("team");
    assert!(tar.status().unwrap().success());
    let error = sandbox.fails(&["collection", "import", file.to_str().unwrap()], 4);
    let told = error.to_string();
    let entry = format!("{}/team/collection.toml", file.display());
    assert!(told.contains(&entry), "{told}");
    assert!(!told.contains("unpacked"), "{told}");
}
