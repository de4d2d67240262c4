//! Encrypted objects: the fixtures' own, another program's, and what must be refused.

use super::{DecryptionKey, decrypt};
use crate::{
    Node, dag_cbor,
    dag_jose::{self, JoseError, tests::fixture},
    dag_json,
};
use cairn_block::Cid;

/// Keys of js-dag-jose's fixtures: shared, and of two recipients.
const SHARED: &str = r#"{"kty":"oct","k":"J4pd5wDin6ro5A42bsUBK17GPTbsd-iiQXFUzB0lOD8"}"#;
const FIRST: &str = r#"{"kty":"OKP","crv":"X25519","d":"Yjh2Rnk0V2NIdlNGeMUBK17GPTbsd-iiQXFUzB0lOD8","x":"34VGnD0fKaouWUE9x_tQC2LS7D5AP7zg1nhNab8YZyo"}"#;
const SECOND: &str = r#"{"kty":"OKP","crv":"X25519","d":"duLvQaJM3uFMdkpE-uDKPqOmDIzJ86yTBiOsalyzFD4","x":"wv_Od4xphQCOh5IY_sGZWXJuCllLr_T99bUCJek4yW0"}"#;

/// What those fixtures hold.
const WITHIN: &str = "bafybeig6xv5nwphfmvcnektpnojts33jqcuam7bmye2pb54adnrtccjlsu";

/// Made by `jwcrypto` 1.6.1, a row a way.
const VECTORS: &str = include_str!("../../../../../spec/vectors/ipld/dag-jose-encrypted.json");

fn key(jwk: &str) -> DecryptionKey {
    DecryptionKey::from_jwk(jwk.as_bytes()).unwrap()
}

