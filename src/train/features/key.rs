//! What cached features follow from, as one hash. Files are found by it, so two specs with the same trunk over the same rows share
//! one.
//!
//! Into the hash go: the version of mtlc and of the file format, the engine and its instructions, since both decide the last bits;
//! the graph that computes the features and every bit of the weights in it; what is stored, in how many variants and drawn from which seed; and of the data its files and splits,
//! the rows in their order, and how each input that is read is prepared, with all that its steps have learned. Images that a table
//! names are known by length and time of change.

use super::file::VERSION;
use crate::engine::Engine;
use crate::kernels::cpu::tile;
use crate::model::{Model, print_call};
use crate::passes::frozen::Cut;
use crate::plan::features::Number;
use crate::train::sources::{RowId, Sources};
use sha2::{Digest, Sha256};
use std::time::SystemTime;

/// The key of the features of these rows; `drawn` says how many variants of training rows there are, and the seed of the run.
pub fn key(
    (model, engine, sources): (&Model, &dyn Engine, &Sources),
    cut: &Cut,
    number: Number,
    weights: &str,
    rows: &[RowId],
    drawn: Option<(u64, u64)>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut line = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    line(&format!("mtlc {}, format {VERSION}", env!("CARGO_PKG_VERSION")));
    line(&format!("{}, {}, {}", engine.name(), tile::chosen().name, number.name()));
    let mut graph = cut.features.clone();
    // What a model is called changes none of its numbers.
    graph.name.clear();
    line(&serde_json::to_string(&graph).expect("a graph is plain data"));
    line(weights);
    if let Some((variants, seed)) = drawn {
        line(&format!("{variants} variants, seed {seed}"));
    }
    for (source, (spec, data)) in model.data.iter().zip(&sources.datasets).enumerate() {
        line(data.fingerprint());
        let fitted = data.fitted();
        let own: Vec<usize> = rows.iter().filter(|row| row.0 == source).map(|row| row.1).collect();
        line(&format!("{own:?}"));
        let read: Vec<&str> = cut.inputs().collect();
        for field in spec.fields.iter().filter(|field| read.contains(&field.name.as_str())) {
            line(&field.name);
            line(&print_call(&field.column));
            field.steps.iter().for_each(|step| line(&print_call(step)));
            line(&serde_json::to_string(&fitted.fields[&field.name]).expect("what was learned is plain data"));
            for file in data.files(&field.name, &own) {
                let known = std::fs::metadata(&file).ok();
                let since = known.as_ref().and_then(|m| m.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok());
                line(&format!("{} {:?} {since:?}", file.display(), known.map(|m| m.len())));
            }
        }
    }
    hash.finalize().into()
}

/// As it stands in names of files.
pub fn hex(key: &[u8; 32]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}
