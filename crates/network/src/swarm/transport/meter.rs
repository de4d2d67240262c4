//! Counts the streams and their bytes, in all and by peer, and holds them back to the limits.
//!
//! A limit is a bucket of bytes that fills at the allowed rate and holds a second of it. Who finds
//! it empty waits; streams do not queue for it, so that none is starved by one that asks for
//! more.
//!
//! Invariants: counting takes no lock; the peers remembered are at most [`PEER_COUNT_MAX`].
//! Not here: encryption and framing, which the counts leave out (about a hundredth); how many
//! streams there may be (`permit.rs`).

use super::permit::{PeerPermits, Permit, Permits, Side};
use crate::{PeerId, StreamLimits};
use cairn_runtime::Clock;
use futures::{AsyncRead, AsyncWrite, ready};
use libp2p::core::{StreamMuxer, muxing::StreamMuxerEvent};
use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::{Sleep, sleep};
use tracing::debug;

/// Peers whose counts are kept; those that have gone are forgotten first.
const PEER_COUNT_MAX: usize = 4096;

/// What the rate of the last second weighs against those before.
const RATE_WEIGHT: f64 = 0.3;

/// Streams refused before others get their turn.
const REFUSALS_MAX: usize = 64;

/// Least bytes that are worth waking up for.
const GRANT_LEN_MIN: f64 = 4096.0;

/// How much may go through in all, in bytes a second; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BandwidthLimits {
    /// Received.
    pub inbound: Option<u64>,
    /// Sent.
    pub outbound: Option<u64>,
}

/// What went through since the start, and goes through now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bandwidth {
    /// Bytes received.
    pub total_in: u64,
    /// Bytes sent.
    pub total_out: u64,
    /// Bytes received a second, over the last few.
    pub rate_in: f64,
    /// Bytes sent a second, over the last few.
    pub rate_out: f64,
}

/// The counts of one peer, or of all.
#[derive(Debug, Default)]
struct Count {
    inbound: AtomicU64,
    outbound: AtomicU64,
}

/// What a rate is worked out from.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    inbound: u64,
    outbound: u64,
    rate_in: f64,
    rate_out: f64,
}

impl Past {
    fn step(&mut self, count: &Count, seconds: f64) {
        let now = (count.inbound.load(Ordering::Relaxed), count.outbound.load(Ordering::Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let towards = |rate: &mut f64, len: u64| {
            *rate += RATE_WEIGHT * (len as f64 / seconds - *rate);
        };
        towards(&mut self.rate_in, now.0 - self.inbound);
        towards(&mut self.rate_out, now.1 - self.outbound);
        (self.inbound, self.outbound) = now;
    }

    fn told(&self, count: &Count) -> Bandwidth {
        Bandwidth {
            total_in: count.inbound.load(Ordering::Relaxed),
            total_out: count.outbound.load(Ordering::Relaxed),
            rate_in: self.rate_in,
            rate_out: self.rate_out,
        }
    }
}

/// Bytes that may go through now.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    state: Mutex<(f64, Instant)>,
    clock: Clock,
}

impl Bucket {
    fn new(rate: Option<u64>, clock: &Clock) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = rate? as f64;
        let state = Mutex::new((rate, clock.monotonic()));
        Some(Self { rate: rate.max(1.0), state, clock: clock.clone() })
    }

    fn filled(&self) -> MutexGuard<'_, (f64, Instant)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        let more = now.saturating_duration_since(state.1).as_secs_f64() * self.rate;
        *state = ((state.0 + more).min(self.rate), now);
        state
    }

    /// How many of `len` bytes may go through, or how long to wait for some.
    fn allowance(&self, len: usize) -> Result<usize, Duration> {
        let state = self.filled();
        let least = GRANT_LEN_MIN.min(self.rate);
        if state.0 < least {
            return Err(Duration::from_secs_f64((least - state.0) / self.rate));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
        Ok(len.min(state.0 as usize).max(1))
    }

    /// Takes what went through; others may have taken it as well, which is made up for later.
    fn take(&self, len: usize) {
        #[expect(clippy::cast_precision_loss, reason = "bytes")]
        let len = len as f64;
        self.filled().0 -= len;
    }
}

/// Counts and limits everything; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    shared: Arc<Shared>,
    permits: Permits,
    /// Whether the streams go through others, which are counted in all and held back.
    is_within: bool,
}

#[derive(Debug)]
struct Shared {
    all: Arc<Count>,
    peers: Mutex<HashMap<PeerId, (Arc<Count>, Past)>>,
    past: Mutex<Past>,
    inbound: Option<Bucket>,
    outbound: Option<Bucket>,
}

