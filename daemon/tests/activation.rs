//! The real program under a service manager: sockets that are handed over, and what the manager hears.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::Rendezvous;

const PATIENCE: Duration = Duration::from_secs(40);

/// What a manager keeps for a service: its socket, and an ear.
struct Manager {
    dir: tempfile::TempDir,
    home: Home,
    socket: PathBuf,
    ear: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir(base.join("run")).unwrap();
        fs::set_permissions(base.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        let ear = UnixDatagram::bind(base.join("notify")).unwrap();
        ear.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            home: Home::at(base.join("home")),
            socket: base.join("run/s.sock"),
            ear,
            dir,
        }
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(&self.socket).unwrap()
    }

    /// A command in a daemon's environment, which is the manager's.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("SKILLMEAT_HOME", self.home.root())
            .env("NOTIFY_SOCKET", self.dir.path().join("notify"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Starts the daemon as the manager does, with the socket as descriptor 3.
    fn start(&self, listener: &UnixListener, env: &[(&str, &str)]) -> Running {
        let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"";
        let child = self
            .command("/bin/sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_skillmeatd")])
            .envs(env.iter().copied())
            .stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())))
            .spawn()
            .unwrap();
        Running(child)
    }

    /// What the daemon tells next.
    fn hears(&self) -> String {
        let mut told = [0; 4096];
        let length = self.ear.recv(&mut told).unwrap();
        String::from_utf8(told.get(..length).unwrap().to_vec()).unwrap()
    }

    fn hears_until(&self, wanted: &str) -> String {
        loop {
            let told = self.hears();
            if told.contains(wanted) {
                return told;
            }
        }
    }

    fn rendezvous(&self) -> Option<Rendezvous> {
        Rendezvous::load(&self.home.rendezvous()).unwrap()
    }
}

/// A daemon that is killed when the test ends.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A client that is greeted, which may have to wait for it.
fn greeted(mut client: &UnixStream) {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 1);
}

fn connect(socket: &Path) -> UnixStream {
    UnixStream::connect(socket).unwrap()
}

#[test]
fn a_socket_that_is_handed_over_is_served_and_stays() {
    let manager = Manager::new();
    let listener = manager.listen();
    // Whoever came before the daemon is answered by it.
    let mut early = Some(connect(&manager.socket));
    for signal in [Signal::TERM, Signal::KILL, Signal::INT] {
        let mut daemon = manager.start(&listener, &[]);
        assert!(manager.hears_until("READY=1").contains("serving"));
        let at = manager.rendezvous().unwrap();
        assert_eq!(
            (at.socket.as_path(), at.manager.as_str(), at.pid),
            (manager.socket.as_path(), "systemd", daemon.0.id())
        );
        if let Some(early) = early.take() {
            greeted(&early);
        }
        greeted(&connect(&manager.socket));
        let mode = fs::metadata(&manager.socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        daemon.signal(signal);
        daemon.ended();
        assert!(manager.socket.exists(), "it is the manager's");
        assert_eq!(manager.rendezvous().is_some(), signal == Signal::KILL);
        // The next one finds it waiting.
        if signal != Signal::INT {
            let waiting = connect(&manager.socket);
            let daemon = manager.start(&listener, &[]);
            greeted(&waiting);
            // Its word must not be taken for that of the one after it.
            manager.hears_until("READY=1");
            drop(daemon);
        }
    }
}

#[test]
fn only_what_is_handed_over_is_kept() {
    let manager = Manager::new();
    let listener = manager.listen();
    // Without close-on-exec, as a careless parent has it.
    let (mut read, write) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::empty()).unwrap();
    let daemon = manager.start(&listener, &[]);
    manager.hears_until("READY=1");
    drop(write);
    assert_eq!(read.read(&mut [0; 1]).unwrap(), 0, "while it serves");
    drop(daemon);
}

