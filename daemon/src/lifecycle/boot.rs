//! From the arguments to the exit code.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use skillmeat_shared::config::{self, Loaded};
use skillmeat_shared::error::ErrorJson;
use skillmeat_shared::failpoint;
use skillmeat_shared::fs;
use skillmeat_shared::health::Health;
use skillmeat_shared::paths::{Home, ProcessEnvironment, ensure_private_dir, prepare_socket_dir};
use skillmeat_shared::rendezvous::{Rendezvous, StartupReport, start_ticks};
use skillmeat_shared::time::{Clock as _, SystemClock, Timestamp};
use skillmeat_shared::{Code, Error, Result, version};

use super::activation::{Given, Handed};
use super::lock::Lock;
use super::placed::{self, Placed};
use super::program::{self, Program};
use super::reserve::Reserve;
use super::selfcheck::SelfCheck;
use super::shutdown::{EXIT_FAILED, EXIT_OK, Shutdown};
use super::supervisor::{Policy, Supervisor};
use super::tenure::Tenure;
use super::{
    Application, BLOCKING_THREADS, Boot, checks, descriptors, heap, serve, signals, socket,
};
use crate::cli::{Args, Manager};
use crate::telemetry::{self, Telemetry};

/// Another daemon owns the home. Service managers must not try again.
const EXIT_ALREADY_RUNNING: u8 = 75;
/// The home can't be used. Service managers must not try again.
const EXIT_UNUSABLE: u8 = 78;

/// The whole shutdown takes no longer; what hangs then is cut off.
const LONGEST_SHUTDOWN: Duration = Duration::from_secs(15);

/// How long answers may be on their way to those who read them, after the last call is done.
const LINGER: Duration = Duration::from_millis(300);
/// How often it is looked whether calls are open while they are waited for.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the daemon until it is told to stop. Call it from `main` and nowhere else: it closes every
/// descriptor above the standard streams.
pub fn run<A: Application>(args: &Args, build: impl FnOnce(Boot) -> Result<Arc<A>>) -> ExitCode {
    let given = if args.startup_report {
        drop(Given::take());
        Given::default()
    } else {
        Given::take()
    };
    heap::limit();
    let mut handed = Handed::new(&given, descriptors::close_inherited(given.sockets));
    failpoint::arm(std::env::var(failpoint::VARIABLE).ok());
    let mut announce = Announce {
        to_starter: args.startup_report,
        json: args.json,
        manager: manager(args, &given),
        home: None,
    };
    let lived = catch_unwind(AssertUnwindSafe(|| {
        live(args, build, &mut announce, &mut handed)
    }));
    let failed = match lived {
        Ok(Ok(code)) => return ExitCode::from(code),
        Ok(Err(error)) => error,
        Err(_) => {
            let said = telemetry::take_panic().unwrap_or_else(|| "no message".to_owned());
            Error::new(Code::Internal, format!("the daemon panicked: {said}"))
        }
    };
    announce.failed(&failed);
    handed.notifier.stopping(&failed.message);
    handed.turn_away();
    ExitCode::from(exit_code(&failed))
}

/// Who runs us, as the rendezvous has it.
const fn manager(args: &Args, given: &Given) -> &'static str {
    match args.manager {
        Some(manager) => manager.as_str(),
        None if args.startup_report => "auto",
        None if given.by_systemd => Manager::Systemd.as_str(),
        None => "foreground",
    }
}

const fn exit_code(error: &Error) -> u8 {
    match error.code {
        Code::DaemonAlreadyRunning | Code::DaemonUnreachableOwner => EXIT_ALREADY_RUNNING,
        // These may pass by themselves.
        Code::Internal | Code::DiskFull | Code::FileIo => EXIT_FAILED,
        _ => EXIT_UNUSABLE,
    }
}

/// What exists before the lock is taken.
struct Prepared {
    started_at: Timestamp,
    home: Home,
    loaded: Loaded,
    log_file: PathBuf,
    telemetry: Telemetry,
}

