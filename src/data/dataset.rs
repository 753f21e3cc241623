//! A data set: opened and checked once, then asked for batches.

use super::DataSpec;
use super::batch::{Array, Batch};
use super::cache::Cache;
use super::chain::Chain;
use super::draw::{Moment, Row};
use super::end::{End, Prepared};
use super::fit::Fitted;
use super::form::Fault;
use super::problem::Problems;
use super::select;
use super::source::{self, File};
use super::split::{self, Split};
use super::table::Table;
use crate::base::signature::{Arg, Args, Value};
use crate::base::{DType, Diagnostic, Diagnostics, Result};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};

/// Rows that can be prepared. Shared between threads freely.
pub struct Dataset {
    name: String,
    table: Table,
    rows: usize,
    splits: [Vec<usize>; 3],
    /// The split of each row, if any.
    of: Vec<Option<Split>>,
    chains: Vec<Chain>,
    cache: Cache,
    /// For each target, whether each row has it.
    present: IndexMap<String, Vec<bool>>,
    fingerprint: String,
}

/// What a data set is opened for.
enum Purpose<'a> {
    Train,
    /// With what a former run learned.
    Again(&'a Fitted),
    /// All rows, maybe of other files, maybe without labels.
    Predict(&'a Fitted, Option<&'a [PathBuf]>),
}

impl Purpose<'_> {
    fn fitted(&self) -> Option<&Fitted> {
        match self {
            Purpose::Train => None,
            Purpose::Again(fitted) | Purpose::Predict(fitted, _) => Some(fitted),
        }
    }

    fn predicts(&self) -> bool {
        matches!(self, Purpose::Predict(..))
    }
}

impl Dataset {
    /// Reads, checks every cell it can, splits, and lets steps learn from the training rows only.
    pub fn open(spec: &DataSpec) -> Result<Dataset> {
        Self::build(spec, Purpose::Train)
    }

    /// The same with the statistics of a former run: to evaluate it or to resume it.
    pub fn open_fitted(spec: &DataSpec, fitted: &Fitted) -> Result<Dataset> {
        Self::build(spec, Purpose::Again(fitted))
    }

    /// All rows of the spec's source, or of other files, as the test split in the order of the files. Columns of targets may be
    /// absent; then their labels are missing. Paths in `files` are taken as they are, not from the spec's folder.
    pub fn open_unlabelled(spec: &DataSpec, files: Option<&[PathBuf]>, fitted: &Fitted) -> Result<Dataset> {
        Self::build(spec, Purpose::Predict(fitted, files))
    }

    /// Builds it, and lets each problem without a place in the spec point at the source.
    fn build(spec: &DataSpec, purpose: Purpose) -> Result<Dataset> {
        // Files of a prediction are not the ones that the spec names.
        if let Purpose::Predict(_, Some(_)) = purpose {
            return Self::assemble(spec, purpose);
        }
        Self::assemble(spec, purpose).map_err(|mut diagnostics| {
            diagnostics.0.iter_mut().filter(|d| d.labels.is_empty()).for_each(|d| *d = d.clone().at(spec.source.span));
            diagnostics
        })
    }

