//! Running `sm`: what it answered, and streams of lines.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitStatus, Output};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wait::DEADLINE;

/// What a command answered.
#[derive(Debug)]
#[must_use = "an answer that nobody looks at proves nothing"]
pub struct Answer {
    /// The command, for messages.
    pub line: String,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    pub(crate) fn new(line: String, output: &Output) -> Self {
        Self {
            line,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same answer if the command succeeded.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// The same answer if the command ended with this code.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code of `{}`\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "`{}` printed no JSON ({error})\n--- stdout\n{}\n--- stderr\n{}",
                self.line, self.stdout, self.stderr
            )
        })
    }

    /// The error that standard error holds as JSON; its shape is checked.
    ///
    /// # Panics
    /// If it is not one JSON object of the documented shape.
    #[track_caller]
    pub fn error(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stderr).unwrap_or_else(|error| {
            panic!(
                "`{}` printed no JSON error ({error}):\n{}",
                self.line, self.stderr
            )
        });
        let error = &value["error"];
        assert!(error["code"].is_string(), "{value}");
        assert!(
            error["message"].as_str().is_some_and(|m| !m.is_empty()),
            "{value}"
        );
        assert!(error["hints"].is_array(), "{value}");
        assert!(error.get("path").is_some(), "{value}");
        assert!(error.get("line").is_some(), "{value}");
        error.clone()
    }
}

/// A process whose lines come as they are printed. It is ended when this is dropped.
#[derive(Debug)]
pub struct Stream {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Stream {
    /// The lines of a process whose standard output is a pipe.
    ///
    /// # Panics
    /// If it is none.
    pub fn new(mut child: Child) -> Self {
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The next line.
    ///
    /// # Panics
    /// If none comes before the deadline.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let Ok(line) = self.lines.recv_timeout(DEADLINE) else {
            panic!("no further line; seen so far: {:#?}", self.seen)
        };
        self.seen.push(line.clone());
        line
    }

    /// The next line as JSON.
    ///
    /// # Panics
    /// If none comes before the deadline, or if it is no JSON.
    #[track_caller]
    pub fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Reads lines of JSON until one fits; all that were read, that one last.
    ///
    /// # Panics
    /// If none fits before the deadline.
    #[track_caller]
    pub fn json_until(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let give_up = Instant::now() + DEADLINE;
        let mut all = Vec::new();
        loop {
            let value = self.json();
            let found = fits(&value);
            all.push(value);
            if found {
                return all;
            }
            assert!(Instant::now() < give_up, "none of these fits: {all:#?}");
        }
    }

    /// Lines that come within this time; for what must not come.
    pub fn lines_within(&mut self, time: Duration) -> Vec<String> {
        let end = Instant::now() + time;
        let mut lines = Vec::new();
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            lines.push(line);
        }
        lines
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the process to end.
    ///
    /// # Panics
    /// If it does not before the deadline.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        crate::until("the end of the process", || child.try_wait().unwrap())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
