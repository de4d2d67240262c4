//! `commands completion bash|zsh|fish`: what shells need to complete command lines.
//!
//! The scripts are generated from the table and need no call back into the program. They serve
//! both names, `cairn` and `ipfs`.

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Command, GLOBAL, Needs, Opt},
    commands::COMMANDS,
};
use std::fmt::Write as _;

/// The group's row of the table.
pub(crate) const GROUP: Command =
    Command::group("commands completion", "Generate completions for a shell");

/// The row for bash.
pub(crate) const BASH: Command = Command {
    path: "commands completion bash",
    tagline: "Generate completions for bash",
    help: "Use it with\n\n    cairn commands completion bash > ~/.local/share/bash-completion/completions/cairn",
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call, bash))),
    ..Command::BASE
};

/// The row for zsh.
pub(crate) const ZSH: Command = Command {
    path: "commands completion zsh",
    tagline: "Generate completions for zsh",
    help: "Use it with\n\n    source <(cairn commands completion zsh)",
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call, zsh))),
    ..Command::BASE
};

/// The row for fish.
pub(crate) const FISH: Command = Command {
    path: "commands completion fish",
    tagline: "Generate completions for fish",
    help: "Use it with\n\n    cairn commands completion fish > ~/.config/fish/completions/cairn.fish",
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call, fish))),
    ..Command::BASE
};

async fn run(call: Call, script: fn() -> String) -> Result<(), RpcError> {
    call.out.stream(StreamHead { content_type: "text/plain", len: None }).await?;
    call.out.data(script().into()).await
}

/// The commands directly below `path`.
fn below(path: &str) -> Vec<&'static Command> {
    let inside = |command: &&&'static Command| match command.path.rsplit_once(' ') {
        Some((parent, _)) => parent == path,
        None => path.is_empty(),
    };
    COMMANDS.iter().filter(inside).copied().collect()
}

fn dashed(options: &[Opt]) -> Vec<String> {
    let names =
        options.iter().flat_map(|option| std::iter::once(&option.long).chain(option.aliases));
    names
        .map(|name| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") })
        .collect()
}

/// The function that sets `words` for a path, as bash and zsh both read it; it fails for a path
/// that is no command.
fn words_of() -> String {
    let mut out = "_cairn_words() {\n  case \"$1\" in\n".to_owned();
    let mut case = |path: &str, options: &[Opt]| {
        let names = below(path).into_iter().map(|command| command.name().to_owned());
        let words: Vec<String> = names.chain(dashed(options)).chain(dashed(GLOBAL)).collect();
        writeln!(out, "    {path:?}) words={:?} ;;", words.join(" ")).unwrap_or(());
    };
    case("", &[]);
    for command in COMMANDS {
        case(command.path, command.options);
    }
    out.push_str("    *) return 1 ;;\n  esac\n}\n");
    out
}

/// The function that completes: the path grows by each word that makes a command.
const COMPLETE: &str = r#"_cairn() {
  local word path= words= current="${COMP_WORDS[COMP_CWORD]}"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if _cairn_words "${path:+$path }$word"; then path="${path:+$path }$word"; fi
  done
  _cairn_words "$path"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _cairn cairn
complete -o default -F _cairn ipfs
"#;

fn bash() -> String {
    format!("# bash completion, made by `cairn commands completion bash`\n{}{COMPLETE}", words_of())
}

fn zsh() -> String {
    format!(
        "# zsh completion, made by `cairn commands completion zsh`\n\
         autoload -U +X bashcompinit && bashcompinit\n{}{COMPLETE}",
        words_of()
    )
}

fn fish() -> String {
    let mut out = "# fish completion, made by `cairn commands completion fish`\n".to_owned();
    out.push_str(
        "function __cairn_at\n  set -l path\n  for word in (commandline -opc)[2..]\n    \
         string match -q -- '-*' $word; or set -a path $word\n  end\n  \
         string match -q -- \"$argv[1]\" \"$path\"; or string match -q -- \"$argv[1] *\" \"$path\"\nend\n",
    );
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    for program in ["cairn", "ipfs"] {
        for command in COMMANDS {
            let parent = command.path.rsplit_once(' ').map_or("", |(parent, _)| parent);
            let condition = if parent.is_empty() {
                "__fish_use_subcommand".to_owned()
            } else {
                format!("__cairn_at \\'{parent}\\'")
            };
            writeln!(
                out,
                "complete -c {program} -n '{condition}' -a {} -d '{}'",
                command.name(),
                quoted(command.tagline)
            )
            .unwrap_or(());
            for option in command.options {
                let names = std::iter::once(&option.long).chain(option.aliases);
                let names: String = names
                    .map(|name| {
                        if name.len() == 1 { format!(" -s {name}") } else { format!(" -l {name}") }
                    })
                    .collect();
                writeln!(
                    out,
                    "complete -c {program} -n '__cairn_at \\'{}\\''{names} -d '{}'",
                    command.path,
                    quoted(option.help)
                )
                .unwrap_or(());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{bash, fish, zsh};

    #[test]
    fn scripts_know_commands_and_options() {
        for (shell, script) in [("bash", bash()), ("zsh", zsh()), ("fish", fish())] {
            assert!(script.contains("pin add"), "{shell}");
            assert!(script.contains("only-hash"), "{shell}");
        }
    }
}
