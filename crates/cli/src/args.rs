//! The command line, made from the table of commands when the program starts.
//!
//! Not here: checking values (`cairn_rpc::Request`), reading files (`input`).

use cairn_rpc::{
    ARGUMENTS_MAX, Argument, ArgumentKind, COMMANDS, Command, GLOBAL, Kind, Opt, Request, VERSION,
    encoded_in_multibase,
};
use clap::{Arg, ArgAction, ArgMatches, builder::ValueParser, error::ErrorKind};
use std::{ffi::OsString, path::PathBuf};

/// A command line that makes sense.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// No command at all.
    Greet {
        /// The global options.
        globals: Globals,
    },
    /// A command.
    Call {
        /// Which one, with its text arguments and options.
        request: Request,
        /// The options that are this side's own.
        globals: Globals,
        /// The arguments that name files.
        paths: Vec<PathBuf>,
    },
}

/// The options that say where to run and how to print; they are not sent along.
#[derive(Debug, Clone, Default)]
pub(crate) struct Globals {
    pub(crate) repo_dir: Option<PathBuf>,
    pub(crate) api: Option<String>,
    pub(crate) api_auth: Option<String>,
    pub(crate) debug: bool,
    pub(crate) json: bool,
    pub(crate) offline: bool,
    /// What the program was called as, for help and hints.
    pub(crate) program: String,
}

/// The global options that [`Globals`] holds.
const OWN: &[&str] = &[
    "repo-dir",
    "config",
    "config-file",
    "api",
    "api-auth",
    "debug",
    "encoding",
    "stream-channels",
];

/// Reads a command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let program = program_of(args.first());
    let mut root = root(&program);
    let matches = root.try_get_matches_from_mut(args)?;
    let wrong = |root: &mut clap::Command, text: &str| root.error(ErrorKind::ValueValidation, text);
    let mut globals = match globals_of(&matches, program) {
        Ok(globals) => globals,
        Err(text) => return Err(wrong(&mut root, &text)),
    };
    let mut path = String::new();
    let mut matches = &matches;
    while let Some((name, below)) = matches.subcommand() {
        path = if path.is_empty() { name.to_owned() } else { format!("{path} {name}") };
        matches = below;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.path == path) else {
        return Ok(Parsed::Greet { globals });
    };
    let mut options = Vec::new();
    for option in command.options.iter().chain(GLOBAL).filter(|o| !OWN.contains(&o.long)) {
        if matches.value_source(option.long) == Some(clap::parser::ValueSource::CommandLine) {
            let values = matches.get_many::<String>(option.long).into_iter().flatten();
            options.extend(values.map(|value| (option.long.to_owned(), value.clone())));
        }
    }
    let (mut texts, paths) = arguments_of(command, matches);
    for (text, argument) in texts.iter_mut().zip(command.arguments) {
        if argument.kind == ArgumentKind::Encoded {
            *text = encoded_in_multibase(text.as_bytes());
        }
    }
    match Request::new(command, texts, options) {
        Ok(request) => {
            globals.offline = request.is_offline();
            Ok(Parsed::Call { request, globals, paths })
        }
        Err(error) => Err(wrong(&mut root, error.message())),
    }
}

fn program_of(first: Option<&OsString>) -> String {
    let name = first.map(PathBuf::from).and_then(|path| path.file_name().map(OsString::from));
    let name = name.and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "cairn".to_owned())
}

fn globals_of(matches: &ArgMatches, program: String) -> Result<Globals, String> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let json = match text("encoding").as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => return Err(format!("unsupported encoding {other:?}: use json or text")),
    };
    Ok(Globals {
        repo_dir: text("repo-dir").or_else(|| text("config")).map(PathBuf::from),
        api: text("api"),
        api_auth: text("api-auth"),
        debug: text("debug").is_some_and(|value| value == "true"),
        json,
        offline: false,
        program,
    })
}

fn arguments_of(command: &Command, matches: &ArgMatches) -> (Vec<String>, Vec<PathBuf>) {
    let (mut texts, mut paths) = (Vec::new(), Vec::new());
    for argument in command.arguments {
        match argument.kind {
            ArgumentKind::Text | ArgumentKind::Encoded => {
                texts.extend(
                    matches.get_many::<String>(argument.name).into_iter().flatten().cloned(),
                );
            }
            ArgumentKind::File => {
                paths.extend(
                    matches.get_many::<PathBuf>(argument.name).into_iter().flatten().cloned(),
                );
            }
        }
    }
    (texts, paths)
}

/// Makes the whole tree.
fn root(program: &str) -> clap::Command {
    let mut root = clap::Command::new("cairn")
        .bin_name(program)
        .about("An IPFS node in one binary")
        .version(VERSION)
        .disable_help_subcommand(true)
        .args(
            GLOBAL
                .iter()
                .map(|option| arg_of_option(option).global(true).help_heading("Global options")),
        );
    for command in COMMANDS.iter().filter(|command| !command.path.contains(' ')) {
        root = root.subcommand(of(command));
    }
    root
}

