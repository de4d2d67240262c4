//! The nodes without links: leaves of files, and symlinks.
//!
//! A pipeline that reads a file straight into its leaves leaves room in front of the data for
//! [`leaf_prefix`] and behind it for [`leaf_suffix`], so that nothing is copied.

use crate::{Data, DataType, Metadata, Options, UnixfsError};
use bytes::Bytes;
use cairn_block::{Block, codec};
use cairn_dag::{
    dag_pb::{self, PbNode},
    pb,
};

/// Longest [`leaf_prefix`] for data of up to 2 MiB, in bytes.
pub const LEAF_PREFIX_LEN_MAX: usize = 12;

/// Longest [`leaf_suffix`] for data of up to 2 MiB, in bytes.
pub const LEAF_SUFFIX_LEN_MAX: usize = 5;

/// The codec of leaves.
pub fn leaf_codec(raw_leaves: bool) -> u64 {
    if raw_leaves { codec::RAW } else { codec::DAG_PB }
}

/// Returns what stands before `data_len` bytes of file in a leaf that is not raw.
///
/// `kind` is what [`Options::leaf_type`] says.
pub fn leaf_prefix(kind: DataType, data_len: usize) -> Vec<u8> {
    let number_len = 1 + pb::varint_len(data_len as u64);
    let data_field_len = if data_len == 0 { 0 } else { number_len + data_len };
    let mut out = Vec::with_capacity(LEAF_PREFIX_LEN_MAX);
    pb::put_len(&mut out, 1, 2 + data_field_len + number_len);
    pb::put_uint(&mut out, 1, kind as u64);
    if data_len > 0 {
        pb::put_len(&mut out, 2, data_len);
    }
    out
}

/// Returns what stands after `data_len` bytes of file in a leaf that is not raw.
pub fn leaf_suffix(data_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(LEAF_SUFFIX_LEN_MAX);
    pb::put_uint(&mut out, 3, data_len as u64);
    out
}

/// Returns a leaf's bytes in the balanced layout; a raw one's are `data` itself.
///
/// The same for a file of one leaf, an empty file included: a file of one leaf is that leaf.
pub fn leaf(data: Bytes, raw_leaves: bool) -> Bytes {
    if raw_leaves { data } else { wrapped(DataType::File, &data) }
}

/// Returns a leaf's bytes as `options` ask for.
pub fn leaf_of(data: Bytes, options: &Options) -> Bytes {
    if options.raw_leaves { data } else { wrapped(options.leaf_type(), &data) }
}

fn wrapped(kind: DataType, data: &[u8]) -> Bytes {
    let mut out = leaf_prefix(kind, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(&leaf_suffix(data.len()));
    out.into()
}

/// Returns the bytes of a file of one leaf that carries `metadata`; never a raw leaf.
pub fn leaf_with_metadata(data: Bytes, metadata: &Metadata) -> Bytes {
    let mut message = Data::new(DataType::File).with_metadata(metadata);
    message.filesize = Some(data.len() as u64);
    message.data = Some(data).filter(|data| !data.is_empty());
    wrap(&message)
}

/// Makes a symlink to `target`.
///
/// # Errors
///
/// [`UnixfsError::Digest`] if the hash function is not supported.
pub fn symlink(target: &str, metadata: &Metadata, options: &Options) -> Result<Block, UnixfsError> {
    let mut message = Data::new(DataType::Symlink).with_metadata(metadata);
    message.data = Some(Bytes::copy_from_slice(target.as_bytes()));
    options.block(codec::DAG_PB, wrap(&message))
}

/// A dag-pb node that has only this message.
fn wrap(message: &Data) -> Bytes {
    dag_pb::encode(&PbNode { links: Vec::new(), data: Some(message.encode().into()) }).into()
}
