//! Runs another program: bounded in time and output, and always reaped.
//!
//! The program gets the environment that it is given and nothing else, no standard input, and a process
//! group of its own, which is killed as a whole at the deadline: what it started itself goes with it.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a look at the program's output lasts before it is asked whether it has ended.
const STEP: Duration = Duration::from_millis(10);

/// How long a killed process may take to go. One that waits for a disk is reaped by a thread of its own.
const AFTER_KILL: Duration = Duration::from_secs(1);

/// A program and what it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    deadline: Duration,
    max_output: usize,
}

/// What a program that ended by itself has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, as far as it was kept.
    pub stdout: Vec<u8>,
    /// Its standard error, as far as it was kept.
    pub stderr: Vec<u8>,
}

/// Why a program did not end by itself.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It can't be started, or not be waited for.
    #[error("can't run `{path}`: {why}", path = .0.display(), why = .1)]
    Io(PathBuf, #[source] io::Error),
    /// It took too long and was killed.
    #[error("`{path}` did not end within {seconds} s", path = .0.display(), seconds = .1.as_secs_f32())]
    TimedOut(PathBuf, Duration),
    /// Who ran it had enough and killed it.
    #[error("`{path}` was stopped", path = .0.display())]
    Stopped(PathBuf),
}

impl Program {
    /// A program by its absolute path, with 10 s of time and 64 KiB of either output.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            deadline: Duration::from_secs(10),
            max_output: 64 << 10,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a variable to its environment, which is empty otherwise.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how many bytes are kept of either output; the rest is read and dropped.
    #[must_use]
    pub const fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Runs it and waits for its end.
    ///
    /// # Errors
    /// [`Failed`] if it can't be started, or does not end in time.
    pub fn run(&self) -> Result<Finished, Failed> {
        self.run_while(&mut || true)
    }

    /// Runs it until its end, or until `goes_on`, which is asked again and again, says no.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Failed::Stopped`].
    pub fn run_while(&self, goes_on: &mut dyn FnMut() -> bool) -> Result<Finished, Failed> {
        let started = Instant::now();
        let child = Command::new(&self.path)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| self.failed(error))?;
        let mut running = Running { child: Some(child) };
        self.attend(&mut running, started, goes_on)
    }

    fn attend(
        &self,
        running: &mut Running,
        started: Instant,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Finished, Failed> {
        let failed = |error| self.failed(error);
        let Some(child) = running.child.as_mut() else {
            return Err(failed(ErrorKind::NotFound.into()));
        };
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed(ErrorKind::BrokenPipe.into()));
        };
        let mut stdout = Output::<ChildStdout>::new(stdout, self.max_output).map_err(failed)?;
        let mut stderr = Output::new(stderr, self.max_output).map_err(failed)?;
        loop {
            let ended = has_ended(child).map_err(failed)?;
            // What it wrote before it ended is in the pipes by now.
            stdout.read().map_err(failed)?;
            stderr.read().map_err(failed)?;
            if ended {
                kill_group(child);
                return Ok(Finished {
                    status: child.wait().map_err(failed)?,
                    stdout: stdout.kept,
                    stderr: stderr.kept,
                });
            }
            let left = self.deadline.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Failed::TimedOut(self.path.clone(), self.deadline));
            }
            if !goes_on() {
                return Err(Failed::Stopped(self.path.clone()));
            }
            wait_for_either(&stdout, &stderr, left.min(STEP)).map_err(failed)?;
        }
    }

    fn failed(&self, error: io::Error) -> Failed {
        Failed::Io(self.path.clone(), error)
    }
}

/// A process that does not outlive this value, nor stays behind unreaped.
struct Running {
    child: Option<Child>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // Once reaped, its number may be somebody else's.
        if matches!(has_ended(&child), Ok(false)) {
            kill_group(&child);
        }
        let give_up = Instant::now() + AFTER_KILL;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= give_up {
                // Detached: it ends with the process that it waits for.
                drop(std::thread::spawn(move || child.wait()));
                return;
            }
            std::thread::park_timeout(STEP);
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Whether it has ended. It is not reaped, so its number stays its own.
fn has_ended(child: &Child) -> io::Result<bool> {
    let Some(pid) = pid(child) else {
        return Ok(true);
    };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), look)?.is_some())
}

