//! Streams pins, the indirect ones by walking below the recursive ones.
//!
//! Not here: pins one by one (`pins.rs`).

use crate::{Fetch, Node, NodeError, PinState};
use cairn_block::Cid;
use cairn_dag::WalkOptions;
use cairn_runtime::blocking;
use cairn_store::{Pin, PinError, PinKind, PinPages, Pins};
use futures::{Stream, StreamExt as _, stream};
use std::{
    collections::{HashSet, VecDeque},
    pin::Pin as Pinned,
    time::SystemTime,
};

/// Which pins to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PinFilter {
    /// Recursive, then direct, then indirect ones.
    #[default]
    All,
    /// Only those with everything below them.
    Recursive,
    /// Only those of single blocks.
    Direct,
    /// Only what lies below recursive pins and is not pinned by itself.
    Indirect,
}

/// One line of a list of pins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinEntry {
    /// What stays.
    pub cid: Cid,
    /// Why: never [`PinState::NotPinned`].
    pub state: PinState,
    /// The pin's name; empty if it has none or is indirect.
    pub name: String,
    /// When the pin ends, if it does.
    pub expires: Option<SystemTime>,
}

/// Reads pages of pins off the async threads.
pub(super) struct Pages {
    pages: Option<PinPages>,
}

impl Pages {
    pub(super) fn new(pins: &Pins, kind: Option<PinKind>) -> Self {
        Self { pages: Some(pins.list(kind)) }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Vec<Pin>, PinError>> {
        let mut pages = self.pages.take()?;
        let (page, pages) = blocking(move || (pages.next(), pages)).await;
        self.pages = page.is_some().then_some(pages);
        page
    }
}

/// Pins that were read together.
pub type PinPage = Vec<PinEntry>;

/// A stream of pages of pins.
pub type PinPageStream = Pinned<Box<dyn Stream<Item = Result<PinPage, NodeError>> + Send>>;

/// A stream of pins.
pub type PinEntries = Pinned<Box<dyn Stream<Item = Result<PinEntry, NodeError>> + Send>>;

impl Node {
    /// Streams the pins, a page at a time; indirect ones need a walk and come last.
    ///
    /// # Errors
    ///
    /// Each item: that the pins could not be read, or that a pinned DAG is not whole.
    pub fn pin_ls(&self, filter: PinFilter) -> PinEntries {
        let entries = self.pin_pages(filter).flat_map(|page| {
            stream::iter(match page {
                Ok(page) => page.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        Box::pin(entries)
    }

    /// The same pins in pages, for those who can use many at a time.
    ///
    /// # Errors
    ///
    /// As [`Node::pin_ls`].
    pub fn pin_pages(&self, filter: PinFilter) -> PinPageStream {
        let recursive = || own(self, PinKind::Recursive);
        let direct = || own(self, PinKind::Direct);
        match filter {
            PinFilter::Recursive => recursive(),
            PinFilter::Direct => direct(),
            PinFilter::Indirect => indirect(self.clone()),
            PinFilter::All => Box::pin(recursive().chain(direct()).chain(indirect(self.clone()))),
        }
    }
}

fn own(node: &Node, kind: PinKind) -> PinPageStream {
    let entry = move |pin: Pin| PinEntry {
        cid: pin.cid,
        state: match kind {
            PinKind::Recursive => PinState::Recursive,
            PinKind::Direct => PinState::Direct,
        },
        name: pin.name,
        expires: pin.expires,
    };
    let pages = stream::unfold(Pages::new(node.pins(), Some(kind)), |mut pages| async move {
        let page = pages.next().await?;
        Some((page, pages))
    });
    let pages = pages.map(move |page| Ok(page?.into_iter().map(entry).collect()));
    Box::pin(pages)
}

/// A walk below each recursive pin in turn, over what no walk before has seen.
struct Indirect {
    node: Node,
    roots: VecDeque<Cid>,
    /// Pinned by themselves, or listed already.
    seen: HashSet<Cid>,
    walk: Option<(Cid, Visits)>,
}

type Visits = Pinned<Box<dyn Stream<Item = Result<cairn_dag::Visit, cairn_dag::DagError>> + Send>>;

fn indirect(node: Node) -> PinPageStream {
    let start = async move {
        let mut roots = VecDeque::new();
        let mut seen = HashSet::new();
        let mut pages = Pages::new(node.pins(), None);
        while let Some(page) = pages.next().await {
            for pin in page? {
                if pin.kind == PinKind::Recursive {
                    roots.push_back(pin.cid.clone());
                }
                seen.insert(pin.cid);
            }
        }
        Ok::<_, NodeError>(Indirect { node, roots, seen, walk: None })
    };
    let entries = stream::once(start).flat_map(|started| -> PinPageStream {
        match started {
            Ok(state) => Box::pin(stream::unfold(state, |mut state| async move {
                let entry = state.next().await?;
                Some((entry.map(|entry| vec![entry]), state))
            })),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    });
    Box::pin(entries)
}

impl Indirect {
    async fn next(&mut self) -> Option<Result<PinEntry, NodeError>> {
        loop {
            let Some((root, visits)) = &mut self.walk else {
                let root = self.roots.pop_front()?;
                let options = WalkOptions { skip_leaves: true, ..WalkOptions::default() };
                let visits = self.node.walk(std::slice::from_ref(&root), options, Fetch::Local);
                self.walk = Some((root, Box::pin(visits)));
                continue;
            };
            match visits.next().await {
                None => self.walk = None,
                Some(Err(error)) => return Some(Err(error.into())),
                Some(Ok(visit)) => {
                    if self.seen.insert(visit.cid.clone()) {
                        let state = PinState::Indirect { via: root.clone() };
                        let (cid, name) = (visit.cid, String::new());
                        return Some(Ok(PinEntry { cid, state, name, expires: None }));
                    }
                }
            }
        }
    }
}
