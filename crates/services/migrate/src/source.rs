//! The Kubo repository that is taken over: what it is, where its parts lie, who has it.
//!
//! Source: the layout that Kubo's `docs/datastores.md` and repositories made by it show.
//! Invariants: read only; refused unless its format is known, since a guess could miss pins.
//! Not here: reading the parts (`flatfs.rs`, `leveldb.rs`, `keys.rs`).

use crate::{MigrateError, files, swarm_key};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The formats that can be read: from blocks by multihash and pins in the datastore (Kubo 0.12)
/// to what Kubo 0.43 makes.
const VERSIONS: (u64, u64) = (12, 18);

/// Longest version file, in bytes.
const VERSION_LEN_MAX: usize = 64;

/// Longest JSON file, in bytes.
const JSON_LEN_MAX: usize = 16 * 1024 * 1024;

/// Deepest nesting of datastores that is followed.
const SPEC_DEPTH_MAX: usize = 16;

/// What to do although something speaks against it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leave {
    /// Take no pins and no MFS root.
    pub(crate) pins: bool,
    /// Do not make the target a node of the same private network.
    pub(crate) swarm_key: bool,
}

/// A Kubo repository that can be read.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    config: Value,
    blocks: PathBuf,
    /// Where pins and the MFS root are; `None` if they are not wanted.
    metadata: Option<PathBuf>,
    /// The key of its private network, if it belongs to one and that is wanted.
    swarm_key: Option<Vec<u8>>,
}

impl Source {
    /// Looks at the repository at `path`.
    pub(crate) fn open(path: &Path, leave: Leave) -> Result<Self, MigrateError> {
        check_version(path)?;
        let swarm_key = if leave.swarm_key { None } else { swarm_key::read(path)? };
        let (config_path, spec_path) = (path.join("config"), path.join("datastore_spec"));
        let config = read_json(&config_path)?;
        if !config.is_object() {
            return Err(MigrateError::damaged(&config_path, "it should hold a JSON object"));
        }
        let spec = read_json(&spec_path)?;
        let refused = |reason| MigrateError::Unsupported { path: spec_path.clone(), reason };
        let mut mounts = Vec::new();
        collect_mounts(&spec, "", 0, &mut mounts);
        let find = |point: &str| mounts.iter().find(|mount| mount.point == point);
        let Some(blocks) = find("/blocks").or_else(|| find("")) else {
            return Err(refused("names no place for blocks".to_owned()));
        };
        if blocks.kind != "flatfs" {
            let kind = &blocks.kind;
            return Err(refused(format!(
                "says that the blocks are in {kind}, and only flatfs can be read; \
                 `ipfs-ds-convert` or `ipfs dag export` can bring them out"
            )));
        }
        let metadata = match find("") {
            _ if leave.pins => None,
            Some(mount) if mount.kind == "levelds" => Some(path.join(&mount.path)),
            Some(mount) => {
                let kind = &mount.kind;
                return Err(refused(format!(
                    "says that pins and the MFS root are in {kind}, and only levelds can be \
                     read; --blocks-only takes everything else"
                )));
            }
            None => return Err(refused("names no place for pins".to_owned())),
        };
        let (path, blocks) = (path.to_owned(), path.join(&blocks.path));
        let source = Self { path, config, blocks, metadata, swarm_key };
        source.check_unused()?;
        Ok(source)
    }

