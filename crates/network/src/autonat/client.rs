//! The asking side.
//!
//! Spec: libp2p AutoNAT v2, pinned in `spec/PINS.toml`.
//! Invariants: only a number that is waited for is acknowledged, and an address counts as reached
//! only if its number arrived, whatever the asked says.
//! Not here: which address is asked about, and whom (`swarm/reachability.rs`).

use super::{
    DIAL_DATA_LEN_MAX, DIAL_REQUEST, Outcome, PROBE_TIMEOUT, PROBES_MAX, Probe,
    wire::{
        self, DialBack, DialBackResponse, DialDataResponse, DialRequest, DialResponse, DialStatus,
        Message, ResponseStatus,
    },
};
use crate::{streams::Inbound, swarm};
use futures::{
    AsyncRead, AsyncWrite, AsyncWriteExt as _, FutureExt as _, StreamExt as _, future::BoxFuture,
    stream::FuturesUnordered,
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::debug;

/// Bytes of one message of those that a dial costs.
const DATA_CHUNK_LEN: usize = 4096;

/// Connections on which a number may be told at once.
const DIAL_BACKS_MAX: usize = 8;

/// Longest that telling a number takes.
const DIAL_BACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The numbers that are waited for, and whether they have come.
#[derive(Debug, Default, Clone)]
pub(super) struct Expected(Arc<Mutex<HashMap<u64, bool>>>);

impl Expected {
    fn numbers(&self) -> MutexGuard<'_, HashMap<u64, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn expect(&self, nonce: u64) {
        self.numbers().insert(nonce, false);
    }

    /// Notes that a number has come; false if nobody waits for it.
    pub(super) fn heard(&self, nonce: u64) -> bool {
        self.numbers().get_mut(&nonce).is_some_and(|heard| {
            *heard = true;
            true
        })
    }

    /// Waits no longer; answers whether the number had come.
    pub(super) fn end(&self, nonce: u64) -> bool {
        self.numbers().remove(&nonce).unwrap_or_default()
    }
}

/// Asks what the swarm wants to know, and hears the numbers.
pub(super) async fn run(
    swarm: mpsc::Sender<swarm::Command>,
    mut questions: mpsc::Receiver<Probe>,
    mut inbound: mpsc::Receiver<Inbound>,
) {
    let expected = Expected::default();
    let mut probes: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    let mut heard: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = probes.next() => {}
            Some(()) = heard.next() => {}
            Some(probe) = questions.recv(), if probes.len() < PROBES_MAX => {
                probes.push(ask(swarm.clone(), expected.clone(), probe).boxed());
            }
            next = inbound.recv() => match next {
                Some(next) if heard.len() < DIAL_BACKS_MAX => {
                    heard.push(hear(expected.clone(), next).boxed());
                }
                Some(_) => debug!("too many dial-backs: one is dropped"),
                None => return,
            },
        }
    }
}

async fn hear(expected: Expected, Inbound { peer, mut stream, .. }: Inbound) {
    let told = timeout(DIAL_BACK_TIMEOUT, answer_dial_back(&mut stream, &expected)).await;
    debug!(%peer, ?told, "dialled back");
}

/// Takes a number and acknowledges it, if it is waited for.
pub(super) async fn answer_dial_back(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    expected: &Expected,
) -> io::Result<bool> {
    let DialBack { nonce } = wire::read(stream).await?;
    if !expected.heard(nonce) {
        return Ok(false);
    }
    wire::write(stream, &DialBackResponse { status: 0 }).await?;
    stream.close().await?;
    Ok(true)
}

async fn ask(swarm: mpsc::Sender<swarm::Command>, expected: Expected, probe: Probe) {
    let outcome = timeout(PROBE_TIMEOUT, ask_over(&swarm, &expected, &probe)).await;
    let outcome = outcome.unwrap_or(Outcome::Unanswered);
    debug!(server = %probe.server, addr = %probe.addr, ?outcome, "asked whether it can be reached");
    // The swarm is gone only when everything stops.
    drop(swarm.send(swarm::Outward::Probed(probe, outcome).into()).await);
}

async fn ask_over(
    swarm: &mpsc::Sender<swarm::Command>,
    expected: &Expected,
    probe: &Probe,
) -> Outcome {
    let (reply, answer) = oneshot::channel();
    let open = swarm::Command::OpenStream(probe.server, DIAL_REQUEST, reply);
    if swarm.send(open).await.is_err() {
        return Outcome::Unanswered;
    }
    let Ok(Ok(mut stream)) = answer.await else { return Outcome::Unanswered };
    exchange(&mut stream, expected, probe.addr.to_vec()).await.unwrap_or(Outcome::Unanswered)
}

/// Asks about one address over an open stream.
pub(super) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    expected: &Expected,
    addr: Vec<u8>,
) -> io::Result<Outcome> {
    let nonce = rand::random();
    expected.expect(nonce);
    let answer = request(stream, DialRequest { addrs: vec![addr], nonce }).await;
    let heard = expected.end(nonce);
    let answer = answer?;
    let status = (answer.status(), answer.dial_status());
    Ok(match status {
        (ResponseStatus::Ok, DialStatus::Ok | DialStatus::DialBackError) if heard => {
            Outcome::Reached
        }
        (ResponseStatus::Ok, DialStatus::DialError) => Outcome::NotReached,
        _ => Outcome::Unanswered,
    })
}

async fn request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: DialRequest,
) -> io::Result<DialResponse> {
    wire::write(stream, &Message { request: Some(request), ..Message::default() }).await?;
    let mut answer: Message = wire::read(stream).await?;
    if let Some(wanted) = answer.data_request {
        let len = usize::try_from(wanted.len).unwrap_or(usize::MAX);
        if len > DIAL_DATA_LEN_MAX {
            return Err(io::Error::other("a dial would cost more than the specification allows"));
        }
        pay(stream, len).await?;
        answer = wire::read(stream).await?;
    }
    answer.response.ok_or_else(|| io::Error::other("no answer to the question"))
}

/// Sends so many bytes, for nothing but their cost.
async fn pay(stream: &mut (impl AsyncWrite + Unpin), len: usize) -> io::Result<()> {
    let data = Some(DialDataResponse { data: vec![0; DATA_CHUNK_LEN] });
    let part = Message { data, ..Message::default() };
    for _ in 0..len.div_ceil(DATA_CHUNK_LEN) {
        wire::write(stream, &part).await?;
    }
    Ok(())
}
