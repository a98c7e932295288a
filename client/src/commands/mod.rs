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
use std::pin::Pin;
use std::time::Duration;

use skillmeat_proto::v1;
use skillmeat_shared::paths::{Home, ProcessEnvironment};
use skillmeat_shared::time::{Clock as _, SystemClock, Timestamp};
use skillmeat_shared::{Code, Error};

use crate::cli::{Cli, Command, DaemonCommand, Globals, Late};
use crate::connect::{self, Autostart, CALL, Session};
use crate::output::escape::{escape, one_line};
use crate::output::{Output, units};

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

    /// Whether the flags allow to start the daemon.
    pub(crate) const fn autostart(&self) -> Autostart {
        if self.globals.no_autostart {
            Autostart::Never
        } else {
            Autostart::Allowed
        }
    }

    /// The daemon, started if need be.
    pub(crate) async fn session(&self) -> Result<Session, Error> {
        self.session_for(CALL).await
    }

    /// As [`session`](Self::session), for calls that take longer.
    pub(crate) async fn session_for(&self, deadline: Duration) -> Result<Session, Error> {
        let home = self.home()?;
        let deadline = self.deadline(deadline);
        let session = connect::connect(&home, &self.env, self.autostart(), deadline).await?;
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
            let state = escape(&one.state);
            self.out.warning(&format!(
                "`{name}` is {state}, what is shown of it may be old: {reason}"
            ));
        }
    }

    /// Says so if an answer may lack rows.
    pub(crate) fn note_freshness(&self, freshness: &v1::Freshness) {
        if !freshness.complete {
            self.out
                .note("the files are still being read: some artifacts may be missing");
        } else if let Some(at) = freshness.verified_at.map(Timestamp)
            && freshness.catching_up
            && now().since(at) > Duration::from_secs(1)
        {
            let age = units::ago(at, now());
            self.out
                .note(&format!("as of {age}: the files are still being compared"));
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

/// A command at work. Behind a pointer: the state of them all in one is a tenth of the program.
type Doing<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

fn ask(command: Command, context: &mut Context) -> Doing<'_> {
    match command {
        Command::Init(Late(args)) => Box::pin(init::run(context, args)),
        Command::Add(Late(args)) => Box::pin(add::run(context, args)),
        Command::Adopt(Late(args)) => Box::pin(adopt::run(context, args)),
        Command::List(Late(args)) => Box::pin(list::run(context, args)),
        Command::Show(Late(args)) => Box::pin(show::run(context, args)),
        Command::Search(Late(args)) => Box::pin(search::run(context, args)),
        Command::Log(Late(args)) => Box::pin(log::run(context, args)),
        Command::Undo(Late(args)) => Box::pin(undo::undo(context, args)),
        Command::Redo(Late(args)) => Box::pin(undo::redo(context, args)),
        Command::Collection(Late(command)) => collection::run(context, command),
        Command::Remove(Late(args)) => Box::pin(curation::remove(context, args)),
        Command::Rename(Late(args)) => Box::pin(curation::rename(context, args)),
        Command::Move(Late(args)) => Box::pin(curation::relocate(context, args)),
        Command::Copy(Late(args)) => Box::pin(curation::copy(context, args)),
        Command::Set(Late(args)) => Box::pin(curation::set(context, args)),
        Command::Rate(Late(args)) => Box::pin(curation::rate(context, args)),
        Command::Validate(Late(args)) => Box::pin(validate::run(context, args)),
        Command::Edit(Late(args)) => Box::pin(edit::run(context, args)),
        Command::Group(Late(command)) => Box::pin(group::run(context, command)),
        Command::Tag(Late(command)) => Box::pin(tag::run(context, command)),
        Command::Repair(Late(command)) => Box::pin(repair::run(context, command)),
        Command::Snapshot(Late(args)) => Box::pin(snapshot::run(context, args)),
        Command::History(Late(args)) => Box::pin(snapshot::history(context, args)),
        Command::Rollback(Late(args)) => Box::pin(rollback::run(context, args)),
        Command::Restore(Late(args)) => Box::pin(rollback::restore(context, args)),
        Command::Gc(Late(args)) => Box::pin(gc::run(context, args)),
        Command::Doctor(Late(args)) => Box::pin(doctor::run(context, args)),
        Command::Status(Late(args)) => Box::pin(status::run(context, args)),
        Command::Watch(Late(args)) => Box::pin(watch::run(context, args)),
        Command::Cache(Late(command)) => cache::run(context, command),
        Command::Db(Late(command)) => db::run(context, command),
        Command::Daemon(Late(command)) => Box::pin(daemon::run(context, command)),
        Command::Service(Late(command)) => Box::pin(service::run(context, command)),
        Command::Version => Box::pin(version::run(context)),
        // Done without the daemon, in `dispatch`.
        Command::Completions { .. } | Command::Man(_) | Command::Config(_) => {
            Box::pin(std::future::ready(Ok(())))
        }
    }
}
