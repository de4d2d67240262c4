//! What must hold of what a scrub leaves behind whatever the bytes, for `cairn-fuzz`.

use super::{Record, Stored};

pub(crate) fn record(input: &[u8]) {
    let stored: Stored = serde_json::from_slice(input).unwrap_or_default();
    let record = Record::of(&stored);
    let bytes = serde_json::to_vec(&record.stored()).expect("numbers and texts become JSON");
    let again: Stored = serde_json::from_slice(&bytes).expect("what is written is read");
    assert_eq!(Record::of(&again), record);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let whole = r#"{"position":[7,99],"is_stopped":true,"started":1000,"finished":2000,"due":3000,"done_len":1,"total_len":2,"block_count":3,"corrupt_count":4,"healed_count":5,"unhealed":["EiAHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw=="]}"#;
    vec![whole.as_bytes().to_vec(), b"{\"position\":null,\"due\":18446744073709551615}".to_vec()]
}
