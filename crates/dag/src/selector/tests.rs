//! Selectors against the specification's fixtures, over links, and beyond their limits.

use super::{
    CLAUSES_MAX, Event, RECURSIONS_MAX, SELECTOR_LEN_MAX, STATE_LEN_MAX, Segment, SelectOptions,
    Selector, SelectorError, Subset, select,
};
use crate::{DagError, Node, codec::encode, dag_json};
use cairn_block::{Block, BlockStore as _, Cid, MemoryStore, codec};
use cairn_hash::code;
use futures::{StreamExt as _, executor::block_on};
use std::fmt::Write as _;

const VECTORS: &str = include_str!("../../../../spec/vectors/selectors/fixtures.json");

/// Everything below, however deep.
const ALL: &str = r#"{"R":{"l":{"none":{}},":>":{"a":{">":{"@":{}}}}}}"#;

fn parse(text: &str) -> Selector {
    Selector::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn json(text: &str) -> Node {
    dag_json::decode(text.as_bytes()).unwrap()
}

/// What is visited, in the fixtures' own words.
fn visits(selector: &Selector, data: &Node) -> Vec<Node> {
    let mut visits = Vec::new();
    let start = selector.start().unwrap();
    let visited = selector.visit(&start, data, &mut |path, event| {
        let Event::Visit(node, matched) = event else { panic!("a link: {event:?}") };
        let segment = |segment: &Segment<'_>| match segment {
            Segment::Name(name) => (*name).to_owned(),
            Segment::Index(index) => index.to_string(),
        };
        let path: Vec<String> = path.iter().map(segment).collect();
        let node = matched.flatten().map_or_else(|| node.clone(), |subset| subset.of(node));
        let is_nested = matches!(node, Node::Map(_) | Node::List(_));
        let kind = node.kind().to_owned();
        let told = vec![(kind, if is_nested { Node::Null } else { node })];
        visits.push(Node::Map(vec![
            ("path".to_owned(), Node::String(path.join("/"))),
            ("node".to_owned(), Node::Map(told)),
            ("matched".to_owned(), Node::Bool(matched.is_some())),
        ]));
    });
    visited.unwrap();
    visits
}

/// Selectors, "Fixtures": every node in its order, and whether it matches.
#[test]
fn fixtures_visit_what_they_say() {
    let Node::List(rows) = json(VECTORS) else { panic!("no list") };
    assert_eq!(rows.len(), 10);
    for row in &rows {
        let Some(Node::String(text)) = row.get("selector") else { panic!("no selector") };
        let selector = parse(text);
        let told = Node::List(visits(&selector, row.get("data").unwrap()));
        assert_eq!(
            dag_json::encode(&told).unwrap(),
            dag_json::encode(row.get("expect-visit").unwrap()).unwrap(),
            "{:?}",
            row.get("name")
        );
    }
}

