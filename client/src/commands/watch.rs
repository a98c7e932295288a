//! `sm watch`: changes as they happen, until the user or the reader has enough.

use skillmeat_proto::{status_to_error, v1};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error};

use super::{Context, Failure, Outcome};
use crate::cli::WatchArgs;
use crate::connect::service;
use crate::output::escape::{escape, one_line};
use crate::output::json;
use crate::output::style::{Paint, Tone};

pub(super) async fn run(context: &mut Context, args: WatchArgs) -> Outcome {
    let session = context.session().await?;
    let (instance, since) = args.since.map(|since| (since.instance, since.seq)).unzip();
    let instance = instance.unwrap_or_default();
    if !instance.is_empty() {
        // An older one would take the number for one of its own.
        session.require("events.instance")?;
    }
    let request = v1::SubscribeRequest {
        since_seq: since,
        collection: args.collection.unwrap_or_default(),
        instance,
    };
    let mut stream = session
        .stream(request, |channel, request| async move {
            service::events(channel).subscribe(request).await
        })
        .await?;
    let reader_gone = reader_gone();
    tokio::pin!(reader_gone);
    loop {
        let message = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::Told(Code::Interrupted.kind().exit_code()));
            }
            () = &mut reader_gone => return Err(Failure::ReaderGone),
            message = stream.message() => message,
        };
        let event: v1::Event =
            match message {
                Ok(Some(event)) => event,
                Ok(None) => {
                    return Err(Error::new(Code::DaemonUnavailable, "the daemon ended the stream")
                    .hint("run the command again; `--since` with the last number loses nothing")
                    .into());
                }
                Err(status) => return Err(status_to_error(&status).into()),
            };
        if context.out.json {
            context.out.json_line(&json::Event::from(event))?;
            continue;
        }
        if event.continuous == Some(false) {
            context
                .out
                .warning("events were lost: what was shown before may be out of date");
        }
        if context.out.quiet && event.kind.starts_with("stream.") {
            continue;
        }
        let line = line(&event, context.out.paint);
        context.out.line(&line)?;
        context.out.flush()?;
    }
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
