//! The stream of changes over the wire.

use std::pin::Pin;
use std::sync::Arc;

use skillmeat_proto::v1;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use v1::event_service_server::EventService;

use super::{READ, run};
use crate::app::{App, EventPage};

pub(super) struct Service(pub(super) Arc<App>);

/// Events that wait for a slow subscriber; the rest waits in the log.
const QUEUE: usize = 1024;

type Out = Sender<Result<v1::Event, Status>>;

#[tonic::async_trait]
impl EventService for Service {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let request = request.into_inner();
        let (out, stream) = channel(QUEUE);
        let app = Arc::clone(&self.0);
        drop(tokio::spawn(async move {
            if let Err(status) = follow(&app, request, &out).await {
                // Nobody may be there to hear it.
                drop(out.send(Err(status)).await);
            }
        }));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// Sends what comes after a number until the subscriber leaves or the daemon ends.
async fn follow(app: &Arc<App>, request: v1::SubscribeRequest, out: &Out) -> Result<(), Status> {
    let mut changes = app.subscribe();
    let (since, of) = (request.since_seq, request.instance.clone());
    let start = run(app, &READ, move |app| app.events_start(since, &of)).await?;
    let mut instance = start.instance.clone();
    let mut last = start.from;
    let greeting = v1::Event {
        seq: last,
        at: start.at.0,
        kind: "stream.started".to_owned(),
        continuous: Some(start.continuous),
        instance: instance.clone(),
        detail: if start.continuous {
            String::new()
        } else {
            "events before this one were lost: read the state anew".to_owned()
        },
        ..v1::Event::default()
    };
    if out.send(Ok(greeting)).await.is_err() {
        return Ok(());
    }
    loop {
        // Marked as seen before the log is read: a change during the reading wakes us again.
        changes.mark_unchanged();
        loop {
            let after = last;
            let page: EventPage = run(app, &READ, move |app| app.events_after(after)).await?;
            if page.instance != instance || !page.continuous {
                instance.clone_from(&page.instance);
                let resync = v1::Event {
                    seq: page
                        .events
                        .first()
                        .map_or(0, |event| event.seq.saturating_sub(1)),
                    at: page.at.0,
                    kind: "stream.resync".to_owned(),
                    continuous: Some(false),
                    instance: instance.clone(),
                    detail: "events were lost or the cache was rebuilt: read the state anew"
                        .to_owned(),
                    ..v1::Event::default()
                };
                if out.send(Ok(resync)).await.is_err() {
                    return Ok(());
                }
            }
            let full = page.is_full;
            last = page.last;
            for event in page.events {
                if !request.collection.is_empty()
                    && !event.collection.is_empty()
                    && event.collection != request.collection
                {
                    continue;
                }
                let event = v1::Event {
                    seq: event.seq,
                    at: event.at,
                    kind: event.kind,
                    collection: event.collection,
                    artifact: event.artifact,
                    detail: event.detail,
                    continuous: None,
                    instance: instance.clone(),
                };
                if out.send(Ok(event)).await.is_err() {
                    return Ok(());
                }
            }
            if !full {
                break;
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            () = out.closed() => return Ok(()),
            () = app.until_shutdown() => return Ok(()),
        }
    }
}
