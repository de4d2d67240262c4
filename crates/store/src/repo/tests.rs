//! What a repository looks like from outside, and what is refused.

mod damage;

use super::{OpenOptions, Repo, RepoError, RepoKind};
use crate::{Pin, PinKind};
use cairn_block::{Block, codec};
use cairn_runtime::{MemoryVfs, RealVfs, Vfs, VfsExt as _};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

fn config() -> Value {
    json!({"Identity": {"PeerID": "x", "PrivKey": "y"}, "Zeta": 1, "Alpha": {"b": 1, "a": [2]}})
}

fn root() -> &'static Path {
    Path::new("/home/repo")
}

fn init() -> (MemoryVfs, Arc<dyn Vfs>) {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/home"), false).unwrap();
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    Repo::init(&shared, root(), &config()).unwrap();
    (vfs, shared)
}

fn open(vfs: &Arc<dyn Vfs>) -> Result<Repo, RepoError> {
    Repo::open(Arc::clone(vfs), root(), OpenOptions::default())
}

fn put(vfs: &dyn Vfs, name: &str, text: &str) {
    vfs.replace_file(&root().join(name), text.as_bytes(), false).unwrap();
}

#[test]
fn one_process_at_a_time() {
    let (_, vfs) = init();
    let repo = open(&vfs).unwrap();
    assert!(matches!(open(&vfs), Err(RepoError::Locked { .. })));
    let store = repo.store().clone();
    drop(repo);
    assert!(matches!(open(&vfs), Err(RepoError::Locked { .. })), "a clone may still write");
    drop(store);
    assert!(open(&vfs).unwrap().losses().is_empty());
}

#[test]
fn the_config_keeps_its_keys_and_their_order() {
    let (_, vfs) = init();
    let repo = open(&vfs).unwrap();
    assert_eq!(repo.config().unwrap(), config());
    let mut changed = config();
    changed["Alpha"]["new"] = json!(true);
    repo.replace_config(&changed).unwrap();
    let text = vfs.read_file(&root().join("config"), 9999).unwrap().unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), format!("{changed:#}\n"));
    let at = |key| format!("{:#}", repo.config().unwrap()).find(key).unwrap();
    assert!(at("Identity") < at("Zeta") && at("Zeta") < at("Alpha"));
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let cases: [(&str, &[(&str, &str)]); 3] = [
        ("a current Kubo", &[("version", "18"), ("datastore_spec", "{}"), ("config", "{}")]),
        ("a Kubo without its spec", &[("version", "12\n"), ("blocks/SHARDING", "/repo/flatfs")]),
        ("a Kubo without its version", &[("datastore_spec", "{}"), ("config", "{}")]),
    ];
    for (name, files) in cases {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::default());
        vfs.create_dir(&root().join("blocks"), false).unwrap();
        for (path, text) in files {
            put(&*vfs, path, text);
        }
        let before = vfs.list(root()).unwrap();
        let error = open(&vfs).unwrap_err();
        assert!(matches!(error, RepoError::Kubo { .. }), "{name}: {error}");
        assert!(error.to_string().contains("cairn migrate"), "{name}");
        let error = Repo::init(&vfs, root(), &config()).unwrap_err();
        assert!(matches!(error, RepoError::Kubo { .. }), "{name}: {error}");
        assert_eq!(vfs.list(root()).unwrap(), before, "{name}");
    }
}

#[test]
fn refuses_with_the_reason() {
    let (_, vfs) = init();
    let is = |expected: &str| {
        let error = open(&vfs).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    assert!(matches!(Repo::init(&vfs, root(), &config()), Err(RepoError::Exists { .. })));
    put(&*vfs, "version", "3");
    is("format 3, and this program knows up to 2");
    put(&*vfs, "version", "one");
    is("version is damaged");
    put(&*vfs, "version", "2");
    put(&*vfs, "config", "{\"a\": ");
    is("config is damaged");
    put(&*vfs, "config", "[]");
    is("JSON object");
    vfs.remove(&root().join("config")).unwrap();
    is("no repository at /home/repo; run `cairn init`");
    Repo::init(&vfs, root(), &config()).unwrap();
    assert_eq!(Repo::detect(&*vfs, root()).unwrap(), RepoKind::Cairn(2));
}

#[test]
fn addresses_come_and_go() {
    let (_, vfs) = init();
    let repo = open(&vfs).unwrap();
    assert_eq!(Repo::api_address(&*vfs, root()).unwrap(), None);
    repo.set_api_address(Some("/ip4/127.0.0.1/tcp/5001")).unwrap();
    repo.set_gateway_address(Some("http://127.0.0.1:8080")).unwrap();
    let address = Repo::api_address(&*vfs, root()).unwrap();
    assert_eq!(address.as_deref(), Some("/ip4/127.0.0.1/tcp/5001"));
    repo.set_api_address(None).unwrap();
    repo.set_api_address(None).unwrap();
    assert_eq!(Repo::api_address(&*vfs, root()).unwrap(), None);
}

#[test]
fn starts_degraded_and_names_the_loss() {
    let (_, vfs) = init();
    let repo = open(&vfs).unwrap();
    let block = |text: &'static str| Block::sha2_256(codec::RAW, text.into());
    repo.store().append(&[block("a")]).unwrap();
    assert_eq!(repo.stat().unwrap().block_count, 1);
    drop(repo);
    let blocks = root().join("blocks");
    vfs.rename(&blocks.join("000001.pack"), &blocks.join("000002.pack")).unwrap();
    let repo = open(&vfs).unwrap();
    let losses = repo.losses().join("\n");
    assert!(losses.contains("000001.pack: missing"), "{losses}");
    assert!(losses.contains("000002.pack: its header is damaged"), "{losses}");
    let answers = repo.store().read_many(&[block("a").cid().clone()]);
    assert!(matches!(answers[..], [Ok(None)]));
    repo.store().append(&[block("a")]).unwrap();
    repo.store().flush().unwrap();
    let answer = repo.store().read_many(&[block("a").cid().clone()]).remove(0);
    assert_eq!(answer.unwrap(), Some(block("a")));
}

#[cfg(unix)]
#[test]
fn secrets_are_private_on_disk() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("repo");
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs);
    Repo::init(&vfs, &path, &config()).unwrap();
    let repo = Repo::open(vfs, &path, OpenOptions::default()).unwrap();
    repo.replace_config(&config()).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.join("config")), 0o600);
    assert_eq!(mode(repo.keystore_path()), 0o700);
}

