//! Where data comes from. A source reads its files into a [`Table`] and checks all that does not depend on the model.

use super::table::Table;
use crate::base::signature::{Args, Kind, Param, Signature};
use crate::base::{Diagnostic, Diagnostics, Result};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The parameter that every source ends with first.
pub const SPLIT: Param = Param::with(
    "split",
    Kind::Either(&[Kind::List(&Kind::NonNegative), Kind::Text]),
    "[0.8, 0.1, 0.1]",
    "shares of train, validation and test, or the column (for a `folder`, `\"folders\"`) that says train, validation or test",
);
/// The one file that a source reads.
pub const PATH: Param =
    Param::required("path", Kind::Text, "the file; a relative path starts at the folder of the spec");
pub const SEED: Param = Param::with("seed", Kind::Whole, "0", "the seed of the shuffle that splits by shares");
pub const LIMIT: Param =
    Param::optional("limit", Kind::Count, "keep at most so many training rows, to learn from few labels");

/// A source: what a spec writes, and how its files become a table.
#[derive(Debug)]
pub struct SourceKind {
    pub signature: &'static Signature,
    /// The parameters that are paths, in the order in which `read` takes the files; absent optional ones are left out.
    pub paths: &'static [&'static str],
    pub read: fn(&Args, &[File], &mut Sha256) -> Result<Table>,
}

/// A file and the name that messages use for it.
#[derive(Clone, Debug)]
pub struct File {
    pub name: String,
    pub path: PathBuf,
}

impl File {
    /// A path as a spec writes it; a relative one starts at `root`.
    pub fn new(name: &str, root: &Path) -> Self {
        Self { name: name.into(), path: root.join(name) }
    }

    /// The contents. Adds them to the fingerprint.
    pub fn read(&self, hash: &mut Sha256) -> Result<Vec<u8>> {
        let bytes = crate::files::read(&self.path).map_err(|error| self.unreadable(&error))?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
        Ok(bytes)
    }

    /// The contents, unpacked when they are gzip. Adds the contents as they stand in the file to the fingerprint.
    pub fn read_unpacked(&self, hash: &mut Sha256) -> Result<Vec<u8>> {
        let bytes = self.read(hash)?;
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(bytes);
        }
        let mut unpacked = vec![];
        match MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked) {
            Ok(_) => Ok(unpacked),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.broken("the gzip file ends too early").help("download or copy it again").into())
            }
            Err(_) => Err(self.broken("the gzip file is damaged").help("download or copy it again").into()),
        }
    }

    /// An error at this file.
    pub fn broken(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).place(&self.name)
    }

    /// Why the file cannot be read, with a suggestion from its folder.
    pub fn unreadable(&self, error: &std::io::Error) -> Diagnostics {
        if error.kind() != std::io::ErrorKind::NotFound {
            return self.broken(format!("cannot read the file: {}", crate::files::reason(error))).into();
        }
        let missing = self.broken("there is no such file");
        let folder = self.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return missing
                .note("its folder does not exist either")
                .help("relative paths start at the folder of the spec")
                .into();
        };
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        let wanted = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match crate::base::diagnostic::closest(&wanted, names.iter().map(String::as_str)) {
            Some(best) => missing.help(format!("did you mean `{best}`?")).into(),
            None => missing.help("relative paths start at the folder of the spec").into(),
        }
    }
}

/// The part of that name.
pub fn find(name: &str) -> Option<&'static SourceKind> {
    SOURCES.iter().find(|part| part.signature.name == name).copied()
}

parts! {
    /// Every source, one line each.
    SOURCES: SourceKind =
        csv,
        jsonl,
        npz,
        idx,
        folder,
        driving,
        lesions,
        agreement,
}
