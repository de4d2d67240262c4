//! `routing`: who has what, where peers are, and values under keys.
//!
//! The steps of a search are told as they happen, in Kubo's form and numbers; without `--verbose`
//! only what was asked for is printed.
//!
//! Not here: searching (`cairn-network`).

pub(super) mod findpeer;
pub(super) mod findprovs;
pub(super) mod get;
pub(super) mod provide;
pub(super) mod put;
pub(super) mod query;

use super::swarm;
use crate::{
    Call, Request, RpcError,
    command::{Command, Opt},
    text::{Render, Text, each, escape},
};
use cairn_names::{Name, PeerId};
use cairn_network::{Contact, QueryEvent, QueryEvents, Routing, RoutingError};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("routing", "Ask other nodes who has what, and where peers are");

/// The row of the group under its old name.
pub(super) const DHT: Command =
    Command::group("dht", "The same as `routing`, under the name of old (deprecated)");

/// Steps that may wait to be told.
const EVENTS_MAX: usize = 256;

/// The option that every command here has.
const VERBOSE: Opt = Opt::flag("verbose", "Print every step").or(&["v"]);

/// What a step is, in Kubo's numbers.
mod kind {
    pub(super) const ASKING: u8 = 0;
    pub(super) const ANSWERED: u8 = 1;
    pub(super) const FINAL: u8 = 2;
    pub(super) const FAILED: u8 = 3;
    pub(super) const PROVIDER: u8 = 4;
    pub(super) const VALUE: u8 = 5;
}

/// One step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    /// A value, or an error's text.
    extra: String,
    /// The peer that it is about.
    #[serde(rename = "ID")]
    id: String,
    /// The peers that it names.
    responses: Option<Vec<Named>>,
    /// What it is.
    #[serde(rename = "Type")]
    kind: u8,
}

/// A peer and its addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    /// Where it may be reached.
    addrs: Vec<String>,
    /// Who it is.
    #[serde(rename = "ID")]
    id: String,
}

impl Named {
    fn of(contact: &Contact) -> Self {
        let addrs = contact.addrs.iter().map(ToString::to_string).collect();
        Self { addrs, id: contact.peer.to_string() }
    }
}

impl Answer {
    fn of(event: QueryEvent) -> Option<Self> {
        let about = |kind, peer: PeerId| Self { kind, id: peer.to_string(), ..Self::default() };
        Some(match event {
            QueryEvent::Asking { peer } => about(kind::ASKING, peer),
            QueryEvent::Answered { peer, closer } => {
                let responses = Some(closer.iter().map(Named::of).collect());
                Self { responses, ..about(kind::ANSWERED, peer) }
            }
            QueryEvent::Failed { peer, reason } => {
                Self { extra: reason, ..about(kind::FAILED, peer) }
            }
            QueryEvent::Stored { peer } => about(kind::VALUE, peer),
            QueryEvent::Final { peer } => about(kind::FINAL, peer),
            // Told by whoever searches, so that none is missed.
            _ => return None,
        })
    }

    fn naming(kind: u8, contact: &Contact) -> Self {
        Self { kind, responses: Some(vec![Named::of(contact)]), ..Self::default() }
    }
}

/// The node's routing, or the error that names the key which turned it off.
fn routing(call: &Call) -> Result<&Routing, RpcError> {
    let routing = swarm::network(call)?.routing();
    if routing.is_on() { Ok(routing) } else { Err(RpcError::of(&RoutingError::Off)) }
}

/// Runs `work` and tells its steps meanwhile.
async fn telling<T>(
    call: &Call,
    work: impl AsyncFnOnce(&QueryEvents) -> Result<T, RpcError>,
) -> Result<T, RpcError> {
    let (events, mut steps) = mpsc::channel(EVENTS_MAX);
    let working = async {
        let done = work(&events).await;
        // Without the sender the steps end.
        drop(events);
        done
    };
    let telling = async {
        while let Some(event) = steps.recv().await {
            if let Some(answer) = Answer::of(event) {
                call.out.event(&answer).await?;
            }
        }
        Ok(())
    };
    tokio::try_join!(working, telling).map(|(done, ())| done)
}

/// Prints steps: `write` the one that was asked for, the others only if all are wanted.
fn steps(
    request: &Request,
    wanted: u8,
    write: impl Fn(&Request, Answer, &mut Text) + Send + 'static,
) -> Box<dyn Render> {
    each(request, move |request, answer: Answer, text| {
        let verbose = request.flag("verbose");
        match answer.kind {
            kind if kind == wanted => write(request, answer, text),
            _ if !verbose => {}
            kind::ASKING => text.line(format_args!("* querying {}", escape(&answer.id))),
            kind::ANSWERED => {
                let named = answer.responses.unwrap_or_default();
                let ids: Vec<_> = named.iter().map(|named| escape(&named.id)).collect();
                let id = escape(&answer.id);
                text.line(format_args!("* {id} says use {}", ids.join(" ")));
            }
            kind::FAILED => {
                let id = escape(&answer.id);
                text.line(format_args!("* {id} failed: {}", escape(&answer.extra)));
            }
            kind::VALUE => text.line(format_args!("* stored at {}", escape(&answer.id))),
            _ => {}
        }
    })
}

/// Reads `/ipns/NAME` or `/pk/PEER` as the bytes of a routing key.
fn key(text: &str) -> Result<Vec<u8>, RpcError> {
    let wrong =
        || RpcError::request(format!("invalid key {text:?}: expected /ipns/NAME or /pk/PEER"));
    if text.starts_with("/ipns/") {
        let name: Name = text.parse().map_err(|_| wrong())?;
        return Ok(name.routing_key());
    }
    let peer = text.strip_prefix("/pk/").ok_or_else(wrong)?;
    let peer: PeerId = peer.parse().map_err(|_| wrong())?;
    Ok([b"/pk/", &peer.to_bytes()[..]].concat())
}

#[cfg(test)]
mod tests {
    use super::{findprovs, key};
    use crate::{Request, Text};

    const PEER: &str = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";

    #[test]
    fn keys_are_of_two_kinds() {
        assert!(key(&format!("/ipns/{PEER}")).unwrap().starts_with(b"/ipns/"));
        assert!(key(&format!("/pk/{PEER}")).unwrap().starts_with(b"/pk/"));
        for bad in ["", "/", "/ipns/", "/pk/", "/ipfs/x", PEER, "/ipns/example.com"] {
            assert!(key(bad).unwrap_err().message().contains("invalid key"), "{bad}");
        }
    }

    #[test]
    fn what_a_peer_made_up_cannot_move_the_cursor() {
        let command = &findprovs::COMMAND;
        let request =
            Request::new(command, vec!["x".into()], [("verbose".into(), "true".into())]).unwrap();
        let mut text = Text::default();
        let json = r#"{"ID": "\u001b[2J", "Type": 3, "Extra": "\u001b[2J"}"#;
        (command.text.unwrap())(&request).answer(json.as_bytes(), &mut text).unwrap();
        assert_eq!(text.out, "* \\x1b[2J failed: \\x1b[2J\n");
    }
}
