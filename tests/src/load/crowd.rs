//! Many clients at once, each with a connection and a thread of its own, as many programs would be.

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::reads::Reads;
use crate::client::Rpc;

/// What a crowd heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// How long each answer took.
    pub answers: Vec<Duration>,
    /// Answers that were none.
    pub refused: Vec<String>,
}

/// Lets so many clients ask one thing after the other, without a rest, until the time is over.
///
/// # Panics
/// If one can't connect.
pub fn ask(socket: &Path, clients: usize, time: Duration) -> Heard {
    let together = Barrier::new(clients);
    let mut heard = Heard::default();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|number| {
                let together = &together;
                scope.spawn(move || client(socket, number as u64, together, time))
            })
            .collect();
        for client in clients {
            let one = client.join().unwrap();
            heard.answers.extend(one.answers);
            heard.refused.extend(one.refused);
        }
    });
    heard
}

fn client(socket: &Path, number: u64, together: &Barrier, time: Duration) -> Heard {
    let rpc = Rpc::new(socket);
    let mut reads = rpc.wait(Reads::new(rpc.channel(), number)).unwrap();
    let mut heard = Heard::default();
    together.wait();
    let end = Instant::now() + time;
    while Instant::now() < end {
        let start = Instant::now();
        match rpc.wait(reads.next(rpc.channel())) {
            Ok(()) => heard.answers.push(start.elapsed()),
            Err(status) => heard.refused.push(status.to_string()),
        }
    }
    heard
}
