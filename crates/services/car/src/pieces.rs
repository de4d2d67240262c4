//! One CAR file into several, and several into one.
//!
//! Invariants: blocks keep their order; each piece is a CAR file by itself with the roots of the
//! whole, so that pieces of the same file are the same, and merging them gives the whole back.

use crate::{ArchiveError, BLOCKS_MAX, Key, Output, Source, Stop, Target};
use cairn_block::Cid;
use cairn_dag::car;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// Most files that are merged at once; all are open.
const FILES_MAX: usize = 512;

/// Most pieces.
const PIECES_MAX: usize = 1_000_000;

/// How to split.
#[derive(Debug, Clone)]
pub struct Split {
    /// Most bytes of a piece.
    pub len_max: u64,
    /// What the pieces are called: this, `-0.car`, `-1.car` and so on.
    pub prefix: PathBuf,
    /// Ends it early.
    pub stop: Stop,
}

/// Splits a file; returns the pieces.
///
/// # Errors
///
/// [`ArchiveError::Refused`] for a block that does not fit into a piece. Pieces before the error
/// stay, each one whole.
pub fn split(path: &Path, options: &Split) -> Result<Vec<PathBuf>, ArchiveError> {
    let mut source = Source::open(path)?;
    let roots = source.roots().to_vec();
    let head_len = car::header(&roots).len() as u64;
    let mut pieces = Vec::new();
    let mut piece: Option<(Output, u64)> = None;
    loop {
        let batch = source.next_batch()?;
        if batch.is_empty() {
            break;
        }
        for found in batch {
            let (cid, data) = found.block.into_parts();
            let section_len = (car::section_head(&cid, data.len()).len() + data.len()) as u64;
            if head_len + section_len > options.len_max {
                let reason = format!(
                    "block {cid} in the section at byte {} does not fit into a piece of {} bytes",
                    found.offset, options.len_max
                );
                return Err(ArchiveError::refused(path, reason));
            }
            if let Some((full, _)) = piece.take_if(|(_, len)| *len + section_len > options.len_max)
            {
                full.finish()?;
            }
            let (mut out, len) = match piece.take() {
                Some(piece) => piece,
                None => (begin(path, options, &mut pieces, &roots)?, head_len),
            };
            out.write_block(&cid, &data)?;
            piece = Some((out, len + section_len));
        }
    }
    let last = match piece {
        Some((last, _)) => Some(last),
        None if pieces.is_empty() => Some(begin(path, options, &mut pieces, &roots)?),
        None => None,
    };
    last.map_or(Ok(()), Output::finish)?;
    Ok(pieces)
}

fn begin(
    path: &Path,
    options: &Split,
    pieces: &mut Vec<PathBuf>,
    roots: &[Cid],
) -> Result<Output, ArchiveError> {
    if pieces.len() == PIECES_MAX {
        return Err(ArchiveError::refused(path, format!("more than {PIECES_MAX} pieces")));
    }
    let mut name = options.prefix.clone().into_os_string();
    name.push(format!("-{}.car", pieces.len()));
    let piece = PathBuf::from(name);
    pieces.push(piece.clone());
    Output::create_car(&Target::file(piece, &options.stop), roots)
}

/// Writes the blocks of all files to one, each block once, with the roots of all; returns how many
/// blocks there are.
///
/// # Errors
///
/// [`ArchiveError`]; then nothing is written.
pub fn merge(paths: &[PathBuf], target: &Target) -> Result<u64, ArchiveError> {
    if let Some(path) = paths.get(FILES_MAX) {
        let reason = format!("more than {FILES_MAX} files at once");
        return Err(ArchiveError::refused(path, reason));
    }
    let mut sources = Vec::with_capacity(paths.len());
    let mut roots: Vec<Cid> = Vec::new();
    let mut known = HashSet::new();
    for path in paths {
        let source = Source::open(path)?;
        let new = source.roots().iter().filter(|root| known.insert((*root).clone()));
        roots.extend(new.cloned());
        sources.push(source);
    }
    let head = car::header(&roots);
    if head.len() > car::HEADER_LEN_MAX {
        let reason = "together they have more roots than a header may name";
        return Err(ArchiveError::refused(&paths[0], reason));
    }
    let mut out = Output::create(target)?;
    out.write(&head)?;
    let mut seen: HashSet<Key> = HashSet::new();
    for mut source in sources {
        loop {
            let batch = source.next_batch()?;
            if batch.is_empty() {
                break;
            }
            for found in batch {
                let block = found.block;
                if seen.insert(Key::of(block.cid().multihash())) {
                    out.write_block(block.cid(), block.data())?;
                }
                if seen.len() > BLOCKS_MAX {
                    let reason = format!("more than {BLOCKS_MAX} different blocks");
                    return Err(ArchiveError::refused(source.path(), reason));
                }
            }
        }
    }
    out.finish()?;
    Ok(seen.len() as u64)
}
