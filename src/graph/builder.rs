//! Makes a graph one value at a time, deriving every type and whether it is taped.

use super::{
    Definition, Graph, Init, Leaf, Mode, Output, Parameter, Purpose, Role, Update, Value, ValueId, Winograd,
    verify::MAX_RANK,
};
use crate::base::{DType, Type};
use crate::ops::{Mismatch, Op};
use indexmap::IndexMap;
use std::collections::HashMap;

pub struct Builder {
    graph: Graph,
    /// Which tokens of a sequence are real, for the sequences that have padding. It travels with the tokens.
    token_masks: HashMap<ValueId, ValueId>,
}

impl Builder {
    pub fn new(name: &str, mode: Mode) -> Self {
        let graph = Graph {
            name: name.into(),
            mode,
            values: vec![],
            parameters: IndexMap::new(),
            outputs: vec![],
            updates: vec![],
            winograd: Winograd::default(),
            by_task: false,
        };
        Self { graph, token_masks: HashMap::new() }
    }

    pub fn mode(&self) -> Mode {
        self.graph.mode
    }

    pub fn ty(&self, id: ValueId) -> &Type {
        &self.graph.value(id).ty
    }

    fn push(&mut self, definition: Definition, ty: Type, taped: bool, path: &str) -> ValueId {
        self.graph.values.push(Value {
            definition,
            ty,
            taped,
            channels_last: false,
            constant: false,
            path: path.into(),
        });
        ValueId(self.graph.values.len() - 1)
    }

    /// The leaf, made once.
    fn leaf(&mut self, leaf: Leaf, ty: Type, taped: bool, path: &str) -> ValueId {
        let known = self.graph.values.iter().position(|v| matches!(&v.definition, Definition::Leaf(l) if *l == leaf));
        known.map_or_else(|| self.push(Definition::Leaf(leaf), ty, taped, path), ValueId)
    }

    pub fn input(&mut self, name: &str, ty: Type) -> ValueId {
        self.leaf(Leaf::Input(name.into()), ty, false, name)
    }

    pub fn target(&mut self, name: &str, ty: Type) -> ValueId {
        self.leaf(Leaf::Target(name.into()), ty, false, name)
    }

    pub fn presence(&mut self, target: &str) -> ValueId {
        self.leaf(Leaf::Presence(target.into()), Type::batched(DType::F32, &[]), false, target)
    }

    /// A parameter or statistic at `path`, of the layer one segment above. Asking twice for one path gives one parameter.
    pub fn parameter(&mut self, path: &str, dims: &[usize], init: Init, role: Role, kind: &str) -> ValueId {
        let layer = path.rsplit_once('.').map_or(path, |(layer, _)| layer);
        let parameter =
            Parameter { dims: dims.to_vec(), init, role, layer: layer.into(), kind: kind.into(), added: false };
        self.declare(path, parameter)
    }

    /// The same, with everything said about it.
    pub fn declare(&mut self, path: &str, parameter: Parameter) -> ValueId {
        let (ty, taped) = (Type::fixed(DType::F32, &parameter.dims), parameter.role == Role::Trained);
        self.graph.parameters.entry(path.into()).or_insert(parameter);
        self.leaf(Leaf::Parameter(path.into()), ty, taped, path)
    }

    /// Whether there is a parameter at `path`.
    pub fn has_parameter(&self, path: &str) -> bool {
        self.graph.parameters.contains_key(path)
    }

    /// The dropout mask of a layer, of the type of what it masks.
    pub fn mask(&mut self, path: &str, ty: Type, keep: f64) -> ValueId {
        self.leaf(Leaf::Mask { path: path.into(), keep }, ty, false, path)
    }

    /// How much mixup keeps of each example.
    pub fn share(&mut self, alpha: f64) -> ValueId {
        self.leaf(Leaf::Share { alpha }, Type::fixed(DType::F32, &[]), false, "mixup")
    }

    /// An op on earlier values, or why it cannot take them.
    pub fn op(&mut self, op: impl Into<Op>, inputs: &[ValueId], path: &str) -> Result<ValueId, Mismatch> {
        let op = op.into();
        let types: Vec<Type> = inputs.iter().map(|&i| self.ty(i).clone()).collect();
        let ty = op.signature(&types)?;
        if ty.rank() > MAX_RANK {
            return Err(Mismatch::new(format!("{} has more than {} axes", ty.example(), MAX_RANK - 1)));
        }
        let taped = inputs.iter().any(|&i| self.graph.value(i).taped);
        let mask = inputs.iter().find_map(|&i| self.token_mask(i)).filter(|&m| {
            let tokens = &self.ty(m).dims[1];
            ty.rank() == 3 && ty.dims[1] == *tokens
        });
        let id = self.push(Definition::Op { op, inputs: inputs.to_vec() }, ty, taped, path);
        if let Some(mask) = mask {
            self.set_token_mask(id, mask);
        }
        Ok(id)
    }

    /// Says which tokens of the sequence `x` are real: `mask` is 1 there and 0 at padding.
    pub fn set_token_mask(&mut self, x: ValueId, mask: ValueId) {
        self.token_masks.insert(x, mask);
    }

    /// The mask of a sequence that has padding.
    pub fn token_mask(&self, x: ValueId) -> Option<ValueId> {
        self.token_masks.get(&x).copied()
    }

    /// Height and width of the images, inputs of `[channels, height, width]`, that a value follows from; each size once.
    pub fn images_below(&self, id: ValueId) -> Vec<[usize; 2]> {
        let (mut below, mut sizes) = (vec![id], vec![]);
        let mut seen = vec![false; id.0 + 1];
        while let Some(id) = below.pop() {
            if std::mem::replace(&mut seen[id.0], true) {
                continue;
            }
            let value = self.graph.value(id);
            if let (Definition::Leaf(Leaf::Input(_)), [_, height, width]) = (&value.definition, &value.ty.inner()[..])
                && !sizes.contains(&[*height, *width])
            {
                sizes.push([*height, *width]);
            }
            below.extend(value.inputs());
        }
        sizes
    }

    /// Whether a value is what `detect` makes of a feature map.
    pub fn is_detector(&self, id: ValueId) -> bool {
        matches!(self.graph.value(id).definition, Definition::Op { op: Op::Detect(_), .. })
    }

    /// Says how large a tile of Winograd a training step may take.
    pub fn winograd(&mut self, largest: Winograd) {
        self.graph.winograd = largest;
    }

    /// Says that a training step wants the gradient of each loss.
    pub fn by_task(&mut self) {
        self.graph.by_task = true;
    }

    pub fn output(&mut self, name: &str, purpose: Purpose, value: ValueId) {
        self.graph.outputs.push(Output { name: name.into(), purpose, value });
    }

    pub fn update(&mut self, parameter: &str, value: ValueId, momentum: f64, bessel: Option<usize>) {
        self.graph.updates.push(Update { parameter: parameter.into(), value, momentum, bessel });
    }

    /// Whether a gradient passes through the value.
    pub fn is_taped(&self, id: ValueId) -> bool {
        self.graph.value(id).taped
    }

    pub fn finish(self) -> Graph {
        self.graph
    }
}
