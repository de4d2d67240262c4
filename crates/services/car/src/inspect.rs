//! What is in a CAR file, and whether it is what it says.
//!
//! Invariant: an inspection without `full` reads heads only and says nothing about blocks.
//! Not here: writing an index (`index.rs`).

use crate::{ArchiveError, BLOCKS_MAX, Key, Source, index};
use cairn_block::{Block, Cid};
use cairn_dag::{CarError, car::V2Header, links};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

/// Most roots whose presence is looked for one by one; a header has no more.
const ROOTS_MAX: usize = 65_536;

/// Shortest, longest and sum of some lengths, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lens {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// All together.
    pub sum: u64,
}

impl Lens {
    fn add(&mut self, len: u64, is_first: bool) {
        self.min = if is_first { len } else { self.min.min(len) };
        self.max = self.max.max(len);
        self.sum += len;
    }
}

/// What a file holds.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Inspection {
    /// The header of version 2, if it has one.
    pub v2: Option<V2Header>,
    /// The code of the index's format, if there is one.
    pub index_codec: Option<u64>,
    /// The roots that the header names.
    pub roots: Vec<Cid>,
    /// Those of them whose blocks are not in the file.
    pub absent_roots: Vec<Cid>,
    /// How many sections there are.
    pub block_count: u64,
    /// The lengths of blocks.
    pub block_lens: Lens,
    /// The lengths of CIDs.
    pub cid_lens: Lens,
    /// Sections by the codec of their CIDs.
    pub codecs: BTreeMap<u64, u64>,
    /// Sections by the hash function of their CIDs.
    pub hashes: BTreeMap<u64, u64>,
    /// What only reading the blocks tells.
    pub full: Option<Full>,
}

/// What the blocks themselves tell; that they are here says that each hashes to its CID.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Full {
    /// Blocks that stand there more than once.
    pub repeated_count: u64,
    /// Blocks that others link to and that are not in the file.
    pub missing_count: u64,
    /// One of them.
    pub missing: Option<Cid>,
    /// Records of the index, each of which leads to its section; `None` without an index, or for
    /// one of a format that is not known.
    pub index_count: Option<u64>,
}

/// Reads a file through; with `full`, its blocks are hashed, too, their links followed, and the
/// index checked.
///
/// # Errors
///
/// [`ArchiveError`] for a file that is no CAR file to its end, and for a block that is not what its
/// CID says.
pub fn inspect(path: &Path, full: bool) -> Result<Inspection, ArchiveError> {
    let mut source = Source::open(path)?;
    let roots = source.roots().to_vec();
    let mut found = Inspection { v2: source.v2(), roots: roots.clone(), ..Inspection::default() };
    let mut absent: HashSet<Cid> = roots.iter().take(ROOTS_MAX).cloned().collect();
    absent.retain(|root| root.inlined().is_none());
    if full {
        found.full = Some(read_blocks(&mut source, &mut found, &mut absent)?);
    } else {
        while let Some(section) = source.next_section()? {
            absent.remove(&section.cid);
            found.count(&section.cid, section.data_len);
        }
    }
    found.absent_roots = roots.into_iter().filter(|root| absent.contains(root)).collect();
    if path != Path::new("-")
        && let Some(v2) = found.v2.filter(|v2| v2.index_offset > 0)
    {
        let identity = found.hashes.get(&cairn_hash::code::IDENTITY).copied().unwrap_or(0);
        let checked = index::Check { path, v2, count: found.block_count - identity, full };
        let (codec, count) = checked.run()?;
        found.index_codec = Some(codec);
        if let Some(full) = &mut found.full {
            full.index_count = count;
        }
    }
    Ok(found)
}

/// Checks a file: every block hashes to its CID, every root is there, and an index leads to every
/// block.
///
/// # Errors
///
/// [`ArchiveError`] for the first thing that is not so.
pub fn verify(path: &Path) -> Result<Inspection, ArchiveError> {
    let found = inspect(path, true)?;
    match found.absent_roots.first() {
        Some(root) => Err(ArchiveError::refused(path, format!("root {root} is not in it"))),
        None => Ok(found),
    }
}

impl Inspection {
    fn count(&mut self, cid: &Cid, data_len: usize) {
        let is_first = self.block_count == 0;
        self.block_count += 1;
        self.block_lens.add(data_len as u64, is_first);
        self.cid_lens.add(cid.encoded_len() as u64, is_first);
        *self.codecs.entry(cid.codec()).or_default() += 1;
        *self.hashes.entry(cid.multihash().code()).or_default() += 1;
    }
}

/// Hashes all blocks and looks where their links lead.
fn read_blocks(
    source: &mut Source,
    found: &mut Inspection,
    absent: &mut HashSet<Cid>,
) -> Result<Full, ArchiveError> {
    let mut seen: HashSet<Key> = HashSet::new();
    let mut wanted: HashMap<Key, Cid> = HashMap::new();
    let mut full = Full::default();
    loop {
        let batch = source.next_batch()?;
        if batch.is_empty() {
            break;
        }
        for part in batch {
            let cid = part.block.cid();
            absent.remove(cid);
            found.count(cid, part.block.data().len());
            let key = Key::of(cid.multihash());
            if !seen.insert(key) {
                full.repeated_count += 1;
                continue;
            }
            wanted.remove(&key);
            for link in links_of(source, &part.block, part.offset)? {
                let key = Key::of(link.multihash());
                if link.inlined().is_none() && !seen.contains(&key) {
                    wanted.entry(key).or_insert(link);
                }
            }
        }
        if seen.len() + wanted.len() > BLOCKS_MAX {
            let reason = format!("it has more than {BLOCKS_MAX} blocks and links");
            return Err(ArchiveError::refused(source.path(), reason));
        }
    }
    full.missing_count = wanted.len() as u64;
    full.missing = wanted.into_values().min_by_key(Cid::to_bytes);
    Ok(full)
}

/// The links of a block; none of one whose codec is not known here.
fn links_of(source: &Source, block: &Block, offset: u64) -> Result<Vec<Cid>, ArchiveError> {
    match links(block) {
        Ok(links) => Ok(links),
        Err(cairn_dag::DagError::Unsupported { .. }) => Ok(Vec::new()),
        Err(error) => Err(source.broken(CarError::Block { offset, reason: error.to_string() })),
    }
}
