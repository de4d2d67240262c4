//! What has brought other nodes down does nothing here: one test an advisory.
//!
//! Most of them are bugs of libraries that this node uses, fixed by now; the tests keep an update
//! or another library from bringing them back.
//! Not here: Bitswap's and the codecs', which stand beside their code; limits on streams
//! (`swarm/transport/permit.rs`) and on addresses (`swarm/addrs.rs`).

use crate::{PeerId, PublicKey, pipe::pipe};
use futures::{AsyncWriteExt as _, future::poll_fn};
use libp2p::{
    core::{
        StreamMuxer as _,
        upgrade::{InboundConnectionUpgrade as _, UpgradeInfo as _},
    },
    yamux,
};
use std::{future::Future as _, pin::Pin, task::Poll};

/// A frame of yamux: kind, flags, stream, length, and that many bytes if it is data.
fn frame(kind: u8, flags: u16, stream: u32, len: u32) -> Vec<u8> {
    let mut bytes = vec![0, kind];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(stream.to_be_bytes());
    bytes.extend(len.to_be_bytes());
    if kind == DATA {
        bytes.resize(bytes.len() + len as usize, 0);
    }
    bytes
}

const DATA: u8 = 0;
const WINDOW_UPDATE: u8 = 1;
const SYN: u16 = 1;

/// How many streams come of these frames until the connection ends.
async fn streams_of(frames: Vec<Vec<u8>>) -> usize {
    let (ours, mut theirs) = pipe();
    let config = yamux::Config::default();
    let name = config.protocol_info().next().expect("a name");
    let mut muxer = config.upgrade_inbound(ours, name).await.expect("no handshake");
    let mut held = Vec::new();
    let serve = poll_fn(|cx| {
        loop {
            match Pin::new(&mut muxer).poll_inbound(cx) {
                Poll::Ready(Ok(stream)) => held.push(stream),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => match Pin::new(&mut muxer).poll(cx) {
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    });
    let attack = async {
        for frame in frames {
            // It hangs up on those that break the rules.
            if theirs.write_all(&frame).await.is_err() {
                break;
            }
        }
        theirs.close().await.ok();
        // What it answers is not read: that must not keep it from ending.
        theirs
    };
    let mut attack = Box::pin(attack);
    let mut serve = Box::pin(serve);
    let mut kept = None;
    poll_fn(|cx| {
        if kept.is_none()
            && let Poll::Ready(end) = attack.as_mut().poll(cx)
        {
            kept = Some(end);
        }
        serve.as_mut().poll(cx)
    })
    .await;
    drop(serve);
    held.len()
}

#[tokio::test]
async fn cve_2026_32314_a_first_frame_longer_than_the_window() {
    assert!(streams_of(vec![frame(DATA, SYN, 1, 262_145)]).await <= 1);
}

#[tokio::test]
async fn ghsa_4w32_2493_32g7_credit_beyond_a_number() {
    let update = |flags| frame(WINDOW_UPDATE, flags, 1, u32::MAX);
    assert!(streams_of(vec![update(SYN), update(0), update(0)]).await <= 1);
}

#[tokio::test]
async fn cve_2024_32984_streams_that_are_opened_and_never_read() {
    let frames = (0..2000).map(|index| frame(WINDOW_UPDATE, SYN, 2 * index + 1, 0)).collect();
    assert!(streams_of(frames).await <= 512);
}

#[tokio::test]
async fn frames_that_make_no_sense_end_the_connection() {
    for bytes in [vec![0xff; 12], vec![0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], vec![0; 5]] {
        assert_eq!(streams_of(vec![bytes]).await, 0);
    }
}

/// DER: a tag, the length, the bytes.
fn der(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &len, bytes].concat()
}

#[test]
fn cve_2023_39533_a_key_that_takes_minutes() {
    let modulus = der(2, &[&[0][..], &[0xff; 2048]].concat());
    let key = der(0x30, &[modulus, der(2, &[1, 0, 1])].concat());
    let algorithm = [&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1][..], &[5, 0]].concat();
    let bits = der(3, &[&[0][..], &key].concat());
    let info = der(0x30, &[der(0x30, &algorithm), bits].concat());
    // Field 1: RSA. Field 2: the key.
    let mut message = vec![8, 0, 0x12];
    let (low, high) = (info.len() & 0x7f | 0x80, info.len() >> 7);
    message.extend([u8::try_from(low).unwrap(), u8::try_from(high).unwrap()]);
    message.extend(&info);
    // Whether it is read or not: nothing that it has signed is believed, and no time is spent.
    if let Ok(key) = PublicKey::try_decode_protobuf(&message) {
        assert!(!key.verify(b"anything", &[0xff; 2048]));
    }
}

#[test]
fn cve_2019_15545_and_2022_0009_a_signature_counts_for_its_key_alone() {
    let [signer, other] = [(), ()].map(|()| crate::generate_ed25519());
    let signature = signer.sign(b"message").unwrap();
    assert!(signer.public().verify(b"message", &signature));
    assert!(!other.public().verify(b"message", &signature));
    assert!(!signer.public().verify(b"message", &[0; 64]));
    assert_ne!(PeerId::from(signer.public()), PeerId::from(other.public()));
}

#[test]
fn no_library_is_older_than_its_last_fix() {
    let lock = include_str!("../../../Cargo.lock");
    let rows = [
        ("yamux", "0.13.10"), // CVE-2026-32314, CVE-2024-32984, GHSA-4w32-2493-32g7
        ("libp2p-gossipsub", "0.50.1"), // CVE-2026-33040, CVE-2026-34219
        ("libp2p-quic", "0.13.1"), // GHSA-5hq8
        ("quinn-proto", "0.11.15"), // RUSTSEC-2026-0037, -0185
        ("snow", "0.9.5"),    // RUSTSEC-2024-0011
        ("hickory-proto", "0.26.1"), // RUSTSEC-2026-0118 to -0120
        ("h2", "0.4.16"),     // RUSTSEC-2026-0258
    ];
    let number = |text: &str| {
        let parts = text.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
        parts.collect::<Vec<_>>()
    };
    for (name, least) in rows {
        let head = format!("name = \"{name}\"\nversion = \"");
        let versions: Vec<&str> =
            lock.split(&head).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!versions.is_empty(), "{name} is not used any more: take its row away");
        for version in versions {
            assert!(number(version) >= number(least), "{name} {version} is older than {least}");
        }
    }
}
