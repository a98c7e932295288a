//! Sizes, times and counts as a person reads them.

use std::time::Duration;

use skillmeat_shared::time::Timestamp;

/// A number of bytes, such as `17 B` or `1.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut shown = "KiB";
    for unit in UNITS {
        shown = unit;
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
    }
    format!("{value:.1} {shown}")
}

/// A span, such as `450 µs`, `12.3 ms`, `4.2 s`, `5 min` or `3 h`.
pub(crate) fn span(duration: Duration) -> String {
    let micros = duration.as_micros();
    let seconds = duration.as_secs();
    match (micros, seconds) {
        (0..1_000, _) => format!("{micros} µs"),
        (1_000..1_000_000, _) => format!("{:.1} ms", duration.as_secs_f64() * 1_000.0),
        (_, 0..10) => format!("{:.1} s", duration.as_secs_f64()),
        (_, 10..120) => format!("{seconds} s"),
        (_, 120..7_200) => format!("{} min", seconds / 60),
        (_, 7_200..172_800) => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A whole span, such as `30m`, `6h` or `1h30m`, in the way config values are spelled.
pub(crate) fn ttl(seconds: u64) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3_600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    parts.concat()
}

/// How long ago a moment was, such as `3 min ago`; the date beyond 60 days.
pub(crate) fn ago(moment: Timestamp, now: Timestamp) -> String {
    let passed = now.since(moment);
    match passed.as_secs() {
        0 => "just now".to_owned(),
        1..5_184_000 => format!("{} ago", span(Duration::from_secs(passed.as_secs()))),
        _ => moment.to_rfc3339().chars().take(10).collect(),
    }
}

/// A count with its noun, such as `1 artifact` or `12 artifacts`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_500_000, "1.4 MiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn spans() {
        for (millis, text) in [
            (0, "0 µs"),
            (12, "12.0 ms"),
            (1_500, "1.5 s"),
            (61_000, "61 s"),
            (600_000, "10 min"),
            (9_000_000, "2 h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        for (seconds, text) in [
            (0, "0s"),
            (1_800, "30m"),
            (5_400, "1h30m"),
            (21_600, "6h"),
            (90_061, "1d1h1m1s"),
        ] {
            assert_eq!(ttl(seconds), text);
        }
    }

    #[test]
    fn moments() {
        let now = Timestamp(1_700_000_000_000_000_000);
        let before = |seconds: i64| Timestamp(now.nanos() - seconds * 1_000_000_000);
        assert_eq!(ago(before(0), now), "just now");
        assert_eq!(ago(before(-50), now), "just now");
        assert_eq!(ago(before(300), now), "5 min ago");
        assert_eq!(ago(before(86_400 * 90), now), "2023-08-16");
        assert_eq!(count(1, "artifact"), "1 artifact");
        assert_eq!(count(0, "artifact"), "0 artifacts");
    }
}
