//! Asking a peer for an echo, and timing it.
//!
//! Spec: libp2p/specs `ping/ping.md`: 32 random bytes over a stream that stays open come back.
//! Invariant: an answer that differs or takes longer than [`PING_TIMEOUT`] ends the stream.
//! Not here: answering (`ping/echo.rs`), asking every so often (libp2p's behaviour).

pub(crate) mod echo;

use crate::{NetworkError, PeerId, streams::StreamError};
use cairn_runtime::Clock;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{Stream, StreamProtocol};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for an echo.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an echo.
const ECHO_LEN: usize = 32;

pub(crate) const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

/// An open stream of echoes.
#[derive(Debug)]
pub struct Pinger {
    pub(crate) peer: PeerId,
    pub(crate) stream: Stream,
    pub(crate) clock: Clock,
}

impl Pinger {
    /// Sends bytes and waits for them to come back; answers how long that took.
    ///
    /// Dropping the future leaves the stream unusable.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Ping`]; make another [`Pinger`] then.
    pub async fn ping(&mut self) -> Result<Duration, NetworkError> {
        let sent: [u8; ECHO_LEN] = rand::random();
        let start = self.clock.monotonic();
        let echoed = timeout(PING_TIMEOUT, async {
            self.stream.write_all(&sent).await?;
            self.stream.flush().await?;
            let mut echo = [0; ECHO_LEN];
            self.stream.read_exact(&mut echo).await?;
            Ok::<_, std::io::Error>(echo)
        });
        let failed = |reason: String| NetworkError::Ping { peer: self.peer, reason };
        match echoed.await {
            Ok(Ok(echo)) if echo == sent => Ok(self.clock.monotonic() - start),
            Ok(Ok(_)) => Err(failed("the echo is not what was sent".to_owned())),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no echo within {} s", PING_TIMEOUT.as_secs()))),
        }
    }
}

pub(crate) fn not_opened(peer: PeerId, error: StreamError) -> NetworkError {
    let reason = match error {
        StreamError::Unsupported => "it does not answer pings".to_owned(),
        StreamError::Failed(reason) => reason,
    };
    NetworkError::Ping { peer, reason }
}
