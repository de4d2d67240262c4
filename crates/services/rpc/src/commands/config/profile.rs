//! `config profile apply`: named sets of settings.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    text::{each, human_json},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The group's row of the table.
pub(crate) const GROUP: Command = Command::group("config profile", "Apply named sets of settings");

/// The row of the table.
pub(crate) const APPLY: Command = Command {
    path: "config profile apply",
    tagline: "Apply a named set of settings",
    arguments: &[Argument::text("profile", "Its name; several with commas between")],
    options: &[Opt::flag("dry-run", "Only show what would change")],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            for (path, old, new) in changes(&answer.old_cfg, &answer.new_cfg) {
                text.line(format_args!("{path}:"));
                text.line(format_args!("\t- {}\n\t+ {}", line(old.as_ref()), line(new.as_ref())));
            }
        })
    }),
    ..Command::BASE
};

/// The configuration before and after, without its secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// Before.
    pub old_cfg: Value,
    /// After.
    pub new_cfg: Value,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let names = call.request.first()?.to_owned();
    let dry_run = call.request.flag("dry-run");
    let node = call.node()?.clone();
    let change = super::change(node, move |node| node.config().apply_profile(&names, dry_run));
    let change = change.await?;
    call.out.once(&Answer { old_cfg: change.old, new_cfg: change.new }).await
}

fn line(value: Option<&Value>) -> String {
    value.map_or_else(|| "(unset)".to_owned(), |value| human_json(value).replace('\n', "\n\t  "))
}

type Change = (String, Option<Value>, Option<Value>);

/// Lists what differs, by dotted key.
fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut out = Vec::new();
    let mut stack = vec![(String::new(), Some(old.clone()), Some(new.clone()))];
    while let Some((path, old, new)) = stack.pop() {
        if old == new {
            continue;
        }
        let (Some(Value::Object(before)), Some(Value::Object(after))) = (&old, &new) else {
            out.push((path, old, new));
            continue;
        };
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            stack.push((path, before.get(name).cloned(), after.get(name).cloned()));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

#[cfg(test)]
mod tests {
    use super::changes;
    use serde_json::json;

    #[test]
    fn lists_what_differs() {
        let old = json!({"A": {"x": 1, "y": [1]}, "B": 2});
        let new = json!({"A": {"x": 1, "y": [2]}, "C": null});
        let found = changes(&old, &new);
        let keys: Vec<&str> = found.iter().map(|change| change.0.as_str()).collect();
        assert_eq!(keys, ["A.y", "B", "C"]);
    }
}
