//! What a program sees of a simulated disk: the file system traits.
//!
//! Not here: what becomes of its writes (`image.rs`).

use super::{
    SimDisk, State,
    fault::{Call, FaultKind},
    journal::{Entry, FileNumber, NameChange, Node},
    not_found,
};
use cairn_runtime::{Create, Map, Vfs, VfsFile};
use std::{
    io::{self, IoSlice},
    path::Path,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A program on a simulated disk.
#[derive(Debug, Clone)]
pub(super) struct Process {
    disk: SimDisk,
    number: u64,
}

#[derive(Debug)]
struct OpenFile {
    process: Process,
    number: FileNumber,
    holds_lock: AtomicBool,
}

impl Process {
    pub(super) fn new(disk: SimDisk, number: u64) -> Self {
        Self { disk, number }
    }

    /// The disk, if the program still runs.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.process == self.number {
            Ok(state)
        } else {
            Err(io::Error::other("the program that calls was killed"))
        }
    }

    /// The disk for a call that succeeds, unless its turn to fail has come.
    fn call(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state()?;
        if call != Call::Look {
            state.capture();
        }
        match state.count(call) {
            Some(fault) => Err(fault.error()),
            None => Ok(state),
        }
    }
}

impl Vfs for Process {
    fn open(&self, path: &Path, create: Create) -> io::Result<Arc<dyn VfsFile>> {
        let known = self.state()?.file(path);
        let number = match (known, create) {
            (Some(_), Create::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(number), _) => {
                drop(self.call(Call::Look)?);
                number
            }
            (None, Create::ReadOnly | Create::Never) => {
                drop(self.call(Call::Look)?);
                return Err(not_found());
            }
            (None, _) => self.create(path)?,
        };
        Ok(Arc::new(OpenFile { process: self.clone(), number, holds_lock: AtomicBool::new(false) }))
    }

    fn create_dir(&self, path: &Path, _private: bool) -> io::Result<()> {
        if self.state()?.names.get(path) == Some(&Node::Dir) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.create_dir(parent, false)?;
        }
        let mut state = self.call(Call::Grow)?;
        state.names.insert(path.to_owned(), Node::Dir);
        let added = NameChange::Add { path: path.to_owned(), node: Node::Dir };
        state.journal.push(Entry::Name(added));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.call(Call::Look)?;
        if state.names.get(path) != Some(&Node::Dir) {
            return Err(not_found());
        }
        let inside = state.names.keys().filter(|name| name.parent() == Some(path));
        let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
        Ok(inside.filter_map(|path| name(path)).collect())
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.call(Call::Look)?;
        Ok(state.names.get(path).map(|node| match node {
            Node::Dir => 0,
            Node::File(number) => state.files[*number].contents.len(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.call(Call::Change)?;
        let node = state.names.get(from).copied().ok_or_else(not_found)?;
        state.unlink(to);
        state.names.remove(from);
        state.names.insert(to.to_owned(), node);
        let renamed = NameChange::Rename { from: from.to_owned(), to: to.to_owned() };
        state.journal.push(Entry::Name(renamed));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call(Call::Change)?;
        state.unlink(path);
        if state.names.remove(path).is_some() {
            state.journal.push(Entry::Name(NameChange::Remove { path: path.to_owned() }));
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call(Call::Sync)?;
        if state.names.get(path) != Some(&Node::Dir) {
            return Err(not_found());
        }
        state.journal.push(Entry::SyncDir { dir: path.to_owned() });
        Ok(())
    }

    fn entropy(&self) -> u64 {
        self.disk.lock().random.number()
    }
}

impl Process {
    fn create(&self, path: &Path) -> io::Result<FileNumber> {
        let mut state = self.call(Call::Grow)?;
        if path.parent().is_some_and(|dir| state.names.get(dir) != Some(&Node::Dir)) {
            return Err(not_found());
        }
        let number = state.files.len();
        let node = Node::File(number);
        state.files.push(super::File { path: path.to_owned(), ..super::File::default() });
        state.names.insert(path.to_owned(), node);
        state.journal.push(Entry::Name(NameChange::Add { path: path.to_owned(), node }));
        Ok(number)
    }
}

impl OpenFile {
    /// The disk for a look at the file, with what was changed through its map.
    fn look(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.process.call(Call::Look)?;
        if state.files[self.number].map.is_some() {
            state.capture();
        }
        Ok(state)
    }

    fn write(&self, state: &mut State, bytes: &[u8], offset: u64) {
        let file = self.number;
        if bytes.is_empty() {
            return;
        }
        let contents = &mut state.files[file].contents;
        contents.write(bytes, offset);
        state.journal.push(Entry::Write { file, offset, bytes: bytes.to_vec() });
        if let Some(map) = &state.files[file].map {
            let now = state.files[file].contents.to_vec();
            for (word, bytes) in map.words().iter().zip(now.chunks_exact(8)) {
                let bytes = bytes.try_into().expect("invariant: chunks of eight");
                word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
            }
        }
    }
}

impl VfsFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.process.call(Call::Look)?.files[self.number].contents.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.look()?.files[self.number].contents.read(buffer, offset))
    }

    fn read_to_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let state = self.look()?;
        let contents = &state.files[self.number].contents;
        let rest = usize::try_from(contents.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; rest.min(len)];
        contents.read(&mut bytes, offset);
        Ok(bytes)
    }

