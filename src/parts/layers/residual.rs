//! `residual(body)`: what goes in is added to what comes out (He et al. 2015, arXiv 1512.03385).

use super::{Layer, batch_norm, conv, linear};
use crate::base::signature::{Kind, Param, PartKind, Signature, Value};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::adapters::bottleneck;
use crate::parts::cell::{Cell, Fault, fan_in};

pub struct Residual;

static SIGNATURE: Signature = Signature {
    name: "residual",
    kind: PartKind::Layer,
    summary: "layers whose input is added to their output",
    params: &[
        Param::required("body", Kind::Chain, "the layers"),
        Param::with(
            "shortcut",
            Kind::Either(&[Kind::Word(&["project", "drop", "identity"]), Kind::Chain]),
            "project",
            "where the body changes the shape: `project` adds a convolution 1×1 with a norm (or a linear layer), `drop` \
             leaves the addition out, `identity` makes it an error; or layers of your own",
        ),
    ],
};

impl Layer for Residual {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "residual"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let y = cell.chain("body", x)?;
        let y = bottleneck::adapt(cell, "adapter", y)?;
        let (from, to) = (cell.ty(x), cell.ty(y));
        let shortcut = match &cell.args.get("shortcut").expect("it has a default").value {
            Value::Chain(_) => cell.chain("shortcut", x)?,
            _ if from == to => x,
            Value::Word(word) if word == "drop" => return Ok(y),
            Value::Word(word) if word == "project" => project(cell, x, y)?,
            _ => {
                let message = format!(
                    "the body of `residual` turns {} into {}, which cannot be added",
                    from.example(),
                    to.example()
                );
                return Err(Mismatch::new(message)
                    .help("`shortcut: project` adds a convolution 1×1 beside the body")
                    .into());
            }
        };
        cell.op(ops::add::Add {}, &[y, shortcut])
    }
}

/// A convolution 1×1 and a batch norm, or a linear layer, that give `x` the shape of `y`.
fn project(cell: &mut Cell<'_>, x: ValueId, y: ValueId) -> Result<ValueId, Fault> {
    let (from, to) = (cell.ty(x).inner(), cell.ty(y).inner());
    match (&from[..], &to[..]) {
        ([channels, height, width], [out, h, w]) => {
            let stride = [height.div_ceil(*h), width.div_ceil(*w)];
            let scaled = cell.within("shortcut.0", "conv", |c| {
                let weight = c.weight("weight", &[*out, *channels, 1, 1], fan_in(*channels));
                let op = ops::conv2d::Conv2d {
                    stride,
                    padding: [0; 4],
                    dilation: [1; 2],
                    groups: 1,
                    bias: false,
                    epilogue: Default::default(),
                    precision: Default::default(),
                };
                conv::product(c, op, x, weight, None)
            })?;
            cell.within("shortcut.1", "norm", |c| {
                batch_norm::build(c, scaled, batch_norm::EPSILON, batch_norm::MOMENTUM)
            })
        }
        ([.., _], [.., out]) if from.len() == to.len() => {
            cell.within("shortcut.0", "linear", |c| linear::product(c, "", x, *out, false))
        }
        _ => Err(Mismatch::new(format!("no projection turns {from:?} into {to:?} beside the body of `residual`"))
            .help("give the layers of the shortcut: `residual(…, shortcut: …)`")
            .into()),
    }
}
