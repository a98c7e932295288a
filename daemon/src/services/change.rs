//! The stream of a change: how every call that changes something answers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use skillmeat_proto::{error_to_status, v1};
use skillmeat_shared::Result;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};
use v1::change_event::Event;

use super::{FIRST_ROWS, WORK};
use crate::app::{App, Caller, ChangeItem, ChangeSummary, Step, Telling};

/// What a changing call answers with.
pub(super) type ChangeStream = Pin<Box<dyn Stream<Item = Message> + Send>>;

type Message = Result<v1::ChangeEvent, Status>;

/// Messages that may wait for a slow client.
const QUEUE: usize = 256;

/// How often a client hears that the daemon is still at work: it gives up on one that is silent.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The client at the other end of a stream.
struct Client {
    sender: Sender<Message>,
    /// What there was no room for.
    backlog: RefCell<VecDeque<Message>>,
}

impl Caller for Client {
    fn tell(&self, telling: Telling) {
        // Progress may be lost on a slow client, items may not.
        let may_be_lost = matches!(telling, Telling::Progress(..));
        let mut backlog = self.backlog.borrow_mut();
        send_waiting(&self.sender, &mut backlog);
        if !(may_be_lost && (self.sender.capacity() == 0 || !backlog.is_empty())) {
            backlog.push_back(Ok(told(telling)));
            send_waiting(&self.sender, &mut backlog);
        }
    }

    fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Runs a use-case that changes something, and streams what it tells and its summary. When the client leaves it is
/// given up, unless a file was changed: from then on it goes on to its end.
pub(super) async fn stream(
    app: &Arc<App>,
    work: impl FnOnce(&App, &dyn Caller) -> Result<ChangeSummary> + Send + 'static,
) -> Response<ChangeStream> {
    let app = Arc::clone(app);
    let (sender, receiver) = tokio::sync::mpsc::channel(QUEUE);
    let busy = app.begin_call();
    app.until_rebuilt(FIRST_ROWS).await;
    let room = WORK.room.acquire().await;
    let (working, ended) = oneshot::channel::<()>();
    drop(tokio::spawn(tell_of_life(sender.clone(), ended)));
    drop(tokio::task::spawn_blocking(move || {
        let _room = (room, busy, working);
        let client = Client {
            sender,
            backlog: RefCell::default(),
        };
        let last = match work(&app, &client) {
            Ok(done) => Ok(summary(done)),
            Err(error) => Err(error_to_status(&app.told(error))),
        };
        let Client { sender, backlog } = client;
        let mut rest = backlog.into_inner();
        rest.push_back(last);
        drop(tokio::spawn(async move {
            for message in rest {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        }));
    }));
    Response::new(Box::pin(ReceiverStream::new(receiver)))
}

/// Tells that the daemon is at work, until it is not.
async fn tell_of_life(sender: Sender<Message>, mut ended: oneshot::Receiver<()>) {
    while tokio::time::timeout(SIGN_OF_LIFE, &mut ended)
        .await
        .is_err()
    {
        // A client that has other messages to read knows.
        drop(sender.try_send(Ok(told(Telling::Progress(0, 0, "working")))));
    }
}

/// Sends what there is room for. Never waits: a client that has stopped reading must not hold up a change, and
/// with it all others.
fn send_waiting(sender: &Sender<Message>, backlog: &mut VecDeque<Message>) {
    while let Some(message) = backlog.pop_front() {
        if let Err(TrySendError::Full(message)) = sender.try_send(message) {
            backlog.push_front(message);
            return;
        }
    }
}

fn told(telling: Telling) -> v1::ChangeEvent {
    let event = match telling {
        Telling::Progress(done, total, phase) => Event::Progress(v1::ChangeProgress {
            done,
            total,
            phase: phase.to_owned(),
        }),
        Telling::Item(item) => Event::Item(self::item(item)),
    };
    v1::ChangeEvent { event: Some(event) }
}

pub(super) fn item(item: ChangeItem) -> v1::ChangeItem {
    v1::ChangeItem {
        id: item.id,
        source: item.source,
        result: item.result.to_owned(),
        reason: item.reason,
        path: item.path,
        code: item
            .code
            .map(|code| code.as_str().to_owned())
            .unwrap_or_default(),
    }
}

fn summary(done: ChangeSummary) -> v1::ChangeEvent {
    let summary = v1::ChangeSummary {
        collection: done.collection,
        dry_run: done.dry_run,
        seq: done.seq,
        counts: done
            .counts
            .into_iter()
            .map(|(result, count)| v1::ChangeCount {
                result: result.to_owned(),
                count,
            })
            .collect(),
        operation: done.operation.unwrap_or_default(),
        steps: done.steps.into_iter().map(step).collect(),
        notes: done.notes,
    };
    v1::ChangeEvent {
        event: Some(Event::Summary(summary)),
    }
}

pub(super) fn step(step: Step) -> v1::ChangeStep {
    v1::ChangeStep {
        action: step.action.to_owned(),
        collection: step.collection,
        path: step.path,
    }
}
