//! Which web servers blocks are fetched from: `HTTPRetrieval` and `Cairn.HTTPRetrieval`.
//!
//! Not here: fetching (`cairn-network`).

use super::{ConfigError, Settings, wrong};
use cairn_network::{GATEWAYS_MAX, Trust, WebConfig};
use serde_json::Value;

/// Requests under way at once, unless told otherwise. Source: Kubo's default.
const WORKERS: u64 = 16;

/// Most requests under way at once.
const WORKERS_MAX: u64 = 256;

/// Longest block, unless told otherwise, in bytes. Source: Kubo's default.
const BLOCK_LEN_MAX: u64 = 2 * 1024 * 1024;

/// Who is asked for what nobody else has.
const GATEWAYS: &str = "Cairn.HTTPRetrieval.Gateways";

impl Settings {
    /// Sections `HTTPRetrieval` and `Cairn.HTTPRetrieval`. In a private network nothing is
    /// fetched from the web unless `Enabled` says so.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn http_retrieval(&self, is_private: bool) -> Result<WebConfig, ConfigError> {
        let is_insecure = self.flag("HTTPRetrieval.TLSInsecureSkipVerify", false)?;
        let workers = self.number("HTTPRetrieval.NumWorkers", WORKERS)?;
        if workers > WORKERS_MAX {
            let expected = "a number up to 256";
            return Err(wrong("HTTPRetrieval.NumWorkers", expected, &Value::from(workers)));
        }
        let block_len_max = self.byte_len("HTTPRetrieval.MaxBlockSize", BLOCK_LEN_MAX)?;
        let gateways = self.strings_or(GATEWAYS, &[])?;
        if gateways.len() > GATEWAYS_MAX {
            return Err(wrong(GATEWAYS, "at most 16 gateways", &Value::from(gateways)));
        }
        let gateway = |url: &String| {
            let expected = "URLs such as https://gateway.example";
            url.parse().map_err(|_| wrong(GATEWAYS, expected, &Value::from(url.as_str())))
        };
        Ok(WebConfig {
            enabled: self.flag("HTTPRetrieval.Enabled", !is_private)?,
            allowed: self.strings_or("HTTPRetrieval.Allowlist", &[])?,
            denied: self.strings_or("HTTPRetrieval.Denylist", &[])?,
            workers: if workers == 0 { WORKERS } else { workers } as usize,
            block_len_max: usize::try_from(block_len_max).unwrap_or(usize::MAX),
            trust: if is_insecure { Trust::Anybody } else { Trust::System },
            gateways: gateways.iter().map(gateway).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use cairn_network::{Trust, WebConfig};
    use serde_json::json;

    #[test]
    fn the_defaults_are_kubos() {
        let settings = Settings::of(&json!({}));
        assert_eq!(settings.http_retrieval(false).unwrap(), WebConfig::default());
        assert!(!settings.http_retrieval(true).unwrap().enabled, "not in a private network");
        let named = Settings::of(&json!({"HTTPRetrieval": {"Enabled": true}}));
        assert!(named.http_retrieval(true).unwrap().enabled);
    }

    #[test]
    fn values_are_taken_and_wrong_ones_named() {
        let tree = json!({
            "HTTPRetrieval": {
                "Enabled": false, "Allowlist": ["a.example"], "Denylist": ["b.example"],
                "NumWorkers": 3, "MaxBlockSize": "1MiB", "TLSInsecureSkipVerify": true,
            },
            "Cairn": {"HTTPRetrieval": {"Gateways": ["https://g.example/"]}},
        });
        let config = Settings::of(&tree).http_retrieval(false).unwrap();
        assert!(!config.enabled && config.trust == Trust::Anybody);
        assert_eq!((config.workers, config.block_len_max), (3, 1 << 20));
        assert_eq!(
            (config.allowed, config.denied),
            (vec!["a.example".into()], vec!["b.example".into()])
        );
        assert_eq!(config.gateways[0].base(), "https://g.example");
        for (tree, key) in [
            (json!({"HTTPRetrieval": {"Enabled": "yes"}}), "HTTPRetrieval.Enabled"),
            (json!({"HTTPRetrieval": {"NumWorkers": 1000}}), "HTTPRetrieval.NumWorkers"),
            (json!({"HTTPRetrieval": {"MaxBlockSize": "big"}}), "HTTPRetrieval.MaxBlockSize"),
            (json!({"HTTPRetrieval": {"Allowlist": [1]}}), "HTTPRetrieval.Allowlist"),
            (
                json!({"Cairn": {"HTTPRetrieval": {"Gateways": ["ftp://x"]}}}),
                "Cairn.HTTPRetrieval.Gateways",
            ),
            (json!({"Cairn": {"HTTPRetrieval": {"Gateways": vec!["https://x"; 17]}}}), "Gateways"),
        ] {
            let error = Settings::of(&tree).http_retrieval(false).unwrap_err().to_string();
            assert!(error.contains(key), "{tree}: {error}");
        }
    }
}
