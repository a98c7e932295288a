//! Turns an event into one line of text.

use std::fmt;

use skillmeat_shared::time::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Queue;

/// Longest line; what is longer is cut.
const MAX_LINE: usize = 8 * 1024;

pub(crate) struct Lines {
    queue: Queue,
}

impl Lines {
    pub(crate) const fn new(queue: Queue) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut text = now();
        for part in [" ", metadata.level().as_str(), " ", metadata.target(), ": "] {
            text.push_str(part);
        }
        escape(&fields.message, &mut text);
        text.push_str(&fields.rest);
        if text.len() > MAX_LINE {
            text.truncate(text.floor_char_boundary(MAX_LINE));
            text.push('…');
        }
        text.push('\n');
        self.queue.line(text);
    }
}

/// The line without its time, after the level's number in the syslog way.
pub(crate) fn for_journal(line: &str) -> String {
    let untimed = line.split_once(' ').map_or(line, |(_, rest)| rest);
    let level = untimed.split(' ').next().unwrap_or_default();
    let number = match level {
        "ERROR" => 3,
        "WARN" => 4,
        "INFO" => 6,
        _ => 7,
    };
    format!("<{number}>{untimed}")
}

pub(crate) fn now() -> String {
    SystemClock.now().to_rfc3339()
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            for part in [" ", field.name(), "="] {
                self.rest.push_str(part);
            }
            escape(&text, &mut self.rest);
        }
    }
}

fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            into.extend(c.escape_default());
        } else {
            into.push(c);
        }
    }
}
