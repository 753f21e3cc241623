//! Where a layer is built: the graph so far, the layer's arguments and path, and what `freeze` decided for it.

use crate::base::Type;
use crate::base::signature::{Args, Value as ArgValue};
use crate::graph::{Builder, Init, Mode, Parameter, Role, ValueId};
use crate::ops::{Mismatch, Op};
use crate::parts::adapters::Adapter;

/// How much of a layer `freeze` holds; what stands later holds more. Parameters, statistics and dropout follow from it alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    #[default]
    Nothing,
    /// A norm uses and keeps its running statistics, and its scale and shift are trained.
    Statistics,
    /// Parameters keep their values, norms use and keep their running statistics, dropout is off.
    Everything,
}

/// What was decided for one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Policy {
    pub hold: Hold,
    /// What trains the layer in place of its own parameters.
    pub adapt: Option<Adapter>,
}

/// Why a layer could not be built.
#[derive(Debug)]
pub enum Fault {
    /// The layer does not take its input. The caller adds place and shapes.
    Mismatch(Mismatch),
    /// A layer inside failed, and a diagnostic says so already.
    Reported,
}

impl From<Mismatch> for Fault {
    fn from(mismatch: Mismatch) -> Self {
        Fault::Mismatch(mismatch)
    }
}

/// What a layer needs of whoever builds it.
pub trait Host {
    /// Builds the layers of one of the call's chains behind `x`.
    fn chain(&mut self, graph: &mut Builder, chain: usize, x: ValueId) -> Result<ValueId, Fault>;

    /// What `freeze` decided for a layer of that path and kind.
    fn policy(&self, path: &str, kind: &str) -> Policy;
}

/// One layer while it is built.
pub struct Cell<'a> {
    pub graph: &'a mut Builder,
    pub host: &'a mut dyn Host,
    pub args: &'a Args,
    /// The kind of the layer.
    pub kind: String,
    /// The path of the layer; its parameters are `path.weight`, `path.bias`, ….
    pub path: String,
    pub policy: Policy,
    /// Whether the next layer of the chain is a norm, which makes a bias here useless.
    pub before_norm: bool,
}

impl Cell<'_> {
    pub fn ty(&self, x: ValueId) -> Type {
        self.graph.ty(x).clone()
    }

    /// Whether a norm behaves as in training: it uses the moments of the batch, and its running statistics follow.
    pub fn moves_statistics(&self) -> bool {
        self.graph.mode() == Mode::Train && self.policy.hold == Hold::Nothing && self.policy.adapt.is_none()
    }

    /// Whether dropout behaves as in training: masks are drawn.
    pub fn draws_masks(&self) -> bool {
        self.graph.mode() == Mode::Train && self.policy.hold == Hold::Nothing
    }

    pub fn op(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, Fault> {
        for &input in inputs {
            fits_memory(self.graph.ty(input))?;
        }
        let result = self.graph.op(op, inputs, &self.path)?;
        fits_memory(self.graph.ty(result))?;
        Ok(result)
    }

    /// A weight of this layer, trained unless frozen or adapted by something else.
    pub fn weight(&mut self, name: &str, dims: &[usize], init: Init) -> ValueId {
        let adapted = self.policy.adapt.is_some_and(|adapter| !adapter.trains(name));
        let role = if self.policy.hold == Hold::Everything || adapted { Role::Frozen } else { Role::Trained };
        self.parameter(name, dims, init, role, false)
    }

    /// A weight that an adapter adds to this layer, trained unless a `freeze` holds the layer.
    pub fn added(&mut self, name: &str, dims: &[usize], init: Init) -> Result<ValueId, Fault> {
        let path = self.name(name);
        if self.graph.has_parameter(&path) {
            let mismatch =
                Mismatch::new(format!("the adapter of `{}` needs the path `{path}`, which is taken", self.path));
            return Err(mismatch.help("give the step with that name another one").into());
        }
        let role = if self.policy.hold == Hold::Everything { Role::Frozen } else { Role::Trained };
        Ok(self.parameter(name, dims, init, role, true))
    }

    /// A running statistic of this layer.
    pub fn statistic(&mut self, name: &str, dims: &[usize], init: Init) -> ValueId {
        let moves = self.policy.hold == Hold::Nothing && self.policy.adapt.is_none();
        let role = if moves { Role::Statistic } else { Role::FrozenStatistic };
        self.parameter(name, dims, init, role, false)
    }

    fn parameter(&mut self, name: &str, dims: &[usize], init: Init, role: Role, added: bool) -> ValueId {
        let (layer, kind) = (self.path.clone(), self.kind.clone());
        self.graph.declare(&self.name(name), Parameter { dims: dims.to_vec(), init, role, layer, kind, added })
    }

    /// The path of a parameter of this layer.
    pub fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// Builds the chain given as argument `param` behind `x`.
    pub fn chain(&mut self, param: &str, x: ValueId) -> Result<ValueId, Fault> {
        match self.args.get(param).map(|arg| &arg.value) {
            Some(ArgValue::Chain(index)) => self.host.chain(self.graph, *index, x),
            other => panic!("bug: argument `{param}` is {other:?}, no chain"),
        }
    }

    /// Builds something of its own path and kind inside this layer, such as the projection of a residual.
    pub fn within<R>(&mut self, name: &str, kind: &str, build: impl FnOnce(&mut Cell<'_>) -> R) -> R {
        let path = self.name(name);
        let policy = self.host.policy(&path, kind);
        build(&mut Cell {
            graph: self.graph,
            host: self.host,
            args: self.args,
            kind: kind.into(),
            path,
            policy,
            before_norm: false,
        })
    }
}

/// The most numbers of a parameter, or of a value of one example. It keeps every count that is made of sizes within 64 bits.
pub const MOST_NUMBERS: usize = 1 << 30;

fn fits_memory(ty: &Type) -> Result<(), Mismatch> {
    match ty.inner().iter().try_fold(1usize, |n, d| n.checked_mul(*d)) {
        Some(n) if n <= MOST_NUMBERS => Ok(()),
        _ => Err(Mismatch::new(format!("{} has more than 2^30 numbers", ty.example()))),
    }
}

/// Uniform in ± √(1 / fan-in): what PyTorch gives the weights and biases of its linear and convolution layers.
pub fn fan_in(inputs: usize) -> Init {
    Init::Uniform((1.0 / inputs.max(1) as f64).sqrt())
}
