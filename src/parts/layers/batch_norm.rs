//! `batch_norm`: each channel to mean 0 and variance 1, then scaled and shifted.
//!
//! In training the moments are those of the batch, and the running statistics follow them; frozen or served, the running
//! statistics are used and nothing moves. Parameter names are PyTorch's.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct BatchNorm;

/// Arguments of `batch_norm`, with their defaults.
pub const EPSILON: f64 = 1e-5;
pub const MOMENTUM: f64 = 0.1;

static SIGNATURE: Signature = Signature {
    name: "batch_norm",
    kind: PartKind::Layer,
    summary: "each channel to mean 0 and variance 1 over the batch, then scale and shift",
    params: &[
        Param::with("epsilon", Kind::Positive, "1e-5", "added to the variance"),
        Param::with("momentum", Kind::Fraction, "0.1", "share of the batch in the running statistics"),
    ],
};

impl Layer for BatchNorm {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "norm"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        build(cell, x, cell.args.float("epsilon"), cell.args.float("momentum"))
    }
}

pub fn build(cell: &mut Cell<'_>, x: ValueId, epsilon: f64, momentum: f64) -> Result<ValueId, Fault> {
    let inner = cell.ty(x).inner();
    let Some(&channels) = inner.first() else {
        return Err(Mismatch::new("`batch_norm` takes a vector or a feature map, and gets a single number").into());
    };
    let gamma = cell.weight("weight", &[channels], Init::Ones);
    let beta = cell.weight("bias", &[channels], Init::Zeros);
    let running_mean = cell.statistic("running_mean", &[channels], Init::Zeros);
    let running_var = cell.statistic("running_var", &[channels], Init::Ones);
    let (mean, var) = if cell.moves_statistics() {
        let mean = cell.op(ops::channel_mean::ChannelMean {}, &[x])?;
        let var = cell.op(ops::channel_var::ChannelVar {}, &[x, mean])?;
        let positions = inner[1..].iter().product();
        let (mean_path, var_path) = (cell.name("running_mean"), cell.name("running_var"));
        cell.graph.update(&mean_path, mean, momentum, None);
        cell.graph.update(&var_path, var, momentum, Some(positions));
        (mean, var)
    } else {
        (running_mean, running_var)
    };
    cell.op(
        ops::batch_norm::BatchNorm { epsilon, own_moments: false, epilogue: Default::default() },
        &[x, mean, var, gamma, beta],
    )
}
