//! Signals: the first asks for an orderly end, the second ends at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use skillmeat_shared::{Code, Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::lock::Lock;
use super::shutdown::Shutdown;
use super::supervisor::{Policy, Supervisor};
use crate::telemetry::Telemetry;

/// Listens from now on. Needs a runtime's context.
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn listen(supervisor: &Supervisor, shutdown: &Shutdown, end: &End) -> Result<()> {
    let failed =
        |error: io::Error| Error::new(Code::Internal, format!("can't handle signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let (shutdown, end) = (shutdown.clone(), end.clone());
    supervisor.spawn("signals", Policy::Essential, async move {
        let mut first = true;
        loop {
            let (name, number) = next(&mut terminate, &mut interrupt, &mut hang_up).await;
            if first {
                first = false;
                shutdown.request(format!("signal {name}"));
            } else {
                tracing::warn!(signal = name, "second signal: ending at once");
                end.now(128 + number);
            }
        }
    });
    Ok(())
}

async fn next(
    terminate: &mut Signal,
    interrupt: &mut Signal,
    hang_up: &mut Signal,
) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 15),
        _ = interrupt.recv() => ("SIGINT", 2),
        _ = hang_up.recv() => ("SIGHUP", 1),
    }
}

/// An end without cleaning up; the next start clears what stays.
#[derive(Clone)]
pub(crate) struct End {
    telemetry: Telemetry,
    pub(crate) lock: Arc<Lock>,
}

impl End {
    pub(crate) fn new(telemetry: &Telemetry, lock: &Arc<Lock>) -> Self {
        Self {
            telemetry: telemetry.clone(),
            lock: Arc::clone(lock),
        }
    }

    /// Ends the process.
    #[expect(
        clippy::disallowed_methods,
        reason = "an orderly end was tried and is stuck"
    )]
    pub(crate) fn now(&self, code: i32) -> ! {
        self.telemetry.flush(Duration::from_millis(200));
        self.lock.free();
        std::process::exit(code)
    }
}
