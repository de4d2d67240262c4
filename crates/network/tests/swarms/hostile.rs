//! Peers that speak libp2p well and Bitswap badly.

use super::{Node, PATIENCE, TCP, blocks, until};
use cairn_network::{Multiaddr, generate_ed25519, limits};
use cairn_runtime::Tasks;
use futures::{AsyncWriteExt as _, FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use libp2p::{
    Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt as _},
        transport::{DialOpts, PortUse},
        upgrade::Version,
    },
    noise, tcp, yamux,
};
use std::{future::poll_fn, task::Poll};
use tokio::{sync::mpsc, sync::oneshot, time::timeout};

/// What opens a Bitswap stream, both names at once.
const HELLO: &[u8] = b"\x13/multistream/1.0.0\n\x14/ipfs/bitswap/1.2.0\n";

/// A connection on which anything can be written.
struct Liar {
    send: mpsc::Sender<Vec<u8>>,
    gone: oneshot::Receiver<()>,
}

impl Liar {
    async fn connect(addr: Multiaddr, tasks: &Tasks) -> Self {
        let key = generate_ed25519();
        let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default())
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let (_, muxer) = transport.dial(addr, options).unwrap().await.unwrap();
        let (send, messages) = mpsc::channel(16);
        let (end, gone) = oneshot::channel();
        tasks.spawn("liar", async move {
            lie(muxer, messages).await;
            end.send(()).ok();
        });
        Self { send, gone }
    }

    async fn say(&self, bytes: Vec<u8>) {
        // A liar that has been thrown out is what the tests ask about afterwards.
        drop(self.send.send(bytes).await);
    }
}

/// Opens a stream for every message, and ends when the connection does.
async fn lie(mut muxer: StreamMuxerBox, mut messages: mpsc::Receiver<Vec<u8>>) {
    let mut writing = FuturesUnordered::new();
    let mut next: Option<Vec<u8>> = None;
    poll_fn(move |cx| {
        while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx)? {
            drop(stream);
        }
        loop {
            if next.is_none()
                && let Poll::Ready(Some(message)) = messages.poll_recv(cx)
            {
                next = Some(message);
            }
            if next.is_none() {
                break;
            }
            let Poll::Ready(mut stream) = muxer.poll_outbound_unpin(cx)? else { break };
            let message = next.take().unwrap_or_default();
            writing.push(
                async move {
                    let mut all = HELLO.to_vec();
                    all.extend(message);
                    // The other side may well hang up in the middle.
                    drop(stream.write_all(&all).await);
                    drop(stream.flush().await);
                    std::future::pending::<()>().await;
                }
                .boxed(),
            );
        }
        while let Poll::Ready(Some(())) = writing.poll_next_unpin(cx) {}
        // Last, so that it sees the streams that are new.
        while muxer.poll_unpin(cx)?.is_ready() {}
        Poll::<Result<(), std::io::Error>>::Pending
    })
    .await
    .ok();
}

/// A message with its length in front.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cairn_hash::varint::encode(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    out
}

/// A message with one block.
fn block_message(data: &[u8]) -> Vec<u8> {
    let mut payload = vec![0x0a, 4, 1, 0x55, 0x12, 0x20, 0x12];
    cairn_hash::varint::encode(data.len() as u64, &mut payload);
    payload.extend_from_slice(data);
    let mut body = vec![0x1a];
    cairn_hash::varint::encode(payload.len() as u64, &mut body);
    body.extend(payload);
    framed(&body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_talks_nonsense_is_thrown_out_and_others_do_not_notice() {
    let (node, friend) = (Node::start(TCP).await, Node::start(TCP).await);
    let cids = friend.put(blocks(9, 40)).await;
    node.connect(&friend).await;
    let mut oversize = Vec::new();
    cairn_hash::varint::encode(limits::MESSAGE_LEN_MAX as u64 + 1, &mut oversize);
    let rows = [
        ("garbage", framed(&[0xff; 100])),
        ("oversize", oversize),
        ("an endless length", vec![0xff; 20]),
        ("an oversize block", block_message(&vec![0; cairn_block::BLOCK_LEN_MAX + 1])),
    ];
    for (count, (name, bytes)) in rows.into_iter().enumerate() {
        let liar = Liar::connect(node.addr().await, &node.tasks).await;
        for offence in 1..=u64::from(limits::OFFENCES_MAX) {
            liar.say(bytes.clone()).await;
            let expected = count as u64 * u64::from(limits::OFFENCES_MAX) + offence;
            until(async || {
                node.network.bitswap_stat().await.malformed_messages_received == expected
            })
            .await;
        }
        assert!(timeout(PATIENCE, liar.gone).await.is_ok(), "{name}");
    }
    node.fetch(&cids).await;
    assert_eq!(node.network.peers().await.len(), 1, "the friend is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_nobody_asked_for_are_dropped_and_counted() {
    let node = Node::start(TCP).await;
    let wanted = blocks(10, 1).remove(0);
    let liar = Liar::connect(node.addr().await, &node.tasks).await;
    let session = node.network.session();
    let wanted_cids = [wanted.cid().clone()];
    let fetch = session.fetch_many(&wanted_cids);
    let lies = async {
        until(async || node.network.wantlist(None).await.len() == 1).await;
        for lie in 0..10u8 {
            liar.say(block_message(&[lie; 1000])).await;
        }
        until(async || node.network.bitswap_stat().await.unasked_blocks_received == 10).await;
        assert_eq!(node.network.wantlist(None).await.len(), 1, "no lie was taken for it");
        let friend = Node::start(TCP).await;
        friend.put(vec![wanted.clone()]).await;
        node.connect(&friend).await;
        friend
    };
    let (fetched, _friend) = tokio::join!(timeout(PATIENCE, fetch), lies);
    assert_eq!(fetched.unwrap()[0].as_ref().unwrap(), &wanted);
    assert!(node.store.is_empty(), "nothing is stored behind the caller's back");
    let lies = (0..limits::UNASKED_BLOCKS_MAX).map(|lie| block_message(&lie.to_le_bytes()));
    liar.say(lies.collect::<Vec<_>>().concat()).await;
    assert!(timeout(PATIENCE, liar.gone).await.is_ok(), "enough is enough");
}
