//! Start, lock, socket, shutdown of the real program, each in a home of its own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]
#![expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getsid, kill_process};
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::{Rendezvous, StartupReport};

const PATIENCE: Duration = Duration::from_secs(30);

/// A home and a runtime folder.
struct Place {
    dir: tempfile::TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        Self::with("home")
    }

    fn with(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir(base.join("run")).unwrap();
        fs::set_permissions(base.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            home: Home::at(base.join(name)),
            dir,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skillmeatd"));
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path().join("run"))
            .env("SKILLMEAT_HOME", self.home.root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts as `sm` does.
    fn start(&self) -> Daemon {
        let mut command = self.command();
        command.arg("--startup-report");
        Daemon::spawn(command)
    }

    fn rendezvous(&self) -> Option<Rendezvous> {
        Rendezvous::load(&self.home.rendezvous()).unwrap()
    }

    /// Where the socket of this home stands.
    fn socket(&self) -> PathBuf {
        let daemon = self.start();
        let socket = daemon.report().socket.unwrap();
        assert_eq!(daemon.stop(Signal::TERM).code(), Some(0));
        socket
    }
}

/// A daemon that is killed when the test ends.
struct Daemon {
    child: Child,
    line: String,
}

impl Daemon {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self { child, line }
    }

    fn report(&self) -> StartupReport {
        StartupReport::parse(&self.line).unwrap_or_else(|| panic!("no report: {:?}", self.line))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn stop(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.ended()
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serves(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_start_reports_and_is_private() {
    let place = Place::new();
    let daemon = place.start();
    let report = daemon.report();
    assert!(report.ok, "{report:?}");
    assert_eq!(report.pid, Some(daemon.child.id()));
    let socket = report.socket.clone().unwrap();
    assert!(serves(&socket));
    let found = place.rendezvous().unwrap();
    assert_eq!(
        (Some(&found.socket), Some(&found.instance)),
        (Some(&socket), report.instance.as_ref())
    );
    assert_eq!((found.manager.as_str(), found.instance.len()), ("auto", 16));
    for (path, wanted) in [
        (place.home.root().to_owned(), 0o700),
        (place.home.run_dir(), 0o700),
        (socket, 0o600),
        (place.home.rendezvous(), 0o600),
        (place.home.lock_file(), 0o600),
        (place.home.log_file(), 0o600),
    ] {
        assert_eq!(mode(&path), wanted, "{}", path.display());
    }
    let deadline = Instant::now() + PATIENCE;
    while StartupReport::load(&place.home.last_start()).unwrap() != Some(report.clone()) {
        assert!(Instant::now() < deadline, "the report is not kept");
        std::thread::yield_now();
    }
}

#[test]
fn in_the_foreground_it_says_where_it_serves() {
    let place = Place::new();
    let daemon = Daemon::spawn(place.command());
    let found = place.rendezvous().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let (home, socket) = (place.home.root().display(), found.socket.display());
    assert_eq!(
        daemon.line,
        format!("skillmeatd {version} serving {home} on {socket}\n")
    );
    assert_eq!(found.manager, "foreground");
    assert_eq!(daemon.stop(Signal::INT).code(), Some(0));
}

#[test]
fn the_second_stands_down_with_75() {
    let place = Place::new();
    let first = place.start();
    let mut second = place.start();
    let report = second.report();
    assert_eq!(report.error.unwrap().code, "daemon.already_running");
    assert_eq!(second.ended().code(), Some(75));
    let third = place.command().output().unwrap();
    assert_eq!(third.status.code(), Some(75));
    assert!(String::from_utf8(third.stderr).unwrap().contains("already"));
    assert!(serves(&first.report().socket.unwrap()));
    assert!(place.rendezvous().unwrap().pid == first.child.id());
}

#[test]
fn of_many_at_once_one_serves() {
    let place = Place::new();
    let mut all: Vec<Daemon> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| place.start())).collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    let (serving, refused): (Vec<_>, Vec<_>) =
        all.iter_mut().partition(|daemon| daemon.report().ok);
    assert_eq!(serving.len(), 1);
    assert_eq!(
        place.rendezvous().unwrap().pid,
        serving.first().unwrap().child.id()
    );
    for daemon in refused {
        assert_eq!(daemon.ended().code(), Some(75));
    }
}

#[test]
fn of_two_at_once_one_serves_fifty_times_over() {
    let place = Place::new();
    for round in 0..50 {
        let (mut one, mut other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| place.start());
            (place.start(), other.join().unwrap())
        });
        let (winner, loser) = if one.report().ok {
            (&mut one, &mut other)
        } else {
            (&mut other, &mut one)
        };
        assert!(winner.report().ok && !loser.report().ok, "round {round}");
        assert_eq!(loser.ended().code(), Some(75));
        let at = place.rendezvous().unwrap();
        assert_eq!(at.pid, winner.child.id());
        assert!(serves(&at.socket), "round {round}");
        // Killed, so that the next two find what it left.
        winner.signal(Signal::KILL);
        winner.ended();
    }
}

#[test]
fn it_cleans_up_when_asked_to_stop() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let place = Place::new();
        let daemon = place.start();
        let socket = daemon.report().socket.unwrap();
        assert_eq!(daemon.stop(signal).code(), Some(0), "{signal:?}");
        assert!(!socket.exists() && !place.home.rendezvous().exists());
        assert!(place.start().report().ok);
    }
}

