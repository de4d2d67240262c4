//! Copying from directories made by hand, with everything in them that should not be.

use super::{Copied, Listener, copy, count};
use crate::report::{Event, Loss};
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, Multihash, codec};
use cairn_hash::{code, digest};
use cairn_runtime::RealVfs;
use cairn_store::Store;
use multibase::Base;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

type Losses = Arc<Mutex<BTreeMap<PathBuf, String>>>;

fn listener() -> (Listener, Losses) {
    let losses = Losses::default();
    let told = Arc::clone(&losses);
    let listen = move |event| {
        if let Event::Lost(Loss::Block { path, reason }) = event {
            told.lock().unwrap().insert(path, reason);
        }
    };
    (Arc::new(listen), losses)
}

/// Where a file called `bytes` belongs.
fn place(dir: &Path, bytes: &[u8]) -> PathBuf {
    let name = Base::Base32Upper.encode(bytes);
    let shard = dir.join(&name[name.len() - 3..name.len() - 1]);
    fs::create_dir_all(&shard).unwrap();
    shard.join(format!("{name}.data"))
}

fn store(dir: &Path) -> Store {
    Store::open(Arc::new(RealVfs), dir).unwrap()
}

async fn run(from: &Path, to: &Path) -> (Copied, BTreeMap<PathBuf, String>) {
    let (listener, losses) = listener();
    let store = store(to);
    let copied = copy(from, &store, &listener).await.unwrap();
    store.close().unwrap();
    let losses = losses.lock().unwrap().clone();
    (copied, losses)
}

#[tokio::test]
async fn takes_what_hashes_to_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let mut blocks = Vec::new();
    for index in 0..3_000_usize {
        let hash = [code::SHA2_256, code::SHA2_512, code::BLAKE3][index % 3];
        let data = index.to_string().repeat(index % 100 + 1).into_bytes();
        let block = Block::hash(codec::RAW, hash, data.clone().into()).unwrap();
        // Older formats name blocks by their CID.
        let name = if index % 7 == 0 {
            block.cid().to_bytes()
        } else {
            block.cid().multihash().to_bytes()
        };
        fs::write(place(&from, &name), data).unwrap();
        blocks.push(block);
    }
    let (told, _) = listener();
    assert_eq!(count(&from, &told).await.unwrap().count, 3_000);
    let (copied, losses) = run(&from, &to).await;
    assert_eq!((copied.count, copied.present_count, losses.len()), (3_000, 0, 0));
    let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
    let found = store(&to).read_many(&cids);
    for (block, found) in blocks.iter().zip(found) {
        assert_eq!(found.unwrap().as_ref(), Some(block));
    }
    let (copied, _) = run(&from, &to).await;
    assert_eq!((copied.count, copied.present_count), (0, 3_000), "nothing is copied twice");
}

#[tokio::test]
async fn names_what_it_does_not_take() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let name = |data: &[u8]| digest(code::SHA2_256, data).unwrap().to_bytes();
    let mut expected = BTreeMap::new();
    let mut expect = |path: PathBuf, reason: &'static str| expected.insert(path, reason);

    fs::write(place(&from, &name(b"good")), b"good").unwrap();
    let corrupt = place(&from, &name(b"right"));
    fs::write(&corrupt, b"wrong").unwrap();
    expect(corrupt, "corrupt");
    let empty = place(&from, &name(b"was not empty"));
    fs::write(&empty, b"").unwrap();
    expect(empty, "corrupt");
    let long = vec![7; BLOCK_LEN_MAX + 1];
    let too_large = place(&from, &name(&long));
    fs::write(&too_large, &long).unwrap();
    expect(too_large, "over the limit");
    let unknown = place(&from, &Multihash::wrap(0x7777, &[1; 32]).unwrap().to_bytes());
    fs::write(&unknown, b"?").unwrap();
    expect(unknown, "cannot be checked");
    let directory = place(&from, &name(b"directory"));
    fs::create_dir(&directory).unwrap();
    expect(directory, "not a file");
    let linked = place(&from, &name(b"good elsewhere"));
    fs::write(folder.path().join("elsewhere"), b"good elsewhere").unwrap();
    symlink(folder.path().join("elsewhere"), &linked).unwrap();
    expect(linked, "cannot be read");
    let nonsense = from.join("XX/nonsense.data");
    fs::create_dir(from.join("XX")).unwrap();
    fs::write(&nonsense, b"").unwrap();
    expect(nonsense, "not the name of a block");
    let pipe = place(&from, &name(b"pipe"));
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    expect(pipe, "not a file");

    // None of these is a block, and none of them is missed.
    fs::write(
        place(&from, &Multihash::wrap(code::IDENTITY, b"inline").unwrap().to_bytes()),
        b"inline",
    )
    .unwrap();
    fs::write(from.join("SHARDING"), b"/repo/flatfs/shard/v1/next-to-last/2\n").unwrap();
    symlink(&from, from.join("loop")).unwrap();

    let (copied, losses) = run(&from, &to).await;
    assert_eq!(copied.count, 1);
    assert_eq!(copied.loss_count, expected.len() as u64);
    for (path, reason) in &expected {
        let found = losses.get(path).map(String::as_str).unwrap_or_default();
        assert!(found.contains(reason), "{}: {found}", path.display());
    }
    assert_eq!(losses.len(), expected.len(), "{losses:?}");
}