    fn write_all_vectored_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let mut state = self.process.state()?;
        state.capture();
        match state.count(Call::Grow) {
            None => {
                self.write(&mut state, &bytes, offset);
                Ok(())
            }
            Some(fault) => {
                // A full disk takes what it has room for; a broken one may fail anywhere.
                if fault == FaultKind::Full || state.random.below(2) == 0 {
                    self.write(&mut state, &bytes[..bytes.len() / 2], offset);
                }
                Err(fault.error())
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let file = self.number;
        let longer = len > self.process.state()?.files[file].contents.len();
        let mut state = self.process.call(if longer { Call::Grow } else { Call::Change })?;
        if state.files[file].map.is_some() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        state.files[file].contents.set_len(len);
        state.journal.push(Entry::SetLen { file, len });
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > self.process.state()?.files[self.number].contents.len() {
            self.set_len(len)?;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let file = self.number;
        let mut state = self.process.state()?;
        state.capture();
        match state.count(Call::Sync) {
            None => {
                state.journal.push(Entry::Sync { file });
                Ok(())
            }
            Some(fault) => {
                state.journal.push(Entry::SyncFailed { file });
                Err(fault.error())
            }
        }
    }

    fn start_sync(&self, _offset: u64, _len: u64) {}

    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        let mut state = self.process.call(Call::Change)?;
        let zeros = vec![0; usize::try_from(len).unwrap_or_default()];
        self.write(&mut state, &zeros, offset);
        Ok(true)
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.process.call(Call::Look)?;
        let locked = &mut state.files[self.number].locked;
        let taken = !*locked;
        *locked = true;
        if taken {
            self.holds_lock.store(true, Ordering::Relaxed);
        }
        Ok(taken)
    }

    fn map(&self) -> io::Result<Map> {
        let mut state = self.process.call(Call::Look)?;
        let file = &mut state.files[self.number];
        if let Some(map) = &file.map {
            return Ok(map.clone());
        }
        let bytes = file.contents.to_vec();
        if bytes.is_empty() || bytes.len() % 8 != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let word = |bytes: &[u8]| {
            let bytes = bytes.try_into().expect("invariant: chunks of eight");
            AtomicU64::new(u64::from_ne_bytes(bytes))
        };
        let map = Map::of_words(bytes.chunks_exact(8).map(word).collect());
        file.map = Some(map.clone());
        Ok(map)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.holds_lock.load(Ordering::Relaxed)
            && let Ok(mut state) = self.process.state()
        {
            state.files[self.number].locked = false;
        }
    }
}