#[test]
fn after_kill_9_the_next_start_works() {
    let place = Place::new();
    let mut daemon = place.start();
    let first = daemon.report();
    daemon.signal(Signal::KILL);
    daemon.ended();
    let socket = first.socket.clone().unwrap();
    assert!(
        socket.exists() && !serves(&socket),
        "a stale socket is left"
    );
    let next = place.start();
    assert!(next.report().ok && serves(&socket));
    assert_ne!(next.report().instance, first.instance);
}

#[test]
fn a_file_at_the_sockets_place_goes_and_a_folder_stays() {
    let place = Place::new();
    let socket = place.socket();
    fs::write(&socket, "not a socket").unwrap();
    assert!(place.start().report().ok);
    drop(fs::remove_file(&socket));
    fs::create_dir_all(socket.join("keep")).unwrap();
    let mut refused = place.start();
    let error = refused.report().error.unwrap();
    assert_eq!(error.code, "daemon.socket_path");
    assert!(
        error
            .hints
            .iter()
            .any(|hint| hint.contains(socket.to_str().unwrap()))
    );
    assert_eq!(refused.ended().code(), Some(78));
    assert!(socket.join("keep").exists());
    let kept = StartupReport::load(&place.home.last_start())
        .unwrap()
        .unwrap();
    assert_eq!(kept.error.unwrap().code, "daemon.socket_path");
}

#[test]
fn what_the_lock_and_the_rendezvous_say_decides_nothing() {
    for content in [&b""[..], b"1\n", b"\xff\x00garbage", b"{\"pid\":1}"] {
        let place = Place::new();
        fs::create_dir_all(place.home.run_dir()).unwrap();
        fs::write(place.home.lock_file(), content).unwrap();
        fs::write(place.home.rendezvous(), content).unwrap();
        assert!(place.start().report().ok, "{content:?}");
    }
}

#[test]
fn an_owner_whose_socket_is_out_of_reach_is_named() {
    let place = Place::new();
    let first = place.start();
    fs::remove_file(first.report().socket.unwrap()).unwrap();
    let mut second = place.start();
    assert_eq!(
        second.report().error.unwrap().code,
        "daemon.unreachable_owner"
    );
    assert_eq!(second.ended().code(), Some(75));
}

#[test]
fn the_starters_pipes_are_let_go() {
    let place = Place::new();
    // Without close-on-exec, as a careless parent has it.
    let (mut read, write) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::empty()).unwrap();
    let daemon = place.start();
    drop(write);
    let (told, end) = sync_channel(1);
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let ended = read.read_to_end(&mut rest);
        drop(told.send(ended.map(|_| rest)));
    });
    assert_eq!(end.recv_timeout(PATIENCE).unwrap().unwrap(), b"");
    assert!(serves(&daemon.report().socket.unwrap()), "while it serves");
}

#[test]
fn it_belongs_to_no_terminal_and_stands_in_no_folder() {
    let place = Place::new();
    let daemon = place.start();
    let process = Pid::from_child(&daemon.child);
    // Ctrl-C and the end of a terminal reach a session, so it leads its own; and who stands in a folder keeps a disk from being unmounted.
    assert_eq!(getsid(Some(process)), Ok(process));
    let standing = fs::read_link(format!("/proc/{}/cwd", daemon.child.id()));
    assert_eq!(standing.unwrap(), Path::new("/"));
    // A reader that went away is an error value, and no end.
    daemon.signal(Signal::PIPE);
    assert!(serves(&daemon.report().socket.unwrap()));
    assert_eq!(daemon.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn the_few_open_files_of_a_shell_are_no_limit() {
    let place = Place::new();
    let asked = place.command();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "ulimit -Sn 256 && exec \"$0\" --startup-report"])
        .arg(asked.get_program())
        .env_clear()
        .envs(
            asked
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .stdout(Stdio::piped());
    let daemon = Daemon::spawn(command);
    assert!(serves(&daemon.report().socket.unwrap()));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut numbers = line.unwrap().split_whitespace().skip(3);
    let number = |word: &str| word.parse::<u64>().unwrap_or(u64::MAX);
    let (soft, hard) = (
        number(numbers.next().unwrap()),
        number(numbers.next().unwrap()),
    );
    assert_eq!(soft, hard.min(8192));
}

#[test]
fn standard_output_ends_after_the_report() {
    let place = Place::new();
    let mut child = place.command().arg("--startup-report").spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let daemon = Daemon {
        child,
        line: String::new(),
    };
    let (told, end) = sync_channel(1);
    std::thread::spawn(move || {
        let (mut report, mut rest) = (String::new(), String::new());
        let read = out
            .read_to_string(&mut report)
            .and_then(|_| err.read_to_string(&mut rest));
        drop(told.send(read.map(|_| (report, rest))));
    });
    let (report, rest) = end.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(StartupReport::parse(&report).unwrap().ok);
    assert_eq!((report.lines().count(), rest.as_str()), (1, ""));
    assert_eq!(daemon.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_long_home_and_a_broken_config_are_served() {
    let place = Place::with(&"long".repeat(50));
    fs::create_dir(place.home.root()).unwrap();
    fs::write(place.home.config(), "log = [broken\n").unwrap();
    let daemon = place.start();
    assert!(daemon.report().ok);
    assert_eq!(mode(place.home.root()), 0o700, "it is tightened");
}

#[test]
fn a_home_that_cant_be_used_is_explained() {
    let place = Place::new();
    fs::write(place.home.root(), "a file").unwrap();
    let mut daemon = place.start();
    let error = daemon.report().error.unwrap();
    assert_eq!(error.code, "home.unusable");
    assert!(error.message.contains(place.home.root().to_str().unwrap()));
    assert_eq!(daemon.ended().code(), Some(78));
}
