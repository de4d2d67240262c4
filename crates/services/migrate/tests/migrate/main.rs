//! Whole migrations from repositories made by hand, as Kubo lays them out.
//!
//! Not here: repositories that Kubo has made (the end-to-end tests), single parts (unit tests).

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod kubo;

use cairn_migrate::{Event, Loss, MigrateError, MigrateOptions, Report, migrate, plan};
use cairn_node::{Node, OpenOptions, PinState};
use cairn_store::MFS_ROOT_KEY;
use kubo::{IDENTITY, Kubo};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

/// What was told, besides progress.
type Told = Arc<Mutex<Vec<String>>>;

fn options(kubo: &Kubo) -> MigrateOptions {
    MigrateOptions { from: kubo.repo(), to: kubo.target(), check: true, ..Default::default() }
}

async fn run(options: MigrateOptions) -> (Result<Report, MigrateError>, Vec<String>) {
    let told = Told::default();
    let listening = Arc::clone(&told);
    let listener = move |event| match event {
        Event::Lost(loss) => listening.lock().unwrap().push(loss.to_string()),
        Event::Note(text) => listening.lock().unwrap().push(text),
        _ => {}
    };
    let report = migrate(options, listener).await;
    let told = told.lock().unwrap().clone();
    (report, told)
}

