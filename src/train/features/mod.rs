//! The feature cache of a run: what lies below the frozen boundary, computed once per example and read from a file in every epoch.
//!
//! [`passes::frozen`](crate::passes::frozen) says where the graphs are cut, [`plan::features`](crate::plan::features) whether the
//! spec wants it. Here the values are computed for every row of every split, in an order and in passes that depend on the spec
//! alone, and kept in a file under the hash of all that they follow from ([`key`]). A file that is there and whole is read in place
//! of computing anything; one that is not is noticed, said, and written anew. What the region alone reads is then no longer loaded.
//!
//! Should an example get several variants one day, each is another row of the file, and their number a part of the key.

mod file;
mod folder;
mod key;

pub use file::{Contents, FeatureFile, Missing, Writer};

use super::Watch;
use super::sources::{RowId, Sources};
use crate::base::Result;
use crate::data::{Array, Batch, Moment, Split};
use crate::engine::weights::Stamp;
use crate::engine::{Engine, Weights};
use crate::graph::{Graph, ValueId};
use crate::model::Model;
use crate::passes::frozen::{Cut, inputs};
use crate::plan::bytes;
use crate::plan::features::{Caching, Number, caching, paths, rows as rows_of_a_pass};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Instant;

/// The most bytes of a disk that features take where the spec does not demand them.
const MOST_UNASKED: u64 = 8_000_000_000;

/// What a run keeps of features that it used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureRecord {
    /// The paths of the layers that give them.
    pub of: Vec<String>,
    /// The epoch that began with them, from 1.
    pub epoch: u64,
    /// SHA-256 of all that they follow from.
    pub key: String,
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
    pub number: Number,
    pub bytes: u64,
    /// Whether they were computed, or read from a file that was there.
    pub computed: bool,
    pub seconds: f64,
}

impl FeatureRecord {
    /// ``features of `trunk.3` (64 numbers of 640 rows, 164 kB)``
    pub fn line(&self) -> String {
        let of: Vec<String> = self.of.iter().map(|path| format!("`{path}`")).collect();
        let number = if self.number == Number::F32 { "" } else { " in bf16" };
        format!(
            "features of {} ({} numbers{number} of {} rows, {})",
            of.join(", "),
            self.width,
            self.rows,
            bytes(self.bytes)
        )
    }
}

/// Features that are there to be read.
pub struct Features {
    pub cut: Cut,
    file: FeatureFile,
    /// Every row of every split, ascending: the order of the file.
    rows: Vec<RowId>,
    /// SHA-256 and stamps of the weights that they were computed with.
    weights: String,
    stamps: Vec<Stamp>,
}

/// Where the rows of a graph come from.
#[derive(Clone, Copy)]
pub struct Loader<'a> {
    pub sources: &'a Sources<'a>,
    /// What a graph that was cut reads besides.
    pub features: Option<&'a Features>,
}

impl Loader<'_> {
    /// What a graph reads of these rows, and every target; and the source of each row, as [`Sources::batch`] gives them. In a pass
    /// over the training rows random steps draw.
    pub fn batch(&self, graph: &Graph, rows: &[RowId], moment: Option<Moment>) -> Result<(Batch, Vec<usize>)> {
        let wanted = |field: &str| self.sources.is_target(field) || inputs(graph).any(|name| name == field);
        let (mut batch, origin) = self.sources.batch_of(rows, &wanted, moment)?;
        if let Some(features) = self.features {
            features.add(&mut batch, rows)?;
        }
        Ok((batch, origin))
    }
}

impl Features {
    /// Puts the features of rows into a batch that [`Sources::batch`] made of them.
    fn add(&self, batch: &mut Batch, rows: &[RowId]) -> Result<()> {
        let mut places: Vec<RowId> = rows.to_vec();
        // Source by source, in the order asked for within each.
        places.sort_by_key(|(source, _)| *source);
        let place = |row: &RowId| self.rows.binary_search(row).expect("every row of every split has features");
        let numbers = self.file.read(&places.iter().map(place).collect::<Vec<_>>())?;
        let mut start = 0;
        for stored in &self.cut.values {
            let size = stored.ty.elements(1);
            let own = |row: &[f32]| row[start..start + size].to_vec();
            let data = numbers.chunks_exact(self.file.contents.width).flat_map(own).collect();
            batch.values.insert(stored.name.clone(), Array::F32 { dims: stored.ty.at(rows.len()), data });
            start += size;
        }
        Ok(())
    }

    /// Whether they are what these weights compute.
    pub fn fit(&self, weights: &Weights) -> bool {
        stamps(&self.cut, weights) == self.stamps || digest(&self.cut, weights) == self.weights
    }
}

fn stamps(cut: &Cut, weights: &Weights) -> Vec<Stamp> {
    cut.features.parameters.keys().map(|path| weights.stamp(path)).collect()
}

fn digest(cut: &Cut, weights: &Weights) -> String {
    weights.hash(|path| cut.features.parameters.contains_key(path))
}

/// The cache of a run, epoch after epoch.
pub struct Cache<'a> {
    model: &'a Model,
    engine: &'a dyn Engine,
    sources: &'a Sources<'a>,
    /// Where files are kept; nothing is cached without one.
    folder: Option<&'a Path>,
    /// The training graph, as lowering made it, that was decided about last.
    decided: Option<Graph>,
    held: Option<Features>,
    /// Whether a file could not be written. It is not tried again in this run, also when the run is resumed.
    pub failed: bool,
    records: Vec<FeatureRecord>,
}

