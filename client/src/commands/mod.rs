//! The commands: one file for each, or for each group. A command asks the daemon and hands the answer to
//! `output`; it decides the exit code and nothing else.

mod add;
mod adopt;
mod cache;
mod change;
mod collection;
pub(crate) mod completions;
mod config;
mod curation;
mod daemon;
mod db;
mod doctor;
mod edit;
mod gc;
mod group;
mod init;
mod list;
mod log;
mod logs;
mod man;
mod repair;
mod rollback;
mod search;
mod selection;
mod service;
mod show;
mod snapshot;
mod status;
mod tag;
mod undo;
mod validate;
mod version;
mod watch;

use std::io;
use std::time::Duration;

use skillmeat_proto::v1;
use skillmeat_shared::paths::{Home, ProcessEnvironment};
use skillmeat_shared::time::{Clock as _, SystemClock, Timestamp};
use skillmeat_shared::{Code, Error};

use crate::cli::{Cli, Command, DaemonCommand, Globals, Late};
use crate::connect::{self, Autostart, CALL, Session};
use crate::output::Output;
use crate::output::escape::{escape, one_line};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed.
    Error(Error),
    /// Whoever read our output went away: `sm list | head -1`. Not a failure.
    ReaderGone,
    /// It failed in a way that the output has told already; the exit code.
    Told(u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<io::Error> for Failure {
    /// Commands see raw errors of the system from their own output only.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::Error(Error::new(
            Code::FileIo,
            format!("can't write the output: {error}"),
        ))
    }
}

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

/// What every command works with.
pub(crate) struct Context {
    pub(crate) globals: Globals,
    pub(crate) env: ProcessEnvironment,
    pub(crate) out: Output,
}

impl Context {
    /// The home of this command.
    pub(crate) fn home(&self) -> Result<Home, Error> {
        Home::resolve(self.globals.home.as_deref(), &self.env)
    }

    /// The deadline of a call.
    pub(crate) fn deadline(&self, default: Duration) -> Duration {
        self.globals.timeout.map_or(default, Duration::from_secs)
    }

    /// The daemon, started if need be.
    pub(crate) async fn session(&self) -> Result<Session, Error> {
        self.session_for(CALL).await
    }

    /// As [`session`](Self::session), for calls that take longer.
    pub(crate) async fn session_for(&self, deadline: Duration) -> Result<Session, Error> {
        let autostart = if self.globals.no_autostart {
            Autostart::Never
        } else {
            Autostart::Allowed
        };
        let home = self.home()?;
        let session =
            connect::connect(&home, &self.env, autostart, self.deadline(deadline)).await?;
        if self.out.verbose {
            let at = &session.rendezvous;
            self.out.detail(&format!(
                "skillmeatd {} (pid {}) at {}",
                at.version,
                at.pid,
                at.socket.display()
            ));
        }
        Ok(session)
    }

    /// Says what the daemon thinks is meant.
    pub(crate) fn note_hints(&self, hints: &[String]) {
        for hint in hints {
            self.out.note(&format!("hint: {}", escape(hint)));
        }
    }

    /// Says so if an answer may be older than what is on disk.
    pub(crate) fn note_outdated(&self, freshness: &v1::Freshness) {
        for one in &freshness.outdated {
            let (name, reason) = (escape(&one.collection), one_line(&one.reason));
            self.out
                .warning(&format!("what is shown of `{name}` may be old: {reason}"));
        }
    }

    /// Says so if an answer may lack rows.
    pub(crate) fn note_freshness(&self, freshness: &v1::Freshness) {
        if !freshness.complete {
            self.out
                .note("the files are still being read: some artifacts may be missing");
        }
        if freshness.stale > 0 {
            self.out.detail(&format!(
                "{} of the cache are due to be verified",
                freshness.stale
            ));
        }
    }
}

/// The error that something is not there: as long as files are still being read it may be.
pub(crate) fn missing(error: Error, what: &str, freshness: &v1::Freshness) -> Error {
    if freshness.complete {
        return error;
    }
    let message = format!("{what} may be among the files that are still being read");
    Error::new(Code::CacheUnavailable, message)
        .hint("try again in a moment; `sm status` tells when the daemon is `ready`")
}