fn live<A: Application>(
    args: &Args,
    build: impl FnOnce(Boot) -> Result<Arc<A>>,
    announce: &mut Announce,
    handed: &mut Handed,
) -> Result<u8> {
    let prepared = prepare(args, announce)?;
    let telemetry = prepared.telemetry.clone();
    let lived = own(prepared, build, announce, handed);
    match &lived {
        Ok(code) => tracing::info!(code, "ended"),
        Err(error) => tracing::error!(code = %error.code, "not started: {error}"),
    }
    telemetry.flush(Duration::from_secs(1));
    lived
}

/// Home, config, log.
fn prepare(args: &Args, announce: &mut Announce) -> Result<Prepared> {
    let started_at = SystemClock.now();
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let env = ProcessEnvironment;
    let home = Home::resolve(args.home.as_deref(), &env)?;
    ensure_private_dir(home.root())?;
    if home.runs_elsewhere()
        && let Some(shared) = home.run_dir().parent()
    {
        // In a folder of everybody: it must be ours.
        prepare_socket_dir(shared)?;
    }
    ensure_private_dir(&home.run_dir())?;
    announce.home = Some(home.clone());
    failpoint::step("boot.after_home")?;
    // A folder that we stand in can't be unmounted. Our paths are absolute by now.
    std::env::set_current_dir("/")
        .map_err(|error| Error::new(Code::Internal, format!("can't enter `/`: {error}")))?;
    let loaded = config::load(&home, &env);
    let log_file = home.log_file();
    let telemetry = Telemetry::start(telemetry::Settings {
        path: log_file.clone(),
        level: loaded.config.log_level,
        max_size: loaded.config.log_max_size_mb.saturating_mul(1 << 20),
        max_old: usize::try_from(loaded.config.log_max_files).unwrap_or(usize::MAX),
        stderr: if announce.to_starter {
            telemetry::Stderr::No
        } else {
            telemetry::Stderr::find(&env)
        },
    })?;
    if announce.to_starter
        && let Err(error) = rustix::process::setsid()
    {
        // The leader of a group gets this; the starter's signals do not reach it either.
        tracing::debug!(%error, "no session of our own");
    }
    if let Err(error) = descriptors::raise_limit() {
        tracing::warn!("can't raise the limit of open files: {error}");
    }
    // It may hold secrets. What a link leads to is somebody's own affair.
    let is_file = home
        .config()
        .symlink_metadata()
        .is_ok_and(|found| found.is_file());
    if is_file && let Err(error) = config::protect(&home.config()) {
        tracing::warn!("others may read the config: {error}");
    }
    for problem in &loaded.problems {
        tracing::warn!(code = %problem.code, "{problem}");
    }
    Ok(Prepared {
        started_at,
        home,
        loaded,
        log_file,
        telemetry,
    })
}

/// Has what a killed daemon left half-made be known by who owns the home after it: the lock is held.
fn own_temporaries(home: &Home) {
    let run = home.run_dir();
    let machine = run.file_name().unwrap_or_default().to_string_lossy();
    // Without it what is left is older before it goes.
    drop(fs::own_temporaries(home.root(), &machine));
}

