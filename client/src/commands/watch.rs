//! `sm watch`: changes as they happen, until the user or the reader has enough.

use std::time::Duration;

use skillmeat_proto::{status_to_error, v1};
use skillmeat_shared::paths::Home;
use skillmeat_shared::rendezvous::Rendezvous;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{Context, Failure, Outcome};
use crate::cli::{Since, WatchArgs};
use crate::connect::{self, Answers, CALL, Session};
use crate::output::escape::{escape, one_line};
use crate::output::json;
use crate::output::style::{Paint, Tone};

/// How long nobody may own the home after a daemon ended: one that is replaced has a successor by then.
const NOBODY: Duration = Duration::from_secs(5);
/// How long to wait for the next daemon in all. The one before may take its time to end.
const NEXT_DAEMON: Duration = Duration::from_secs(30);
/// The rest between two looks.
const REST: Duration = Duration::from_millis(100);

pub(super) async fn run(context: &mut Context, args: WatchArgs) -> Outcome {
    let mut follower = Follower::begin(context, args).await?;
    let reader_gone = reader_gone();
    tokio::pin!(reader_gone);
    loop {
        let event = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::Told(Code::Interrupted.kind().exit_code()));
            }
            () = &mut reader_gone => return Err(Failure::ReaderGone),
            event = follower.next() => event?,
        };
        if context.out.json {
            context.out.json_line(&json::Event::from(event))?;
            continue;
        }
        if event.continuous == Some(false) {
            // Also to who wants to hear little: what follows can't be understood without.
            context
                .out
                .alarm("events were lost: what was shown before may be out of date");
        }
        if context.out.quiet && event.kind.starts_with("stream.") {
            continue;
        }
        let line = line(&event, context.out.paint);
        context.out.line(&line)?;
        context.out.flush()?;
    }
}

/// A stream of events that goes on with the next daemon.
struct Follower {
    home: Home,
    deadline: Duration,
    collection: String,
    /// The last event that was shown, or what the user named.
    last: Option<Since>,
    /// Which daemon it comes from.
    instance: String,
    stream: Answers<v1::Event>,
}

impl Follower {
    async fn begin(context: &Context, args: WatchArgs) -> Result<Self, Error> {
        let session = context.session().await?;
        let collection = args.collection.unwrap_or_default();
        if !collection.is_empty() {
            // A name that nobody has would be waited for in silence.
            let name = collection.clone();
            let request = v1::ShowCollectionRequest { name };
            let _known: v1::ShowCollectionResponse = session.call(request).await?;
        }
        let stream = subscribe(&session, &collection, args.since.as_ref()).await?;
        Ok(Self {
            home: context.home()?,
            deadline: context.deadline(CALL),
            collection,
            last: args.since,
            instance: session.rendezvous.instance,
            stream,
        })
    }

    /// The next event. When the daemon ends, those of the one that takes its place follow; none is started
    /// for that, since the user may have stopped this one.
    async fn next(&mut self) -> Result<v1::Event, Error> {
        let event = match told(self.stream.message().await) {
            Ok(event) => event,
            Err(error) if connect::is_end(error.code) => self.of_the_next_daemon().await?,
            Err(error) => return Err(error),
        };
        self.last = Some(Since {
            instance: event.instance.clone(),
            seq: event.seq,
        });
        Ok(event)
    }

    async fn of_the_next_daemon(&mut self) -> Result<v1::Event, Error> {
        let ended = Instant::now();
        let mut owned = ended;
        loop {
            if let Some(event) = self.try_next_daemon().await? {
                return Ok(event);
            }
            if connect::is_owned_or_starting(&self.home)? {
                owned = Instant::now();
            }
            if owned.elapsed() >= NOBODY || ended.elapsed() >= NEXT_DAEMON {
                let last = self.last.as_ref().map(|last| format!(" `--since {last}`"));
                let hint = format!(
                    "run the command again; with{} nothing is lost",
                    last.as_deref().unwrap_or(" `--since` and the last number")
                );
                let message = "the daemon ended, and no other one took its place";
                return Err(Error::new(Code::DaemonUnavailable, message).hint(hint));
            }
            sleep(REST).await;
        }
    }

