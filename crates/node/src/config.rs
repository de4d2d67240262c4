//! The config: Kubo's JSON file, by dotted key or as typed settings.
//!
//! The file belongs to the operator. Keys that this program does not know stay as they are, in
//! their order; only the key that is set changes. Our own settings stand under `Cairn`.
//!
//! Source: Kubo's `docs/config.md` at 0.43.
//! Invariants: secrets are never shown; a change that makes a known key unreadable is refused
//! before it reaches the disk; this module alone reads the environment.
//! Not here: the file's atomic replacement (`cairn-store`).

mod adopt;
mod environment;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod initial;
mod profile;
mod sections;
mod tree;
mod units;

pub use adopt::{Adopted, adopt};
pub use environment::{
    expand_home, kubo_repo_path, own_repo_path, private_network_forced, repo_path,
};
pub use profile::{PROFILES, Profile};
pub use sections::{
    Addresses, Authorization, Bitswap, ConnMgr, Experimental, Gateway, GcSettings, PeeringPeer,
    ProvideSettings, ProvideStrategy, Settings, Transports,
};
pub use units::byte_len as byte_len_of;

use crate::identity::Identity;
use cairn_store::RepoError;
use serde_json::Value;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use thiserror::Error;

/// Why the config could not be read or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No such key in the file.
    #[error("failed to get config value: \"{key} not found\"")]
    NotFound {
        /// As far as it was looked for.
        key: String,
    },
    /// The value is not an object, so there is nothing below it.
    #[error("failed to get config value: \"{key} key has no attributes\"")]
    NoAttributes {
        /// The value's key.
        key: String,
    },
    /// Empty, or with an empty part.
    #[error("invalid config key {key:?}")]
    Key {
        /// The key refused.
        key: String,
    },
    /// A value is not what its key needs.
    #[error("config key {key} must be {expected}, not {found}")]
    Value {
        /// Which key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The text given for a key is not JSON.
    #[error("failed to unmarshal json. {reason}")]
    Json {
        /// What is wrong with it.
        reason: String,
    },
    /// Not an object at all.
    #[error("the config must be a JSON object")]
    NotAnObject,
    /// Asked for the private key.
    #[error("cannot show or change private key through API")]
    PrivateKey,
    /// Asked for the keys of pinning services.
    #[error("cannot show or change pinning services credentials")]
    PinningCredentials,
    /// The peer ID follows from the private key and cannot be set to another.
    #[error("cannot set Identity.PeerID to a value that does not match the node's private key")]
    PeerId,
    /// The section `Identity` is broken.
    #[error("the node's identity cannot be read: {reason}")]
    Identity {
        /// What is wrong with it; never contains the key.
        reason: String,
    },
    /// No profile has this name.
    #[error("{name} is not a profile")]
    Profile {
        /// The name given.
        name: String,
    },
    /// The profile `randomports` found no port.
    #[error("could not find a free port: {source}")]
    NoPort {
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither a variable nor a home directory says where the repository is.
    #[error("no repository path: set CAIRN_PATH, IPFS_PATH or HOME")]
    NoHome,
    /// The file could not be written.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

/// How the text of a new value is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValueFormat {
    /// A string.
    #[default]
    Text,
    /// `true`, anything else is `false` (`--bool`).
    Bool,
    /// JSON (`--json`).
    Json,
}

/// Reads the text of a new value.
///
/// # Errors
///
/// [`ConfigError::Json`].
pub fn parse_value(text: &str, format: ValueFormat) -> Result<Value, ConfigError> {
    match format {
        ValueFormat::Text => Ok(Value::String(text.to_owned())),
        ValueFormat::Bool => Ok(Value::Bool(text == "true")),
        ValueFormat::Json => serde_json::from_str(text)
            .map_err(|error| ConfigError::Json { reason: error.to_string() }),
    }
}

/// What a profile has changed, secrets left out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProfileChange {
    /// The config before.
    pub old: Value,
    /// The config after.
    pub new: Value,
}

type Save = Box<dyn Fn(&Value) -> Result<(), RepoError> + Send + Sync>;

