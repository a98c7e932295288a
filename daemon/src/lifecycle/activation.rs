//! What a service manager hands over at a start: sockets that it listens on already, where it wants to hear
//! how things go, and how often.
//!
//! The protocols are those of systemd, which other managers speak too. A daemon that a client started in the
//! background takes part in none of this: what its environment says was meant for an ancestor.
#![expect(
    unsafe_code,
    reason = "variables of the environment can only be removed while no other thread lives, which the caller promises"
)]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use skillmeat_shared::paths::{Environment, ProcessEnvironment};

use super::selfcheck::SelfCheck;

/// Meant for this process alone; what it starts itself must not find them.
const VARIABLES: [&str; 7] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// The most descriptors that are taken over.
const MOST_SOCKETS: i32 = 64;

/// The name of our socket among several.
const SOCKET_NAME: &str = "grpc";

/// Signs of life within the manager's patience.
const SIGNS: u32 = 3;

/// No manager needs them more often.
const OFTEN_ENOUGH: Duration = Duration::from_millis(50);

/// The most waiting connections that are turned away.
const MOST_WAITING: usize = 4096;

/// What the environment says was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// How many descriptors, from 3 on.
    pub(crate) sockets: i32,
    /// Which of them is ours.
    named: Option<usize>,
    notify: Option<PathBuf>,
    watchdog: Option<Duration>,
    /// Whether systemd started this very process.
    pub(crate) by_systemd: bool,
}

impl Given {
    /// Reads the environment of the process with this number.
    pub(crate) fn read(env: &dyn Environment, pid: u32) -> Self {
        let is_ours = |name: &str| env.var(name).map(|value| value.trim().parse() == Ok(pid));
        let listens = is_ours("LISTEN_PID") == Some(true);
        let sockets = env
            .var("LISTEN_FDS")
            .filter(|_| listens)
            .and_then(|count| count.trim().parse::<i32>().ok())
            .filter(|count| (1..=MOST_SOCKETS).contains(count))
            .unwrap_or_default();
        let named = env
            .var("LISTEN_FDNAMES")
            .and_then(|names| names.split(':').position(|name| name == SOCKET_NAME));
        let notify = env
            .path("NOTIFY_SOCKET")
            .filter(|path| matches!(path.as_os_str().as_encoded_bytes(), [b'/' | b'@', _, ..]));
        let watchdog = env
            .var("WATCHDOG_USEC")
            .filter(|_| is_ours("WATCHDOG_PID") != Some(false))
            .and_then(|micros| micros.trim().parse().ok())
            .filter(|micros| *micros > 0)
            .map(Duration::from_micros);
        Self {
            sockets,
            named,
            notify,
            watchdog,
            by_systemd: listens || is_ours("SYSTEMD_EXEC_PID") == Some(true),
        }
    }

    /// As [`Self::read`] for this process, which forgets the variables. Call it while no other thread
    /// lives.
    pub(crate) fn take() -> Self {
        let given = Self::read(&ProcessEnvironment, std::process::id());
        for name in VARIABLES {
            // SAFETY: the process has one thread, so nobody reads the environment meanwhile.
            unsafe { std::env::remove_var(name) };
        }
        given
    }
}

/// What was handed over, in our hands.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    sockets: Vec<OwnedFd>,
    /// Tells the manager how things go.
    pub(crate) notifier: Notifier,
    /// After how long a silence the manager takes us for dead.
    watchdog: Option<Duration>,
}

impl Handed {
    /// The descriptors that were kept of those that `given` announces, in their order.
    pub(crate) fn new(given: &Given, mut sockets: Vec<OwnedFd>) -> Self {
        if let Some(ours) = given.named.filter(|ours| *ours < sockets.len()) {
            sockets.swap(0, ours);
        }
        Self {
            sockets,
            notifier: given
                .notify
                .as_deref()
                .map(Notifier::connect)
                .unwrap_or_default(),
            watchdog: given.watchdog.filter(|_| given.notify.is_some()),
        }
    }

    /// The sockets, ours first. They are handed on once.
    pub(crate) fn sockets(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.sockets)
    }

    /// Lets the manager know that we live, as often as it wants, for as long as we answer ourselves.
    pub(crate) fn watch(&self, self_check: &SelfCheck) {
        let Some(patience) = self.watchdog else {
            return;
        };
        // One lost round must not look like death.
        self_check.at_least_every((patience / SIGNS).max(OFTEN_ENOUGH));
        let notifier = self.notifier.clone();
        self_check.add(move |found| {
            if found.answers {
                notifier.alive();
            }
        });
    }

    /// Closes the connections that wait at sockets which nobody is going to serve: otherwise the manager
    /// would start us again for them at once, and again.
    pub(crate) fn turn_away(&mut self) {
        for socket in self.sockets() {
            let listener = UnixListener::from(socket);
            if listener.set_nonblocking(true).is_ok() {
                // Ends at the first error: nobody waits any more, or it is no such socket.
                let waiting = listener.incoming().map_while(Result::ok);
                waiting.take(MOST_WAITING).for_each(drop);
            }
        }
    }
}

