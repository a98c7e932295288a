//! A bar on standard error while a long command works; nothing unless a person watches.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;
use super::escape::escape;

/// How long a command works before a bar appears: what is done by then needs none.
const SHORT: Duration = Duration::from_secs(1);

/// A bar, or nothing.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// A bar if standard error is a terminal and nobody asked for silence or JSON.
    pub(crate) fn new(output: &Output) -> Self {
        let watched = stderr().is_terminal() && !output.quiet && !output.json;
        let bar = watched.then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
            let style = if output.paint_notes.is_on() {
                "{msg:12} {bar:30.cyan/dim} {pos}/{len}"
            } else {
                "{msg:12} {bar:30} {pos}/{len}"
            };
            // The template is ours and fixed; a default bar is as good.
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            since: Instant::now(),
        }
    }

    /// Shows how far the work is.
    pub(crate) fn set(&self, phase: &str, done: u64, total: u64) {
        if let Some(bar) = self.bar.as_ref().filter(|_| self.since.elapsed() >= SHORT) {
            // Hidden until then: whatever else is printed would draw it, too.
            if bar.is_hidden() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.set_length(total.max(done));
            bar.set_position(done);
            bar.set_message(escape(phase).into_owned());
        }
    }

    /// Does something while the bar is out of the way, so that lines do not mix with it.
    pub(crate) fn suspend<T>(&self, action: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(action),
            None => action(),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
