//! The machine's own file system.
//!
//! Not here: what the calls promise (`vfs.rs`).

use super::{Create, Map, Vfs, VfsFile};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

/// Most parts that one vectored write takes (`IOV_MAX` on Linux and the BSDs).
const PART_COUNT_MAX: usize = 1024;

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealVfs;

#[derive(Debug)]
struct RealFile(File);

impl Vfs for RealVfs {
    fn open(&self, path: &Path, create: Create) -> io::Result<Arc<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(create != Create::ReadOnly);
        match create {
            Create::ReadOnly | Create::Never => {}
            Create::IfMissing => drop(options.create(true)),
            Create::PrivateIfMissing => {
                options.create(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            }
            Create::New => drop(options.create_new(true)),
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn create_dir(&self, path: &Path, private: bool) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        if private {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        }
        builder.create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        fs::read_dir(path)?.map(name).collect()
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    #[cfg(unix)]
    fn disk_len(&self, path: &Path) -> io::Result<Option<u64>> {
        use std::os::unix::fs::MetadataExt as _;
        match fs::metadata(path) {
            // The blocks that `stat` counts have 512 bytes, whatever the file system's have.
            Ok(metadata) => Ok(Some(metadata.len().min(metadata.blocks().saturating_mul(512)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        File::open(path)?.sync_all()
    }

    #[cfg(unix)]
    fn free_len(&self, path: &Path) -> io::Result<Option<u64>> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let stat = rustix::fs::statvfs(path)?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}

impl VfsFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut len = 0;
        while len < buffer.len() {
            match rustix::io::pread(&self.0, &mut buffer[len..], offset + len as u64) {
                Ok(0) => break,
                Ok(count) => len += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(len)
    }

    fn read_to_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let rest = self.len()?.saturating_sub(offset);
        let len = usize::try_from(rest).map_or(len, |rest| rest.min(len));
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let position = offset + bytes.len() as u64;
            let spare = rustix::buffer::spare_capacity(&mut bytes);
            match rustix::io::pread(&self.0, spare, position) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The allocator may have given more room than was asked for.
        bytes.truncate(len);
        Ok(bytes)
    }

    fn write_all_vectored_at(&self, parts: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        for chunk in parts.chunks(PART_COUNT_MAX) {
            let mut chunk = chunk.to_vec();
            let mut left = &mut chunk[..];
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                match write_some(&self.0, left, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        offset += count as u64;
                        IoSlice::advance_slices(&mut left, count);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::fs::FallocateFlags::empty();
            match rustix::fs::fallocate(&self.0, flags, 0, len) {
                // A file system without the call gets the zeros written out below.
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
                answer => return Ok(answer?),
            }
        }
        let old_len = self.len()?;
        let zeros = [0; 4096];
        let mut offset = old_len;
        while offset < len {
            let count = usize::try_from(len - offset).unwrap_or(usize::MAX).min(zeros.len());
            if let Err(error) = self.write_all_at(&zeros[..count], offset) {
                self.set_len(old_len)?;
                return Err(error);
            }
            offset += count as u64;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn start_sync(&self, offset: u64, len: u64) {
        // Linux starts writing dirty pages of a range that is said not to be needed, and then
        // drops only those that are clean, which these are not yet.
        #[cfg(target_os = "linux")]
        if let Some(len) = std::num::NonZeroU64::new(len) {
            let advice = rustix::fs::Advice::DontNeed;
            let _refused = rustix::fs::fadvise(&self.0, offset, Some(len), advice);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, len);
    }

    #[cfg(target_os = "linux")]
    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        use rustix::{fs::FallocateFlags, io::Errno};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.0, flags, offset, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            answer => Ok(answer.map(|()| true)?),
        }
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn map(&self) -> io::Result<Map> {
        Map::of_file(&self.0)
    }
}

/// Writes what the system takes in one call.
#[cfg(not(any(target_vendor = "apple", windows)))]
fn write_some(file: &File, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, parts, offset)?)
}

/// Writes the first part, where there is no positioned vectored write.
#[cfg(target_vendor = "apple")]
fn write_some(file: &File, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, &parts[0], offset)
}
