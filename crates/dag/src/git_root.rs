//! The root of a git repository as blocks: where its branches and tags are.
//!
//! A dag-cbor map, described in `docs/git.md`:
//! ```text
//! git      1
//! head     "refs/heads/main", or the link to a commit, or null
//! refs     full name → link to the object
//! large    name of a blob as hex → file with its content; left out if there are none
//! objects  links to lists of links to all objects; left out likewise
//! ```
//! An object is a block of codec git-raw, named by git's own SHA-1, so whoever follows the links
//! below a ref finds all of it. A blob that is too long for a block cannot be found that way.
//! Then the links to objects have the codec raw, which nobody follows, and `objects` lists all that
//! belong here.
//!
//! Invariants: the map has exactly one form for one repository; names of refs are such that git
//! takes them, and hold no control characters.
//! Not here: reading and writing repositories (`cairn-node`, the `cairn` binary).

use crate::{CodecError, Node, dag_cbor};
use cairn_block::{Cid, Multihash, codec};
use cairn_hash::code;
use std::{collections::BTreeMap, fmt, str::FromStr};

const CODEC: &str = "git repository";

/// The version of this form.
const VERSION: i128 = 1;

/// Bytes of an object's name.
pub const OBJECT_ID_LEN: usize = 20;

/// Longest name of a ref, in bytes.
pub const REF_LEN_MAX: usize = 1024;

/// Most refs of a repository: they stand in one block.
pub const REFS_MAX: usize = 16_384;

/// A git object's name: its SHA-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; OBJECT_ID_LEN]);

impl ObjectId {
    /// The object as git-raw.
    pub fn cid(self) -> Cid {
        self.cid_of(codec::GIT_RAW)
    }

    /// The object's bytes, which nobody reads links from.
    pub fn raw_cid(self) -> Cid {
        self.cid_of(codec::RAW)
    }

    fn cid_of(self, codec: u64) -> Cid {
        let hash = Multihash::wrap(code::SHA1, &self.0);
        Cid::v1(codec, hash.expect("invariant: a SHA-1 fits into a multihash"))
    }

    /// The object that a CID names, be it git-raw or raw.
    pub fn of(cid: &Cid) -> Option<Self> {
        let hash = cid.multihash();
        let is_object = matches!(cid.codec(), codec::GIT_RAW | codec::RAW);
        let digest = hash.digest().try_into().ok().filter(|_| hash.code() == code::SHA1);
        digest.filter(|_| is_object).map(Self)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = CodecError;

    fn from_str(text: &str) -> Result<Self, CodecError> {
        let wrong = || CodecError::form(CODEC, format!("{text:?} is not the name of an object"));
        let mut id = [0; OBJECT_ID_LEN];
        if text.len() != 2 * OBJECT_ID_LEN || !text.is_ascii() {
            return Err(wrong());
        }
        for (at, byte) in id.iter_mut().enumerate() {
            let digits = &text[2 * at..2 * at + 2];
            let is_plain = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            let value = u8::from_str_radix(digits, 16).ok().filter(|_| is_plain);
            *byte = value.ok_or_else(wrong)?;
        }
        Ok(Self(id))
    }
}

/// What a repository has checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitHead {
    /// A branch, which need not have a commit yet.
    Branch(String),
    /// A commit without a branch.
    Detached(ObjectId),
}

/// The root of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitRoot {
    /// What is checked out.
    pub head: Option<GitHead>,
    /// Branches, tags and everything else that has a name, by full name.
    pub refs: BTreeMap<String, ObjectId>,
    /// Blobs that are too long for a block, as files.
    pub large: BTreeMap<ObjectId, Cid>,
    /// Lists of all objects; needed if there are large blobs.
    pub objects: Vec<Cid>,
}

