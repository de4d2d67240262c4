//! Bitswap messages as bytes.
//!
//! Reading cuts blocks out of the received buffer without copying; writing yields chunks, the
//! blocks among them, so that a block's bytes go from the store to the stream as they are.
//!
//! Spec: Bitswap 1.2, "Wire Format", pinned in `spec/PINS.toml`.
//! Invariants: reading never panics, never recurses, and keeps at most [`MESSAGE_ITEMS_MAX`]
//! items; an item with a CID that this node cannot have is left out, the rest counts.
//! Not here: the length before each message (`handler.rs` reads and writes it).

use super::{
    limits::{CID_LEN_MAX, MESSAGE_ITEMS_MAX},
    protocol::Version,
};
use bytes::{Buf as _, Bytes};
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, Version as CidVersion};
use cairn_hash::varint;
use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use thiserror::Error;

/// Why a message was refused. The stream it came on cannot be read further.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    #[error("message is not protobuf: {0}")]
    Protobuf(#[from] DecodeError),
    #[error("message has more than {MESSAGE_ITEMS_MAX} items")]
    TooManyItems,
    #[error("message carries a block of {len} bytes, over the limit of {BLOCK_LEN_MAX}")]
    BlockTooLarge { len: usize },
}

/// Whether a peer wants the bytes, or wants to know whether there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WantKind {
    Block,
    Have,
}

/// One line of a wantlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantEntry {
    pub(crate) cid: Cid,
    pub(crate) priority: i32,
    pub(crate) cancel: bool,
    pub(crate) kind: WantKind,
    pub(crate) send_dont_have: bool,
}

/// A CID without its digest: how a received block is to be hashed and named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Prefix {
    pub(crate) version: CidVersion,
    pub(crate) codec: u64,
    pub(crate) hash_code: u64,
    pub(crate) hash_len: u64,
}

/// What a message said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) wants: Vec<WantEntry>,
    /// Whether `wants` replaces everything wanted before.
    pub(crate) full: bool,
    /// Blocks as received: nothing about them is checked yet.
    pub(crate) blocks: Vec<(Prefix, Bytes)>,
    /// CIDs with whether the peer has them.
    pub(crate) presences: Vec<(Cid, bool)>,
}