/// Takes the lock and serves until the end.
fn own<A: Application>(
    prepared: Prepared,
    build: impl FnOnce(Boot) -> Result<Arc<A>>,
    announce: &Announce,
    handed: &mut Handed,
) -> Result<u8> {
    let Prepared {
        started_at,
        home,
        loaded,
        log_file,
        telemetry,
    } = prepared;
    let program = Program::current();
    let instance = new_instance(started_at);
    let lock = Arc::new(Lock::acquire(&home, &instance)?);
    failpoint::step("boot.after_lock")?;
    own_temporaries(&home);
    let reserve = Reserve::take(home.reserve());

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("serve")
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Internal, format!("can't start the runtime: {error}")))?;
    let context = runtime.enter();
    let shutdown = Shutdown::new();
    let health = Arc::new(Health::new(Arc::new(SystemClock)));
    let supervisor = Supervisor::new(
        runtime.handle().clone(),
        shutdown.clone(),
        Arc::clone(&health),
    );
    let end = signals::End::new(&telemetry, &lock);
    let _until_the_end = limit_shutdown(&supervisor, &shutdown, &end);
    signals::listen(&supervisor, &shutdown, &end)?;

    let (socket, listener) = match socket::adopt(handed.sockets()) {
        Some(adopted) => adopted,
        None => socket::bind(&home, &ProcessEnvironment)?,
    };
    failpoint::step("boot.after_socket")?;
    let at = Rendezvous {
        socket: socket.path.clone(),
        pid: std::process::id(),
        instance: instance.clone(),
        version: version::program().to_owned(),
        protocol: version::protocol(skillmeat_proto::PROTOCOL).to_owned(),
        manager: announce.manager.to_owned(),
        started_at: started_at.nanos(),
        exe: std::env::current_exe().ok(),
        start_ticks: start_ticks(std::process::id()),
        home: Some(home.root().to_owned()),
    };
    let tenure = Tenure::new(lock, home.root().to_owned(), shutdown.clone());
    let placed = Arc::new(Placed::new(socket, home.rendezvous(), at.clone()));
    let self_check = SelfCheck::new(loaded.config.daemon_self_check);
    let drain_timeout = loaded.config.daemon_drain_timeout.min(LONGEST_SHUTDOWN);
    let application: Arc<dyn Application> = build(Boot {
        home: home.clone(),
        loaded,
        instance,
        build: program.as_ref().map(Program::build).unwrap_or_default(),
        started_at,
        socket: at.socket.clone(),
        manager: at.manager.clone(),
        log_file,
        telemetry,
        shutdown: shutdown.clone(),
        tenure: tenure.clone(),
        supervisor: supervisor.clone(),
        health: Arc::clone(&health),
        self_check: self_check.clone(),
    })?;
    placed.announce()?;
    reserve.keep_some();
    failpoint::step("boot.after_rendezvous")?;
    let notifier = &handed.notifier;
    let listeners = serve::start(listener, &application, &supervisor, &shutdown, notifier)?;
    let attendants = (&self_check, &supervisor, &shutdown);
    placed::look_after(&placed, tenure, listeners, attendants);
    handed.watch(&self_check);
    if let Some(program) = program {
        let may_end = at.manager == "auto";
        let weak = Arc::downgrade(&application);
        let health = Arc::clone(&health);
        let look = program::look_after(program, health, weak, may_end, shutdown.clone());
        self_check.add(look);
    }
    let weak = Arc::downgrade(&application);
    checks::add(&self_check, (&health, &home, &reserve), &weak, &shutdown);
    let reachable = Arc::downgrade(&placed);
    let socket = move || reachable.upgrade().map(|placed| placed.path());
    self_check.start(socket, &supervisor, &shutdown);
    tracing::info!(
        version = at.version,
        pid = at.pid,
        home = %home.root().display(),
        socket = %at.socket.display(),
        "serving"
    );
    failpoint::step("boot.serving")?;
    announce.serving(&home, &at);
    notifier.ready(&format!("serving `{}`", home.root().display()));
    Arc::clone(&application).start(&supervisor);

    runtime.block_on(shutdown.wait());
    let why = shutdown.reason().map(|reason| reason.text);
    notifier.stopping(&why.unwrap_or_default());
    pass("shutdown.asked");
    let patience = if shutdown.is_hasty() {
        Duration::ZERO
    } else {
        drain_timeout
    };
    drain(&*application, &supervisor, patience);
    application.drain();
    drop(application);
    drop(context);
    runtime.shutdown_timeout(Duration::from_secs(1));
    pass("shutdown.before_cleanup");
    drop(placed);
    reserve.keep();
    end.lock.free();
    Ok(shutdown.reason().map_or(EXIT_OK, |reason| reason.exit))
}

