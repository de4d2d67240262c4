//! `cid format`: CIDs in any version, codec, base and pattern.
//!
//! Source: the pattern's letters are those of Kubo's `cid format`.

use super::hashes;
use crate::{
    Call, Request, RpcError,
    command::{Argument, Command, Needs, Opt},
    text::{Render, base_of, each},
};
use cairn_block::{Base, Cid, Version, codec};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "cid format",
    tagline: "Format and convert CIDs",
    help: "The pattern may hold\n\
           \n  %% a percent sign      %s the CID             %S the CID, shortened\
           \n  %b base name           %B base prefix         %v version as cidv0, cidv1\
           \n  %V version number      %c codec name          %C codec number\
           \n  %h hash name           %H hash number         %L digest length\
           \n  %m multihash           %M with base prefix    %d digest\
           \n  %D with base prefix    %p all but the digest  %P as numbers",
    arguments: &[Argument::text("cid", "CIDs to format").many().or_stdin()],
    options: &[
        Opt::text("f", "Pattern to print").default("%s"),
        Opt::text("v", "Version to convert to: 0 or 1"),
        Opt::text("mc", "Codec to convert to"),
        Opt::text("b", "Multibase to print in"),
    ],
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(lines),
};

/// One CID's answer: the text, or why there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// The CID as it was given.
    pub cid_str: String,
    /// As asked for.
    pub formatted: String,
    /// Why it could not be converted; empty if it could.
    pub error_msg: String,
}

/// A version to convert to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Version 0.
    V0,
    /// Version 1.
    V1,
}

/// What is wanted of each CID.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) format: String,
    pub(super) version: Option<To>,
    pub(super) codec: Option<u64>,
    pub(super) base: Option<Base>,
}

/// Writes each answer on a line of its own.
pub(super) fn lines(request: &Request) -> Box<dyn Render> {
    each(request, |_, answer: Answer, text| {
        if answer.error_msg.is_empty() {
            text.line(answer.formatted);
        } else {
            text.fail(format_args!("{}: {}", answer.cid_str, answer.error_msg));
        }
    })
}

async fn run(call: Call) -> Result<(), RpcError> {
    let wish = wish(&call.request)?;
    convert(call, &wish).await
}

/// Answers with every argument as `wish` says; a wrong CID does not stop the others.
pub(super) async fn convert(call: Call, wish: &Wish) -> Result<(), RpcError> {
    for text in call.request.arguments() {
        let formatted = one(text, wish);
        let answer = match formatted {
            Ok(formatted) => Answer { cid_str: text.clone(), formatted, error_msg: String::new() },
            Err(error) if error.fault() == crate::Fault::Request => return Err(error),
            Err(error) => Answer {
                cid_str: text.clone(),
                formatted: String::new(),
                error_msg: error.message().to_owned(),
            },
        };
        call.out.event(&answer).await?;
    }
    Ok(())
}

fn wish(request: &Request) -> Result<Wish, RpcError> {
    let format = request.text("f").unwrap_or("%s").to_owned();
    if !format.contains('%') {
        return Err(RpcError::request(format!("invalid format string: {format:?}")));
    }
    let unknown = |name: &str| RpcError::request(format!("unknown multicodec: {name:?}"));
    let by_name = |name: &str| codec::code_of(name).ok_or_else(|| unknown(name));
    let codec = request.text("mc").map(by_name).transpose()?;
    let base = request.text("b").map(base_of).transpose()?;
    let version = match request.text("v") {
        None => base.map(|_| To::V1),
        Some("0") if codec.is_some_and(|codec| codec != codec::DAG_PB) => {
            return Err(RpcError::request(
                "cannot convert to CIDv0 with any codec other than dag-pb",
            ));
        }
        Some("0") if base.is_some_and(|base| base != Base::Base58Btc) => {
            return Err(RpcError::request(
                "cannot convert to CIDv0 with any multibase other than the implicit base58btc",
            ));
        }
        Some("0") => Some(To::V0),
        Some("1") => Some(To::V1),
        Some(other) => return Err(RpcError::request(format!("invalid cid version: {other:?}"))),
    };
    Ok(Wish { format, version, codec, base })
}