impl GitRoot {
    /// Writes the root's block.
    ///
    /// # Errors
    ///
    /// [`CodecError::Form`] for the name of a ref that git would not take, or too many refs.
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        if self.refs.len() > REFS_MAX {
            return Err(CodecError::form(CODEC, format!("it has more than {REFS_MAX} refs")));
        }
        let link = |id: ObjectId| {
            let is_whole = self.large.is_empty();
            Node::link(if is_whole { id.cid() } else { id.raw_cid() })
        };
        let head = match &self.head {
            None => Node::Null,
            Some(GitHead::Branch(name)) => Node::String(checked(name)?.to_owned()),
            Some(GitHead::Detached(id)) => link(*id),
        };
        let mut refs = Vec::with_capacity(self.refs.len());
        for (name, id) in &self.refs {
            refs.push((checked(name)?.to_owned(), link(*id)));
        }
        let mut entries = vec![
            ("git".to_owned(), Node::Integer(VERSION)),
            ("head".to_owned(), head),
            ("refs".to_owned(), Node::Map(refs)),
        ];
        if !self.large.is_empty() {
            let large = self.large.iter();
            let large = large.map(|(id, file)| (id.to_string(), Node::link(file.clone())));
            entries.push(("large".to_owned(), Node::Map(large.collect())));
            let lists = self.objects.iter().cloned().map(Node::link).collect();
            entries.push(("objects".to_owned(), Node::List(lists)));
        }
        dag_cbor::encode(&Node::Map(entries))
    }

    /// Reads a root's block.
    ///
    /// # Errors
    ///
    /// [`CodecError`] for what is no such root.
    pub fn decode(data: &[u8]) -> Result<Self, CodecError> {
        let wrong = |reason: &str| Err(CodecError::form(CODEC, reason.to_owned()));
        let node = dag_cbor::decode(data)?;
        if node.get("git") != Some(&Node::Integer(VERSION)) {
            return wrong("it has no `git: 1`");
        }
        let mut root = Self {
            head: match node.get("head") {
                None | Some(Node::Null) => None,
                Some(Node::String(name)) => Some(GitHead::Branch(checked(name)?.to_owned())),
                Some(Node::Link(cid)) => Some(GitHead::Detached(object(cid)?)),
                Some(_) => return wrong("its head is neither a name nor a link"),
            },
            ..Self::default()
        };
        let Some(Node::Map(refs)) = node.get("refs") else { return wrong("it has no refs") };
        for (name, target) in refs.iter().take(REFS_MAX + 1) {
            let Node::Link(cid) = target else { return wrong("a ref is not a link") };
            root.refs.insert(checked(name)?.to_owned(), object(cid)?);
        }
        if refs.len() > REFS_MAX {
            return wrong("it has too many refs");
        }
        if let Some(large) = node.get("large") {
            let Node::Map(large) = large else { return wrong("its large blobs are no map") };
            for (name, file) in large {
                let Node::Link(file) = file else { return wrong("a large blob is not a link") };
                root.large.insert(name.parse()?, (**file).clone());
            }
        }
        if let Some(objects) = node.get("objects") {
            root.objects = links_of(objects)?;
        }
        Ok(root)
    }
}

/// Writes a block that lists objects.
///
/// # Panics
///
/// Never: links have a form in dag-cbor.
pub fn encode_objects(objects: &[ObjectId]) -> Vec<u8> {
    let list = objects.iter().map(|id| Node::link(id.raw_cid())).collect();
    dag_cbor::encode(&Node::List(list)).expect("invariant: links have a form")
}

fn links_of(node: &Node) -> Result<Vec<Cid>, CodecError> {
    let Node::List(items) = node else {
        return Err(CodecError::form(CODEC, "its objects are no list"));
    };
    let link = |item: &Node| match item {
        Node::Link(cid) => Ok((**cid).clone()),
        _ => Err(CodecError::form(CODEC, "its objects are not links")),
    };
    items.iter().map(link).collect()
}

fn object(cid: &Cid) -> Result<ObjectId, CodecError> {
    let wrong = || CodecError::form(CODEC, format!("{cid} is not a git object"));
    ObjectId::of(cid).ok_or_else(wrong)
}

