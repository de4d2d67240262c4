//! A node with content, and a gateway in front of it on a port of its own.

use crate::client::{self, Answer};
use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, Cid};
use cairn_node::{Fetch, InitOptions, Node, OpenOptions};
use cairn_unixfs::{
    Child, DirectoryBuilder, FileBuilder, Metadata, Options, leaf, leaf_codec, leaf_with_metadata,
    symlink,
};
use hyper::Method;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Small leaves, so that short files have many.
pub(crate) const LEAF_LEN: usize = 1000;

pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinSet<Result<(), cairn_gateway::GatewayError>>,
    _repo: tempfile::TempDir,
}

impl Site {
    /// A site whose `Gateway` settings are these.
    pub(crate) async fn start(gateway: Value) -> Self {
        Self::start_with(gateway, false).await
    }

    /// The same with a network of nobody else, on loopback.
    pub(crate) async fn start_online(gateway: Value) -> Self {
        Self::start_with(gateway, true).await
    }

    async fn start_with(gateway: Value, online: bool) -> Self {
        let repo = tempfile::tempdir().expect("a directory");
        let node = open_node(repo.path(), gateway, online).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let shutdown = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(cairn_gateway::serve(listener, node.clone(), shutdown.clone()));
        Self { node, address, shutdown, server, _repo: repo }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[]).await
    }

    pub(crate) async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        client::request(self.address, Method::GET, target, headers).await
    }

    pub(crate) async fn head(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        client::request(self.address, Method::HEAD, target, headers).await
    }

    /// Adds a file with raw leaves of [`LEAF_LEN`] bytes.
    pub(crate) async fn file(&self, bytes: &[u8]) -> Child {
        self.file_without(bytes, usize::MAX).await
    }

    /// Adds a file but for one of its leaves.
    pub(crate) async fn file_without(&self, bytes: &[u8], missing: usize) -> Child {
        let options = Options::v1();
        let mut builder = FileBuilder::new(&options);
        let mut blocks = Vec::new();
        for (index, piece) in bytes.chunks(LEAF_LEN).enumerate() {
            let data = leaf(Bytes::copy_from_slice(piece), true);
            let block = options.block(leaf_codec(true), data).expect("a leaf");
            let child = Child::leaf(block.cid().clone(), piece.len(), block.data().len());
            builder.push(child, &mut blocks).expect("push");
            if index != missing {
                blocks.push(block);
            }
        }
        if bytes.is_empty() {
            let block = options.block(leaf_codec(true), Bytes::new()).expect("a leaf");
            builder.push(Child::leaf(block.cid().clone(), 0, 0), &mut blocks).expect("push");
            blocks.push(block);
        }
        let root = builder.finish(&mut blocks).expect("a file");
        self.put(blocks).await;
        root
    }

    /// Adds a file of one node that says when it was changed.
    pub(crate) async fn dated_file(&self, bytes: &'static [u8], metadata: &Metadata) -> Child {
        let data = leaf_with_metadata(Bytes::from_static(bytes), metadata);
        self.node_block(data, bytes.len()).await
    }

    pub(crate) async fn symlink(&self, target: &str) -> Child {
        let block = symlink(target, &Metadata::default(), &Options::v1()).expect("a symlink");
        let child = Child::leaf(block.cid().clone(), target.len(), block.data().len());
        self.put(vec![block]).await;
        child
    }

    /// Adds a directory.
    pub(crate) async fn directory(&self, entries: &[(&str, &Child)]) -> Child {
        self.directory_of(entries, &Options::v1()).await
    }

    pub(crate) async fn directory_of(
        &self,
        entries: &[(&str, &Child)],
        options: &Options,
    ) -> Child {
        let mut builder = DirectoryBuilder::new(options);
        for (name, child) in entries {
            builder.insert((*name).to_owned(), (*child).clone()).expect("insert");
        }
        let mut blocks = Vec::new();
        let root = builder.finish(&mut blocks).expect("a directory");
        self.put(blocks).await;
        root
    }

    /// Adds a block and names it by its codec.
    pub(crate) async fn block(&self, codec: u64, bytes: &[u8]) -> Cid {
        let block = Block::sha2_256(codec, Bytes::copy_from_slice(bytes));
        let cid = block.cid().clone();
        self.put(vec![block]).await;
        cid
    }

    pub(crate) async fn put(&self, blocks: Vec<Block>) {
        self.node.blocks(Fetch::Local).put_many(blocks).await.expect("put");
    }

    async fn node_block(&self, data: Bytes, len: usize) -> Child {
        let block = Options::v1().block(cairn_block::codec::DAG_PB, data).expect("a node");
        let child = Child::leaf(block.cid().clone(), len, block.data().len());
        self.put(vec![block]).await;
        child
    }
}

/// Makes a repository and opens it; online, it knows nobody and listens on loopback only.
async fn open_node(path: &Path, gateway: Value, online: bool) -> Node {
    let path = path.join("repo");
    cairn_node::init(&path, InitOptions::default()).await.expect("a repository");
    let node = Node::open(OpenOptions { path: path.clone(), online: false, pubsub: false })
        .await
        .expect("a node");
    let settings = [
        ("Gateway", gateway),
        ("Bootstrap", json!([])),
        ("Discovery.MDNS.Enabled", json!(false)),
        ("Addresses.Swarm", json!(["/ip4/127.0.0.1/tcp/0"])),
        ("Routing.LoopbackAddressesOnLanDHT", json!(true)),
    ];
    for (key, value) in settings {
        node.config().set(key, value).expect("a setting");
    }
    if !online {
        return node;
    }
    node.shutdown().await.expect("closed");
    drop(node);
    Node::open(OpenOptions { path, online, pubsub: false }).await.expect("a node with a network")
}
