//! `sm version`: this program, and the daemon that runs. Starts none.

use std::time::Duration;

use serde::Serialize;

use super::{Context, Outcome};
use crate::connect;

/// The JSON of `sm version`.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the JSON")]
struct Version {
    version: &'static str,
    protocol: &'static str,
    daemon: Option<Daemon>,
}

/// The daemon that runs.
#[derive(Serialize)]
struct Daemon {
    version: String,
    protocol: String,
    pid: u32,
}

pub(super) async fn run(context: &mut Context) -> Outcome {
    // A daemon that can't be used is no reason to keep our own version from anybody.
    let daemon = match context.home() {
        Ok(home) => connect::existing(&home, context.deadline(Duration::from_secs(1)))
            .await
            .ok()
            .flatten(),
        Err(_) => None,
    };
    let version = Version {
        version: skillmeat_shared::version::program(),
        protocol: connect::spoken(),
        daemon: daemon.map(|session| Daemon {
            version: session.peer.version.clone(),
            protocol: session.peer.protocol.clone(),
            pid: session.rendezvous.pid,
        }),
    };
    if context.out.json {
        context.out.document(&version)?;
        return Ok(());
    }
    context.out.line(&format!(
        "sm {} (protocol {})",
        version.version, version.protocol
    ))?;
    if let Some(daemon) = &version.daemon {
        context.out.line(&format!(
            "skillmeatd {} (protocol {}, pid {})",
            daemon.version, daemon.protocol, daemon.pid
        ))?;
        if daemon.version != version.version {
            context
                .out
                .note("`sm daemon restart` lets the installed version serve");
        }
    }
    Ok(())
}
