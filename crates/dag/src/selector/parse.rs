//! A selector's text.
//!
//! Spec: <https://ipld.io/specs/selectors/>, "Schema", pinned in `spec/PINS.toml`; the subset of a
//! matcher as its fixtures have it.
//! Invariants: every member is known or refused; a recursion has an edge, and an edge is in one.
//! Not here: what the clauses mean (`selector.rs`).

use super::{
    CLAUSES_MAX, Clause, ClauseId, RECURSIONS_MAX, Recursion, SELECTOR_LEN_MAX, Selector,
    SelectorError, Subset,
};
use crate::{Node, dag_json};
use cairn_block::Cid;

/// Reads a selector.
pub(super) fn selector(json: &[u8]) -> Result<Selector, SelectorError> {
    if json.len() > SELECTOR_LEN_MAX {
        return Err(SelectorError::TooLarge { what: "bytes", limit: SELECTOR_LEN_MAX });
    }
    let text = dag_json::decode(json)
        .map_err(|error| SelectorError::Malformed { reason: error.to_string() })?;
    let inner = match only_entry(&text) {
        Ok(("selector", inner)) => inner,
        _ => &text,
    };
    let mut parser = Parser { clauses: Vec::new(), edges: Vec::new() };
    let root = parser.clause(inner)?;
    Ok(Selector { clauses: parser.clauses, root })
}

struct Parser {
    clauses: Vec<Clause>,
    /// For each recursion that is being read, whether it has an edge.
    edges: Vec<bool>,
}

impl Parser {
    fn add(&mut self, clause: Clause) -> Result<ClauseId, SelectorError> {
        if self.clauses.len() == CLAUSES_MAX {
            return Err(SelectorError::TooLarge { what: "clauses", limit: CLAUSES_MAX });
        }
        self.clauses.push(clause);
        Ok((self.clauses.len() - 1) as ClauseId)
    }

    /// As deep as the text, which its codec bounds.
    fn clause(&mut self, node: &Node) -> Result<ClauseId, SelectorError> {
        let (name, body) = only_entry(node)?;
        let clause = match name {
            "." => Clause::Matcher(matcher(body)?),
            "a" => {
                members(body, "a", &[">"])?;
                Clause::All(self.next(body, "a")?)
            }
            "f" => {
                members(body, "f", &["f>"])?;
                Clause::Fields(self.fields(body)?)
            }
            "i" => {
                members(body, "i", &["i", ">"])?;
                let index = number(body, "i")?;
                Clause::Range(index, index.saturating_add(1), self.next(body, "i")?)
            }
            "r" => {
                members(body, "r", &["^", "$", ">"])?;
                let (from, to) = (number(body, "^")?, number(body, "$")?);
                if from >= to {
                    return malformed("the range of \"r\" is empty");
                }
                Clause::Range(from, to, self.next(body, "r")?)
            }
            "R" => {
                members(body, "R", &["l", ":>", "!"])?;
                Clause::Recursive(self.recursion(body)?)
            }
            "|" => {
                let Node::List(nodes) = body else { return malformed("\"|\" is not a list") };
                Clause::Union(nodes.iter().map(|node| self.clause(node)).collect::<Result<_, _>>()?)
            }
            "@" => {
                members(body, "@", &[])?;
                let Some(edge) = self.edges.last_mut() else {
                    return malformed("\"@\" is in no recursion");
                };
                *edge = true;
                Clause::Edge
            }
            "&" | "~" => return malformed(format!("{name:?} is not understood here")),
            other => return malformed(format!("there is no clause {other:?}")),
        };
        self.add(clause)
    }

    fn next(&mut self, body: &Node, clause: &str) -> Result<ClauseId, SelectorError> {
        match body.get(">") {
            Some(next) => self.clause(next),
            None => malformed(format!("{clause:?} has no \">\"")),
        }
    }

    fn fields(&mut self, body: &Node) -> Result<Vec<(String, ClauseId)>, SelectorError> {
        let Some(Node::Map(entries)) = body.get("f>") else {
            return malformed("\"f\" has no map \"f>\"");
        };
        entries.iter().map(|(name, node)| Ok((name.clone(), self.clause(node)?))).collect()
    }

    fn recursion(&mut self, body: &Node) -> Result<Recursion, SelectorError> {
        let limit = match body.get("l").map(only_entry) {
            Some(Ok(("none", Node::Map(empty)))) if empty.is_empty() => None,
            Some(Ok(("depth", Node::Integer(depth)))) => match u32::try_from(*depth) {
                Ok(depth) => Some(depth),
                Err(_) => return malformed("the depth of \"R\" is negative, or too large"),
            },
            _ => return malformed("\"R\" has no limit \"l\": {\"none\":{}} or {\"depth\":…}"),
        };
        let stop_at = match body.get("!") {
            None => None,
            Some(condition) => Some(link(condition)?),
        };
        let Some(sequence) = body.get(":>") else { return malformed("\"R\" has no \":>\"") };
        if self.edges.len() == RECURSIONS_MAX {
            let what = "recursions within each other";
            return Err(SelectorError::TooLarge { what, limit: RECURSIONS_MAX });
        }
        self.edges.push(false);
        let sequence = self.clause(sequence)?;
        if self.edges.pop() != Some(true) {
            return malformed("\"R\" has no edge \"@\"");
        }
        Ok(Recursion { sequence, limit, stop_at })
    }
}

fn matcher(body: &Node) -> Result<Option<Subset>, SelectorError> {
    members(body, ".", &["label", "subset"])?;
    let Some(subset) = body.get("subset") else { return Ok(None) };
    members(subset, "subset", &["[", "]"])?;
    let place = |name| match subset.get(name) {
        Some(Node::Integer(at)) => i64::try_from(*at).ok(),
        _ => None,
    };
    match (place("["), place("]")) {
        (Some(from), Some(to)) => Ok(Some(Subset { from, to })),
        _ => malformed("the subset of \".\" has no numbers \"[\" and \"]\""),
    }
}

/// The only condition that is understood: that a link is this one.
fn link(condition: &Node) -> Result<Cid, SelectorError> {
    match condition {
        // In dag-json, `{"/":"CID"}` is read as a link already.
        Node::Link(cid) => Ok((**cid).clone()),
        Node::Map(entries) => match entries.as_slice() {
            [(name, Node::Link(cid))] if name == "/" => Ok((**cid).clone()),
            _ => malformed("of conditions, only \"/\" (a link) is understood here"),
        },
        _ => malformed("a condition is not a map"),
    }
}

fn only_entry(node: &Node) -> Result<(&str, &Node), SelectorError> {
    match node {
        Node::Map(entries) => match entries.as_slice() {
            [(name, value)] => Ok((name, value)),
            _ => malformed("a clause is not a map of one entry"),
        },
        _ => malformed("a clause is not a map"),
    }
}

fn number(body: &Node, name: &str) -> Result<u64, SelectorError> {
    let number = match body.get(name) {
        Some(Node::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    number.map_or_else(|| malformed(format!("{name:?} is not a number from 0 on")), Ok)
}

/// Refuses members that are unknown, since leaving one out would select something else.
fn members(body: &Node, clause: &str, known: &[&str]) -> Result<(), SelectorError> {
    let Node::Map(entries) = body else { return malformed(format!("{clause:?} is not a map")) };
    match entries.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => malformed(format!("{clause:?} has {name:?}, not understood here")),
        None => Ok(()),
    }
}

fn malformed<T>(reason: impl Into<String>) -> Result<T, SelectorError> {
    Err(SelectorError::Malformed { reason: reason.into() })
}
