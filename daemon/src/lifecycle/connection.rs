//! Connections of clients, which are counted: each takes a descriptor, and the system gives us a thousand.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, UdsConnectInfo};

/// Connections at once; more wait, as the system lets them, until one is closed.
const MOST: usize = 512;

/// How many connections there may still be.
pub(crate) struct Room(Arc<Semaphore>);

/// A connection, which gives its place back when it is closed.
pub(crate) struct Connection {
    stream: UnixStream,
    _place: OwnedSemaphorePermit,
}

/// A place for a connection that may come.
pub(crate) struct Place(OwnedSemaphorePermit);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Waits for a place. `None` at the end of the process.
    pub(crate) async fn place(&self) -> Option<Place> {
        if self.0.available_permits() == 0 {
            tracing::warn!("{MOST} connections are open: the next one waits until one is closed");
        }
        Some(Place(Arc::clone(&self.0).acquire_owned().await.ok()?))
    }
}

impl Place {
    pub(crate) fn take(self, stream: UnixStream) -> Connection {
        Connection {
            stream,
            _place: self.0,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
