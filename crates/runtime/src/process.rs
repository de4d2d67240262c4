//! What the process uses, as the system counts it.
//!
//! Source: proc(5). Elsewhere than on Linux nothing is known.
//! Not here: limits (`files.rs`).

use rustix::{
    param::{clock_ticks_per_second, page_size},
    time::{ClockId, clock_gettime},
};
use std::{fs, time::Duration};

/// What the process uses now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessStat {
    /// Processor time, of all threads, by the process itself and for it in the system.
    pub cpu: Duration,
    /// Since its start.
    pub age: Duration,
    /// Memory that is not swapped out, in bytes, mapped files included.
    pub resident_len: u64,
    /// Address space, in bytes.
    pub virtual_len: u64,
    /// Threads.
    pub thread_count: u64,
    /// Open files and sockets.
    pub file_count: u64,
}

impl ProcessStat {
    /// Reads it; `None` where the system does not tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let since_boot = clock_gettime(ClockId::Boottime);
        let since_boot = Duration::new(
            u64::try_from(since_boot.tv_sec).ok()?,
            u32::try_from(since_boot.tv_nsec).ok()?,
        );
        let file_count = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Self::read(&stat, since_boot, file_count)
    }

    fn read(stat: &str, since_boot: Duration, file_count: u64) -> Option<Self> {
        // The name, in brackets, may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<u64> =
            rest.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
        // Counted from the fourth field, the parent's number.
        let field = |number: usize| fields.get(number - 4).copied();
        let ticks = |count: u64| {
            let per_second = clock_ticks_per_second().max(1);
            let nanos = (count % per_second) * 1_000_000_000 / per_second;
            Duration::from_secs(count / per_second) + Duration::from_nanos(nanos)
        };
        Some(Self {
            cpu: ticks(field(14)? + field(15)?),
            age: since_boot.saturating_sub(ticks(field(22)?)),
            resident_len: field(24)? * page_size() as u64,
            virtual_len: field(23)?,
            thread_count: field(20)?,
            file_count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessStat;
    use rustix::param::{clock_ticks_per_second, page_size};
    use std::time::Duration;

    #[test]
    fn a_name_may_hold_anything() {
        let ticks = clock_ticks_per_second();
        let line = format!(
            "77 (a) b ( 1) S 1 2 3 4 5 6 7 8 9 10 {} {} 0 0 20 0 9 0 {} 4096 3 0",
            2 * ticks,
            ticks / 2,
            40 * ticks
        );
        let stat = ProcessStat::read(&line, Duration::from_secs(100), 5).unwrap();
        assert_eq!(stat.cpu, Duration::from_millis(2500));
        assert_eq!(stat.age, Duration::from_mins(1));
        assert_eq!((stat.virtual_len, stat.resident_len), (4096, 3 * page_size() as u64));
        assert_eq!((stat.thread_count, stat.file_count), (9, 5));
        assert_eq!(ProcessStat::read("77 (cut) S 1 2", Duration::ZERO, 0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_known() {
        let stat = ProcessStat::now().unwrap();
        assert!(stat.resident_len > 100_000 && stat.thread_count > 0 && stat.file_count > 0);
        assert!(stat.age < Duration::from_hours(1), "{stat:?}");
    }
}
