//! Daemon and client of different versions.
//!
//! Within one major number of the protocol they work together. The newer one wins: a client replaces an older
//! daemon, if a command has started that one and an installed program is newer. Nobody ever replaces a newer
//! daemon, nor one that started a moment ago, so two versions that are used in turn do not end each other. A
//! daemon of a service manager is ended by that, if its service names a newer program; one of a terminal is
//! left to whoever runs it.

use std::path::PathBuf;
use std::time::Duration;

use prost::Message as _;
use prost::bytes::Bytes;
use skillmeat_proto::call::{self, Call as _};
use skillmeat_proto::v1;
use skillmeat_shared::child::Program;
use skillmeat_shared::fs::FileLock;
use skillmeat_shared::paths::{Environment, Home};
use skillmeat_shared::rendezvous::Rendezvous;
use skillmeat_shared::service::{Ask, Manager};
use skillmeat_shared::time::{Clock as _, SystemClock, Timestamp};
use skillmeat_shared::{Code, Error, Result, config, version};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::channel::{FIRST_BYTE, Silence, unary, wedged};
use super::{Session, owner, spawn};
use crate::service::Control;

/// A daemon that is younger than this is not replaced.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// How long a program may take to tell its version.
const TELL_VERSION: Duration = Duration::from_secs(2);

/// How long a daemon may take to hear that it should end.
const ASK: Duration = Duration::from_secs(5);

/// How long to wait for whoever starts or replaces the daemon at the moment.
const START_LOCK: Duration = Duration::from_secs(15);

/// How long a daemon may go on after its drain timeout.
const AFTER_DRAIN: Duration = Duration::from_secs(10);

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) version: String,
    pub(crate) protocol: String,
    /// Tells builds of one version apart; empty if it does not say.
    pub(crate) build: String,
    manager: String,
    instance: String,
    started_at: Timestamp,
    capabilities: Vec<String>,
}

impl Peer {
    /// What the rendezvous tells. A daemon of our own version can do what we can.
    pub(super) fn announced(at: &Rendezvous) -> Self {
        let is_ours = at.version == version::program();
        let capabilities = skillmeat_proto::CAPABILITIES
            .iter()
            .filter(|_| is_ours)
            .map(|(name, _)| (*name).to_owned());
        Self {
            version: at.version.clone(),
            protocol: at.protocol.clone(),
            build: String::new(),
            manager: at.manager.clone(),
            instance: at.instance.clone(),
            started_at: Timestamp(at.started_at),
            capabilities: capabilities.collect(),
        }
    }

    /// Asks the daemon. One that does not know the question is taken at the word of its rendezvous.
    pub(super) async fn ask(at: &Rendezvous, channel: Channel, silence: &Silence) -> Result<Self> {
        let hello = v1::HelloRequest {
            version: version::program().to_owned(),
            protocol: spoken().to_owned(),
        };
        let mut request = Request::new(Bytes::from(hello.encode_to_vec()));
        request.set_timeout(FIRST_BYTE);
        let answer = tokio::select! {
            biased;
            answer = unary(channel, v1::HelloRequest::PATH, request) => answer,
            () = silence.broken_off() => {
                let announced = Self::announced(at);
                // That it speaks another protocol says more than that it says nothing.
                return if announced.check_protocol().is_err() {
                    Ok(announced)
                } else {
                    Err(wedged())
                };
            }
        };
        let answer = answer.and_then(call::answer::<v1::HelloResponse>);
        Ok(answer.map_or_else(
            |_: Status| Self::announced(at),
            |answer| Self {
                version: answer.version,
                protocol: answer.protocol,
                build: answer.build,
                manager: answer.manager,
                instance: answer.instance,
                started_at: Timestamp(at.started_at),
                capabilities: answer.capabilities,
            },
        ))
    }

    /// Whether it is the daemon that wrote this.
    pub(super) fn is(&self, at: &Rendezvous) -> bool {
        self.instance == at.instance
    }

    /// Fails if this daemon speaks another protocol than we do.
    pub(super) fn check_protocol(&self) -> Result<()> {
        if version::major(&self.protocol) == version::major(spoken()) {
            return Ok(());
        }
        let error = Error::new(
            Code::DaemonProtocol,
            format!(
                "the running daemon {} speaks protocol {}, this program {} speaks {}",
                self.version,
                self.protocol,
                version::program(),
                spoken()
            ),
        );
        Err(if version::is_newer(&self.version, version::program()) {
            error.hint("upgrade `sm`: it is older than the daemon")
        } else {
            error.hint("run `sm daemon restart`, so that the installed version serves")
        })
    }

    /// Fails if this daemon is too old for something that came later.
    pub(super) fn require(&self, capability: &str) -> Result<()> {
        if self.capabilities.iter().any(|known| known == capability) {
            return Ok(());
        }
        let since = skillmeat_proto::CAPABILITIES
            .iter()
            .find(|(name, _)| *name == capability)
            .map_or_else(version::program, |(_, since)| since);
        Err(self.too_old(since))
    }

    /// The error of a call that this daemon does not know.
    pub(super) fn too_old(&self, since: &str) -> Error {
        let runs = if self.version == since {
            "an older build of it"
        } else {
            self.version.as_str()
        };
        Error::new(
            Code::DaemonTooOld,
            format!("this needs skillmeatd {since} or newer, but {runs} runs"),
        )
        .hint("run `sm daemon restart`, so that the installed version serves")
    }

