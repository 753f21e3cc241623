//! Files read whole or at a place, and written whole or not at all.
//!
//! What is read is a file of a size that is known before, so that a device or a pipe, which may have no end, is refused. What is
//! written goes under a temporary name first, and is then renamed: what stops the program, nobody meets half a file.

use crate::base::{Diagnostic, Result};
use std::fs::File;
use std::io::{self, BufWriter, Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What unfinished files are called until they get their names.
pub const UNFINISHED: &str = ".mtlc-unfinished-";

/// The contents of a file; [`reason`] says in words why there are none.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before it is opened: opening a pipe waits for somebody to write to it.
    let facts = std::fs::metadata(path)?;
    if facts.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !facts.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is a device or a pipe, and only files are read"));
    }
    let mut contents = vec![];
    let len = usize::try_from(facts.len()).map_err(|_| ErrorKind::OutOfMemory)?;
    contents.try_reserve_exact(len).map_err(|_| ErrorKind::OutOfMemory)?;
    // A file that grows meanwhile is read as far as it was.
    File::open(path)?.take(facts.len()).read_to_end(&mut contents)?;
    Ok(contents)
}

/// The same as text.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no UTF-8 text"))
}

/// Why a file cannot be read, without its name and without the system's numbers.
pub fn reason(error: &Error) -> String {
    error.get_ref().map_or_else(|| error.kind().to_string(), ToString::to_string)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        for contents in [&b""[..], &[7; 100_000]] {
            std::fs::write(&path, contents).expect("a file");
            assert_eq!(read(&path).expect("it is there"), contents);
        }
        std::fs::write(&path, b"\xff").expect("a file");
        assert_eq!(reason(&read_text(&path).expect_err("no text")), "it is no UTF-8 text");
        assert_eq!(read(&folder.path().join("b")).expect_err("absent").kind(), ErrorKind::NotFound);
        assert_eq!(read(folder.path()).expect_err("a folder").kind(), ErrorKind::IsADirectory);
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_refused() {
        let error = read(Path::new("/dev/zero")).expect_err("it has no end");
        assert_eq!(reason(&error), "it is a device or a pipe, and only files are read");
    }
}
