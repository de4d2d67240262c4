//! How fast blocks go from one node to another on this machine.
//!
//! `cargo run --release --example transfer_speed [MIB] [tcp|quic|ws]` starts a second process
//! that serves random blocks of 256 KiB from memory and fetches them all. Prints MB/s, CPU
//! seconds of both sides and the fetching side's peak memory. Budget: 250 MB/s, 150 MiB.
//! `transfer_speed get ADDR CID...` fetches single blocks from any Bitswap peer.

#![expect(clippy::print_stdout, reason = "it is a program")]

use bytes::Bytes;
use cairn_block::{Block, BlockError, BlockStore, Cid, codec};
use cairn_network::{Multiaddr, Network, NetworkConfig, generate_ed25519};
use cairn_runtime::{Clock, Tasks};
use futures::StreamExt as _;
use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

const BLOCK_LEN: usize = 256 * 1024;

/// Blocks that were checked when they were put, unlike `MemoryStore`'s.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<HashMap<Cid, Block>>);

impl BlockStore for Shelf {
    async fn get_many(&self, cids: &[Cid]) -> Vec<Result<Option<Block>, BlockError>> {
        cids.iter().map(|cid| Ok(self.0.get(cid).cloned())).collect()
    }
    async fn stat_many(&self, cids: &[Cid]) -> Result<Vec<Option<u64>>, BlockError> {
        let len = |cid| self.0.get(cid).map(|block: &Block| block.data().len() as u64);
        Ok(cids.iter().map(len).collect())
    }
    async fn put_many(&self, _: Vec<Block>) -> Result<(), BlockError> {
        Ok(())
    }
    async fn sync(&self) -> Result<(), BlockError> {
        Ok(())
    }
}

/// Both processes make the same blocks, so that nobody has to send a list.
fn blocks(count: usize) -> impl Iterator<Item = Block> {
    (0..count as u64).map(|seed| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut data = Vec::with_capacity(BLOCK_LEN);
        while data.len() < BLOCK_LEN {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data.extend_from_slice(&state.to_le_bytes());
        }
        Block::sha2_256(codec::RAW, Bytes::from(data))
    })
}

fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    ticks.iter().sum::<f64>() / TICKS_PER_SECOND
}

fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("VmHWM: unknown").to_owned()
}

fn listen(kind: &str) -> Multiaddr {
    let addr = match kind {
        "quic" => "/ip4/127.0.0.1/udp/0/quic-v1",
        "ws" => "/ip4/127.0.0.1/tcp/0/ws",
        _ => "/ip4/127.0.0.1/tcp/0",
    };
    addr.parse().expect("invariant: the addresses above are well-formed")
}

async fn serve(count: usize, kind: &str) {
    let shelf = blocks(count).map(|block| (block.cid().clone(), block)).collect();
    let tasks = Tasks::default();
    let mut config = NetworkConfig::new(generate_ed25519());
    config.listen.push(listen(kind));
    let network = Network::start(config, Shelf(Arc::new(shelf)), &tasks).await.expect("start");
    println!("{}/p2p/{}", network.listen_addrs().await[0], network.peer_id());
    let before = cpu_seconds();
    // Ends when the other process closes our standard input.
    let waited = tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await;
    assert!(waited.is_ok());
    println!("server: {:.2} CPU s, {}", cpu_seconds() - before, peak_memory());
}

async fn fetch(count: usize, kind: &str) {
    let cids: Vec<Cid> = blocks(count).map(|block| block.cid().clone()).collect();
    let exe = env::current_exe().expect("own path");
    let mut server = Command::new(exe)
        .args(["serve", &count.to_string(), kind])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("second process");
    let mut output = BufReader::new(server.stdout.take().expect("piped"));
    let mut addr = String::new();
    output.read_line(&mut addr).expect("address");

    let tasks = Tasks::default();
    let config = NetworkConfig::new(generate_ed25519());
    let network = Network::start(config, Shelf::default(), &tasks).await.expect("start");
    network.connect(addr.trim().parse().expect("address")).await.expect("connect");
    let clock = Clock::system();
    let (start, cpu) = (clock.monotonic(), cpu_seconds());
    let mut arrivals = std::pin::pin!(network.session().fetch_stream(cids));
    let mut len: u32 = 0;
    while let Some((_, block)) = arrivals.next().await {
        len += block.expect("block").data().len() as u32;
    }
    let seconds = clock.monotonic().duration_since(start).as_secs_f64();
    let rate = f64::from(len) / 1e6 / seconds;
    println!("{kind}: {len} bytes in {seconds:.2} s, {rate:.0} MB/s");
    println!("client: {:.2} CPU s, {}", cpu_seconds() - cpu, peak_memory());
    let counted = network.bitswap_stat().await;
    println!("messages {}, duplicates {}", counted.messages_received, counted.dup_blocks_received);
    drop(server.stdin.take());
    for line in output.lines().map_while(Result::ok) {
        println!("{line}");
    }
    assert!(server.wait().expect("server").success());
}

async fn get(addr: &str, cids: &[String]) {
    let tasks = Tasks::default();
    let config = NetworkConfig::new(generate_ed25519());
    let network = Network::start(config, Shelf::default(), &tasks).await.expect("start");
    network.connect(addr.parse().expect("address")).await.expect("connect");
    let cids: Vec<Cid> = cids.iter().map(|cid| cid.parse().expect("cid")).collect();
    let session = network.session().with_timeout(std::time::Duration::from_secs(20));
    for block in session.fetch_many(&cids).await {
        let block = block.expect("block");
        println!("{} {} bytes", block.cid(), block.data().len());
        std::io::stdout().flush().expect("stdout");
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let kind = args.last().map_or("tcp", String::as_str);
    match args.first().map(String::as_str) {
        Some("serve") => serve(args[1].parse().expect("count"), kind).await,
        Some("get") => get(&args[1], &args[2..]).await,
        mib => {
            let mib: usize = mib.and_then(|mib| mib.parse().ok()).unwrap_or(512);
            let kind = if ["tcp", "quic", "ws"].contains(&kind) { kind } else { "tcp" };
            fetch(mib * 1024 * 1024 / BLOCK_LEN, kind).await;
        }
    }
}
