//! Blocks kept compressed: the same CIDs, the same bytes, less disk, whatever the setting is
//! when they are read.

use cairn_tests::{Home, http, tree};
use serde_json::json;
use std::fs;

/// Bytes of each file.
const FILE_LEN: usize = 3_000_000;

fn compress(home: &Home, setting: &str) {
    home.run(["config", "Cairn.Store.Compression", setting]).text();
}

/// A file that shrinks well and one that does not, in a folder.
fn files(home: &Home) -> std::path::PathBuf {
    let folder = home.path("files");
    fs::create_dir(&folder).expect("a folder can be made");
    let mut words = String::new();
    for number in 0_u32.. {
        words.push_str("a line of a text that says little, number ");
        words.push_str(&number.to_string());
        if words.len() > FILE_LEN {
            break;
        }
    }
    fs::write(folder.join("words"), &words[..FILE_LEN]).expect("a file can be written");
    let noise = tree::Random::new(9).bytes(FILE_LEN);
    fs::write(folder.join("noise"), noise).expect("a file can be written");
    folder
}

fn disk_len(home: &Home) -> u64 {
    let packs = fs::read_dir(home.repo().join("blocks")).expect("there are packs");
    packs.map(|pack| pack.expect("a pack").metadata().expect("its length").len()).sum()
}

#[test]
fn compressed_blocks_have_the_same_names_and_bytes_and_take_less_disk() {
    let (plain, packed) = (Home::new(), Home::new());
    compress(&packed, "zstd");
    let cid = plain.add(&files(&plain));
    assert_eq!(packed.add(&files(&packed)), cid);
    let (plain_len, packed_len) = (disk_len(&plain), disk_len(&packed));
    assert!(plain_len > 2 * FILE_LEN as u64, "{plain_len}");
    assert!(packed_len > FILE_LEN as u64 && packed_len < FILE_LEN as u64 * 6 / 5, "{packed_len}");

    // Read with it off, and added to with another level.
    for setting in ["none", "zstd:9"] {
        compress(&packed, setting);
        for name in ["words", "noise"] {
            let path = format!("{cid}/{name}");
            let bytes = fs::read(packed.path("files").join(name)).expect("the file is there");
            assert!(packed.run(["cat", &path]).stdout == bytes, "{name} {setting}");
            let range = packed.run(["cat", "--offset=262100", "--length=300000", &path]).stdout;
            assert!(range == bytes[262_100..562_100], "{name} {setting}");
        }
        assert_eq!(packed.add(&packed.path("files")), cid, "{setting}");
        let grown = disk_len(&packed) - packed_len;
        assert!(grown < 1024, "nothing but its pin is written again: {grown} bytes");
    }
    assert!(packed.run(["repo", "verify"]).text().contains("all blocks validated"));
    assert_eq!(
        packed.run(["block", "stat", &cid]).text(),
        plain.run(["block", "stat", &cid]).text()
    );
    let all = |home: &Home| {
        let mut refs: Vec<String> =
            home.run(["refs", "local"]).text().lines().map(str::to_owned).collect();
        refs.sort();
        refs
    };
    assert_eq!(all(&packed), all(&plain));

    let daemon = packed.daemon();
    let answer = http::get(daemon.gateway, &format!("/ipfs/{cid}/words"));
    let words = fs::read(packed.path("files/words")).expect("the file is there");
    assert!(answer.status == 200 && answer.body == words);
    assert_eq!(daemon.stop().code(), Some(0));

    packed.run(["pin", "rm", &cid]).text();
    packed.run(["repo", "gc", "-q"]).text();
    assert!(disk_len(&packed) < 100_000, "{}", disk_len(&packed));
}

#[test]
fn an_unknown_compression_is_refused_with_what_is_known() {
    let home = Home::new();
    let refused = home.run(["config", "Cairn.Store.Compression", "gzip"]);
    let text = "config key Cairn.Store.Compression must be \"none\", \"zstd\" or \"zstd:LEVEL\"";
    assert!(refused.failure().contains(text), "{refused:?}");
    home.edit_config(|config| config["Cairn"] = json!({"Store": {"Compression": 7}}));
    assert!(home.run(["repo", "stat"]).failure().contains(text));
}
