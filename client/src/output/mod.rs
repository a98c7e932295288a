//! How answers look to a person and to a script. The only room of this crate that writes to standard
//! output and standard error.
//!
//! Data goes to standard output, everything else to standard error. With `--json` standard output
//! holds JSON and nothing else. A reader that goes away ends the command quietly: the write fails
//! with a broken pipe, which is no failure of ours.

pub(crate) mod error;
pub(crate) mod escape;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod units;

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};

use serde::Serialize;
use skillmeat_shared::paths::Environment;

use crate::cli::Globals;
use style::{Paint, Tone};
use table::{Table, Width};

/// The width of prose when nobody's terminal says otherwise.
const PAGE_WIDTH: usize = 120;

/// Where a command writes.
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    /// Print JSON.
    pub(crate) json: bool,
    /// Print data and errors only.
    pub(crate) quiet: bool,
    /// Print more.
    pub(crate) verbose: bool,
    /// Colours of standard output.
    pub(crate) paint: Paint,
    /// Colours of standard error.
    pub(crate) paint_notes: Paint,
    /// The room for a table.
    pub(crate) width: Width,
}

impl Output {
    /// The streams of this process, as flags and environment say.
    pub(crate) fn new(globals: &Globals, env: &dyn Environment) -> Self {
        let var = |name: &str| env.var(name);
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let columns = env
            .var("COLUMNS")
            .and_then(|text| text.trim().parse().ok())
            .or_else(|| {
                let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
                Some(usize::from(size.ws_col))
            });
        let width = match columns.filter(|columns| *columns > 0) {
            Some(columns) if terminal => Width::Terminal(columns),
            _ => Width::Page(PAGE_WIDTH),
        };
        Self {
            stdout: BufWriter::with_capacity(64 * 1024, stdout),
            json: globals.json,
            quiet: globals.quiet,
            verbose: globals.verbose,
            paint: Paint::new(globals.color, terminal, &var),
            paint_notes: Paint::new(globals.color, io::stderr().is_terminal(), &var),
            width,
        }
    }

    /// A line of data.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.write_all(b"\n")
    }

    /// Data as it is.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)
    }

    /// A table.
    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        let text = table.render(self.width, self.paint);
        self.stdout.write_all(text.as_bytes())
    }

    /// A label and its value, in the column where all values stand. Nothing for an empty value.
    pub(crate) fn field(&mut self, label: &str, value: &str) -> io::Result<()> {
        if value.is_empty() {
            return Ok(());
        }
        let label = self.paint.apply(Tone::Dim, &format!("{label:<14}"));
        self.line(&format!("{label} {value}"))
    }

    /// A document of JSON.
    pub(crate) fn document<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.stdout, value)?;
        self.stdout.write_all(b"\n")
    }

    /// One line of JSON, at once.
    pub(crate) fn json_line<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        serde_json::to_writer(&mut self.stdout, value)?;
        self.stdout.write_all(b"\n")?;
        self.stdout.flush()
    }

    /// Sends what is buffered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Something beside the data that a person may want to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            stderr(&(self.paint_notes.apply(Tone::Dim, text) + "\n"));
        }
    }

    /// Something beside the data that a person should know.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet {
            self.alarm(text);
        }
    }

    /// Something beside the data without which they are misread.
    pub(crate) fn alarm(&self, text: &str) {
        let label = self.paint_notes.apply(Tone::Warn, "warning:");
        stderr(&format!("{label} {text}\n"));
    }

    /// A note for the curious.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }

    /// A failure, for a person or a script.
    pub(crate) fn error(&self, failure: &skillmeat_shared::Error) {
        stderr(&if self.json {
            error::json(failure)
        } else {
            error::text(failure, self.verbose, self.paint_notes)
        });
    }
}

/// Writes to standard error. There is nobody to tell when that fails.
fn stderr(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// A failure before the flags are known.
pub(crate) fn early_error(failure: &skillmeat_shared::Error, json: bool) {
    stderr(&if json {
        error::json(failure)
    } else {
        error::text(
            failure,
            false,
            Paint::new(crate::cli::ColorWhen::Never, false, &|_| None),
        )
    });
}
