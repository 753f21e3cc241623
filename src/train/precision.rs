//! What `serve { precision: … }` asks for: the graph in that precision, and for `int8` the ranges of what its products read.
//!
//! Ranges are measured by running the graph in f32 over rows of the training split, and are the least and the largest number that
//! came: nothing that was seen is clipped. They are kept in the run as `calibration.json` with the hash of the weights they were
//! measured with, and measured anew when these have changed.

use super::run::Run;
use super::sources::Sources;
use crate::base::{Diagnostic, Result};
use crate::data::{Batch, Split};
use crate::engine::{Engine, Weights};
use crate::files::{self, write_atomically};
use crate::graph::{Graph, ValueId};
use crate::model::Model;
use crate::passes::precision::{self, Product, Ranges};
use serde::{Deserialize, Serialize};

/// The most training rows that ranges are measured on.
const ROWS: usize = 512;

/// Rows of a pass. All inputs of products are kept in one, so it is short.
const BATCH: usize = 16;

/// The file in the folder of a run.
const FILE: &str = "calibration.json";

#[derive(Debug, Serialize, Deserialize)]
struct Calibration {
    /// SHA-256 over the parameters.
    weights: String,
    /// How many training rows were measured.
    rows: usize,
    ranges: Ranges,
}

/// What the spec serves in: `f32`, `bf16` or `int8`.
pub fn asked(model: &Model) -> &str {
    model.serve.text("precision")
}

/// An evaluation graph in the precision that the spec asks for; `ranges` is called for what needs it.
pub fn in_precision(model: &Model, graph: &Graph, ranges: impl FnOnce() -> Result<Ranges>) -> Result<Graph> {
    Ok(match asked(model) {
        "bf16" => precision::bf16(graph),
        "int8" => precision::int8(graph, &ranges()?),
        _ => graph.clone(),
    })
}

/// The ranges of a run: those it keeps, or else newly measured ones, which it keeps from now on.
///
/// `graph` is that of the whole evaluation, so that ranges are there whatever heads are asked for; `sources` has the training rows.
pub fn ranges<'a, S: std::borrow::Borrow<Sources<'a>>>(
    run: &Run,
    graph: &Graph,
    engine: &dyn Engine,
    weights: &Weights,
    sources: impl FnOnce() -> Result<S>,
) -> Result<Ranges> {
    let digest = weights.hash(|path| graph.parameters.contains_key(path));
    if let Some(kept) = read(run)?.filter(|kept| kept.weights == digest)
        && precision::products(graph).iter().all(|p| kept.ranges.contains_key(&p.weight))
    {
        return Ok(kept.ranges);
    }
    let sources = sources().map_err(|mut wrong| {
        let why = "the run has no calibration for its weights, so int8 needs the rows that it was trained on";
        wrong.0.iter_mut().for_each(|d| d.notes.push(why.into()));
        wrong
    })?;
    let sources = sources.borrow();
    let all = sources.rows(Split::Train);
    let count = all.len().min(ROWS);
    // Evenly over the split: neighbours in a file are often alike.
    let rows: Vec<_> = (0..count).map(|i| all[i * all.len() / count]).collect();
    let batches = rows.chunks(BATCH).map(|chunk| Ok(sources.batch(chunk)?.0));
    let ranges = measure(graph, engine, weights, batches)?;
    let calibration = Calibration { weights: digest, rows: count, ranges };
    let text = serde_json::to_string_pretty(&calibration).expect("ranges are plain data");
    write_atomically(&run.path(FILE), text.as_bytes())?;
    Ok(calibration.ranges)
}

/// The ranges over these batches. 0 is in every range, and a number that is not finite in none.
pub fn measure(
    graph: &Graph,
    engine: &dyn Engine,
    weights: &Weights,
    batches: impl Iterator<Item = Result<Batch>>,
) -> Result<Ranges> {
    let products = precision::products(graph);
    let mut wanted: Vec<ValueId> = products.iter().map(|p| p.input).collect();
    wanted.sort();
    wanted.dedup();
    let mut session = engine.session(graph);
    let mut ranges = Ranges::new();
    for batch in batches {
        session.forward(weights, &batch?, &wanted);
        for Product { input, weight, .. } in &products {
            let number = wanted.binary_search(input).expect("every input was wanted");
            let range = ranges.entry(weight.clone()).or_insert([0.0; 2]);
            for x in session.result(number).iter().filter(|x| x.is_finite()) {
                *range = [range[0].min(*x), range[1].max(*x)];
            }
        }
    }
    Ok(ranges)
}

fn read(run: &Run) -> Result<Option<Calibration>> {
    let path = run.path(FILE);
    let wrong = |what: String| Diagnostic::error(what).place(path.display().to_string());
    let text = match files::read_text(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(wrong(format!("cannot read the calibration of the run: {}", files::reason(&e))).into()),
    };
    let damaged = |what: String| {
        wrong(format!("the calibration of the run is damaged: {what}")).help("remove the file, and it is measured anew")
    };
    let calibration: Calibration = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    if let Some((path, [low, high])) =
        calibration.ranges.iter().find(|(_, r)| r[0] > r[1] || r.iter().any(|x| !x.is_finite()))
    {
        return Err(damaged(format!("the range of `{path}` is from {low} to {high}")).into());
    }
    Ok(Some(calibration))
}