/// The config of an open repository; changes are on disk when a call returns.
///
/// A running node reads most settings at its start, so a change mostly needs a restart.
pub struct Config {
    value: Mutex<Arc<Value>>,
    save: Save,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Config").field(&self.raw()).finish()
    }
}

impl Config {
    /// Wraps what the file holds; `save` replaces the file.
    pub(crate) fn new(
        value: Value,
        save: impl Fn(&Value) -> Result<(), RepoError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let value = Arc::new(value);
        check(&value)?;
        Ok(Self { value: Mutex::new(value), save: Box::new(save) })
    }

    /// The whole config without its secrets.
    pub fn raw(&self) -> Value {
        let mut shown = (*self.full()).clone();
        tree::scrub(&mut shown);
        shown
    }

    /// The typed settings as they are now.
    ///
    /// # Errors
    ///
    /// Whatever `read` returns.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Settings) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        read(&Settings(self.full()))
    }

    /// The value at a dotted key.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NotFound`], [`ConfigError::NoAttributes`], or that the key is secret.
    pub fn get(&self, key: &str) -> Result<Value, ConfigError> {
        tree::check_open(key)?;
        tree::get(&self.full(), key)
    }

    /// Sets the value at a dotted key and returns it as it is now. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] if a key that this node reads would become unreadable, or that the
    /// key is secret, or that the file could not be written; then nothing has changed.
    pub fn set(&self, key: &str, new: Value) -> Result<Value, ConfigError> {
        tree::check_open(key)?;
        if key.eq_ignore_ascii_case("Identity.PeerID") {
            let own = Identity::from_config(&self.full())?.peer_id();
            if new.as_str().and_then(|text| text.parse().ok()) != Some(own) {
                return Err(ConfigError::PeerId);
            }
        }
        self.change(|value| tree::set(value, key, new))?;
        self.get(key)
    }

    /// Replaces everything but the identity and the pinning services. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// As [`Config::set`]; [`ConfigError::NotAnObject`].
    pub fn replace(&self, mut new: Value) -> Result<(), ConfigError> {
        self.change(|value| {
            let Some(object) = new.as_object_mut() else { return Err(ConfigError::NotAnObject) };
            for kept in ["Identity", "Pinning"] {
                let old = value[kept].take();
                if !old.is_null() {
                    object.insert(kept.to_owned(), old);
                }
            }
            *value = new;
            Ok(())
        })
    }

    /// Applies a profile, or several with commas between; `dry_run` only tells. Blocks on disk.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Profile`] for an unknown name, or as [`Config::set`].
    pub fn apply_profile(&self, names: &str, dry_run: bool) -> Result<ProfileChange, ConfigError> {
        let old = self.raw();
        if dry_run {
            let mut new = old.clone();
            tree::scrub(&mut new);
            profile::apply_named(&mut new, names)?;
            return Ok(ProfileChange { old, new });
        }
        self.change(|value| profile::apply_named(value, names))?;
        Ok(ProfileChange { old, new: self.raw() })
    }

    pub(crate) fn identity(&self) -> Result<Identity, ConfigError> {
        Identity::from_config(&self.full())
    }

    fn full(&self) -> Arc<Value> {
        Arc::clone(&self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes a copy, checks it, writes it, and only then makes it the config.
    fn change(
        &self,
        change: impl FnOnce(&mut Value) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let mut current = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = (**current).clone();
        change(&mut new)?;
        let new = Arc::new(new);
        check(&new)?;
        (self.save)(&new)?;
        *current = new;
        Ok(())
    }
}

/// Makes the config of a new repository.
pub(crate) fn fresh(
    identity: &Identity,
    given: Option<Value>,
    profiles: &[String],
) -> Result<Value, ConfigError> {
    let mut value = given.unwrap_or_else(|| initial::config(identity));
    for names in profiles {
        profile::apply_named(&mut value, names)?;
    }
    let value = Arc::new(value);
    check(&value)?;
    Ok(Arc::unwrap_or_clone(value))
}

fn check(value: &Arc<Value>) -> Result<(), ConfigError> {
    if value.is_object() {
        Settings(Arc::clone(value)).check()
    } else {
        Err(ConfigError::NotAnObject)
    }
}

#[cfg(test)]
mod tests;
