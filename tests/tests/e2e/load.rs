//! Many clients at once, rude ones among them, and power cuts; the benches do the same for longer.

use std::time::Duration;

use skillmeat_proto::v1;
use skillmeat_proto::v1::event_service_client::EventServiceClient;
use skillmeat_tests::Sandbox;
use skillmeat_tests::client::Rpc;
use skillmeat_tests::generate::{Weight, generate};
use skillmeat_tests::home::{rename, skill};
use skillmeat_tests::load::{crowd, cuts, rude};
use tokio_stream::StreamExt as _;

/// Far more than a busy machine needs, far less than a client that waits for a rude one would see.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn nobody_waits_for_a_stuck_or_a_silent_client() {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().collection("default");
    generate(&folder, 1_000, 7, Weight::Light);
    sandbox.ready();
    let socket = skillmeat_tests::daemon::rendezvous(sandbox.home())
        .unwrap()
        .socket;
    let _rude = (rude::stuck(&socket), rude::silent(&socket));
    let heard = crowd::ask(&socket, 64, Duration::from_secs(2));
    assert_eq!(heard.refused, Vec::<String>::new());
    assert!(heard.answers.len() >= 64, "{}", heard.answers.len());
    let slowest = heard.answers.iter().max().unwrap();
    assert!(*slowest < PATIENCE, "{slowest:?}");
}

/// Events that the daemon's log keeps, and more than wait for one subscriber, in the daemon and on the way to it.
const KEPT: u64 = 10_000;
const WAITING: u64 = 4_000;

/// Each of them tells once when it comes, and once when it goes.
const SKILLS: u64 = 3_500;

#[test]
fn a_watcher_that_falls_behind_is_told_that_it_missed_something() {
    let sandbox = Sandbox::initialised();
    let skills = sandbox.collection("default", "skills");
    for number in 0..SKILLS {
        skill(&skills, &format!("s{number}"), "One of many");
    }
    sandbox.status_until("all of them", |status| status["artifacts"] == SKILLS);
    let last = |status: &serde_json::Value| status["daemon"]["last_seq"].as_u64().unwrap();
    let begin = last(&sandbox.ready());
    let socket = skillmeat_tests::daemon::rendezvous(sandbox.home())
        .unwrap()
        .socket;
    // With the windows that a small client has, so that little is under way.
    let rpc = Rpc::narrow(&socket);
    let mut client = EventServiceClient::new(rpc.channel());
    let request = v1::SubscribeRequest {
        since_seq: Some(begin),
        ..v1::SubscribeRequest::default()
    };
    let mut stream = rpc.wait(client.subscribe(request)).unwrap().into_inner();
    let mut next = || rpc.wait(stream.next()).unwrap().unwrap();
    assert_eq!(next().continuous, Some(true));

    // It reads no further, while more happens than is kept for it.
    let away = sandbox.path("away");
    let mut end = begin;
    let mut is_there = true;
    while end < begin + KEPT + WAITING {
        if is_there {
            rename(&skills, &away);
        } else {
            rename(&away, &skills);
        }
        is_there = !is_there;
        let enough = end + SKILLS;
        end = last(&sandbox.status_until("all of these events", |status| last(status) >= enough));
    }
    let mut seen = begin;
    let resync = loop {
        let event = next();
        if event.kind == "stream.resync" {
            break event;
        }
        assert_eq!(event.seq, seen + 1, "a gap of which nobody was told");
        seen = event.seq;
    };
    assert_eq!(resync.continuous, Some(false));
    assert!(resync.seq > seen, "{} after {seen}", resync.seq);
    seen = resync.seq;
    while seen < end {
        let event = next();
        assert_eq!(event.seq, seen + 1, "a second gap");
        seen = event.seq;
    }
}

#[test]
fn power_cuts_take_nothing_that_was_acknowledged() {
    let seed = 20_260_102;
    let outcome = cuts::run(seed, 10);
    assert_eq!(outcome.lost, Vec::<String>::new(), "seed {seed}");
    assert_eq!(outcome.starts, 10);
    assert!(outcome.added > 0 && outcome.edits > 0, "{outcome:?}");
}