/// Kills a process that was not reaped yet, and all that it started and that stayed in its group.
fn kill_group(child: &Child) {
    if let Some(group) = pid(child) {
        // There may be nobody left.
        kill_process_group(group, Signal::KILL).ok();
    }
}

/// A pipe that is read without waiting.
struct Output<P> {
    pipe: Option<P>,
    kept: Vec<u8>,
    room: usize,
}

impl<P: Read + AsFd> Output<P> {
    fn new(pipe: P, room: usize) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Self {
            pipe: Some(pipe),
            kept: Vec::new(),
            room,
        })
    }

    /// Reads what is there, a bounded amount.
    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        for _ in 0..64 {
            let Some(pipe) = &mut self.pipe else { break };
            match pipe.read(&mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(read) => {
                    let room = self.room.saturating_sub(self.kept.len());
                    self.kept.extend(chunk.iter().take(read.min(room)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Waits until one of the pipes can be read or was closed, at most so long.
fn wait_for_either<A, B>(one: &Output<A>, other: &Output<B>, at_most: Duration) -> io::Result<()>
where
    A: AsFd,
    B: AsFd,
{
    let pipes = [
        one.pipe.as_ref().map(|pipe| pipe.as_fd()),
        other.pipe.as_ref().map(|pipe| pipe.as_fd()),
    ];
    let mut polled: Vec<_> = pipes
        .into_iter()
        .flatten()
        .map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN))
        .collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: at_most.subsec_nanos().into(),
    };
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn what_it_says_and_how_it_ends_come_back() {
        let done = shell("echo out; echo err >&2; exit 3").run().unwrap();
        assert_eq!(done.status.code(), Some(3));
        assert_eq!(
            (done.stdout, done.stderr),
            (b"out\n".into(), b"err\n".into())
        );
    }

    #[test]
    fn it_gets_the_environment_that_it_is_given_and_no_input() {
        let done = shell("echo \"$A-$HOME-$(cat)-$PWD\"")
            .env("A", "given")
            .run();
        assert_eq!(done.unwrap().stdout, b"given---/\n");
    }

    #[test]
    fn its_output_is_bounded_and_it_may_still_end() {
        let flood = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done";
        let done = shell(flood).max_output(1_000).run().unwrap();
        assert!(done.status.success());
        assert_eq!(done.stdout.len(), 1_000);
    }

    #[test]
    fn at_its_deadline_it_is_killed_with_all_that_it_started_and_reaped() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 1000 & echo $$ $! > {}; wait", pids.display());
        let error = shell(&script)
            .env("PATH", "/usr/bin:/bin")
            .deadline(Duration::from_millis(500))
            .run()
            .unwrap_err();
        assert!(matches!(error, Failed::TimedOut(..)), "{error}");
        assert!(error.to_string().contains("/bin/sh"), "{error}");
        let told = std::fs::read_to_string(&pids).unwrap();
        let numbers: Vec<i32> = told
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect();
        let [shell, sleeper] = numbers.as_slice() else {
            panic!("{told}");
        };
        // Reaped by us: nothing is left of it, not even a zombie.
        let gone =
            |pid: i32| rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()).is_err();
        assert!(gone(*shell));
        // Its own child is the system's to reap; it no longer runs.
        let deadline = Instant::now() + Duration::from_secs(10);
        let runs = || {
            std::fs::read_to_string(format!("/proc/{sleeper}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z"))
        };
        while runs() {
            assert!(Instant::now() < deadline, "what it started lives on");
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_is_killed_when_it_may_not_go_on() {
        let started = Instant::now();
        let mut asked = 0;
        let sleeping = shell("sleep 1000").env("PATH", "/usr/bin:/bin");
        let error = sleeping
            .deadline(Duration::from_mins(1))
            .run_while(&mut || {
                asked += 1;
                asked < 3
            });
        assert!(matches!(error, Err(Failed::Stopped(_))), "{error:?}");
        assert!(asked == 3 && started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_pipe_that_somebody_else_holds_open_delays_nothing() {
        let started = Instant::now();
        let done = shell("sleep 1000 & echo done")
            .env("PATH", "/usr/bin:/bin")
            .deadline(Duration::from_mins(1))
            .run()
            .unwrap();
        assert_eq!(done.stdout, b"done\n");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Program::new("/no/such/program").run().unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