#[test]
fn the_manager_hears_of_the_end_and_why() {
    let manager = Manager::new();
    let listener = manager.listen();
    let mut daemon = manager.start(&listener, &[]);
    assert!(manager.hears().starts_with("READY=1\nSTATUS=serving"));
    daemon.signal(Signal::TERM);
    assert!(manager.hears_until("STOPPING=1").contains("SIGTERM"));
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn a_home_that_cant_be_used_does_not_make_the_manager_try_for_ever() {
    let manager = Manager::new();
    fs::write(manager.home.root(), "a file").unwrap();
    let listener = manager.listen();
    let mut waiting = connect(&manager.socket);
    let mut daemon = manager.start(&listener, &[]);
    assert_eq!(daemon.ended().code(), Some(78));
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(waiting.read(&mut [0; 1]).unwrap(), 0, "turned away");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "nobody waits, so nothing starts it again"
    );
    assert!(manager.hears_until("STOPPING=1").contains("home"));
}

#[test]
fn a_daemon_that_a_client_started_tells_no_manager_of_anybody_else() {
    let manager = Manager::new();
    let mut child = manager
        .command(env!("CARGO_BIN_EXE_skillmeatd"))
        .arg("--startup-report")
        .env("WATCHDOG_USEC", "300000")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut report = String::new();
    let mut out = child.stdout.take().unwrap();
    let mut daemon = Running(child);
    out.read_to_string(&mut report).unwrap();
    assert!(report.contains("\"ok\":true"), "{report}");
    assert_eq!(manager.rendezvous().unwrap().manager, "auto");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));
    manager.ear.set_nonblocking(true).unwrap();
    assert_eq!(
        manager.ear.recv(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn the_tool_of_systemd_starts_it_at_the_first_connection() {
    let tool = Path::new("/usr/bin/systemd-socket-activate");
    if !tool.exists() {
        println!("skipped: `{}` is not there", tool.display());
        return;
    }
    let manager = Manager::new();
    let child = manager
        .command(tool.to_str().unwrap())
        .arg("--listen")
        .arg(&manager.socket)
        .args(["--fdname", "grpc", "--setenv"])
        .arg(format!("SKILLMEAT_HOME={}", manager.home.root().display()))
        .arg("--setenv")
        .arg(format!("HOME={}", manager.dir.path().display()))
        .arg("--setenv")
        .arg(format!(
            "NOTIFY_SOCKET={}/notify",
            manager.dir.path().display()
        ))
        .arg(env!("CARGO_BIN_EXE_skillmeatd"))
        .spawn()
        .unwrap();
    let mut daemon = Running(child);
    let deadline = Instant::now() + PATIENCE;
    let first = loop {
        if let Ok(first) = UnixStream::connect(&manager.socket) {
            break first;
        }
        assert!(Instant::now() < deadline, "it does not listen");
        std::thread::park_timeout(Duration::from_millis(5));
    };
    greeted(&first);
    drop(first);
    manager.hears_until("READY=1");
    let at = manager.rendezvous().unwrap();
    assert_eq!((at.socket, at.pid), (manager.socket.clone(), daemon.0.id()));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));
}

#[test]
fn the_manager_is_named_by_the_argument_too() {
    let manager = Manager::new();
    for name in ["systemd", "launchd"] {
        let child = manager
            .command(env!("CARGO_BIN_EXE_skillmeatd"))
            .args(["--manager", name])
            .spawn()
            .unwrap();
        let mut daemon = Running(child);
        manager.hears_until("READY=1");
        assert_eq!(manager.rendezvous().unwrap().manager, name);
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended().code(), Some(0));
        manager.hears_until("STOPPING=1");
    }
}

#[test]
fn the_watchdog_hears_signs_of_life_while_the_daemon_answers() {
    let manager = Manager::new();
    let listener = manager.listen();
    let daemon = manager.start(&listener, &[("WATCHDOG_USEC", "300000")]);
    manager.hears_until("READY=1");
    for _ in 0..3 {
        manager.hears_until("WATCHDOG=1");
    }
    daemon.signal(Signal::STOP);
    // What was said before it stopped.
    manager.ear.set_nonblocking(true).unwrap();
    while manager.ear.recv(&mut [0; 64]).is_ok() {}
    manager.ear.set_nonblocking(false).unwrap();
    manager
        .ear
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    assert!(manager.ear.recv(&mut [0; 64]).is_err(), "it is silent");
    manager.ear.set_read_timeout(Some(PATIENCE)).unwrap();
    daemon.signal(Signal::CONT);
    manager.hears_until("WATCHDOG=1");
}
