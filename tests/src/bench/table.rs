//! The table, and numbers out of many measurements.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// How long something took, many times, shortest first.
#[derive(Debug)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Of at least one measurement.
    pub fn new(mut all: Vec<Duration>) -> Self {
        assert!(!all.is_empty(), "nothing was measured");
        all.sort_unstable();
        Self(all)
    }

    fn at(&self, percent: usize) -> Duration {
        let last = self.0.len() - 1;
        self.0
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }

    /// The middle one.
    pub fn p50(&self) -> Duration {
        self.at(50)
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        self.at(100)
    }

    /// All but one of a hundred take no longer.
    pub fn p99(&self) -> Duration {
        self.at(99)
    }
}

/// What `/bin/true` takes from start to exit on the machine that the bounds of short times were set on.
pub const PACE: Duration = Duration::from_micros(700);

fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

#[derive(Debug)]
struct Row {
    what: String,
    measured: String,
    floor: String,
    ratio: String,
    wanted: String,
    ok: bool,
}

/// What was measured, row by row.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    fn push(&mut self, row: Row) {
        // Long runs show how far they are.
        eprintln!("{row}");
        self.0.push(row);
    }

    /// A time that may be so many times another one.
    pub fn against(&mut self, what: &str, measured: Duration, floor: (&str, Duration), most: f64) {
        let ratio = measured.as_secs_f64() / floor.1.as_secs_f64();
        self.push(Row {
            what: what.to_owned(),
            measured: milliseconds(measured),
            floor: format!("{} ({})", milliseconds(floor.1), floor.0),
            ratio: format!("{ratio:.2} x"),
            wanted: format!("{most} x"),
            ok: ratio <= most,
        });
    }

    /// A time that may be so long.
    pub fn time(&mut self, what: &str, measured: Duration, most: Duration) {
        self.push(Row {
            what: what.to_owned(),
            measured: milliseconds(measured),
            floor: String::new(),
            ratio: String::new(),
            wanted: milliseconds(most),
            ok: measured <= most,
        });
    }

    /// A short time that may be so long where `/bin/true` takes [`PACE`]: on a machine that is slower at the moment it may
    /// take as much longer as that does, which is measured beside it.
    pub fn paced(&mut self, what: &str, measured: Duration, most: Duration, program: Duration) {
        let ratio = measured.as_secs_f64() / program.as_secs_f64();
        let bound = most.as_secs_f64() / PACE.as_secs_f64();
        self.push(Row {
            what: what.to_owned(),
            measured: milliseconds(measured),
            floor: format!("{} (`/bin/true`)", milliseconds(program)),
            ratio: format!("{ratio:.2} x"),
            wanted: format!("{} or {bound:.2} x", milliseconds(most)),
            ok: measured <= most || ratio <= bound,
        });
    }

    /// A fraction that may be so large.
    pub fn fraction(&mut self, what: &str, measured: f64, most: f64, unit: &str) {
        self.push(Row {
            what: what.to_owned(),
            measured: format!("{measured:.2}{unit}"),
            floor: String::new(),
            ratio: String::new(),
            wanted: format!("{most:.2}{unit}"),
            ok: measured <= most,
        });
    }

    /// A number that may be so large.
    pub fn number(&mut self, what: &str, measured: u64, most: u64, unit: &str) {
        self.push(Row {
            what: what.to_owned(),
            measured: format!("{measured}{unit}"),
            floor: String::new(),
            ratio: String::new(),
            wanted: format!("{most}{unit}"),
            ok: measured <= most,
        });
    }

    /// Whether all rows reach what they must.
    pub fn is_reached(&self) -> bool {
        self.0.iter().all(|row| row.ok)
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            measured,
            floor,
            ratio,
            wanted,
            ok,
        } = self;
        let ok = if *ok { "yes" } else { "**no**" };
        write!(
            f,
            "| {what} | {measured} | {floor} | {ratio} | {wanted} | {ok} |"
        )
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | measured | floor | ratio | at most | reached |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.0 {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}
