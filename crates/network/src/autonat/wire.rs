//! AutoNAT's messages as bytes.
//!
//! Spec: libp2p AutoNAT v2, "RPC Messages", pinned in `spec/PINS.toml`.
//! Invariant: a message is at most [`MESSAGE_LEN_MAX`] bytes, which is looked at before anything
//! is allocated for it.
//! Not here: what messages mean (`client.rs`, `server.rs`).

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use std::io;

/// Longest message taken from a peer, in bytes: the data of one is up to 4096 by the
/// specification, and a list of addresses fits as well.
const MESSAGE_LEN_MAX: usize = 8 * 1024;

/// What goes over a stream of questions; one of the fields is there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Message {
    #[prost(message, optional, tag = "1")]
    pub(super) request: Option<DialRequest>,
    #[prost(message, optional, tag = "2")]
    pub(super) response: Option<DialResponse>,
    #[prost(message, optional, tag = "3")]
    pub(super) data_request: Option<DialDataRequest>,
    #[prost(message, optional, tag = "4")]
    pub(super) data: Option<DialDataResponse>,
}

/// The question.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct DialRequest {
    /// The most wanted first.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) addrs: Vec<Vec<u8>>,
    #[prost(fixed64, tag = "2")]
    pub(super) nonce: u64,
}

/// The answer.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct DialResponse {
    #[prost(enumeration = "ResponseStatus", tag = "1")]
    pub(super) status: i32,
    #[prost(uint32, tag = "2")]
    pub(super) addr_index: u32,
    #[prost(enumeration = "DialStatus", tag = "3")]
    pub(super) dial_status: i32,
}

/// What a dial to an address costs that the asker is not seen at.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct DialDataRequest {
    #[prost(uint32, tag = "1")]
    pub(super) addr_index: u32,
    #[prost(uint64, tag = "2")]
    pub(super) len: u64,
}

/// A part of that.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct DialDataResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) data: Vec<u8>,
}

/// How a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ResponseStatus {
    InternalError = 0,
    RequestRejected = 100,
    DialRefused = 101,
    Ok = 200,
}

/// How its dial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum DialStatus {
    Unused = 0,
    DialError = 100,
    DialBackError = 101,
    Ok = 200,
}

/// The number, told where the dial ended.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct DialBack {
    #[prost(fixed64, tag = "1")]
    pub(super) nonce: u64,
}

/// That it was heard; there is one status, which is 0.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct DialBackResponse {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

impl DialResponse {
    /// An answer without a dial.
    pub(super) fn without_dial(status: ResponseStatus) -> Self {
        Self { status: status.into(), addr_index: 0, dial_status: DialStatus::Unused.into() }
    }

    /// The end of a dial.
    pub(super) fn of_dial(addr_index: u32, dial_status: DialStatus) -> Self {
        Self { status: ResponseStatus::Ok.into(), addr_index, dial_status: dial_status.into() }
    }
}

/// Reads one message with its length before it.
pub(super) async fn read<M>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<M>
where
    M: prost::Message + Default,
{
    let len = read_len(stream).await?;
    if len > MESSAGE_LEN_MAX {
        let text = format!("a message of {len} bytes, over the limit of {MESSAGE_LEN_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    M::decode(bytes.as_slice()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

async fn read_len(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    let mut len = 0_usize;
    // Three bytes hold more than the longest message may have.
    for index in 0..3 {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        len |= usize::from(byte[0] & 0x7f) << (7 * index);
        if byte[0] & 0x80 == 0 {
            return Ok(len);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the length of a message is too long"))
}

/// Writes one message with its length before it.
pub(super) async fn write<M>(stream: &mut (impl AsyncWrite + Unpin), message: &M) -> io::Result<()>
where
    M: prost::Message,
{
    stream.write_all(&message.encode_length_delimited_to_vec()).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::{DialRequest, Message, read, write};
    use futures::{executor::block_on, io::Cursor};

    #[test]
    fn messages_survive_the_wire_and_long_ones_are_refused() {
        let request = DialRequest { addrs: vec![vec![1, 2]], nonce: 7 };
        let message = Message { request: Some(request), ..Message::default() };
        let mut bytes = Vec::new();
        block_on(write(&mut bytes, &message)).unwrap();
        // Field 1, nested: the address, and the number as eight bytes.
        assert_eq!(bytes[..7], [15, 0x0a, 13, 0x0a, 2, 1, 2]);
        assert_eq!(bytes[7..], [0x11, 7, 0, 0, 0, 0, 0, 0, 0]);
        let found: Message = block_on(read(&mut Cursor::new(&bytes))).unwrap();
        assert_eq!(found, message);
        for hostile in [&[0xff, 0xff, 0x03][..], &[0xff, 0xff, 0xff, 0xff], &[3, 1], &[]] {
            let read = block_on(read::<Message>(&mut Cursor::new(hostile)));
            assert!(read.is_err(), "{hostile:?}");
        }
    }
}
