//! Signatures against published ones, and headers and keys that must be refused.

use super::{Key, sign, verify};
use crate::{
    Node, dag_cbor,
    dag_jose::{JoseError, tests::fixture},
    links,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cairn_block::{Block, codec};
use cairn_hash::code;

/// RFC 8037, appendix A.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// RFC 7515, appendix A.3.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

/// The generator of the curve, whose secret is 1.
const K256: &str = r#"{"kty":"EC","crv":"secp256k1","kid":"one","x":"eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g","y":"SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}"#;

fn key(jwk: &str) -> Key {
    Key::from_jwk(jwk.as_bytes()).unwrap()
}

fn public(jwk: &str) -> Key {
    let at = jwk.find("\"d\":").unwrap();
    let end = at + 4 + jwk[at + 5..].find('"').unwrap() + 2;
    let without = format!("{}\"ext\":1{}", &jwk[..at], &jwk[end..]);
    key(&without)
}

/// A block of a published signature.
fn published(protected: &str, payload: &str, signature: &str) -> Vec<u8> {
    let bytes = |text: &str| Node::Bytes(URL_SAFE_NO_PAD.decode(text).unwrap());
    let signature = vec![
        ("protected".to_owned(), bytes(protected)),
        ("signature".to_owned(), bytes(signature)),
    ];
    let block = Node::Map(vec![
        ("payload".to_owned(), bytes(payload)),
        ("signatures".to_owned(), Node::List(vec![Node::Map(signature)])),
    ]);
    dag_cbor::encode(&block).unwrap()
}

#[test]
fn published_signatures_are_right() {
    let ed25519 = published(
        "eyJhbGciOiJFZERTQSJ9",
        "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    let es256 = published(
        "eyJhbGciOiJFUzI1NiJ9",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    assert_eq!(verify(&ed25519, &public(ED25519)).unwrap(), b"Example of Ed25519 signing");
    assert!(verify(&es256, &public(P256)).unwrap().starts_with(b"{\"iss\":\"joe\""));
    assert_eq!(verify(&ed25519, &key(P256)), Err(JoseError::Signature));
    assert_eq!(verify(&es256, &key(K256)), Err(JoseError::Signature));
}

/// The two keys of js-dag-jose's fixtures.
const FIXTURE_KEYS: [&str; 2] = [
    r#"{"kty":"EC","crv":"secp256k1","x":"_dV63sPUOOojf-RrM-4eAW7aa1hcPifqZmhsLqU1hHk","y":"Rjk_gUUlLupor-Z-KHs-2bMWhbpsOwAGCnO5sSQtaPc"}"#,
    r#"{"kty":"EC","crv":"secp256k1","x":"duLvQaJM3uFMdkpE-uDKPqOmDIzJ86yTBiOsalyzFD4","y":"tu_xR6divvnsHVWarrDnhHpK5NWXvnGzQVDp5F2sTOA"}"#,
];

/// dag-jose spec, fixtures "JWS with one signature", "another", "multiple signatures".
#[test]
fn signatures_of_the_fixtures_are_right_by_the_keys_of_their_makers() {
    for (name, right) in [
        ("jws-signature-1", [true, false]),
        ("jws-signature-2", [false, true]),
        ("jws-signatures", [true, true]),
        ("jws", [false, false]),
    ] {
        let told = FIXTURE_KEYS.map(|jwk| verify(&fixture(name), &key(jwk)).is_ok());
        assert_eq!(told, right, "{name}");
    }
    let encrypted = verify(&fixture("jwe-recipient"), &key(FIXTURE_KEYS[0]));
    assert_eq!(encrypted, Err(JoseError::Kind { expected: "signed" }));
}

#[test]
fn what_is_signed_is_checked_and_nothing_else() {
    let payload = Block::sha2_256(codec::RAW, "signed".into()).cid().clone();
    for jwk in [ED25519, P256, K256] {
        let data = sign(&payload, &key(jwk)).unwrap();
        assert_eq!(sign(&payload, &key(jwk)).unwrap(), data, "the same every time");
        assert_eq!(verify(&data, &public(jwk)).unwrap(), payload.to_bytes(), "{jwk}");
        let block = Block::hash(codec::DAG_JOSE, code::SHA2_256, data.clone().into()).unwrap();
        assert_eq!(links(&block).unwrap(), std::slice::from_ref(&payload));
        for at in 0..data.len() {
            let mut broken = data.clone();
            broken[at] ^= 1;
            assert!(verify(&broken, &public(jwk)).is_err(), "{at}");
        }
        assert!(sign(&payload, &public(jwk)).is_err(), "no secret");
    }
}

#[test]
fn headers_that_say_otherwise_are_refused() {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"eddsa"}"#,
        r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","crit":["x"],"x":1}"#,
        r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#,
        "{}",
        r#"["alg","EdDSA"]"#,
        "nonsense",
    ] {
        let ed25519 = key(ED25519);
        let message = format!("{}.{}", encode(header), encode("payload"));
        let signature = URL_SAFE_NO_PAD.encode(ed25519.sign(message.as_bytes()).unwrap());
        let block = published(&encode(header), &encode("payload"), &signature);
        assert_eq!(verify(&block, &ed25519), Err(JoseError::Signature), "{header}");
    }
}

/// Neither the algorithm nor anything else is taken from what was not signed, and a link in it is
/// not what was signed.
#[test]
fn headers_that_were_not_signed_say_nothing() {
    let payload = Block::sha2_256(codec::RAW, "signed".into()).cid().clone();
    let data = sign(&payload, &key(ED25519)).unwrap();
    let with = |name: &str, value: Node| {
        let Ok(Node::Map(mut entries)) = dag_cbor::decode(&data) else { panic!("no map") };
        let Node::List(signatures) = &mut entries[1].1 else { panic!("no list") };
        let Node::Map(signature) = &mut signatures[0] else { panic!("no map") };
        signature.push(("header".to_owned(), Node::Map(vec![(name.to_owned(), value)])));
        verify(&dag_cbor::encode(&Node::Map(entries)).unwrap(), &public(ED25519))
    };
    let other = Block::sha2_256(codec::RAW, "another".into()).cid().clone();
    assert_eq!(with("x", Node::link(other)).unwrap(), payload.to_bytes());
    assert_eq!(with("alg", Node::String("EdDSA".to_owned())), Err(JoseError::Signature));
    assert_eq!(with("crit", Node::List(Vec::new())), Err(JoseError::Signature));
}

#[test]
fn keys_that_are_none_are_refused() {
    let zeros = "A".repeat(43);
    for jwk in [
        "",
        "{}",
        r#"{"kty":"RSA"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#,
        &ED25519.replace("\"d\":\"n", "\"d\":\"m"),
        &ED25519.replace("\"d\":\"n", "\"d\":\"!"),
        &P256.replace("f83OJ3", "f83OJ4"),
        &K256.replace("AAE\"", "AAI\""),
        &K256.replace("\"kid\":\"one\"", "\"alg\":\"ES256\""),
        &K256.replace("\"kid\":\"one\"", "\"use\":\"enc\""),
        &format!(r#"{{"kty":"EC","crv":"P-256","x":"{zeros}","y":"{zeros}"}}"#),
    ] {
        let error = Key::from_jwk(jwk.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("nWGxne"), "{error}");
    }
    let shown = format!("{:?}", key(ED25519));
    assert!(!shown.contains("secret"), "{shown}");
}
