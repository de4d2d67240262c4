//! From a CID path to an answer: files, single blocks, directories, symlinks.
//!
//! Everything that decides the status is known before the first byte leaves: the path is
//! resolved, conditions are checked, and the first piece of a file is in hand. So a missing
//! block is a 404 that names it and not a page that breaks off.
//!
//! Spec: <https://specs.ipfs.tech/http-gateways/path-gateway/>; where it leaves a choice, what
//! Kubo's gateway answers (entity tags, `inode/symlink`, the etag of an `index.html` being its
//! directory's).
//! Invariants: a 304, a 412, a 416 and a HEAD read no leaves, but for the first of a HEAD whose
//! file's name does not tell its type; a range reads only what holds it.
//! Not here: sending (`represent.rs`), listings (`directory.rs`).

mod car;
mod refuse;
mod represent;

use crate::{
    body::Body,
    directory,
    disposition::{self, Disposition},
    handler, media,
    refusal::Refusal,
    request::{CAR, Format, Query},
    text,
    validators::Validators,
};
use cairn_block::{Block, BlockStore, BlockStoreExt as _, Cid, codec};
use cairn_dag::{IpfsPath, ahead::Window};
use cairn_unixfs::{Entry, EntryKind, Resolved};
use hyper::{
    Response, StatusCode,
    header::{HeaderName, HeaderValue},
    http::request::Parts,
};
pub(crate) use refuse::refuse;
pub(crate) use represent::not_modified;
use represent::{Media, Representation, Source};

/// What content is under a CID never changes.
pub(crate) const IMMUTABLE: &str = "public, max-age=29030400, immutable";

/// The media type of one block as it is.
const RAW: &str = "application/vnd.ipld.raw";
/// The file that stands for its directory.
const INDEX: &str = "index.html";

static X_IPFS_PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
static X_IPFS_ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");

/// Everything about a request for content.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// The request line and headers.
    pub(crate) head: &'a Parts,
    /// The parameters.
    pub(crate) query: Query,
    /// The form wanted.
    pub(crate) format: Format,
    /// The path wanted.
    pub(crate) path: IpfsPath,
    /// The path as people read it.
    pub(crate) shown: String,
    /// Whether the URL ended with a slash.
    pub(crate) trailing_slash: bool,
    /// Whether a miss is to be told as 412, without looking further (`only-if-cached`).
    pub(crate) cached_only: bool,
    /// How far to read ahead of the client.
    pub(crate) window: Window,
    /// Files above it are not served in ranges.
    pub(crate) range_file_len_max: Option<u64>,
}

/// Answers a request for what `ask.path` leads to in `store`.
pub(crate) async fn answer<S>(store: S, ask: &Ask<'_>) -> Result<Response<Body>, Refusal>
where
    S: BlockStore + Clone + 'static,
{
    let archive = match &ask.format {
        Format::Other(kind) if kind == CAR => Some(car::options(ask)?),
        _ => None,
    };
    let (resolved, way) = resolve(&store, ask, archive.is_some()).await?;
    if !resolved.remaining.is_empty() {
        let inside = resolved.remaining.join("/");
        let sentence = format!(
            "{inside:?} inside block {} could not be returned: only links are followed, \
             try /ipfs/{} instead",
            resolved.cid, resolved.cid
        );
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, sentence));
    }
    let located = Located::new(ask, &resolved);
    let mut response = match archive {
        Some(options) => car::answer(store, ask, way, options)?,
        None => located.answer(store, ask, &resolved.block).await?,
    };
    let headers = response.headers_mut();
    headers.insert(X_IPFS_PATH.clone(), located.path);
    headers.insert(X_IPFS_ROOTS.clone(), located.roots);
    Ok(response)
}

