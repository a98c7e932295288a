//! The programs as files and as processes.

use std::fs;
use std::path::Path;
use std::process::Command;

use skillmeat_tests::home::binary;

use crate::daemon::Home;
use crate::floor::{STARTS, run};
use crate::table::{Samples, Table};

const MB: u64 = 1_000_000;

/// Builds the programs beside this one, as they are shipped. Nothing to do if `SM_TEST_BIN_DIR` names others.
pub(crate) fn build() {
    if std::env::var_os("SM_TEST_BIN_DIR").is_some() {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(3).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "--bins",
            "-p",
            "skillmeatd",
            "-p",
            "skillmeat-client",
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .status()
        .unwrap();
    assert!(status.success(), "the programs can't be built");
}

/// How large the programs are.
pub(crate) fn sizes(table: &mut Table) {
    for (name, most) in [("sm", 4), ("skillmeatd", 20)] {
        let bytes = fs::metadata(binary(name)).unwrap().len();
        table.number(
            &format!("`{name}`, stripped"),
            bytes / 1000,
            most * MB / 1000,
            " kB",
        );
    }
}

/// A page of the list from start to exit, in turns with a program that does nothing.
pub(crate) fn list(home: &Home, table: &mut Table) {
    let (mut ours, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        nothing.push(run(Command::new("/bin/true")));
        let mut command = home.command("sm");
        command.args(["list", "--limit", "50"]);
        ours.push(run(command));
    }
    let floor = ("`/bin/true`", Samples::new(nothing).p50());
    table.against(
        "`sm list --limit 50`, start to exit, p50",
        Samples::new(ours).p50(),
        floor,
        5.0,
    );
}
