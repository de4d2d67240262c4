//! Copies the keystore: one file a key, the key in libp2p's form.
//!
//! Invariants: a key of the target is never replaced; the copies have mode 0600 and are durable;
//! no message holds a key.
//! Not here: the node's own identity, which is in the config.

use crate::{
    MigrateError,
    blocks::Listener,
    files,
    report::{Event, Loss},
};
use cairn_runtime::{RealVfs, VfsExt as _};
use multibase::Base;
use std::path::Path;

/// Longest key file that is copied, in bytes; an RSA key of 16,384 bits has some 10 KiB.
const KEY_LEN_MAX: usize = 64 * 1024;

/// How Kubo's key files begin; the key's name in base32 follows.
const PREFIX: &str = "key_";

/// How many keys were copied.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Copied {
    pub(crate) count: u64,
    pub(crate) loss_count: u64,
}

/// Copies the keys in `from` to `to`, or counts them if there is no target. Blocking.
pub(crate) fn copy(
    from: &Path,
    to: Option<&Path>,
    listener: &Listener,
) -> Result<Copied, MigrateError> {
    let mut copied = Copied::default();
    if !files::exists(from)? {
        return Ok(copied);
    }
    for name in files::names(from)? {
        let path = from.join(&name);
        let mut lose = |reason: String| {
            copied.loss_count += 1;
            listener(Event::Lost(Loss::Key { path: path.clone(), reason }));
        };
        let text = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if text.is_none_or(|text| Base::Base32Lower.decode(text).is_err()) {
            lose("its name is not the name of a key".to_owned());
            continue;
        }
        let key = match files::read(&path, KEY_LEN_MAX) {
            Ok(key) => key,
            Err(error) => {
                lose(error.to_string());
                continue;
            }
        };
        if let Some(to) = to {
            let target = to.join(&name);
            match files::read_if_there(&target, KEY_LEN_MAX)? {
                Some(known) if known != key => {
                    lose("the target has another key of this name, which stays".to_owned());
                    continue;
                }
                Some(_) => {}
                None => {
                    let written = RealVfs.replace_file(&target, &key, true);
                    written.map_err(|source| MigrateError::io("write", &target, source))?;
                }
            }
        }
        copied.count += 1;
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::{KEY_LEN_MAX, copy};
    use crate::{
        blocks::Listener,
        report::{Event, Loss},
    };
    use std::{
        collections::BTreeMap,
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        sync::{Arc, Mutex},
    };

    #[test]
    fn copies_keys_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        for (name, key) in [
            ("key_me", vec![1; 68]),
            ("key_mi", vec![2; 68]),
            ("key_mm", vec![3; 68]),
            ("key_!!", vec![4; 68]),
            ("notes", vec![5; 68]),
            ("key_mq", vec![6; KEY_LEN_MAX + 1]),
        ] {
            fs::write(from.join(name), key).unwrap();
        }
        symlink("/etc/hostname", from.join("key_mu")).unwrap();
        fs::write(to.join("key_mi"), [2; 68]).unwrap();
        fs::write(to.join("key_mm"), [9; 68]).unwrap();

        let losses: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let told = Arc::clone(&losses);
        let listener: Listener = Arc::new(move |event| {
            if let Event::Lost(Loss::Key { path, reason }) = event {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                told.lock().unwrap().insert(name, reason);
            }
        });
        let copied = copy(&from, Some(&to), &listener).unwrap();
        assert_eq!((copied.count, copied.loss_count), (2, 5));
        let losses = losses.lock().unwrap();
        for (name, said) in [
            ("key_mm", "another key"),
            ("key_!!", "name of a key"),
            ("notes", "name of a key"),
            ("key_mq", "longer than"),
            ("key_mu", "could not read"),
        ] {
            assert!(losses[name].contains(said), "{name}: {}", losses[name]);
        }
        assert_eq!(fs::read(to.join("key_mm")).unwrap(), [9; 68]);
        assert_eq!(fs::read(to.join("key_me")).unwrap(), [1; 68]);
        let mode = fs::metadata(to.join("key_me")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&to).unwrap().count(), 3, "nothing half-written");
    }
}
