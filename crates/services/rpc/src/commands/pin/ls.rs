//! `pin ls`: what is kept, and why.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{CidText, each, escape, utc},
};
use cairn_block::Cid;
use cairn_node::{PinFilter, PinState};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::SystemTime;

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
        Opt::flag("expires", "Print when pins end, too"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Listed, text| {
            let all = answer.keys.unwrap_or_default();
            let whole = all.iter().map(|(cid, kind)| {
                let field = |name: &str| kind[name].as_str().unwrap_or("").to_owned();
                let (name, kind, expires) = (field("Name"), field("Type"), field("Expires"));
                One { cid: cid.clone(), name, kind, expires }
            });
            let Listed { cid, name, kind, expires, .. } = answer;
            let one = One { cid, name, kind, expires };
            for pin in whole.chain(Some(one).filter(|one| !one.cid.is_empty())) {
                if request.flag("quiet") {
                    text.line(pin.cid);
                    continue;
                }
                text.write(format_args!("{} {}", pin.cid, pin.kind));
                if !pin.name.is_empty() {
                    text.write(format_args!(" {}", escape(&pin.name)));
                }
                if !pin.expires.is_empty() {
                    text.write(format_args!(" (until {})", pin.expires));
                }
                text.write('\n');
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
    /// When it ends, if that was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expires: String,
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
    expires: String,
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
        expires: request.flag("expires"),
        keys: Map::new(),
        lines: Vec::new(),
    };
    if request.arguments().is_empty() {
        let mut pages = call.node()?.pin_pages(filter);
        while let Some(page) = pages.next().await {
            for pin in page.map_err(|error| RpcError::of(&error))? {
                if wanted.is_empty() || pin.name.contains(&wanted) {
                    let kind = kind_text(&pin.state, sink.cids, false);
                    sink.put(&pin.cid, (pin.name, pin.expires), kind)?;
                }
            }
            sink.flush().await?;
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
        let own = pin.map(|pin| (pin.name, pin.expires)).unwrap_or_default();
        sink.put(&cid, own, kind)?;
    }
    sink.flush().await
}

/// Where pins go: into the stream, or into one object.
struct Sink<'a> {
    call: &'a Call,
    cids: CidText,
    stream: bool,
    names: bool,
    expires: bool,
    keys: Map<String, Value>,
    /// Answers that wait to be sent together.
    lines: Vec<u8>,
}

impl Sink<'_> {
    fn put(
        &mut self,
        cid: &Cid,
        (name, expires): (String, Option<SystemTime>),
        kind: String,
    ) -> Result<(), RpcError> {
        let cid = self.cids.of(cid);
        let name = if self.names { name } else { String::new() };
        let expires = expires.filter(|_| self.expires).map(utc).unwrap_or_default();
        if self.stream {
            let one = One { cid, name, kind, expires };
            serde_json::to_writer(&mut self.lines, &one)?;
            self.lines.push(b'\n');
            return Ok(());
        }
        if self.keys.len() == PINS_MAX {
            return Err(RpcError::failed(format!("over {PINS_MAX} pins: use --stream")));
        }
        let mut fields = serde_json::json!({ "Type": kind, "Name": name });
        if !expires.is_empty() {
            fields["Expires"] = expires.into();
        }
        self.keys.insert(cid, fields);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), RpcError> {
        self.call.out.events(std::mem::take(&mut self.lines)).await
    }
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
