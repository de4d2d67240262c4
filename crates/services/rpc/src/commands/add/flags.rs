//! `add`'s flags as the node's options: which go together, and what each implies.

use crate::{
    Request, RpcError,
    commands::{cid::hashes, pin},
};
use cairn_chunk::ChunkSpec;
use cairn_node::{AddOptions, Layout, Mtime};

/// Most bytes of an inlined block. Source: Kubo's `verifcid`.
const INLINE_LEN_MAX: i64 = 128;

/// Reads the flags over the configured defaults.
pub(super) fn options(request: &Request, defaults: AddOptions) -> Result<AddOptions, RpcError> {
    let mut options = build_options(request, defaults)?;
    options.only_hash = request.flag("only-hash");
    options.pin = request.flag("pin") && !options.only_hash;
    options.progress = request.flag("progress");
    options.nocopy = request.flag("nocopy");
    options.fscache = request.flag("fscache");
    pin_name(request, &mut options)?;
    Ok(options)
}

/// Reads the flags that decide CIDs, which other commands that build files have, too.
///
/// # Errors
///
/// [`crate::Fault::Request`] naming the flag that is wrong.
pub fn build_options(request: &Request, defaults: AddOptions) -> Result<AddOptions, RpcError> {
    let mut options = defaults;
    if let Some(text) = request.text("chunker") {
        let wrong = |error| RpcError::request(RpcError::of(&error).message());
        options.chunker = ChunkSpec::parse(text).map_err(wrong)?;
    }
    if let Some(name) = request.text("hash") {
        options.hash_code = hashes::code_of(name)?;
    }
    options.cid_version = match request.int("cid-version") {
        None => options.cid_version,
        Some(version @ 0..=1) => Some(u8::from(version == 1)),
        Some(other) => return Err(RpcError::request(format!("unknown CID version: {other}"))),
    };
    options.raw_leaves = request.given_flag("raw-leaves").or(options.raw_leaves);
    if let Some(trickle) = request.given_flag("trickle") {
        options.layout = if trickle { Layout::Trickle } else { Layout::Balanced };
    }
    count(request, "max-file-links", &mut options.max_file_links)?;
    count(request, "max-directory-links", &mut options.max_directory_links)?;
    count(request, "max-hamt-fanout", &mut options.max_hamt_fanout)?;
    options.inline_limit = inline_limit(request)?;
    options.wrap = request.flag("wrap-with-directory");
    options.empty_dirs = request.flag("empty-dirs");
    metadata(request, &mut options)?;
    Ok(options)
}

fn count(request: &Request, name: &str, into: &mut usize) -> Result<(), RpcError> {
    if let Some(number) = request.int(name) {
        let wrong = |_| RpcError::request(format!("option {name:?} cannot be negative"));
        *into = usize::try_from(number).map_err(wrong)?;
    }
    Ok(())
}

fn inline_limit(request: &Request) -> Result<Option<usize>, RpcError> {
    if !request.flag("inline") {
        return Ok(None);
    }
    let limit = request.int("inline-limit").unwrap_or(32);
    if limit > INLINE_LEN_MAX {
        return Err(RpcError::request(format!(
            "inline-limit {limit} exceeds maximum allowed size of {INLINE_LEN_MAX} bytes"
        )));
    }
    Ok(usize::try_from(limit).ok())
}

fn pin_name(request: &Request, options: &mut AddOptions) -> Result<(), RpcError> {
    let Some(name) = request.given_text("pin-name") else { return Ok(()) };
    pin::check_name(name)?;
    if !options.pin {
        return Err(RpcError::request("pin-name option requires pin to be set"));
    }
    name.clone_into(&mut options.pin_name);
    Ok(())
}

fn metadata(request: &Request, options: &mut AddOptions) -> Result<(), RpcError> {
    options.preserve_mode = request.flag("preserve-mode");
    options.preserve_mtime = request.flag("preserve-mtime");
    let mode = request.int("mode").and_then(|mode| u32::try_from(mode).ok());
    options.mode = mode.filter(|mode| *mode != 0);
    let nanos = request.int("mtime-nsecs").unwrap_or(0);
    let seconds = request.int("mtime").filter(|seconds| *seconds != 0);
    if seconds.is_none() && nanos != 0 {
        let text = "option \"mtime-nsecs\" requires \"mtime\" to be provided as well";
        return Err(RpcError::request(text));
    }
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let nanos = nanos.ok_or_else(|| RpcError::request("option \"mtime-nsecs\" is too large"))?;
    options.mtime = seconds.map(|secs| Mtime { secs, nanos });
    let kept = options.preserve_mode || options.preserve_mtime;
    if kept || options.mode.is_some() || options.mtime.is_some() {
        if options.raw_leaves == Some(true) {
            return Err(RpcError::request(
                "raw-leaves can't be used with UnixFS metadata like mode or modification time",
            ));
        }
        options.raw_leaves = Some(false);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::options;
    use crate::{Request, commands};
    use cairn_chunk::ChunkSpec;
    use cairn_node::{AddOptions, Layout, Mtime};

    fn request(given: &[(&str, &str)]) -> Request {
        let add = commands::find("add").unwrap();
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Request::new(add, vec![], given).unwrap()
    }

    #[test]
    fn reads_flags_over_defaults() {
        let read =
            |given: &[(&str, &str)]| options(&request(given), AddOptions::default()).unwrap();
        let plain = read(&[]);
        assert!(plain.pin && plain.empty_dirs && !plain.only_hash && plain.cid_version.is_none());
        assert_eq!(read(&[("cid-version", "1")]).cid_version, Some(1));
        assert_eq!(read(&[("inline", "")]).inline_limit, Some(32));
        assert_eq!(read(&[("t", "")]).layout, Layout::Trickle);
        assert_eq!(read(&[("chunker", "buzhash")]).chunker, ChunkSpec::Buzhash);
        assert!(!read(&[("n", "true")]).pin, "only-hash does not pin");
        let kept = read(&[("mtime", "-5"), ("mtime-nsecs", "7"), ("mode", "0755")]);
        assert_eq!(kept.mtime, Some(Mtime { secs: -5, nanos: 7 }));
        assert_eq!((kept.mode, kept.raw_leaves), (Some(0o755), Some(false)));
    }

    #[test]
    fn refuses_what_does_not_go_together() {
        let rows: &[(&[(&str, &str)], &str)] = &[
            (&[("cid-version", "2")], "unknown CID version: 2"),
            (&[("inline", ""), ("inline-limit", "129")], "inline-limit 129 exceeds"),
            (&[("pin", "false"), ("pin-name", "x")], "requires pin"),
            (&[("mtime-nsecs", "1")], "requires \"mtime\""),
            (&[("preserve-mode", ""), ("raw-leaves", "")], "raw-leaves can't be used"),
            (&[("max-file-links", "-1")], "max-file-links"),
            (&[("hash", "md5")], "unrecognized hash function"),
            (&[("chunker", "rabin-15-32-64")], "must rise, from 16"),
        ];
        for (given, expected) in rows {
            let error = options(&request(given), AddOptions::default()).unwrap_err();
            assert!(error.message().contains(expected), "{given:?}: {error}");
        }
    }
}