    /// That no other program has it. Asks the system about the lock and takes none.
    pub(crate) fn check_unused(&self) -> Result<(), MigrateError> {
        let path = self.path.join("repo.lock");
        if !files::exists(&path)? {
            return Ok(());
        }
        let file = files::open(&path)?;
        let whole = Flock {
            start: 0,
            length: 0,
            pid: None,
            typ: FlockType::WriteLock,
            offset_type: FlockOffsetType::Set,
        };
        let held = fcntl_getlk(&file, &whole);
        match held.map_err(|error| MigrateError::io("look at the lock of", &path, error.into()))? {
            Some(holder) if holder.typ != FlockType::Unlocked => {
                let process = holder.pid.map_or(0, |pid| pid.as_raw_nonzero().get());
                Err(MigrateError::InUse { path: self.path.clone(), process })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn config(&self) -> &Value {
        &self.config
    }

    /// The directory of blocks.
    pub(crate) fn blocks(&self) -> &Path {
        &self.blocks
    }

    /// The database of pins and the MFS root.
    pub(crate) fn metadata(&self) -> Option<&Path> {
        self.metadata.as_deref()
    }

    /// The key of its private network.
    pub(crate) fn swarm_key(&self) -> Option<&[u8]> {
        self.swarm_key.as_deref()
    }

    /// The directory of keys.
    pub(crate) fn keystore(&self) -> PathBuf {
        self.path.join("keystore")
    }
}

fn check_version(path: &Path) -> Result<(), MigrateError> {
    let not_kubo = |reason: String| MigrateError::NotKubo { path: path.to_owned(), reason };
    let file = path.join("version");
    let text = files::read_if_there(&file, VERSION_LEN_MAX)?;
    let text = text.ok_or_else(|| not_kubo("it has no file `version`".to_owned()))?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let found: u64 =
        text.parse().map_err(|_| not_kubo(format!("its version is {text:?}, not a number")))?;
    if !files::exists(&path.join("datastore_spec"))? {
        return Err(not_kubo("it has no file `datastore_spec`".to_owned()));
    }
    let (min, max) = VERSIONS;
    let advice = if found < min {
        "start a newer Kubo on it once (`ipfs repo migrate`)"
    } else if found > max {
        "use a newer cairn"
    } else {
        return Ok(());
    };
    Err(MigrateError::Version { path: path.to_owned(), found, min, max, advice })
}

fn read_json(path: &Path) -> Result<Value, MigrateError> {
    let bytes = files::read(path, JSON_LEN_MAX)?;
    serde_json::from_slice(&bytes).map_err(|error| MigrateError::damaged(path, &error.to_string()))
}

/// One datastore of the specification.
#[derive(Debug)]
struct Mount {
    /// Where its keys begin, `""` for the root.
    point: String,
    kind: String,
    path: String,
}

fn collect_mounts(spec: &Value, point: &str, depth: usize, mounts: &mut Vec<Mount>) {
    if depth > SPEC_DEPTH_MAX {
        return;
    }
    let text = |key: &str| spec[key].as_str().unwrap_or_default();
    match text("type") {
        "mount" => {
            for mount in spec["mounts"].as_array().into_iter().flatten() {
                let below = mount["mountpoint"].as_str().unwrap_or_default();
                let point = format!("{point}{}", below.trim_end_matches('/'));
                collect_mounts(mount, &point, depth + 1, mounts);
            }
        }
        "measure" | "log" => collect_mounts(&spec["child"], point, depth + 1, mounts),
        kind => mounts.push(Mount {
            point: point.to_owned(),
            kind: kind.to_owned(),
            path: text("path").to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Leave, Source};
    use crate::MigrateError;
    use serde_json::{Value, json};
    use std::{fs, path::Path};

    fn repo(version: &str, spec: &Value) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("version"), version).unwrap();
        fs::write(folder.path().join("config"), "{}").unwrap();
        fs::write(folder.path().join("datastore_spec"), spec.to_string()).unwrap();
        folder
    }

    fn spec(blocks: &str, metadata: &str) -> Value {
        json!({"type": "mount", "mounts": [
            {"mountpoint": "/blocks", "path": "blocks", "type": blocks},
            {"mountpoint": "/", "path": "datastore", "type": metadata},
        ]})
    }

    fn refusal(path: &Path, leave: Leave) -> String {
        Source::open(path, leave).unwrap_err().to_string()
    }

    #[test]
    fn finds_the_parts_of_a_usual_repository() {
        for version in ["12", "14\n", "18"] {
            let folder = repo(version, &spec("flatfs", "levelds"));
            let source = Source::open(folder.path(), Leave::default()).unwrap();
            assert_eq!(source.blocks(), folder.path().join("blocks"));
            assert_eq!(source.metadata(), Some(folder.path().join("datastore").as_path()));
        }
        let measured = json!({"type": "measure", "child": spec("flatfs", "levelds")});
        let folder = repo("18", &measured);
        assert!(Source::open(folder.path(), Leave::default()).is_ok());
    }

    #[test]
    fn names_what_it_cannot_read() {
        for (version, blocks, metadata, said) in [
            ("11", "flatfs", "levelds", "newer Kubo"),
            ("19", "flatfs", "levelds", "newer cairn"),
            ("x", "flatfs", "levelds", "not a number"),
            ("18", "badgerds", "badgerds", "badgerds"),
            ("18", "flatfs", "pebbleds", "pebbleds, and only levelds"),
        ] {
            let folder = repo(version, &spec(blocks, metadata));
            let text = refusal(folder.path(), Leave::default());
            assert!(text.contains(said), "{text}");
        }
        let folder = repo("18", &json!({"type": "badgerds", "path": "badger"}));
        assert!(refusal(folder.path(), Leave::default()).contains("badgerds"));
        let empty = tempfile::tempdir().unwrap();
        assert!(refusal(empty.path(), Leave::default()).contains("no Kubo repository"));
    }

    #[test]
    fn takes_less_on_request() {
        let folder = repo("18", &spec("flatfs", "pebbleds"));
        let leave = Leave { pins: true, swarm_key: false };
        assert_eq!(Source::open(folder.path(), leave).unwrap().metadata(), None);

        fs::write(folder.path().join("swarm.key"), "no key").unwrap();
        let error = Source::open(folder.path(), leave).unwrap_err();
        assert!(matches!(error, MigrateError::Damaged { .. }), "{error}");
        let leave = Leave { pins: true, swarm_key: true };
        assert_eq!(Source::open(folder.path(), leave).unwrap().swarm_key(), None);
    }
}
