//! Model to graph: every layer becomes ops, every shape is known, and what does not fit is reported with the shapes on the way.
//!
//! The graph depends on the [`Mode`] and on the epoch, since a `freeze … until epoch` changes what is trained.

mod check;
mod mixup;
mod network;

use crate::base::{Diagnostic, Diagnostics, Result};
use crate::graph::{Builder, Graph, Mode, Purpose, ValueId, verify};
use crate::model::Model;
use crate::parts::{balancers, losses, metrics};
use network::Lowering;

/// The graph of a model at an epoch, counted from 0. At the first one, what later phases train is checked too.
pub fn lower(model: &Model, mode: Mode, epoch: u64) -> Result<Graph> {
    let graph = graph(model, mode, epoch)?;
    if mode == Mode::Train && epoch == 0 {
        check::training(model, &graph, &model.phase(0))?;
        for phase in model.phases().iter().filter(|phase| phase.start > 0) {
            check::training(model, &self::graph(model, mode, phase.start)?, phase)?;
        }
        if graph.by_task && !check::shares(&graph) {
            // What is frozen at first may be trained later.
            let turns = model.turns().into_iter().filter(|epoch| *epoch > 0);
            let later = turns.map(|epoch| self::graph(model, mode, epoch)).collect::<Result<Vec<_>>>()?;
            if !later.iter().any(check::shares) {
                return Err(check::nothing_shared(model).into());
            }
        }
    }
    Ok(graph)
}

fn graph(model: &Model, mode: Mode, epoch: u64) -> Result<Graph> {
    let mut lowering = Lowering::new(model, mode, epoch);
    for network in &model.networks {
        lowering.network(network);
    }
    let Lowering { graph, values, mut diagnostics, seen, .. } = lowering;
    // A network that failed has layers that were never seen, and a selection may be of those.
    if !diagnostics.has_errors() {
        check::selections(model, &seen, &mut diagnostics);
    }
    if !diagnostics.has_errors() {
        check::norms(model, &seen, &mut diagnostics);
    }
    let graph = finish(model, graph, &values, &mut diagnostics);
    check::adapters(model, &graph, &mut diagnostics);
    check::depths(model, &graph, &mut diagnostics);
    let graph = diagnostics.into_result(graph)?;
    verify(&graph).unwrap_or_else(|broken| panic!("bug: {broken}"));
    Ok(graph)
}

/// Heads, losses and objective become the outputs of the graph. A head that failed has been reported; the others are checked.
fn finish(
    model: &Model,
    mut graph: Builder,
    values: &std::collections::HashMap<String, ValueId>,
    diagnostics: &mut Diagnostics,
) -> Graph {
    for head in model.heads() {
        if let Some(&value) = values.get(&head.name) {
            graph.output(&head.name, Purpose::Head, value);
        }
    }
    let mut terms = vec![];
    for term in &model.terms {
        let target = model.target(&term.target).expect("resolved");
        let Some(&prediction) = values.get(&term.head) else { continue };
        let loss = losses::find(term.loss.signature.name).expect("bound to a loss");
        let detector =
            (target.ty.is_boxes() || loss.takes == losses::Takes::Boxes).then(|| graph.is_detector(prediction));
        let wrong = match detector {
            Some(detects) => {
                check::boxes(&term.into(), loss.takes == losses::Takes::Boxes, detects, graph.ty(prediction), target)
                    .or_else(|| mixup::boxes(model, term, target))
            }
            None => check::loss(term, loss.takes, graph.ty(prediction), target),
        };
        if let Some(diagnostic) = wrong {
            diagnostics.push(diagnostic);
            continue;
        }
        let inputs = [prediction, graph.target(&target.name, target.ty.ty.clone()), graph.presence(&target.name)];
        let path = format!("loss.{}", term.name);
        let plain = graph.op((loss.op)(&term.loss.args), &inputs, &path);
        let blended = plain.and_then(|plain| {
            mixup::loss(model, &mut graph, &path, plain, prediction, |graph, prediction| {
                graph.op((loss.op)(&term.loss.args), &[prediction, inputs[1], inputs[2]], &path)
            })
        });
        match blended {
            Ok(value) => {
                graph.output(&term.name, Purpose::Loss, value);
                terms.push(balancers::Term { loss: value, presence: inputs[2], weight: term.weight });
            }
            Err(mismatch) => {
                let ty = graph.ty(prediction).example();
                let is = check::written(&target.ty);
                let note = format!("the head `{}` gives {ty}, the target `{}` is {is}", term.head, term.target);
                let diagnostic = Diagnostic::error(mismatch.message).at(term.span).note(note);
                diagnostics.push(mismatch.help.into_iter().fold(diagnostic, Diagnostic::help));
            }
        }
    }
    for measure in &model.measures {
        let target = model.target(&measure.target).expect("resolved");
        let Some(&prediction) = values.get(&measure.head) else { continue };
        let takes = metrics::takes_boxes(measure.metric.signature.name);
        let coding = model.coding(&measure.head, &measure.target);
        diagnostics.0.extend(match target.ty.is_boxes() || takes {
            true => check::boxes(&measure.into(), takes, graph.is_detector(prediction), graph.ty(prediction), target),
            false => check::measure(measure, coding, graph.ty(prediction), target),
        });
    }
    if terms.len() == model.terms.len() {
        let balancer = balancers::find(model.balance.signature.name).expect("bound to a balancer");
        match balancers::combine(balancer, &mut graph, &terms, &model.balance.args) {
            Ok(objective) => graph.output("objective", Purpose::Objective, objective),
            Err(mismatch) => diagnostics.push(Diagnostic::error(mismatch.message).at(model.balance.span)),
        }
    }
    graph.finish()
}
