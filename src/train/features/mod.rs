//! The feature cache of a run: what lies below the frozen boundary, computed once per example and read from a file in every epoch.
//!
//! [`passes::frozen`](crate::passes::frozen) says where the graphs are cut, [`plan::caching`](crate::plan::caching) whether the
//! spec wants it. Here the values are computed for every row of every split, in an order and in passes that depend on the spec
//! alone, and kept in a file under the hash of all that they follow from ([`key`]). A file that is there and whole is read in place
//! of computing anything; one that is not is noticed, said, and written anew. What the region alone reads is then no longer loaded.
//!
//! Where the spec asks for k variants of each training row, the file holds the row as it is measured and k drawn ones: as the first k
//! epochs of a run without a cache would meet it. Epoch e reads variant e mod k, and so does everything else that is drawn in it.

mod file;
mod folder;
mod key;
mod rows;

pub use file::{Contents, FeatureFile, Missing, Writer};

use super::Watch;
use super::sources::{RowId, Sources};
use crate::base::Result;
use crate::data::{Array, Batch, Moment};
use crate::engine::weights::Stamp;
use crate::engine::{Engine, Weights};
use crate::graph::{Graph, ValueId};
use crate::model::Model;
use crate::passes::frozen::{Cut, inputs};
use crate::plan::bytes;
use crate::plan::caching::caching;
use crate::plan::features::{Caching, Number, paths, rows as rows_of_a_pass};
use rows::Rows;
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
    /// Rows of the file.
    pub rows: usize,
    /// How many of them are variants of the same training row, where they are drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<u64>,
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
        let variants = self.variants.map(|k| format!(", {k} of each training row drawn at random")).unwrap_or_default();
        let (of, width, rows, size) = (of.join(", "), self.width, self.rows, bytes(self.bytes));
        format!("features of {of} ({width} numbers{number} of {rows} rows{variants}, {size})")
    }
}

/// Features that are there to be read.
pub struct Features {
    pub cut: Cut,
    file: FeatureFile,
    rows: Rows,
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
    /// over the training rows random steps draw; where features have variants, these come again and again, and what is loaded
    /// beside them, such as a mask or the input of another trunk, comes as it was drawn with them.
    pub fn batch(&self, graph: &Graph, rows: &[RowId], moment: Option<Moment>) -> Result<(Batch, Vec<usize>)> {
        let variants = self.features.and_then(|features| features.rows.variants);
        let moment = moment.map(|m| Moment { epoch: variants.map_or(m.epoch, |k| m.epoch % k), ..m });
        let wanted = |field: &str| self.sources.is_target(field) || inputs(graph).any(|name| name == field);
        let (mut batch, origin) = self.sources.batch_of(rows, &wanted, moment)?;
        if let Some(features) = self.features {
            features.add(&mut batch, rows, moment)?;
        }
        Ok((batch, origin))
    }
}

impl Features {
    /// Puts the features of rows into a batch that [`Sources::batch`] made of them.
    fn add(&self, batch: &mut Batch, rows: &[RowId], moment: Option<Moment>) -> Result<()> {
        let variant = moment.filter(|_| self.rows.variants.is_some()).map(|moment| moment.epoch);
        let mut places: Vec<RowId> = rows.to_vec();
        // Source by source, in the order asked for within each.
        places.sort_by_key(|(source, _)| *source);
        let place = |row: &RowId| self.rows.place(*row, variant);
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
        let Caching::On { cut, number, variants } = caching(self.model, epoch)? else { return Ok(()) };
        // The heads may have changed above features that stay as they are.
        if let Some(before) = before.filter(|b| b.cut.features == cut.features && b.fit(weights)) {
            self.held = Some(Features { cut: *cut, ..before });
            return Ok(());
        }
        let began = Instant::now();
        let rows = Rows::of(self.sources, variants);
        let weights_digest = digest(&cut, weights);
        let drawn = variants.map(|k| (k, self.seed()));
        let key = key::key((self.model, self.engine, self.sources), &cut, number, &weights_digest, &rows.all, drawn);
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
            variants,
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

    /// The seed of the run.
    fn seed(&self) -> u64 {
        self.model.train.int("seed") as u64
    }

    /// Computes the features of these rows into a file; none where it cannot be written.
    fn compute(
        &mut self,
        cut: &Cut,
        rows: &Rows,
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
        let seed = self.seed();
        for (variant, chunk) in rows.passes(rows_of_a_pass(&cut.features)) {
            // A variant is what the epoch of its number would draw.
            let moment = variant.map(|epoch| Moment { seed, epoch });
            let (batch, _) = self.sources.batch_of(chunk, &|field| cut.inputs().any(|name| name == field), moment)?;
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
