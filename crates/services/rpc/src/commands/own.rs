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
        Opt::text("routing", "Accepted; see Routing.Type").default("default"),
        Opt::flag("mount", "Not supported yet: mount the namespaces"),
        Opt::text("mount-ipfs", "Not supported yet: where to mount /ipfs"),
        Opt::text("mount-ipns", "Not supported yet: where to mount /ipns"),
        Opt::text("mount-mfs", "Not supported yet: where to mount MFS"),
        Opt::flag("unrestricted-api", "Accepted; the API has no such restriction"),
        Opt::flag("disable-transport-encryption", "Not supported: connections are encrypted"),
        Opt::flag("enable-gc", "Collect garbage when the repository is over its watermark"),
        Opt::flag("manage-fdlimit", "Accepted; few files are open").default("true"),
        Opt::flag("migrate", "Accepted; there is nothing to migrate"),
        Opt::flag("enable-pubsub-experiment", "Take part in pubsub, as with Pubsub.Enabled"),
        Opt::flag("enable-namesys-pubsub", "Accepted; names do not go over pubsub yet"),
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
    arguments: &[Argument::text("path", "What `cairn repo backup` made: a directory or a file")],
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

/// The row of `migrate`.
pub(super) const MIGRATE: Command = Command {
    path: "migrate",
    tagline: "Take over everything from a Kubo repository",
    help: "Blocks, pins, the MFS root, keys and settings are copied to a repository of ours, which\n\
           is made if it is not there. Kubo's repository is only read, and stays as it is; its\n\
           daemon must be stopped. Every block is checked on the way.\n\n\
           It may be interrupted: the same command goes on where it was. Whatever cannot be\n\
           taken over is named, and makes the exit code 1.\n\n\
           Taken: blocks from flatfs, pins and the MFS root from leveldb, keys, settings, the key\n\
           of a private network. Not taken: IPNS records\n\
           and provider records (nodes make them anew), files added with --nocopy.",
    options: &[
        Opt::text("from", "Kubo's repository (default: $IPFS_PATH, else ~/.ipfs)"),
        Opt::text("to", "Where to (default: $CAIRN_PATH, else ~/.cairn)"),
        Opt::flag("identity", "Take the node's peer ID, too; never run both nodes then"),
        Opt::flag("blocks-only", "Leave out pins and the MFS root"),
        Opt::flag("check", "Look whether everything that is pinned is there").default("true"),
        Opt::flag("ignore-swarm-key", "Leave out the key of its private network"),
        Opt::flag("dry-run", "Only say what would be taken").or(&["n"]),
    ],
    needs: Needs::CommandLine,
    ..Command::BASE
};

/// The row of `repo migrate`.
pub(super) const REPO_MIGRATE: Command = Command {
    path: "repo migrate",
    tagline: "Bring the repository to another version of its format",
    help: "There is one version so far. For repositories made by Kubo, see `cairn migrate`.",
    options: &[
        Opt::int("to", "The version to reach (default: this program's)"),
        Opt::flag("allow-downgrade", "Accepted; there is no older version"),
    ],
    needs: Needs::CommandLine,
    ..Command::BASE
};
