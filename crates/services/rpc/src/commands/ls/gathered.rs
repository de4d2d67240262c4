//! The entries of a listing that is sorted, which therefore has to be whole before it is written:
//! packed, so that a million of them take some 80 MB.
//!
//! Invariant: an entry comes back as it was put in; entries of the same name keep their order.
//! Not here: what an entry is and how it is written (`ls.rs`).

use super::Link;
use crate::text::CidText;
use cairn_block::Cid;

/// Bytes that are reserved together; nothing is moved when there are more.
const PAGE_LEN: usize = 1024 * 1024;

/// Entries of one directory.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pages: Vec<Vec<u8>>,
    /// Page and offset of each entry.
    places: Vec<(u32, u32)>,
}

/// What is kept of an entry besides its three texts.
const NUMBERS_LEN: usize = 8 + 4 + 4;

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Puts an entry in; its `hash` is not kept, but made from `cid` again.
    pub(super) fn push(&mut self, cid: &Cid, link: &Link) {
        let cid = cid.to_bytes();
        let texts = [link.name.as_bytes(), &cid, link.target.as_bytes(), link.mod_time.as_bytes()];
        let len = NUMBERS_LEN + texts.iter().map(|text| 4 + text.len()).sum::<usize>();
        if self.pages.last().is_none_or(|page| page.len() + len > page.capacity()) {
            self.pages.push(Vec::with_capacity(PAGE_LEN.max(len)));
        }
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        self.places.push((number as u32, page.len() as u32));
        for text in texts {
            page.extend_from_slice(&(text.len() as u32).to_le_bytes());
            page.extend_from_slice(text);
        }
        page.extend_from_slice(&link.size.to_le_bytes());
        page.extend_from_slice(&link.kind.to_le_bytes());
        page.extend_from_slice(&link.mode.to_le_bytes());
    }

    /// Sorts by name.
    pub(super) fn sort(&mut self) {
        let pages = &self.pages;
        let name = |place: (u32, u32)| Reader(&pages[place.0 as usize][place.1 as usize..]).text();
        self.places.sort_by(|a, b| name(*a).cmp(name(*b)));
    }

    /// Takes the entries out again, in order.
    pub(super) fn links(&self, cids: CidText) -> impl Iterator<Item = Link> {
        self.places.iter().map(move |(page, offset)| {
            let mut entry = Reader(&self.pages[*page as usize][*offset as usize..]);
            let name = entry.string();
            let cid = Cid::from_bytes(entry.text()).expect("invariant: it was one when it came");
            let (target, mod_time) = (entry.string(), entry.string());
            let (size, kind, mode) = (entry.number(), entry.number(), entry.number());
            Link {
                name,
                hash: cids.of(&cid),
                size: u64::from_le_bytes(size),
                kind: u32::from_le_bytes(kind),
                target,
                mode: u32::from_le_bytes(mode),
                mod_time,
            }
        })
    }
}

/// Reads what [`Gathered::push`] wrote.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number<const N: usize>(&mut self) -> [u8; N] {
        let (number, rest) = self.0.split_first_chunk().expect("invariant: entries are whole");
        self.0 = rest;
        *number
    }

    fn text(&mut self) -> &'a [u8] {
        let len = u32::from_le_bytes(self.number()) as usize;
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        text
    }

    fn string(&mut self) -> String {
        String::from_utf8_lossy(self.text()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Gathered, Link, PAGE_LEN};
    use crate::text::CidText;
    use cairn_block::{Block, codec};

    fn link(name: &str) -> (cairn_block::Cid, Link) {
        let block = Block::sha2_256(codec::RAW, name.to_owned().into());
        let cids = CidText::new(None, None).unwrap();
        let link = Link {
            hash: cids.of(block.cid()),
            size: name.len() as u64 + (1 << 40),
            kind: 2,
            target: if name.len() > 3 { "ä/b".to_owned() } else { String::new() },
            mode: 0o644,
            mod_time: "2026-11-23T00:00:00Z".to_owned(),
            name: name.to_owned(),
        };
        (block.cid().clone(), link)
    }

    #[test]
    fn entries_come_back_sorted_and_as_they_were() {
        let long = "n".repeat(2 * PAGE_LEN);
        let names = ["b", "", "ä", long.as_str(), "a", "aa", "Z"];
        let mut gathered = Gathered::default();
        for name in names {
            let (cid, link) = link(name);
            gathered.push(&cid, &link);
        }
        gathered.sort();
        let mut expected = names.to_vec();
        expected.sort_unstable();
        let back: Vec<Link> = gathered.links(CidText::new(None, None).unwrap()).collect();
        assert_eq!(gathered.len(), expected.len());
        for (back, name) in back.iter().zip(expected) {
            assert_eq!(format!("{back:?}"), format!("{:?}", link(name).1));
        }
    }

    #[test]
    fn a_million_entries_take_little() {
        let (cid, link) = link("a-name-of-some-length.txt");
        let mut gathered = Gathered::default();
        for _ in 0..100_000 {
            gathered.push(&cid, &link);
        }
        let len = gathered.pages.len() * PAGE_LEN + gathered.places.capacity() * 8;
        assert!(len < 17_000_000, "{len} bytes for a tenth of a million");
    }
}
