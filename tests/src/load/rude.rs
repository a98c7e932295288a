//! Clients without manners: one asks for much and reads nothing, one connects and says nothing.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Streams that the stuck client opens: half of them for a whole page each, half for the events.
const STREAMS: u32 = 100;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The largest window there is: the server need not stop for us before the socket is full.
const WINDOW: u32 = (1 << 31) - 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
const DEFAULT_WINDOW: u32 = 65_535;

/// `page_size: 1000` of the list.
const LARGE_PAGE: &[u8] = &[0x48, 0xe8, 0x07];
/// `since_seq: 0` of the stream of events.
const ALL_EVENTS: &[u8] = &[0x08, 0x00];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()];
    [&head.concat(), payload].concat()
}

/// One header, spelled out.
fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        // Longer ones need more than a byte.
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        [&[length.unwrap()], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}

fn call(stream: u32, method: &str, message: &[u8]) -> Vec<u8> {
    let headers = [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":authority", "localhost"),
        header(":path", method),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ];
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], message].concat();
    [
        frame(HEADERS, END_HEADERS, stream, &headers.concat()),
        frame(DATA, END_STREAM, stream, &body),
    ]
    .concat()
}

/// Connects, asks for far more than a socket holds, and never reads. Lasts until it is dropped.
///
/// # Panics
/// If nobody listens.
pub fn stuck(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut window = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
    window.extend(WINDOW.to_be_bytes());
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    all.extend(frame(SETTINGS, 0, 0, &window));
    let more = (WINDOW - DEFAULT_WINDOW).to_be_bytes();
    all.extend(frame(WINDOW_UPDATE, 0, 0, &more));
    for number in 0..STREAMS {
        let (method, message) = if number % 2 == 0 {
            ("/skillmeat.v1.ArtifactService/List", LARGE_PAGE)
        } else {
            ("/skillmeat.v1.EventService/Subscribe", ALL_EVENTS)
        };
        // Streams of clients have odd numbers.
        all.extend(call(2 * number + 1, method, message));
    }
    stream.write_all(&all).unwrap();
    stream
}

/// Connects and says nothing. Lasts until it is dropped.
///
/// # Panics
/// If nobody listens.
pub fn silent(socket: &Path) -> UnixStream {
    UnixStream::connect(socket).unwrap()
}