/// Follows the path; with the blocks of the way if they are asked for.
async fn resolve<S: BlockStore>(
    store: &S,
    ask: &Ask<'_>,
    with_blocks: bool,
) -> Result<(Resolved, Vec<Block>), Refusal> {
    let resolved = match ask.path.cid() {
        Some(root) if with_blocks => {
            cairn_unixfs::resolve_with_blocks(store, root, ask.path.segments()).await
        }
        _ => cairn_unixfs::resolve(store, &ask.path).await.map(|resolved| (resolved, Vec::new())),
    };
    resolved.map_err(|error| refuse(ask, &error))
}

/// Where a path led, in the words of headers.
struct Located {
    cid: Cid,
    path: HeaderValue,
    roots: HeaderValue,
}

impl Located {
    fn new(ask: &Ask<'_>, resolved: &Resolved) -> Self {
        let roots: Vec<String> = resolved.roots.iter().map(ToString::to_string).collect();
        Self {
            cid: resolved.cid.clone(),
            path: header_value(&text::header(&ask.shown)),
            roots: header_value(&roots.join(",")),
        }
    }

    async fn answer<S>(
        &self,
        store: S,
        ask: &Ask<'_>,
        block: &Block,
    ) -> Result<Response<Body>, Refusal>
    where
        S: BlockStore + Clone + 'static,
    {
        match (&ask.format, codec_media(self.cid.codec())) {
            (Format::Raw, _) => self.raw(ask, block).send(store, ask).await,
            (Format::Web, Some(kind)) => self.codec(ask, block, kind).send(store, ask).await,
            (Format::Other(wanted), Some(kind)) if wanted == kind => {
                self.codec(ask, block, kind).send(store, ask).await
            }
            (Format::Other(wanted), _) => Err(Refusal::new(
                StatusCode::NOT_ACCEPTABLE,
                format!("{wanted} of {} is not supported: try ?format=raw", ask.shown),
            )),
            (Format::Web, None) => self.unixfs(store, ask, block).await,
        }
    }

    /// One block as it is, for those who check it themselves.
    fn raw(&self, ask: &Ask<'_>, block: &Block) -> Representation {
        let name = ask.query.filename.clone().unwrap_or_else(|| format!("{}.bin", self.cid));
        Representation {
            validators: self.validators(".raw"),
            cache_control: IMMUTABLE,
            media: Media::Known(RAW.to_owned()),
            len: block.data().len() as u64,
            disposition: Some(disposition::value(Disposition::Attachment, &name)),
            content_location: raw_location(ask),
            is_opaque: true,
            source: Source::Bytes(block.data().clone()),
        }
    }

    /// A block of a codec that is a media type of its own, as JSON and CBOR are.
    fn codec(&self, ask: &Ask<'_>, block: &Block, kind: &'static str) -> Representation {
        let short = kind.rsplit(['.', '/']).next().unwrap_or(kind);
        let is_json = short.ends_with("json");
        let extension = if is_json { "json" } else { "cbor" };
        let name =
            ask.query.filename.clone().unwrap_or_else(|| format!("{}.{extension}", self.cid));
        let save = ask.query.download || !is_json;
        let disposition = if save { Disposition::Attachment } else { Disposition::Inline };
        Representation {
            validators: self.validators(&format!(".{short}")),
            cache_control: IMMUTABLE,
            media: Media::Known(kind.to_owned()),
            len: block.data().len() as u64,
            disposition: Some(disposition::value(disposition, &name)),
            content_location: None,
            is_opaque: true,
            source: Source::Bytes(block.data().clone()),
        }
    }

