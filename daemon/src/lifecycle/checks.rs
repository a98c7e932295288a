//! What the process looks after once a minute, besides the socket.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use skillmeat_shared::health::{HOME_READ_ONLY, Health, LOG_UNWRITABLE};
use skillmeat_shared::paths::Home;

use super::reserve::Reserve;
use super::selfcheck::SelfCheck;
use super::shutdown::Shutdown;
use super::{Application, Findings, memory};
use crate::telemetry;

/// Has the process look after what it may write, its memory, the room for its next start, and whether it is needed.
pub(super) fn add(
    self_check: &SelfCheck,
    (health, home, reserve): (&Arc<Health>, &Home, &Reserve),
    application: &Weak<dyn Application>,
    shutdown: &Shutdown,
) {
    self_check.add(look_after_log(health, home.log_file()));
    if home.is_read_only() {
        tell_of_read_only(health, home);
    }
    if is_confined(home) {
        self_check.add(end_when_writable(home.clone(), shutdown.clone()));
    }
    let kept = reserve.clone();
    self_check.add(move |_| kept.keep());
    let (health, weak) = (Arc::clone(health), application.clone());
    self_check.add(memory::look_after(health, weak, shutdown.clone()));
    self_check.add(end_when_idle(application.clone(), shutdown.clone()));
}

/// The check that ends a process which nobody needs.
fn end_when_idle(
    application: Weak<dyn Application>,
    shutdown: Shutdown,
) -> impl FnMut(Findings) + Send {
    move |_| {
        if let Some(application) = application.upgrade()
            && let Some(after) = application.idle_exit()
            && application.idle_for().is_some_and(|quiet| quiet >= after)
        {
            shutdown.request("nobody has asked for anything for long");
        }
    }
}

/// Warns of a log that can't be written, for as long as that is so.
fn look_after_log(health: &Arc<Health>, log: PathBuf) -> impl FnMut(Findings) + Send + use<> {
    let health = Arc::clone(health);
    let look = move || match telemetry::probe(&log) {
        Ok(()) => health.clear(&LOG_UNWRITABLE, ""),
        Err(error) => {
            tracing::warn!(code = %error.code, "{error}");
            health.raise(&LOG_UNWRITABLE, "", error.message, error.hints);
        }
    };
    look();
    move |_| look()
}

/// Warns of a read-only home.
fn tell_of_read_only(health: &Health, home: &Home) {
    let root = home.root().display();
    let what = format!("nothing can be written in `{root}`: what is there is served");
    let hint =
        "make it writable: within `daemon.self_check` the daemon ends, and the next one uses it";
    health.raise(&HOME_READ_ONLY, "", what, vec![hint.to_owned()]);
}

/// Whether a daemon can't have all in the home that belongs there.
fn is_confined(home: &Home) -> bool {
    home.is_read_only() || home.runs_elsewhere()
}

/// The check that ends the daemon of a home, or of a folder `run`, that can be written again: from then on clients look
/// for lock and rendezvous in the home, so the next daemon belongs there, with its cache.
fn end_when_writable(home: Home, shutdown: Shutdown) -> impl FnMut(Findings) + Send + use<> {
    move |_| {
        if home.root().is_dir() && !is_confined(&Home::at(home.root())) {
            // As a failure, so that a service manager starts it anew.
            shutdown.fail("the home can be written again");
        }
    }
}
