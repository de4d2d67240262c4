//! A Kubo repository made by hand.

use bytes::Bytes;
use cairn_block::{Block, Cid, codec};
use cairn_dag::dag_pb::{self, PbLink, PbNode};
use multibase::Base;
use rusty_leveldb::{DB, MemEnv, Options, env::Env};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};
use tempfile::TempDir;

/// An Ed25519 identity as Kubo's config holds it: peer ID and private key.
pub(crate) const IDENTITY: (&str, &str) = (
    "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB",
    "CAESQAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
);

/// The repository and what should be found in it.
pub(crate) struct Kubo {
    folder: TempDir,
    blocks: BTreeMap<Vec<u8>, Bytes>,
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Kubo {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubo = Self { folder, blocks: BTreeMap::new(), pairs: BTreeMap::new() };
        let repo = kubo.repo();
        for dir in ["blocks/.temp", "datastore", "keystore"] {
            fs::create_dir_all(repo.join(dir)).unwrap();
        }
        let spec = json!({"type": "mount", "mounts": [
            {"mountpoint": "/blocks", "path": "blocks", "type": "flatfs"},
            {"mountpoint": "/", "path": "datastore", "type": "levelds"},
        ]});
        let config = json!({
            "Identity": {"PeerID": IDENTITY.0, "PrivKey": IDENTITY.1},
            "Addresses": {"Gateway": "/ip4/127.0.0.1/tcp/18080"},
            "Datastore": {"Spec": spec},
        });
        fs::write(repo.join("version"), "15").unwrap();
        fs::write(repo.join("datastore_spec"), spec.to_string()).unwrap();
        fs::write(repo.join("config"), config.to_string()).unwrap();
        fs::write(repo.join("repo.lock"), "").unwrap();
        kubo
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.folder().join("kubo")
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.folder().join("cairn")
    }

    pub(crate) fn block_count(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Adds a directory of files, half of them raw leaves; returns the CIDs of both.
    pub(crate) fn tree(&mut self, name: &str, count: usize) -> (Cid, Vec<Cid>) {
        let mut links = Vec::new();
        let mut leaves = Vec::new();
        for index in 0..count {
            let text = format!("{name} {index}");
            let (codec, data) = if index % 2 == 0 {
                (codec::RAW, text.clone().into_bytes())
            } else {
                // A UnixFS file: its type, and what is in it.
                let content = [&[8, 2, 18, text.len() as u8], text.as_bytes()].concat();
                let node = PbNode { links: Vec::new(), data: Some(content.into()) };
                (codec::DAG_PB, dag_pb::encode(&node))
            };
            let len = data.len() as u64;
            let cid = self.block(codec, data);
            links.push(PbLink::new(format!("{index:05}"), cid.clone(), len));
            leaves.push(cid);
        }
        let node = PbNode { links, data: Some(Bytes::from_static(&[8, 1])) };
        (self.block(codec::DAG_PB, dag_pb::encode(&node)), leaves)
    }

    fn block(&mut self, codec: u64, data: Vec<u8>) -> Cid {
        let block = Block::sha2_256(codec, data.into());
        let (cid, data) = block.into_parts();
        self.blocks.insert(cid.multihash().to_bytes(), data);
        cid
    }

    /// Pins `cid`, with 0 as mode recursively, with 1 directly.
    pub(crate) fn pin(&mut self, cid: &Cid, mode: u8, name: &str) {
        let text = |text: &str| [&[0x60 | text.len() as u8], text.as_bytes()].concat();
        let bytes = cid.to_bytes();
        let mut record = vec![if name.is_empty() { 0xa2 } else { 0xa3 }];
        record.extend([text("cid"), vec![0x58, bytes.len() as u8], bytes].concat());
        record.extend([text("mode"), vec![mode]].concat());
        if !name.is_empty() {
            record.extend([text("name"), text(name)].concat());
        }
        let id = format!("{}-{mode}", self.pairs.len());
        self.pin_record(&id, record);
    }

    pub(crate) fn pin_record(&mut self, id: &str, record: Vec<u8>) {
        self.pairs.insert(format!("/pins/pin/{id}").into_bytes(), record);
        self.pairs.insert(format!("/pins/index/cidRindex/u{id}/u").into_bytes(), Vec::new());
    }

    pub(crate) fn mfs(&mut self, root: &Cid) {
        self.pairs.insert(b"/local/filesroot".to_vec(), root.to_bytes());
    }

    pub(crate) fn key(&self, name: &str, bytes: &[u8]) {
        fs::write(self.repo().join("keystore").join(name), bytes).unwrap();
    }

    /// Writes blocks and database as they are now.
    pub(crate) fn write(&self) {
        for (hash, data) in &self.blocks {
            let path = self.path_of(hash);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, data).unwrap();
        }
        let dir = self.repo().join("datastore");
        fs::remove_dir_all(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        let env: Rc<Box<dyn Env>> = Rc::new(Box::new(MemEnv::new()));
        let options = Options { env: Rc::clone(&env), ..Options::default() };
        let mut db = DB::open("db", options).unwrap();
        for (key, value) in &self.pairs {
            db.put(key, value).unwrap();
        }
        db.close().unwrap();
        drop(db);
        for path in env.children(Path::new("db")).unwrap() {
            let name = path.file_name().unwrap();
            let mut file = env.open_sequential_file(&Path::new("db").join(name)).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            fs::write(dir.join(name), bytes).unwrap();
        }
    }

    pub(crate) fn block_path(&self, cid: &Cid) -> PathBuf {
        self.path_of(&cid.multihash().to_bytes())
    }

    fn path_of(&self, hash: &[u8]) -> PathBuf {
        let name = Base::Base32Upper.encode(hash);
        let shard = &name[name.len() - 3..name.len() - 1];
        self.repo().join("blocks").join(shard).join(format!("{name}.data"))
    }

    /// Every file of the repository with its bytes and the time of its last change.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, (std::time::SystemTime, Option<Vec<u8>>)> {
        let mut files = BTreeMap::new();
        let mut open = vec![self.repo()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                if path.is_dir() {
                    open.push(path.clone());
                    files.insert(path, (modified, None));
                } else {
                    let bytes = fs::read(&path).unwrap();
                    files.insert(path, (modified, Some(bytes)));
                }
            }
        }
        files
    }
}
