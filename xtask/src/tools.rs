//! Programs of the system that some tests need, from Debian's packages.
//!
//! Only where the system is Debian's kind and this is root; elsewhere, and if it fails, the tests
//! that need them say that they are left out.
//! Not here: peers (`peers.rs`).

use crate::command;
use anyhow::{Context as _, Result, bail};
use std::{env, process::Command};

/// The programs, and what has them.
const TOOLS: [(&str, &str); 3] = [("ip", "iproute2"), ("nft", "nftables"), ("strace", "strace")];

/// Installs what is not there.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> = TOOLS
        .into_iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() || !is_root() {
        bail!("{} not installed", missing.join(", "));
    }
    println!("installing {}", missing.join(", "));
    let apt = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(["-qq", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1"]);
        apt.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        command::run(&mut apt)
    };
    // Lists that are there may do, and may be all there is.
    let wanted = [&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat();
    if apt(&wanted).is_ok() {
        return Ok(());
    }
    apt(&["update"]).context("could not read Debian's list of packages")?;
    apt(&wanted).with_context(|| format!("could not install {}", missing.join(", ")))
}

/// Where a program is; administrators' folders are not on everybody's path.
fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = command::setting("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn programs_are_found_by_name() {
        assert!(find("sh").is_some());
        assert!(find("no such program").is_none());
    }
}
