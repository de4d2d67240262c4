//! `car`: CAR files on disk, without a repository. Rows without a handler: the command line does
//! it all by itself.
//!
//! Source: the names are those of go-car's `car` and npm's `ipfs-car` where they have one.
//! Not here: what they do (`cairn-car`), how it looks (the `cairn` binary); CAR files into and out
//! of a repository (`dag import`, `dag export`).

use crate::command::{Argument, Command, Needs, Opt};

const BASE: Command = Command { needs: Needs::CommandLine, ..Command::BASE };

const FILE: Argument = Argument::text("file", "A CAR file, version 1 or 2; - is standard input");
const REAL_FILE: Argument = Argument::text("file", "A CAR file, version 1 or 2");
const OUTPUT: Opt =
    Opt::text("output", "File to write; - is standard output, which is the default").or(&["o"]);

/// The row of the group.
pub(super) const GROUP: Command =
    Command::group("car", "Look into CAR files, take them apart and make them");

/// The row of `car ls`.
pub(super) const LS: Command = Command {
    path: "car ls",
    tagline: "List the blocks of a CAR file",
    help: "Prints the CIDs in the order of the file. With --verbose, each has where its section\n\
           begins, where its block begins, and how many bytes that has. Blocks are not read.",
    arguments: &[FILE],
    options: &[Opt::flag("verbose", "Print places and lengths, too").or(&["v"])],
    ..BASE
};

/// The row of `car roots`.
pub(super) const ROOTS: Command = Command {
    path: "car roots",
    tagline: "Print the roots that a CAR file names",
    arguments: &[FILE],
    ..BASE
};

/// The row of `car inspect`.
pub(super) const INSPECT: Command = Command {
    path: "car inspect",
    tagline: "Tell what is in a CAR file",
    help: "Counts blocks, codecs and hash functions, and looks whether the roots are there. With\n\
           --full every block is hashed and its links are followed, so that is told, too, what\n\
           is missing of the DAGs; and each record of an index is followed to its block.",
    arguments: &[FILE],
    options: &[Opt::flag("full", "Hash every block, follow links, check an index")],
    ..BASE
};

/// The row of `car verify`.
pub(super) const VERIFY: Command = Command {
    path: "car verify",
    tagline: "Check a CAR file: blocks, roots and index",
    help: "Prints nothing if every block hashes to its CID, every root is in the file, and an\n\
           index, if there is one, leads to every block.",
    arguments: &[FILE],
    ..BASE
};

/// The row of `car get-block`.
pub(super) const GET_BLOCK: Command = Command {
    path: "car get-block",
    tagline: "Write one block of a CAR file",
    arguments: &[FILE, Argument::text("cid", "The block to write")],
    options: &[OUTPUT],
    ..BASE
};

/// The row of `car get-dag`.
pub(super) const GET_DAG: Command = Command {
    path: "car get-dag",
    tagline: "Write a DAG out of a CAR file as another one",
    help: "Parents stand before what they link to, each block once. The file is of version 1.",
    arguments: &[
        REAL_FILE,
        Argument::text("root", "The DAG to write (default: the only root)").optional(),
    ],
    options: &[OUTPUT, Opt::text("selector", "Which way to walk, as an IPLD selector (dag-json)")],
    ..BASE
};

/// The row of `car filter`.
pub(super) const FILTER: Command = Command {
    path: "car filter",
    tagline: "Write some of a CAR file's blocks as another one",
    help: "Blocks keep their order. Those of the roots that are among them are the new roots.",
    arguments: &[FILE, Argument::text("cid", "Blocks to write").optional().many()],
    options: &[
        OUTPUT,
        Opt::text("cid-file", "A file with CIDs, one a line"),
        Opt::flag("inverse", "Write the other blocks").or(&["i"]),
    ],
    ..BASE
};

/// The row of `car index`.
pub(super) const INDEX: Command = Command {
    path: "car index",
    tagline: "Write a CAR file as version 2 with an index, or without",
    help: "The index (MultihashIndexSorted) says where each block is. With --v1 the file becomes\n\
           one of version 1, which has none.",
    arguments: &[REAL_FILE],
    options: &[OUTPUT, Opt::flag("v1", "Write version 1, without an index")],
    ..BASE
};