/// Refuses what git would not take as the full name of a ref, or a line could not hold.
fn checked(name: &str) -> Result<&str, CodecError> {
    let is_plain = |c: char| !c.is_control() && !" ~^:?*[\\".contains(c);
    let is_locked = |part: &str| part.as_bytes().ends_with(b".lock");
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !is_locked(part);
    let is_good = name.len() <= REF_LEN_MAX
        && name.starts_with("refs/")
        && name.chars().all(is_plain)
        && name.split('/').all(part)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.');
    if is_good {
        return Ok(name);
    }
    Err(CodecError::form(CODEC, format!("{name:?} is not the name of a ref")))
}

#[cfg(test)]
mod tests {
    use super::{GitHead, GitRoot, ObjectId, encode_objects};
    use crate::dag_cbor;
    use cairn_block::{Block, codec};

    fn id(byte: u8) -> ObjectId {
        ObjectId([byte; 20])
    }

    fn root() -> GitRoot {
        let refs = [("refs/heads/main", id(1)), ("refs/tags/v1", id(2))];
        GitRoot {
            head: Some(GitHead::Branch("refs/heads/main".to_owned())),
            refs: refs.map(|(name, id)| (name.to_owned(), id)).into(),
            ..GitRoot::default()
        }
    }

    #[test]
    fn roots_are_read_as_they_are_written() {
        let list = Block::sha2_256(codec::DAG_CBOR, encode_objects(&[id(1), id(2)]).into());
        let file = Block::sha2_256(codec::RAW, "file".into());
        let large = GitRoot {
            large: [(id(3), file.cid().clone())].into(),
            objects: vec![list.cid().clone()],
            ..root()
        };
        let empty = GitRoot { refs: [].into(), ..root() };
        let detached = GitRoot { head: Some(GitHead::Detached(id(1))), ..root() };
        for root in [root(), large, empty, detached, GitRoot::default()] {
            let bytes = root.encode().unwrap();
            assert_eq!(GitRoot::decode(&bytes).unwrap(), root);
        }
    }

    #[test]
    fn links_are_followed_only_where_everything_is_a_block() {
        let codecs = |root: &GitRoot| -> Vec<u64> {
            let links = dag_cbor::links(&root.encode().unwrap()).unwrap();
            links.iter().map(cairn_block::Cid::codec).collect()
        };
        assert_eq!(codecs(&root()), [codec::GIT_RAW; 2]);
        let file = Block::sha2_256(codec::DAG_PB, "file".into()).cid().clone();
        let large = GitRoot { large: [(id(3), file)].into(), ..root() };
        assert_eq!(codecs(&large), [codec::RAW, codec::RAW, codec::DAG_PB]);
        let list = dag_cbor::links(&encode_objects(&[id(9)])).unwrap();
        assert_eq!(list, [id(9).raw_cid()]);
    }

    #[test]
    fn names_that_git_would_not_take_are_refused() {
        for name in [
            "main",
            "refs/heads/a\nb",
            "refs/heads/../x",
            "refs/heads/.x",
            "refs//x",
            "refs/heads/",
            "refs/heads/a b",
            "refs/heads/a.lock",
            "refs/heads/a~1",
            "refs/heads/@{1}",
            "refs/heads/x.",
            "HEAD",
        ] {
            let mut root = root();
            root.refs.insert(name.to_owned(), id(1));
            assert!(root.encode().is_err(), "{name:?}");
            root = GitRoot { head: Some(GitHead::Branch(name.to_owned())), ..GitRoot::default() };
            assert!(root.encode().is_err(), "{name:?}");
        }
        for name in ["1234", "", &"é".repeat(20), &"G".repeat(40), &"A".repeat(40)] {
            assert!(name.parse::<ObjectId>().is_err(), "{name:?}");
        }
        assert_eq!(id(0xab).to_string().parse::<ObjectId>().unwrap(), id(0xab));
        for bytes in [&b"\xa0"[..], b"\xa1\x63git\x01", b"\xa1\x63git\x02", b"nonsense"] {
            assert!(GitRoot::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
