//! `cid bases`: the multibase encodings.

use super::CodeAndName;
use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    text::{BASES, each},
};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "cid bases",
    tagline: "List the multibase encodings",
    options: &[
        Opt::flag("prefix", "Also the prefix of one letter"),
        Opt::flag("numeric", "Also the numbers"),
    ],
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, mut rows: Vec<CodeAndName>, text| {
            rows.sort_by_key(|row| row.code);
            for CodeAndName { code, name } in rows {
                let prefix = u32::try_from(code).ok().and_then(char::from_u32);
                let prefix = prefix.filter(|c| !c.is_control()).unwrap_or(' ');
                match (request.flag("prefix"), request.flag("numeric")) {
                    (true, true) => text.line(format_args!("{prefix} {code:7}  {name}")),
                    (true, false) => text.line(format_args!("{prefix}  {name}")),
                    (false, true) => text.line(format_args!("{code:7}  {name}")),
                    (false, false) => text.line(name),
                }
            }
        })
    }),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let row =
        |row: &(char, &str, _)| CodeAndName { code: u64::from(row.0), name: row.1.to_owned() };
    let rows: Vec<CodeAndName> = BASES.iter().map(row).collect();
    call.out.once(&rows).await
}
