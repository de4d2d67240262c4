//! Two nodes on loopback: what one adds, the other gets.

use crate::{Home, file};
use cairn_node::{AddOptions, Fetch};
use cairn_testkit::Random;

async fn connected() -> (Home, Home) {
    let (one, two) = futures::join!(Home::new(true), Home::new(true));
    let addrs = one.node.network().unwrap().listen_addrs().await;
    let addr = addrs[0].clone().with_p2p(one.node.identity().peer_id()).unwrap();
    two.node.network().unwrap().connect(addr).await.unwrap();
    (one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_fetched_and_kept() {
    let (one, two) = connected().await;
    let data = Random::new(1).bytes(5_000_000);
    let entries = vec![file("d/big", data.to_vec()), file("d/small", "s")];
    let root = one.add(entries, &AddOptions::default()).await.unwrap().root();
    let path = format!("/ipfs/{root}/d/big").replace("/d/", "/");
    assert!(two.cat(&path, Fetch::Local).await.is_err(), "not there yet");
    assert!(two.cat(&path, Fetch::Network).await.unwrap() == data);
    assert!(two.cat(&path, Fetch::Local).await.unwrap() == data, "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_fetches_everything_and_lasts() {
    let (one, two) = connected().await;
    let files: Vec<_> = (0..300).map(|n| file(&format!("d/{n}"), format!("file {n}"))).collect();
    let root = one.add(files, &AddOptions::default()).await.unwrap().root();
    two.node.pin_add(&root, true, None, None).await.unwrap();
    one.node.shutdown().await.unwrap();
    let two = two.reopen().await;
    for n in [0, 150, 299] {
        let path = format!("/ipfs/{root}/{n}");
        let expected = format!("file {n}");
        assert_eq!(two.cat(&path, Fetch::Local).await.unwrap(), expected.as_bytes());
    }
}
