//! `pin ls`: what is kept, and why.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{CidText, each, escape},
};
use cairn_node::{PinEntry, PinFilter, PinState};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most pins of an answer that is not streamed.
pub(crate) const PINS_MAX: usize = 8 * 1024 * 1024;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "pin ls",
    tagline: "List what is kept",
    help: "With arguments, tells how each is pinned, and fails if one is not.",
    arguments: &[Argument::text("ipfs-path", "What to look for (default: everything)")
        .optional()
        .many()],
    options: &[
        Opt::text("type", "direct, indirect, recursive or all").or(&["t"]).default("all"),
        Opt::flag("quiet", "Print CIDs only").or(&["q"]),
        Opt::text("name", "Only pins whose names contain this; implies --names").or(&["n"]),
        Opt::flag("stream", "Print pins as they are found").or(&["s"]),
        Opt::flag("names", "Print names, too"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Listed, text| {
            let all = answer.keys.unwrap_or_default();
            let whole = all.iter().map(|(cid, kind)| {
                let field = |name: &str| kind[name].as_str().unwrap_or("").to_owned();
                One { cid: cid.clone(), name: field("Name"), kind: field("Type") }
            });
            let one = One { cid: answer.cid, name: answer.name, kind: answer.kind };
            for pin in whole.chain(Some(one).filter(|one| !one.cid.is_empty())) {
                match (request.flag("quiet"), pin.name.is_empty()) {
                    (true, _) => text.line(pin.cid),
                    (_, true) => text.line(format_args!("{} {}", pin.cid, pin.kind)),
                    _ => text.line(format_args!("{} {} {}", pin.cid, pin.kind, escape(&pin.name))),
                }
            }
        })
    }),
    ..Command::BASE
};

/// A pin of a streamed answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct One {
    /// The CID.
    pub cid: String,
    /// The pin's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `recursive`, `direct` or `indirect`.
    #[serde(rename = "Type")]
    pub kind: String,
}

/// All pins of a whole answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// `{"Type", "Name"}` by CID.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub keys: Map<String, Value>,
}

/// Either form, as it is read back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    keys: Option<Map<String, Value>>,
    cid: String,
    name: String,
    #[serde(rename = "Type")]
    kind: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let request = &call.request;
    let filter = filter_of(request.text("type").unwrap_or("all"))?;
    let wanted = request.text("name").unwrap_or("").to_owned();
    super::check_name(&wanted)?;
    let mut sink = Sink {
        call: &call,
        cids: request.cid_text()?,
        stream: request.flag("stream"),
        names: request.flag("names") || !wanted.is_empty(),
        keys: Map::new(),
    };
    if request.arguments().is_empty() {
        let mut pins = call.node()?.pin_ls(filter);
        while let Some(pin) = pins.next().await {
            let pin = pin.map_err(|error| RpcError::of(&error))?;
            if wanted.is_empty() || pin.name.contains(&wanted) {
                let kind = kind_of(&pin, sink.cids, false);
                sink.put(pin, kind).await?;
            }
        }
    } else {
        named(&call, filter, &mut sink).await?;
    }
    if sink.stream { Ok(()) } else { call.out.once(&Answer { keys: sink.keys }).await }
}

async fn named(call: &Call, filter: PinFilter, sink: &mut Sink<'_>) -> Result<(), RpcError> {
    let node = call.node()?;
    let mut asked = Vec::new();
    for argument in call.request.arguments() {
        asked.push(call.resolve_cid(argument).await?);
    }
    let states = node.pin_states(&asked).await.map_err(|error| RpcError::of(&error))?;
    for ((cid, state), argument) in asked.into_iter().zip(states).zip(call.request.arguments()) {
        let fits = match (&state, filter) {
            (PinState::NotPinned, _) => false,
            (PinState::Direct, filter) => matches!(filter, PinFilter::All | PinFilter::Direct),
            (PinState::Recursive, filter) => {
                matches!(filter, PinFilter::All | PinFilter::Recursive)
            }
            (_, filter) => matches!(filter, PinFilter::All | PinFilter::Indirect),
        };
        if !fits {
            return Err(RpcError::failed(format!("path '{argument}' is not pinned")));
        }
        let pin = node.pin_get(&cid).await.map_err(|error| RpcError::of(&error))?;
        let kind = kind_text(&state, sink.cids, true);
        let name = pin.map(|pin| pin.name).unwrap_or_default();
        sink.put_named(sink.cids.of(&cid), name, kind).await?;
    }
    Ok(())
}

/// Where pins go: into the stream, or into one object.
struct Sink<'a> {
    call: &'a Call,
    cids: CidText,
    stream: bool,
    names: bool,
    keys: Map<String, Value>,
}

impl Sink<'_> {
    async fn put(&mut self, pin: PinEntry, kind: String) -> Result<(), RpcError> {
        self.put_named(self.cids.of(&pin.cid), pin.name, kind).await
    }

    async fn put_named(&mut self, cid: String, name: String, kind: String) -> Result<(), RpcError> {
        let name = if self.names { name } else { String::new() };
        if self.stream {
            return self.call.out.event(&One { cid, name, kind }).await;
        }
        if self.keys.len() == PINS_MAX {
            return Err(RpcError::failed(format!("over {PINS_MAX} pins: use --stream")));
        }
        self.keys.insert(cid, serde_json::json!({ "Type": kind, "Name": name }));
        Ok(())
    }
}

fn kind_of(pin: &PinEntry, cids: CidText, via: bool) -> String {
    kind_text(&pin.state, cids, via)
}

fn kind_text(state: &PinState, cids: CidText, with_via: bool) -> String {
    match state {
        PinState::Direct => "direct".to_owned(),
        PinState::Recursive => "recursive".to_owned(),
        PinState::Indirect { via } if with_via => format!("indirect through {}", cids.of(via)),
        _ => "indirect".to_owned(),
    }
}

fn filter_of(name: &str) -> Result<PinFilter, RpcError> {
    match name {
        "all" => Ok(PinFilter::All),
        "recursive" => Ok(PinFilter::Recursive),
        "direct" => Ok(PinFilter::Direct),
        "indirect" => Ok(PinFilter::Indirect),
        other => Err(RpcError::request(format!(
            "invalid type '{other}', must be one of {{direct, indirect, recursive, all}}"
        ))),
    }
}
