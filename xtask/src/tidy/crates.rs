//! The order of the crates: each uses only those before it in the story of a block.
//!
//! Read from `cargo metadata`, so it holds for what cargo builds and not for what a text says.
//! Invariants checked: `store` and `network` meet in `node` only; services never use each other;
//! tests' crates are nobody's real dependency; the pure crates have no runtime, clock or disk;
//! folders and packages carry the same name.

use super::Finding;
use anyhow::{Context as _, Result};
use serde_json::Value;

/// The crates in the order of the story; one row holds equals, which never use each other.
const ORDER: &[&[&str]] = &[
    &["cairn-hash"],
    &["cairn-chunk"],
    &["cairn-block"],
    &["cairn-dag"],
    &["cairn-unixfs"],
    &["cairn-names"],
    &["cairn-runtime"],
    &["cairn-web"],
    &["cairn-store", "cairn-network"],
    &["cairn-node"],
    &["cairn-rpc", "cairn-gateway", "cairn-migrate", "cairn-car"],
    &["cairn"],
];

/// Crates that only tests may use.
const FOR_TESTS: &[&str] =
    &["cairn-testkit", "cairn-sim", "cairn-fuzz", "cairn-tests", "cairn-benches", "xtask"];

/// Crates that take bytes and time as arguments and give effects as values.
const PURE: &[&str] =
    &["cairn-hash", "cairn-chunk", "cairn-block", "cairn-dag", "cairn-unixfs", "cairn-names"];

/// What would make a pure crate impure.
const IMPURE: &[&str] =
    &["tokio", "tokio-util", "rand", "libp2p", "hyper", "redb", "memmap2", "rustix", "tempfile"];

/// Folder names that say nothing of what is inside.
const VAGUE: &[&str] = &["common", "core", "util", "utils", "misc", "types", "manager", "helpers"];

/// Checks what `cargo metadata --no-deps` printed.
pub(super) fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let root = metadata["workspace_root"].as_str().context("metadata names no root")?;
    let packages = metadata["packages"].as_array().context("metadata lists no packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let manifest = package["manifest_path"].as_str().context("a package has no manifest")?;
        let path = manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches('/');
        let mut find = |text: String| findings.push(Finding::new(path, 1, text));
        check_name(name, path, &mut find);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().context("a dependency has no name")?;
            check_use(name, used, dependency["kind"].as_str(), &mut find);
        }
    }
    Ok(findings)
}

fn check_name(name: &str, manifest: &str, find: &mut impl FnMut(String)) {
    let folder = manifest.trim_end_matches("Cargo.toml").trim_end_matches('/');
    let folder = folder.strip_prefix("crates/").unwrap_or(folder);
    let folder = folder.strip_prefix("services/").unwrap_or(folder);
    let expected = match folder {
        "cli" => "cairn".to_owned(),
        "xtask" | "fuzz" => folder.to_owned(),
        _ => format!("cairn-{folder}"),
    };
    if name != expected && !(folder == "fuzz" && name == "cairn-fuzz") {
        find(format!("package {name} in folder {folder} should be called {expected}"));
    }
    if VAGUE.contains(&folder) {
        find(format!("the folder name {folder} says nothing of what is inside"));
    }
    if position(name).is_none() && !FOR_TESTS.contains(&name) && folder != "fuzz" {
        find(format!("{name} has no place in the order of the crates (xtask/src/tidy/crates.rs)"));
    }
}

fn check_use(krate: &str, used: &str, kind: Option<&str>, find: &mut impl FnMut(String)) {
    let real = kind != Some("dev");
    if real && PURE.contains(&krate) && IMPURE.contains(&used) {
        find(format!("{krate} is pure and must not use {used}"));
    }
    if real && FOR_TESTS.contains(&used) && !FOR_TESTS.contains(&krate) {
        find(format!("{used} is for tests only, {krate} must not use it"));
    }
    if let (Some(of_user), Some(of_used)) = (position(krate), position(used))
        && of_used >= of_user
        && krate != used
    {
        find(format!("{krate} must not use {used}, which is not before it in the order"));
    }
}

fn position(name: &str) -> Option<usize> {
    ORDER.iter().position(|equals| equals.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::{Finding, check};
    use serde_json::{Value, json};

    fn package(name: &str, folder: &str, uses: &[(&str, Option<&str>)]) -> Value {
        let dependency = |(name, kind): &(&str, Option<&str>)| json!({"name": name, "kind": kind});
        let dependencies: Vec<Value> = uses.iter().map(dependency).collect();
        let manifest = format!("/w/{folder}/Cargo.toml");
        json!({"name": name, "manifest_path": manifest, "dependencies": dependencies})
    }

    fn found(package: &Value) -> Vec<Finding> {
        check(&json!({"workspace_root": "/w", "packages": [package]})).unwrap()
    }

    #[test]
    fn the_order_is_kept() {
        let node = [("cairn-store", None), ("cairn-network", None), ("tokio", None)];
        for good in [
            package("cairn-node", "crates/node", &node),
            package("cairn-rpc", "crates/services/rpc", &[("cairn-node", None)]),
            package("cairn", "crates/cli", &[("cairn-rpc", None)]),
            package("cairn-dag", "crates/dag", &[("tokio", Some("dev"))]),
            package("cairn-dag", "crates/dag", &[("cairn-testkit", Some("dev"))]),
            package("xtask", "xtask", &[]),
        ] {
            assert_eq!(found(&good), [], "{good}");
        }
    }

    #[test]
    fn each_broken_rule_is_one_finding() {
        for bad in [
            package("cairn-store", "crates/store", &[("cairn-network", None)]),
            package("cairn-rpc", "crates/services/rpc", &[("cairn-gateway", None)]),
            package("cairn-hash", "crates/hash", &[("cairn-block", None)]),
            package("cairn-hash", "crates/hash", &[("cairn-block", Some("dev"))]),
            package("cairn-dag", "crates/dag", &[("tokio", None)]),
            package("cairn-node", "crates/node", &[("cairn-testkit", None)]),
            package("cairn-nodes", "crates/node", &[]),
        ] {
            assert!(!found(&bad).is_empty(), "{bad}");
        }
    }
}
