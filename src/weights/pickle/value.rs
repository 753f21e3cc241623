//! What a pickle describes: scalars, and a graph of nodes that refer to each other by number.

use super::Global;
use crate::weights::DType;
use indexmap::IndexMap;

/// A scalar, or a node of the graph. Texts lie in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Node(u32),
}

#[derive(Debug, PartialEq)]
pub enum Node<'a> {
    /// A list or a tuple.
    Sequence(Vec<Value<'a>>),
    /// In the order of the pickle; a later pair with the same key counts.
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Global(Global),
    Storage(StorageView),
    Tensor(Box<TensorView>),
    /// Something that holds no tensors.
    Opaque,
}

/// Memory that tensors share.
#[derive(Debug)]
pub struct Storage {
    /// Nothing for a storage of bytes, whose tensors say what they are made of.
    pub dtype: Option<DType>,
    pub elements: usize,
}

/// A storage from some element on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StorageView {
    pub index: usize,
    pub offset: usize,
}

/// A tensor over a storage. Whether the storage is large enough, nobody has checked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorView {
    pub storage: usize,
    /// In elements, as the strides are.
    pub offset: usize,
    pub dims: Vec<usize>,
    pub strides: Vec<usize>,
    pub dtype: DType,
}

/// All that the pickles of a file have made.
#[derive(Debug, Default)]
pub struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    /// By their keys, in the order in which they were first named.
    pub storages: IndexMap<&'a str, Storage>,
}

impl<'a> Graph<'a> {
    pub(super) fn add(&mut self, node: Node<'a>) -> Value<'a> {
        self.nodes.push(node);
        // There are fewer nodes than bytes in half of a file, and the machine ends long before 2³² of them.
        Value::Node((self.nodes.len() - 1) as u32)
    }

    pub fn get(&self, value: Value<'a>) -> Option<&Node<'a>> {
        if let Value::Node(number) = value { self.nodes.get(number as usize) } else { None }
    }

    pub(super) fn get_mut(&mut self, value: Value<'a>) -> Option<&mut Node<'a>> {
        if let Value::Node(number) = value { self.nodes.get_mut(number as usize) } else { None }
    }

    /// The items of a list or tuple.
    pub fn sequence(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        if let Some(Node::Sequence(items)) = self.get(value) { Some(items) } else { None }
    }

    /// The storage that a persistent id describes: `("storage", class, key, place, elements)`, where old files add a part of the
    /// storage, `(key, offset, elements)`. The place, such as `cuda:0`, means nothing here.
    pub(super) fn storage(&mut self, id: Value<'a>) -> Option<Node<'a>> {
        let [Value::Text("storage"), class, Value::Text(key), _, Value::Int(elements), view @ ..] =
            self.sequence(id)?
        else {
            return None;
        };
        let Some(Node::Global(Global::Storage(dtype))) = self.get(*class) else { return None };
        let offset = match view.first() {
            None | Some(Value::None) => 0,
            Some(part) => match self.sequence(*part)? {
                [_, Value::Int(offset), _] => usize::try_from(*offset).ok()?,
                _ => return None,
            },
        };
        let (dtype, key, elements) = (*dtype, *key, usize::try_from(*elements).ok()?);
        let known = self.storages.entry(key);
        let index = known.index();
        let storage = known.or_insert(Storage { dtype, elements });
        let same = storage.dtype == dtype && storage.elements == elements;
        same.then_some(Node::Storage(StorageView { index, offset }))
    }
}