/// Where one peer's bytes are counted.
#[derive(Debug, Clone)]
pub(super) struct PeerMeter {
    shared: Arc<Shared>,
    count: Arc<Count>,
    permits: PeerPermits,
    is_within: bool,
}

impl Meter {
    pub(crate) fn new(limits: BandwidthLimits, clock: &Clock) -> Self {
        let shared = Arc::new(Shared {
            all: Arc::default(),
            peers: Mutex::default(),
            past: Mutex::default(),
            inbound: Bucket::new(limits.inbound, clock),
            outbound: Bucket::new(limits.outbound, clock),
        });
        Self { shared, permits: Permits::new(StreamLimits::none()), is_within: false }
    }

    /// The same with limits on streams.
    pub(crate) fn with_stream_limits(self, limits: &StreamLimits) -> Self {
        Self { permits: Permits::new(limits.clone()), ..self }
    }

    /// The streams that are open.
    pub(crate) fn streams(&self) -> &Permits {
        &self.permits
    }

    /// For connections through streams that are counted already: by peer only, without limits.
    pub(super) fn within(&self) -> Self {
        Self { is_within: true, ..self.clone() }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<PeerId, (Arc<Count>, Past)>> {
        self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, peer: PeerId) -> PeerMeter {
        let mut peers = self.peers();
        if peers.len() >= PEER_COUNT_MAX && !peers.contains_key(&peer) {
            // A count that a connection holds has an owner besides the map.
            peers.retain(|_, (count, _)| Arc::strong_count(count) > 1);
        }
        let count = match peers.get(&peer) {
            Some((count, _)) => Arc::clone(count),
            None if peers.len() >= PEER_COUNT_MAX => Arc::default(),
            None => Arc::clone(&peers.entry(peer).or_default().0),
        };
        PeerMeter {
            shared: Arc::clone(&self.shared),
            count,
            permits: self.permits.of(peer),
            is_within: self.is_within,
        }
    }

    /// Works out the rates; called once every so often, with how long ago that was.
    pub(crate) fn step(&self, since: Duration) {
        let seconds = since.as_secs_f64().max(0.001);
        self.shared
            .past
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .step(&self.shared.all, seconds);
        for (count, past) in self.peers().values_mut() {
            past.step(count, seconds);
        }
    }

    /// What went through, in all or with one peer.
    pub(crate) fn told(&self, peer: Option<PeerId>) -> Bandwidth {
        match peer {
            None => self
                .shared
                .past
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .told(&self.shared.all),
            Some(peer) => {
                self.peers().get(&peer).map(|(count, past)| past.told(count)).unwrap_or_default()
            }
        }
    }
}

impl PeerMeter {
    fn inbound(&self) -> Option<&Bucket> {
        self.shared.inbound.as_ref().filter(|_| !self.is_within)
    }

    fn outbound(&self) -> Option<&Bucket> {
        self.shared.outbound.as_ref().filter(|_| !self.is_within)
    }

    fn received(&self, len: usize) {
        let counted = len as u64;
        self.count.inbound.fetch_add(counted, Ordering::Relaxed);
        if self.is_within {
            return;
        }
        self.shared.all.inbound.fetch_add(counted, Ordering::Relaxed);
        if let Some(bucket) = &self.shared.inbound {
            bucket.take(len);
        }
    }

    fn sent(&self, len: usize) {
        let counted = len as u64;
        self.count.outbound.fetch_add(counted, Ordering::Relaxed);
        if self.is_within {
            return;
        }
        self.shared.all.outbound.fetch_add(counted, Ordering::Relaxed);
        if let Some(bucket) = &self.shared.outbound {
            bucket.take(len);
        }
    }
}

/// A connection whose streams are counted.
pub(super) struct Counted<M> {
    inner: Pin<Box<M>>,
    meter: PeerMeter,
}

impl<M: StreamMuxer> Counted<M> {
    pub(super) fn new(inner: M, meter: PeerMeter) -> Self {
        Self { inner: Box::pin(inner), meter }
    }