    /// Whether this daemon is one that we may replace, if there is something newer.
    fn is_replaceable(&self, now: Timestamp) -> bool {
        // In the future: the clock was set back, so it tells nothing.
        let is_settled = self.started_at > now || now.since(self.started_at) >= COOL_DOWN;
        (self.manager == "auto" || self.is_managed())
            && is_settled
            && version::is_newer(version::program(), &self.version)
    }

    /// Whether the service manager runs it.
    fn is_managed(&self) -> bool {
        self.manager == Manager::native().as_str()
    }
}

/// The protocol of this program.
pub(crate) fn spoken() -> &'static str {
    version::protocol(skillmeat_proto::PROTOCOL)
}

/// Whether to replace the daemon: it is older than this program, and the one that would come is newer than it.
pub(super) fn should_replace(peer: &Peer, home: &Home, env: &dyn Environment) -> bool {
    let next = || {
        if peer.is_managed() {
            return Control::in_charge(home, env)?.program();
        }
        spawn::program(env).ok()
    };
    peer.is_replaceable(SystemClock.now())
        && next()
            .and_then(|next| version_of(next, env))
            .is_some_and(|next| version::is_newer(&next, &peer.version))
}

/// The version of a daemon's program.
fn version_of(program: PathBuf, env: &dyn Environment) -> Option<String> {
    let mut program = Program::new(program).args(["--version"]);
    if cfg!(debug_assertions)
        && let Some(pretended) = env.var(version::VARIABLE)
    {
        program = program.env(version::VARIABLE, pretended);
    }
    program = program.deadline(TELL_VERSION).max_output(256);
    let said = program.run().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    Some(text.split_whitespace().nth(1)?.to_owned())
}

/// Ends this daemon in good order and waits until its home is free. Whether somebody should be started now.
pub(super) async fn end(session: &Session, home: &Home, env: &dyn Environment) -> Result<bool> {
    let peer = &session.peer;
    // Others may be replacing it: whoever comes later finds another one.
    let _held = FileLock::acquire(&home.start_lock(), START_LOCK)?;
    if Rendezvous::load(&home.rendezvous())?.is_none_or(|at| at.instance != peer.instance) {
        return Ok(true);
    }
    if peer.is_managed() {
        let Some(manager) = Control::in_charge(home, env) else {
            return Ok(false);
        };
        // Beside the connection, which the daemon asks us to close before it ends.
        let stopped = tokio::task::spawn_blocking(move || manager.ask(Ask::Stop)).await;
        // One whose manager can't be reached serves on.
        if !matches!(stopped, Ok(Ok(()))) {
            return Ok(false);
        }
    } else if peer.check_protocol().is_ok() {
        let mode = v1::ShutdownMode::Drain.into();
        let message = v1::ShutdownRequest { mode }.encode_to_vec();
        let mut drain = Request::new(Bytes::from(message));
        drain.set_timeout(ASK);
        // It may be ending already; whether it does is seen by the lock.
        let asked = unary(session.channel(), v1::ShutdownRequest::PATH, drain);
        asked.await.ok();
    } else {
        owner::ask_to_end(home)?;
    }
    let patience = config::load(home, env).config.daemon_drain_timeout + AFTER_DRAIN;
    owner::wait_until_free(home, patience).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(version: &str, manager: &str, age: i64) -> Peer {
        Peer {
            version: version.to_owned(),
            protocol: "1.0".to_owned(),
            build: String::new(),
            manager: manager.to_owned(),
            instance: "x".to_owned(),
            started_at: Timestamp(-age * 1_000_000_000),
            capabilities: vec!["known".to_owned()],
        }
    }

    const NOW: Timestamp = Timestamp(0);

    #[test]
    fn only_an_older_settled_daemon_of_a_command_is_replaced() {
        assert!(peer("0.0.9", "auto", 31).is_replaceable(NOW));
        assert!(
            peer("0.0.9", "auto", -100).is_replaceable(NOW),
            "from a clock set back"
        );
        assert!(
            !peer("0.0.9", "auto", 29).is_replaceable(NOW),
            "it has just started"
        );
        assert!(peer("0.0.9", Manager::native().as_str(), 31).is_replaceable(NOW));
        assert!(!peer("0.0.9", "foreground", 31).is_replaceable(NOW));
        assert!(!peer(version::program(), "auto", 31).is_replaceable(NOW));
        assert!(
            !peer("99.0.0", "auto", 31).is_replaceable(NOW),
            "newer wins"
        );
        assert!(!peer("rubbish", "auto", 31).is_replaceable(NOW));
    }

    #[test]
    fn what_is_missing_is_named_with_the_version_that_has_it() {
        let old = peer("0.0.9", "auto", 31);
        assert!(old.require("known").is_ok());
        let (name, since) = skillmeat_proto::CAPABILITIES[0];
        let error = old.require(name).unwrap_err();
        assert_eq!(error.code, Code::DaemonTooOld);
        assert!(
            error.message.contains(&format!("needs skillmeatd {since}")),
            "{error}"
        );
        assert!(error.message.ends_with("0.0.9 runs"), "{error}");
        // Between two releases builds have one number.
        let error = peer(since, "auto", 31).require(name).unwrap_err();
        assert!(
            error.message.ends_with("an older build of it runs"),
            "{error}"
        );
    }
}
