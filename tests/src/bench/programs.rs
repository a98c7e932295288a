//! The programs as they are shipped.

use std::path::Path;
use std::process::Command;

/// Builds the programs beside this one, as they are shipped. Nothing to do if `SM_TEST_BIN_DIR` names others.
///
/// # Panics
/// If they can't be built.
pub fn build() {
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