    /// The first event of another daemon than the one before; `None` if there is none yet.
    async fn try_next_daemon(&mut self) -> Result<Option<v1::Event>, Error> {
        let at = Rendezvous::load(&self.home.rendezvous())?;
        if at.is_none_or(|at| at.instance == self.instance) {
            return Ok(None);
        }
        let Some(session) = connect::existing(&self.home, self.deadline).await? else {
            return Ok(None);
        };
        let first = async {
            let mut stream = subscribe(&session, &self.collection, self.last.as_ref()).await?;
            let event = told(stream.message().await)?;
            Ok::<_, Error>((stream, event))
        };
        match first.await {
            Ok((stream, event)) => {
                self.stream = stream;
                self.instance = session.rendezvous.instance;
                Ok(Some(event))
            }
            Err(error) if connect::is_end(error.code) || error.code == Code::DaemonStarting => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

async fn subscribe(
    session: &Session,
    collection: &str,
    since: Option<&Since>,
) -> Result<Answers<v1::Event>, Error> {
    let instance = since.map_or("", |since| &since.instance);
    if !instance.is_empty() {
        // An older one would take the number for one of its own.
        session.require("events.instance")?;
    }
    let request = v1::SubscribeRequest {
        since_seq: since.map(|since| since.seq),
        collection: collection.to_owned(),
        instance: instance.to_owned(),
    };
    session.stream(request).await
}

/// What a stream told: its end is an error as well.
fn told(message: Result<Option<v1::Event>, Status>) -> Result<v1::Event, Error> {
    message
        .map_err(|status| status_to_error(&status))?
        .ok_or_else(|| Error::new(Code::DaemonUnavailable, "the daemon ended the stream"))
}

/// Ends when nobody can read standard output any more. Without this a quiet stream would keep
/// `sm watch | head -1` alive until the next event.
async fn reader_gone() {
    use rustix::event::{PollFd, PollFlags, poll};

    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread of its own, as it waits without an end; the end of the process ends it.
    let watching = std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let stdout = std::io::stdout();
            loop {
                // No event is asked for: only what is always told, errors and a hang-up, ends the wait.
                let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
                match poll(&mut polled, None) {
                    Ok(_) => break,
                    Err(rustix::io::Errno::INTR) => {}
                    // Then the next write will tell.
                    Err(_) => return,
                }
            }
            // Nobody listens if the command is about to end.
            tell.send(()).ok();
        });
    if watching.is_ok() && told.await.is_ok() {
        return;
    }
    std::future::pending::<()>().await;
}

fn line(event: &v1::Event, paint: Paint) -> String {
    let tone = match event.kind.rsplit('.').next().unwrap_or_default() {
        "added" | "mended" | "reachable" => Tone::Good,
        "removed" | "broken" | "unreachable" => Tone::Bad,
        "started" => Tone::Dim,
        "resync" => Tone::Warn,
        _ => Tone::Label,
    };
    let mut line = format!(
        "{}  {}  {}",
        paint.apply(Tone::Dim, &Timestamp(event.at).to_rfc3339()),
        paint.apply(Tone::Dim, &format!("{:>6}", event.seq)),
        paint.apply(tone, &format!("{:<18}", escape(&event.kind))),
    );
    for text in [&event.collection, &event.artifact] {
        if !text.is_empty() {
            line.push_str("  ");
            line.push_str(&escape(text));
        }
    }
    if !event.detail.is_empty() {
        line.push_str("  ");
        line.push_str(&paint.apply(Tone::Dim, &one_line(&event.detail)));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = v1::Event {
            seq: 7,
            at: 1_000_000_000,
            kind: "artifact.changed".to_owned(),
            collection: "default".to_owned(),
            artifact: "skill:a\nb".to_owned(),
            detail: "content\nand tags".to_owned(),
            ..Default::default()
        };
        assert_eq!(
            line(&event, Paint::off()),
            "1970-01-01T00:00:01.000Z       7  artifact.changed    default  skill:a\\nb  content and tags"
        );
    }
}
