//! The life of the process: boot, lock, socket, readiness, supervision, shutdown.
//!
//! Order of a start: arguments, inherited descriptors, home, config, log, lock, signals, socket, application,
//! rendezvous, serving. From the first answer on the daemon is `starting`; the application says when it is
//! ready. Invariants: the lock alone decides who is the daemon; whatever is removed at our path is removed
//! while we hold it; what we remove at the end is still ours; a start that fails says why, to whoever
//! started it.

mod activation;
mod boot;
mod checks;
mod connection;
mod descriptors;
pub mod heap;
pub mod lock;
pub mod memory;
mod ping;
mod placed;
mod program;
mod reserve;
mod selfcheck;
mod serve;
pub mod shutdown;
mod signals;
mod socket;
pub mod supervisor;
mod tenure;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skillmeat_shared::config::Loaded;
use skillmeat_shared::health::Health;
use skillmeat_shared::paths::Home;
use skillmeat_shared::time::Timestamp;
use tonic::service::Routes;

use crate::telemetry::Telemetry;

/// Threads for calls that block.
pub const BLOCKING_THREADS: usize = 16;

pub use boot::run;
pub use selfcheck::{Check, Findings, SelfCheck};
pub use shutdown::Shutdown;
pub use supervisor::{Policy, Supervisor, TaskState};
pub use tenure::Tenure;

/// What the application is built from.
#[derive(Clone)]
pub struct Boot {
    /// The home that is served.
    pub home: Home,
    /// The config as it was found, with its problems.
    pub loaded: Loaded,
    /// New at every start: 16 hex digits.
    pub instance: String,
    /// Tells builds of one version apart.
    pub build: String,
    /// When the process started.
    pub started_at: Timestamp,
    /// Where we serve.
    pub socket: PathBuf,
    /// Who started us: `auto`, `foreground`, `systemd` or `launchd`.
    pub manager: String,
    /// The log.
    pub log_file: PathBuf,
    /// Changes how we log.
    pub telemetry: Telemetry,
    /// Ends the process, or tells that it ends.
    pub shutdown: Shutdown,
    /// Whether the home is still ours. Ask before what would harm another daemon.
    pub tenure: Tenure,
    /// Starts tasks and threads.
    pub supervisor: Supervisor,
    /// What should be mended. Whoever notices something raises it here, and clears it.
    pub health: Arc<Health>,
    /// Looks after the process once a minute; takes further checks.
    pub self_check: SelfCheck,
}

/// What the lifecycle serves.
pub trait Application: Send + Sync + 'static {
    /// Called once clients can connect. Starts its threads and returns.
    fn start(self: Arc<Self>, supervisor: &Supervisor);
    /// All services, for the server.
    fn services(self: Arc<Self>) -> Routes;
    /// The full names of these services, for the health service.
    fn service_names(&self) -> &'static [&'static str];
    /// Those of them that answer whatever the state, readiness aside.
    fn always_serving(&self) -> &'static [&'static str];
    /// Takes what to call whenever readiness changes: true when all is served, false otherwise. Called
    /// before [`start`](Self::start).
    fn on_ready(&self, report: Box<dyn Fn(bool) + Send + Sync>);
    /// Calls whose answers are not complete.
    fn open_calls(&self) -> usize;
    /// How long nobody has asked for anything; `None` while work is under way.
    fn idle_for(&self) -> Option<Duration>;
    /// After how long without a call the process should end by itself; `None` is never.
    fn idle_exit(&self) -> Option<Duration>;
    /// How much memory the process may take.
    fn memory_limits(&self) -> memory::MemoryLimits;
    /// Drops what it can have again.
    fn shed_memory(&self);
    /// Called once the server has stopped: ends the application's threads and persists what must be.
    /// Blocks until done.
    fn drain(&self);
}
