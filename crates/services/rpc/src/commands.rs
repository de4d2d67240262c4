//! The table of commands.
//!
//! Invariants (tested below): sorted by no one but the reader's interest, every path once, every
//! parent before its children, help everywhere, options unambiguous.
//! Not here: what a row holds (`command`).

pub(crate) mod add;
mod bitswap;
mod block;
mod bootstrap;
mod car;
mod cat;
mod cid;
#[expect(clippy::module_inception, reason = "the command is called `commands`")]
mod commands;
mod config;
mod dag;
mod files;
mod filestore;
mod get;
pub(crate) mod git;
mod id;
mod ls;
mod multibase;
mod object;
mod own;
mod p2p;
pub(crate) mod pin;
mod ping;
mod provide;
mod pubsub;
mod refs;
pub(crate) mod repo;
mod resolve;
mod routing;
mod shutdown;
mod stats;
mod swarm;
mod version;

use crate::command::Command;

/// Every command, in the order of help.
pub const COMMANDS: &[&Command] = &[
    &own::INIT,
    &own::DAEMON,
    &own::MIGRATE,
    &add::COMMAND,
    &cat::COMMAND,
    &get::COMMAND,
    &ls::COMMAND,
    &refs::COMMAND,
    &refs::local::COMMAND,
    &resolve::COMMAND,
    &block::COMMAND,
    &block::put::COMMAND,
    &block::get::COMMAND,
    &block::stat::COMMAND,
    &block::rm::COMMAND,
    &dag::COMMAND,
    &dag::get::COMMAND,
    &dag::put::COMMAND,
    &dag::resolve::COMMAND,
    &dag::stat::COMMAND,
    &dag::import::COMMAND,
    &dag::export::COMMAND,
    &dag::jose::GROUP,
    &dag::jose::SIGN,
    &dag::jose::VERIFY,
    &dag::jose::DECRYPT,
    &car::GROUP,
    &car::LS,
    &car::ROOTS,
    &car::INSPECT,
    &car::VERIFY,
    &car::GET_BLOCK,
    &car::GET_DAG,
    &car::FILTER,
    &car::INDEX,
    &car::DETACH_INDEX,
    &car::SPLIT,
    &car::MERGE,
    &car::CREATE,
    &car::EXTRACT,
    &git::COMMAND,
    &git::import::COMMAND,
    &git::import::MISSING,
    &git::export::COMMAND,
    &git::ls::COMMAND,
    &files::COMMAND,
    &files::read::COMMAND,
    &files::write::COMMAND,
    &files::ls::COMMAND,
    &files::stat::COMMAND,
    &files::mkdir::COMMAND,
    &files::cp::COMMAND,
    &files::mv::COMMAND,
    &files::rm::COMMAND,
    &files::flush::COMMAND,
    &files::chcid::COMMAND,
    &files::chmod::COMMAND,
    &files::touch::COMMAND,
    &files::chroot::COMMAND,
    &object::COMMAND,
    &object::data::COMMAND,
    &object::get::COMMAND,
    &object::links::COMMAND,
    &object::stat::COMMAND,
    &object::diff::COMMAND,
    &object::put::COMMAND,
    &object::new::COMMAND,
    &object::patch::COMMAND,
    &object::patch::links::ADD,
    &object::patch::links::REMOVE,
    &object::patch::data::APPEND,
    &object::patch::data::SET,
    &pin::COMMAND,
    &pin::add::COMMAND,
    &pin::ls::COMMAND,
    &pin::rm::COMMAND,
    &pin::update::COMMAND,
    &pin::verify::COMMAND,
    &id::COMMAND,
    &swarm::COMMAND,
    &swarm::peers::COMMAND,
    &swarm::connect::COMMAND,
    &swarm::disconnect::COMMAND,
    &swarm::peering::COMMAND,
    &swarm::peering::ADD,
    &swarm::peering::LS,
    &swarm::peering::REMOVE,
    &swarm::filters::COMMAND,
    &swarm::filters::ADD,
    &swarm::filters::REMOVE,
    &swarm::addrs::COMMAND,
    &swarm::autonat::COMMAND,
    &swarm::resources::COMMAND,
    &swarm::addrs::LOCAL,
    &swarm::addrs::LISTEN,
    &bootstrap::COMMAND,
    &bootstrap::LIST,
    &bootstrap::ADD,
    &bootstrap::REMOVE,
    &bootstrap::REMOVE_ALL,
    &routing::COMMAND,
    &routing::findprovs::COMMAND,
    &routing::findpeer::COMMAND,
    &routing::get::COMMAND,
    &routing::put::COMMAND,
    &routing::provide::COMMAND,
    &routing::provide::REPROVIDE,
    &provide::COMMAND,
    &provide::ONCE,
    &provide::STAT,
    &provide::CLEAR,
    &routing::DHT,
    &routing::query::COMMAND,
    &routing::findprovs::DHT,
    &routing::findpeer::DHT,
    &routing::get::DHT,
    &routing::put::DHT,
    &routing::provide::DHT,
    &ping::COMMAND,
    &p2p::COMMAND,
    &p2p::listen::COMMAND,
    &p2p::forward::COMMAND,
    &p2p::close::COMMAND,
    &p2p::ls::COMMAND,
    &p2p::stream::COMMAND,
    &p2p::stream::LS,
    &p2p::stream::CLOSE,
    &pubsub::COMMAND,
    &pubsub::publish::COMMAND,
    &pubsub::sub::COMMAND,
    &pubsub::ls::COMMAND,
    &pubsub::peers::COMMAND,
    &pubsub::reset::COMMAND,
    &bitswap::COMMAND,
    &bitswap::stat::COMMAND,
    &bitswap::wantlist::COMMAND,
    &bitswap::ledger::COMMAND,
    &repo::COMMAND,
    &repo::backup::COMMAND,
    &own::REPO_RESTORE,
    &repo::gc::COMMAND,
    &repo::stat::COMMAND,
    &repo::ls::COMMAND,
    &repo::verify::COMMAND,
    &repo::scrub::COMMAND,
    &repo::scrub::STATUS,
    &repo::scrub::STOP,
    &repo::version::COMMAND,
    &own::REPO_MIGRATE,
    &filestore::COMMAND,
    &filestore::ls::COMMAND,
    &filestore::verify::COMMAND,
    &filestore::dups::COMMAND,
    &stats::COMMAND,
    &stats::BITSWAP,
    &stats::bw::COMMAND,
    &stats::dht::COMMAND,
    &provide::STATS,
    &stats::REPO,
    &cid::COMMAND,
    &cid::format::COMMAND,
    &cid::base32::COMMAND,
    &cid::bases::COMMAND,
    &cid::codecs::COMMAND,
    &cid::hashes::COMMAND,
    &multibase::COMMAND,
    &multibase::encode::COMMAND,
    &multibase::decode::COMMAND,
    &multibase::transcode::COMMAND,
    &multibase::LIST,
    &config::COMMAND,
    &config::show::COMMAND,
    &config::replace::COMMAND,
    &own::CONFIG_EDIT,
    &config::profile::GROUP,
    &config::profile::APPLY,
    &commands::COMMAND,
    &commands::completion::GROUP,
    &commands::completion::BASH,
    &commands::completion::ZSH,
    &commands::completion::FISH,
    &shutdown::COMMAND,
    &version::COMMAND,
];

