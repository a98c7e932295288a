//! A process seen from outside: what it used and what it holds.

use std::fs;
use std::time::Duration;

/// The kernel counts processor time for programs in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A process by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).unwrap()
    }

    /// Processor time of all its threads so far.
    ///
    /// # Panics
    /// If it is gone.
    pub fn processor_time(self) -> Duration {
        let stat = self.read("stat");
        // The program's name may hold anything but ends with the last bracket.
        let (_, numbers) = stat.rsplit_once(')').unwrap();
        let ticks: u32 = numbers
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|number| number.parse::<u32>().unwrap())
            .sum();
        TICK * ticks
    }

    /// Bytes of its memory that are in RAM, those of mapped files included.
    ///
    /// # Panics
    /// If it is gone.
    pub fn resident_bytes(self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Whether all its threads have been stopped by a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn is_stopped(self) -> bool {
        fs::read_dir(format!("/proc/{}/task", self.0))
            .unwrap()
            .flatten()
            .all(|task| {
                // One that ended meanwhile runs no more either.
                let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(')')
                    .is_none_or(|(_, rest)| rest.trim_start().starts_with('T'))
            })
    }

    /// The number of its open descriptors.
    ///
    /// # Panics
    /// If it is gone.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0))
            .unwrap()
            .count()
    }
}
