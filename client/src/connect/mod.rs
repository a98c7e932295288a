//! Reaching the daemon: where it is, whether it is ours, starting it when none runs, and calls with a
//! deadline.
//!
//! The rendezvous says where to knock; the lock decides who owns the home. A daemon is started by one
//! client at a time (the start lock); whoever waits looks again before starting another one.

mod channel;
mod owner;
mod skew;
mod spawn;

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;
use skillmeat_proto::call::{self, Call};
use skillmeat_proto::status_to_error;
use skillmeat_shared::fs::FileLock;
use skillmeat_shared::paths::{Environment, Home, ProcessEnvironment};
use skillmeat_shared::rendezvous::Rendezvous;
use skillmeat_shared::{Code, Error, Result, config, health, version};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::service::Control;
pub(crate) use channel::Answers;
use channel::{Reach, Silence};
use skew::Peer;

pub(crate) use owner::{
    end_by_force, is_owned, is_owned_or_starting, last_failure, numbered, wait_until_ended,
    wait_until_free,
};
pub(crate) use skew::spoken;
pub(crate) use spawn::program;

/// The deadline of a call that nobody gave one.
pub(crate) const CALL: Duration = Duration::from_secs(30);
/// How long to go on trying to get a daemon: longer than one may take to drain.
const GET_DAEMON: Duration = Duration::from_secs(15);
/// How long a daemon may own the home without a socket that we can see.
const OUT_OF_REACH: Duration = Duration::from_secs(2);
/// How far past the deadline that the daemon was told we still listen: its own error says more than ours.
const GRACE: Duration = Duration::from_millis(250);

/// The rest between two attempts of a call that the daemon can't take yet: the first, and the longest.
const FIRST_REST: Duration = Duration::from_millis(5);
const LAST_REST: Duration = Duration::from_millis(200);

/// Whether a command may start the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Autostart {
    /// If flags, environment and config allow it.
    Allowed,
    /// Whatever the config says: the user asked for a daemon.
    Asked,
    /// Never.
    Never,
}

/// A daemon that answers.
pub(crate) struct Session {
    link: RefCell<Link>,
    /// What it says of itself.
    pub(crate) peer: Peer,
    /// How to find the next daemon, if this one is about to end.
    heir: Option<(Home, Autostart)>,
    deadline: Duration,
    /// Where it was found.
    pub(crate) rendezvous: Rendezvous,
}

/// A connection.
#[derive(Clone)]
struct Link {
    channel: Channel,
    silence: Silence,
}

/// The daemon that runs, if one does. Starts nothing.
///
/// # Errors
/// If a daemon is there and can't be used.
pub(crate) async fn existing(home: &Home, deadline: Duration) -> Result<Option<Session>> {
    let session = any_existing(home, deadline).await?;
    if let Some(session) = &session {
        session.peer.check_protocol()?;
    }
    Ok(session)
}

/// What the daemon of a home says of itself, if one was there.
#[inline(never)]
fn announced(home: &Home) -> Result<Option<Rendezvous>> {
    let path = home.rendezvous();
    Rendezvous::load(&path).map_err(|mut error| {
        let misplaced = home.misplaced();
        if let Some(one) = misplaced.iter().find(|one| path.starts_with(one)) {
            (_, error.message, error.hints) = health::of_misplaced(one);
            error.code = Code::HomeUnusable;
            error = error.at(one, None);
        }
        error
    })
}