async fn open(path: &Path) -> Node {
    Node::open(OpenOptions { path: path.to_owned(), online: false, pubsub: false }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_over_and_the_source_stays() {
    let mut kubo = Kubo::new();
    let (tree, leaves) = kubo.tree("one", 300);
    let (mfs, _) = kubo.tree("mfs", 3);
    let (alone, _) = kubo.tree("alone", 1);
    kubo.pin(&tree, 0, "photos");
    kubo.pin(&leaves[7], 1, "");
    kubo.pin(&alone, 0, "");
    kubo.mfs(&mfs);
    kubo.key("key_nvuq", b"a key");
    kubo.write();
    let before = kubo.files();

    let (report, told) = run(options(&kubo)).await;
    let report = report.unwrap();
    assert_eq!(told, [""; 0]);
    let counts = (report.recursive_count, report.direct_count, report.key_count, report.loss_count);
    assert_eq!(counts, (2, 1, 1, 0));
    assert_eq!(report.block_count, kubo.block_count());
    assert_eq!(report.mfs_root, Some(mfs.clone()));
    assert!(kubo.files() == before, "the source is as it was");

    let node = open(&kubo.target()).await;
    assert_eq!(node.identity().peer_id().to_string(), report.peer_id);
    let pin = node.pin_get(&tree).await.unwrap().unwrap();
    assert_eq!((pin.cid, pin.name.as_str()), (tree.clone(), "photos"));
    let states = node.pin_states(&[leaves[7].clone(), leaves[8].clone()]).await.unwrap();
    assert_eq!(states, [PinState::Direct, PinState::Indirect { via: tree }]);
    assert_eq!(node.repo().meta().get(MFS_ROOT_KEY).unwrap(), Some(mfs.to_bytes()));
    assert_eq!(node.config().get("Addresses.Gateway").unwrap(), "/ip4/127.0.0.1/tcp/18080");
    let key = node.repo().keystore_path().join("key_nvuq");
    assert_eq!(fs::read(&key).unwrap(), b"a key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_adds_what_is_new_and_changes_nothing_else() {
    let mut kubo = Kubo::new();
    let (first, _) = kubo.tree("first", 20);
    kubo.pin(&first, 0, "kubo's name");
    kubo.mfs(&first);
    kubo.write();
    run(options(&kubo)).await.0.unwrap();
    let node = open(&kubo.target()).await;
    let ours = Some("our name".to_owned());
    node.pin_add(&first, true, ours, None).await.unwrap();
    node.config().set("Gateway.RootRedirect", "/x".into()).unwrap();
    node.shutdown().await.unwrap();
    drop(node);

    let (second, _) = kubo.tree("second", 20);
    kubo.pin(&second, 0, "");
    kubo.mfs(&second);
    kubo.write();
    let (report, told) = run(options(&kubo)).await;
    let report = report.unwrap();
    assert!(report.target_existed);
    assert_eq!((report.block_count + report.present_count), kubo.block_count());
    assert!(told.iter().any(|text| text.contains("another MFS root")), "{told:?}");
    let node = open(&kubo.target()).await;
    assert_eq!(node.pin_get(&first).await.unwrap().unwrap().name, "our name");
    assert!(node.pin_get(&second).await.unwrap().is_some());
    assert_eq!(node.config().get("Gateway.RootRedirect").unwrap(), "/x");
    assert_eq!(node.repo().meta().get(MFS_ROOT_KEY).unwrap(), Some(first.to_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_is_named_and_kept() {
    let mut kubo = Kubo::new();
    let (whole, _) = kubo.tree("whole", 30);
    let (broken, leaves) = kubo.tree("broken", 30);
    kubo.pin(&whole, 0, "");
    kubo.pin(&broken, 0, "");
    kubo.pin_record("nonsense", b"\xa1\x63abc\x00".to_vec());
    kubo.write();
    fs::remove_file(kubo.block_path(&leaves[3])).unwrap();
    fs::write(kubo.block_path(&leaves[4]), b"something else").unwrap();

    let told = Arc::new(Mutex::new(Vec::new()));
    let listening = Arc::clone(&told);
    let listener = move |event| {
        if let Event::Lost(loss) = event {
            listening.lock().unwrap().push(loss);
        }
    };
    let report = migrate(options(&kubo), listener).await.unwrap();
    let told = told.lock().unwrap().clone();
    let missing = |leaf: usize| {
        told.iter().any(|loss| matches!(loss, Loss::Missing { block, root, .. } if *block == leaves[leaf] && *root == broken))
    };
    assert!(missing(3) && missing(4), "{told:?}");
    let corrupt = told.iter().filter(|loss| matches!(loss, Loss::Block { .. })).count();
    let pins = told.iter().filter(|loss| matches!(loss, Loss::Pin { .. })).count();
    assert_eq!((corrupt, pins, told.len()), (1, 1, 4), "{told:?}");
    assert_eq!(report.loss_count, 4);
    let node = open(&kubo.target()).await;
    assert!(node.pin_get(&broken).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn places_and_identities_do_not_mix() {
    let mut kubo = Kubo::new();
    let (tree, _) = kubo.tree("tree", 3);
    kubo.pin(&tree, 0, "");
    kubo.write();
    for to in [kubo.repo(), kubo.repo().join("inside"), kubo.folder().to_owned()] {
        let (answer, _) = run(MigrateOptions { to, ..options(&kubo) }).await;
        assert!(matches!(answer, Err(MigrateError::SamePlace { .. })), "{answer:?}");
    }
    run(options(&kubo)).await.0.unwrap();
    let identity = MigrateOptions { identity: true, ..options(&kubo) };
    let (answer, _) = run(identity.clone()).await;
    assert!(matches!(answer, Err(MigrateError::OtherIdentity { .. })), "{answer:?}");
    let elsewhere = MigrateOptions { to: kubo.folder().join("elsewhere"), ..identity };
    assert_eq!(run(elsewhere).await.0.unwrap().peer_id, IDENTITY.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_makes_nothing() {
    let mut kubo = Kubo::new();
    let (tree, leaves) = kubo.tree("tree", 10);
    kubo.pin(&tree, 0, "");
    kubo.pin(&leaves[1], 1, "");
    kubo.write();
    let before = kubo.files();
    let report = plan(options(&kubo), |_| {}).await.unwrap();
    assert_eq!(report.block_count, kubo.block_count());
    assert_eq!((report.recursive_count, report.direct_count), (1, 1));
    assert!(!kubo.target().exists());
    assert!(kubo.files() == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_costs_pins_and_nothing_else() {
    let mut kubo = Kubo::new();
    let (tree, _) = kubo.tree("tree", 10);
    kubo.pin(&tree, 0, "");
    kubo.write();
    fs::write(kubo.repo().join("datastore/CURRENT"), "garbage").unwrap();
    let error = run(options(&kubo)).await.0.unwrap_err().to_string();
    assert!(error.contains("datastore/CURRENT") && error.contains("--blocks-only"), "{error}");
    assert!(!kubo.target().exists(), "it is known before anything is made");
    let report = run(MigrateOptions { blocks_only: true, ..options(&kubo) }).await.0.unwrap();
    assert_eq!((report.block_count, report.recursive_count), (kubo.block_count(), 0));
}
