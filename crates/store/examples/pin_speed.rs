//! How fast many pins are added to a repository and listed, without anything around the store.
//!
//! Usage: `pin_speed REPOSITORY COUNT`. The repository must be there (`cairn init`) and keeps the
//! pins, so that `cairn pin ls` can be timed on it afterwards; their blocks are not there.
//! Question: what of a listing's time is the database's? Budget: a million pins in a second.

use cairn_block::{Cid, Multihash, codec};
use cairn_runtime::{Clock, RealVfs};
use cairn_store::{OpenOptions, Pin, PinKind, Repo};
use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

/// Pins in one commit.
const BATCH_COUNT: u64 = 50_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().map(PathBuf::from).ok_or("which repository?")?;
    let count: u64 = args.next().ok_or("how many pins?")?.parse()?;
    let clock = Clock::system();
    let repo = Repo::open(Arc::new(RealVfs), &path, OpenOptions::default())?;
    let start = clock.monotonic();
    let mut next = 0;
    while next < count {
        let end = count.min(next + BATCH_COUNT);
        repo.pins().add(&(next..end).map(pin).collect::<Vec<_>>())?;
        next = end;
    }
    report("added", count, clock.monotonic().duration_since(start));
    let start = clock.monotonic();
    let mut listed = 0;
    for page in repo.pins().list(Some(PinKind::Recursive)) {
        listed += page?.len() as u64;
    }
    report("listed", listed, clock.monotonic().duration_since(start));
    Ok(())
}

fn pin(number: u64) -> Pin {
    let hash = Multihash::sha2_256(cairn_hash::sha256(&number.to_le_bytes()));
    let cid = Cid::v1(codec::DAG_PB, hash);
    Pin { cid, kind: PinKind::Recursive, name: String::new(), expires: None }
}

#[expect(clippy::print_stdout, reason = "the figures are for people")]
#[expect(clippy::cast_precision_loss, reason = "the figures are for people")]
fn report(what: &str, count: u64, took: Duration) {
    println!("{what} {count} pins in {took:.2?}, {:.0}/s", count as f64 / took.as_secs_f64());
}
