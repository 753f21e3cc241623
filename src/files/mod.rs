//! Files read whole, and written whole or not at all.
//!
//! What is read is a file of a size that is known before, so that a device or a pipe, which may have no end, is refused. What is
//! written goes under a temporary name first, and is then renamed: what stops the program, nobody meets half a file.

use crate::base::{Diagnostic, Result};
use std::io::{Error, ErrorKind, Read, Write};
use std::path::Path;

/// What unfinished files are called until they get their names.
pub const UNFINISHED: &str = ".mtlc-unfinished-";

/// The contents of a file; [`reason`] says in words why there are none.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
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
    std::fs::File::open(path)?.take(facts.len()).read_to_end(&mut contents)?;
    Ok(contents)
}

/// The same as text.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no UTF-8 text"))
}

/// Why a file cannot be read, without its name and without the system's numbers.
pub fn reason(error: &Error) -> String {
    error.get_ref().map_or_else(|| error.kind().to_string(), ToString::to_string)
}

/// Writes a file whole or not at all. The file keeps its permissions, and a link keeps pointing at it.
///
/// What is no file, such as `/dev/stdout`, cannot be replaced and is written to.
pub fn write_atomically(path: &Path, data: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let former = std::fs::metadata(&path).ok();
        if former.as_ref().is_some_and(|f| !f.is_file() && !f.is_dir()) {
            return std::fs::OpenOptions::new().write(true).open(&path)?.write_all(data);
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        // Temporary files are private by default; these become files like any other.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
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