/// Selectors, "Schema": unions, labels, envelopes, items by name, and recursions in recursions.
#[test]
fn clauses_mean_what_the_schema_says() {
    let data = json(r#"{"a":[1,{"a":[2]}],"b":{"c":3}}"#);
    for (selector, expected) in [
        (r#"{"selector":{".":{"label":"x"}}}"#, "!"),
        (r#"{"|":[{".":{}},{"f":{"f>":{"b":{".":{}}}}}]}"#, "! !b"),
        (r#"{"f":{"f>":{"a":{"f":{"f>":{"1":{".":{}},"01":{".":{}}}}}}}}"#, " a !a/1"),
        (r#"{"f":{"f>":{"a":{"r":{"^":1,"$":99,">":{".":{}}}}}}}"#, " a !a/1"),
        (r#"{"f":{"f>":{"a":{"i":{"i":9,">":{".":{}}}}}}}"#, " a"),
        (r#"{"R":{"l":{"depth":2},":>":{"|":[{".":{}},{"a":{">":{"@":{}}}}]}}}"#, "! !a !b"),
        (r#"{"R":{"l":{"depth":1},":>":{"a":{">":{"@":{}}}}}}"#, ""),
        (
            // Only what is called "a" is followed; what is in it matches, one deep.
            r#"{"R":{"l":{"none":{}},":>":{"f":{"f>":{"a":{"|":[{"a":{">":{"|":[{".":{}},{"@":{}}]}}}]}}}}}}"#,
            " a !a/0 !a/1 a/1/a !a/1/a/0",
        ),
        (
            // The edge is the inner recursion's; the outer one goes on from it once.
            r#"{"R":{"l":{"depth":2},":>":{"|":[{"@":{}},{"f":{"f>":{"b":{"R":{"l":{"depth":3},":>":{"a":{">":{"|":[{".":{}},{"@":{}}]}}}}}}}}]}}}"#,
            " b !b/c",
        ),
    ] {
        let mut told = String::new();
        for visit in visits(&parse(selector), &data) {
            let Some(Node::String(path)) = visit.get("path") else { panic!() };
            let mark = if visit.get("matched") == Some(&Node::Bool(true)) { "!" } else { "" };
            write!(told, " {mark}{path}").unwrap();
        }
        assert_eq!(told.trim(), expected.trim(), "{selector}");
    }
}

#[test]
fn what_is_no_selector_is_refused() {
    for text in [
        "",
        "1",
        "{}",
        r#"{"x":{}}"#,
        r#"{".":{},"a":{">":{".":{}}}}"#,
        r#"{".":{"onlyIf":{"=":1}}}"#,
        r#"{".":{"subset":{"[":1}}}"#,
        r#"{"a":{}}"#,
        r#"{"a":{">":{".":{}},"x":1}}"#,
        r#"{"f":{"f>":[]}}"#,
        r#"{"i":{"i":-1,">":{".":{}}}}"#,
        r#"{"r":{"^":3,"$":3,">":{".":{}}}}"#,
        r#"{"@":{}}"#,
        r#"{"R":{"l":{"none":{}},":>":{".":{}}}}"#,
        r#"{"R":{"l":{"depth":-1},":>":{"@":{}}}}"#,
        r#"{"R":{":>":{"@":{}}}}"#,
        r#"{"R":{"l":{"none":{}},":>":{"@":{}},"!":{"=":1}}}"#,
        r#"{"&":{"&":{"=":1},">":{".":{}}}}"#,
        r#"{"~":{"as":"unixfs",">":{".":{}}}}"#,
        r#"{"|":{}}"#,
    ] {
        let error = Selector::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, SelectorError::Malformed { .. }), "{text}: {error}");
    }
}

#[test]
fn limits_hold() {
    let too_large = |text: &str| match Selector::parse(text.as_bytes()) {
        Err(SelectorError::TooLarge { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(too_large(&" ".repeat(SELECTOR_LEN_MAX + 1)), SELECTOR_LEN_MAX);
    let union =
        |count: usize, clause: &str| format!("{{\"|\":[{}]}}", vec![clause; count].join(","));
    assert_eq!(too_large(&union(CLAUSES_MAX, r#"{".":{}}"#)), CLAUSES_MAX);
    let nested = |count: usize| {
        let open = r#"{"R":{"l":{"none":{}},":>":{"|":[{"@":{}},"#.repeat(count);
        format!("{open}{}{}", r#"{".":{}}"#, "]}}}".repeat(count))
    };
    assert!(parse(&nested(RECURSIONS_MAX)).start().is_ok());
    assert_eq!(too_large(&nested(RECURSIONS_MAX + 1)), RECURSIONS_MAX);
    // Each clause waits by itself, but only once however often an edge leads to it.
    let waiting = parse(&union(STATE_LEN_MAX + 1, r#"{".":{}}"#)).start();
    assert!(matches!(waiting, Err(SelectorError::TooLarge { limit: STATE_LEN_MAX, .. })));
    let edges = union(STATE_LEN_MAX, r#"{"@":{}}"#);
    let edges = parse(&format!(r#"{{"R":{{"l":{{"none":{{}}}},":>":{{"a":{{">":{edges}}}}}}}}}"#));
    assert_eq!(visits(&edges, &json("[[[1]]]")).len(), 4);
}

#[test]
fn subsets_are_cut_to_what_is_there() {
    let text = Node::String("aäb".to_owned());
    let part = |from, to| Subset { from, to }.of(&text);
    assert_eq!(part(0, 1), Node::String("a".to_owned()));
    assert_eq!(part(-1, i64::MAX), Node::String("b".to_owned()));
    assert_eq!(part(i64::MIN, i64::MAX), text);
    assert_eq!(part(0, 2), Node::Bytes(vec![b'a', 0xc3]), "within a character");
    assert_eq!(part(3, 1), Node::String(String::new()));
    assert_eq!(Subset { from: 1, to: 2 }.of(&Node::Integer(5)), Node::Integer(5));
    assert_eq!(Subset { from: 1, to: 2 }.of(&Node::Bytes(vec![5, 6, 7])), Node::Bytes(vec![6]));
}

/// A store with a block for each value, where `$n` stands for a link to the n-th one before it.
fn store(values: &[&str]) -> (MemoryStore, Vec<Cid>) {
    let (store, mut cids) = (MemoryStore::default(), Vec::<Cid>::new());
    for value in values {
        let mut text = (*value).to_owned();
        for (at, cid) in cids.iter().enumerate() {
            text = text.replace(&format!("\"${at}\""), &format!("{{\"/\":\"{cid}\"}}"));
        }
        let data = encode(codec::DAG_CBOR, &json(&text)).unwrap();
        let block = Block::hash(codec::DAG_CBOR, code::SHA2_256, data.into()).unwrap();
        cids.push(block.cid().clone());
        block_on(store.put_many(vec![block])).unwrap();
    }
    (store, cids)
}

/// Which blocks come out, by their number.
fn selected(store: &MemoryStore, cids: &[Cid], selector: &str, duplicates: bool) -> Vec<usize> {
    let options = SelectOptions { duplicates, ..SelectOptions::default() };
    let root = cids.last().unwrap();
    let blocks = block_on(select(store, root, parse(selector), options).collect::<Vec<_>>());
    let number = |block: &Block| cids.iter().position(|cid| cid == block.cid()).unwrap();
    blocks.iter().map(|block| number(block.as_ref().unwrap())).collect()
}

#[test]
fn links_are_followed_as_if_they_were_what_they_lead_to() {
    let (store, cids) = store(&[
        r#""leaf""#,
        r#"{"next":"$0","other":1}"#,
        r#"{"far":{"deep":["$0","$1"]},"near":"$1"}"#,
    ]);
    let all = |duplicates| selected(&store, &cids, ALL, duplicates);
    assert_eq!(all(false), [2, 0, 1]);
    assert_eq!(all(true), [2, 0, 1, 0, 1, 0]);
    let fields = |path: &[&str]| {
        let within =
            |inner: String, name: &&str| format!(r#"{{"f":{{"f>":{{"{name}":{inner}}}}}}}"#);
        path.iter().rfold(r#"{".":{}}"#.to_owned(), within)
    };
    let path = |path: &[&str]| selected(&store, &cids, &fields(path), false);
    assert_eq!(path(&["near"]), [2, 1]);
    assert_eq!(path(&["near", "next"]), [2, 1, 0]);
    assert_eq!(path(&["far", "deep", "1", "other"]), [2, 1]);
    assert_eq!(path(&["near", "none"]), [2, 1]);
    // The same block in another state is walked again: first at its limit, then above it.
    let union =
        format!(r#"{{"|":[{},{}]}}"#, fields(&["far", "deep", "1"]), fields(&["near", "next"]));
    assert_eq!(selected(&store, &cids, &union, false), [2, 1, 0]);
    let stopped = ALL.replace(r#"},":>""#, &format!(r#"}},"!":{{"/":"{}"}},":>""#, cids[1]));
    assert_eq!(selected(&store, &cids, &stopped, false), [2, 0]);
}

/// Forty blocks that each link twice to the next have 2⁴⁰ paths.
#[test]
fn what_is_walked_once_is_not_walked_again() {
    let values: Vec<String> = (0..41)
        .map(|at| if at == 0 { "1".to_owned() } else { format!(r#"["${0}","${0}"]"#, at - 1) })
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let (store, cids) = store(&values);
    assert_eq!(selected(&store, &cids, ALL, false).len(), 41);
    let deep = ALL.replace(r#"{"none":{}}"#, r#"{"depth":45}"#);
    assert_eq!(selected(&store, &cids, &deep, false).len(), 41);
}

#[test]
fn what_is_missing_is_named() {
    let (store, cids) = store(&[r#""leaf""#, r#"["$0"]"#]);
    store.remove(&cids[0]);
    let blocks = select(&store, &cids[1], parse(ALL), SelectOptions::default());
    let blocks = block_on(blocks.collect::<Vec<_>>());
    assert!(blocks[0].is_ok());
    let Err(DagError::Block(error)) = &blocks[1] else { panic!("{blocks:?}") };
    assert!(error.is_not_found() && error.to_string().contains(&cids[0].to_string()), "{error}");
}
