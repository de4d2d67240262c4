//! The last stage: builds files and directories, writes blocks, tells what is done.
//!
//! Invariants: an event of an entry below a root is sent after its blocks are written; a root's
//! after they are durable and it is pinned. Blocks of a failed add are garbage, nothing more.
//! Where there is no node, a sink takes the blocks, and nothing is pinned.
//! Not here: how directories grow (`tree.rs`), disk formats (`cairn-store`).

use super::{
    AddEvent, AddSummary,
    build::BlockSink,
    hasher::Hashed,
    plan::Plan,
    reader::Step,
    source::Batches,
    tree::{Done, Sink, Tree, added},
};
use crate::{Node, NodeError, outside::Referent};
use bytes::Bytes;
use cairn_block::{Block, Cid, codec};
use cairn_store::{Pin, PinKind, Reference};
use cairn_unixfs::{Child, FileBuilder, Layout, Metadata, leaf_with_metadata, symlink};
use std::collections::HashMap;
use tokio::sync::mpsc;

/// New blocks of directories that are collected before they are written.
const BLOCK_COUNT_MAX: usize = 1024;

/// Who keeps the blocks.
pub(super) enum Keeper<'a> {
    /// A node, durably.
    Node(&'a Node),
    /// Whoever asked.
    Sink(&'a mut dyn BlockSink),
}

/// Where blocks and events go.
struct Output<'a> {
    keeper: Keeper<'a>,
    plan: &'a Plan,
    events: mpsc::Sender<AddEvent>,
    blocks: Vec<Block>,
    /// Those of `blocks`, by their places, whose bytes stay where they lie.
    references: HashMap<usize, Reference>,
    /// Sent once `blocks` are written.
    held: Vec<AddEvent>,
}

/// A file whose leaves are coming.
struct Open {
    path: String,
    metadata: Metadata,
    balanced: bool,
    builder: FileBuilder,
    referent: Option<Box<Referent>>,
    data_len: u64,
    /// The first leaf of a file with metadata: if it stays the only one, it carries them. Not in
    /// the trickle layout, where there is a root for that.
    first: Option<(Block, Bytes)>,
}

impl Open {
    /// Whether a file of one leaf has metadata and no other node for them.
    fn may_be_single(&self) -> bool {
        self.balanced && !self.metadata.is_empty()
    }
}

struct Writer<'a> {
    output: Output<'a>,
    tree: Tree,
    open: Option<Open>,
    summary: AddSummary,
}

/// Takes everything to its end: written, durable, pinned, told. Blocking.
pub(super) fn run<'a>(
    keeper: Keeper<'a>,
    plan: &'a Plan,
    batches: Batches,
    events: mpsc::Sender<AddEvent>,
) -> Result<AddSummary, NodeError> {
    let _until_pinned = match &keeper {
        Keeper::Node(node) => Some(node.store().lease()),
        Keeper::Sink(_) => None,
    };
    let (blocks, references, held) = (Vec::new(), HashMap::new(), Vec::new());
    let output = Output { keeper, plan, events, blocks, references, held };
    let tree = Tree::new(plan.options.wrap);
    let mut writer = Writer { output, tree, open: None, summary: AddSummary::default() };
    batches.each(plan, |hashed| writer.batch(hashed))?;
    writer.finish()
}

