//! `folder`: image files, one sub-folder a class; with `split: "folders"`, one folder a split and in it one a class.
//!
//! Rows are in the order of their paths, classes in the order of their names. Hidden files and files that are no images by
//! their extension are passed over. Images are decoded only when an example is prepared.

use super::{File, LIMIT, SEED, SPLIT, SourceKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature, Value};
use crate::base::{Diagnostic, Result};
use crate::data::form::Cell;
use crate::data::problem;
use crate::data::split::Split;
use crate::data::table::{Column, Store, Table};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "folder",
        kind: PartKind::Source,
        summary: "image files (png, jpeg, bmp, pnm), one sub-folder a class",
        params: &[
            Param::required("path", Kind::Text, "the folder; a relative path starts at the folder of the spec"),
            SPLIT,
            SEED,
            LIMIT,
        ],
    },
    paths: &["path"],
    read,
};

const EXTENSIONS: &[&str] = &["png", "jpg", "jpeg", "bmp", "pbm", "pgm", "ppm", "pnm"];

/// One image: its path, and the folders between the root and it.
struct Found {
    path: PathBuf,
    class: Option<String>,
    split: Option<Split>,
}

/// Folders, or for prediction also image files by themselves, which have no class.
fn read(args: &Args, files: &[File], hash: &mut Sha256) -> Result<Table> {
    let by_folders = matches!(args.get("split").map(|arg| &arg.value), Some(Value::Text(word)) if word == "folders");
    let mut found = vec![];
    for file in files {
        if !file.path.is_dir() {
            std::fs::metadata(&file.path).map_err(|error| file.unreadable(&error))?;
            found.push(Found { path: file.path.clone(), class: None, split: None });
        } else if by_folders {
            for folder in list(file, &file.path)?.into_iter().filter(|path| path.is_dir()) {
                let name = name(&folder);
                let Some(split) = Split::named(&name) else {
                    let unknown = file.broken(format!("folder `{name}` is no split"));
                    return Err(problem::suggest(unknown, &name, Split::NAMES).into());
                };
                images(file, &folder, Some(split), &mut found)?;
            }
        } else {
            images(file, &file.path, None, &mut found)?;
        }
    }
    let file_name = files.first().map(|file| file.name.clone()).unwrap_or_default();
    if found.is_empty() {
        return Err(Diagnostic::error("the folder has no images")
            .place(file_name)
            .help(format!("images lie in one sub-folder a class, and end in {}", EXTENSIONS.join(", ")))
            .into());
    }
    for image in &found {
        let file = File { name: image.path.display().to_string(), path: image.path.clone() };
        hash.update(image.class.as_deref().unwrap_or_default());
        file.read(hash)?;
    }
    Ok(table(file_name, found, by_folders))
}

fn table(name: String, found: Vec<Found>, by_folders: bool) -> Table {
    let rows = found.len();
    let classes: BTreeSet<&String> = found.iter().filter_map(|image| image.class.as_ref()).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let labels: Vec<Cell> =
        found.iter().map(|image| image.class.as_ref().map_or(Cell::Empty, |class| Cell::Text(class.clone()))).collect();
    let folds = by_folders.then(|| found.iter().map(|image| image.split.unwrap_or(Split::Test)).collect());
    let paths: Vec<PathBuf> = found.into_iter().map(|image| image.path).collect();
    let lines = paths.iter().map(|path| (path.display().to_string(), 0)).collect();
    let mut columns = IndexMap::new();
    let column = |dims, store, classes| Column { file: name.clone(), rows, dims, store, classes };
    columns.insert("images".to_string(), column(vec![3], Store::Files(paths), None));
    if !classes.is_empty() {
        columns.insert("labels".to_string(), column(vec![1], Store::Cells(labels), Some(classes)));
    }
    Table { kind: "folder", name, columns, lines, folds, test_from: None }
}

/// Adds the images of each class folder in `root`, and those that lie in `root` itself, which have no class.
fn images(file: &File, root: &Path, split: Option<Split>, found: &mut Vec<Found>) -> Result<()> {
    for path in list(file, root)? {
        if path.is_dir() {
            let class = Some(name(&path));
            let inside = list(file, &path)?.into_iter().filter(|path| is_image(path));
            found.extend(inside.map(|path| Found { path, class: class.clone(), split }));
        } else if is_image(&path) {
            found.push(Found { path, class: None, split });
        }
    }
    Ok(())
}

/// What lies in a folder, by name, without hidden entries.
fn list(file: &File, folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| file.unreadable(&error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    path.is_file() && extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