/// The row of `car detach-index`.
pub(super) const DETACH_INDEX: Command = Command {
    path: "car detach-index",
    tagline: "Write the index of a CAR file alone",
    arguments: &[REAL_FILE],
    options: &[OUTPUT],
    ..BASE
};

/// The row of `car split`.
pub(super) const SPLIT: Command = Command {
    path: "car split",
    tagline: "Split a CAR file into pieces",
    help: "Each piece is a CAR file with the same roots, and blocks in the order of the whole.\n\
           `car merge` of all pieces is the whole again, without repeated blocks.",
    arguments: &[FILE],
    options: &[
        Opt::text("size", "Most bytes of a piece, such as 100MB or 64MiB").or(&["s"]),
        Opt::text("output", "How the pieces' names begin (default: the file's without .car)")
            .or(&["o"]),
    ],
    ..BASE
};

/// The row of `car merge`.
pub(super) const MERGE: Command = Command {
    path: "car merge",
    tagline: "Write the blocks of several CAR files as one",
    help: "Each block stands once, where it came first; the roots are those of all files.",
    arguments: &[Argument::text("file", "CAR files; - is standard input").many()],
    options: &[OUTPUT],
    ..BASE
};

/// The row of `car create`.
pub(super) const CREATE: Command = Command {
    path: "car create",
    tagline: "Make a CAR file of files and directories",
    help: "Prints the roots, which are those that `add` prints with the same flags and a new\n\
           repository's settings. Directories are taken with everything in them. To standard\n\
           output, what goes in is read twice, since the roots stand in front.",
    arguments: &[Argument {
        stdin: false,
        ..Argument::file("path", "Files and directories").many()
    }],
    options: &[
        OUTPUT.or(&["o", "file"]),
        Opt::flag("hidden", "Take files whose names begin with a dot").or(&["H"]),
        Opt::texts("ignore", "Leave out what fits this pattern (gitignore syntax)"),
        Opt::text("ignore-rules-path", "A file with such patterns"),
        Opt::flag("empty-dirs", "Take empty directories").or(&["E"]).default("true"),
        Opt::flag("dereference-symlinks", "Follow all symlinks"),
        Opt::flag("wrap-with-directory", "Put everything into a directory").or(&["w"]),
        Opt::int("cid-version", "Version of the CIDs; 1 means raw leaves, too"),
        Opt::text("hash", "Hash function; others than sha2-256 mean CIDv1"),
        Opt::flag("raw-leaves", "Leaves without wrapper"),
        Opt::text("chunker", "How to cut files: size-N, rabin, buzhash, fastcdc").or(&["s"]),
        Opt::flag("trickle", "Join leaves so that the first are near to the root").or(&["t"]),
        Opt::int("max-file-links", "Most children of a file's node"),
        Opt::int("max-directory-links", "Most entries of a plain directory"),
        Opt::int("max-hamt-fanout", "Width of a sharded directory's nodes"),
        Opt::flag("inline", "Put small blocks into their CIDs"),
        Opt::int("inline-limit", "What is small, in bytes").default("32"),
        Opt::flag("preserve-mode", "Keep permissions"),
        Opt::flag("preserve-mtime", "Keep times of last change"),
        Opt::uint("mode", "Permissions for everything, such as 0644"),
        Opt::int("mtime", "Time of last change for everything, in seconds since 1970"),
        Opt::uint("mtime-nsecs", "The nanoseconds of --mtime"),
    ],
    ..BASE
};

/// The row of `car extract`.
pub(super) const EXTRACT: Command = Command {
    path: "car extract",
    tagline: "Write the files of a CAR file to disk",
    help: "What is in a root directory goes into the directory given (default: where you are), a\n\
           lone file by the name of its CID. Nothing outside of that directory is ever written.",
    arguments: &[REAL_FILE, Argument::text("directory", "Where to").optional()],
    options: &[Opt::text("path", "Only what is at this path below the root").or(&["p"])],
    ..BASE
};
