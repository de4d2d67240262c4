//! `filestore verify`: whether the files and URLs still hold what their blocks were made from.
//!
//! Not here: blocks with bytes of their own (`repo verify`).

use super::{Answer, FILE_ORDER, OBJECTS, Status};
use crate::{
    Call, Command, RpcError,
    command::Opt,
    text::{Text, each},
};
use cairn_block::{Cid, codec};
use cairn_node::{Node, Referred};

/// The row of the table.
pub(in crate::commands) const COMMAND: Command = Command {
    path: "filestore verify",
    tagline: "Check blocks that refer to files and URLs",
    help: "Prints `STATUS CID SIZE PATH OFFSET` for each, where STATUS is one of\n\
           ok       the block can be read\n\
           changed  the file does not hold it any more\n\
           no-file  the file is gone\n\
           error    the file or URL cannot be read\n\
           missing  no block of this name refers to anything\n\
           ERROR    something else is wrong, and told on standard error",
    arguments: &[OBJECTS.many()],
    options: &[
        FILE_ORDER,
        Opt::flag("remove-bad-blocks", "Forget blocks that cannot be read, pinned or not"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| each(request, |_, answer: Answer, text| show(&answer, text))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let removes = call.request.flag("remove-bad-blocks");
    super::run(call, if removes { check_and_remove } else { check }).await
}

#[expect(clippy::unnecessary_wraps, reason = "one of several looks at a block")]
fn check(node: &Node, referred: &Referred, answer: &mut Answer) -> Result<(), RpcError> {
    let checked = node.store().check_reference(referred);
    answer.status = Status::of(&checked).number();
    if let Err(error) = checked {
        answer.error_msg = format!("{}, {error}", referred.reference.location);
    }
    Ok(())
}

fn check_and_remove(node: &Node, referred: &Referred, answer: &mut Answer) -> Result<(), RpcError> {
    check(node, referred, answer)?;
    let is_bad = answer.status != Status::Ok.number();
    if is_bad {
        let cid = Cid::v1(codec::RAW, referred.hash.clone());
        let store = node.store();
        let removed = store.delete(&cid).and_then(|_| store.flush());
        removed.map_err(|error| RpcError::of(&error))?;
    }
    let action = if is_bad { "remove" } else { "keep" };
    action.clone_into(&mut answer.action);
    Ok(())
}

fn show(answer: &Answer, text: &mut Text) {
    let line = format!("{:<7} {}", Status::name_of(answer.status), answer.line());
    if answer.status == Status::Other.number() {
        text.fail(&answer.error_msg);
    }
    if answer.action.is_empty() {
        text.line(line);
    } else {
        text.line(format_args!("{line} {}", answer.action));
    }
}