    fn assemble(spec: &DataSpec, purpose: Purpose) -> Result<Dataset> {
        let part = source::find(spec.source.signature.name).expect("bound from the list");
        let args = &spec.source.args;
        let mut files: Vec<File> = part
            .paths
            .iter()
            .filter(|path| args.has(path))
            .map(|path| File::new(args.text(path), &spec.root))
            .collect();
        let whole = without_split(args);
        // Other files than the spec's are not laid out by splits.
        let whole_of_others;
        let mut to_read = args;
        if let Purpose::Predict(_, Some(given)) = purpose {
            if part.paths.is_empty() {
                let message = format!("`{}` draws its rows and reads no files", spec.source.signature.name);
                return Err(Diagnostic::error(message)
                    .note(format!("the data `{}` of the spec comes from it", spec.name))
                    .help("leave the files out to predict its rows; others come with another `draw`")
                    .into());
            }
            files = given.iter().map(|path| File { name: path.display().to_string(), path: path.clone() }).collect();
            whole_of_others = without_paths(&whole, part.paths);
            to_read = &whole_of_others;
        }
        let settings = split::settings(if purpose.predicts() { &whole } else { args })?;
        let mut hash = Sha256::new();
        let table = (part.read)(to_read, &files, &mut hash)?;
        hash.update(settings.to_string());
        hash.update(format!(", seed {}", args.size("seed")));
        if args.has("limit") {
            hash.update(format!(", limit {}", args.size("limit")));
        }
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();

        let columns = select::select(spec, &table, &settings, purpose.fitted(), purpose.predicts())?;
        let rows = select::count(&table, &columns, purpose.predicts())?;
        let splits = if purpose.predicts() {
            [vec![], vec![], (0..rows).collect()]
        } else {
            split::rows(args, &settings, &table, rows)?
        };
        let mut of = vec![None; rows];
        for (split, rows) in Split::ALL.into_iter().zip(&splits) {
            rows.iter().for_each(|&row| of[row] = Some(split));
        }

        let folder = files.first().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
        let mut diagnostics = Diagnostics::default();
        let mut chains = vec![];
        for (field, columns) in spec.fields.iter().zip(columns) {
            let state = purpose.fitted().and_then(|fitted| fitted.fields.get(&field.name));
            let Some(mut chain) = diagnostics.take(Chain::new(field, columns, &table, (folder, &spec.root), state))
            else {
                continue;
            };
            let learned = if state.is_none() { chain.learn(&table, &splits[0]) } else { Ok(()) };
            if diagnostics.take(learned).is_some() {
                chains.push(chain);
            }
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let used: usize = splits.iter().map(Vec::len).sum();
        let cache = Cache::new(&chains, rows, used);
        let name = spec.name.clone();
        let present = IndexMap::new();
        let mut dataset = Dataset { name, table, rows, splits, of, chains, cache, present, fingerprint };
        dataset.check(matches!(purpose, Purpose::Train))?;
        Ok(dataset)
    }

    /// Prepares all that takes no decoding of images, which finds wrong cells and counts labels.
    fn check(&mut self, to_train: bool) -> Result<()> {
        let mut diagnostics = Diagnostics::default();
        for (field, chain) in self.chains.iter().enumerate() {
            let mut problems = Problems::default();
            let mut present = vec![chain.has_columns; self.rows];
            if chain.has_columns && !chain.reads_files {
                // Large arrays are not prepared here, only looked through for what is missing.
                let whole = chain.is_target || self.cache.keeps() || self.table.is_tabular();
                let rows = if whole || chain.may_lack(&self.table) { &self.splits[..] } else { &[] };
                for &row in rows.iter().flatten() {
                    let checked = if whole {
                        self.prepare(field, row, None).map(|value| present[row] = value != Prepared::Missing)
                    } else {
                        chain.check_raw(&self.table, row)
                    };
                    if let Err(fault) = checked {
                        problems.add(|| chain.place(&self.table, row, &fault), fault.clone());
                    }
                }
            }
            // A source may be for measuring alone, and have no training rows.
            let unlabelled = !self.splits[0].is_empty() && !self.splits[0].iter().any(|&row| present[row]);
            if problems.is_empty() && to_train && chain.is_target && unlabelled {
                let message = format!("no training row has a label for `{}`", chain.name);
                let help = "leave the target out of this data";
                diagnostics.push(Diagnostic::error(message).at(chain.span).place(&self.table.name).help(help));
            }
            chain.report(problems, &mut diagnostics);
            if chain.is_target {
                self.present.insert(chain.name.clone(), present);
            }
        }
        diagnostics.into_result(())
    }

    /// The rows of a split, ascending.
    pub fn rows(&self, split: Split) -> &[usize] {
        &self.splits[split as usize]
    }

    /// The name that the spec gives the data.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Prepared values of these rows, in this order. The same rows always give the same batch.
    pub fn batch(&self, rows: &[usize]) -> Result<Batch> {
        self.batch_of(rows, &|_| true, None)
    }

    /// The same with those fields only that are wanted; the others are neither read nor prepared. In a pass over the training rows
    /// random steps draw.
    pub fn batch_of(&self, rows: &[usize], wanted: &dyn Fn(&str) -> bool, moment: Option<Moment>) -> Result<Batch> {
        let mut diagnostics = Diagnostics::default();
        if let Some(row) = rows.iter().find(|&&row| row >= self.rows) {
            let message = format!("row {row} of `{}` was asked for, and it has {} rows", self.name, self.rows);
            return Err(Diagnostic::error(message).place(&self.table.name).into());
        }
        let mut batch = Batch { size: rows.len(), values: IndexMap::new(), present: IndexMap::new() };
        for (field, chain) in self.chains.iter().enumerate().filter(|(_, chain)| wanted(&chain.name)) {
            let size = chain.ty.ty.elements(1);
            let dims = chain.ty.ty.at(rows.len());
            let mut present = Vec::with_capacity(rows.len());
            let mut problems = Problems::default();
            let mut array = match chain.ty.ty.dtype {
                DType::F32 => Array::F32 { dims, data: Vec::with_capacity(rows.len() * size) },
                DType::I64 => Array::I64 { dims, data: Vec::with_capacity(rows.len() * size) },
            };
            for (&row, value) in rows.iter().zip(self.prepare_all(field, rows, moment)) {
                let value = value.unwrap_or_else(|fault| {
                    problems.add(|| chain.place(&self.table, row, &fault), fault.clone());
                    Prepared::Missing
                });
                present.push(f32::from(value != Prepared::Missing));
                array.append(value, size);
            }
            chain.report(problems, &mut diagnostics);
            batch.values.insert(chain.name.clone(), array);
            if chain.is_target {
                batch.present.insert(chain.name.clone(), present);
            }
        }
        diagnostics.into_result(batch)
    }

    /// The values of several rows; what takes long, such as images, is prepared by several threads.
    fn prepare_all(
        &self,
        field: usize,
        rows: &[usize],
        moment: Option<Moment>,
    ) -> Vec<std::result::Result<Prepared, Fault>> {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(rows.len());
        let quick = self.cache.keeps() && !self.chains[field].reads_files;
        if threads < 2 || quick || rows.iter().all(|&row| self.cache.get(field, row).is_some()) {
            return rows.iter().map(|&row| self.prepare(field, row, moment)).collect();
        }
        let share = rows.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let work = |part: &[usize]| part.iter().map(|&row| self.prepare(field, row, moment)).collect::<Vec<_>>();
            let handles: Vec<_> = rows.chunks(share).map(|part| scope.spawn(move || work(part))).collect();
            handles.into_iter().flat_map(|handle| handle.join().expect("preparing does not panic")).collect()
        })
    }

    fn prepare(&self, field: usize, row: usize, moment: Option<Moment>) -> std::result::Result<Prepared, Fault> {
        // What is drawn anew each epoch is not kept.
        let (chain, split) = (&self.chains[field], self.of[row]);
        let is_drawn = moment.is_some() && split == Some(Split::Train) && chain.is_drawn;
        if let Some(value) = self.cache.get(field, row).filter(|_| !is_drawn) {
            return Ok(value.clone());
        }
        let value = chain.prepare(&self.table, Row { index: row, split, moment })?;
        if !is_drawn {
            self.cache.put(field, row, &value);
        }
        Ok(value)
    }

    fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    /// The files that preparing a field of these rows reads and that are no part of the fingerprint.
    pub fn files(&self, field: &str, rows: &[usize]) -> Vec<PathBuf> {
        let Some(chain) = self.chain(field) else { return vec![] };
        rows.iter().filter_map(|&row| chain.file(&self.table, row)).collect()
    }

    /// Turns predictions of a target, whole examples of them, back into the units of the file.
    pub fn invert(&self, target: &str, values: &mut [f32]) {
        if let Some(chain) = self.chain(target) {
            chain.invert(values);
        }
    }

    /// The names of a target's classes, from the spec or the data.
    pub fn class_names(&self, target: &str) -> Option<&[String]> {
        match &self.chain(target)?.end {
            End::Classes(classes) | End::Boxes(classes) => classes.names.as_deref(),
            _ => None,
        }
    }

    /// Everything that steps have learned.
    pub fn fitted(&self) -> Fitted {
        Fitted { fields: self.chains.iter().map(|chain| (chain.name.clone(), chain.fitted())).collect() }
    }

    /// SHA-256 in hex of the source's files and the settings of the split. Images that a table names are not part of it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether a row has a label. A label that is an image in a file counts as there, and one that the data does not give as missing.
    pub fn has_label(&self, target: &str, row: usize) -> bool {
        self.present.get(target).is_some_and(|present| present[row])
    }

    /// Rows of a split that lack a label. Labels that are images in files count as there.
    pub fn missing(&self, target: &str, split: Split) -> usize {
        let Some(present) = self.present.get(target) else { return 0 };
        self.rows(split).iter().filter(|&&row| !present[row]).count()
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("name", &self.name).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// The arguments of a source, asking for all rows.
/// The arguments of a source without those that name files.
fn without_paths(args: &Args, paths: &[&str]) -> Args {
    let mut args = args.clone();
    args.0.retain(|name, _| !paths.contains(name));
    args
}

fn without_split(args: &Args) -> Args {
    let mut args = args.clone();
    let span = args.span("split").unwrap_or_default();
    let whole = Value::List(vec![Arg { value: Value::Float(1.0), span }]);
    args.0.insert("split", Arg { value: whole, span });
    args
}
