//! What a command is: one row of the table that every surface is made from.
//!
//! HTTP routes, the command line's arguments and help, `cairn commands` and the shell
//! completions all read these rows, so they cannot drift apart.
//!
//! Source: the names, options and defaults are Kubo's (`core/commands`), the texts our own.
//! Invariant: every option has one long name, unique within its command (tested in `commands`).
//! Not here: parsing values (`request`), running (`answer`), the rows (`commands`).

use crate::{Call, Request, RpcError, text::Render};
use futures::future::BoxFuture;

/// One command.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Words from the root, such as `"pin add"`.
    pub path: &'static str,
    /// One line, imperative, without a period.
    pub tagline: &'static str,
    /// More help; may be empty.
    pub help: &'static str,
    /// What stands after the name, in order.
    pub arguments: &'static [Argument],
    /// Named settings.
    pub options: &'static [Opt],
    /// What it needs to run.
    pub needs: Needs,
    /// Runs it; `None` for a group that only holds other commands.
    pub run: Option<Handler>,
    /// Makes the renderer of its text; without one, answers are printed as JSON.
    pub text: Option<Renderer>,
}

/// Starts a command's work.
pub type Handler = fn(Call) -> BoxFuture<'static, Result<(), RpcError>>;

/// Makes the renderer of a request's answers.
pub type Renderer = fn(&Request) -> Box<dyn Render>;

impl Command {
    /// A command without arguments, options, help or anything to run: rows begin with it.
    pub const BASE: Self = Self {
        path: "",
        tagline: "",
        help: "",
        arguments: &[],
        options: &[],
        needs: Needs::Node,
        run: None,
        text: None,
    };

    /// A group: a name that only holds other commands.
    pub const fn group(path: &'static str, tagline: &'static str) -> Self {
        Self { path, tagline, needs: Needs::Nothing, ..Self::BASE }
    }

    /// The last word of the path.
    pub fn name(&self) -> &'static str {
        self.path.rsplit(' ').next().unwrap_or(self.path)
    }

    /// Finds one of this command's own or the global options by any of its names.
    pub fn option(&self, name: &str) -> Option<&'static Opt> {
        self.options.iter().chain(GLOBAL).find(|option| option.is_named(name))
    }

    /// The argument that takes files, if there is one.
    pub fn file_argument(&self) -> Option<&'static Argument> {
        self.arguments.iter().find(|argument| argument.kind == ArgumentKind::File)
    }
}

/// What a command needs to run, and therefore where it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is answered by the process that was asked.
    Nothing,
    /// A repository: a running daemon's, or the local one opened for the occasion.
    Node,
    /// A running daemon.
    Daemon,
    /// Only the command line can do it; there is no HTTP route.
    CommandLine,
}

/// Something that stands after the command's name.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Its name in help and errors.
    pub name: &'static str,
    /// Text or file.
    pub kind: ArgumentKind,
    /// Whether there must be one.
    pub required: bool,
    /// Whether there may be many; only the last argument.
    pub many: bool,
    /// Whether it is read from standard input when it is not given.
    pub stdin: bool,
    /// One line of help.
    pub help: &'static str,
}

/// What an argument stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// The word itself.
    Text,
    /// The word, which requests have as base64url in multibase, since it may be any bytes.
    Encoded,
    /// The file or directory that the word names, sent along with the request.
    File,
}

impl Argument {
    /// One required word.
    pub const fn text(name: &'static str, help: &'static str) -> Self {
        let kind = ArgumentKind::Text;
        Self { name, kind, required: true, many: false, stdin: false, help }
    }

    /// One required file.
    pub const fn file(name: &'static str, help: &'static str) -> Self {
        let kind = ArgumentKind::File;
        Self { name, kind, required: true, many: false, stdin: true, help }
    }

    /// The same, but there may be none.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// The same, but there may be many.
    #[must_use]
    pub const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    /// The same, encoded in requests.
    #[must_use]
    pub const fn encoded(mut self) -> Self {
        self.kind = ArgumentKind::Encoded;
        self
    }

    /// The same, read from standard input when it is not given.
    #[must_use]
    pub const fn or_stdin(mut self) -> Self {
        self.stdin = true;
        self
    }
}

/// A named setting of a command.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// The name after `--`.
    pub long: &'static str,
    /// Other names; those of one letter come after a single dash.
    pub aliases: &'static [&'static str],
    /// What its value looks like.
    pub kind: Kind,
    /// The value when none is given.
    pub default: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// What an option's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; alone it means `true`.
    Flag,
    /// A whole number.
    Int,
    /// A whole number that is not negative.
    Uint,
    /// Any text.
    Text,
    /// Any text, as often as wanted.
    Texts,
}

impl Opt {
    const fn of(kind: Kind, long: &'static str, help: &'static str) -> Self {
        Self { long, aliases: &[], kind, default: None, help }
    }

    /// A switch.
    pub const fn flag(long: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Flag, long, help)
    }

    /// A number.
    pub const fn int(long: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Int, long, help)
    }

    /// A number that is not negative.
    pub const fn uint(long: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Uint, long, help)
    }

    /// A text.
    pub const fn text(long: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Text, long, help)
    }

    /// A text that may be given often.
    pub const fn texts(long: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Texts, long, help)
    }

    /// The same, with other names.
    #[must_use]
    pub const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same, with a value for when none is given.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// Whether `name` is one of its names.
    pub fn is_named(&self, name: &str) -> bool {
        self.long == name || self.aliases.contains(&name)
    }
}

/// The options that every command takes and a server may see.
pub const GLOBAL: &[Opt] = &[
    Opt::text("repo-dir", "Path of the repository directory to use"),
    Opt::text("config-file", "Path of the configuration file to use"),
    Opt::text("config", "The same as --repo-dir (deprecated)").or(&["c"]),
    Opt::flag("debug", "Say more about what is going on").or(&["D"]),
    Opt::flag("local", "The same as --offline (deprecated)").or(&["L"]),
    Opt::flag("offline", "Use only what is on this machine"),
    Opt::text("api", "Address of the daemon to ask (default: the one of this repository)"),
    Opt::text("api-auth", "Secret for the daemon, as in API.Authorizations"),
    Opt::text("cid-base", "Multibase to print version 1 CIDs in"),
    Opt::flag("upgrade-cidv0-in-output", "Print version 0 CIDs as version 1"),
    Opt::text("encoding", "How to encode the answer: json or text").or(&["enc"]),
    Opt::flag("stream-channels", "Stream the answer").default("true"),
    Opt::text("timeout", "Longest time the command may take, such as 30s or 1h10m"),
];