impl Writer<'_> {
    fn batch(&mut self, hashed: Hashed) -> Result<(), NodeError> {
        let mut leaves = hashed.leaves.into_iter();
        for step in hashed.batch.steps {
            match step {
                Step::Directory { path, metadata } => self.tree.directory(&path, metadata)?,
                Step::Symlink { path, target, metadata } => {
                    // As in Kubo, a link has a time but no mode.
                    let metadata = Metadata { mode: None, ..metadata };
                    let block = symlink(&target, &metadata, &self.output.plan.build)?;
                    let child = Child::leaf(block.cid().clone(), 0, block.data().len());
                    self.output.push(block);
                    self.done(&path, Done { child, metadata })?;
                }
                Step::File { path, metadata, referent } => {
                    let builder = FileBuilder::with_metadata(&self.output.plan.build, &metadata);
                    let balanced = self.output.plan.build.layout == Layout::Balanced;
                    let (data_len, first) = (0, None);
                    self.open =
                        Some(Open { path, metadata, balanced, builder, referent, data_len, first });
                }
                Step::Leaf { data, .. } => {
                    let leaf = leaves.next().expect("invariant: a leaf for each step");
                    self.leaf(leaf, || hashed.batch.buffer.slice(data.clone()), data.len())?;
                }
                Step::End => self.end()?,
            }
        }
        if let Some(open) = &self.open {
            self.output.progress(&open.path, open.data_len);
        }
        // Give the buffer back before waiting for whoever takes the events.
        drop(hashed.batch.buffer);
        self.output.write()
    }

    fn leaf(
        &mut self,
        leaf: Block,
        data: impl FnOnce() -> Bytes,
        data_len: usize,
    ) -> Result<(), NodeError> {
        let open = self.open.as_mut().expect("invariant: leaves come within files");
        open.data_len += data_len as u64;
        self.summary.bytes += data_len as u64;
        if open.may_be_single() && open.first.is_none() && open.data_len == data_len as u64 {
            // Not a slice of the buffer: the next batch may be long in coming.
            open.first = Some((leaf, Bytes::copy_from_slice(&data())));
            return Ok(());
        }
        if let Some((first, first_data)) = open.first.take() {
            push_leaf(open, &mut self.output.blocks, first, first_data.len())?;
        }
        if let Some(referent) = &open.referent
            && leaf.cid().inlined().is_none()
        {
            let reference = referent.leaf(open.data_len - data_len as u64, leaf.data())?;
            self.output.references.insert(self.output.blocks.len(), reference);
        }
        push_leaf(open, &mut self.output.blocks, leaf, data_len)
    }

    fn end(&mut self) -> Result<(), NodeError> {
        let mut open = self.open.take().expect("invariant: files begin before they end");
        self.summary.files += 1;
        self.output.progress(&open.path, open.data_len);
        let single = match open.first.take() {
            Some((_, data)) => Some(data),
            None => (open.may_be_single() && open.data_len == 0).then(Bytes::new),
        };
        let child = match single {
            Some(data) => {
                let data_len = data.len();
                let leaf = leaf_with_metadata(data, &open.metadata);
                let block = self.output.plan.build.block(codec::DAG_PB, leaf)?;
                let child = Child::leaf(block.cid().clone(), data_len, block.data().len());
                self.output.push(block);
                child
            }
            None => open.builder.finish(&mut self.output.blocks)?,
        };
        self.done(&open.path, Done { child, metadata: open.metadata })
    }

    fn done(&mut self, path: &str, done: Done) -> Result<(), NodeError> {
        if self.tree.is_top(path) {
            return self.tree.done(path, done);
        }
        let name = if path.is_empty() { done.child.cid.to_string() } else { path.to_owned() };
        let event = added(name, &done);
        self.tree.done(path, done)?;
        self.output.held.push(event);
        Ok(())
    }

    fn finish(mut self) -> Result<AddSummary, NodeError> {
        let plan = self.output.plan;
        let roots = self.tree.finish(plan, &mut self.output)?;
        self.output.write()?;
        let cid = |event: &AddEvent| match event {
            AddEvent::Added { cid, .. } => Some(cid.clone()),
            AddEvent::Progress { .. } => None,
        };
        self.summary.roots = roots.iter().filter_map(cid).collect();
        if let (true, Keeper::Node(node)) = (plan.writes(), &self.output.keeper) {
            if plan.options.pin {
                // One flush makes the blocks durable with it.
                node.pins().add(&pins(&self.summary.roots, &plan.options.pin_name))?;
            } else {
                node.store().flush()?;
            }
            node.announce_roots(&self.summary.roots, plan.options.pin);
        }
        roots.into_iter().try_for_each(|root| self.output.send(root))?;
        Ok(self.summary)
    }
}

fn push_leaf(
    open: &mut Open,
    blocks: &mut Vec<Block>,
    leaf: Block,
    data_len: usize,
) -> Result<(), NodeError> {
    let child = Child::leaf(leaf.cid().clone(), data_len, leaf.data().len());
    blocks.push(leaf);
    Ok(open.builder.push(child, blocks)?)
}

fn pins(roots: &[Cid], name: &str) -> Vec<Pin> {
    let kind = PinKind::Recursive;
    roots
        .iter()
        .map(|cid| Pin { cid: cid.clone(), kind, name: name.to_owned(), expires: None })
        .collect()
}

/// Writes blocks to a node's store, or what refers to them.
fn keep(
    node: &Node,
    plan: &Plan,
    blocks: &[Block],
    references: &HashMap<usize, Reference>,
) -> Result<(), NodeError> {
    let options = &plan.options;
    if options.nocopy || options.fscache {
        node.store().append_referring(blocks, references, options.fscache)?;
    } else {
        node.store().append(blocks)?;
    }
    if node.is_online() {
        let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
        node.announce_local(&cids);
    }
    Ok(())
}

impl Output<'_> {
    fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    fn progress(&mut self, path: &str, bytes: u64) {
        if self.plan.options.progress {
            self.held.push(AddEvent::Progress { name: path.to_owned(), bytes });
        }
    }

    /// Writes what was collected, then tells it.
    fn write(&mut self) -> Result<(), NodeError> {
        if self.events.is_closed() {
            return Err(NodeError::Cancelled);
        }
        let blocks = std::mem::take(&mut self.blocks);
        let references = std::mem::take(&mut self.references);
        if self.plan.writes() && !blocks.is_empty() {
            match &mut self.keeper {
                Keeper::Node(node) => keep(node, self.plan, &blocks, &references)?,
                Keeper::Sink(sink) => sink.blocks(&blocks)?,
            }
        }
        drop(blocks);
        let held = std::mem::take(&mut self.held);
        held.into_iter().try_for_each(|event| self.send(event))
    }

    fn send(&mut self, event: AddEvent) -> Result<(), NodeError> {
        self.events.blocking_send(event).map_err(|_| NodeError::Cancelled)
    }
}

impl Sink for Output<'_> {
    fn blocks(&mut self, blocks: &mut Vec<Block>) -> Result<(), NodeError> {
        self.blocks.append(blocks);
        if self.blocks.len() >= BLOCK_COUNT_MAX { self.write() } else { Ok(()) }
    }

    fn event(&mut self, event: AddEvent) -> Result<(), NodeError> {
        self.held.push(event);
        Ok(())
    }
}
