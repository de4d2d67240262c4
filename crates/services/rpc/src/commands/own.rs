//! What only the command line can do: rows without a handler here.
//!
//! They stand in the table so that `commands`, help and completions know them.
//! Not here: what they do (the `cairn` binary).

use crate::command::{Argument, Command, Needs, Opt};

/// The row of `init`.
pub(super) const INIT: Command = Command {
    path: "init",
    tagline: "Make a new repository",
    help: "The repository is made at $CAIRN_PATH, else $IPFS_PATH, else ~/.cairn.",
    arguments: &[Argument {
        stdin: false,
        ..Argument::file("default-config", "A configuration to begin with").optional()
    }],
    options: &[
        Opt::text("algorithm", "Kind of the key").or(&["a"]).default("ed25519"),
        Opt::int("bits", "Bits of an RSA key").or(&["b"]),
        Opt::flag("empty-repo", "Add nothing to it").or(&["e"]).default("true"),
        Opt::text("profile", "Settings to apply; several with commas between").or(&["p"]),
    ],
    needs: Needs::CommandLine,
    ..Command::BASE
};

/// The row of `daemon`.
pub(super) const DAEMON: Command = Command {
    path: "daemon",
    tagline: "Run a node that is connected to the network",
    help: "It runs until it is interrupted or told to by `cairn shutdown`. Other commands find it\n\
           by themselves.",
    options: &[
        Opt::flag("init", "Make the repository first if there is none"),
        Opt::text("init-config", "A configuration for --init to begin with"),
        Opt::text("init-profile", "Settings for --init; several with commas between"),
        Opt::text("routing", "Accepted; there is no routing yet").default("default"),
        Opt::flag("mount", "Not supported yet: mount the namespaces"),
        Opt::text("mount-ipfs", "Not supported yet: where to mount /ipfs"),
        Opt::text("mount-ipns", "Not supported yet: where to mount /ipns"),
        Opt::text("mount-mfs", "Not supported yet: where to mount MFS"),
        Opt::flag("unrestricted-api", "Accepted; the API has no such restriction"),
        Opt::flag("disable-transport-encryption", "Not supported: connections are encrypted"),
        Opt::flag("enable-gc", "Collect garbage when the repository is over its watermark"),
        Opt::flag("manage-fdlimit", "Accepted; few files are open").default("true"),
        Opt::flag("migrate", "Accepted; there is nothing to migrate"),
        Opt::flag("enable-pubsub-experiment", "Accepted; there is no pubsub yet"),
        Opt::flag("enable-namesys-pubsub", "Accepted; there is no pubsub yet"),
        Opt::flag("enable-mplex-experiment", "Accepted; mplex is not spoken"),
        Opt::text("agent-version-suffix", "Accepted; see Version.AgentSuffix"),
    ],
    needs: Needs::CommandLine,
    ..Command::BASE
};

/// The row of `repo restore`.
pub(super) const REPO_RESTORE: Command = Command {
    path: "repo restore",
    tagline: "Make a repository from a backup",
    help: "The repository is made at $CAIRN_PATH, else $IPFS_PATH, else ~/.cairn, where none may be\n\
           yet. If it is interrupted, run it again.",
    arguments: &[Argument::text("directory", "What `cairn repo backup` made")],
    needs: Needs::CommandLine,
    ..Command::BASE
};

/// The row of `config edit`.
pub(super) const CONFIG_EDIT: Command = Command {
    path: "config edit",
    tagline: "Open the configuration in $EDITOR",
    needs: Needs::CommandLine,
    ..Command::BASE
};
