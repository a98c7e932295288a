//! A terminal with a person before it: commands that ask are answered.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::wait::until;

/// A command whose input and output are one terminal. It is ended when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keys: File,
    seen: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Runs a command on a new terminal, which can do nothing unless the command's `TERM` says more.
    ///
    /// # Panics
    /// If the system has no terminals.
    pub fn run(mut command: Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = File::from(rustix::fs::open(&*name, flags, Mode::empty()).unwrap());
        let side = || Stdio::from(theirs.try_clone().unwrap());
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "dumb");
        }
        command.stdin(side()).stdout(side()).stderr(side());
        let child = command.spawn().unwrap();
        // Their side closes when the command ends.
        drop(command);
        drop(theirs);
        let keys = File::from(ours);
        let (seen, mut screen) = (
            Arc::new(Mutex::new(String::new())),
            keys.try_clone().unwrap(),
        );
        let shown = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // At the end: an error, as nobody has the other side any more.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                shown.push_str(&text);
            }
        });
        Self {
            child,
            keys,
            seen,
            reader,
        }
    }

    /// All that was shown so far, what was typed included.
    pub fn screen(&self) -> String {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.replace("\r\n", "\n")
    }

    /// Waits for a question, and answers with a line.
    ///
    /// # Panics
    /// If it is not asked.
    #[track_caller]
    pub fn answer(&mut self, question: &str, line: &str) {
        until(question, || self.screen().contains(question).then_some(()));
        self.keys.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits for the end: the exit code, and all that was shown.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = until("the end of the command", || self.child.try_wait().unwrap());
        // Its last words may still be on their way.
        until("the end of the screen", || {
            self.reader.is_finished().then_some(())
        });
        (status.code(), self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
