//! How blocks are kept: `Cairn.Store`, and the filestore's keys of `Experimental`.
//!
//! Not here: what compressing means (`cairn-store`), what is referred to (`outside.rs`).

use super::{ConfigError, Settings, tree, wrong};
use cairn_store::Compression;

/// What may be referred to instead of being copied: section `Experimental`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Experimental {
    /// Files.
    pub filestore: bool,
    /// URLs.
    pub urlstore: bool,
}

impl Settings {
    /// `Experimental.FilestoreEnabled` and `Experimental.UrlstoreEnabled`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn experimental(&self) -> Result<Experimental, ConfigError> {
        Ok(Experimental {
            filestore: self.flag("Experimental.FilestoreEnabled", false)?,
            urlstore: self.flag("Experimental.UrlstoreEnabled", false)?,
        })
    }

    /// `Cairn.Store.Compression`: how new blocks are kept.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn compression(&self) -> Result<Compression, ConfigError> {
        let key = "Cairn.Store.Compression";
        let Some(value) = tree::find(&self.0, key) else { return Ok(Compression::None) };
        let expected = "\"none\", \"zstd\" or \"zstd:LEVEL\" with a level from 1 to 22";
        value.as_str().and_then(parse).ok_or_else(|| wrong(key, expected, value))
    }
}

fn parse(text: &str) -> Option<Compression> {
    let level = match text {
        "none" | "" | "default" => return Some(Compression::None),
        "zstd" => Compression::LEVEL_DEFAULT,
        _ => text.strip_prefix("zstd:")?.parse().ok()?,
    };
    let known = Compression::LEVEL_MIN..=Compression::LEVEL_MAX;
    known.contains(&level).then_some(Compression::Zstd { level })
}

#[cfg(test)]
mod tests {
    use super::{Compression, Settings};
    use serde_json::json;

    #[test]
    fn compression_and_references_are_off_unless_named() {
        let of = |value| Settings::of(&json!({"Cairn": {"Store": {"Compression": value}}}));
        assert_eq!(Settings::of(&json!({})).compression().unwrap(), Compression::None);
        let rows = [
            (json!(null), Compression::None),
            (json!("none"), Compression::None),
            (json!("zstd"), Compression::Zstd { level: 3 }),
            (json!("zstd:1"), Compression::Zstd { level: 1 }),
            (json!("zstd:22"), Compression::Zstd { level: 22 }),
        ];
        for (value, expected) in rows {
            assert_eq!(of(value.clone()).compression().unwrap(), expected, "{value}");
        }
        let tree = json!({"Experimental": {"FilestoreEnabled": true, "UrlstoreEnabled": null}});
        let experimental = Settings::of(&tree).experimental().unwrap();
        assert!(experimental.filestore && !experimental.urlstore);
        for value in [json!("gzip"), json!("zstd:0"), json!("zstd:23"), json!("zstd:"), json!(3)] {
            let error = of(value.clone()).check().unwrap_err().to_string();
            assert!(
                error.contains("Cairn.Store.Compression must be \"none\", \"zstd\""),
                "{error}"
            );
        }
    }
}
