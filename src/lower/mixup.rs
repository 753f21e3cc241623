//! Mixup (Zhang et al. 2017, arXiv 1710.09412): examples blended with one another while training, and their losses alike.
//!
//! With a share `s`, drawn for each batch from Beta(alpha, alpha), a network reads `s·x + (1 − s)·x'` where `x'` is the example
//! at the other end of the batch, and a loss is `s·loss(p, y) + (1 − s)·loss(p, y')`. Since the other's other is the example
//! itself, `loss(p, y')` is `loss(p', y)`: predictions are reversed, and targets and their presence stay as they are. So any
//! loss can be mixed, and rows without a label as any others.

use crate::base::{DType, Diagnostic};
use crate::graph::{Builder, Mode, ValueId};
use crate::model::{Model, Port, Term};
use crate::ops::{Mismatch, blend::Blend, reverse::Reverse};

/// Alpha, in a graph that trains with it.
fn alpha(model: &Model, graph: &Builder) -> Option<f64> {
    model.train.get("mixup").and_then(|alpha| alpha.value.as_float()).filter(|_| graph.mode() == Mode::Train)
}

/// An input as networks read it.
pub fn input(model: &Model, graph: &mut Builder, input: &Port) -> Result<ValueId, Diagnostic> {
    let x = graph.input(&input.name, input.ty.ty.clone());
    let Some(alpha) = alpha(model, graph) else { return Ok(x) };
    if input.ty.ty.dtype == DType::I64 {
        let span = model.train.span("mixup").unwrap_or_default();
        return Err(Diagnostic::error(format!("tokens cannot be blended, and `{}` is tokens", input.name))
            .at(span)
            .label(input.span, "the input")
            .help("leave `mixup` out, or let `dropout` regularise"));
    }
    blended(graph, &input.name, alpha, x, |graph| graph.op(Reverse {}, &[x], &input.name))
        .map_err(|mismatch| Diagnostic::error(mismatch.message).at(input.span))
}

/// The loss of blended examples: `plain` is that by their own labels, and `of` computes it of other predictions.
pub fn loss(
    model: &Model,
    graph: &mut Builder,
    path: &str,
    plain: ValueId,
    prediction: ValueId,
    of: impl FnOnce(&mut Builder, ValueId) -> Result<ValueId, Mismatch>,
) -> Result<ValueId, Mismatch> {
    let Some(alpha) = alpha(model, graph) else { return Ok(plain) };
    blended(graph, path, alpha, plain, |graph| {
        let reversed = graph.op(Reverse {}, &[prediction], path)?;
        of(graph, reversed)
    })
}

/// That boxes are not blended: an image would show the objects of two, and each half of the loss call the other's none.
pub fn boxes(model: &Model, term: &Term, target: &Port) -> Option<Diagnostic> {
    let span = model.train.get("mixup")?.span;
    let message = format!("`mixup` blends images, and the boxes of `{}` cannot be blended", term.target);
    let diagnostic = Diagnostic::error(message).at(span).label(target.span, "the boxes");
    Some(diagnostic.help("leave `mixup` out; `color` and `cutout` change images, and keep every pixel at its place"))
}

fn blended(
    graph: &mut Builder,
    path: &str,
    alpha: f64,
    own: ValueId,
    other: impl FnOnce(&mut Builder) -> Result<ValueId, Mismatch>,
) -> Result<ValueId, Mismatch> {
    let other = other(graph)?;
    let share = graph.share(alpha);
    graph.op(Blend {}, &[own, other, share], path)
}
