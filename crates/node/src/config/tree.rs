//! Dotted keys into a JSON tree: look up, change, hide.
//!
//! Not here: which keys exist (`kinds.rs`) and what they mean (`sections.rs`).

use super::ConfigError;
use serde_json::{Map, Value};

/// Most parts of a dotted key.
const KEY_DEPTH_MAX: usize = 32;

/// Whose values are never shown, `*` standing for any one part.
const SECRETS: &[&[&str]] = &[
    &["Identity", "PrivKey"],
    &["API", "Authorizations"],
    &["Pinning", "RemoteServices", "*", "API"],
];

/// Returns the value at `key`; `null` counts as absent.
pub(super) fn find<'tree>(tree: &'tree Value, key: &str) -> Option<&'tree Value> {
    let found = key.split('.').try_fold(tree, |value, part| value.get(part))?;
    (!found.is_null()).then_some(found)
}

/// Returns the value at `key`, `null` included.
pub(super) fn get(tree: &Value, key: &str) -> Result<Value, ConfigError> {
    let mut value = tree;
    let mut so_far = String::new();
    for part in parts(key)? {
        let Some(object) = value.as_object() else {
            return Err(ConfigError::NoAttributes { key: so_far });
        };
        if !so_far.is_empty() {
            so_far.push('.');
        }
        so_far.push_str(part);
        let Some(next) = object.get(part) else {
            return Err(ConfigError::NotFound { key: so_far });
        };
        value = next;
    }
    Ok(value.clone())
}

/// Puts `new` at `key`, making the objects on the way; the other keys keep their order.
pub(super) fn set(tree: &mut Value, key: &str, new: Value) -> Result<(), ConfigError> {
    let parts = parts(key)?;
    let mut value = tree;
    for part in &parts[..parts.len() - 1] {
        value = object(value, key)?.entry(*part).or_insert(Value::Null);
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
    }
    let last = (*parts.last().unwrap_or(&key)).to_owned();
    object(value, key)?.insert(last, new);
    Ok(())
}

fn object<'tree>(
    value: &'tree mut Value,
    key: &str,
) -> Result<&'tree mut Map<String, Value>, ConfigError> {
    value.as_object_mut().ok_or_else(|| ConfigError::NoAttributes { key: key.to_owned() })
}

fn parts(key: &str) -> Result<Vec<&str>, ConfigError> {
    let parts: Vec<&str> = key.split('.').collect();
    if parts.len() > KEY_DEPTH_MAX || parts.iter().any(|part| part.is_empty()) {
        return Err(ConfigError::Key { key: key.to_owned() });
    }
    Ok(parts)
}

/// Removes everything secret.
pub(super) fn scrub(tree: &mut Value) {
    for path in SECRETS {
        remove(tree, path);
    }
}

/// Removes what stands at `path`, `*` standing for any one part.
pub(super) fn remove(tree: &mut Value, path: &[&str]) {
    let (Some(object), Some((first, rest))) = (tree.as_object_mut(), path.split_first()) else {
        return;
    };
    if rest.is_empty() {
        object.shift_remove(*first);
    } else if *first == "*" {
        object.values_mut().for_each(|value| remove(value, rest));
    } else if let Some(value) = object.get_mut(*first) {
        remove(value, rest);
    }
}

/// Why `key` may not be shown or set, if so: it is, holds or lies in a secret.
pub(super) fn check_open(key: &str) -> Result<(), ConfigError> {
    let key_parts: Vec<&str> = key.split('.').collect();
    let touches = |secret: &[&str]| {
        let same =
            |(part, secret): (&&str, &&str)| *secret == "*" || part.eq_ignore_ascii_case(secret);
        key_parts.iter().zip(secret).all(same)
    };
    if touches(SECRETS[0]) {
        return Err(ConfigError::PrivateKey);
    }
    if touches(SECRETS[2]) {
        return Err(ConfigError::PinningCredentials);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_open, find, get, scrub, set};
    use crate::config::ConfigError;
    use serde_json::json;

    #[test]
    fn sets_and_gets_by_dotted_key() {
        let mut tree = json!({"B": {"x": 1}, "A": null, "C": 5});
        set(&mut tree, "B.y.z", json!("new")).unwrap();
        set(&mut tree, "A.q", json!(true)).unwrap();
        assert_eq!(tree.to_string(), r#"{"B":{"x":1,"y":{"z":"new"}},"A":{"q":true},"C":5}"#);
        assert_eq!(get(&tree, "B.y").unwrap(), json!({"z": "new"}));
        assert_eq!(find(&tree, "B.y.z"), Some(&json!("new")));
        assert!(
            matches!(get(&tree, "B.no.z"), Err(ConfigError::NotFound { key }) if key == "B.no")
        );
        assert!(matches!(get(&tree, "C.x"), Err(ConfigError::NoAttributes { key }) if key == "C"));
        assert!(matches!(set(&mut tree, "C.x", json!(1)), Err(ConfigError::NoAttributes { .. })));
        for key in ["", ".", "a.", ".a", "a..b"] {
            assert!(matches!(set(&mut tree, key, json!(1)), Err(ConfigError::Key { .. })), "{key}");
        }
    }

    #[test]
    fn hides_secrets() {
        let mut tree = json!({
            "Identity": {"PeerID": "p", "PrivKey": "secret"},
            "API": {"Authorizations": {"u": {"AuthSecret": "secret"}}, "HTTPHeaders": {}},
            "Pinning": {"RemoteServices": {"s": {"API": {"Key": "secret"}, "Policies": {}}}},
        });
        scrub(&mut tree);
        assert!(!tree.to_string().contains("secret"), "{tree}");
        assert_eq!(tree["Pinning"]["RemoteServices"]["s"], json!({"Policies": {}}));
        for key in ["Identity", "identity.privkey", "Identity.PrivKey", "IDENTITY.PRIVKEY.x"] {
            assert!(matches!(check_open(key), Err(ConfigError::PrivateKey)), "{key}");
        }
        for key in ["Pinning", "Pinning.RemoteServices.x.API.Key", "pinning.remoteservices"] {
            assert!(matches!(check_open(key), Err(ConfigError::PinningCredentials)), "{key}");
        }
        for key in ["Identity.PeerID", "Pinning.RemoteServices.x.Policies", "Addresses.API"] {
            assert!(check_open(key).is_ok(), "{key}");
        }
    }
}