fn one(text: &str, wish: &Wish) -> Result<String, RpcError> {
    let (mut cid, written) = Cid::parse_with_base(text.trim())?;
    if let Some(codec) = wish.codec.filter(|codec| *codec != cid.codec()) {
        cid = Cid::v1(codec, cid.multihash().clone());
    }
    match wish.version {
        Some(To::V1) => cid = cid.with_version(Version::V1)?,
        Some(To::V0) if cid.codec() != codec::DAG_PB => {
            return Err(RpcError::failed("can't convert non-dag-pb nodes to cidv0"));
        }
        Some(To::V0) => cid = cid.with_version(Version::V0)?,
        None => {}
    }
    let base = match wish.base {
        _ if cid.version() == Version::V0 => Base::Base58Btc,
        Some(base) => base,
        // A CIDv0's base58btc belongs to its version.
        None if written == Base::Base58Btc && text.trim().starts_with("Qm") => Base::Base58Btc,
        None => written,
    };
    format(&cid, base, &wish.format)
}

fn format(cid: &Cid, base: Base, pattern: &str) -> Result<String, RpcError> {
    let row = crate::text::BASES.iter().find(|row| row.2 == base);
    let (prefix, base_name) = row.map_or(('?', "?"), |row| (row.0, row.1));
    let hash = cid.multihash();
    let version = u8::from(cid.version() == Version::V1);
    let codec_name = || match codec::name_of(cid.codec()) {
        Some(name) => name.to_owned(),
        None => format!("codec?{}", cid.codec()),
    };
    let unprefixed = |bytes: &[u8]| base.encode(bytes);
    let mut out = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let written = match letters.next() {
            Some('%') => write!(out, "%"),
            Some('s') => write!(out, "{}", cid.to_text(base)),
            Some('S') => write!(out, "{}", shortened(cid, base)),
            Some('b') => write!(out, "{base_name}"),
            Some('B') => write!(out, "{prefix}"),
            Some('v') => write!(out, "cidv{version}"),
            Some('V') => write!(out, "{version}"),
            Some('c') => write!(out, "{}", codec_name()),
            Some('C') => write!(out, "{}", cid.codec()),
            Some('h') => write!(out, "{}", hashes::name_of(hash.code())),
            Some('H') => write!(out, "{}", hash.code()),
            Some('L') => write!(out, "{}", hash.digest().len()),
            Some('m') => write!(out, "{}", unprefixed(&hash.to_bytes())),
            Some('M') => write!(out, "{prefix}{}", unprefixed(&hash.to_bytes())),
            Some('d') => write!(out, "{}", unprefixed(hash.digest())),
            Some('D') => write!(out, "{prefix}{}", unprefixed(hash.digest())),
            Some('p') => write!(
                out,
                "cidv{version}-{}-{}-{}",
                codec_name(),
                hashes::name_of(hash.code()),
                hash.digest().len()
            ),
            Some('P') => {
                write!(out, "{version}-{}-{}-{}", cid.codec(), hash.code(), hash.digest().len())
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                let text = format!("unrecognized specifier in format string: %{other}");
                return Err(RpcError::request(text));
            }
        };
        written.unwrap_or(());
    }
    Ok(out)
}

/// The first letters that say what kind it is, and the last that say which.
fn shortened(cid: &Cid, base: Base) -> String {
    let text = cid.to_text(base);
    let len = text.chars().count();
    if len <= 10 {
        return text;
    }
    let start: String = text.chars().take(2).collect();
    let end: String = text.chars().skip(len - 6).collect();
    format!("{start}*{end}")
}

#[cfg(test)]
mod tests {
    use super::{To, Wish, one};
    use cairn_block::{Base, codec};

    const V0: &str = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN";
    /// The same block; from Kubo's `cid base32`.
    const V1: &str = "bafybeiffndsajwhk3lwjewwdxqntmjm4b5wxaaanokonsggenkbw6slwk4";

    #[test]
    fn converts_and_formats() {
        let wish = |format: &str, version, codec, base| Wish {
            format: format.to_owned(),
            version,
            codec,
            base,
        };
        let rows = [
            (V0, wish("%s", None, None, None), V0),
            (V0, wish("%s", Some(To::V1), None, Some(Base::Base32Lower)), V1),
            (V1, wish("%s", Some(To::V0), None, None), V0),
            (V0, wish("%P %p %%", None, None, None), "0-112-18-32 cidv0-dag-pb-sha2-256-32 %"),
            (V1, wish("%b%B %v %c %h %L", None, None, None), "base32b cidv1 dag-pb sha2-256 32"),
            (V1, wish("%c", None, Some(codec::RAW), None), "raw"),
        ];
        for (cid, wish, expected) in rows {
            assert_eq!(one(cid, &wish).unwrap(), expected, "{wish:?}");
        }
        assert!(one(V1, &wish("%x", None, None, None)).is_err());
        assert!(one("nonsense", &wish("%s", None, None, None)).is_err());
    }
}
