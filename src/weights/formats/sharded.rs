//! Sharded weights: a file of JSON whose `weight_map` says which file beside it holds which tensor.

use super::{Contents, FORMATS, Format, Tensor, damaged};
use crate::base::{Diagnostic, Result};
use crate::weights::{file, shown};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path};

pub static FORMAT: Format = Format {
    name: "sharded",
    summary: "an index in JSON, `….index.json`, with the files that it names beside it",
    detects: |bytes| bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') && bytes.get(8) != Some(&b'{'),
    read,
};

fn read(bytes: &[u8], path: &Path) -> Result<Contents> {
    let index: Value =
        serde_json::from_slice(bytes).map_err(|e| damaged(format!("this is no index of sharded weights: {e}")))?;
    let no_map = || {
        Diagnostic::error("this JSON is no index of sharded weights")
            .help("an index has a `weight_map` from the names of tensors to the names of files")
    };
    let map = index.get("weight_map").and_then(Value::as_object).ok_or_else(no_map)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut shards: BTreeMap<&str, HashMap<String, Tensor>> = BTreeMap::new();
    let mut contents = Contents::default();
    for (name, shard) in map {
        let shard = shard.as_str().ok_or_else(no_map)?;
        // An index may come from anywhere; what it names must lie beside it.
        if shard.is_empty() || Path::new(shard).components().any(|c| !matches!(c, Component::Normal(_))) {
            let message = format!("the index puts `{}` into `{}`, outside of its folder", shown(name), shown(shard));
            return Err(Diagnostic::error(message).help("shards lie beside their index").into());
        }
        shards.entry(shard).or_default();
    }
    for (shard, tensors) in &mut shards {
        let place = folder.join(shard);
        let mut within = || {
            let bytes = file::bytes(&place)?;
            let format = FORMATS.iter().filter(|format| format.name != FORMAT.name).find(|f| (f.detects)(&bytes));
            let format = format.ok_or_else(|| damaged("this shard is in none of the formats that are read"))?;
            contents.shards.push(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect());
            (format.read)(&bytes, &place)
        };
        let read: Result<Contents> = within().map_err(|mut wrong| {
            let unplaced = wrong.0.iter_mut().filter(|d| d.place.is_none());
            unplaced.for_each(|d| d.place = Some(place.display().to_string()));
            wrong
        });
        let read = read?;
        contents.notes.extend(read.notes);
        tensors.extend(read.tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)));
    }
    let mut missing = vec![];
    for (name, shard) in map {
        let shard = shard.as_str().unwrap_or_default();
        match shards.get_mut(shard).and_then(|tensors| tensors.remove(name)) {
            Some(tensor) => contents.tensors.push(tensor),
            None => missing.push(format!("`{}` is not in `{}`", shown(name), shown(shard))),
        }
    }
    if !missing.is_empty() {
        let diagnostic = damaged("the shards lack tensors that the index names");
        return Err(missing.into_iter().take(8).fold(diagnostic, Diagnostic::note).into());
    }
    let spare: usize = shards.values().map(HashMap::len).sum();
    if spare > 0 {
        contents.notes.push(format!("the shards hold {spare} more tensors, which the index does not name"));
    }
    Ok(contents)
}
