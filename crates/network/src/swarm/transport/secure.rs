//! Encryption of a connection: TLS 1.3 or Noise, as the other side chooses.
//!
//! The library's own choice between two names the peer inside of each, not beside both.
//! Not here: QUIC, whose encryption is part of it.

use super::failed;
use crate::{Keypair, NetworkError, PeerId};
use futures::{
    AsyncRead, AsyncWrite, FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, Either},
};
use libp2p::{
    core::{
        UpgradeInfo,
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
    },
    noise, tls,
};
use std::io;

/// Both, TLS first: it is what processors are built for.
#[derive(Clone)]
pub(super) struct Secure {
    tls: tls::Config,
    noise: noise::Config,
}

/// Bytes that are encrypted.
type Stream<C> = Either<tls::TlsStream<C>, noise::Output<C>>;

type Shaken<C> = BoxFuture<'static, io::Result<(PeerId, Stream<C>)>>;

impl Secure {
    pub(super) fn new(keypair: &Keypair) -> Result<Self, NetworkError> {
        Ok(Self {
            tls: tls::Config::new(keypair).map_err(|error| failed("tls", &error))?,
            noise: noise::Config::new(keypair).map_err(|error| failed("noise", &error))?,
        })
    }

    fn is_tls(&self, name: &str) -> bool {
        self.tls.protocol_info().any(|known| known == name)
    }
}

impl UpgradeInfo for Secure {
    type Info = &'static str;
    type InfoIter = std::iter::Chain<
        <tls::Config as UpgradeInfo>::InfoIter,
        <noise::Config as UpgradeInfo>::InfoIter,
    >;

    fn protocol_info(&self) -> Self::InfoIter {
        self.tls.protocol_info().chain(self.noise.protocol_info())
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<C> for Secure {
    type Output = (PeerId, Stream<C>);
    type Error = io::Error;
    type Future = Shaken<C>;

    fn upgrade_inbound(self, socket: C, name: Self::Info) -> Self::Future {
        if self.is_tls(name) {
            let shaken = self.tls.upgrade_inbound(socket, name).map_err(io::Error::other);
            shaken.map_ok(|(peer, stream)| (peer, Either::Left(stream))).boxed()
        } else {
            let shaken = self.noise.upgrade_inbound(socket, name).map_err(io::Error::other);
            shaken.map_ok(|(peer, stream)| (peer, Either::Right(stream))).boxed()
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<C> for Secure {
    type Output = (PeerId, Stream<C>);
    type Error = io::Error;
    type Future = Shaken<C>;

    fn upgrade_outbound(self, socket: C, name: Self::Info) -> Self::Future {
        if self.is_tls(name) {
            let shaken = self.tls.upgrade_outbound(socket, name).map_err(io::Error::other);
            shaken.map_ok(|(peer, stream)| (peer, Either::Left(stream))).boxed()
        } else {
            let shaken = self.noise.upgrade_outbound(socket, name).map_err(io::Error::other);
            shaken.map_ok(|(peer, stream)| (peer, Either::Right(stream))).boxed()
        }
    }
}
