//! `shutdown`: ends the daemon.

use crate::{
    Call, RpcError,
    command::{Command, Needs},
};

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "shutdown",
    tagline: "Shut down the daemon",
    help: "Running calls may end; the daemon exits within ten seconds.",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    call.node()?.shutdown_requested().cancel();
    Ok(())
}
