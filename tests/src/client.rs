//! A gRPC client of the daemon, for what `sm` never asks.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use skillmeat_proto::v1;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::wait::DEADLINE;

/// The smallest window of the protocol, bytes.
const NARROW: u32 = 65_535;

/// A channel, and a runtime to wait for its answers.
#[derive(Debug)]
pub struct Rpc {
    runtime: Runtime,
    channel: Channel,
}

impl Rpc {
    /// Connects to a socket.
    ///
    /// # Panics
    /// If nobody answers there.
    #[track_caller]
    pub fn new(socket: &Path) -> Self {
        Self::with(socket, |endpoint| endpoint)
    }

    /// Connects to a socket, and takes little at a time.
    ///
    /// # Panics
    /// If nobody answers there.
    #[track_caller]
    pub fn narrow(socket: &Path) -> Self {
        Self::with(socket, |endpoint| {
            endpoint
                .initial_stream_window_size(NARROW)
                .initial_connection_window_size(NARROW)
        })
    }

    #[track_caller]
    fn with(socket: &Path, shape: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap();
        let channel = runtime.block_on(shape(endpoint).connect()).unwrap();
        Self { runtime, channel }
    }

    /// A further handle of the channel, for a client of a service.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Waits for an answer.
    ///
    /// # Panics
    /// If none comes before the deadline.
    #[track_caller]
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.within(DEADLINE, answer).unwrap()
    }

    /// Waits for an answer, but no longer than this.
    pub fn within<T>(&self, time: Duration, answer: impl Future<Output = T>) -> Option<T> {
        self.runtime
            .block_on(async { tokio::time::timeout(time, answer).await.ok() })
    }

    /// What the daemon says of itself.
    #[track_caller]
    pub fn status(&self) -> v1::StatusResponse {
        let mut client = v1::daemon_service_client::DaemonServiceClient::new(self.channel());
        self.wait(client.status(v1::StatusRequest {}))
            .unwrap()
            .into_inner()
    }
}
