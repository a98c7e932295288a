//! Bytes that are anything, at the real socket: the daemon stays up and goes on to answer others.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree as _};
use skillmeat_proto::v1;
use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient;
use skillmeat_tests::client::Rpc;
use skillmeat_tests::daemon;
use skillmeat_tests::fuzz::target;
use skillmeat_tests::generate::Random;
use skillmeat_tests::home::skill;
use skillmeat_tests::wait::DEADLINE;
use skillmeat_tests::{Sandbox, until};

use crate::mutate::{mutated, runner};

/// Connections with rubbish in each test.
const CONNECTIONS: usize = 150;

/// Connections between two looks whether others are answered.
const STRIDE: usize = 50;

/// Memory that the daemon may use after all that, bytes.
const MEMORY: u64 = 300 << 20;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Calls that are made with rubbish. Shutdown is left out: any bytes may be a good request for that.
const CALLS: [&str; 14] = [
    "skillmeat.v1.AdoptService/Survey",
    "skillmeat.v1.AdoptService/Take",
    "skillmeat.v1.ArtifactService/List",
    "skillmeat.v1.ArtifactService/Show",
    "skillmeat.v1.ArtifactService/Add",
    "skillmeat.v1.ArtifactService/CompleteNames",
    "skillmeat.v1.CacheService/Status",
    "skillmeat.v1.CacheService/Invalidate",
    "skillmeat.v1.CollectionService/Create",
    "skillmeat.v1.CollectionService/Show",
    "skillmeat.v1.EventService/Subscribe",
    "skillmeat.v1.SearchService/Search",
    "grpc.health.v1.Health/Check",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The headers of a call, none of them compressed.
fn headers(path: &str) -> Vec<u8> {
    let path = format!("/{path}");
    let all = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut bytes = Vec::new();
    for (name, value) in all {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend(text.bytes());
        }
    }
    bytes
}

/// All that a client sends for one call whose message is these bytes.
fn call(path: &str, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], message].concat();
    let ends = 0x1;
    [
        PREFACE.to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 0x4, 1, &headers(path)),
        frame(0, ends, 1, &body),
    ]
    .concat()
}

/// A daemon with an artifact, and where it is.
struct Served {
    sandbox: Sandbox,
    socket: PathBuf,
    rpc: Rpc,
    instance: String,
}

impl Served {
    fn new() -> Self {
        let sandbox = Sandbox::initialised();
        skill(&sandbox.collection("default", "skills"), "present", "Here");
        sandbox.shows("present", "the skill", |_| true);
        let rpc = sandbox.rpc();
        let instance = rpc.status().instance;
        Self {
            socket: daemon::rendezvous(sandbox.home()).unwrap().socket,
            sandbox,
            rpc,
            instance,
        }
    }

    fn connect(&self) -> UnixStream {
        // All places may be taken for a moment by those that were just left.
        until("a connection", || UnixStream::connect(&self.socket).ok())
    }

