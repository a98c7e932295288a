//! What should be mended, raised and cleared by whoever notices it.
//!
//! A [`Warnable`] is something that can be wrong; it is raised for a subject (a collection, a folder; empty
//! for the daemon itself) and stays until it is cleared. Short blips are never seen: it becomes visible
//! after a time of its own. What follows from something that is raised already is hidden meanwhile.

mod warnables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Error;
use crate::history::file;
use crate::time::{Clock, Timestamp};

pub use warnables::*;

/// Subjects of one warnable that are kept. More would tell nobody anything new.
const MAX_SUBJECTS: usize = 100;

/// The shortest wait for something that is about to become visible.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// How bad it is. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something works less well than it should.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that can be wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Warnable {
    /// Stable name; has a heading in TROUBLESHOOTING.md.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How long it must last before anybody sees it.
    pub visible_after: Duration,
    /// Codes of what may be its cause. It is hidden while one of these is raised for its subject, or for
    /// the daemon itself.
    pub depends_on: &'static [&'static str],
    /// While it stands the daemon answers no questions about artifacts.
    pub stops_serving: bool,
}

/// Something that is wrong, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The stable name of its warnable.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about; empty for the daemon itself.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// While it stands the daemon answers no questions about artifacts.
    pub stops_serving: bool,
}

/// What is wrong with one subject: the subject, the message, the hints.
pub type Finding = (String, String, Vec<String>);

/// What a mistake in the config is to the register.
pub fn of_config(problem: &Error) -> Finding {
    let line = problem
        .line
        .map(|line| format!(":{line}"))
        .unwrap_or_default();
    let place = problem
        .path
        .as_ref()
        .map(|path| format!("{}{line}", path.display()));
    let message = place.as_ref().map_or_else(
        || problem.to_string(),
        |place| format!("{problem} ({place})"),
    );
    // Two mistakes without a line are two subjects.
    let subject = place
        .filter(|_| problem.line.is_some())
        .unwrap_or_else(|| problem.to_string());
    (subject, message, problem.hints.clone())
}

/// A subject that ends in a line of a file, taken apart; any other one is before all lines.
fn place_of(subject: &str) -> (&str, u32) {
    let parts = subject.rsplit_once(':');
    let place = parts.and_then(|(path, line)| Some((path, line.parse().ok()?)));
    place.unwrap_or((subject, 0))
}

/// What stands in the place of a folder is to the register.
pub fn of_misplaced(path: &Path) -> Finding {
    let subject = path.display().to_string();
    let message = format!("`{subject}` should be a folder");
    let hint = "move what stands there away, then `sm daemon restart`";
    (subject, message, vec![hint.to_owned()])
}

/// What a history that can't be used is to the register.
pub fn of_history(trouble: &Error) -> Finding {
    let message = format!("nothing can be changed: {trouble}");
    (String::new(), message, trouble.hints.clone())
}

/// What histories that were put aside are to the register; the oldest first.
pub fn of_histories_aside(aside: &[PathBuf]) -> Option<Finding> {
    let newest = aside.last()?.display();
    let others = match aside.len() {
        1 => String::new(),
        several => format!(" ({} earlier ones beside it)", several - 1),
    };
    let message =
        format!("the history was damaged and begun anew; the old one lies at `{newest}`{others}");
    let hint =
        "keep that file, at another place: it holds what can be undone; the warning goes with it";
    Some((String::new(), message, vec![hint.to_owned()]))
}

/// What a history that has to keep more bytes than it may hold is to the register.
pub fn of_large_history(needed: u64, max_mb: u64) -> Option<Finding> {
    let needed_mb = needed.div_ceil(1 << 20);
    if needed_mb <= max_mb {
        return None;
    }
    let message = format!(
        "`history.max_size_mb` is {max_mb}, and snapshots and current files need {needed_mb} MB of the history"
    );
    let more = needed_mb + needed_mb.div_ceil(4);
    let hints = [
        format!("`sm config set history.max_size_mb {more}`"),
        "or delete snapshots with `sm snapshot delete` or `prune`, then `sm gc`".to_owned(),
    ];
    Some((String::new(), message, hints.into()))
}

/// What a loss of the history is to the register.
pub fn of_lost_history(path: &Path, lost: Option<String>) -> Option<Finding> {
    let note = file::note_of(path);
    let hint = format!(
        "with a copy of it: stop the daemon, put it back; then delete `{}`: the warning goes with it",
        note.display()
    );
    Some((
        String::new(),
        format!("the history is lost: {}", lost?),
        vec![hint],
    ))
}

struct Raised {
    warnable: &'static Warnable,
    message: String,
    hints: Vec<String>,
    since: Timestamp,
}

#[derive(Default)]
struct State {
    raised: BTreeMap<(&'static str, String), Raised>,
    stirred: bool,
    closed: bool,
}

/// Why [`Health::wait`] returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// What is visible differs from what was known.
    Changed(Vec<Warning>),
    /// Somebody asked for a look at what can't tell by itself.
    Stirred,
    /// There will be no more.
    Closed,
}

/// The register of what is wrong. Share it in an [`Arc`].
pub struct Health {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    moved: Condvar,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.current()).finish()
    }
}