/// As [`existing`], whatever protocol it speaks.
async fn any_existing(home: &Home, deadline: Duration) -> Result<Option<Session>> {
    let Some(rendezvous) = announced(home)? else {
        return Ok(None);
    };
    let reached = channel::reach(&rendezvous.socket).await;
    let is_its_own = match &reached {
        // One that a service manager runs was given its socket.
        Ok(Reach::Connected(stream)) => channel::process(stream) == Some(rendezvous.pid),
        Ok(Reach::Nobody) => true,
        Err(error) => error.code != Code::DaemonUntrustedSocket,
    };
    // What stands where a killed daemon listened is none, whoever answers there. The next one clears its place.
    if !is_its_own && !owner::is_owned(home)? {
        return Ok(None);
    }
    match reached? {
        Reach::Nobody => Ok(None),
        Reach::Connected(stream) => {
            let (channel, silence) = match channel::open(stream).await {
                Ok(opened) => opened,
                // It ended before it took the connection.
                Err(error) if error.code == Code::DaemonUnavailable => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut peer = Peer::announced(&rendezvous);
            let is_moved = rendezvous
                .home
                .as_deref()
                .is_some_and(|served| served != home.root());
            if is_moved || rendezvous.version != version::program() {
                peer = Peer::ask(&rendezvous, channel.clone(), &silence).await?;
                // The file came along with a home that was moved: at its old place the daemon of another one answers.
                if is_moved && !peer.is(&rendezvous) {
                    return Ok(None);
                }
            }
            let link = RefCell::new(Link { channel, silence });
            Ok(Some(Session {
                link,
                peer,
                heir: None,
                deadline,
                rendezvous,
            }))
        }
    }
}

/// The daemon of this home; it is started if none runs and `autostart` allows it. Its calls outlive a
/// restart of the daemon.
pub(crate) async fn connect(
    home: &Home,
    env: &dyn Environment,
    autostart: Autostart,
    deadline: Duration,
) -> Result<Session> {
    let mut session = find(home, env, autostart, deadline).await?;
    session.heir = Some((home.clone(), autostart));
    Ok(session)
}

async fn find(
    home: &Home,
    env: &dyn Environment,
    autostart: Autostart,
    deadline: Duration,
) -> Result<Session> {
    if let Some(session) = any_existing(home, deadline).await? {
        let is_older =
            may_start(home, env, autostart) && skew::should_replace(&session.peer, home, env);
        if !(is_older && skew::end(&session, home, env).await?) {
            session.peer.check_protocol()?;
            return Ok(session);
        }
    }
    if !may_start(home, env, autostart) {
        return Err(if is_owned_or_starting(home)? {
            unreachable_owner(home)
        } else {
            Error::new(
                Code::DaemonUnavailable,
                "no daemon is running, and none may be started",
            )
            .hint("start it with `sm daemon start`")
        });
    }
    let give_up = Instant::now() + GET_DAEMON;
    let mut rest = Duration::from_millis(10);
    let mut out_of_reach = None;
    loop {
        // Somebody else may be starting one; whoever comes later finds it ready.
        if let Some(_held) = FileLock::try_acquire(&home.start_lock())? {
            if let Some(session) = existing(home, deadline).await? {
                return Ok(session);
            }
            match start(home, env) {
                Ok(()) => {
                    if let Some(session) = existing(home, deadline).await? {
                        return Ok(session);
                    }
                }
                // It lives where we can't see its socket, or is about to end.
                Err(error) if error.code == Code::DaemonUnreachableOwner => {
                    let since = *out_of_reach.get_or_insert_with(Instant::now);
                    if since.elapsed() >= OUT_OF_REACH {
                        return Err(error);
                    }
                    rest = rest.max(Duration::from_millis(50));
                }
                // Another one runs: not reachable yet, or about to leave its place.
                Err(error) if error.code == Code::DaemonAlreadyRunning => {
                    rest = rest.max(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        } else if let Some(session) = existing(home, deadline).await? {
            return Ok(session);
        }
        if Instant::now() >= give_up {
            return Err(match Control::in_charge(home, env) {
                Some(manager) if !is_owned_or_starting(home)? => {
                    manager.failed("the service was started, but no daemon answers".to_owned())
                }
                _ => unreachable_owner(home),
            });
        }
        sleep(rest).await;
        rest = (rest * 2).min(Duration::from_millis(500));
    }
}

/// Has the service manager start the daemon if it is in charge of this home; starts it otherwise.
fn start(home: &Home, env: &dyn Environment) -> Result<()> {
    let Some(manager) = Control::in_charge(home, env) else {
        return spawn::start(home, env).map(drop);
    };
    manager.start(home).map_err(|error| {
        // The manager's daemon stood down before another one, which can't be reached yet or is about to end.
        if error.code == Code::ServiceFailed && owner::is_owned(home).unwrap_or(false) {
            return unreachable_owner(home);
        }
        error
    })
}

/// That what starts a daemon is there: its service manager if that is in charge of this home, else its program.
///
/// # Errors
/// What is missing.
pub(crate) fn can_start(home: &Home, env: &dyn Environment) -> Result<()> {
    match Control::in_charge(home, env) {
        Some(manager) => manager.can_start(),
        None => program(env).map(drop),
    }
}

/// Whether a command may start a daemon.
pub(crate) fn may_start(home: &Home, env: &dyn Environment, autostart: Autostart) -> bool {
    match autostart {
        Autostart::Asked => true,
        Autostart::Never => false,
        Autostart::Allowed => {
            env.var("SM_NO_AUTOSTART")
                .is_none_or(|value| value.is_empty() || value == "0")
                && config::load(home, env).config.daemon_autostart
        }
    }
}

fn unreachable_owner(home: &Home) -> Error {
    Error::new(
        Code::DaemonUnreachableOwner,
        format!(
            "a daemon owns `{}`, but its socket can't be reached from here",
            home.root().display()
        ),
    )
    .hint("it may be starting or ending: run the command again in a moment")
    .hint("if it lives in another container, run `sm` there; else run `sm daemon restart --force`")
}

impl Session {
    fn channel(&self) -> Channel {
        self.link.borrow().channel.clone()
    }

    /// Fails if the daemon is too old for something that came later.
    pub(crate) fn require(&self, capability: &str) -> Result<()> {
        self.peer.require(capability)
    }

    /// Calls the daemon once. While it starts, the call is repeated until the deadline.
    ///
    /// # Errors
    /// What the daemon answers; [`Code::DaemonTimeout`] if it does not.
    pub(crate) async fn call<Q: Call>(&self, message: Q) -> Result<Q::Answer> {
        let bytes = self.unary(Q::PATH, message.encode_to_vec().into()).await?;
        call::answer(bytes).map_err(|status| status_to_error(&status))
    }

    /// Opens a stream of answers. The stream itself has no deadline.
    pub(crate) async fn stream<Q: Call>(&self, message: Q) -> Result<Answers<Q::Answer>> {
        let bytes = self.open(Q::PATH, message.encode_to_vec().into());
        Ok(Answers::new(bytes.await?))
    }

    async fn unary(&self, path: &'static str, message: Bytes) -> Result<Bytes> {
        let give_up = Instant::now() + self.deadline;
        let mut rest = FIRST_REST;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let mut request = Request::new(message.clone());
            request.set_timeout(left.max(Duration::from_millis(1)));
            let sent = |channel| channel::unary(channel, path, request);
            match self.attempt(left, sent).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.again(error, give_up, &mut rest).await?,
            }
        }
    }

    async fn open(&self, path: &'static str, message: Bytes) -> Result<Streaming<Bytes>> {
        let give_up = Instant::now() + self.deadline;
        let mut rest = FIRST_REST;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let sent = |channel| channel::stream(channel, path, message.clone());
            match self.attempt(left, sent).await {
                Ok(stream) => return Ok(stream),
                Err(error) => self.again(error, give_up, &mut rest).await?,
            }
        }
    }

    /// After a call that was refused and not begun: waits, and finds the next daemon if this one ends.
    ///
    /// # Errors
    /// The same error if trying again is of no use.
    async fn again(&self, error: Error, give_up: Instant, rest: &mut Duration) -> Result<()> {
        let heir = match error.code {
            Code::DaemonStarting => None,
            Code::DaemonDraining if self.heir.is_some() => self.heir.as_ref(),
            // It ended before it took the connection, so nothing was begun.
            Code::DaemonUnavailable
                if self.heir.is_some() && !self.link.borrow().silence.is_broken() =>
            {
                self.heir.as_ref()
            }
            _ => return Err(error),
        };
        if Instant::now() + *rest >= give_up {
            return Err(error);
        }
        sleep(*rest).await;
        *rest = (*rest * 2).min(LAST_REST);
        if let Some((home, autostart)) = heir {
            let next = find(home, &ProcessEnvironment, *autostart, self.deadline).await?;
            self.link.replace(next.link.into_inner());
        }
        Ok(())
    }

    /// The next message of a stream that must not fall silent for longer than the deadline.
    pub(crate) async fn next<R: Message + Default>(
        &self,
        stream: &mut Answers<R>,
    ) -> Result<Option<R>> {
        match timeout(self.deadline, stream.message()).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(status)) => Err(status_to_error(&status)),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    async fn attempt<R, F>(&self, left: Duration, method: impl FnOnce(Channel) -> F) -> Result<R>
    where
        F: Future<Output = std::result::Result<R, Status>>,
    {
        let Link { channel, silence } = self.link.borrow().clone();
        tokio::select! {
            biased;
            answer = timeout(left + GRACE, method(channel)) => match answer {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(status)) if channel::was_never_sent(&status) => Err(ending()),
                Ok(Err(status)) if status.code() == tonic::Code::Unimplemented => {
                    Err(self.peer.too_old(version::program()))
                }
                Ok(Err(status)) => Err(status_to_error(&status)),
                Err(_) => Err(too_late(self.deadline)),
            },
            () = silence.broken_off() => Err(channel::wedged()),
        }
    }
}

/// Whether an error says that the daemon ends, or has ended.
pub(crate) const fn is_end(code: Code) -> bool {
    matches!(code, Code::DaemonUnavailable | Code::DaemonDraining)
}

/// The error of a call that a daemon on its way out did not take any more.
fn ending() -> Error {
    Error::new(Code::DaemonDraining, "the daemon is shutting down")
        .hint("run the command again in a moment")
}

fn too_late(deadline: Duration) -> Error {
    Error::new(
        Code::DaemonTimeout,
        format!("the daemon did not answer within {} s", deadline.as_secs()),
    )
    .hint("give it more time with `--timeout`, or look at `sm daemon status`")
}