#[test]
fn a_lost_version_is_written_anew() {
    for text in [None, Some(""), Some("\n")] {
        let (_, vfs) = init();
        match text {
            None => vfs.remove(&root().join("version")).unwrap(),
            Some(text) => put(&*vfs, "version", text),
        }
        let repo = open(&vfs).unwrap();
        assert!(repo.losses()[0].contains("version: missing or empty"), "{:?}", repo.losses());
        drop(repo);
        assert!(open(&vfs).unwrap().losses().is_empty());
    }
}

fn pin(text: &'static str) -> Pin {
    let cid = Block::sha2_256(codec::RAW, text.into()).cid().clone();
    Pin { cid, kind: PinKind::Recursive, name: text.to_owned(), expires: None }
}

#[test]
fn a_lost_config_is_not_taken_for_a_new_repository() {
    let (_, vfs) = init();
    let repo = open(&vfs).unwrap();
    repo.pins().add(&[pin("a")]).unwrap();
    drop(repo);
    vfs.remove(&root().join("config")).unwrap();
    let error = open(&vfs).unwrap_err().to_string();
    assert!(error.contains("config is damaged: it is missing"), "{error}");
    assert!(error.contains("`cairn init`"), "{error}");
    Repo::init(&vfs, root(), &config()).unwrap();
    assert_eq!(open(&vfs).unwrap().pins().count().unwrap(), 1, "init keeps the rest");
}

#[test]
fn lost_metadata_are_named_and_reset_by_command() {
    for lost in ["removed", "emptied", "noise"] {
        let (_, vfs) = init();
        let options = OpenOptions { note_count_max: 1, ..OpenOptions::default() };
        let repo = Repo::open(Arc::clone(&vfs), root(), options).unwrap();
        repo.pins().add(&[pin("a"), pin("b")]).unwrap();
        drop(repo);
        let path = root().join("meta.redb");
        match lost {
            "removed" => vfs.remove(&path).unwrap(),
            "emptied" => vfs.replace_file(&path, b"", false).unwrap(),
            _ => vfs.replace_file(&path, &vec![0xa5; 100_000], false).unwrap(),
        }
        let repo = open(&vfs).unwrap();
        assert_eq!(repo.losses().len(), usize::from(lost != "noise"), "{lost}");
        repo.pins().add(&[pin("c")]).unwrap();
        for answer in [
            repo.pins().count().map(drop),
            repo.pins().remove(&[pin("c").cid]).map(drop),
            repo.pins().list(None).next().unwrap().map(drop),
        ] {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains("repo verify --reset-meta"), "{lost}: {error}");
        }
        let locked = Repo::reset_meta(&vfs, root()).unwrap_err();
        assert!(matches!(locked, RepoError::Locked { .. }), "{locked}");
        drop(repo);
        let reset = Repo::reset_meta(&vfs, root()).unwrap();
        // Every note is still in the packs.
        assert_eq!((reset.pin_count, reset.aside.is_some()), (3, lost != "removed"), "{lost}");
        let repo = open(&vfs).unwrap();
        assert!(repo.losses().is_empty(), "{lost}");
        repo.pins().add(&[pin("d")]).unwrap();
        assert_eq!(repo.pins().count().unwrap(), 4);
        if lost == "noise" {
            let aside = vfs.read_file(&reset.aside.unwrap(), 200_000).unwrap().unwrap();
            assert!(aside == vec![0xa5; 100_000], "the damaged file is kept");
        }
    }
}

#[test]
fn whole_metadata_survive_a_reset() {
    let (_, vfs) = init();
    let repo = open(&vfs).unwrap();
    let pins: Vec<Pin> = ["a", "b", "c"].map(pin).to_vec();
    repo.pins().add(&pins).unwrap();
    repo.meta().set(vec![("name".to_owned(), Some(b"value".to_vec()))]).unwrap();
    drop(repo);
    let reset = Repo::reset_meta(&vfs, root()).unwrap();
    assert_eq!(reset.pin_count, 3);
    let repo = open(&vfs).unwrap();
    for pin in pins {
        assert_eq!(repo.pins().get(&pin.cid).unwrap(), Some(pin));
    }
    assert_eq!(repo.meta().get("name").unwrap().as_deref(), Some(&b"value"[..]));
}
