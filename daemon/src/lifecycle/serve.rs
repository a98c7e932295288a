//! The gRPC server on the socket: who may connect, limits, health, reflection.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use skillmeat_shared::{Code, Error, Result, failpoint};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::Application;
use super::activation::Notifier;
use super::connection::{Connection, Room};
use super::shutdown::Shutdown;
use super::supervisor::{Policy, Supervisor};

/// The task that ends when the last connection is closed.
pub(crate) const SERVER: &str = "server";

/// No call may take longer to begin its answer. Services set shorter limits of their own.
const LONGEST_CALL: Duration = Duration::from_mins(10);

/// Calls of one connection that run at once; more wait.
const CALLS_PER_CONNECTION: usize = 64;

/// Connections between acceptance and the server.
const ACCEPTED: usize = 16;

/// How long to wait when the system has no descriptor left for a connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// Starts to serve. Needs a runtime's context. Whoever binds the socket again sends the new listener to the
/// returned sender.
///
/// # Errors
/// When the listener or the descriptors of the services can't be used.
pub(crate) fn start(
    listener: StdListener,
    application: &Arc<dyn Application>,
    supervisor: &Supervisor,
    shutdown: &Shutdown,
    notifier: &Notifier,
) -> Result<mpsc::Sender<StdListener>> {
    let internal = |what: &str, error: &dyn std::fmt::Display| {
        Error::new(Code::Internal, format!("can't {what}: {error}"))
    };
    let listener = UnixListener::from_std(listener)
        .map_err(|error| internal("listen on the socket", &error))?;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(skillmeat_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| internal("describe the services", &error))?;
    let (reporter, health) = tonic_health::server::health_reporter();
    follow_readiness(
        reporter,
        application,
        supervisor,
        shutdown,
        notifier.clone(),
    );

    let router = Server::builder()
        .timeout(LONGEST_CALL)
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .max_concurrent_streams(256)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_max_header_list_size(64 << 10)
        .max_frame_size(1 << 20)
        .add_routes(Arc::clone(application).services())
        .add_service(health)
        .add_service(reflection);

    let (accepted, incoming) = mpsc::channel(ACCEPTED);
    let (listeners, newer) = mpsc::channel(1);
    let ends = shutdown.clone();
    supervisor.spawn("accept", Policy::Essential, async move {
        tokio::select! {
            () = accept(listener, newer, accepted) => {}
            () = ends.wait() => {}
        }
    });
    let ends = shutdown.clone();
    supervisor.spawn(SERVER, Policy::Essential, async move {
        let incoming = ReceiverStream::new(incoming);
        if let Err(error) = router
            .serve_with_incoming_shutdown(incoming, ends.wait())
            .await
        {
            tracing::error!(%error, "the server failed");
        }
    });
    Ok(listeners)
}

/// Hands on connections of the same user, and drops all others.
async fn accept(
    mut listener: UnixListener,
    mut newer: mpsc::Receiver<StdListener>,
    accepted: mpsc::Sender<io::Result<Connection>>,
) {
    let uid = rustix::process::geteuid().as_raw();
    let room = Room::new();
    while let Some(place) = room.place().await {
        let connected = tokio::select! {
            connected = listener.accept() => connected,
            Some(bound) = newer.recv() => {
                match UnixListener::from_std(bound) {
                    Ok(bound) => listener = bound,
                    Err(error) => tracing::error!(%error, "the new socket is not served"),
                }
                continue;
            }
        };
        failpoint::hit("task.accept").ok();
        match connected {
            Ok((stream, _)) => match stream.peer_cred() {
                Ok(peer) if peer.uid() == uid => {
                    if accepted.send(Ok(place.take(stream))).await.is_err() {
                        return;
                    }
                }
                Ok(peer) => {
                    tracing::warn!(
                        uid = peer.uid(),
                        pid = peer.pid(),
                        "another user was refused"
                    );
                }
                Err(error) => tracing::warn!(%error, "a client without a user was refused"),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
}

/// Keeps the health service in step with the application's readiness.
fn follow_readiness(
    mut reporter: HealthReporter,
    application: &Arc<dyn Application>,
    supervisor: &Supervisor,
    shutdown: &Shutdown,
    notifier: Notifier,
) {
    let (ready, mut changes) = watch::channel(false);
    application.on_ready(Box::new(move |is_ready| {
        ready.send_if_modified(|was| std::mem::replace(was, is_ready) != is_ready);
    }));
    let names = application.service_names();
    let always = application.always_serving();
    let shutdown = shutdown.clone();
    supervisor.spawn("health", Policy::Background, async move {
        loop {
            let status = if *changes.borrow_and_update() && !shutdown.is_requested() {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            for name in std::iter::once("").chain(names.iter().copied()) {
                let status = if always.contains(&name) && !shutdown.is_requested() {
                    ServingStatus::Serving
                } else {
                    status
                };
                reporter.set_service_status(name, status).await;
            }
            if status == ServingStatus::Serving {
                notifier.status("ready");
            }
            if shutdown.is_requested() {
                // Ends the streams of those who watch health, which the server would wait for.
                for name in std::iter::once("").chain(names.iter().copied()) {
                    reporter.clear_service_status(name).await;
                }
                return;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { shutdown.wait().await },
                () = shutdown.wait() => {}
            }
        }
    });
}
