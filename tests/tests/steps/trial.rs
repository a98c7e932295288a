//! One mutation in a home of its own, cut short in all ways.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use skillmeat_tests::client::Rpc;
use skillmeat_tests::fault::{Faults, equals_a_fresh_one};
use skillmeat_tests::wait::{DEADLINE, until_true};
use skillmeat_tests::{Answer, Sandbox, daemon};

use crate::mutation::{Back, Mutation, given};
use crate::state::{State, differences, files, snapshots, told, undated};

/// The areas of the steps that a mutation takes.
const AREAS: [&str; 8] = [
    "atomic",
    "change",
    "copy",
    "exchange",
    "history",
    "reconcile",
    "restore",
    "store",
];

/// In how many ways each step is tried: a full disk, a broken one, an end, and two files that others write.
const WAYS: usize = 5;

/// The rest between two looks.
const REST: Duration = Duration::from_millis(3);

pub(crate) struct Trial<'a> {
    pub(crate) mutation: &'a Mutation,
    pub(crate) sandbox: Sandbox,
    pub(crate) faults: Faults,
    pub(crate) args: Vec<String>,
    rpc: Option<Rpc>,
    /// Steps and their numbers, as `name@2`.
    pub(crate) steps: Vec<String>,
    /// The old state, those between operations if it makes several, and the new one.
    pub(crate) states: Vec<State>,
    /// A copy of the home in the old state.
    base: Option<PathBuf>,
}

impl<'a> Trial<'a> {
    /// Goes through it once, and back.
    pub(crate) fn new(mutation: &'a Mutation) -> Self {
        let (sandbox, faults) = mutation.prepare();
        let args = given(&sandbox, mutation.args);
        let mut trial = Self {
            mutation,
            sandbox,
            faults,
            args,
            rpc: None,
            steps: Vec::new(),
            states: Vec::new(),
            base: None,
        };
        drop(trial.sandbox.run(&["cache", "refresh"]).ok());
        if mutation.back == Back::Copy {
            trial.sandbox.stop();
            let base = trial.sandbox.path("base");
            copy(trial.sandbox.home().root(), &base);
            trial.base = Some(base);
        }
        let old = trial.state();
        let before = trial.operations();
        trial.faults.tell("*=note");
        let answer = trial.run();
        trial.faults.none();
        drop(answer.exits(mutation.exit));
        trial.steps = trial.passed();
        let new = trial.state();
        let mut states = vec![new];
        if mutation.back != Back::Copy {
            // Several operations have states in between.
            for _ in before + 1..trial.operations() {
                drop(trial.sandbox.run(&["undo"]).ok());
                states.push(trial.state());
            }
        }
        trial.back(1);
        states.push(old);
        states.reverse();
        let now = trial.state();
        let old = &states[0];
        assert!(
            now.raw == old.raw || mutation.back == Back::Redo,
            "{}: {:#?}",
            mutation.name,
            differences(&now.raw, &old.raw)
        );
        assert_eq!(now.files, old.files, "{}", mutation.name);
        assert_eq!(now.rows, old.rows, "{}", mutation.name);
        assert!(
            states.windows(2).all(|two| two[0] != two[1]) || mutation.args[0] == "gc",
            "{} changes nothing",
            mutation.name
        );
        trial.states = states;
        trial
    }

    /// Runs the mutation.
    pub(crate) fn run(&self) -> Answer {
        self.sandbox.run(&self.args)
    }

    /// The steps that were passed since they were noted, each with its number.
    fn passed(&self) -> Vec<String> {
        let noted = self.faults.passed();
        let mut steps: Vec<String> = noted
            .lines()
            .filter(|line| {
                line.split_once('.')
                    .is_some_and(|(area, _)| AREAS.contains(&area))
            })
            .map(str::to_owned)
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        steps.retain(|step| seen.insert(step.clone()));
        assert!(
            steps.iter().any(|step| step.starts_with("history")),
            "{}: {noted}",
            self.mutation.name
        );
        steps
    }

    /// The daemon that runs now, or a new one.
    fn rpc(&mut self) -> &Rpc {
        if self.rpc.is_none() {
            // Rows are told when what was cut short is settled.
            drop(self.sandbox.run(&["list"]).ok());
        }
        let sandbox = &self.sandbox;
        self.rpc.get_or_insert_with(|| sandbox.rpc())
    }

    /// What stands, and what the daemon tells of it once it tells the same twice.
    fn state(&mut self) -> State {
        drop(self.sandbox.run(&["cache", "refresh"]).ok());
        let raw = files(&self.sandbox);
        State {
            files: undated(&raw),
            raw,
            rows: self.rows(),
        }
    }

    pub(crate) fn rows(&mut self) -> Vec<String> {
        let mut rows = told(self.rpc());
        if self.mutation.back == Back::Copy {
            rows.extend(snapshots(&self.sandbox));
        }
        rows
    }

    /// How many operations there are, without those of other programs.
    pub(crate) fn operations(&self) -> usize {
        let log = self.sandbox.json(&["log", "--limit", "1000"]);
        let all = log["operations"].as_array().unwrap().iter();
        all.filter(|one| one["actor"] != "external").count()
    }

