//! `sum(n)`, `mean(n)`, `product(n)` and `mixture(n)`: values that stand side by side become one of the size of each.
//!
//! A network that reads several values gets them side by side, so these are how it adds them, as a feature pyramid does (Lin et al.
//! 2017, arXiv 1612.03144), averages the members of an ensemble, multiplies features with a mask computed elsewhere, as MTAN does (Liu, Johns and Davison 2019, arXiv
//! 1803.10704), or mixes experts by a gate, as MMoE does (Ma et al. 2018, doi 10.1145/3219819.3220007).

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Sum;
pub struct Mean;
pub struct Product;
pub struct Mixture;

const PARTS: Param = Param::required("parts", Kind::Count, "how many equal parts stand side by side");

static SUM: Signature = Signature {
    name: "sum",
    kind: PartKind::Layer,
    summary: "the sum of equal parts side by side: `[parts · width]` to `[width]`, or along channels, or at each token",
    params: &[PARTS],
};

static MEAN: Signature = Signature {
    name: "mean",
    kind: PartKind::Layer,
    summary: "the mean of equal parts side by side, as of the members of an ensemble",
    params: &[PARTS],
};

static PRODUCT: Signature = Signature {
    name: "product",
    kind: PartKind::Layer,
    summary: "the product of equal parts side by side, value by value: features times a mask that is computed elsewhere",
    params: &[PARTS],
};

static MIXTURE: Signature = Signature {
    name: "mixture",
    kind: PartKind::Layer,
    summary: "vectors mixed by a gate: `[experts + experts · width]` to `[width]`; the first values are the gate's, and their softmax says how much of each vector",
    params: &[Param::required("experts", Kind::Count, "how many vectors stand side by side behind the gate's values")],
};

impl Layer for Sum {
    fn signature(&self) -> &'static Signature {
        &SUM
    }

    fn kind(&self) -> &'static str {
        "merge"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let parts = parts(cell, "sum", x)?;
        fold(cell, &parts, |cell, a, b| cell.op(ops::add::Add {}, &[a, b]))
    }
}

impl Layer for Mean {
    fn signature(&self) -> &'static Signature {
        &MEAN
    }

    fn kind(&self) -> &'static str {
        "merge"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let parts = parts(cell, "mean", x)?;
        let sum = fold(cell, &parts, |cell, a, b| cell.op(ops::add::Add {}, &[a, b]))?;
        cell.op(ops::scale::Scale { factor: 1.0 / parts.len() as f64 }, &[sum])
    }
}

impl Layer for Product {
    fn signature(&self) -> &'static Signature {
        &PRODUCT
    }

    fn kind(&self) -> &'static str {
        "merge"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let parts = parts(cell, "product", x)?;
        fold(cell, &parts, |cell, a, b| cell.op(ops::mul::Mul {}, &[a, b]))
    }
}

impl Layer for Mixture {
    fn signature(&self) -> &'static Signature {
        &MIXTURE
    }

    fn kind(&self) -> &'static str {
        "merge"
    }

    /// `y = Σ_i softmax(g)_i · x_i`.
    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let (ty, experts) = (cell.ty(x), cell.args.size("experts"));
        few("mixture", experts)?;
        let inner = ty.inner();
        let width = match inner[..] {
            [all] if all > experts && (all - experts).is_multiple_of(experts) => (all - experts) / experts,
            _ => {
                let message = format!(
                    "`mixture({experts})` takes {experts} values of a gate and {experts} vectors of one width beside them, and gets {}",
                    ty.example()
                );
                let help = format!("read the gate first: `head NAME(gate, experts) = mixture({experts})`");
                return Err(Mismatch::new(message).help(help).into());
            }
        };
        let all = experts + experts * width;
        let gate = cell.op(ops::slice::Slice { axis: 1, start: 0, end: experts }, &[x])?;
        let shares = cell.op(ops::softmax::Softmax { axis: 1 }, &[gate])?;
        let vectors = cell.op(ops::slice::Slice { axis: 1, start: experts, end: all }, &[x])?;
        let vectors = cell.op(ops::reshape::Reshape { dims: vec![experts, width] }, &[vectors])?;
        let scaled = cell.op(ops::scale_channels::ScaleChannels {}, &[vectors, shares])?;
        let flat = cell.op(ops::reshape::Reshape { dims: vec![experts * width] }, &[scaled])?;
        let scaled = split(cell, flat, 1, experts, width)?;
        fold(cell, &scaled, |cell, a, b| cell.op(ops::add::Add {}, &[a, b]))
    }
}

/// The parts of `x`, along its feature axis.
fn parts(cell: &mut Cell<'_>, name: &str, x: ValueId) -> Result<Vec<ValueId>, Fault> {
    let (ty, parts) = (cell.ty(x), cell.args.size("parts"));
    few(name, parts)?;
    // Where `join` has put them side by side.
    let axis = if ty.rank() == 3 { 2 } else { 1 };
    let all = ty.inner().get(axis - 1).copied().unwrap_or(0);
    if !all.is_multiple_of(parts) || all == 0 {
        let message = format!("`{name}({parts})` takes {parts} equal parts side by side, and gets {}", ty.example());
        return Err(Mismatch::new(message).help(format!("{all} values are not divided by {parts}")).into());
    }
    split(cell, x, axis, parts, all / parts)
}

/// More parts are a slip, and each of them takes room in the graph.
const MOST_PARTS: usize = 256;

/// Fails where there are more parts than anybody means.
pub fn few(name: &str, parts: usize) -> Result<(), Fault> {
    let message = || format!("`{name}` takes up to {MOST_PARTS} parts, and {parts} are asked for");
    if parts <= MOST_PARTS { Ok(()) } else { Err(Mismatch::new(message()).into()) }
}

fn split(cell: &mut Cell<'_>, x: ValueId, axis: usize, parts: usize, width: usize) -> Result<Vec<ValueId>, Fault> {
    let part = |i: usize| ops::slice::Slice { axis, start: i * width, end: (i + 1) * width };
    (0..parts).map(|i| cell.op(part(i), &[x])).collect()
}

fn fold(
    cell: &mut Cell<'_>,
    values: &[ValueId],
    join: impl Fn(&mut Cell<'_>, ValueId, ValueId) -> Result<ValueId, Fault>,
) -> Result<ValueId, Fault> {
    values[1..].iter().try_fold(values[0], |all, &value| join(cell, all, value))
}
