//! Durations as people write them: `90s`, `30m`, `6h`, `1d`, `1h30m`.

use std::time::Duration;

const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// Reads a duration. Only zero needs no unit: nobody knows which one is meant. `None` if the text is none.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let tail = tail.trim_start();
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit = unit.to_ascii_lowercase();
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = tail.trim_start();
    }
    Some(Duration::from_millis(total))
}

/// A number of hours, such as `6` or `0.5`.
pub fn parse_hours(text: &str) -> Option<Duration> {
    let hours: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(hours * 3600.0).ok()
}

/// Spells a duration so that [`parse`] reads it: `1h30m`, `0s`. Parts below a millisecond are left out.
pub fn format(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    // A week is rather read as seven days.
    for (name, millis) in UNITS.iter().rev().skip(1) {
        let count = left / millis;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(name);
            left %= millis;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_spellings_are_read() {
        let cases = [
            ("90s", 90_000),
            ("30m", 1_800_000),
            ("6h", 21_600_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1h 30 m", 5_400_000),
            ("250ms", 250),
            ("2W", 1_209_600_000),
            (" 0 ", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "m",
            "45",
            "5x",
            "-1s",
            "1.5h",
            "1h30",
            "é",
            "5mé",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse_hours("0.5"), Some(Duration::from_mins(30)));
        for bad in ["", "-1", "nan", "inf", "1e300", "x"] {
            assert_eq!(parse_hours(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0..10_000_000_000_u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