/// Waits until all calls have their answers.
fn drain(application: &dyn Application, supervisor: &Supervisor, patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut since = Instant::now();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if supervisor.wait_for(|name| name == serve::SERVER, left.min(LOOK)) {
            return;
        }
        if application.open_calls() > 0 {
            since = Instant::now();
        }
        // The server waits for all connections, also for those of clients that say nothing or are stopped.
        if since.elapsed() >= LINGER {
            return;
        }
        if left.is_zero() {
            tracing::warn!("open calls were cut off");
            return;
        }
    }
}

/// Passes a failpoint on the way out, which no failure may block.
fn pass(name: &'static str) {
    if let Err(error) = failpoint::hit(name) {
        tracing::warn!(%error, "`{name}` failed");
    }
}

fn new_instance(started_at: Timestamp) -> String {
    // Its keys come from the system's source of randomness.
    format!(
        "{:016x}",
        RandomState::new().hash_one((std::process::id(), started_at))
    )
}

/// Cuts the process off when its shutdown hangs, on a thread that waits for nothing else. The returned
/// sender is dropped at the orderly end.
fn limit_shutdown(
    supervisor: &Supervisor,
    shutdown: &Shutdown,
    end: &signals::End,
) -> SyncSender<()> {
    let (until_the_end, orderly) = sync_channel(0);
    let (shutdown, end) = (shutdown.clone(), end.clone());
    supervisor.spawn_thread("shutdown-limit", Policy::Background, move || {
        while !shutdown.wait_timeout(Duration::from_hours(1)) {}
        if orderly.recv_timeout(LONGEST_SHUTDOWN) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the shutdown hangs and is cut off");
            end.now(i32::from(EXIT_FAILED));
        }
    });
    until_the_end
}

/// Tells whoever started us how it went.
struct Announce {
    /// By a report in one line, instead of words for a person.
    to_starter: bool,
    /// In JSON, for a script that runs us in the foreground.
    json: bool,
    manager: &'static str,
    home: Option<Home>,
}

impl Announce {
    fn serving(&self, home: &Home, at: &Rendezvous) {
        let report = StartupReport::started(at);
        if self.to_starter {
            say(&report.to_line());
            if let Err(error) = descriptors::leave_streams() {
                tracing::warn!(%error, "the starter's streams stay open");
            }
        } else if self.json {
            let started = serde_json::json!({
                "running": true,
                "started": true,
                "pid": at.pid,
                "version": at.version,
                "socket": at.socket,
            });
            say(&format!("{started}\n"));
        } else {
            say(&format!(
                "skillmeatd {} serving {} on {}\n",
                at.version,
                home.root().display(),
                at.socket.display()
            ));
        }
        if let Err(error) = report.save(&home.last_start()) {
            tracing::warn!(%error, "the report of this start was not kept");
        }
    }

    fn failed(&self, error: &Error) {
        let report = StartupReport::from(error);
        // Who lost against a running daemon must not overwrite that one's report.
        if exit_code(error) != EXIT_ALREADY_RUNNING
            && let Some(home) = &self.home
            && let Err(error) = report.save(&home.last_start())
        {
            tracing::warn!(%error, "the report of this start was not kept");
        }
        if self.to_starter {
            say(&report.to_line());
        } else {
            let text = if self.json {
                ErrorJson::from(error).to_line()
            } else {
                words(error)
            };
            // Nobody is left to hear that standard error is closed.
            drop(std::io::stderr().write_all(text.as_bytes()));
        }
    }
}

/// The error for a person.
fn words(error: &Error) -> String {
    let hints = error.hints.iter().map(|hint| format!("  hint: {hint}\n"));
    hints.fold(format!("error: {error}\n"), |text, hint| text + &hint)
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!(%error, "nobody listens at standard output");
    }
}
