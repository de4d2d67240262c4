//! `commands`: the table itself, as a tree.

pub(super) mod completion;

use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    commands::COMMANDS,
    text::each,
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "commands",
    tagline: "List all commands",
    options: &[Opt::flag("flags", "Also their options").or(&["f"])],
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, root: Tree, text| {
            let mut lines = Vec::new();
            root.lines("", &mut lines);
            lines.sort();
            for line in lines {
                text.line(line);
            }
        })
    }),
    ..Command::BASE
};

/// A command and those below it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tree {
    /// The last word of its path.
    pub name: String,
    /// Those below it.
    pub subcommands: Vec<Tree>,
    /// Its options.
    pub options: Vec<Names>,
    /// Whether options are to be printed; they are in the JSON anyway, as in Kubo's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub show_options: bool,
}

/// All names of an option, the long one first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Names {
    /// The names, without dashes.
    pub names: Vec<String>,
}

impl Tree {
    fn of(path: &str, name: &str) -> Self {
        let row = COMMANDS.iter().find(|command| command.path == path);
        let depth = if path.is_empty() { 1 } else { path.split(' ').count() + 1 };
        let below = |command: &&&Command| {
            let inside = path.is_empty()
                || command.path.strip_prefix(path).is_some_and(|rest| rest.starts_with(' '));
            inside && command.path.split(' ').count() == depth
        };
        let options = row.map_or(crate::command::GLOBAL, |command| command.options);
        let names = |option: &Opt| Names {
            names: std::iter::once(&option.long)
                .chain(option.aliases)
                .map(|&n| n.to_owned())
                .collect(),
        };
        Self {
            name: name.to_owned(),
            subcommands: COMMANDS
                .iter()
                .filter(below)
                .map(|c| Self::of(c.path, c.name()))
                .collect(),
            options: options.iter().map(names).collect(),
            show_options: false,
        }
    }

    fn lines(&self, prefix: &str, out: &mut Vec<String>) {
        let path = format!("{prefix}{}", self.name);
        self.lines_with(&path, self.show_options, !prefix.is_empty(), out);
    }

    fn lines_with(&self, path: &str, options: bool, below_root: bool, out: &mut Vec<String>) {
        out.push(path.to_owned());
        if options && below_root {
            for option in &self.options {
                let dashed = option.names.iter().map(|name| match name.chars().count() {
                    1 => format!("{path} -{name}"),
                    _ => format!("{path} --{name}"),
                });
                out.push(dashed.collect::<Vec<_>>().join(" / "));
            }
        }
        for sub in &self.subcommands {
            sub.lines_with(&format!("{path} {}", sub.name), options, true, out);
        }
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let mut root = Tree::of("", "ipfs");
    root.show_options = call.request.flag("flags");
    call.out.once(&root).await
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn the_tree_has_every_command_once() {
        let mut lines = Vec::new();
        Tree::of("", "ipfs").lines("", &mut lines);
        assert_eq!(lines.len(), crate::commands::COMMANDS.len() + 1);
        for command in crate::commands::COMMANDS {
            assert!(lines.contains(&format!("ipfs {}", command.path)), "{}", command.path);
        }
    }
}