impl Health {
    /// A register in which nothing is wrong.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            moved: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is wrong. Raised again it keeps the moment since when it is so.
    pub fn raise(
        &self,
        warnable: &'static Warnable,
        subject: &str,
        message: String,
        hints: Vec<String>,
    ) {
        let now = self.clock.now();
        let mut state = self.state();
        if state.raise(warnable, (subject.to_owned(), message, hints), now) {
            self.moved.notify_all();
        }
    }

    /// It is no longer wrong, or never was.
    pub fn clear(&self, warnable: &'static Warnable, subject: &str) {
        let mut state = self.state();
        if state
            .raised
            .remove(&(warnable.code, subject.to_owned()))
            .is_some()
        {
            self.moved.notify_all();
        }
    }

    /// Raises it for exactly these subjects, and clears it for all others.
    pub fn replace(&self, warnable: &'static Warnable, findings: Vec<Finding>) {
        let now = self.clock.now();
        let mut state = self.state();
        let before = state.raised.len();
        state.raised.retain(|(code, subject), _| {
            *code != warnable.code || findings.iter().any(|(found, _, _)| found == subject)
        });
        let mut moved = state.raised.len() != before;
        for finding in findings {
            moved |= state.raise(warnable, finding, now);
        }
        if moved {
            self.moved.notify_all();
        }
    }

    /// What people should see now, the worst first.
    pub fn current(&self) -> Vec<Warning> {
        let now = self.clock.now();
        self.state().visible(now)
    }

    /// Whether something visible keeps the daemon from answering.
    pub fn is_serving(&self) -> bool {
        !self.current().iter().any(|warning| warning.stops_serving)
    }

    /// Asks whoever waits to look at what can't tell by itself.
    pub fn stir(&self) {
        self.state().stirred = true;
        self.moved.notify_all();
    }

    /// Ends all waiting.
    pub fn close(&self) {
        self.state().closed = true;
        self.moved.notify_all();
    }

    /// Blocks until what is visible differs from `known`, somebody stirs, or all ends. Sleeps without a
    /// timer while nothing is about to become visible.
    pub fn wait(&self, known: &[Warning]) -> Wake {
        let mut state = self.state();
        loop {
            if state.closed {
                return Wake::Closed;
            }
            let now = self.clock.now();
            let visible = state.visible(now);
            if visible != known {
                return Wake::Changed(visible);
            }
            if std::mem::take(&mut state.stirred) {
                return Wake::Stirred;
            }
            state = match state.next_change(now) {
                None => self
                    .moved
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(pause) => {
                    self.moved
                        .wait_timeout(state, pause.max(SHORTEST_WAIT))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

impl State {
    /// Whether that changed anything.
    fn raise(&mut self, warnable: &'static Warnable, finding: Finding, now: Timestamp) -> bool {
        let (subject, message, hints) = finding;
        let key = (warnable.code, subject);
        if let Some(raised) = self.raised.get_mut(&key) {
            let same = raised.message == message && raised.hints == hints;
            (raised.message, raised.hints) = (message, hints);
            return !same;
        }
        let of_its_code = |(code, _): &&(&str, String)| *code == warnable.code;
        if self.raised.keys().filter(of_its_code).count() >= MAX_SUBJECTS {
            return false;
        }
        let raised = Raised {
            warnable,
            message,
            hints,
            since: now,
        };
        self.raised.insert(key, raised);
        true
    }

    fn is_hidden(&self, warnable: &Warnable, subject: &str) -> bool {
        warnable.depends_on.iter().any(|cause| {
            self.raised.contains_key(&(*cause, String::new()))
                || self.raised.contains_key(&(*cause, subject.to_owned()))
        })
    }

    fn visible(&self, now: Timestamp) -> Vec<Warning> {
        let mut visible: Vec<Warning> = self
            .raised
            .iter()
            .filter(|((_, subject), raised)| {
                raised.left(now).is_zero() && !self.is_hidden(raised.warnable, subject)
            })
            .map(|((code, subject), raised)| Warning {
                code,
                severity: raised.warnable.severity,
                subject: subject.clone(),
                message: raised.message.clone(),
                hints: raised.hints.clone(),
                since: raised.since,
                stops_serving: raised.warnable.stops_serving,
            })
            .collect();
        // Lines of a file in their order, not in that of their digits.
        visible.sort_by(|a, b| {
            let key = |one: &Warning| (std::cmp::Reverse(one.severity), one.code);
            let places = || place_of(&a.subject).cmp(&place_of(&b.subject));
            key(a).cmp(&key(b)).then_with(places)
        });
        visible
    }

    /// How long until time alone makes something visible.
    fn next_change(&self, now: Timestamp) -> Option<Duration> {
        self.raised
            .values()
            .map(|raised| raised.left(now))
            .filter(|left| !left.is_zero())
            .min()
    }
}

impl Raised {
    /// How long it is still unseen. If the clock was set back, it has been raised for long enough.
    fn left(&self, now: Timestamp) -> Duration {
        if now < self.since {
            return Duration::ZERO;
        }
        self.warnable
            .visible_after
            .saturating_sub(now.since(self.since))
    }
}

#[cfg(test)]
mod tests;
