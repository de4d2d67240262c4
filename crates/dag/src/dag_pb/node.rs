//! dag-pb as data, and back.
//!
//! Spec: dag-pb, "Logical Format": a map of `Data` and `Links`, a link one of `Hash`, `Name` and
//! `Tsize`.

use super::{DagPbError, PbLink, PbNode, decode, encode};
use crate::{CodecError, Node};
use bytes::Bytes;

const CODEC: &str = "dag-pb";

/// Reads a block as data.
pub(crate) fn to_node(data: &Bytes) -> Result<Node, CodecError> {
    let node = decode(data)?;
    let links: Result<Vec<Node>, CodecError> = node.links.into_iter().map(link_to_node).collect();
    let mut entries = Vec::new();
    if let Some(data) = node.data {
        entries.push(("Data".to_owned(), Node::Bytes(data.to_vec())));
    }
    entries.push(("Links".to_owned(), Node::List(links?)));
    Ok(Node::Map(entries))
}

fn link_to_node(link: PbLink) -> Result<Node, CodecError> {
    let mut entries = vec![("Hash".to_owned(), Node::link(link.cid))];
    if let Some(name) = link.name {
        let name = String::from_utf8(name.to_vec())
            .map_err(|_| CodecError::form("data", "a link's name is not UTF-8"))?;
        entries.push(("Name".to_owned(), Node::String(name)));
    }
    if let Some(size) = link.size {
        entries.push(("Tsize".to_owned(), Node::Integer(i128::from(size))));
    }
    Ok(Node::Map(entries))
}

/// Writes data as a block, links sorted by name.
pub(crate) fn from_node(node: &Node) -> Result<Vec<u8>, CodecError> {
    let Node::Map(entries) = node else { return refuse(format!("it is a {}", node.kind())) };
    let (mut data, mut links) = (None, None);
    for (name, value) in entries {
        match (name.as_str(), value) {
            ("Data", Node::Bytes(bytes)) => data = Some(Bytes::copy_from_slice(bytes)),
            ("Data", other) => return refuse(format!("Data is a {}, not bytes", other.kind())),
            ("Links", Node::List(items)) => {
                let items: Result<Vec<_>, _> = items.iter().map(link_from_node).collect();
                links = Some(items?);
            }
            ("Links", other) => return refuse(format!("Links is a {}, not a list", other.kind())),
            (other, _) => return refuse(format!("it has no field {other:?}")),
        }
    }
    let Some(mut links) = links else { return refuse("Links is missing".to_owned()) };
    if links.len() > super::LINKS_MAX {
        return Err(DagPbError::TooManyLinks.into());
    }
    // Equal names stay in their order.
    links.sort_by(|a, b| a.name_bytes().cmp(b.name_bytes()));
    Ok(encode(&PbNode { links, data }))
}

fn link_from_node(node: &Node) -> Result<PbLink, CodecError> {
    let Node::Map(entries) = node else {
        return refuse(format!("a link is a {}, not a map", node.kind()));
    };
    let (mut cid, mut link_name, mut size) = (None, None, None);
    for (name, value) in entries {
        match (name.as_str(), value) {
            ("Hash", Node::Link(target)) => cid = Some((**target).clone()),
            ("Name", Node::String(text)) => {
                link_name = Some(Bytes::copy_from_slice(text.as_bytes()));
            }
            ("Tsize", Node::Integer(number)) => match u64::try_from(*number) {
                Ok(number) => size = Some(number),
                Err(_) => return refuse("Tsize is out of range".to_owned()),
            },
            ("Hash" | "Name" | "Tsize", other) => {
                return refuse(format!("{name} is a {}", other.kind()));
            }
            (other, _) => return refuse(format!("a link has no field {other:?}")),
        }
    }
    match cid {
        Some(cid) => Ok(PbLink { cid, name: link_name, size }),
        None => refuse("a link has no Hash".to_owned()),
    }
}

fn refuse<T>(reason: String) -> Result<T, CodecError> {
    Err(CodecError::Form { codec: CODEC, reason })
}
