//! A shell in a user namespace of its own, where tests may mount and lower the limits of the kernel.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::Sandbox;
use crate::wait::DEADLINE;

/// What the shell says when a command has ended.
const DONE: &str = "--done--";

/// The shell. It ends when this is dropped; what it started in the background does not.
#[derive(Debug)]
pub struct Namespace {
    shell: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Namespace {
    /// A shell with the environment of a sandbox; `None`, and why on standard error, where the system
    /// allows no namespaces.
    pub fn new(sandbox: &Sandbox) -> Option<Self> {
        let mut command = sandbox.command("/usr/bin/unshare".as_ref());
        command
            .args(["-rm", "/bin/sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut shell = match command.spawn() {
            Ok(shell) => shell,
            Err(error) => {
                eprintln!("skipped: there is no `unshare`: {error}");
                return None;
            }
        };
        let input = shell.stdin.take();
        let output = shell.stdout.take().unwrap();
        let (send, lines) = sync_channel(1_000);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut this = Self {
            shell,
            input,
            lines,
        };
        if this.tries("mount -t tmpfs none /mnt && umount /mnt") {
            Some(this)
        } else {
            eprintln!("skipped: this system allows no user namespaces");
            None
        }
    }

    /// Runs a command; true if it succeeded.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn tries(&mut self, command: &str) -> bool {
        let line = format!("( {command} ) </dev/null >&2; echo {DONE} $?\n");
        let written = self.input.as_mut().unwrap().write_all(line.as_bytes());
        if written.is_err() {
            return false;
        }
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) if line.starts_with(DONE) => return line.ends_with(" 0"),
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return false,
                Err(error) => panic!("{error}: {command}"),
            }
        }
    }

    /// Runs a command, which must succeed.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn run(&mut self, command: &str) {
        assert!(self.tries(command), "it failed: {command}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.input.take());
        self.shell.wait().ok();
    }
}
