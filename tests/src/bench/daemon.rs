//! A home, and a daemon that serves it.

use std::future::Future;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use skillmeat_proto::v1;
use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient as Artifacts;
use skillmeat_proto::v1::cache_service_client::CacheServiceClient as Cache;
use skillmeat_shared::paths;
use tempfile::TempDir;

use crate::client::Rpc;
use crate::daemon::rendezvous;
use crate::home::binary;
use crate::process::Process;

/// Longer than any step may take.
const DEADLINE: Duration = Duration::from_mins(5);

/// The rest between two questions of somebody who waits: short against what is measured, and long enough
/// not to take the machine from the daemon. Asked every 2 ms, it spent a sixteenth of its time on answers.
const REST: Duration = Duration::from_millis(10);

/// A user with a collection and nothing else.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            folder: tempfile::Builder::new().prefix("sm").tempdir().unwrap(),
        }
    }

    /// Its paths.
    pub fn paths(&self) -> paths::Home {
        paths::Home::at(self.folder.path().join(".skillmeat"))
    }

    /// The folder of the default collection.
    pub fn collection(&self) -> PathBuf {
        self.paths().collection("default")
    }

    /// A program, in this user's environment and nothing else.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("SKILLMEAT_HOME", self.paths().root());
        command
    }

    /// Starts the daemon and waits for its first answer.
    pub fn start(&self) -> Daemon {
        let before = std::time::SystemTime::now();
        let started = Instant::now();
        let child = self
            .command("skillmeatd")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id();
        let socket = until(|| rendezvous(&self.paths()).filter(|it| it.pid == pid)).socket;
        let rpc = Rpc::new(&socket);
        let mut daemon = Daemon {
            child,
            started,
            before,
            rpc,
            first_answer: Duration::ZERO,
        };
        until(|| daemon.page(50));
        daemon.first_answer = started.elapsed();
        daemon
    }
}

/// Asks until there is an answer.
fn until<T>(mut question: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < give_up, "waited in vain for the daemon");
        std::thread::park_timeout(Duration::from_micros(500));
    }
}

/// A daemon that runs; it is told to end when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    /// Just before it was started.
    pub started: Instant,
    before: std::time::SystemTime,
    /// A channel to it.
    pub rpc: Rpc,
    /// From its start to its first page of the list.
    pub first_answer: Duration,
}

impl Daemon {
    /// The process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Waits for an answer.
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.rpc.within(DEADLINE, answer).unwrap()
    }

    /// The first page of the list; nothing if the daemon can't give it yet.
    pub fn page(&self, page_size: u32) -> Option<v1::ListArtifactsResponse> {
        let mut client = Artifacts::new(self.rpc.channel());
        let request = v1::ListArtifactsRequest {
            page_size,
            ..Default::default()
        };
        self.wait(client.list(request))
            .ok()
            .map(tonic::Response::into_inner)
    }

    /// What it says of its cache.
    pub fn cache(&self) -> v1::CacheStatusResponse {
        let mut client = Cache::new(self.rpc.channel());
        self.wait(client.status(v1::CacheStatusRequest {}))
            .unwrap()
            .into_inner()
    }

    /// Waits for something; how long that took since the start.
    pub fn wait_for(&self, mut condition: impl FnMut() -> bool) -> Duration {
        let give_up = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < give_up, "waited in vain for the daemon");
            std::thread::park_timeout(REST);
        }
        self.started.elapsed()
    }

    /// Waits until all rows are served; how long that took since the start.
    pub fn wait_until_complete(&self, artifacts: usize) -> Duration {
        self.wait_for(|| {
            self.page(1).is_some_and(|page| {
                page.total == artifacts as u64 && page.freshness.is_some_and(|fresh| fresh.complete)
            })
        })
    }

    /// Waits until all rows have been compared with their files since the start; how long that took.
    pub fn wait_until_verified(&self) -> Duration {
        let before = self
            .before
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        self.wait_for(|| {
            self.page(1)
                .and_then(|page| page.freshness?.verified_at)
                .is_some_and(|at| u128::try_from(at).is_ok_and(|at| at > before))
        })
    }

    /// Waits until the text of every artifact is in the index; how long that took since the start.
    pub fn wait_until_indexed(&self) -> Duration {
        self.wait_for(|| {
            let cache = self.cache();
            cache.unindexed_artifacts == 0 && cache.total_artifacts > 0
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).ok();
        }
        self.child.wait().ok();
    }
}
