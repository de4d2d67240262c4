//! A node in a temporary directory, and short ways to call commands on it.

use cairn_node::{AddEntries, AddEntry, InitOptions, Node, OpenOptions};
use cairn_rpc::{Host, Output, Request, RpcError, Text, answers_of, find, start};
use futures::StreamExt as _;
use serde_json::Value;
use tempfile::TempDir;

/// A node that is not connected to anything.
pub(crate) struct Fixture {
    pub(crate) node: Node,
    _home: TempDir,
}

/// What a command gave out.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) values: Vec<Value>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: Text,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let home = TempDir::new().unwrap();
        let mut options = InitOptions::default();
        options.profiles.push("test".to_owned());
        cairn_node::init(home.path(), options).await.unwrap();
        let path = home.path().to_owned();
        let node = Node::open(OpenOptions { path, online: false, pubsub: false }).await.unwrap();
        Self { node, _home: home }
    }

    /// Calls a command with `line`'s words: `name=value` are options, the rest arguments.
    pub(crate) async fn call(&self, path: &str, line: &str) -> Result<Told, RpcError> {
        self.call_with(path, line, None).await
    }

    pub(crate) async fn call_with(
        &self,
        path: &str,
        line: &str,
        files: Option<AddEntries>,
    ) -> Result<Told, RpcError> {
        let command = find(path).unwrap();
        let (options, arguments): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.contains('='));
        let options = options.iter().filter_map(|word| word.split_once('='));
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let request = Request::new(command, arguments, options)?;
        let host = Host { node: Some(self.node.clone()), is_daemon: false };
        let mut render = command.text.map(|text| text(&request));
        let mut answer = start(request, files.map(Into::into), host)?;
        let (mut told, mut parts) = (Told::default(), Vec::new());
        while let Some(output) = answer.next().await {
            match output? {
                Output::Single(json) | Output::Event(json) => {
                    for json in answers_of(&json) {
                        if let Some(render) = &mut render {
                            render.answer(json, &mut told.text)?;
                        }
                        told.values.push(serde_json::from_slice(json)?);
                    }
                }
                Output::Part(json) => parts.extend_from_slice(&json),
                Output::Data(bytes) => told.bytes.extend_from_slice(&bytes),
                Output::Stream(_) => {}
            }
        }
        if !parts.is_empty() {
            if let Some(render) = &mut render {
                render.answer(&parts, &mut told.text)?;
            }
            told.values.push(serde_json::from_slice(&parts)?);
        }
        if let Some(render) = &mut render {
            render.finish(&mut told.text);
        }
        Ok(told)
    }

    /// Adds the little tree; returns its CID.
    pub(crate) async fn add_tree(&self) -> String {
        let told = self.call_with("add", "quieter=true", Some(tree())).await.unwrap();
        told.text.out.trim().to_owned()
    }
}

/// `d` with two files, a link and a directory below.
pub(crate) fn tree() -> AddEntries {
    entries(vec![
        AddEntry::directory("d"),
        AddEntry::file("d/a", &b"a\n"[..]),
        AddEntry::symlink("d/l", "a"),
        AddEntry::directory("d/sub"),
        AddEntry::file("d/sub/b", &b"b\n"[..]),
    ])
}

pub(crate) fn entries(entries: Vec<AddEntry>) -> AddEntries {
    Box::new(entries.into_iter().map(Ok))
}

/// The CID that Kubo gives [`tree`].
pub(crate) const TREE: &str = "QmSQkkEtsqH4ZwKrqgbxxHSF6xohQMU9pBQZAuzjKkEcFr";
/// The CID that Kubo gives `a\n`.
pub(crate) const A: &str = "Qmbvkmk9LFsGneteXk3G7YLqtLVME566ho6ibaQZZVHaC9";
