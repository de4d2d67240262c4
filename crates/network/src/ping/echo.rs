//! Answering those that ask for an echo.
//!
//! Written here because the library's behaviour answers on the newest stream of a connection alone
//! and resets the one before: a peer that asks now and then by itself, and once more because
//! somebody wants to know, would lose one of the two.
//!
//! Spec: libp2p/specs `ping/ping.md`: a stream stays open for more, and a peer may have two.
//! Invariants: at most [`ECHOES_MAX`] streams, [`ECHOES_PER_PEER_MAX`] of one peer; one that is
//! silent for [`SILENCE_MAX`] is closed; an echo is as long as what was sent.
//! Not here: asking (`ping.rs`).

use super::{ECHO_LEN, PING};
use crate::{
    PeerId,
    streams::{Accepted, Inbound},
};
use futures::{
    AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _, StreamExt as _, future::BoxFuture,
    stream::FuturesUnordered,
};
use libp2p::Stream;
use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};
use tracing::debug;

/// Streams that are answered.
const ECHOES_MAX: usize = 1024;

/// Of which one peer's: two, and what it has not closed yet.
const ECHOES_PER_PEER_MAX: usize = 4;

/// Longest between two echoes of a stream: the library asks every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Adds the protocol that the swarm is to offer; its streams come to the receiver.
pub(crate) fn prepare(accepted: &mut Vec<Accepted>) -> mpsc::Receiver<Inbound> {
    let (protocol, inbound) = Accepted::new(PING, Arc::new(AtomicBool::new(true)));
    accepted.push(protocol);
    inbound
}

/// Answers for as long as the swarm hands streams over.
pub(crate) async fn run(mut inbound: mpsc::Receiver<Inbound>) {
    let mut echoes: FuturesUnordered<BoxFuture<'static, PeerId>> = FuturesUnordered::new();
    let mut counts: HashMap<PeerId, usize> = HashMap::new();
    loop {
        tokio::select! {
            Some(peer) = echoes.next() => {
                if let Some(count) = counts.get_mut(&peer) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&peer);
                    }
                }
            }
            next = inbound.recv() => {
                let Some(Inbound { peer, stream, .. }) = next else { return };
                let count = counts.get(&peer).copied().unwrap_or_default();
                if echoes.len() >= ECHOES_MAX || count >= ECHOES_PER_PEER_MAX {
                    debug!(%peer, "too many streams of echoes: one is dropped");
                    continue;
                }
                counts.insert(peer, count + 1);
                echoes.push(serve(peer, stream).boxed());
            }
        }
    }
}

async fn serve(peer: PeerId, mut stream: Stream) -> PeerId {
    // Whoever asks does not keep a connection that nothing else uses.
    stream.ignore_for_keep_alive();
    while let Ok(Ok(())) = timeout(SILENCE_MAX, echo(&mut stream)).await {}
    peer
}

async fn echo(stream: &mut Stream) -> io::Result<()> {
    let mut sent = [0; ECHO_LEN];
    stream.read_exact(&mut sent).await?;
    stream.write_all(&sent).await?;
    stream.flush().await
}