/// What a message is to say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) wants: Vec<WantEntry>,
    pub(crate) full: bool,
    pub(crate) blocks: Vec<Block>,
    pub(crate) presences: Vec<(Cid, bool)>,
    pub(crate) pending_len: usize,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireEntry {
    #[prost(bytes = "bytes", tag = "1")]
    block: Bytes,
    #[prost(int32, tag = "2")]
    priority: i32,
    #[prost(bool, tag = "3")]
    cancel: bool,
    #[prost(int32, tag = "4")]
    want_type: i32,
    #[prost(bool, tag = "5")]
    send_dont_have: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireBlock {
    #[prost(bytes = "bytes", tag = "1")]
    prefix: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WirePresence {
    #[prost(bytes = "bytes", tag = "1")]
    cid: Bytes,
    #[prost(int32, tag = "2")]
    kind: i32,
}

const TAG_WANTLIST: u32 = 1;
const TAG_BLOCKS: u32 = 2;
const TAG_PAYLOAD: u32 = 3;
const TAG_PRESENCES: u32 = 4;
const TAG_PENDING_BYTES: u32 = 5;
const TAG_ENTRIES: u32 = 1;
const TAG_FULL: u32 = 2;
const WANT_TYPE_HAVE: i32 = 1;
const PRESENCE_DONT_HAVE: i32 = 1;

impl Prefix {
    /// What a bare block of Bitswap 1.0 is: a CIDv0.
    pub(crate) const V0: Self = Self {
        version: CidVersion::V0,
        codec: cairn_block::codec::DAG_PB,
        hash_code: cairn_hash::code::SHA2_256,
        hash_len: 32,
    };

    fn of(cid: &Cid) -> Self {
        let hash = cid.multihash();
        Self {
            version: cid.version(),
            codec: cid.codec(),
            hash_code: hash.code(),
            hash_len: hash.digest().len() as u64,
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = varint::decode(bytes).ok()?;
        let (codec, rest) = varint::decode(rest).ok()?;
        let (hash_code, rest) = varint::decode(rest).ok()?;
        let (hash_len, rest) = varint::decode(rest).ok()?;
        let version = match version {
            0 => CidVersion::V0,
            1 => CidVersion::V1,
            _ => return None,
        };
        rest.is_empty().then_some(Self { version, codec, hash_code, hash_len })
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8);
        varint::encode(u64::from(self.version == CidVersion::V1), &mut out);
        varint::encode(self.codec, &mut out);
        varint::encode(self.hash_code, &mut out);
        varint::encode(self.hash_len, &mut out);
        out
    }
}

impl Message {
    /// Reads one message; block data stays in `bytes`' buffer.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let mut message = Self::default();
        let mut items = 0;
        while bytes.has_remaining() {
            let (tag, wire_type) = decode_key(&mut bytes)?;
            if !(TAG_WANTLIST..=TAG_PRESENCES).contains(&tag) {
                skip_field(wire_type, tag, &mut bytes, DecodeContext::default())?;
                continue;
            }
            let field = take_field(wire_type, &mut bytes)?;
            count(&mut items)?;
            match tag {
                TAG_WANTLIST => message.read_wantlist(field, &mut items)?,
                TAG_BLOCKS => message.push_block(Some(Prefix::V0), field)?,
                TAG_PAYLOAD => {
                    let block = WireBlock::decode(field)?;
                    message.push_block(Prefix::decode(&block.prefix), block.data)?;
                }
                _ => {
                    let presence = WirePresence::decode(field)?;
                    let cid = read_cid(&presence.cid);
                    let has = presence.kind != PRESENCE_DONT_HAVE;
                    message.presences.extend(cid.map(|cid| (cid, has)));
                }
            }
        }
        Ok(message)
    }

    fn read_wantlist(&mut self, mut bytes: Bytes, items: &mut usize) -> Result<(), WireError> {
        while bytes.has_remaining() {
            let (tag, wire_type) = decode_key(&mut bytes)?;
            match (tag, wire_type) {
                (TAG_ENTRIES, _) => {
                    count(items)?;
                    let entry = WireEntry::decode(take_field(wire_type, &mut bytes)?)?;
                    self.wants.extend(entry.into_entry());
                }
                (TAG_FULL, WireType::Varint) => self.full = decode_varint(&mut bytes)? != 0,
                _ => skip_field(wire_type, tag, &mut bytes, DecodeContext::default())?,
            }
        }
        Ok(())
    }

    fn push_block(&mut self, prefix: Option<Prefix>, data: Bytes) -> Result<(), WireError> {
        if data.len() > BLOCK_LEN_MAX {
            return Err(WireError::BlockTooLarge { len: data.len() });
        }
        self.blocks.extend(prefix.map(|prefix| (prefix, data)));
        Ok(())
    }
}

impl WireEntry {
    fn into_entry(self) -> Option<WantEntry> {
        let kind = if self.want_type == WANT_TYPE_HAVE { WantKind::Have } else { WantKind::Block };
        Some(WantEntry {
            cid: read_cid(&self.block)?,
            priority: self.priority,
            cancel: self.cancel,
            kind,
            send_dont_have: self.send_dont_have,
        })
    }
}

/// A CID that could be asked for; an identity CID never needs to be.
fn read_cid(bytes: &[u8]) -> Option<Cid> {
    if bytes.len() > CID_LEN_MAX {
        return None;
    }
    Cid::from_bytes(bytes).ok().filter(|cid| cid.inlined().is_none())
}

fn count(items: &mut usize) -> Result<(), WireError> {
    *items += 1;
    if *items > MESSAGE_ITEMS_MAX { Err(WireError::TooManyItems) } else { Ok(()) }
}

/// Cuts the next length-delimited field out of `bytes`.
fn take_field(wire_type: WireType, bytes: &mut Bytes) -> Result<Bytes, DecodeError> {
    let mut field = Bytes::new();
    prost::encoding::bytes::merge(wire_type, &mut field, bytes, DecodeContext::default())?;
    Ok(field)
}

impl Outgoing {
    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        !self.full && self.wants.is_empty() && self.blocks.is_empty() && self.presences.is_empty()
    }

    /// About how many bytes this is, for the accounting of what is not yet written.
    pub(crate) fn len(&self) -> usize {
        const ITEM_LEN: usize = 64;
        let items = self.wants.len() + self.presences.len() + self.blocks.len();
        let data: usize = self.blocks.iter().map(|block| block.data().len()).sum();
        data + items * ITEM_LEN
    }

    /// Writes the message with its length in front, as chunks to be written one after another.
    ///
    /// What `version` cannot say is left out.
    pub(crate) fn encode(&self, version: Version) -> Vec<Bytes> {
        let mut chunks = Chunks::default();
        self.encode_wantlist(version, &mut chunks.tail);
        for block in &self.blocks {
            chunks.push_block(block, version);
        }
        if version.has_presence() {
            for (cid, has) in &self.presences {
                let kind = if *has { 0 } else { PRESENCE_DONT_HAVE };
                let presence = WirePresence { cid: cid.to_bytes().into(), kind };
                push_message(TAG_PRESENCES, &presence, &mut chunks.tail);
            }
            let pending = i32::try_from(self.pending_len).unwrap_or(i32::MAX);
            if pending != 0 {
                prost::encoding::int32::encode(TAG_PENDING_BYTES, &pending, &mut chunks.tail);
            }
        }
        chunks.finish()
    }

    fn encode_wantlist(&self, version: Version, out: &mut Vec<u8>) {
        let mut list = Vec::new();
        for want in &self.wants {
            let is_have = want.kind == WantKind::Have;
            if is_have && !version.has_presence() && !want.cancel {
                continue;
            }
            let entry = WireEntry {
                block: want.cid.to_bytes().into(),
                priority: want.priority,
                cancel: want.cancel,
                want_type: i32::from(is_have && version.has_presence()),
                send_dont_have: want.send_dont_have && version.has_presence(),
            };
            push_message(TAG_ENTRIES, &entry, &mut list);
        }
        if self.full {
            prost::encoding::bool::encode(TAG_FULL, &true, &mut list);
        }
        if !list.is_empty() {
            prost::encoding::bytes::encode(TAG_WANTLIST, &list, out);
        }
    }
}

