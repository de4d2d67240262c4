//! Writes the samples to a directory and prints the CIDs that this project gives them.
//!
//! `samples DIR` makes `DIR/NAME/…` for each sample and prints `NAME CID` a line: CIDv0, 256 KiB
//! chunks, UnixFS leaves. Adding each directory with a real Kubo must give the same table.

use cairn_chunk::ChunkSpec;
use cairn_testkit::{TreeKind, import, samples};
use cairn_unixfs::Options;
use std::{error::Error, fs, io::Write as _, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("usage: samples DIR")?;
    let directory = PathBuf::from(directory);
    let mut out = std::io::stdout().lock();
    for sample in samples() {
        let root = directory.join(&sample.name);
        fs::create_dir_all(&root)?;
        for entry in &sample.entries {
            let path = root.join(&entry.path);
            match &entry.kind {
                TreeKind::Directory => fs::create_dir(&path)?,
                TreeKind::File(data) => fs::write(&path, data)?,
                TreeKind::Symlink(target) => std::os::unix::fs::symlink(target, &path)?,
            }
        }
        let imported = import(&sample.entries, ChunkSpec::default(), &Options::default())?;
        writeln!(out, "{} {}", sample.name, imported.root.cid)?;
    }
    Ok(())
}
