//! What is in a CAR file, as text and as JSON.

use crate::report::Failure;
use cairn_block::codec;
use cairn_car::{Full, Inspection, Lens};
use cairn_dag::car::Section;
use cairn_hash::code;
use cairn_rpc::CidText;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// Names of index formats, by their codes. Source: the multicodec table.
const INDEX_FORMATS: &[(u64, &str)] =
    &[(0x0400, "car-index-sorted"), (0x0401, "car-multihash-index-sorted")];

/// Prints one section.
pub(super) fn section(
    out: &mut impl Write,
    section: &Section,
    cids: CidText,
    (verbose, json): (bool, bool),
) -> Result<(), Failure> {
    let cid = cids.of(&section.cid);
    let (offset, data_offset, len) = (section.offset, section.data_offset, section.data_len);
    if json {
        let line = json!({
            "Cid": {"/": cid},
            "Offset": offset,
            "BlockOffset": data_offset,
            "BlockLength": len,
        });
        writeln!(out, "{line}")?;
    } else if verbose {
        writeln!(out, "{cid}\t{offset}\t{data_offset}\t{len}")?;
    } else {
        writeln!(out, "{cid}")?;
    }
    Ok(())
}

/// Prints what an inspection found.
pub(super) fn inspection(found: &Inspection, cids: CidText, json: bool) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if json {
        writeln!(out, "{}", as_json(found, cids))?;
    } else {
        as_text(&mut out, found, cids)?;
    }
    Ok(out.flush()?)
}

fn codec_name(code: u64) -> String {
    codec::name_of(code).map_or_else(|| format!("{code:#x}"), str::to_owned)
}

fn hash_name(code: u64) -> String {
    code::name_of(code).map_or_else(|| format!("{code:#x}"), str::to_owned)
}

fn index_name(code: u64) -> String {
    let known = INDEX_FORMATS.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("{code:#x}"), |(_, name)| (*name).to_owned())
}

fn mean(lens: Lens, count: u64) -> u64 {
    lens.sum.checked_div(count).unwrap_or(0)
}

fn yes(yes: bool) -> &'static str {
    if yes { "Yes" } else { "No" }
}

fn as_text(out: &mut impl Write, found: &Inspection, cids: CidText) -> io::Result<()> {
    writeln!(out, "Version: {}", if found.v2.is_some() { 2 } else { 1 })?;
    if let Some(v2) = found.v2 {
        writeln!(out, "Characteristics: {:032x}", u128::from_be_bytes(v2.characteristics))?;
        writeln!(out, "Data offset: {}", v2.data_offset)?;
        writeln!(out, "Data (payload) length: {}", v2.data_len)?;
        writeln!(out, "Index offset: {}", v2.index_offset)?;
    }
    if let Some(code) = found.index_codec {
        writeln!(out, "Index type: {}", index_name(code))?;
    }
    let roots: Vec<String> = found.roots.iter().map(|root| cids.of(root)).collect();
    writeln!(
        out,
        "Roots: {}",
        if roots.is_empty() { "none".to_owned() } else { roots.join(", ") }
    )?;
    writeln!(out, "Root blocks present in data: {}", yes(found.absent_roots.is_empty()))?;
    writeln!(out, "Block count: {}", found.block_count)?;
    for (what, lens) in [("block", found.block_lens), ("CID", found.cid_lens)] {
        let Lens { min, max, .. } = lens;
        let mean = mean(lens, found.block_count);
        writeln!(out, "Min / average / max {what} length (bytes): {min} / {mean} / {max}")?;
    }
    counts(out, "Block count per codec", &found.codecs, codec_name)?;
    counts(out, "CID count per multihash", &found.hashes, hash_name)?;
    found.full.as_ref().map_or(Ok(()), |full| full_text(out, full, cids))
}

fn counts(
    out: &mut impl Write,
    title: &str,
    counts: &BTreeMap<u64, u64>,
    name: fn(u64) -> String,
) -> io::Result<()> {
    writeln!(out, "{title}:")?;
    counts.iter().try_for_each(|(code, count)| writeln!(out, "\t{}: {count}", name(*code)))
}

fn full_text(out: &mut impl Write, full: &Full, cids: CidText) -> io::Result<()> {
    writeln!(out, "Blocks match their CIDs: Yes")?;
    writeln!(out, "Repeated blocks: {}", full.repeated_count)?;
    match &full.missing {
        None => writeln!(out, "DAGs are whole: Yes")?,
        Some(first) => {
            let count = full.missing_count;
            writeln!(
                out,
                "DAGs are whole: No ({count} linked blocks missing, {} for one)",
                cids.of(first)
            )?;
        }
    }
    full.index_count.map_or(Ok(()), |count| writeln!(out, "Index records, all right: {count}"))
}

fn as_json(found: &Inspection, cids: CidText) -> Value {
    let named = |counts: &BTreeMap<u64, u64>, name: fn(u64) -> String| -> Value {
        counts.iter().map(|(code, count)| (name(*code), json!(count))).collect()
    };
    let lens = |lens: Lens| json!({"Min": lens.min, "Average": mean(lens, found.block_count), "Max": lens.max});
    let links = |list: &[cairn_block::Cid]| -> Vec<Value> {
        list.iter().map(|cid| json!({"/": cids.of(cid)})).collect()
    };
    let mut value = json!({
        "Version": if found.v2.is_some() { 2 } else { 1 },
        "Roots": links(&found.roots),
        "AbsentRoots": links(&found.absent_roots),
        "BlockCount": found.block_count,
        "BlockLength": lens(found.block_lens),
        "CidLength": lens(found.cid_lens),
        "Codecs": named(&found.codecs, codec_name),
        "Multihashes": named(&found.hashes, hash_name),
    });
    if let Some(v2) = found.v2 {
        value["DataOffset"] = json!(v2.data_offset);
        value["DataLength"] = json!(v2.data_len);
        value["IndexOffset"] = json!(v2.index_offset);
        value["IndexType"] = json!(found.index_codec.map(index_name));
    }
    if let Some(full) = &found.full {
        value["RepeatedBlocks"] = json!(full.repeated_count);
        value["MissingBlocks"] = json!(full.missing_count);
        value["IndexRecords"] = json!(full.index_count);
    }
    value
}