/// The time now.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// Runs a command and says what went wrong. The exit code.
pub(crate) fn run(cli: Cli) -> u8 {
    let env = ProcessEnvironment;
    let out = Output::new(&cli.globals, &env);
    let mut context = Context {
        globals: cli.globals,
        env,
        out,
    };
    let outcome = dispatch(cli.command, &mut context)
        .and_then(|()| context.out.flush().map_err(Failure::from));
    match outcome {
        Ok(()) | Err(Failure::ReaderGone) => 0,
        Err(Failure::Told(code)) => {
            // A reader that has gone changes nothing about how the command ended.
            context.out.flush().ok();
            code
        }
        Err(Failure::Error(error)) => {
            // What was printed before it failed belongs above the error.
            context.out.flush().ok();
            context.out.error(&error);
            error.kind().exit_code()
        }
    }
}

fn dispatch(command: Command, context: &mut Context) -> Outcome {
    match command {
        Command::Completions { shell } => completions::run(context, shell),
        Command::Man(Late(args)) => man::run(context, &args),
        Command::Config(Late(command)) => config::run(context, command),
        Command::Daemon(Late(DaemonCommand::Run)) => daemon::foreground(context),
        command => runtime()?.block_on(ask(command, context)),
    }
}

/// One thread: a client waits for one answer.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Error::new(Code::Internal, format!("can't start the runtime: {error}")))
}

async fn ask(command: Command, context: &mut Context) -> Outcome {
    match command {
        Command::Init(Late(args)) => init::run(context, args).await,
        Command::Add(Late(args)) => add::run(context, args).await,
        Command::Adopt(Late(args)) => adopt::run(context, args).await,
        Command::List(Late(args)) => list::run(context, args).await,
        Command::Show(Late(args)) => show::run(context, args).await,
        Command::Search(Late(args)) => search::run(context, args).await,
        Command::Log(Late(args)) => log::run(context, args).await,
        Command::Undo(Late(args)) => undo::undo(context, args).await,
        Command::Redo(Late(args)) => undo::redo(context, args).await,
        Command::Collection(Late(command)) => collection::run(context, command).await,
        Command::Remove(Late(args)) => curation::remove(context, args).await,
        Command::Rename(Late(args)) => curation::rename(context, args).await,
        Command::Move(Late(args)) => curation::relocate(context, args).await,
        Command::Copy(Late(args)) => curation::copy(context, args).await,
        Command::Set(Late(args)) => curation::set(context, args).await,
        Command::Rate(Late(args)) => curation::rate(context, args).await,
        Command::Validate(Late(args)) => validate::run(context, args).await,
        Command::Edit(Late(args)) => edit::run(context, args).await,
        Command::Group(Late(command)) => group::run(context, command).await,
        Command::Tag(Late(command)) => tag::run(context, command).await,
        Command::Repair(Late(command)) => repair::run(context, command).await,
        Command::Snapshot(Late(args)) => snapshot::run(context, args).await,
        Command::History(Late(args)) => snapshot::history(context, args).await,
        Command::Rollback(Late(args)) => rollback::run(context, args).await,
        Command::Restore(Late(args)) => rollback::restore(context, args).await,
        Command::Gc(Late(args)) => gc::run(context, args).await,
        Command::Doctor(Late(args)) => doctor::run(context, args).await,
        Command::Status(Late(args)) => status::run(context, args).await,
        Command::Watch(Late(args)) => watch::run(context, args).await,
        Command::Cache(Late(command)) => cache::run(context, command).await,
        Command::Db(Late(command)) => db::run(context, command).await,
        Command::Daemon(Late(command)) => daemon::run(context, command).await,
        Command::Service(Late(command)) => service::run(context, command).await,
        Command::Version => version::run(context).await,
        // Done without the daemon, in `dispatch`.
        Command::Completions { .. } | Command::Man(_) | Command::Config(_) => Ok(()),
    }
}