fn of(command: &'static Command) -> clap::Command {
    let is_group = command.run.is_none() && command.needs != cairn_rpc::Needs::CommandLine;
    let mut out = clap::Command::new(command.name())
        .about(command.tagline)
        .disable_help_subcommand(true)
        .subcommand_required(is_group)
        .arg_required_else_help(is_group)
        .args(command.arguments.iter().map(arg_of_argument))
        .args(command.options.iter().map(arg_of_option));
    if !command.help.is_empty() {
        out = out.after_help(command.help);
    }
    for below in COMMANDS {
        if below.path.rsplit_once(' ').is_some_and(|(parent, _)| parent == command.path) {
            out = out.subcommand(of(below));
        }
    }
    out
}

fn arg_of_argument(argument: &'static Argument) -> Arg {
    // Whether a missing one is an error is known after a look at standard input.
    let arg = Arg::new(argument.name).help(argument.help).value_name(argument.name);
    let arg = if argument.many { arg.num_args(0..=ARGUMENTS_MAX) } else { arg };
    match argument.kind {
        ArgumentKind::Text | ArgumentKind::Encoded => arg,
        ArgumentKind::File => arg.value_parser(ValueParser::path_buf()),
    }
}

fn arg_of_option(option: &'static Opt) -> Arg {
    let mut arg = Arg::new(option.long).long(option.long).help(option.help);
    let letter = |name: &str| name.chars().next().filter(|_| name.chars().count() == 1);
    for name in std::iter::once(&option.long).chain(option.aliases) {
        match letter(name) {
            Some(letter) => arg = arg.short(letter),
            None if *name != option.long => arg = arg.visible_alias(*name),
            None => {}
        }
    }
    if let Some(default) = option.default.filter(|_| option.kind != Kind::Flag) {
        arg = arg.help(format!("{} [default: {default}]", option.help));
    } else if option.default == Some("true") {
        arg = arg.help(format!("{} [default: yes]", option.help));
    }
    match option.kind {
        Kind::Flag => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(["true", "false"])
            .hide_possible_values(true)
            .value_name("BOOL"),
        Kind::Int => arg.value_name("N").allow_negative_numbers(true),
        Kind::Uint => arg.value_name("N"),
        Kind::Text => arg.value_name("TEXT").allow_hyphen_values(true),
        Kind::Texts => arg.value_name("TEXT").action(ArgAction::Append),
    }
}

#[cfg(test)]
mod tests {
    use super::{Parsed, parse, root};
    use std::ffi::OsString;

    fn line(words: &str) -> Result<Parsed, clap::Error> {
        parse(words.split(' ').map(OsString::from))
    }

    #[test]
    fn clap_agrees_with_the_table() {
        root("cairn").debug_assert();
    }

    #[test]
    fn reads_command_lines() {
        let Ok(Parsed::Call { request, paths, .. }) =
            line("cairn add -rQ --pin=false -s size-10 a b")
        else {
            panic!("not a call");
        };
        assert_eq!(request.command().path, "add");
        assert_eq!(paths.len(), 2);
        assert!(request.flag("recursive") && request.flag("quieter") && !request.flag("pin"));
        assert_eq!(request.text("chunker"), Some("size-10"));
        let Ok(Parsed::Call { request, .. }) = line("ipfs refs local") else {
            panic!("not a call")
        };
        assert_eq!(request.command().path, "refs local");
        let Ok(Parsed::Call { request, .. }) = line("ipfs refs -r --max-depth=-1 Qm") else {
            panic!("not a call")
        };
        assert_eq!((request.command().path, request.int("max-depth")), ("refs", Some(-1)));
        let Ok(Parsed::Call { request, .. }) = line("ipfs cid format -v 1 -b=base32 Qm") else {
            panic!("not a call")
        };
        assert_eq!((request.text("v"), request.text("b")), (Some("1"), Some("base32")));
        let Ok(Parsed::Call { globals, .. }) =
            line("ipfs id --enc=json -c /r --api=/ip4/1.2.3.4/tcp/1")
        else {
            panic!("not a call");
        };
        assert!(globals.json && globals.api.is_some());
        assert_eq!(globals.repo_dir.as_deref(), Some(std::path::Path::new("/r")));
        assert!(matches!(line("ipfs --offline"), Ok(Parsed::Greet { .. })));
    }

    #[test]
    fn wrong_usage_is_an_error() {
        for words in [
            "ipfs nope",
            "ipfs pin",
            "ipfs cat --offset=x Qm",
            "ipfs id --enc=xml",
            "ipfs add --nope x",
        ] {
            assert!(line(words).is_err_and(|error| error.use_stderr()), "{words}");
        }
    }

    #[test]
    fn every_command_has_help() {
        for command in cairn_rpc::COMMANDS {
            let error = line(&format!("cairn {} --help", command.path)).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(command.tagline), "{}: {text}", command.path);
        }
    }
}