fn reason(result: Result<Vec<u8>, JoseError>) -> String {
    match result {
        Err(JoseError::Decrypt { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// dag-jose spec, fixtures "JWE with no recipients", "one recipient", "multiple recipients".
#[test]
fn fixtures_open_with_the_keys_of_their_makers() {
    for (name, right) in [
        ("jwe-no-recipients", [true, false, false]),
        ("jwe-recipient", [false, true, false]),
        ("jwe-recipients", [false, true, true]),
        ("jwe-symmetric", [false, false, false]),
        ("jwe-asymmetric", [false, false, false]),
    ] {
        for (jwk, right) in [SHARED, FIRST, SECOND].into_iter().zip(right) {
            let opened = decrypt(&fixture(name), &key(jwk));
            assert_eq!(opened.is_ok(), right, "{name}: {opened:?}");
            if let Ok(data) = opened {
                assert_eq!(Cid::from_bytes(&data).unwrap().to_string(), WITHIN, "{name}");
            }
        }
    }
    let signed = decrypt(&fixture("jws"), &key(SHARED));
    assert_eq!(signed, Err(JoseError::Kind { expected: "encrypted" }));
}

/// RFC 7516 and RFC 7518, sections 4.4 to 4.6, by another program.
#[test]
fn what_another_program_encrypted_opens_and_no_changed_byte_of_it_does() {
    let Ok(Node::List(rows)) = dag_json::decode_plain(VECTORS.as_bytes()) else { panic!() };
    assert_eq!(rows.len(), 8);
    for row in &rows {
        let name = row.get("name").unwrap();
        let key = dag_json::encode_plain(row.get("key").unwrap()).unwrap();
        let key = DecryptionKey::from_jwk(&key).unwrap();
        let block = dag_jose::encode(row.get("jwe").unwrap()).unwrap();
        let opened = decrypt(&block, &key).unwrap();
        assert_eq!(opened, b"the plain text, of this fixture", "{name:?}");
        for at in 0..block.len() {
            let mut broken = block.clone();
            broken[at] ^= 1;
            let opened = decrypt(&broken, &key);
            assert!(opened.is_err(), "{name:?}: byte {at}");
        }
    }
}

/// An object of the fixtures, with its protected header and a member changed.
fn changed(name: &str, protected: &str, extra: Option<(&str, Node)>) -> Vec<u8> {
    let Ok(Node::Map(mut entries)) = dag_cbor::decode(&fixture(name)) else { panic!("no map") };
    for (field, value) in &mut entries {
        if field == "protected" {
            *value = Node::Bytes(protected.into());
        }
    }
    entries.extend(extra.map(|(field, value)| (field.to_owned(), value)));
    dag_cbor::encode(&Node::Map(entries)).unwrap()
}

#[test]
fn headers_that_say_otherwise_are_refused() {
    for (header, expected) in [
        (r#"{"alg":"none","enc":"XC20P"}"#, "alg \"none\" is unknown"),
        (r#"{"alg":"ECDH-ES","enc":"XC20P"}"#, "alg \"ECDH-ES\" is unknown here, or not one"),
        (r#"{"alg":"XC20PKW","enc":"XC20P"}"#, "alg \"XC20PKW\" is unknown here, or not one"),
        (r#"{"alg":"dir","enc":"A128CBC-HS256"}"#, "enc \"A128CBC-HS256\" is unknown"),
        (r#"{"alg":"dir","enc":"A128GCM"}"#, "wants a key of 16 B"),
        (r#"{"alg":"dir","enc":"A256GCM"}"#, "another length"),
        (r#"{"alg":"dir"}"#, "no \"enc\""),
        (r#"{"enc":"XC20P"}"#, "no \"alg\""),
        (r#"{"alg":"dir","enc":"XC20P","zip":"DEF"}"#, "\"zip\""),
        (r#"{"alg":"dir","enc":"XC20P","crit":["x"]}"#, "\"crit\""),
        (r#"{"alg":"dir","enc":"XC20P" }"#, "changed, or is for another key"),
        (r#"["alg"]"#, "not a map"),
    ] {
        let block = changed("jwe-no-recipients", header, None);
        let reason = reason(decrypt(&block, &key(SHARED)));
        assert!(reason.contains(expected), "{header}: {reason}");
    }
    let header = r#"{"alg":"dir","enc":"XC20P"}"#;
    let again = Node::Map(vec![("alg".to_owned(), Node::String("dir".to_owned()))]);
    let block = changed("jwe-no-recipients", header, Some(("unprotected", again)));
    assert!(reason(decrypt(&block, &key(SHARED))).contains("twice"));
    let block = changed("jwe-no-recipients", header, Some(("recipients", Node::List(vec![]))));
    assert!(reason(decrypt(&block, &key(SHARED))).contains("no recipients"));
    let many = vec![Node::Map(Vec::new()); super::RECIPIENTS_MAX + 1];
    let block = changed("jwe-no-recipients", header, Some(("recipients", Node::List(many))));
    assert!(reason(decrypt(&block, &key(SHARED))).contains("more than 1024"));
}

/// A key that says what it is for is used for nothing else.
#[test]
fn a_key_of_another_algorithm_opens_nothing() {
    let block = fixture("jwe-no-recipients");
    let named = |alg: &str| key(&SHARED.replace("\"kty\"", &format!("\"alg\":\"{alg}\",\"kty\"")));
    assert!(decrypt(&block, &named("dir")).is_ok());
    assert!(decrypt(&block, &named("XC20P")).is_ok());
    assert!(reason(decrypt(&block, &named("A256KW"))).contains("for A256KW, not for dir"));
}

/// RFC 7748, section 6.1: an agreement that depends on one side alone is none.
#[test]
fn ephemeral_keys_of_low_order_are_refused() {
    let zeros = "A".repeat(43);
    let header = format!(
        r#"{{"alg":"ECDH-ES","enc":"XC20P","epk":{{"crv":"X25519","kty":"OKP","x":"{zeros}"}}}}"#
    );
    let block = changed("jwe-no-recipients", &header, None);
    assert!(reason(decrypt(&block, &key(FIRST))).contains("low order"));
    let header = header.replace("X25519", "P-256");
    let block = changed("jwe-no-recipients", &header, None);
    assert!(reason(decrypt(&block, &key(FIRST))).contains("not on X25519"));
}

#[test]
fn keys_that_are_none_are_refused() {
    for jwk in [
        "",
        "[]",
        "{}",
        r#"{"kty":"oct"}"#,
        r#"{"kty":"oct","k":"!"}"#,
        &SHARED.replace("\"kty\"", "\"use\":\"sig\",\"kty\""),
        &FIRST.replace("\"d\"", "\"e\""),
        &FIRST.replace("\"x\":\"34", "\"x\":\"44"),
        &FIRST.replace("X25519", "Ed25519"),
    ] {
        let error = DecryptionKey::from_jwk(jwk.as_bytes()).unwrap_err();
        assert!(matches!(error, JoseError::Key { .. }), "{jwk}");
    }
    assert_eq!(format!("{:?}", key(SHARED)), "DecryptionKey { .. }");
}