    fn stream(&self, opened: Option<(M::Substream, Permit)>) -> CountedStream<M::Substream> {
        CountedStream { opened, meter: self.meter.clone(), reading: None, writing: None }
    }
}

impl<M> StreamMuxer for Counted<M>
where
    M: StreamMuxer,
    M::Substream: Unpin,
{
    type Substream = CountedStream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        for _ in 0..REFUSALS_MAX {
            let stream = ready!(self.inner.as_mut().poll_inbound(cx))?;
            if let Some(permit) = self.meter.permits.take(Side::Theirs) {
                return Poll::Ready(Ok(self.stream(Some((stream, permit)))));
            }
            // Dropped, which resets it.
            debug!("a peer opens too many streams: one is refused");
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let Some(permit) = self.meter.permits.take(Side::Ours) else {
            return Poll::Ready(Ok(self.stream(None)));
        };
        // Counted for as long as it is waited for only.
        let stream = ready!(self.inner.as_mut().poll_outbound(cx))?;
        Poll::Ready(Ok(self.stream(Some((stream, permit)))))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.as_mut().poll_close(cx)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.inner.as_mut().poll(cx)
    }
}

/// A stream that is counted.
pub(super) struct CountedStream<S> {
    /// `None` if there were too many streams already.
    opened: Option<(S, Permit)>,
    meter: PeerMeter,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> CountedStream<S> {
    fn inner(&mut self) -> io::Result<&mut S> {
        let refused = || io::Error::other("too many streams are open (Swarm.ResourceMgr)");
        self.opened.as_mut().map(|(inner, _)| inner).ok_or_else(refused)
    }
}

/// Waits until some of `len` bytes may go through; answers how many.
fn poll_allowance(
    bucket: Option<&Bucket>,
    waiting: &mut Option<Pin<Box<Sleep>>>,
    (len, cx): (usize, &mut Context<'_>),
) -> Poll<usize> {
    let Some(bucket) = bucket else { return Poll::Ready(len) };
    loop {
        if let Some(wait) = waiting {
            ready!(wait.as_mut().poll(cx));
            *waiting = None;
        }
        match bucket.allowance(len) {
            Ok(len) => return Poll::Ready(len),
            Err(wait) => *waiting = Some(Box::pin(sleep(wait))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let bucket = this.meter.inbound();
        let len = ready!(poll_allowance(bucket, &mut this.reading, (buffer.len(), cx)));
        let len = ready!(Pin::new(this.inner()?).poll_read(cx, &mut buffer[..len]))?;
        this.meter.received(len);
        Poll::Ready(Ok(len))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let bucket = this.meter.outbound();
        let len = ready!(poll_allowance(bucket, &mut this.writing, (bytes.len(), cx)));
        let len = ready!(Pin::new(this.inner()?).poll_write(cx, &bytes[..len]))?;
        this.meter.sent(len);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner()?).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.inner() {
            Ok(inner) => Pin::new(inner).poll_close(cx),
            // Nothing was opened.
            Err(_) => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BandwidthLimits, Meter};
    use crate::generate_ed25519;
    use cairn_runtime::Clock;
    use std::time::{Duration, SystemTime};

    #[test]
    fn counts_in_all_and_by_peer() {
        let meter = Meter::new(BandwidthLimits::default(), &Clock::system());
        let [one, other] = [(), ()].map(|()| generate_ed25519().public().to_peer_id());
        meter.of(one).received(1000);
        meter.of(one).sent(10);
        meter.of(other).sent(5);
        meter.step(Duration::from_secs(1));
        let all = meter.told(None);
        assert_eq!((all.total_in, all.total_out), (1000, 15));
        let of_one = meter.told(Some(one));
        assert_eq!((of_one.total_in, of_one.total_out), (1000, 10));
        assert!(of_one.rate_in > 100.0, "{of_one:?}");
        for _ in 0..100 {
            meter.step(Duration::from_secs(1));
        }
        assert!(meter.told(Some(one)).rate_in < 1.0);
    }

    #[test]
    fn what_goes_through_a_circuit_is_counted_once_in_all() {
        let meter = Meter::new(BandwidthLimits::default(), &Clock::system());
        let [relay, peer] = [(), ()].map(|()| generate_ed25519().public().to_peer_id());
        meter.of(relay).received(1010);
        meter.within().of(peer).received(1000);
        assert_eq!(meter.told(None).total_in, 1010);
        assert_eq!(meter.told(Some(peer)).total_in, 1000);
    }

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH);
        let limits = BandwidthLimits { inbound: Some(100_000), outbound: None };
        let meter = Meter::new(limits, &clock);
        let bucket = meter.shared.inbound.as_ref().unwrap();
        assert!(meter.shared.outbound.is_none());
        let mut taken = 0;
        for _ in 0..100 {
            while let Ok(len) = bucket.allowance(30_000) {
                bucket.take(len);
                taken += len;
            }
            clock.advance(Duration::from_millis(100));
        }
        // What the bucket held, and ten seconds of the rate.
        assert!((1_050_000..=1_100_000).contains(&taken), "{taken}");
        let wait = bucket.allowance(1).err();
        assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(1)));
    }
}
