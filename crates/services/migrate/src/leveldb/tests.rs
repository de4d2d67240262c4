//! The reader on databases that another implementation has written, whole and damaged.

use super::{Bytes, LevelDb, log, manifest, table};
use crate::MigrateError;
use proptest::prelude::*;
use rusty_leveldb::{DB, MemEnv, Options, env::Env};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

const PREFIXES: &[&[u8]] = &[b"/pins/", b"/local/"];

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// How a database is written.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// 0 none, 1 snappy.
    compressor: u8,
    /// Bytes in the log before they become a table.
    buffer_len: usize,
    /// Bytes of a table before the next is begun.
    table_len: usize,
}

const IN_LOG: Shape = Shape { compressor: 0, buffer_len: 1 << 22, table_len: 1 << 21 };
const IN_TABLES: Shape = Shape { compressor: 0, buffer_len: 1 << 14, table_len: 1 << 14 };
const COMPRESSED: Shape = Shape { compressor: 1, ..IN_TABLES };

/// Writes `count` changes, some of the same keys, some deletions; returns what is left of them.
fn write(dir: &Path, shape: Shape, count: usize) -> Pairs {
    let shared: Rc<Box<dyn Env>> = Rc::new(Box::new(MemEnv::new()));
    let options = Options {
        env: Rc::clone(&shared),
        compressor: shape.compressor,
        write_buffer_size: shape.buffer_len,
        max_file_size: shape.table_len,
        ..Options::default()
    };
    let mut pairs = Pairs::new();
    let mut db = DB::open("db", options).unwrap();
    for change in 0..count {
        let prefix =
            ["/pins/pin/", "/pins/index/", "/local/", "/other/", "/providers/"][change % 5];
        let key = format!("{prefix}{:05}", change * 7919 % (count / 2 + 1)).into_bytes();
        if change % 11 == 3 {
            db.delete(&key).unwrap();
            pairs.remove(&key);
        } else {
            let value = format!("{change} ").repeat(change % 40).into_bytes();
            db.put(&key, &value).unwrap();
            pairs.insert(key, value);
        }
    }
    db.close().unwrap();
    drop(db);
    for name in shared.children(Path::new("db")).unwrap() {
        let name = name.file_name().unwrap().to_owned();
        let mut bytes = Vec::new();
        let mut file = shared.open_sequential_file(&Path::new("db").join(&name)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        fs::write(dir.join(name), bytes).unwrap();
    }
    pairs
}

fn with_prefix(pairs: &Pairs, prefix: &[u8]) -> Pairs {
    let pairs = pairs.iter().filter(|(key, _)| key.starts_with(prefix));
    pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn read(dir: &Path, prefix: &[u8]) -> Result<(Pairs, bool), MigrateError> {
    let db = LevelDb::open(dir, PREFIXES)?;
    let mut found = Pairs::new();
    let mut scan = db.scan(prefix);
    while let Some((key, value)) = scan.next()? {
        assert!(found.insert(key, value).is_none(), "a key comes once");
    }
    Ok((found, db.torn().is_some()))
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn count_with(dir: &Path, extension: &str) -> usize {
    files(dir)
        .keys()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .count()
}

#[test]
fn reads_what_another_wrote_and_writes_nothing() {
    for (shape, count) in [(IN_LOG, 500), (IN_TABLES, 20_000), (COMPRESSED, 20_000)] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let pairs = write(dir, shape, count);
        let tables = count_with(dir, "ldb") + count_with(dir, "sst");
        assert_eq!(tables > 10, shape.buffer_len < 1 << 20, "{tables} tables, {shape:?}");
        let before = files(dir);
        for prefix in ["/pins/pin/", "/pins/", "/local/", "/pins/pin/0001", "/nothing/"] {
            let (found, torn) = read(dir, prefix.as_bytes()).unwrap();
            assert_eq!(found, with_prefix(&pairs, prefix.as_bytes()), "{prefix} {shape:?}");
            assert!(!torn);
        }
        let db = LevelDb::open(dir, PREFIXES).unwrap();
        let (key, value) = pairs.iter().find(|(key, _)| key.starts_with(b"/local/")).unwrap();
        assert_eq!(db.get(key).unwrap().as_ref(), Some(value));
        assert_eq!(db.get(&key[..key.len() - 1]).unwrap(), None, "a key is not a prefix");
        assert!(files(dir) == before, "the files are as they were");
    }
}

#[test]
fn a_log_that_is_cut_off_keeps_what_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let pairs = write(dir, IN_LOG, 300);
    let log = files(dir).into_keys().find(|path| path.extension().is_some_and(|e| e == "log"));
    let log = log.unwrap();
    let bytes = fs::read(&log).unwrap();
    let mut counts = Vec::new();
    for len in (0..bytes.len()).step_by(97).chain([bytes.len()]) {
        fs::write(&log, &bytes[..len]).unwrap();
        counts.push(read(dir, b"/pins/").unwrap().0.len());
    }
    assert_eq!(counts.first(), Some(&0));
    assert_eq!(counts.last(), Some(&with_prefix(&pairs, b"/pins/").len()));
}

#[test]
fn a_database_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let refused = |said: &str| {
        let error = read(dir, b"/pins/").unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    refused("CURRENT");
    for current in ["", "../MANIFEST-1\n", "MANIFEST-../../x\n"] {
        fs::write(dir.join("CURRENT"), current).unwrap();
        refused("names no manifest");
    }
    fs::write(dir.join("CURRENT"), "MANIFEST-000001\n").unwrap();
    refused("MANIFEST-000001");
    for manifest in [vec![], vec![0; 100], vec![0xff; 40_000]] {
        fs::write(dir.join("MANIFEST-000001"), manifest).unwrap();
        refused("MANIFEST-000001 is damaged");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever bit is wrong: the answer is right, or it is refused, or said to be cut off.
    #[test]
    fn a_wrong_bit_is_noticed(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        thread_local! {
            static DATABASE: (tempfile::TempDir, Pairs, BTreeMap<PathBuf, Vec<u8>>) = {
                let folder = tempfile::tempdir().unwrap();
                let pairs = write(folder.path(), COMPRESSED, 3_000);
                let files = files(folder.path());
                (folder, pairs, files)
            };
        }
        DATABASE.with(|(folder, pairs, files)| {
            let (path, bytes) = file.get(&files.iter().collect::<Vec<_>>()).to_owned();
            if bytes.is_empty() {
                return Ok(());
            }
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= 1_u8 << bit;
            fs::write(path, changed).unwrap();
            let answer = read(folder.path(), b"/pins/");
            fs::write(path, bytes).unwrap();
            if let Ok((found, false)) = answer {
                prop_assert_eq!(found, with_prefix(pairs, b"/pins/"));
            }
            Ok(())
        })?;
    }
}

proptest! {
    /// Bytes whose checksums are right but which make no sense end in a refusal.
    #[test]
    fn garbage_is_refused_or_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(log::batch(&bytes));
        let mut version = manifest::Version::default();
        let whole = version.apply(Bytes(&bytes)).is_some();
        prop_assert!(whole || !bytes.is_empty());
        prop_assert!(version.into_runs().len() <= bytes.len());
        let mut steps = 0;
        if let Some(mut block) = table::BlockCursor::new(bytes.clone()) {
            while let Ok(Some(value)) = block.next() {
                prop_assert!(value.end <= bytes.len());
                steps += 1;
            }
        }
        prop_assert!(steps <= bytes.len(), "every entry takes bytes");
    }
}
