//! What `torch.save` writes since PyTorch 1.6: a zip archive with a pickle, `…/data.pkl`, and a file for each storage, `…/data/KEY`.

use super::archive::{self, Archive};
use super::{Contents, Format, Room, damaged, torch};
use crate::base::{Diagnostic, Result};
use crate::weights::pickle::{self, Graph};
use crate::weights::shown;
use std::path::Path;

pub static FORMAT: Format = Format {
    name: "PyTorch",
    summary: "a zip archive of `torch.save`, since PyTorch 1.6",
    detects: |bytes| archive::has(bytes, "data.pkl"),
    read,
};

fn read(bytes: &[u8], _: &Path) -> Result<Contents> {
    let mut archive = Archive::open(bytes)?;
    let lacks = || damaged("the archive lacks its pickle");
    let name = archive.entries.keys().find_map(|name| name.strip_suffix("data.pkl")).ok_or_else(lacks)?;
    if let Some(order) = archive.entry(&format!("{name}byteorder"))?
        && *order != *b"little"
    {
        let message = "this file was written on a big-endian machine, and only little-endian ones are read";
        return Err(Diagnostic::error(message).help("load it with PyTorch and save it again").into());
    }
    let pickle = archive.entry(&format!("{name}data.pkl"))?.ok_or_else(lacks)?;
    let mut graph = Graph::default();
    let (root, _) = pickle::run(&pickle, 0, &mut graph)?;
    let mut room = Room::of(bytes.len());
    let storage = |index: usize| {
        let key = graph.storages.get_index(index).map_or("", |(key, _)| *key);
        let found = archive.entry(&format!("{name}data/{key}"))?;
        found.ok_or_else(|| damaged(format!("the archive lacks the storage `{}`", shown(key))).into())
    };
    torch::tensors(&graph, root, storage, &mut room)
}
