use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// A clock that stands still until it is moved.
#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Hands {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000_000, Ordering::SeqCst);
    }
}

const fn warnable(code: &'static str, severity: Severity, seconds: u64) -> Warnable {
    Warnable {
        code,
        severity,
        visible_after: Duration::from_secs(seconds),
        depends_on: &[],
        stops_serving: false,
    }
}

static CAUSE: Warnable = Warnable {
    stops_serving: true,
    ..warnable("cause", Severity::Error, 5)
};
static AT_ONCE: Warnable = warnable("at-once", Severity::Warning, 0);
static SLOW: Warnable = warnable("slow", Severity::Info, 10);
static BRIEF: Warnable = Warnable {
    visible_after: Duration::from_millis(30),
    ..warnable("brief", Severity::Warning, 0)
};
static DEPENDENT: Warnable = Warnable {
    depends_on: &["cause"],
    ..warnable("dependent", Severity::Warning, 0)
};

fn health() -> (Arc<Hands>, Health) {
    let clock = Arc::new(Hands::default());
    clock.advance(1000);
    (Arc::clone(&clock), Health::new(clock))
}

fn raise(health: &Health, warnable: &'static Warnable, subject: &str) {
    health.raise(
        warnable,
        subject,
        format!("{} is wrong", warnable.code),
        vec![],
    );
}

fn seen(health: &Health) -> Vec<(&'static str, String)> {
    health
        .current()
        .into_iter()
        .map(|warning| (warning.code, warning.subject))
        .collect()
}

fn entry(code: &'static str, subject: &str) -> (&'static str, String) {
    (code, subject.to_owned())
}

#[test]
fn a_blip_is_never_seen_and_what_lasts_is() {
    let (clock, health) = health();
    raise(&health, &SLOW, "");
    clock.advance(9);
    assert_eq!(health.current(), []);
    health.clear(&SLOW, "");
    clock.advance(60);
    assert_eq!(health.current(), []);
    raise(&health, &SLOW, "");
    clock.advance(10);
    let visible = health.current();
    assert_eq!(visible.len(), 1);
    // Since it was raised, not since it was seen.
    assert_eq!(visible[0].since, Timestamp(1_069_000_000_000));
    assert_eq!(visible[0].message, "slow is wrong");
}

#[test]
fn raising_again_keeps_the_moment_and_takes_the_words() {
    let (clock, health) = health();
    raise(&health, &AT_ONCE, "x");
    clock.advance(60);
    health.raise(&AT_ONCE, "x", "worse".to_owned(), vec!["do".to_owned()]);
    let visible = health.current();
    assert_eq!((visible.len(), visible[0].message.as_str()), (1, "worse"));
    assert_eq!(visible[0].hints, ["do"]);
    assert_eq!(visible[0].since, Timestamp(1_000_000_000_000));
    health.clear(&AT_ONCE, "y");
    assert_eq!(seen(&health), [entry("at-once", "x")]);
    health.clear(&AT_ONCE, "x");
    assert_eq!(health.current(), []);
}

#[test]
fn what_follows_from_something_is_hidden_while_that_stands() {
    let (clock, health) = health();
    raise(&health, &DEPENDENT, "a");
    raise(&health, &DEPENDENT, "b");
    raise(&health, &CAUSE, "a");
    // The cause is not visible yet, but its consequence is hidden already.
    assert_eq!(seen(&health), [entry("dependent", "b")]);
    clock.advance(5);
    assert_eq!(
        seen(&health),
        [entry("cause", "a"), entry("dependent", "b")]
    );
    assert!(!health.is_serving());
    raise(&health, &CAUSE, "");
    assert_eq!(seen(&health), [entry("cause", "a")]);
    health.clear(&CAUSE, "a");
    health.clear(&CAUSE, "");
    assert_eq!(
        seen(&health),
        [entry("dependent", "a"), entry("dependent", "b")]
    );
    assert!(health.is_serving());
}