    /// Sends bytes and reads what comes until there is `enough`, nothing comes for a while, or it is closed.
    fn send(&self, bytes: &[u8], quiet: Duration, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(quiet)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        // It may be closed before all is sent: that is an answer, too.
        drop(stream.write_all(bytes));
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while !enough(&answer) {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(count) => answer.extend(&part[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        answer
    }

    /// Sends bytes and leaves soon.
    fn throw(&self, bytes: &[u8]) {
        self.send(bytes, Duration::from_millis(10), |_| false);
    }

    /// The same process answers others.
    fn holds(&self) {
        let others = Rpc::new(&self.socket);
        for rpc in [&self.rpc, &others] {
            let request = v1::ListArtifactsRequest::default();
            let list = rpc
                .wait(ArtifactServiceClient::new(rpc.channel()).list(request))
                .unwrap();
            assert!(
                list.into_inner()
                    .artifacts
                    .iter()
                    .any(|one| one.name == "present")
            );
        }
        let status = others.status();
        assert_eq!(status.instance, self.instance);
        assert!(
            status.memory_bytes < MEMORY,
            "{} bytes",
            status.memory_bytes
        );
        let log = daemon::log_tail(self.sandbox.home());
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Throws one thing after another.
    fn bear(&self, mut rubbish: impl FnMut(usize) -> Vec<u8>) {
        for number in 0..CONNECTIONS {
            self.throw(&rubbish(number));
            if number % STRIDE == 0 {
                self.holds();
            }
        }
        self.holds();
    }
}

fn noise(random: &mut Random, most: usize) -> Vec<u8> {
    let count = random.below(most + 1);
    (0..count).map(|_| random.next().to_le_bytes()[0]).collect()
}

#[test]
fn calls_written_by_hand_are_answered() {
    let served = Served::new();
    let has = |answer: &[u8]| answer.windows(7).any(|part| part == b"present");
    let answer = served.send(
        &call("skillmeat.v1.ArtifactService/List", b""),
        DEADLINE,
        has,
    );
    assert!(has(&answer), "{}", answer.escape_ascii());
}

#[test]
fn noise_and_torn_frames_harm_nobody() {
    let served = Served::new();
    let mut random = Random::new(11);
    served.bear(|number| {
        let whole = call(CALLS[number % CALLS.len()], &noise(&mut random, 60));
        match number % 6 {
            0 => noise(&mut random, 2000),
            1 => [PREFACE, &noise(&mut random, 2000)].concat(),
            2 => whole[..random.below(whole.len())].to_vec(),
            3 => {
                let mut bent = whole;
                for _ in 0..8 {
                    let at = random.below(bent.len());
                    bent[at] = random.next().to_le_bytes()[0];
                }
                bent
            }
            4 => {
                let frames = (0..50).map(|_| {
                    let [kind, flags, stream, ..] = random.next().to_le_bytes();
                    frame(
                        kind % 12,
                        flags,
                        u32::from(stream % 5),
                        &noise(&mut random, 40),
                    )
                });
                let frames: Vec<u8> = frames.flatten().collect();
                [PREFACE, &frame(4, 0, 0, &[]), &frames].concat()
            }
            // A header list without end, pings and resets by the hundred, a window that overflows.
            _ => {
                let mut bytes = [PREFACE, &frame(4, 0, 0, &[])].concat();
                bytes.extend(frame(1, 0, 1, &headers(CALLS[0])));
                for _ in 0..200 {
                    bytes.extend(frame(6, 0, 0, &[7; 8]));
                    bytes.extend(frame(9, 0, 1, &[b'x'; 40]));
                    bytes.extend(frame(8, 0, 0, &[0x7F, 0xFF, 0xFF, 0xFF]));
                }
                bytes
            }
        }
    });
}

#[test]
fn rubbish_in_good_calls_is_answered_or_refused() {
    let served = Served::new();
    let messages = mutated(target("wire").unwrap());
    let mut runner = runner(1, 5);
    let mut random = Random::new(12);
    served.bear(|number| {
        let path = CALLS[number % CALLS.len()];
        let message = messages.new_tree(&mut runner).unwrap().current();
        let message = &message[..message.len().min(15_000)];
        match number % 5 {
            0..=2 => call(path, message),
            // A method, a service that is none.
            3 => call(&format!("{path}{}", random.below(9)), message),
            // A length that is never sent, and one that nobody may send.
            _ => {
                let length = [0x7FFF_FFFF_u32, u32::MAX, 16 << 20][random.below(3)];
                let body = [&[0][..], &length.to_be_bytes(), message].concat();
                [
                    PREFACE.to_vec(),
                    frame(4, 0, 0, &[]),
                    frame(1, 0x4, 1, &headers(path)),
                    frame(0, 0, 1, &body),
                ]
                .concat()
            }
        }
    });
}

#[test]
fn silent_connections_slow_nobody() {
    let served = Served::new();
    let mut idle: Vec<UnixStream> = (0..40).map(|_| served.connect()).collect();
    for (number, stream) in idle.iter_mut().enumerate() {
        let begun = call(CALLS[number % CALLS.len()], b"");
        stream.write_all(&begun[..number.min(begun.len())]).unwrap();
    }
    let start = Instant::now();
    served.holds();
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    drop(idle);
    served.holds();
}
