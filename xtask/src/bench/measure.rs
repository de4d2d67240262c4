//! What a process cost: wall time, CPU seconds and peak memory.
//!
//! CPU time of children that have ended comes from the kernel's sum in `/proc/self/stat`; that of
//! running ones from their own `stat`. Both count in clock ticks of 10 ms, so workloads are
//! chosen to take much longer than that.

use anyhow::{Context as _, Result, bail};
use std::{
    fmt,
    process::{Child, Command},
    time::{Duration, Instant},
};

/// Clock ticks a second, as Linux reports them to every user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// How often a running process is asked for its peak memory.
const POLL_PERIOD: Duration = Duration::from_millis(10);

/// What one run cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Seconds on the wall.
    pub(crate) wall: f64,
    /// Seconds of CPU, user and system, of all the processes measured.
    pub(crate) cpu: f64,
    /// Highest resident set, in MiB.
    pub(crate) peak_mib: f64,
}

/// Several runs of one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(pub(crate) Vec<f64>);

impl Series {
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            len if len % 2 == 1 => sorted[len / 2],
            len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let digits = if self.median() >= 20.0 { 0 } else { 2 };
        write!(f, "{:.digits$}", self.median())?;
        if self.0.len() > 1 {
            write!(f, " ({low:.digits$}–{high:.digits$})")?;
        }
        Ok(())
    }
}

/// Runs a command to its end and measures it; output is discarded.
pub(crate) fn run(command: &mut Command) -> Result<Cost> {
    let cpu_before = children_cpu()?;
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
    let start = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("could not start {}", command.get_program().display()))?;
    let mut peak_mib: f64 = 0.0;
    let status = loop {
        peak_mib = peak_mib.max(peak_rss_mib(child.id()).unwrap_or(0.0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        pause();
    };
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(Cost { wall, cpu: children_cpu()? - cpu_before, peak_mib })
}

/// Waits a little between two looks at a process.
#[expect(clippy::disallowed_methods, reason = "polling /proc has no event to wait for")]
pub(crate) fn pause() {
    std::thread::sleep(POLL_PERIOD);
}

/// Seconds of CPU that a running process has used.
pub(crate) fn cpu_of(child: &Child) -> Result<f64> {
    let (user, system) = stat_fields(&child.id().to_string(), 13)?;
    Ok(user + system)
}

/// Seconds of CPU of all children that have ended and been waited for.
fn children_cpu() -> Result<f64> {
    let (user, system) = stat_fields("self", 15)?;
    Ok(user + system)
}

/// Two neighbouring fields of `/proc/PID/stat`, counted from 0, in seconds.
fn stat_fields(pid: &str, first: usize) -> Result<(f64, f64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets, and may hold spaces.
    let after_name = text.rsplit_once(')').context("stat has no name")?.1;
    let mut fields = after_name.split_whitespace().skip(first - 2);
    let mut next = || -> Result<f64> {
        let ticks: f64 = fields.next().context("stat is short")?.parse()?;
        Ok(ticks / TICKS_PER_SECOND)
    };
    Ok((next()?, next()?))
}

/// Highest resident set of a running process so far, in MiB.
pub(crate) fn peak_rss_mib(pid: u32) -> Option<f64> {
    status_mib(pid, "VmHWM:")
}

/// Resident set of a running process now, in MiB.
pub(crate) fn rss_mib(pid: u32) -> Option<f64> {
    status_mib(pid, "VmRSS:")
}

/// Bytes that a running process has read by calls so far, of files and of sockets.
pub(crate) fn read_len(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("rchar:"));
    Ok(line.context("io has no rchar")?.trim().parse()?)
}

fn status_mib(pid: u32, key: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::{Series, run};
    use std::process::Command;

    #[test]
    fn median_stands_in_the_middle() {
        assert!((Series(vec![3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((Series(vec![4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(Series::default().median().is_nan());
    }

    #[test]
    fn a_busy_child_costs_cpu_and_a_failing_one_is_an_error() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let cost = run(Command::new("sh").args(["-c", busy])).expect("runs");
        assert!(cost.cpu > 0.0 && cost.wall > 0.0, "{cost:?}");
        assert!(run(&mut Command::new("false")).is_err());
    }
}
