//! `cargo xtask test`: the whole test command, from peers to doc tests.
//!
//! Says plainly what it leaves out when peers cannot be installed. With `CI=true` nothing may be
//! left out, so that is a failure there.
//! Invariant: the test runner comes last, so its summary lines are the last lines of the output.

use crate::{command, peers, tools};
use anyhow::{Context as _, Result};

/// Runs everything; `args` go to `cargo test`, in place of the whole workspace if they name
/// packages.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let required = command::setting("CI").is_some_and(|value| value == "true");
    let home = match peers::install() {
        Ok(home) => Some(home),
        Err(error) if required => return Err(error.context("CI=true, so nothing may be skipped")),
        Err(error) => {
            println!("SKIPPED: every test with Kubo's core, Helia or kubo-rpc-client: {error:#}");
            None
        }
    };
    if let Err(error) = tools::install() {
        // Also allowed with CI=true: a container may not let anybody make networks or trace.
        println!("SKIPPED: tests with routers or failing system calls: {error:#}");
    }

    let mut build = command::cargo();
    build.args(["build", "--locked", "--workspace", "--bins"]);
    if !names_packages(args) {
        // With the tests, so that cargo settles on the features that it tests with: otherwise
        // it builds many dependencies twice.
        build.arg("--tests");
    }
    command::run(&mut build).context("could not build the binary")?;
    let binary = command::target_folder()?.join("debug/cairn");

    let mut test = command::cargo();
    test.args(["test", "--locked", "--no-fail-fast"]);
    if !names_packages(args) {
        test.arg("--workspace");
    }
    test.args(args).env("CAIRN_BIN", &binary);
    if let Some(home) = &home {
        test.env("CAIRN_PEERS", home);
    }
    command::run(&mut test).context("tests failed")
}

/// Whether `args` choose packages by themselves; what follows `--` is for the test programs.
fn names_packages(args: &[String]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package") || arg == "--workspace")
}

#[cfg(test)]
mod tests {
    use super::names_packages;

    #[test]
    fn packages_are_seen_before_the_double_dash_only() {
        for (args, expected) in [
            (&[][..], false),
            (&["-p", "cairn-tests"], true),
            (&["--package=cairn-tests"], true),
            (&["--workspace"], true),
            (&["--test", "kill"], false),
            (&["--", "-p"], false),
        ] {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            assert_eq!(names_packages(&args), expected, "{args:?}");
        }
    }
}
