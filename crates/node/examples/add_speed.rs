//! How fast files are added, and with how much CPU.
//!
//! `add_speed DIR PATH [only-hash]` makes a repository in DIR and adds PATH to it, durably and
//! pinned. Compare the printed seconds with `cp` and `sync` of the same files. Budget: a file of
//! 1 GiB in 1.2 CPU seconds with AVX-512 or SHA-NI; 20,000 files of 4 KiB in 1.5 s.

use cairn_node::{
    AddEvent, AddOptions, InitOptions, LocalWalkOptions, Node, NodeError, OpenOptions,
    local_entries,
};
use cairn_runtime::Clock;
use std::path::PathBuf;
use tokio::sync::mpsc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(path)) = (args.next(), args.next()) else {
        return Err("usage: add_speed DIR PATH [only-hash]".into());
    };
    let only_hash = args.next().is_some();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(add(dir.into(), path.into(), only_hash))?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
async fn add(dir: PathBuf, path: PathBuf, only_hash: bool) -> Result<(), NodeError> {
    let repo = dir.join("repo");
    if !repo.exists() {
        cairn_node::init(&repo, InitOptions::default()).await?;
    }
    let node = Node::open(OpenOptions { path: repo, online: false, pubsub: false }).await?;
    let clock = Clock::system();
    let (start, cpu_start) = (clock.monotonic(), cpu_secs());
    let walk = LocalWalkOptions { recursive: true, ..LocalWalkOptions::default() };
    let options = AddOptions { only_hash, pin: !only_hash, ..AddOptions::default() };
    let (sender, mut events) = mpsc::channel::<AddEvent>(64);
    let count = async {
        let mut count = 0_u64;
        while events.recv().await.is_some() {
            count += 1;
        }
        count
    };
    let add = node.add(local_entries(vec![path], walk), options, sender);
    let (summary, count) = futures::join!(add, count);
    let summary = summary?;
    let elapsed = (clock.monotonic() - start).as_secs_f64();
    let cpu = cpu_secs() - cpu_start;
    println!(
        "{:?}: {} files, {} bytes, {count} events, {elapsed:.3} s wall, {cpu:.3} s CPU, {} MiB peak",
        summary.roots,
        summary.files,
        summary.bytes,
        peak_rss_kib() / 1024
    );
    node.shutdown().await
}

/// User and system time of this process so far, in seconds; 0 where /proc is missing.
fn cpu_secs() -> f64 {
    const TICKS_PER_SEC: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS_PER_SEC
}

fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
