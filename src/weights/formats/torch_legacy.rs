//! What `torch.save` wrote before PyTorch 1.6, and writes when asked for it: a row of pickles (a magic number, the version 1001, the
//! machine, the object, the keys of the storages), and behind them the storages in the order of their keys, each a count of
//! elements in 64 bits and the elements.

use super::{Contents, Format, Room, damaged, torch};
use crate::base::{Diagnostic, Result};
use crate::weights::pickle::{self, Graph, Node, Value};
use crate::weights::shown;
use std::path::Path;

pub static FORMAT: Format = Format {
    name: "legacy PyTorch",
    summary: "a pickle of `torch.save` with storages behind it, before PyTorch 1.6",
    detects: |bytes| bytes.first() == Some(&0x80) && matches!(bytes.get(1), Some(2..=5)),
    read,
};

/// 0x1950a86a20f9469cfc6c, as the pickle has it.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

fn read(bytes: &[u8], _: &Path) -> Result<Contents> {
    let mut graph = Graph::default();
    let (magic, at) = pickle::run(bytes, 0, &mut graph)?;
    if magic != Value::Bytes(MAGIC) {
        return Err(Diagnostic::error("this is a pickle, but none that `torch.save` wrote")
            .help("save the weights of a model with `torch.save(model.state_dict(), …)`")
            .into());
    }
    let (version, at) = pickle::run(bytes, at, &mut graph)?;
    if version != Value::Int(VERSION) {
        return Err(damaged("the version of this file of PyTorch is not 1001").into());
    }
    let (machine, at) = pickle::run(bytes, at, &mut graph)?;
    let is_big = |(key, value): &(Value, Value)| *key == Value::Text("little_endian") && *value == Value::Bool(false);
    if matches!(graph.get(machine), Some(Node::Dict(pairs)) if pairs.iter().any(is_big)) {
        let message = "this file was written on a big-endian machine, and only little-endian ones are read";
        return Err(Diagnostic::error(message).help("load it with PyTorch and save it again").into());
    }
    let (root, at) = pickle::run(bytes, at, &mut graph)?;
    let (keys, mut at) = pickle::run(bytes, at, &mut graph)?;
    let broken = || damaged("the list of storages is damaged");
    let mut storages: Vec<&[u8]> = vec![&[]; graph.storages.len()];
    for key in graph.sequence(keys).ok_or_else(broken)? {
        let Value::Text(key) = key else { return Err(broken().into()) };
        let (index, _, storage) = graph.storages.get_full(key).ok_or_else(broken)?;
        let size = storage.dtype.map_or(1, |dtype| dtype.bits() / 8);
        let cut = || damaged(format!("the storage `{}` is cut short", shown(key)));
        let count = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes).ok_or_else(cut)?;
        let length = usize::try_from(count).ok().and_then(|n| n.checked_mul(size)).ok_or_else(cut)?;
        let end = (at + 8).checked_add(length).filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
        storages[index] = &bytes[at + 8..end];
        at = end;
    }
    let mut room = Room::of(bytes.len());
    torch::tensors(&graph, root, |index| Ok(storages[index].into()), &mut room)
}