/// Finds a command by its path, words set apart by spaces.
pub fn find(path: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.path == path).copied()
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;
    use crate::command::{ArgumentKind, GLOBAL, Kind};
    use std::collections::HashSet;

    #[test]
    fn every_row_is_whole() {
        let mut paths = HashSet::new();
        for command in COMMANDS {
            let path = command.path;
            assert!(paths.insert(path), "{path} stands twice");
            if let Some((parent, _)) = path.rsplit_once(' ') {
                assert!(paths.contains(parent), "{path} comes before its parent");
            }
            assert!(!command.tagline.is_empty() && !command.tagline.ends_with('.'), "{path}");
            let kinds = command.arguments.iter().filter(|a| a.kind == ArgumentKind::File).count();
            assert!(kinds <= 1, "{path} takes two kinds of files");
            for argument in command.arguments {
                assert!(!argument.help.is_empty(), "{path} {}", argument.name);
            }
            let not_last = command.arguments.split_last().map_or(&[][..], |(_, rest)| rest);
            assert!(not_last.iter().all(|argument| !argument.many), "{path}");
        }
    }

    #[test]
    fn every_option_is_unambiguous_and_has_a_fitting_default() {
        for command in COMMANDS {
            let mut names = HashSet::new();
            for option in command.options.iter().chain(GLOBAL) {
                assert!(!option.help.is_empty(), "{} --{}", command.path, option.long);
                for name in std::iter::once(&option.long).chain(option.aliases) {
                    assert!(names.insert(*name), "{} has {name} twice", command.path);
                }
                let default = option.default.unwrap_or("0");
                match option.kind {
                    Kind::Flag => assert!(matches!(option.default, None | Some("true" | "false"))),
                    Kind::Int => assert!(default.parse::<i64>().is_ok(), "{}", option.long),
                    Kind::Uint => assert!(default.parse::<u64>().is_ok(), "{}", option.long),
                    Kind::Text | Kind::Texts => {}
                }
            }
        }
    }
}
