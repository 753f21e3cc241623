//! From what a pickle of PyTorch describes to named tensors: which dictionary holds the weights, and what lies where.

use super::strided::{is_contiguous, last, walk};
use super::{Contents, Room, Tensor, damaged};
use crate::base::{Diagnostic, Result};
use crate::weights::pickle::{Graph, Node, TensorView, Value};
use crate::weights::shown;
use indexmap::IndexMap;
use std::borrow::Cow;
use std::collections::HashSet;

/// The keys under which checkpoints keep the weights of a model, beside the optimizer's state and the like.
const KEYS: [&str; 8] = ["state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights"];

/// How deep dictionaries may lie in each other.
const DEEPEST: usize = 8;

/// How many letters the names of all tensors may have together.
const MOST_LETTERS: usize = 16 << 20;

/// The tensors of a pickle. `storages` has the bytes of each storage of the graph, by its number.
pub fn tensors<'a>(
    graph: &Graph<'a>,
    root: Value<'a>,
    mut storages: impl FnMut(usize) -> Result<Cow<'a, [u8]>>,
    room: &mut Room,
) -> Result<Contents> {
    let mut notes = vec![];
    let root = choose(graph, root, &mut notes)?;
    let found = Walk::below(graph, root)?;
    if found.is_empty() {
        return Err(Diagnostic::error("this file holds no named tensors")
            .help("save the weights of a model with `torch.save(model.state_dict(), …)`")
            .into());
    }
    let mut contents = Contents { notes, ..Contents::default() };
    for (name, view) in found {
        contents.tensors.push(tensor(name, view, graph, &mut storages, room)?);
    }
    Ok(contents)
}

/// The dictionary that holds the weights: what a checkpoint keeps under a usual key, or all of it.
fn choose<'a>(graph: &Graph<'a>, mut root: Value<'a>, notes: &mut Vec<String>) -> Result<Value<'a>> {
    for _ in 0..DEEPEST {
        let Some(Node::Dict(pairs)) = graph.get(root) else { break };
        let mut chosen = None;
        for key in KEYS {
            let under = pairs.iter().rev().find(|(k, _)| *k == Value::Text(key)).map(|(_, value)| *value);
            let Some(inner) = under.filter(|v| matches!(graph.get(*v), Some(Node::Dict(_)))) else { continue };
            if !Walk::below(graph, inner)?.is_empty() {
                chosen = Some((key, inner));
                break;
            }
        }
        let Some((key, inner)) = chosen else { break };
        let others = pairs.iter().filter_map(|(k, _)| if let Value::Text(k) = k { Some(*k) } else { None });
        let others: Vec<_> = others.filter(|k| *k != key).take(8).map(|k| format!("`{}`", shown(k))).collect();
        notes.push(match others.is_empty() {
            true => format!("these are the tensors under `{key}`"),
            false => format!("these are the tensors under `{key}`; {} beside it are left out", others.join(", ")),
        });
        root = inner;
    }
    Ok(root)
}

/// A search for tensors. Each dictionary and list is walked through once, even if it lies in itself.
struct Walk<'g, 'a> {
    graph: &'g Graph<'a>,
    seen: HashSet<u32>,
    letters: usize,
    found: IndexMap<String, &'g TensorView>,
}

impl<'g, 'a> Walk<'g, 'a> {
    /// The tensors below a value, with the keys on the way joined by dots.
    fn below(graph: &'g Graph<'a>, value: Value<'a>) -> Result<IndexMap<String, &'g TensorView>> {
        let mut walk = Walk { graph, seen: HashSet::new(), letters: MOST_LETTERS, found: IndexMap::new() };
        walk.collect(value, "", DEEPEST)?;
        Ok(walk.found)
    }

    fn collect(&mut self, value: Value<'a>, prefix: &str, depth: usize) -> Result<()> {
        let Value::Node(number) = value else { return Ok(()) };
        if depth == 0 || !self.seen.insert(number) {
            return Ok(());
        }
        match self.graph.get(value) {
            Some(Node::Dict(pairs)) => {
                for (key, child) in pairs {
                    match key {
                        Value::Text(key) => self.child(prefix, key, *child, depth)?,
                        Value::Int(key) => self.child(prefix, &key.to_string(), *child, depth)?,
                        _ => {}
                    }
                }
            }
            Some(Node::Sequence(items)) => {
                for (i, child) in items.iter().enumerate() {
                    self.child(prefix, &i.to_string(), *child, depth)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn child(&mut self, prefix: &str, key: &str, child: Value<'a>, depth: usize) -> Result<()> {
        let node = self.graph.get(child);
        if !matches!(node, Some(Node::Tensor(_) | Node::Dict(_) | Node::Sequence(_))) {
            return Ok(());
        }
        let letters = self.letters.checked_sub(prefix.len() + key.len());
        self.letters = letters.ok_or_else(|| damaged("the names of the tensors are too long"))?;
        match node {
            Some(Node::Tensor(tensor)) => drop(self.found.insert(format!("{prefix}{key}"), tensor)),
            _ => self.collect(child, &format!("{prefix}{key}."), depth - 1)?,
        }
        Ok(())
    }
}

/// The numbers of a tensor in row-major order, whatever its strides.
fn tensor<'a>(
    name: String,
    view: &TensorView,
    graph: &Graph<'a>,
    storages: &mut impl FnMut(usize) -> Result<Cow<'a, [u8]>>,
    room: &mut Room,
) -> Result<Tensor> {
    let TensorView { storage, offset, dims, strides, dtype } = view;
    let elements = room.take(&name, dims, *dtype)?;
    if !dtype.is_float() {
        return Ok(Tensor { name, dims: dims.clone(), dtype: *dtype, data: None });
    }
    let mut data = Vec::with_capacity(elements);
    if elements > 0 {
        let bytes = storages(*storage)?;
        let size = dtype.bits() / 8;
        // A storage of bytes says how many bytes, the others how many elements.
        let claimed = graph.storages[*storage].elements;
        let count =
            bytes.len().min(claimed.saturating_mul(graph.storages[*storage].dtype.map_or(1, |d| d.bits() / 8))) / size;
        let Some(last) = last(*offset, dims, strides).filter(|&last| last < count) else {
            return Err(damaged(format!("the tensor `{}` reaches beyond its storage", shown(&name))).into());
        };
        if is_contiguous(dims, strides) {
            dtype.append(&bytes[offset * size..(last + 1) * size], &mut data);
        } else {
            let mut all = vec![];
            dtype.append(&bytes[offset * size..(last + 1) * size], &mut all);
            data.extend(walk(dims, strides).map(|at| all[at]));
        }
    }
    Ok(Tensor { name, dims: dims.clone(), dtype: *dtype, data: Some(data) })
}