fn push_message(tag: u32, message: &impl prost::Message, out: &mut Vec<u8>) {
    prost::encoding::message::encode(tag, message, out);
}

/// A message under construction: finished chunks, and bytes that still grow.
#[derive(Default)]
struct Chunks {
    done: Vec<Bytes>,
    tail: Vec<u8>,
}

/// Block data shorter than this is copied into the chunk before it: cheaper than a write.
const COPY_LEN_MAX: usize = 4096;

impl Chunks {
    fn push_block(&mut self, block: &Block, version: Version) {
        let data = block.data();
        if version == Version::V1_0 {
            self.push_key(TAG_BLOCKS, data.len());
        } else {
            let prefix = Prefix::of(block.cid()).encode();
            let key_len = 1 + varint::encoded_len(data.len() as u64);
            self.push_key(TAG_PAYLOAD, 2 + prefix.len() + key_len + data.len());
            self.push_key(1, prefix.len());
            self.tail.extend_from_slice(&prefix);
            self.push_key(2, data.len());
        }
        if data.len() <= COPY_LEN_MAX {
            self.tail.extend_from_slice(data);
        } else {
            self.done.push(std::mem::take(&mut self.tail).into());
            self.done.push(data.clone());
        }
    }

    fn push_key(&mut self, tag: u32, len: usize) {
        prost::encoding::encode_key(tag, WireType::LengthDelimited, &mut self.tail);
        varint::encode(len as u64, &mut self.tail);
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.tail.is_empty() {
            self.done.push(self.tail.into());
        }
        let len: usize = self.done.iter().map(Bytes::len).sum();
        let mut head = Vec::with_capacity(varint::VARINT_LEN_MAX);
        varint::encode(len as u64, &mut head);
        match self.done.first_mut() {
            // The first chunk is never a block's data: at least a key stands before that.
            Some(first) => {
                head.extend_from_slice(first);
                *first = head.into();
            }
            None => self.done.push(head.into()),
        }
        self.done
    }
}

#[cfg(test)]
mod tests;