    async fn unixfs<S>(
        &self,
        store: S,
        ask: &Ask<'_>,
        block: &Block,
    ) -> Result<Response<Body>, Refusal>
    where
        S: BlockStore + Clone + 'static,
    {
        let entry = Entry::of(block).map_err(|error| refuse(ask, &error))?;
        match &entry.kind {
            EntryKind::File => {
                let name = ask.query.filename.as_deref();
                let name = name.or(ask.path.segments().last().map(String::as_str));
                let media = match name.and_then(media::by_name) {
                    Some(kind) => Media::Known(kind),
                    None => Media::Unknown,
                };
                self.file(ask, &entry, block, media).send(store, ask).await
            }
            EntryKind::Symlink { target } => {
                let media = Media::Known("inode/symlink".to_owned());
                let mut link = self.file(ask, &entry, block, media);
                link.len = target.len() as u64;
                link.source = Source::Bytes(target.clone().into());
                link.send(store, ask).await
            }
            EntryKind::Directory { .. } => self.directory(store, ask, block, &entry).await,
            _ => Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                format!("{} is a {}, which cannot be shown", self.cid, entry.kind.name()),
            )),
        }
    }

    fn file(&self, ask: &Ask<'_>, entry: &Entry, block: &Block, media: Media) -> Representation {
        let mut validators = self.validators("");
        validators.modified =
            entry.mtime.as_ref().map(|mtime| mtime.secs).filter(|secs| *secs != 0);
        Representation {
            validators,
            cache_control: IMMUTABLE,
            media,
            len: entry.len,
            disposition: self.disposition(ask),
            content_location: None,
            is_opaque: false,
            source: Source::File(block.clone()),
        }
    }

    /// A directory: where it should be asked for, its `index.html`, or its entries.
    async fn directory<S>(
        &self,
        store: S,
        ask: &Ask<'_>,
        block: &Block,
        entry: &Entry,
    ) -> Result<Response<Body>, Refusal>
    where
        S: BlockStore + Clone + 'static,
    {
        if !ask.trailing_slash && !ask.query.go_get {
            return handler::redirect(StatusCode::MOVED_PERMANENTLY, &with_slash(ask));
        }
        let found = cairn_unixfs::find(&store, block, INDEX).await;
        let Some(index) = found.map_err(|error| refuse(ask, &error))? else {
            return directory::answer(store, ask, block, entry).await;
        };
        let index = store.require(&index.cid).await;
        let index = index.map_err(|error| refuse(ask, &error.into()))?;
        match Entry::of(&index) {
            Ok(entry) if entry.kind == EntryKind::File => {
                let media = Media::Known(media::HTML.to_owned());
                self.file(ask, &entry, &index, media).send(store, ask).await
            }
            _ => Err(Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("{INDEX} of {} is not a file", ask.shown),
            )),
        }
    }

    fn validators(&self, suffix: &str) -> Validators {
        Validators { etag: format!("\"{}{suffix}\"", self.cid), modified: None }
    }

    /// The name to save a file under, where the URL asks for one.
    fn disposition(&self, ask: &Ask<'_>) -> Option<String> {
        let given = ask.query.filename.clone();
        if !ask.query.download {
            return given.map(|name| disposition::value(Disposition::Inline, &name));
        }
        let last = || ask.path.segments().last().cloned();
        let name = given.or_else(last).unwrap_or_else(|| self.cid.to_string());
        Some(disposition::value(Disposition::Attachment, &name))
    }
}

/// The media type of a codec whose blocks are documents in themselves.
fn codec_media(code: u64) -> Option<&'static str> {
    Some(match code {
        codec::JSON => "application/json",
        codec::CBOR => "application/cbor",
        codec::DAG_JSON => "application/vnd.ipld.dag-json",
        codec::DAG_CBOR => "application/vnd.ipld.dag-cbor",
        _ => return None,
    })
}

/// The address of the same directory with a slash, its query kept.
fn with_slash(ask: &Ask<'_>) -> String {
    let uri = &ask.head.uri;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{query}", uri.path())
}

/// Where a block that was asked for by `Accept` is to be found without it.
fn raw_location(ask: &Ask<'_>) -> Option<String> {
    if ask.query.format.is_some() {
        return None;
    }
    let uri = &ask.head.uri;
    let query = uri.query().map(|query| format!("{query}&")).unwrap_or_default();
    Some(format!("{}?{query}format=raw", uri.path()))
}

/// A header value of text that [`text::header`] or a CID has made safe.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
