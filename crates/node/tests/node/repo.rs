//! Making, opening and configuring repositories.

use crate::{Home, open};
use cairn_node::{ErrorKind, InitOptions, NodeError, config::Settings};
use serde_json::json;

#[tokio::test]
async fn a_repository_is_made_once() {
    let home = Home::new(false).await;
    let path = home.dir.path().join("repo");
    let error = cairn_node::init(&path, InitOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[tokio::test]
async fn init_refuses_what_it_cannot_make() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        InitOptions { algorithm: Some("rsa".to_owned()), ..InitOptions::default() },
        InitOptions { key_bits: Some(2048), ..InitOptions::default() },
        InitOptions { profiles: vec!["nonsense".to_owned()], ..InitOptions::default() },
        InitOptions { config: Some(json!({"Identity": {}})), ..InitOptions::default() },
    ];
    for row in rows {
        let path = dir.path().join("repo");
        let error = cairn_node::init(&path, row.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{row:?}: {error}");
        assert!(!path.join("config").exists(), "{row:?}");
    }
}

#[tokio::test]
async fn a_second_opener_is_told_why_not() {
    let home = Home::new(false).await;
    let error = open(&home.dir, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let home = home.reopen().await;
    drop(home);
    let empty = tempfile::tempdir().unwrap();
    let error = open(&empty, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("init"), "{error}");
}

#[tokio::test]
async fn the_config_is_changed_on_disk() {
    let home = Home::new(false).await;
    let id = home.node.identity().peer_id();
    let config = home.node.config();
    config.set("Datastore.StorageMax", json!("1MB")).unwrap();
    config.set("Unknown.Key", json!([1, null])).unwrap();
    let home = home.reopen().await;
    let config = home.node.config();
    assert_eq!(config.get("Unknown.Key").unwrap(), json!([1, null]));
    assert_eq!(home.node.repo_stat().await.unwrap().storage_max, 1_000_000);
    assert_eq!(home.node.identity().peer_id(), id);
    config.replace(json!({"Addresses": {"API": "/ip4/127.0.0.1/tcp/1"}})).unwrap();
    let home = home.reopen().await;
    assert_eq!(home.node.identity().peer_id(), id);
    let addresses = home.node.config().read(Settings::addresses).unwrap();
    assert_eq!(addresses.api, ["/ip4/127.0.0.1/tcp/1"]);
}

#[tokio::test]
async fn a_broken_config_names_the_key() {
    let home = Home::new(false).await;
    let path = home.dir.path().join("repo/config");
    let text = std::fs::read_to_string(&path).unwrap();
    let Home { dir, node } = home;
    node.shutdown().await.unwrap();
    drop(node);
    std::fs::write(&path, text.replace("\"10GB\"", "\"much\"")).unwrap();
    let error = open(&dir, false).await.unwrap_err();
    assert!(matches!(error, NodeError::Config(_)), "{error}");
    assert!(error.to_string().contains("Datastore.StorageMax"), "{error}");
    std::fs::write(&path, text).unwrap();
    assert!(open(&dir, false).await.is_ok());
}

#[tokio::test]
async fn shutdown_can_be_asked_for() {
    let home = Home::new(false).await;
    let requested = home.node.shutdown_requested();
    assert!(!requested.is_cancelled());
    home.node.clone().shutdown_requested().cancel();
    requested.cancelled().await;
    home.node.shutdown().await.unwrap();
    assert!(home.node.tasks().is_stopping());
    assert!(!home.node.is_online());
    assert!(matches!(home.node.require_network(), Err(NodeError::Offline)));
}
