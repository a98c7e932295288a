//! Collections that were emptied and deleted: all of it comes back, and is told as what it is.

use skillmeat_tests::Sandbox;

fn told(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.run(args).ok().stderr
}

#[test]
fn a_collection_that_was_emptied_and_deleted_comes_back_step_by_step() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "4"]);
    sandbox.json(&["remove", "*", "--yes"]);
    sandbox.json(&["collection", "delete", "default", "--yes"]);
    let would = told(&sandbox, &["undo", "--dry-run"]);
    assert!(
        would.contains("collection `default` would be restored"),
        "{would}"
    );
    // The one who brings it back need not be the one who took it away.
    sandbox.stop();
    let undone = told(&sandbox, &["undo"]);
    assert!(
        undone.contains("collection `default` restored; `sm redo`"),
        "{undone}"
    );
    assert_eq!(sandbox.ids(), [""; 0]);
    let undone = told(&sandbox, &["undo"]);
    assert!(undone.contains("paths changed"), "{undone}");
    assert_eq!(sandbox.ids(), ["skill:one", "skill:two"]);
    assert_eq!(sandbox.show("one")["rating"], 4);
    drop(sandbox.run(&["redo"]).ok());
    let undone = told(&sandbox, &["collection", "delete", "default", "--yes"]);
    assert!(undone.contains("`default` was deleted"), "{undone}");
    drop(sandbox.run(&["undo"]).ok());
    let redone = told(&sandbox, &["redo"]);
    assert!(redone.contains("collection `default` removed"), "{redone}");
}
