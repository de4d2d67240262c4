//! The DHT's messages as bytes.
//!
//! Spec: IPFS Kademlia DHT, "RPC Messages", pinned in `spec/PINS.toml`.
//! Invariants: a message is at most [`REQUEST_LEN_MAX`] or [`ANSWER_LEN_MAX`] bytes, which is
//! looked at before anything is allocated for it; what does not parse ends its stream.
//! Not here: what messages mean (`server.rs`, `lookup.rs`).

use super::scope::{Contact, Scope};
use crate::{Multiaddr, PeerId};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use prost::Message as _;
use std::io;

/// Longest request taken from a peer, in bytes: a record and its frame.
pub(crate) const REQUEST_LEN_MAX: usize = 32 * 1024;

/// Longest answer taken from a peer, in bytes.
pub(crate) const ANSWER_LEN_MAX: usize = 256 * 1024;

/// Longest key, in bytes: `/ipns/` and a long multihash.
pub(crate) const KEY_LEN_MAX: usize = 80;

/// Peers of one list in an answer that are looked at.
const LIST_MAX: usize = 128;

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Kind {
    PutValue = 0,
    GetValue = 1,
    AddProvider = 2,
    GetProviders = 3,
    FindNode = 4,
    Ping = 5,
}

/// A request or its answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(enumeration = "Kind", tag = "1")]
    pub(crate) kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) key: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub(crate) record: Option<Record>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) closer: Vec<Peer>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) providers: Vec<Peer>,
}

/// A value with its key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Record {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(crate) received: String,
}

/// A peer and its addresses.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Peer {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) addrs: Vec<Vec<u8>>,
    #[prost(int32, tag = "3")]
    pub(crate) connection: i32,
}

impl Message {
    /// A request about `key`.
    pub(crate) fn ask(kind: Kind, key: &[u8]) -> Self {
        Self { kind: kind.into(), key: key.to_vec(), ..Self::default() }
    }

    /// The announcement that `own` has what `key` names.
    pub(crate) fn add_provider(key: &[u8], own: &Contact) -> Self {
        let providers = vec![Peer::from(own)];
        Self { providers, ..Self::ask(Kind::AddProvider, key) }
    }

    /// The request to keep a value.
    pub(crate) fn put_value(key: &[u8], value: &[u8]) -> Self {
        Self { record: Some(Record::new(key, value)), ..Self::ask(Kind::PutValue, key) }
    }
}

impl Record {
    pub(crate) fn new(key: &[u8], value: &[u8]) -> Self {
        Self { key: key.to_vec(), value: value.to_vec(), received: String::new() }
    }
}

impl From<&Contact> for Peer {
    fn from(contact: &Contact) -> Self {
        let addrs = contact.addrs.iter().map(Multiaddr::to_vec).collect();
        Self { id: contact.peer.to_bytes(), addrs, connection: 0 }
    }
}

/// The peers of a list that can be read, with the addresses that belong to `scope`.
///
/// A peer without such addresses is there, too, with none.
pub(crate) fn contacts(list: &[Peer], scope: Scope) -> Vec<Contact> {
    let read = |peer: &Peer| {
        let id = PeerId::from_bytes(&peer.id).ok()?;
        let addrs = peer.addrs.iter().filter_map(|addr| Multiaddr::try_from(addr.clone()).ok());
        Some(Contact { peer: id, addrs: scope.filter(addrs) })
    };
    list.iter().take(LIST_MAX).filter_map(read).collect()
}

/// Reads one message with its length before it; `None` at the end of the stream.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    len_max: usize,
) -> io::Result<Option<Message>> {
    let Some(len) = read_len(stream).await? else { return Ok(None) };
    if len > len_max {
        let text = format!("a message of {len} bytes, over the limit of {len_max}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    let message = Message::decode(bytes.as_slice());
    let message = message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some(message))
}

async fn read_len(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<usize>> {
    let mut len = 0_usize;
    // Four bytes hold more than the longest message may have.
    for index in 0..4 {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return if index == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        len |= usize::from(byte[0] & 0x7f) << (7 * index);
        if byte[0] & 0x80 == 0 {
            return Ok(Some(len));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the length of a message is too long"))
}

/// Writes one message with its length before it.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &Message,
) -> io::Result<()> {
    stream.write_all(&message.encode_length_delimited_to_vec()).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_LEN_MAX, Kind, Message, Peer, REQUEST_LEN_MAX, contacts, read, write};
    use crate::{PeerId, dht::scope::Contact, dht::scope::Scope};
    use futures::{executor::block_on, io::Cursor};

    #[test]
    fn messages_survive_the_wire() {
        let addrs = vec!["/ip4/8.8.8.8/tcp/4001".parse().unwrap()];
        let own = Contact { peer: PeerId::random(), addrs };
        let sent = [Message::add_provider(b"key", &own), Message::put_value(b"a", b"b")];
        let mut bytes = Vec::new();
        block_on(async {
            for message in &sent {
                write(&mut bytes, message).await.unwrap();
            }
            let mut stream = Cursor::new(bytes);
            for message in &sent {
                let got = read(&mut stream, REQUEST_LEN_MAX).await.unwrap().unwrap();
                assert_eq!(&got, message);
            }
            assert_eq!(read(&mut stream, REQUEST_LEN_MAX).await.unwrap(), None);
        });
        assert_eq!(contacts(&sent[0].providers, Scope::Wan), std::slice::from_ref(&own));
        let nowhere = contacts(&sent[0].providers, Scope::Lan { loopback: true });
        assert_eq!(nowhere, [Contact { addrs: vec![], ..own }]);
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let mut bytes = Vec::new();
        block_on(write(&mut bytes, &Message::ask(Kind::FindNode, b"ab"))).unwrap();
        assert_eq!(bytes, [6, 0x08, 4, 0x12, 2, b'a', b'b']);
    }

    #[test]
    fn lengths_and_lists_that_lie_are_refused_or_cut() {
        let rows: [&[u8]; 5] =
            [&[0xff, 0xff, 0xff, 0xff, 1], &[0xff, 0xff, 0x7f], &[5, 8], &[2, 0xff, 0xff], &[0x80]];
        for bytes in rows {
            let got = block_on(read(&mut Cursor::new(bytes), ANSWER_LEN_MAX));
            assert!(got.is_err(), "{bytes:?}");
        }
        let peer = Peer { id: PeerId::random().to_bytes(), ..Peer::default() };
        assert_eq!(contacts(&vec![peer; 10_000], Scope::Wan).len(), super::LIST_MAX);
        let broken = Peer { id: vec![1, 2, 3], addrs: vec![vec![0xff; 9]], connection: 9 };
        assert!(contacts(&[broken], Scope::Wan).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            if let Ok(Some(message)) = block_on(read(&mut Cursor::new(&bytes), ANSWER_LEN_MAX)) {
                let mut again = Vec::new();
                block_on(write(&mut again, &message)).unwrap();
                let read = block_on(read(&mut Cursor::new(again), ANSWER_LEN_MAX)).unwrap();
                proptest::prop_assert_eq!(read, Some(message));
            }
        }
    }
}
