//! One call of the daemon to itself, over the real socket, from outside of the runtime.
//!
//! The bytes of the smallest possible call are written by hand: a client library would need a runtime of its
//! own, and this must work when everything that has one hangs. The answer's content does not matter; that one
//! begins proves that connections are accepted, that the server reads them, and that a thread of the pool was
//! free to do the work.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// How long to wait between two tries to get into the queue of connections.
const STEP: Duration = Duration::from_millis(20);

/// Frames that may come before the answer.
const FRAMES: usize = 32;

/// The connection preface of HTTP/2 and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A message without fields: a gRPC prefix, as the DATA frame that ends the stream 1.
const MESSAGE: &[u8] = b"\0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GO_AWAY: u8 = 7;

/// Calls `DaemonService.Status` and waits until the answer begins.
///
/// # Errors
/// When it does not within `patience`, or when nobody is there.
pub(crate) fn call(socket: &Path, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    let mut stream = connect(socket, deadline)?;
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        (!left.is_zero())
            .then_some(left)
            .ok_or_else(|| io::Error::from(ErrorKind::TimedOut))
    };
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(&[PREFACE, &request(), MESSAGE].concat())?;
    for _ in 0..FRAMES {
        let mut head = [0_u8; 9];
        stream.set_read_timeout(Some(left()?))?;
        stream.read_exact(&mut head).map_err(late)?;
        let [a, b, c, kind, _, stream_id @ ..] = head;
        match kind {
            DATA | HEADERS if u32::from_be_bytes(stream_id) == 1 => return Ok(()),
            RESET | GO_AWAY => return Err(ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
        let length = u64::from(u32::from_be_bytes([0, a, b, c]));
        io::copy(&mut (&stream).take(length), &mut io::sink()).map_err(late)?;
    }
    Err(io::Error::new(
        ErrorKind::InvalidData,
        "no answer among many frames",
    ))
}

/// A read that ran out of time says that it would block.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// Connects without waiting in the kernel: when nobody accepts, the queue fills up, and then a blocking
/// connect never returns.
fn connect(socket: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&fd, &address) {
            Ok(()) => {
                let stream = UnixStream::from(fd);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        std::thread::park_timeout(STEP);
    }
}

/// The HEADERS frame of the call, with every header spelled out.
fn request() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/skillmeat.v1.DaemonService/Status"),
        (":authority", "skillmeatd.local"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        // "Literal, not indexed, new name": then lengths below 127 and plain bytes.
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap_or_default());
            block.extend_from_slice(text.as_bytes());
        }
    }
    let length = u32::try_from(block.len()).unwrap_or_default().to_be_bytes();
    let end_of_headers = 4;
    let mut frame: Vec<u8> = length.iter().skip(1).copied().collect();
    frame.extend_from_slice(&[HEADERS, end_of_headers, 0, 0, 0, 1]);
    frame.extend(block);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    const SOON: Duration = Duration::from_millis(300);

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        (folder, path)
    }

    #[test]
    fn a_server_that_accepts_and_says_nothing_is_late() {
        let (_folder, path) = place();
        let _listener = UnixListener::bind(&path).unwrap();
        let error = call(&path, SOON).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn a_full_queue_is_no_endless_wait() {
        let (_folder, path) = place();
        let _listener = UnixListener::bind(&path).unwrap();
        let address = SocketAddrUnix::new(&path).unwrap();
        let mut waiting = Vec::new();
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
            let fd = fd.unwrap();
            if rustix::net::connect(&fd, &address).is_err() {
                break;
            }
            waiting.push(fd);
        }
        let error = call(&path, SOON).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn nobody_is_no_answer() {
        let (_folder, path) = place();
        assert!(call(&path, SOON).is_err());
        drop(UnixListener::bind(&path).unwrap());
        assert!(call(&path, SOON).is_err());
    }

    #[test]
    fn only_an_answer_to_the_call_counts() {
        for (frames, answers) in [
            (
                &b"\0\0\0\x04\0\0\0\0\0\0\0\x02\x01\x04\0\0\0\x01ab"[..],
                true,
            ),
            (
                b"\0\0\0\x04\0\0\0\0\0\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
                false,
            ),
            (b"\0\0\0\x04\0\0\0\0\0\0\0\x02\x01\x04\0\0\0\x03ab", false),
        ] {
            let (_folder, path) = place();
            let listener = UnixListener::bind(&path).unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(frames).unwrap();
                let mut asked = Vec::new();
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                // To the end, when the caller has heard enough.
                drop(stream.read_to_end(&mut asked));
                asked
            });
            assert_eq!(call(&path, SOON).is_ok(), answers, "{frames:?}");
            let asked = server.join().unwrap();
            assert!(asked.starts_with(b"PRI * HTTP/2.0") && asked.ends_with(MESSAGE));
        }
    }
}
