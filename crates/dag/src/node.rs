//! The data model: what every codec's bytes mean, whatever they look like.
//!
//! Spec: <https://ipld.io/docs/data-model/kinds/>, pinned in `spec/PINS.toml`; the kinds have its
//! names.
//! Invariants: small, since a block of 2 MiB can hold two million of them; as deep as
//! [`NESTING_MAX`] at most where a decoder made it, so that walking it cannot exhaust a stack.
//! Not here: bytes (`codec.rs` and the codecs).

use cairn_block::Cid;

/// Most lists and maps that may stand within each other.
///
/// Source: the limit of go-ipld-prime, by which Kubo reads.
pub const NESTING_MAX: usize = 1024;

/// The largest integer that a block can hold: CBOR's.
pub const INTEGER_MAX: i128 = u64::MAX as i128;

/// The smallest integer that a block can hold: CBOR's.
pub const INTEGER_MIN: i128 = -(u64::MAX as i128) - 1;

/// One value of the data model.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Node {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, from [`INTEGER_MIN`] to [`INTEGER_MAX`].
    Integer(i128),
    /// A number with a fraction; never NaN, never infinite.
    Float(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Node>),
    /// Values by name, in the order of the block; a name stands once.
    Map(Vec<(String, Node)>),
    /// A link to a block.
    Link(Box<Cid>),
}

impl Node {
    /// A link.
    pub fn link(cid: Cid) -> Self {
        Self::Link(Box::new(cid))
    }

    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Link(_) => "link",
        }
    }

    /// What stands under one segment of a path: an entry of a map, or of a list by its number.
    pub fn get(&self, segment: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => {
                entries.iter().find(|(name, _)| name == segment).map(|(_, node)| node)
            }
            Self::List(items) => {
                let canonical = segment == "0" || !segment.starts_with(['0', '+']);
                canonical.then(|| segment.parse().ok().and_then(|index: usize| items.get(index)))?
            }
            _ => None,
        }
    }

    /// The links in it, in order, repeated ones too.
    pub fn links(&self) -> Vec<Cid> {
        let mut links = Vec::new();
        let mut rest = vec![self];
        while let Some(node) = rest.pop() {
            match node {
                Self::Link(cid) => links.push((**cid).clone()),
                Self::List(items) => rest.extend(items.iter().rev()),
                Self::Map(entries) => rest.extend(entries.iter().rev().map(|(_, node)| node)),
                _ => {}
            }
        }
        links
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn is_small() {
        assert_eq!(size_of::<Node>(), 32);
    }

    #[test]
    fn segments_find_entries_and_items() {
        let list = Node::List(vec![Node::Null, Node::Bool(true)]);
        assert_eq!(list.get("1"), Some(&Node::Bool(true)));
        for segment in ["01", "+1", "-1", "2", "", "x", "99999999999999999999"] {
            assert_eq!(list.get(segment), None, "{segment}");
        }
        let map = Node::Map(vec![("0".to_owned(), list.clone())]);
        assert_eq!(map.get("0"), Some(&list));
        assert_eq!(map.get("1"), None);
        assert_eq!(Node::Null.get("0"), None);
    }
}
