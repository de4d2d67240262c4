//! `/debug/metrics/prometheus`: what the node does, in numbers that a monitor collects.
//!
//! Everything is read when it is asked for; nothing is counted for this page but the requests.
//!
//! Source: the text format 0.0.4 of Prometheus. Names that Kubo has for the same are used; what
//! is only here begins with `cairn_`.
//! Invariant: the number of lines does not depend on peers or requests.
//! Not here: who may read it (`server`).

use cairn_node::Node;
use cairn_runtime::{ProcessStat, blocking, open_files_max};
use std::{
    fmt::{Display, Write as _},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// Where it is served.
pub(super) const PATH: &str = "/debug/metrics/prometheus";

/// The type of the answer.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The statuses that are counted by themselves; others are counted as 0.
const STATUSES: [u16; 8] = [200, 204, 400, 403, 404, 405, 429, 500];

/// Requests that were answered.
#[derive(Debug, Default)]
pub(super) struct Requests {
    by_status: [AtomicU64; STATUSES.len()],
    other: AtomicU64,
}

impl Requests {
    pub(super) fn count(&self, status: u16) {
        let place = STATUSES.iter().position(|known| *known == status);
        let counter = place.map_or(&self.other, |place| &self.by_status[place]);
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The page.
struct Page(String);

impl Page {
    /// One value.
    fn one(&mut self, (name, kind, help): (&str, &str, &str), value: impl Display) {
        self.many((name, kind, help), [(String::new(), value)]);
    }

    /// Values that differ in their labels, such as `{code="200"}`.
    fn many<V: Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        values: impl IntoIterator<Item = (String, V)>,
    ) {
        let page = &mut self.0;
        let mut line = |text: std::fmt::Arguments<'_>| page.write_fmt(text).unwrap_or(());
        line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in values {
            line(format_args!("{name}{labels} {value}\n"));
        }
    }
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// Reads everything and writes the page.
pub(super) async fn page(node: &Node, requests: &Requests) -> String {
    let mut page = Page(String::new());
    process(&mut page, node).await;
    http(&mut page, requests);
    repo(&mut page, node).await;
    network(&mut page, node).await;
    page.0
}

async fn process(page: &mut Page, node: &Node) {
    let version = format!("{{version=\"{}\"}}", crate::VERSION);
    page.many(("cairn_info", GAUGE, "The version, as a label."), [(version, 1)]);
    let Some(stat) = blocking(ProcessStat::now).await else { return };
    let seconds = stat.cpu.as_secs_f64();
    page.one(("process_cpu_seconds_total", COUNTER, "Processor time used, in seconds."), seconds);
    page.one(
        ("process_resident_memory_bytes", GAUGE, "Memory in use, mapped files included."),
        stat.resident_len,
    );
    page.one(("process_virtual_memory_bytes", GAUGE, "Address space."), stat.virtual_len);
    page.one(("process_threads", GAUGE, "Threads."), stat.thread_count);
    page.one(("process_open_fds", GAUGE, "Open files and sockets."), stat.file_count);
    page.one(("process_max_fds", GAUGE, "Files that may be open."), open_files_max());
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    page.one(
        ("process_start_time_seconds", GAUGE, "When it began, in seconds since 1970."),
        since(node.clock().now()).saturating_sub(stat.age).as_secs_f64(),
    );
}

fn http(page: &mut Page, requests: &Requests) {
    let labels = |code: u16| format!("{{handler=\"api\",code=\"{code}\"}}");
    let known = STATUSES.iter().zip(&requests.by_status);
    let counts = known.map(|(code, count)| (labels(*code), count.load(Ordering::Relaxed)));
    let other = (labels(0), requests.other.load(Ordering::Relaxed));
    page.many(
        ("ipfs_http_requests_total", COUNTER, "Requests answered, by status; 0 is any other."),
        counts.chain([other]),
    );
}

async fn repo(page: &mut Page, node: &Node) {
    if let Ok(stat) = node.repo_stat().await {
        page.one(("cairn_blocks", GAUGE, "Blocks in the repository."), stat.block_count);
        page.one(("cairn_repo_bytes", GAUGE, "Bytes of the repository on disk."), stat.disk_len);
        page.one(("cairn_repo_max_bytes", GAUGE, "Datastore.StorageMax."), stat.storage_max);
        page.one(
            ("cairn_corrupt_blocks", GAUGE, "Blocks known to be corrupt and not healed yet."),
            stat.corrupt_count,
        );
    }
}

async fn network(page: &mut Page, node: &Node) {
    let Some(network) = node.network() else { return };
    let peers = network.peers().await;
    page.one(("ipfs_p2p_peers_total", GAUGE, "Connections with peers."), peers.len());
    let bandwidth = network.bandwidth(None);
    let directions = |inward, outward| {
        [("in", inward), ("out", outward)]
            .map(|(name, value)| (format!("{{direction=\"{name}\"}}"), value))
    };
    page.many(
        ("cairn_network_bytes_total", COUNTER, "Bytes that streams with peers carried."),
        directions(bandwidth.total_in, bandwidth.total_out),
    );
    let bitswap = network.bitswap_stat().await;
    page.one(("ipfs_bitswap_wantlist_total", GAUGE, "Blocks wanted now."), bitswap.wantlist.len());
    page.one(("cairn_bitswap_peers", GAUGE, "Peers that speak Bitswap."), bitswap.peers.len());
    page.many(
        ("cairn_bitswap_blocks_total", COUNTER, "Blocks exchanged."),
        directions(bitswap.blocks_received, bitswap.blocks_sent),
    );
    page.many(
        ("cairn_bitswap_bytes_total", COUNTER, "Their bytes."),
        directions(bitswap.data_received, bitswap.data_sent),
    );
    page.one(
        ("cairn_bitswap_duplicate_blocks_total", COUNTER, "Blocks that came more than once."),
        bitswap.dup_blocks_received,
    );
    page.one(
        ("cairn_bitswap_unasked_blocks_total", COUNTER, "Blocks nobody asked for, dropped."),
        bitswap.unasked_blocks_received,
    );
    page.one(
        ("cairn_bitswap_malformed_messages_total", COUNTER, "Messages that made no sense."),
        bitswap.malformed_messages_received,
    );
    dhts(page, node);
    if let Some(tunnels) = node.tunnels() {
        page.one(("cairn_p2p_tunnels", GAUGE, "Tunnels to and from peers."), tunnels.list().len());
        let streams = tunnels.streams().len();
        page.one(("cairn_p2p_streams", GAUGE, "Connections that they carry."), streams);
    }
}

fn dhts(page: &mut Page, node: &Node) {
    let Some(network) = node.network() else { return };
    let stats = network.routing().stat();
    let each = |value: fn(&cairn_network::DhtStat) -> u64| {
        stats.iter().map(move |dht| (format!("{{dht=\"{}\"}}", dht.name), value(dht)))
    };
    let peers = |dht: &cairn_network::DhtStat| {
        dht.buckets.iter().map(|bucket| bucket.peers.len() as u64).sum()
    };
    page.many(("cairn_dht_peers", GAUGE, "Peers in the routing table."), each(peers));
    page.many(
        ("cairn_dht_serving", GAUGE, "1 if other nodes are answered."),
        each(|dht| dht.is_server.into()),
    );
    page.many(
        ("cairn_dht_provider_records", GAUGE, "Announcements kept for others."),
        each(|dht| dht.provider_records),
    );
    page.many(("cairn_dht_values", GAUGE, "Values kept for others."), each(|dht| dht.values));
    let Some(provide) = node.provide_stat() else { return };
    page.one(("provider_provides_total", COUNTER, "New roots announced."), provide.roots_announced);
    page.one(
        ("cairn_provide_waiting", GAUGE, "New roots that wait to be announced."),
        provide.roots_waiting,
    );
    page.one(
        ("cairn_provide_failed_total", COUNTER, "New roots that nobody could be told of."),
        provide.roots_failed,
    );
    let lag = provide.round.map_or(0.0, |round| round.lag.as_secs_f64());
    page.one(("cairn_provide_lag_seconds", GAUGE, "How far the round is behind."), lag);
}

#[cfg(test)]
mod tests {
    use super::{GAUGE, Page, Requests, http};

    #[test]
    fn a_page_is_as_prometheus_reads_it() {
        let mut page = Page(String::new());
        page.one(("a_total", GAUGE, "Help."), 7);
        assert_eq!(page.0, "# HELP a_total Help.\n# TYPE a_total gauge\na_total 7\n");
    }

    #[test]
    fn requests_are_counted_by_status() {
        let (requests, mut page) = (Requests::default(), Page(String::new()));
        for status in [200, 200, 404, 418] {
            requests.count(status);
        }
        http(&mut page, &requests);
        for line in ["code=\"200\"} 2", "code=\"404\"} 1", "code=\"500\"} 0", "code=\"0\"} 1"] {
            assert!(page.0.contains(line), "{line} in {}", page.0);
        }
    }
}