/// Tells the service manager how things go. Without one it tells nobody. Never waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notifier {
    to: Option<Arc<(UnixDatagram, SocketAddr)>>,
}

impl Notifier {
    /// A notifier to a path, or to an abstract name that begins with `@`.
    fn connect(to: &Path) -> Self {
        let open = || {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok::<_, io::Error>((socket, address(to)?))
        };
        // Before there is a log. A manager that hears nothing says so itself.
        Self {
            to: open().ok().map(Arc::new),
        }
    }

    /// We serve.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}\n", one_line(status)));
    }

    /// What we do, in words for a person.
    pub(crate) fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}\n", one_line(status)));
    }

    /// We end.
    pub(crate) fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={}\n", one_line(status)));
    }

    /// We live and answer.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1\n");
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = self.to.as_deref()
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(target_os = "linux")]
fn address(to: &Path) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    match to.as_os_str().as_encoded_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(to),
    }
}

#[cfg(not(target_os = "linux"))]
fn address(to: &Path) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    fn given(variables: &[(&str, &str)]) -> Given {
        let env: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Given::read(&env, 7)
    }

    #[test]
    fn sockets_are_taken_only_if_they_are_meant_for_us() {
        let ours = given(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2")]);
        assert_eq!((ours.sockets, ours.by_systemd), (2, true));
        for (pid, count) in [
            ("8", "1"),
            ("", "1"),
            ("7", "0"),
            ("7", "-1"),
            ("7", "65"),
            ("7", "many"),
        ] {
            let other = given(&[("LISTEN_PID", pid), ("LISTEN_FDS", count)]);
            assert_eq!(other.sockets, 0, "{pid} {count}");
        }
        assert_eq!(given(&[("LISTEN_FDS", "1")]), Given::default());
    }

    #[test]
    fn the_manager_is_told_by_the_process_number() {
        assert!(given(&[("SYSTEMD_EXEC_PID", "7")]).by_systemd);
        // A shell that a service of systemd started.
        assert!(!given(&[("SYSTEMD_EXEC_PID", "8"), ("NOTIFY_SOCKET", "/x")]).by_systemd);
    }

    #[test]
    fn a_watchdog_of_somebody_else_is_not_ours() {
        let of = |pid: Option<&str>, micros: &str| {
            let mut all = vec![("WATCHDOG_USEC", micros)];
            all.extend(pid.map(|pid| ("WATCHDOG_PID", pid)));
            given(&all).watchdog
        };
        assert_eq!(of(Some("7"), "2000000"), Some(Duration::from_secs(2)));
        assert_eq!(of(None, "2000000"), Some(Duration::from_secs(2)));
        for (pid, micros) in [(Some("8"), "5"), (None, "0"), (None, "x"), (None, "-5")] {
            assert_eq!(of(pid, micros), None, "{pid:?} {micros}");
        }
    }

    #[test]
    fn only_addresses_are_written_to() {
        for (address, counts) in [
            ("/run/x", true),
            ("@x", true),
            ("", false),
            ("@", false),
            ("vsock:2:1", false),
        ] {
            let found = given(&[("NOTIFY_SOCKET", address)]).notify;
            assert_eq!(found.is_some(), counts, "{address}");
        }
    }

    #[test]
    fn our_socket_comes_first_among_several() {
        let given = given(&[
            ("LISTEN_PID", "7"),
            ("LISTEN_FDS", "2"),
            ("LISTEN_FDNAMES", "other:grpc"),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let sockets = ["other", "ours"]
            .map(|name| UnixListener::bind(folder.path().join(name)).unwrap().into());
        let mut handed = Handed::new(&given, sockets.into());
        let first = UnixListener::from(handed.sockets().swap_remove(0));
        assert!(
            first
                .local_addr()
                .unwrap()
                .as_pathname()
                .unwrap()
                .ends_with("ours")
        );
        assert!(handed.sockets().is_empty(), "they are handed on once");
    }

    #[test]
    fn who_waits_at_a_socket_that_is_not_served_is_turned_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let kept = listener.try_clone().unwrap();
        let mut waiting = UnixStream::connect(&path).unwrap();
        Handed::new(&Given::default(), vec![listener.into()]).turn_away();
        assert_eq!(waiting.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(kept.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_manager_hears_one_line_for_each_thing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::connect(&path);
        notifier.ready("serving\nREADY=0");
        let mut heard = [0; 256];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1\nSTATUS=serving READY=0\n");
        notifier.alive();
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"WATCHDOG=1\n");
        drop(manager);
        notifier.stopping("nobody hears it");
        Notifier::default().status("nor this");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn abstract_names_are_heard_too() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("skillmeat-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::connect(Path::new(&format!("@{name}"))).status("here");
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"STATUS=here\n");
    }
}