#[test]
fn the_worst_comes_first() {
    let (clock, health) = health();
    for warnable in [&SLOW, &AT_ONCE, &CAUSE] {
        raise(&health, warnable, "");
    }
    clock.advance(20);
    assert_eq!(
        seen(&health),
        [entry("cause", ""), entry("at-once", ""), entry("slow", "")]
    );
}

#[test]
fn lines_of_a_file_are_in_their_order() {
    let (_, health) = health();
    let subjects = ["/c:10", "/c:2", "/c", "/b:30", "/c:x"];
    for subject in subjects {
        raise(&health, &AT_ONCE, subject);
    }
    let shown: Vec<String> = seen(&health)
        .into_iter()
        .map(|(_, subject)| subject)
        .collect();
    assert_eq!(shown, ["/b:30", "/c", "/c:2", "/c:10", "/c:x"]);
}

#[test]
fn replacing_clears_the_others_of_the_same_code_only() {
    let (clock, health) = health();
    for subject in ["a", "b"] {
        raise(&health, &AT_ONCE, subject);
    }
    raise(&health, &DEPENDENT, "a");
    clock.advance(1);
    let finding = |subject: &str| (subject.to_owned(), "still".to_owned(), vec![]);
    health.replace(&AT_ONCE, vec![finding("b"), finding("c")]);
    assert_eq!(
        seen(&health),
        [
            entry("at-once", "b"),
            entry("at-once", "c"),
            entry("dependent", "a")
        ]
    );
    assert_eq!(health.current()[0].since, Timestamp(1_000_000_000_000));
    health.replace(&AT_ONCE, vec![]);
    assert_eq!(seen(&health), [entry("dependent", "a")]);
}

#[test]
fn a_clock_that_is_set_back_hides_nothing() {
    let (clock, health) = health();
    raise(&health, &SLOW, "");
    clock.advance(-3600);
    assert_eq!(seen(&health), [entry("slow", "")]);
}

#[test]
fn the_register_is_bounded() {
    let (_, health) = health();
    for number in 0..MAX_SUBJECTS * 2 {
        raise(&health, &AT_ONCE, &number.to_string());
    }
    raise(&health, &DEPENDENT, "");
    assert_eq!(health.current().len(), MAX_SUBJECTS + 1);
}

#[test]
fn who_waits_is_told_of_changes_of_a_stir_and_of_the_end() {
    let health = Health::new(Arc::new(crate::time::SystemClock));
    raise(&health, &BRIEF, "");
    // Time alone makes it visible.
    let Wake::Changed(visible) = health.wait(&[]) else {
        panic!("no change");
    };
    assert_eq!(visible[0].code, "brief");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| health.wait(&visible));
        health.clear(&BRIEF, "");
        assert_eq!(waiting.join().unwrap(), Wake::Changed(vec![]));
        let waiting = scope.spawn(|| health.wait(&[]));
        health.stir();
        assert_eq!(waiting.join().unwrap(), Wake::Stirred);
        let waiting = scope.spawn(|| health.wait(&[]));
        health.close();
        assert_eq!(waiting.join().unwrap(), Wake::Closed);
    });
}

#[test]
fn the_table_is_sound() {
    let codes: BTreeSet<&str> = ALL.iter().map(|warnable| warnable.code).collect();
    assert_eq!(codes.len(), ALL.len(), "a code is doubled");
    for warnable in ALL {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(warnable.code.chars().all(is_name), "{}", warnable.code);
        for cause in warnable.depends_on {
            assert!(
                codes.contains(cause) && *cause != warnable.code,
                "{} depends on `{cause}`",
                warnable.code
            );
        }
        assert!(
            !warnable.stops_serving || warnable.severity == Severity::Error,
            "{}",
            warnable.code
        );
    }
    assert!(ALL.is_sorted_by_key(|warnable| warnable.code), "sort them");
}
