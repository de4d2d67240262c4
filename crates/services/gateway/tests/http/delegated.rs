//! The routing API, asked of a node that knows one other.
//!
//! Not here: filters and paths one by one (`src/delegated/`), real clients (`tests/`).

use crate::{client, client::Answer, site::Site};
use bytes::Bytes;
use cairn_names::{Keypair, Name, Record, RecordContent};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

const RECORD: &str = "application/vnd.ipfs.ipns-record";
const LINES: (&str, &str) = ("Accept", "application/x-ndjson");

/// A gateway's node, and another that it knows and that knows it.
async fn pair() -> (Site, Site) {
    let (near, far) = (Site::start_online(json!({})).await, Site::start_online(json!({})).await);
    let network = |site: &Site| site.node.network().expect("online").clone();
    let addr = network(&far).listen_addrs().await.remove(0);
    network(&near).connect(addr).await.expect("connects");
    for site in [&near, &far] {
        while !network(site).routing().has_peers() {
            tokio::task::yield_now().await;
        }
    }
    (near, far)
}

fn document(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_str(answer.text()).expect("JSON")
}

#[tokio::test]
async fn providers_are_told_as_a_document_or_as_lines() {
    let (near, far) = pair().await;
    let file = far.file(b"theirs").await;
    let network = far.node.network().expect("online");
    network.routing().provide(&file.cid, None).await.expect("announced");
    let id = network.peer_id().to_string();
    let target = format!("/routing/v1/providers/{}", file.cid);
    // An announcement is not answered: it is there a moment later.
    let mut answer = near.get(&target).await;
    while document(&answer)["Providers"] == json!([]) {
        answer = near.get(&target).await;
    }
    let found = &document(&answer)["Providers"];
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!((&found[0]["Schema"], &found[0]["ID"]), (&json!("peer"), &json!(id)));
    let addr = found[0]["Addrs"][0].as_str().expect("an address").to_owned();
    assert!(addr.starts_with("/ip4/127.0.0.1/tcp/"), "{addr}");
    assert!(answer.header("cache-control").contains("max-age=300, stale-while-revalidate=172800"));
    assert_eq!(answer.header("vary"), "Accept");
    assert!(answer.header("last-modified").ends_with(" GMT"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-allow-methods").contains("PUT"));

    let lines = near.get_with(&target, &[LINES]).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let records: Vec<Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records, [found[0].clone()]);

    for (filters, count) in
        [("filter-addrs=tcp", 1), ("filter-addrs=!tcp", 0), ("filter-protocols=x", 0)]
    {
        let answer = near.get(&format!("{target}?{filters}")).await;
        assert_eq!(document(&answer)["Providers"].as_array().map(Vec::len), Some(count));
    }
}

#[tokio::test]
async fn what_nobody_has_is_an_empty_answer_that_is_kept_for_a_short_time() {
    let (near, _far) = pair().await;
    let absent = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";
    let target = format!("/routing/v1/providers/{absent}");
    let answer = near.get(&target).await;
    assert_eq!(document(&answer), json!({"Providers": []}));
    assert!(answer.header("cache-control").contains("max-age=15,"));
    let lines = near.get_with(&target, &[LINES]).await;
    assert_eq!((lines.status.as_u16(), lines.text()), (200, ""));
    let stranger = Name::of_key(&Keypair::generate_ed25519().public());
    let answer = near.get(&format!("/routing/v1/peers/{stranger}")).await;
    assert_eq!(document(&answer), json!({"Peers": []}));
    let answer = near.get(&format!("/routing/v1/ipns/{stranger}")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
    assert!(answer.header("cache-control").contains("max-age=15,"));
}

#[tokio::test]
async fn peers_are_found_by_their_id_and_by_a_key_near_them() {
    let (near, far) = pair().await;
    let peer = far.node.network().expect("online").peer_id();
    let id = json!(peer.to_string());
    for form in [peer.to_string(), Name::of_peer(peer).to_string()] {
        let answer = near.get(&format!("/routing/v1/peers/{form}")).await;
        let found = document(&answer);
        assert_eq!(found["Peers"][0]["ID"], id, "{found}");
        assert_ne!(found["Peers"][0]["Addrs"], json!([]));
    }
    let file = near.file(b"any").await;
    for key in [file.cid.to_string(), peer.to_string()] {
        let answer = near.get(&format!("/routing/v1/dht/closest/peers/{key}")).await;
        assert_eq!(document(&answer)["Peers"][0]["ID"], id);
    }
}

#[tokio::test]
async fn records_are_taken_and_given_if_they_are_signed() {
    let (near, far) = pair().await;
    let keys = Keypair::generate_ed25519();
    let name = Name::of_key(&keys.public());
    let end = near.node.clock().now() + Duration::from_hours(1);
    let content =
        RecordContent::new(b"/ipfs/bafkqaaa".to_vec(), end.into(), 7, Duration::from_secs(90));
    let record = Record::create(&keys, &content, true).expect("a record").encode();
    let target = format!("/routing/v1/ipns/{name}");
    let put = async |target: &str, kind: &str, bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        client::send(near.address, (Method::PUT, target), &[("Content-Type", kind)], bytes).await
    };
    assert_eq!(put(&target, "application/json", &record).await.status, 406);
    let mut forged = record.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(put(&target, RECORD, &forged).await.status, 400);
    assert_eq!(put(&target, RECORD, &vec![0; 20_000]).await.status, 400);
    let other = Name::of_key(&Keypair::generate_ed25519().public());
    assert_eq!(put(&format!("/routing/v1/ipns/{other}"), RECORD, &record).await.status, 400);
    let answer = put(&target, RECORD, &record).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    // The other node got it by the DHT.
    let answer = far.get(&target).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((answer.header("content-type"), answer.bytes().to_vec()), (RECORD, record));
    assert!(answer.header("cache-control").starts_with("public, max-age=90, "));
    assert!(answer.header("expires").ends_with(" GMT"));
    let etag = answer.header("etag").to_owned();
    let again = far.get_with(&target, &[("If-None-Match", &etag)]).await;
    assert_eq!((again.status.as_u16(), again.bytes().len()), (304, 0));
    assert_eq!(far.get_with(&target, &[("Accept", "text/html")]).await.status, 406);
    assert_eq!(far.get_with(&target, &[("Accept", "*/*")]).await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_refused_as_the_specification_says() {
    let (near, _far) = pair().await;
    for path in ["providers/x", "peers/x", "ipns/x", "dht/closest/peers/x", "unknown/x", ""] {
        assert_eq!(near.get(&format!("/routing/v1/{path}")).await.status, 400, "{path}");
    }
    let target = "/routing/v1/providers/bafkqaaa";
    let html = near.get_with(target, &[("Accept", "text/html")]).await;
    assert_eq!(html.status, 406);
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        let answer = client::request(near.address, method.clone(), target, &[]).await;
        assert_eq!(answer.status, 501, "{method}");
    }
    let options = client::request(near.address, Method::OPTIONS, target, &[]).await;
    assert_eq!(options.status, 200);
    assert!(options.header("access-control-allow-methods").contains("PUT"));

    let offline = Site::start(json!({})).await;
    assert_eq!(offline.get(target).await.status, 501);
    let alone = Site::start_online(json!({})).await;
    let answer = alone.get(target).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "15"));
    let closed = Site::start_online(json!({"ExposeRoutingAPI": false})).await;
    assert_eq!(closed.get(target).await.status, 404);
}
