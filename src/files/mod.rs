//! Files written whole or not at all: under a temporary name first, then renamed. What stops the program, nobody meets half a
//! file. And files read at a place.

use crate::base::{Diagnostic, Result};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What unfinished files are called until they get their names.
pub const UNFINISHED: &str = ".mtlc-unfinished-";

/// A file that is too long to be held in memory, on its way to its name. What is dropped before [`Unfinished::finish`] is gone.
pub struct Unfinished {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Unfinished {
    /// Begins a file in the folder of `path`, which is made.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        Ok(Self { path: path.into(), file: BufWriter::with_capacity(1 << 20, temporary(folder)?) })
    }

    /// Gives the file its name, and opens it to be read.
    pub fn finish(self) -> io::Result<File> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|e| e.error)?;
        File::open(&self.path)
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A new file without a name of its own.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    // Temporary files are private by default; these become files like any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Fills `buffer` with what stands at `offset` of a file. One thread at a time, where the platform moves a cursor for it.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(not(unix))]
    {
        use io::{Read, Seek, SeekFrom};
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}

/// Writes a file whole or not at all. The file keeps its permissions, and a link keeps pointing at it.
///
/// What is no file, such as `/dev/stdout`, cannot be replaced and is written to.
pub fn write_atomically(path: &Path, data: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let former = std::fs::metadata(&path).ok();
        if former.as_ref().is_some_and(|f| !f.is_file() && !f.is_dir()) {
            return std::fs::OpenOptions::new().write(true).open(&path)?.write_all(data);
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = temporary(folder)?;
        file.write_all(data)?;
        if let Some(former) = former {
            file.as_file().set_permissions(former.permissions())?;
        }
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| {
        Diagnostic::error(format!("cannot write it: {}", e.kind())).place(path.display().to_string()).into()
    })
}
