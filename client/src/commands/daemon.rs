//! `sm daemon`: run, start, stop, restart, status.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::fs::FileLock;
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::Rendezvous;
use skillmeat_shared::service::{Ask, Manager};
use skillmeat_shared::{Code, Error, config};
use tokio::time::{Instant, sleep};

use super::{Context, Failure, Outcome, logs, status};
use crate::cli::DaemonCommand;
use crate::connect::{self, Autostart, CALL, Session};
use crate::output::style::Tone;
use crate::service::Control;

/// How long a daemon may go on after its drain timeout: its own hard limit and a little.
const AFTER_DRAIN: Duration = Duration::from_secs(10);
/// How long a daemon that is ended by force may take to end in good order.
const AFTER_TERM: Duration = Duration::from_secs(5);
/// How long what is between two states may stay there: a daemon puts a socket back that was removed, and a killed
/// one listens until the kernel has closed what it had open.
const BACK_AGAIN: Duration = Duration::from_secs(1);
/// The rest between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long to wait for whoever is starting a daemon.
pub(super) const START_LOCK: Duration = Duration::from_secs(15);

/// The JSON of `sm daemon start` and `restart`; of `run` the daemon itself says it.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the JSON")]
struct Started {
    running: bool,
    started: bool,
    pid: u32,
    version: String,
    socket: String,
}

/// The JSON of `sm daemon stop`.
#[derive(Serialize)]
struct Stopped {
    running: bool,
    stopped: Option<u32>,
}

pub(super) async fn run(context: &mut Context, command: DaemonCommand) -> Outcome {
    match command {
        DaemonCommand::Start => start(context).await,
        DaemonCommand::Stop { force } => {
            let pid = stop(context, force).await?;
            report_stop(context, pid)
        }
        DaemonCommand::Restart { force } => {
            // Not stopped if it could not be started again.
            connect::can_start(&context.home()?, &context.env)?;
            stop(context, force).await?;
            start(context).await
        }
        DaemonCommand::Status => show(context).await,
        DaemonCommand::Logs(args) => logs::run(context, args).await,
        // Done before there is a runtime.
        DaemonCommand::Run => foreground(context),
    }
}

/// Becomes the daemon. Returns only if that fails.
pub(super) fn foreground(context: &mut Context) -> Outcome {
    let home = context.home()?;
    let program = connect::program(&context.env)?;
    context.out.flush()?;
    let mut daemon = Command::new(&program);
    daemon.arg("--home").arg(home.root());
    if context.out.json {
        daemon.arg("--json");
    }
    let error = daemon.exec();
    let io = Error::io("start", &program, &error);
    Err(Error {
        code: Code::DaemonStartFailed,
        ..io
    }
    .into())
}

async fn start(context: &mut Context) -> Outcome {
    let home = context.home()?;
    let deadline = context.deadline(CALL);
    let before = Rendezvous::load(&home.rendezvous())?.map(|found| found.instance);
    let session = connect::connect(&home, &context.env, Autostart::Asked, deadline).await?;
    // A process that listens and does not answer is no daemon that runs. One that was just killed may still listen.
    let status = status::ask(&session).await?;
    let started = before.as_ref() != Some(&status.instance);
    if context.out.json {
        context.out.document(&Started {
            running: true,
            started,
            pid: status.pid,
            version: status.version,
            socket: status.socket,
        })?;
    } else {
        let verb = if started { "started" } else { "runs already" };
        context.out.note(&format!(
            "skillmeatd {} {verb} (pid {})",
            status.version, status.pid
        ));
    }
    Ok(())
}

/// Ends the daemon and waits until it is gone. The process that ended; `None` if there was none.
async fn stop(context: &Context, force: bool) -> Result<Option<u32>, Failure> {
    let home = context.home()?;
    if !home.lock_file().exists() {
        return Ok(None);
    }
    // Nobody starts another one meanwhile, and our looks at the lock get in nobody's way.
    let _held = FileLock::acquire(&home.start_lock(), START_LOCK)?;
    if let Some(pid) = stop_by_manager(context, &home).await? {
        return Ok(Some(pid));
    }
    stop_held(context, &home, force).await
}

