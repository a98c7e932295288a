//! What the stream of events tells: with the state before, it must lead to the state now.

use std::collections::{BTreeMap, BTreeSet};

use skillmeat_proto::v1;
use skillmeat_proto::v1::event_service_client::EventServiceClient;
use skillmeat_tests::client::Rpc;
use skillmeat_tests::until;
use tokio_stream::StreamExt as _;

use crate::view::View;

/// Where the reading of events stands, and what they told so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    instance: String,
    seq: u64,
    /// Artifacts by collection and id; several of one id may stand at several places.
    ids: BTreeMap<(String, String), i64>,
    view: View,
}

/// Every event after a number up to another one; none if the stream is not continuous.
fn events(rpc: &Rpc, since: u64, last: u64, instance: &str) -> Option<Vec<v1::Event>> {
    let mut client = EventServiceClient::new(rpc.channel());
    let request = v1::SubscribeRequest {
        since_seq: Some(since),
        ..v1::SubscribeRequest::default()
    };
    rpc.wait(async {
        let mut stream = client.subscribe(request).await.unwrap().into_inner();
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(first.kind, "stream.started");
        if first.instance != instance || first.continuous != Some(true) {
            return None;
        }
        let mut events = Vec::new();
        let mut seq = first.seq;
        assert_eq!(seq, since);
        while seq < last {
            let event = stream.next().await.unwrap().unwrap();
            assert!(
                event.seq > seq,
                "numbers only grow: {seq} and then {event:?}"
            );
            seq = event.seq;
            events.push(event);
        }
        Some(events)
    })
}

impl Story {
    /// Reads on to the state that was just seen. `was_rebuilt`: the cache may have been made anew meanwhile, so
    /// a break in the story is right.
    pub(crate) fn read_on(&mut self, rpc: &Rpc, view: View, was_rebuilt: bool) {
        let last = rpc.status().last_seq;
        let told = (!self.instance.is_empty())
            .then(|| events(rpc, self.seq, last, &self.instance))
            .flatten();
        let now = view.ids();
        match told {
            Some(events) => {
                let mut touched = BTreeSet::new();
                for event in &events {
                    self.tell(event, &mut touched);
                }
                self.ids.retain(|_, count| *count != 0);
                assert_eq!(self.ids, now, "the events do not lead here: {events:#?}");
                for (collection, id) in self.view.differing(&view) {
                    assert!(
                        touched.contains(&(collection.clone(), id.clone()))
                            || touched.contains(&(collection.clone(), String::new())),
                        "{id} in {collection} changed without an event: {events:#?}"
                    );
                }
            }
            None => assert!(
                self.instance.is_empty() || was_rebuilt,
                "the events were not continuous although the cache was not rebuilt"
            ),
        }
        self.instance = instance(rpc);
        self.seq = last;
        self.ids = now;
        self.view = view;
    }

    fn tell(&mut self, event: &v1::Event, touched: &mut BTreeSet<(String, String)>) {
        let key = (event.collection.clone(), event.artifact.clone());
        touched.insert(key.clone());
        match event.kind.as_str() {
            "artifact.added" => *self.ids.entry(key).or_default() += 1,
            "artifact.removed" => *self.ids.entry(key).or_default() -= 1,
            "artifact.changed" => {
                let was = event
                    .detail
                    .strip_prefix("was ")
                    .map(|rest| rest.split(", ").next().unwrap().to_owned());
                if let Some(was) = was {
                    let before = (event.collection.clone(), was);
                    *self.ids.entry(before).or_default() -= 1;
                    *self.ids.entry(key).or_default() += 1;
                }
            }
            "collection.removed" => self.ids.retain(|(of, _), _| *of != event.collection),
            _ => {}
        }
    }
}

/// The instance of the database, as the stream names it.
pub(crate) fn instance(rpc: &Rpc) -> String {
    let mut client = EventServiceClient::new(rpc.channel());
    until("a stream", || {
        rpc.wait(async {
            let request = v1::SubscribeRequest::default();
            let mut stream = client.subscribe(request).await.ok()?.into_inner();
            Some(stream.next().await?.ok()?.instance)
        })
    })
}
