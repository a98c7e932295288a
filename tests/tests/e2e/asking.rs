//! Commands that ask: on a terminal a person answers, elsewhere they refuse.

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{skill, text};
use skillmeat_tests::terminal::Terminal;

fn on_terminal(sandbox: &Sandbox, args: &[&str]) -> Terminal {
    Terminal::run(sandbox.sm(args))
}

#[test]
fn what_to_adopt_is_chosen_by_numbers_names_or_all() {
    let sandbox = Sandbox::initialised();
    for name in ["pdf", "review", "tidy"] {
        skill(
            &sandbox.path(".claude/skills"),
            name,
            &format!("About {name}"),
        );
    }
    skill(&sandbox.path(".cursor/skills"), "pdf", "Another one");
    let question = "Take in which?";
    // The table comes first; nothing is chosen: nothing is taken.
    let mut looking = on_terminal(&sandbox, &["adopt"]);
    looking.answer(question, "");
    let (code, screen) = looking.end();
    assert_eq!(code, Some(0), "{screen}");
    for shown in [
        "pdf     skill",
        "differs from above",
        "`all` for the 3 that are new",
    ] {
        assert!(screen.contains(shown), "{screen}");
    }
    assert!(sandbox.ids().is_empty());
    // No such number, no such name.
    for (answer, why) in [("9", "no number from 1 to 4"), ("nothere", "`nothere`")] {
        let mut wrong = on_terminal(&sandbox, &["adopt"]);
        wrong.answer(question, answer);
        let (code, screen) = wrong.end();
        assert!(
            matches!(code, Some(2 | 3)) && screen.contains(why),
            "{screen}"
        );
    }
    assert!(sandbox.ids().is_empty());
    let mut choosing = on_terminal(&sandbox, &["adopt"]);
    choosing.answer(question, "2, tidy");
    let (code, screen) = choosing.end();
    assert_eq!(code, Some(0), "{screen}");
    let survey = sandbox.json(&["adopt"]);
    let second = text(&survey["rows"][1]["id"]);
    let mut wanted = vec![second, "skill:tidy".to_owned()];
    wanted.sort();
    wanted.dedup();
    assert_eq!(sandbox.ids(), wanted);
    let mut rest = on_terminal(&sandbox, &["adopt"]);
    rest.answer(question, "all");
    let (code, screen) = rest.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(sandbox.ids(), ["skill:pdf", "skill:review", "skill:tidy"]);
}

#[test]
fn all_that_is_new_is_adopted_after_a_yes() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.path(".claude/skills"), "pdf", "Reads PDF");
    let ask = |answer: &str| {
        let mut asking = on_terminal(&sandbox, &["adopt", "--all"]);
        asking.answer("take in 1 artifact? [y/N]", answer);
        asking.end()
    };
    let (code, screen) = ask("n");
    assert_eq!(code, Some(130), "{screen}");
    assert!(sandbox.ids().is_empty());
    let (code, screen) = ask("y");
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(sandbox.ids(), ["skill:pdf"]);
}

#[test]
fn a_rollback_asks_on_a_terminal_and_refuses_without_one() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    let id = text(&sandbox.json(&["snapshot", "empty"])["snapshot"]["id"]);
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    let error = sandbox.fails(&["rollback", &id], 2);
    assert!(error["hints"].to_string().contains("--yes"), "{error}");
    assert_eq!(sandbox.ids(), ["skill:one"]);
    // Who is asked knows what it would do, and nobody is asked for what can't be done.
    let ask = |answer: &str| {
        let mut asking = on_terminal(&sandbox, &["rollback", &id]);
        let question = format!(
            "2 would be restored, 1 would be removed in `default`; \
             take the whole collection back to `{id}`? [y/N]"
        );
        asking.answer(&question, answer);
        asking.end()
    };
    let (code, screen) = on_terminal(&sandbox, &["rollback", "20200101-000000-000000"]).end();
    assert_eq!(code, Some(3), "{screen}");
    assert!(!screen.contains("take the"), "{screen}");
    for no in ["n", "", "yess"] {
        let (code, screen) = ask(no);
        assert_eq!(code, Some(130), "{screen}");
        assert!(screen.contains("nothing was changed"), "{screen}");
        assert!(!screen.contains("error"), "{screen}");
    }
    assert_eq!(sandbox.ids(), ["skill:one"]);
    let (code, screen) = ask("y");
    assert_eq!(code, Some(0), "{screen}");
    assert!(sandbox.ids().is_empty());
    // Where nothing differs there is nothing to ask.
    let (code, screen) = on_terminal(&sandbox, &["rollback", &id]).end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("nothing differs"), "{screen}");
    assert!(!screen.contains("[y/N]"), "{screen}");
    for (more, is_dry) in [(&[][..], false), (&["--dry-run"], true)] {
        let told = sandbox.json(&[&["rollback", &id], more].concat());
        assert_eq!(told["dry_run"], is_dry, "{told}");
    }
    // What is only looked at is not asked for.
    drop(sandbox.run(&["undo"]).ok());
    let (code, screen) = on_terminal(&sandbox, &["rollback", &id, "--dry-run"]).end();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(sandbox.ids(), ["skill:one"]);
}

#[test]
fn what_is_done_at_once_shows_no_bar() {
    let mut sandbox = Sandbox::initialised();
    sandbox.set("TERM", "xterm");
    let source = skill(&sandbox.path("src"), "one", "One");
    let source = source.to_str().unwrap();
    for args in [
        &["add", source][..],
        &["set", "one", "license=MIT"],
        &["undo"],
    ] {
        let (code, screen) = on_terminal(&sandbox, args).end();
        assert_eq!(code, Some(0), "{screen}");
        assert!(!screen.contains("0/0") && !screen.contains('█'), "{screen}");
    }
}
