//! Where the binary and the peers are, and what may be skipped.
//!
//! `cargo xtask test` says so by `CAIRN_BIN` and `CAIRN_PEERS`; without them (a plain `cargo
//! test`) both are looked for in the target folder that the running test lies in.

use std::{
    env, io,
    io::Write as _,
    path::{Path, PathBuf},
};

/// The `cairn` binary under test.
pub fn binary() -> PathBuf {
    let path = setting("CAIRN_BIN").map_or_else(|| profile_folder().join("cairn"), PathBuf::from);
    assert!(path.is_file(), "no binary at {}: run `cargo xtask test`", path.display());
    path
}

/// Where the peers are installed; `None`, after saying so, where they may be missing.
pub fn peers() -> Option<PathBuf> {
    let beside = || profile_folder().with_file_name("peers");
    let path = setting("CAIRN_PEERS").map_or_else(beside, PathBuf::from);
    if path.join("installed").is_file() {
        return Some(path);
    }
    skip("the real peers are not installed (`cargo xtask test` installs them)");
    None
}

/// Tells the person at the terminal that the calling test leaves out something, and why.
///
/// # Panics
///
/// With `CI=true`, where nothing may be left out.
pub fn skip(reason: &str) {
    assert!(setting("CI").as_deref() != Some("true"), "CI=true, but {reason}");
    say_skipped(reason);
}

/// Says what is left out on any machine that cannot do it, CI or not.
pub fn say_skipped(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Past the test runner's capture, which would hide it.
    writeln!(io::stderr(), "SKIPPED {test}: {reason}").expect("standard error is open");
}

/// A count that a person may raise for a long run: `name` from the environment, else `usual`.
pub fn run_count(name: &str, usual: u64) -> u64 {
    setting(name).map_or(usual, |text| text.parse().expect("a count is a whole number"))
}

/// `target/debug` or `target/release`, whichever this test was built into.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let parent = |path: &Path| path.parent().expect("a test lies in target/…/deps").to_owned();
    parent(&parent(&test))
}

#[expect(clippy::disallowed_methods, reason = "tests have no node config to ask")]
fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
