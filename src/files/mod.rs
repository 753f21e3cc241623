//! Files written whole or not at all: under a temporary name first, then renamed. What stops the program, nobody meets half a
//! file.

use crate::base::{Diagnostic, Result};
use std::io::Write;
use std::path::Path;

/// What unfinished files are called until they get their names.
pub const UNFINISHED: &str = ".mtlc-unfinished-";

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