/// Has the service manager end the daemon that it runs: a daemon that ends by force would be started again.
/// `None` if it runs none, or can't be reached: then the daemon can still be asked itself.
async fn stop_by_manager(context: &Context, home: &Home) -> Result<Option<u32>, Failure> {
    let is_managed = |found: &Rendezvous| found.manager == Manager::native().as_str();
    let Some(running) = Rendezvous::load(&home.rendezvous())?.filter(is_managed) else {
        return Ok(None);
    };
    let Some(control) = Control::in_charge(home, &context.env) else {
        return Ok(None);
    };
    if !connect::is_owned(home)? {
        return Ok(None);
    }
    match control.ask(Ask::Stop) {
        Ok(()) => {}
        Err(error) if error.code == Code::ServiceUnavailable => {
            context.out.detail(&error.message);
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    let ended = connect::wait_until_free(home, AFTER_DRAIN).await?;
    Ok(ended.then_some(running.pid))
}

/// Ends the daemon without its manager. Hold the start lock.
pub(super) async fn stop_held(
    context: &Context,
    home: &Home,
    force: bool,
) -> Result<Option<u32>, Failure> {
    let reached = reachable(context, home).await;
    let asked = match reached {
        Ok(Some(session)) => shut_down(&session).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let patience = config::load(home, &context.env).config.daemon_drain_timeout + AFTER_DRAIN;
    match asked {
        Ok(Some(pid)) => {
            if connect::wait_until_free(home, patience).await? {
                connect::wait_until_ended(connect::numbered(pid));
                return Ok(Some(pid));
            }
            if !force {
                return Err(Error::new(
                    Code::DaemonTimeout,
                    format!("the daemon (pid {pid}) does not end"),
                )
                .hint("run `sm daemon stop --force`")
                .into());
            }
        }
        Ok(None) => {
            if connect::wait_until_free(home, Duration::ZERO).await? {
                return Ok(None);
            }
            if !force {
                return Err(Error::new(
                    Code::DaemonUnreachableOwner,
                    format!(
                        "a daemon owns `{}`, but it can't be reached from here",
                        home.root().display()
                    ),
                )
                .hint("run the command again with `--force`")
                .into());
            }
        }
        // A daemon of another protocol can't be asked, but it ends in good order at a signal.
        Err(error) if !force && error.code == Code::DaemonTimeout => {
            return Err(error.hint("or end it with `sm daemon stop --force`").into());
        }
        Err(error) if !force && error.code != Code::DaemonProtocol => return Err(error.into()),
        Err(_) => {}
    }
    let pid = named(home);
    connect::end_by_force(home, if force { AFTER_TERM } else { patience }).await?;
    Ok(pid)
}

/// The daemon that runs. One that owns the home without a socket puts it back in a moment.
async fn reachable(context: &Context, home: &Home) -> skillmeat_shared::Result<Option<Session>> {
    let give_up = Instant::now() + BACK_AGAIN;
    loop {
        let session = connect::existing(home, context.deadline(CALL)).await?;
        if session.is_some() || Instant::now() >= give_up || !connect::is_owned(home)? {
            return Ok(session);
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// What the daemon that runs says of itself. One that ends as it is asked does not run.
async fn answering(
    context: &Context,
    home: &Home,
) -> skillmeat_shared::Result<Option<v1::StatusResponse>> {
    let give_up = Instant::now() + BACK_AGAIN;
    loop {
        let Some(session) = connect::existing(home, context.deadline(CALL)).await? else {
            return Ok(None);
        };
        match status::ask(&session).await {
            Err(error) if connect::is_end(error.code) && Instant::now() < give_up => {
                sleep(LOOK_AGAIN).await;
            }
            answer => return answer.map(Some),
        }
    }
}

/// The process that the rendezvous names.
fn named(home: &Home) -> Option<u32> {
    Rendezvous::load(&home.rendezvous())
        .ok()
        .flatten()
        .map(|found| found.pid)
}

async fn shut_down(session: &Session) -> skillmeat_shared::Result<u32> {
    let drain = v1::ShutdownRequest {
        mode: v1::ShutdownMode::Drain.into(),
    };
    let answer: skillmeat_shared::Result<v1::ShutdownResponse> = session.call(drain).await;
    match answer {
        Ok(answer) => Ok(answer.pid),
        // It may be gone before its answer is on the way, or was ending already.
        Err(error) if connect::is_end(error.code) => Ok(session.rendezvous.pid),
        Err(error) => Err(error),
    }
}

fn report_stop(context: &mut Context, pid: Option<u32>) -> Outcome {
    if context.out.json {
        context.out.document(&Stopped {
            running: false,
            stopped: pid,
        })?;
        return Ok(());
    }
    context.out.note(&match pid {
        Some(pid) => format!("stopped skillmeatd (pid {pid})"),
        None => "no daemon is running".to_owned(),
    });
    Ok(())
}

async fn show(context: &mut Context) -> Outcome {
    let home = context.home()?;
    let Some(answer) = answering(context, &home).await? else {
        if connect::is_owned_or_starting(&home)? {
            return Err(Error::new(
                Code::DaemonUnreachableOwner,
                format!(
                    "a daemon owns `{}`, but its socket can't be reached",
                    home.root().display()
                ),
            )
            .hint("it may be starting or ending: run the command again in a moment")
            .hint("`sm daemon restart --force` starts a new one")
            .into());
        }
        if context.out.json {
            context.out.document(&status::Daemon::stopped(&home))?;
        } else {
            let state = context.out.paint.apply(Tone::Warn, "not running");
            context.out.field("daemon", &state)?;
            let autostart = context.autostart();
            let starts = match connect::can_start(&home, &context.env) {
                Err(error) => {
                    format!("no command can start it: {error}; `sm doctor` tells what to do")
                }
                Ok(()) if connect::may_start(&home, &context.env, autostart) => {
                    match connect::last_failure(&home) {
                        Some(error) => format!(
                            "the last start failed: {error}; a command that needs it tries again, `sm doctor` tells more"
                        ),
                        None => "it starts by itself when a command needs it".to_owned(),
                    }
                }
                Ok(()) => "no command starts it: `sm daemon start` does".to_owned(),
            };
            let home = home.root().display().to_string();
            context
                .out
                .field("home", &crate::output::escape::escape(&home))?;
            context.out.flush()?;
            context.out.note(&starts);
        }
        return Err(Failure::Told(Code::DaemonUnavailable.kind().exit_code()));
    };
    if context.out.json {
        context.out.document(&status::Daemon::from(&answer))?;
        return Ok(());
    }
    status::daemon(context, &answer)?;
    status::warnings(context, &answer)
}
