//! The daemon looks after itself: what cleaners remove comes back, and a server that hangs ends.

use skillmeat_tests::home::write;
use skillmeat_tests::{Sandbox, daemon, until};

/// A user whose daemon looks after itself every second.
fn attentive() -> Sandbox {
    let sandbox = Sandbox::new();
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    drop(sandbox.run(&["init"]).ok());
    sandbox
}

#[test]
fn a_socket_and_a_rendezvous_that_cleaners_remove_come_back() {
    let sandbox = attentive();
    let before = daemon::rendezvous(sandbox.home()).unwrap();
    std::fs::remove_file(&before.socket).unwrap();
    until("the socket", || before.socket.exists().then_some(()));
    drop(sandbox.run(&["list", "--no-autostart"]).ok());
    std::fs::remove_file(sandbox.home().rendezvous()).unwrap();
    let after = until("the rendezvous", || daemon::rendezvous(sandbox.home()));
    assert_eq!(after, before, "it is the same daemon");
    // With its folder, as a reboot of the session does it.
    std::fs::remove_file(&before.socket).unwrap();
    let folder = before.socket.parent().unwrap();
    if folder != sandbox.home().run_dir() && std::fs::remove_dir(folder).is_ok() {
        until("the socket", || before.socket.exists().then_some(()));
        drop(sandbox.run(&["list", "--no-autostart"]).ok());
    }
    assert_eq!(daemon::processes(sandbox.home().root()), [before.pid]);
}
