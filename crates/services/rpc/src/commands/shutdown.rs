//! `shutdown`: ends the daemon.

use crate::{
    Call, RpcError,
    command::{Command, Needs},
};
use futures::future::ready;

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "shutdown",
    tagline: "Shut down the daemon",
    help: "Running calls may end; the daemon exits within ten seconds.",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(ready(run(&call)))),
    ..Command::BASE
};

fn run(call: &Call) -> Result<(), RpcError> {
    call.node()?.shutdown_requested().cancel();
    Ok(())
}