impl<'a> Cache<'a> {
    pub fn new(model: &'a Model, engine: &'a dyn Engine, sources: &'a Sources<'a>, folder: Option<&'a Path>) -> Self {
        Self { model, engine, sources, folder, decided: None, held: None, failed: false, records: vec![] }
    }

    /// The features of an epoch, counted from 0, whose training graph lowering made so; none where nothing is cached.
    pub fn at(
        &mut self,
        epoch: u64,
        lowered: &Graph,
        weights: &Weights,
        watch: &mut dyn Watch,
    ) -> Result<Option<&Features>> {
        if self.decided.as_ref() != Some(lowered) {
            self.decided = Some(lowered.clone());
            self.decide(epoch, weights, watch)?;
        }
        Ok(self.held.as_ref())
    }

    /// Whether nobody has asked for an epoch yet.
    pub fn is_fresh(&self) -> bool {
        self.decided.is_none()
    }

    /// What it holds at the end.
    pub fn finish(self) -> (Option<Features>, Vec<FeatureRecord>) {
        (self.held, self.records)
    }

    fn decide(&mut self, epoch: u64, weights: &Weights, watch: &mut dyn Watch) -> Result<()> {
        let before = self.held.take();
        let Some(folder) = self.folder.filter(|_| !self.failed) else { return Ok(()) };
        let random = |input: &str| self.sources.datasets.iter().any(|data| data.draws(input, Split::Train));
        let Caching::On(cut, number) = caching(self.model, epoch, &random)? else { return Ok(()) };
        // The heads may have changed above features that stay as they are.
        if let Some(before) = before.filter(|b| b.cut.features == cut.features && b.fit(weights)) {
            self.held = Some(Features { cut: *cut, ..before });
            return Ok(());
        }
        let began = Instant::now();
        let splits = Split::ALL.iter().flat_map(|split| self.sources.rows(*split));
        let mut rows: Vec<RowId> = splits.collect();
        rows.sort_unstable();
        let weights_digest = digest(&cut, weights);
        let key = key::key((self.model, self.engine, self.sources), &cut, number, &weights_digest, &rows);
        let contents = Contents { key, number, rows: rows.len(), width: cut.width() };
        if self.model.train.text("cache") == "auto" && contents.bytes() > MOST_UNASKED {
            let (of, size) = (paths(&cut.values), bytes(contents.bytes()));
            watch.note(&format!(
                "the features of {of} would take {size}; `cache: f32` or `bf16` caches them all the same"
            ));
            return Ok(());
        }
        let name = key::hex(&key);
        let path = folder.join(format!("{name}.{}", folder::EXTENSION));
        let mut record = FeatureRecord {
            of: cut.values.iter().map(|v| v.path.clone()).collect(),
            epoch: epoch + 1,
            key: name,
            rows: rows.len(),
            width: contents.width,
            number,
            bytes: contents.bytes(),
            computed: false,
            seconds: 0.0,
        };
        let file = match FeatureFile::open(&path, contents.clone()) {
            Ok(file) => {
                folder::used(&path);
                watch.note(&format!("{} read from {}", record.line(), path.display()));
                Some(file)
            }
            Err(missing) => {
                if let Missing::Unusable(why) = missing {
                    watch.note(&format!("the cached features in {} are of no use: {why}", path.display()));
                }
                record.computed = true;
                self.compute(&cut, &rows, weights, &path, contents, watch)?
            }
        };
        let Some(file) = file else { return Ok(()) };
        record.seconds = began.elapsed().as_secs_f64();
        if record.computed {
            watch.note(&format!("{} computed in {:.1} s", record.line(), record.seconds));
            folder::tidy(folder, &path);
        }
        self.records.push(record);
        let stamps = stamps(&cut, weights);
        self.held = Some(Features { cut: *cut, file, rows, weights: weights_digest, stamps });
        Ok(())
    }

    /// Computes the features of these rows into a file; none where it cannot be written.
    fn compute(
        &mut self,
        cut: &Cut,
        rows: &[RowId],
        weights: &Weights,
        path: &Path,
        contents: Contents,
        watch: &mut dyn Watch,
    ) -> Result<Option<FeatureFile>> {
        let size = bytes(contents.bytes());
        let refused = |e: io::Error, watch: &mut dyn Watch| {
            let why = match e.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("there is no room for {size}"),
                kind => kind.to_string(),
            };
            watch.note(&format!("cannot write {}: {why}; the run goes on without cached features", path.display()));
            Ok(None)
        };
        self.failed = true;
        let mut writer = match Writer::begin(path, contents) {
            Ok(writer) => writer,
            Err(e) => return refused(e, watch),
        };
        let mut session = self.engine.session(&cut.features);
        let wanted: Vec<ValueId> = cut.features.outputs.iter().map(|o| o.value).collect();
        watch.features_begin(&paths(&cut.values), rows.len());
        for chunk in rows.chunks(rows_of_a_pass(&cut.features)) {
            let (batch, _) = self.sources.batch_of(chunk, &|field| cut.inputs().any(|name| name == field), None)?;
            session.forward(weights, &batch, &wanted);
            for row in 0..chunk.len() {
                for (number, stored) in cut.values.iter().enumerate() {
                    let size = stored.ty.elements(1);
                    if let Err(e) = writer.add(&session.result(number)[row * size..][..size]) {
                        watch.features_end();
                        return refused(e, watch);
                    }
                }
            }
            watch.features(chunk.len());
        }
        watch.features_end();
        match writer.finish() {
            Ok(file) => {
                self.failed = false;
                Ok(Some(file))
            }
            Err(e) => refused(e, watch),
        }
    }
}
