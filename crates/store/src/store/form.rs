//! In what form the blocks of an append are kept: as they are, compressed, or by reference.
//!
//! All of it is decided and made before the writer lock is taken.
//!
//! Not here: whether what is there already will do (`writer.rs`), how frames and references look
//! (`encoding.rs`, `reference.rs`).

use super::{
    Inner,
    encoding::{Payload, REFERENCE},
    read::Located,
    reference::Reference,
};
use cairn_block::Block;
use std::collections::HashMap;

/// How one block of an append is to be kept.
#[derive(Debug)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// As this zstd frame.
    Frame(Vec<u8>),
    /// As a reference, by this description.
    Reference(Vec<u8>),
    /// As the reference that is there, which gives the block.
    AsItIs,
}

impl Form {
    /// What its record holds.
    pub(super) fn payload<'a>(&'a self, block: &'a Block) -> Payload<'a> {
        let len = block.data().len();
        match self {
            Self::Plain | Self::AsItIs => Payload::plain(block.data()),
            Self::Frame(frame) => Payload::zstd(frame, len),
            Self::Reference(description) => Payload::reference(description, len),
        }
    }
}

/// References for some blocks of an append, by their places, and whether those that are there
/// are good enough for the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outside<'a> {
    pub(super) references: &'a HashMap<usize, Reference>,
    pub(super) accepts: bool,
}

impl Inner {
    /// How each of `blocks` is to be kept; where it is not said, as it is. Reads what is referred
    /// to, without any lock.
    pub(super) fn forms(&self, blocks: &[Block], outside: Option<Outside<'_>>) -> Vec<Form> {
        let mut forms = self.compress(blocks, outside);
        if let Some(outside) = outside {
            self.refer(blocks, outside, &mut forms);
        }
        forms
    }

    /// Compresses those blocks that are new and worth it; empty if that is off.
    fn compress(&self, blocks: &[Block], outside: Option<Outside<'_>>) -> Vec<Form> {
        if !self.compressor.is_on() {
            return Vec::new();
        }
        let index = self.index();
        let is_new = |(at, block): &(usize, &Block)| {
            let hash = block.cid().multihash();
            // A wrong answer costs a compression, or leaves one out.
            block.cid().inlined().is_none()
                && outside.is_none_or(|outside| !outside.references.contains_key(at))
                && matches!(index.find(index.fingerprint(hash), None), Ok(None))
        };
        let new = blocks.iter().enumerate();
        let new = new.map(|numbered| is_new(&numbered).then_some(&numbered.1.data()[..]));
        let frames = self.compressor.compress(new).into_iter();
        frames.map(|frame| frame.map_or(Form::Plain, Form::Frame)).collect()
    }

    /// Decides which blocks are kept by reference.
    fn refer(&self, blocks: &[Block], outside: Outside<'_>, forms: &mut Vec<Form>) {
        forms.resize_with(blocks.len(), || Form::Plain);
        for (at, (block, form)) in blocks.iter().zip(forms).enumerate() {
            if let Some(reference) = outside.references.get(&at) {
                *form = Form::Reference(reference.encode());
            } else if outside.accepts && self.is_referred(block) {
                *form = Form::AsItIs;
            }
        }
    }

    /// Whether the block is kept by a reference that gives it.
    fn is_referred(&self, block: &Block) -> bool {
        let located = self.with_index(|index| self.locate(index, block.cid().multihash()));
        let is_reference =
            matches!(&located, Ok(Located::Here { record, .. }) if record.flags == REFERENCE);
        is_reference
            && self
                .read_many(std::slice::from_ref(block.cid()))
                .iter()
                .all(|read| read.as_ref().is_ok_and(|read| read.as_ref() == Some(block)))
    }
}
