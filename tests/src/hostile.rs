//! DAGs that no honest program makes, built by hand and put into a repository block by block.
//!
//! Not here: what must become of them (`tests/tests/bad_input.rs`).

use crate::Home;

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128, "one byte of length is enough here");
    let mut out = vec![(number << 3) | 2, bytes.len() as u8];
    out.extend_from_slice(bytes);
    out
}

/// A CIDv1 in base32 as bytes.
fn decode(cid: &str) -> Vec<u8> {
    let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in cid.strip_prefix('b').expect("base32").bytes() {
        let value = alphabet.iter().position(|of| *of == letter).expect("base32");
        bits = (bits << 5) | value as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn put(home: &Home, codec: &str, bytes: Vec<u8>) -> String {
    home.run_with(["block", "put", "--cid-codec", codec], bytes).text()
}

/// A folder with `entries` (name, CID) as they are, in this order.
pub fn folder(home: &Home, entries: &[(&str, &str)]) -> String {
    let mut node = Vec::new();
    for (name, cid) in entries {
        let mut link = field(1, &decode(cid));
        link.extend(field(2, name.as_bytes()));
        link.extend([3 << 3, 1]);
        node.extend(field(2, &link));
    }
    node.extend(field(1, &[8, 1]));
    put(home, "dag-pb", node)
}

/// A symlink to `target`.
pub fn symlink(home: &Home, target: &str) -> String {
    let mut data = vec![8, 4];
    data.extend(field(2, target.as_bytes()));
    put(home, "dag-pb", field(1, &data))
}

/// A file with these few bytes.
pub fn file(home: &Home, text: &str) -> String {
    put(home, "raw", text.as_bytes().to_vec())
}
