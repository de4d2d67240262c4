//! How fast the store appends, reads and looks up, beside the file system alone.
//!
//! Run in release: `cargo run --release -p cairn-store --example pack_speed [directory [part]]`,
//! where the parts are `large`, `small`, `lost` and `many`.
//! Questions: does appending cost little more than the page-cache copy (yardstick: the same bytes
//! written to one file); are 20,000 small blocks well under 100 ms; does the index keep over a
//! million inserts a second at 10 million entries (through the store, with 1-byte blocks, so the
//! packs are in these figures too)? Compare runs on one machine only.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use bytes::Bytes;
use cairn_block::{Block, Cid, Multihash, codec};
use cairn_runtime::{Clock, RealVfs};
use cairn_store::Store;
use std::{error::Error, fs, io::Write as _, path::Path, sync::Arc, time::Duration};

const MIB: usize = 1024 * 1024;

type Answer = Result<(), Box<dyn Error>>;

fn main() -> Answer {
    let dir = std::env::args_os().nth(1).unwrap_or_else(|| std::env::temp_dir().into());
    let dir = Path::new(&dir).join(format!("pack_speed-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let only = std::env::args().nth(2);
    let answer = [yardstick, large, yardstick, small, lost, many]
        .into_iter()
        .zip(["yardstick", "large", "yardstick again", "small", "lost", "many"])
        .filter(|(_, name)| only.as_ref().is_none_or(|only| only == name))
        .try_for_each(|(part, name)| {
            let dir = dir.join(name);
            fs::create_dir_all(&dir)?;
            part(&dir)?;
            Ok(fs::remove_dir_all(&dir)?)
        });
    fs::remove_dir_all(&dir)?;
    answer
}

/// Prints wall and CPU time of a piece of work.
fn timed<T>(
    name: &str,
    work: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let clock = Clock::system();
    let (start, cpu) = (clock.monotonic(), cpu_time()?);
    let answer = work()?;
    let (wall, cpu) = (clock.monotonic() - start, cpu_time()?.saturating_sub(cpu));
    println!("{name:<44} {:>9.1} ms wall {:>9.1} ms CPU", ms(wall), ms(cpu));
    Ok(answer)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Time on a processor of the main thread so far, which does all the work here.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/schedstat")?;
    let nanos: u64 = stat.split(' ').next().unwrap_or("0").parse()?;
    Ok(Duration::from_nanos(nanos))
}

/// Memory of this process that is no file's, in MiB.
fn anonymous_mib() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no RssAnon")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Blocks with names that were never computed: hashing is not what is measured here.
fn blocks(first: u64, count: u64, len: usize, data: &Bytes) -> Vec<Block> {
    let block = |number: u64| {
        let cid = named(number);
        let start = (number as usize * 4099) % (data.len() - len + 1);
        Block::verified_before(cid, data.slice(start..start + len))
    };
    (first..first + count).map(block).collect()
}

fn named(number: u64) -> Cid {
    let mut digest = [0; 32];
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number >> 7;
    for chunk in digest.chunks_exact_mut(8) {
        word = (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ number;
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    Cid::v1(codec::RAW, Multihash::sha2_256(digest))
}

fn data(len: usize) -> Bytes {
    (0..len).map(|at| (at * 131 + at / 251) as u8).collect()
}

fn open(dir: &Path) -> Result<Store, Box<dyn Error>> {
    Ok(Store::open(Arc::new(RealVfs), dir)?)
}

fn yardstick(dir: &Path) -> Answer {
    let data = data(64 * MIB);
    let mut file = fs::File::create(dir.join("file"))?;
    timed("yardstick: write 1 GiB to a file", || {
        (0..1024).try_for_each(|at| file.write_all(&data[at % 64 * MIB..][..MIB]))?;
        Ok(())
    })?;
    timed("yardstick: sync it", || Ok(file.sync_data()?))
}

fn large(dir: &Path) -> Answer {
    let data = data(64 * MIB);
    let store = open(dir)?;
    timed("append 1 GiB in 256 KiB blocks", || {
        for first in (0..4096).step_by(64) {
            store.append(&blocks(first, 64, MIB / 4, &data))?;
        }
        Ok(())
    })?;
    timed("  flush", || Ok(store.flush()?))?;
    // Real names this time, since reading checks them.
    let real: Vec<Block> = (0..1024_u32)
        .map(|number| {
            let mut bytes = data.slice(number as usize * 4096..).slice(..MIB / 4).to_vec();
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            Block::sha2_256(codec::RAW, bytes.into())
        })
        .collect();
    store.append(&real)?;
    let cids: Vec<Cid> = real.iter().map(|block| block.cid().clone()).collect();
    for name in ["read 256 MiB, first time (hashed)", "read 256 MiB, again", "read 256 MiB, again"]
    {
        timed(name, || {
            for cids in cids.chunks(16) {
                for answer in store.read_many(cids) {
                    answer?.ok_or("a block is missing")?;
                }
            }
            Ok(())
        })?;
    }
    timed("read 1024 blocks of 256 KiB one by one", || {
        for cid in &cids {
            store.read_many(std::slice::from_ref(cid)).remove(0)?.ok_or("a block is missing")?;
        }
        Ok(())
    })
}

/// A lost index: rebuilt by the footers, and without them.
fn lost(dir: &Path) -> Answer {
    let data = data(8 * MIB);
    let store = open(dir)?;
    timed("append 500,000 blocks of 4 KiB", || {
        for first in (0..500_000).step_by(500) {
            store.append(&blocks(first, 500, 4096, &data))?;
        }
        Ok(store.flush()?)
    })?;
    drop(store);
    for name in ["open without the index", "open without the index and footers"] {
        fs::remove_file(dir.join("index"))?;
        let before = read_len()?;
        let store = timed(name, || open(dir))?;
        println!(
            "  blocks: {}, MB read: {}",
            store.stat()?.block_count,
            (read_len()? - before) / 1_000_000
        );
        drop(store);
        for pack in fs::read_dir(dir.join("blocks"))? {
            let file = fs::OpenOptions::new().write(true).open(pack?.path())?;
            file.set_len(file.metadata()?.len() - 1)?;
        }
    }
    Ok(())
}

/// Bytes that this process has read so far, from the page cache or not.
fn read_len() -> Result<u64, Box<dyn Error>> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(line.ok_or("no rchar")?.parse()?)
}

fn small(dir: &Path) -> Answer {
    let data = data(8 * MIB);
    let store = open(dir)?;
    timed("append 20,000 blocks of 4 KiB", || {
        for first in (0..20_000).step_by(500) {
            store.append(&blocks(first, 500, 4096, &data))?;
        }
        Ok(())
    })?;
    timed("  flush", || Ok(store.flush()?))?;
    timed("append the same again", || {
        for first in (0..20_000).step_by(500) {
            store.append(&blocks(first, 500, 4096, &data))?;
        }
        Ok(())
    })?;
    let more = store.stat()?.disk_len / 20_000 - 4096;
    println!("{more} bytes on disk beyond the data for each block");
    timed("200 times: append one block of 4 KiB, flush", || {
        for number in 0..200 {
            store.append(&blocks(1_000_000 + number, 1, 4096, &data))?;
            store.flush()?;
        }
        Ok(())
    })?;
    timed("  a plain file: 200 times write 4 KiB, sync", || {
        let mut file = fs::File::create(dir.join("file"))?;
        for _ in 0..200 {
            file.write_all(&data[..4096])?;
            file.sync_data()?;
        }
        Ok(())
    })
}

fn many(dir: &Path) -> Answer {
    const COUNT: u64 = 10_000_000;
    let data = data(4096);
    let store = open(dir)?;
    for million in 0..COUNT / 1_000_000 {
        timed(&format!("append 1,000,000 blocks of 1 byte, part {million}"), || {
            for first in (0..1_000_000).step_by(1000) {
                store.append(&blocks(million * 1_000_000 + first, 1000, 1, &data))?;
            }
            Ok(())
        })?;
    }
    timed("  flush and close", || Ok(store.close()?))?;
    println!("{:<44} {:>9.1}", "anonymous memory MiB", anonymous_mib()?);
    let lens = |name: &str, first: u64| {
        let cids: Vec<Cid> = (0..1_000_000).map(|at| named(first + (at * 7_919) % COUNT)).collect();
        let name = format!("{name}: 1,000,000 lengths");
        let found = timed(&name, || Ok(store.lens(&cids)?))?;
        let found = found.iter().flatten().count();
        println!("  of which there were {found}");
        let name = name.replace("lengths", "has");
        let found = timed(&name, || Ok(store.contains(&cids)?))?;
        println!("  of which there were {}", found.iter().filter(|has| **has).count());
        Ok::<_, Box<dyn Error>>(())
    };
    // Each reads its record's header.
    lens("hits", 0)?;
    lens("misses", COUNT * 4)?;
    let index = fs::metadata(dir.join("index"))?.len();
    println!("{:<44} {:>9}", "index bytes a block", index.div_ceil(COUNT));
    drop(store);
    let store = timed("open after a clean end", || open(dir))?;
    store.append(&blocks(COUNT * 9, 1, 1, &data))?;
    store.flush()?;
    // What a killed process leaves: the lock is gone and nothing was closed.
    std::mem::forget(store);
    let store = timed("open after a kill", || open(dir))?;
    timed("list 1,000,000 of them", || {
        store.list().take(1_000_000).try_for_each(|entry| entry.map(drop))?;
        Ok(())
    })?;
    drop(store);
    fs::remove_file(dir.join("index"))?;
    timed("open without an index", || open(dir))?;
    Ok(())
}