    /// Goes back from a state, by its number.
    pub(crate) fn back(&mut self, from: usize) {
        if from == 0 {
            return;
        }
        match self.mutation.back {
            Back::Undo => {
                for _ in 0..from {
                    drop(self.sandbox.run(&["undo"]).ok());
                }
            }
            Back::Redo => drop(self.sandbox.run(&["redo"]).ok()),
            Back::Copy => self.put_back(),
        }
    }

    /// Puts the home back as a whole.
    pub(crate) fn put_back(&mut self) {
        self.rpc = None;
        self.sandbox.kill();
        let base = self.base.clone().unwrap();
        fs::remove_dir_all(self.sandbox.home().root()).unwrap();
        copy(&base, self.sandbox.home().root());
    }

    /// One of the states stands, and everything agrees with it. Its number.
    #[track_caller]
    fn check(&mut self, what: &str) -> usize {
        self.rpc();
        let now = undated(&files(&self.sandbox));
        let fitting: Vec<usize> = (0..self.states.len())
            .filter(|at| self.states[*at].files == now)
            .collect();
        assert!(
            !fitting.is_empty(),
            "{what}: neither the old nor the new state\n{:#?}",
            self.states
                .iter()
                .map(|state| differences(&state.files, &now))
                .collect::<Vec<_>>()
        );
        let give_up = Instant::now() + DEADLINE;
        loop {
            let rows = self.rows();
            let found = fitting.iter().find(|at| self.states[**at].rows == rows);
            if let Some(found) = found {
                return *found;
            }
            assert!(
                Instant::now() < give_up,
                "{what}: rows that do not fit the files\n{rows:#?}\nbut\n{:#?}",
                self.states[fitting[0]].rows
            );
            std::thread::park_timeout(REST);
        }
    }

    /// No change is half done, for the history.
    fn is_settled(&self, what: &str) {
        let log = self.sandbox.json(&["log", "--limit", "10"]);
        let is_open = log.to_string().contains("\"open\"");
        assert!(!is_open, "{what}: {log:#}");
    }

    /// The disk fails at each step.
    pub(crate) fn fail(&mut self) {
        let ways = [("enospc", "No space left"), ("eio", "nput/output error")];
        for (step, (way, words)) in self.cases(0, &ways) {
            let (name, count) = step.split_once('@').unwrap();
            let what = format!("{}: {name}={way}@{count}", self.mutation.name);
            self.faults.tell(&format!("{name}={way}@{count}"));
            let answer = self.run();
            self.faults.none();
            let at = self.check(&what);
            let last = self.states.len() - 1;
            if answer.code == Some(self.mutation.exit) {
                assert!(self.states[at] == self.states[last], "{what}: {answer:?}");
            } else {
                let said = format!("{}{}", answer.stdout, answer.stderr);
                assert!(
                    said.contains(words) || said.contains("disk"),
                    "{what}: {said}"
                );
                assert!(matches!(answer.code, Some(1 | 7 | 9)), "{what}: {answer:?}");
            }
            self.back(at);
        }
    }

    /// The process ends at each step.
    pub(crate) fn kill(&mut self) {
        for (step, ()) in self.cases(2, &[()]) {
            let (name, count) = step.split_once('@').unwrap();
            let what = format!("{}: {name}=kill@{count}", self.mutation.name);
            self.rpc();
            let (pid, home) = (self.sandbox.pid(), self.sandbox.home().root().to_owned());
            let (logged, before) = (self.log().len(), self.operations());
            self.faults.tell(&format!("{name}=kill@{count}"));
            let answer = self.run();
            self.faults.none();
            let is_cut = answer.code != Some(self.mutation.exit);
            if is_cut {
                until_true(&what, || !daemon::is_daemon_of(pid, &home));
            }
            if !daemon::is_daemon_of(pid, &home) {
                self.rpc = None;
            }
            let at = self.check(&what);
            self.is_settled(&what);
            // Past its record, a change is finished or taken back by the next start, which says so.
            let is_recorded = name.starts_with("exchange") || name == "change.placing";
            if is_cut && is_recorded && self.operations() > before {
                let log = self.log();
                let log = log.get(logged..).unwrap();
                assert!(log.contains("was cut short and is"), "{what}: {log}");
            }
            self.back(at);
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.sandbox.home().log_file()).unwrap()
    }

    /// Each step with each of these, the first of which is the way of this number; or the share of them whose
    /// turn it is.
    pub(crate) fn cases<T: Copy>(&self, first: usize, with: &[T]) -> Vec<(String, T)> {
        let is_all = std::env::var_os("SKILLMEAT_STEPS_ALL").is_some();
        let turn = self.mutation.args.concat().len();
        // Of one that is several operations, each of which has a line of its own, a smaller share.
        let share = WAYS * (self.states.len() - 1).max(1);
        let mut cases = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            for (way, one) in with.iter().enumerate() {
                if is_all || (at + first + way + turn).is_multiple_of(share) {
                    cases.push((step.clone(), *one));
                }
            }
        }
        cases
    }

    /// In the end all is as in the beginning, and the rows are those of a new cache.
    pub(crate) fn end(mut self) {
        let what = format!("the end of {}", self.mutation.name);
        assert_eq!(self.check(&what), 0, "{what}");
        equals_a_fresh_one(&self.sandbox, self.mutation.name);
    }
}

/// Copies a folder with modes and times.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}
