//! One connection: the checks before it, the bytes on it, and the silence that tells a wedged daemon.

use std::error::Error as _;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use prost::Message;
use prost::bytes::Bytes;
use skillmeat_proto::MAX_MESSAGE_BYTES;
use skillmeat_proto::call::{self, Raw};
use skillmeat_shared::{Code, Error, Result, paths};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// How long a daemon may take to say its first byte. Its server greets at once; one that does not is
/// wedged or stopped.
pub(super) const FIRST_BYTE: Duration = Duration::from_secs(1);
/// Room for one answer on its way, in bytes.
const WINDOW: u32 = 4 << 20;

/// What came of trying to reach a daemon.
pub(super) enum Reach {
    /// A connection to a process of the same user.
    Connected(UnixStream),
    /// Nobody listens there.
    Nobody,
}

/// Connects to the socket of a rendezvous.
///
/// # Errors
/// [`Code::DaemonUntrustedSocket`] if anybody else could have made the socket, [`Code::DaemonTimeout`] if
/// its queue stays full.
pub(super) async fn reach(socket: &Path) -> Result<Reach> {
    if !trusted(socket)? {
        return Ok(Reach::Nobody);
    }
    let deadline = Instant::now() + FIRST_BYTE;
    let stream = loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => break stream,
            Err(error) => match error.kind() {
                // Reset: it ended before it took the connection from its queue.
                io::ErrorKind::NotFound
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset => {
                    return Ok(Reach::Nobody);
                }
                // The queue of connections is full: many clients at once, or nobody accepts.
                io::ErrorKind::WouldBlock if Instant::now() < deadline => {
                    sleep(Duration::from_millis(10)).await;
                }
                io::ErrorKind::WouldBlock => return Err(wedged()),
                _ => return Err(Error::io("connect to", socket, &error)),
            },
        }
    };
    let peer = stream
        .peer_cred()
        .map_err(|error| Error::io("check", socket, &error))?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::new(
            Code::DaemonUntrustedSocket,
            format!(
                "`{}` is served by the user {}, not by you",
                socket.display(),
                peer.uid()
            ),
        )
        .hint("find out who runs it; never use a daemon of somebody else")
        .at(socket, None));
    }
    Ok(Reach::Connected(stream))
}

/// The process that made the socket on the other side, where the system tells.
pub(super) fn process(stream: &UnixStream) -> Option<u32> {
    u32::try_from(stream.peer_cred().ok()?.pid()?).ok()
}

/// Whether there is a socket that only this user can have made. `false` if there is nothing.
fn trusted(socket: &Path) -> Result<bool> {
    let found = match std::fs::symlink_metadata(socket) {
        Ok(found) => found,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(Error::io("look at", socket, &error)),
    };
    if let Some(folder) = socket.parent() {
        paths::check_socket_dir(folder)?;
    }
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if !found.file_type().is_socket() || !ours || found.mode() & 0o077 != 0 {
        return Err(Error::new(
            Code::DaemonUntrustedSocket,
            format!(
                "`{}` is not a socket that only you can use",
                socket.display()
            ),
        )
        .hint("remove it, then run `sm daemon restart`")
        .at(socket, None));
    }
    Ok(true)
}

/// The error of a daemon that is there and does not answer.
pub(super) fn wedged() -> Error {
    Error::new(
        Code::DaemonTimeout,
        "the daemon is running but does not answer",
    )
    .hint("run `sm daemon restart --force`")
}

/// Whether the other side has said anything yet.
#[derive(Debug, Clone)]
pub(super) struct Silence {
    heard: Arc<AtomicBool>,
    deadline: Instant,
}

impl Silence {
    /// Whether the other side has said anything.
    pub(super) fn is_broken(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Ends when the deadline for the first byte has passed in silence; never otherwise.
    pub(super) async fn broken_off(&self) {
        if !self.heard.load(Ordering::Relaxed) {
            sleep_until(self.deadline).await;
            if !self.heard.load(Ordering::Relaxed) {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// The channel over a connected stream. It never connects a second time.
pub(super) async fn open(stream: UnixStream) -> Result<(Channel, Silence)> {
    let heard = Arc::new(AtomicBool::new(false));
    let silence = Silence {
        heard: Arc::clone(&heard),
        deadline: Instant::now() + FIRST_BYTE,
    };
    let stream = Arc::new(Mutex::new(Some(Listening { stream, heard })));
    let connector = tower::service_fn(move |_| {
        let stream = Arc::clone(&stream);
        async move {
            let taken = stream.lock().ok().and_then(|mut stream| stream.take());
            taken
                .map(TokioIo::new)
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
        }
    });
    let channel = Endpoint::from_static("http://skillmeatd.local")
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .connect_with_connector(connector)
        .await
        .map_err(|error| {
            Error::new(
                Code::DaemonUnavailable,
                format!("can't talk to the daemon: {error}"),
            )
            .hint("look at `sm daemon status`, or run `sm daemon restart`")
        })?;
    Ok((channel, silence))
}

/// What the other side says, or its status.
type Answered<T> = std::result::Result<T, Status>;

/// The messages of a stream.
#[derive(Debug)]
pub(crate) struct Answers<R> {
    bytes: Streaming<Bytes>,
    kind: PhantomData<fn() -> R>,
}

impl<R: Message + Default> Answers<R> {
    pub(super) fn new(bytes: Streaming<Bytes>) -> Self {
        Self {
            bytes,
            kind: PhantomData,
        }
    }

    /// The next message; nothing at the end.
    pub(crate) async fn message(&mut self) -> Answered<Option<R>> {
        self.bytes.message().await?.map(call::answer).transpose()
    }
}

/// Calls a method, and waits for its answer.
pub(super) async fn unary(
    channel: Channel,
    path: &'static str,
    request: Request<Bytes>,
) -> Answered<Bytes> {
    let mut grpc = ready(channel).await?;
    let answer = grpc.unary(request, PathAndQuery::from_static(path), Raw);
    answer.await.map(Response::into_inner)
}

/// Calls a method that answers with a stream.
pub(super) async fn stream(
    channel: Channel,
    path: &'static str,
    message: Bytes,
) -> Answered<Streaming<Bytes>> {
    let mut grpc = ready(channel).await?;
    let request = Request::new(message);
    let answer = grpc.server_streaming(request, PathAndQuery::from_static(path), Raw);
    answer.await.map(Response::into_inner)
}

async fn ready(channel: Channel) -> Answered<Grpc<Channel>> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let outcome = grpc.ready().await;
    outcome.map_err(|error| Status::unknown(format!("the service was not ready: {error}")))?;
    Ok(grpc)
}

/// Whether a call failed because its connection had been closed before: it never left this process.
pub(super) fn was_never_sent(status: &tonic::Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::NotConnected) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A stream that remembers whether anything was read from it.
struct Listening {
    stream: UnixStream,
    heard: Arc<AtomicBool>,
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(task, buffer);
        if buffer.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Listening {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_daemon_that_ends_in_this_moment_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let rights = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), rights(0o700)).unwrap();
        for _ in 0..1_000 {
            std::fs::remove_file(&socket).ok();
            let listener = UnixListener::bind(&socket).unwrap();
            std::fs::set_permissions(&socket, rights(0o600)).unwrap();
            let end = std::thread::spawn(move || drop(listener));
            let reached = reach(&socket).await;
            assert!(reached.is_ok(), "{:?}", reached.err());
            end.join().unwrap();
        }
    }
}
