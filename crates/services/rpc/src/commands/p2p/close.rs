//! `p2p close`: takes no more connections for a tunnel.

use super::tunnels;
use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    text::each,
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "p2p close",
    tagline: "Close tunnels",
    help: "What they carry already goes on until it ends, or `cairn p2p stream close`. Options that\n\
           are given together have to fit all of them.",
    options: &[
        Opt::flag("all", "All of them").or(&["a"]),
        Opt::text("protocol", "Those of this protocol").or(&["p"]),
        Opt::text("listen-address", "Those that listen here").or(&["l"]),
        Opt::text("target-address", "Those that lead here").or(&["t"]),
    ],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, count: usize, text| text.line(format_args!("Closed {count} stream(s)")))
    }),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let request = &call.request;
    let [protocol, listen, target] =
        ["protocol", "listen-address", "target-address"].map(|name| request.text(name));
    let is_narrowed = protocol.or(listen).or(target).is_some();
    match (request.flag("all"), is_narrowed) {
        (false, false) => return Err(RpcError::request("no matching options given")),
        (true, true) => {
            let text = "can't combine --all with other matching options";
            return Err(RpcError::request(text));
        }
        _ => {}
    }
    // Kubo prints peers as /p2p, and takes /ipfs for the same.
    let same = |asked: Option<&str>, actual: &str| {
        asked.is_none_or(|asked| asked.replacen("/ipfs/", "/p2p/", 1) == actual)
    };
    let closed = tunnels(&call)?.close(|info| {
        protocol.is_none_or(|protocol| protocol == info.protocol)
            && same(listen, &info.listen)
            && same(target, &info.target)
    });
    call.out.once(&closed).await
}
