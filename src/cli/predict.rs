//! `mtlc predict`: what heads answer for the rows of a file.

use super::console::Console;
use super::project::{Specs, heads, in_spec};
use crate::base::{Diagnostic, Result as Checked};
use crate::data::Split;
use crate::engine::{Engine, Weights};
use crate::files::write_atomically;
use crate::model::{Failure, Spec};
use crate::passes;
use crate::plan::Graphs;
use crate::train::{self, Row, Run, Sources, precision};
use crate::weights::TensorFile;
use clap::ValueEnum;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// A file to read in place of the spec's, in the same format; labels may be absent. Several: `--input A --input B`
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Only these heads; nothing else is computed
    #[arg(long, value_name = "HEAD", value_delimiter = ',')]
    heads: Vec<String>,
    /// How to write the answers
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Write to a file in place of stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The number of the run [default: the newest]
    #[arg(long, value_name = "NUMBER")]
    run: Option<u64>,
    /// The engine to compute with
    #[arg(long)]
    engine: Option<String>,
    /// Where runs are [default: runs]
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Print diagnostics as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a row
    Jsonl,
    /// A table with a header
    Csv,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let spec = found.one()?;
        let engine = found.engine(self.engine.as_deref())?;
        if let Some(folder) =
            self.output.as_deref().and_then(Path::parent).filter(|p| !p.as_os_str().is_empty() && !p.is_dir())
        {
            let diagnostic = Diagnostic::error("there is no such folder to write to");
            return Err(diagnostic.place(folder.display().to_string()).into());
        }
        if let Some(absent) = self.input.iter().find(|path| !path.exists()) {
            return Err(Diagnostic::error("there is no such file").place(absent.display().to_string()).into());
        }
        let run = Run::find(&found.runs(self.runs.as_deref()), &spec.model.name, self.run, "weights.safetensors")?;
        let (columns, rows) = self.answers(&spec, engine, &run).map_err(in_spec(&spec))?;
        let text = match self.format {
            Format::Jsonl => jsonl(&rows),
            Format::Csv => csv(&columns, &rows)?,
        };
        match &self.output {
            Some(path) => {
                write_atomically(path, text.as_bytes())?;
                let (n, s) = (rows.len(), if rows.len() == 1 { "" } else { "s" });
                console.note(format!("wrote {n} row{s} to {}", path.display()));
            }
            None => console.result_text(&text),
        }
        Ok(())
    }

    fn answers(&self, spec: &Spec, engine: &dyn Engine, run: &Run) -> Checked<(Vec<String>, Vec<Row>)> {
        let model = &spec.model;
        let asked = heads(model, &self.heads)?;
        let graphs = Graphs::of(model)?;
        let mut weights = Weights::initial(&graphs.eval, 0);
        weights.load(&TensorFile::read(&run.path("weights.safetensors"))?, "")?;
        let preparation = &run.read_record()?.preparation;
        // Without a calibration in the run, the rows it was trained on are needed once more.
        let trained = || Sources::open_fitted(model, preparation);
        let ranges = || precision::ranges(run, &graphs.eval, engine, &weights, trained);
        let graph = precision::in_precision(model, &passes::heads(&graphs.eval, &asked), ranges)?;
        let files = (!self.input.is_empty()).then_some(&self.input[..]);
        let sources = Sources::open_unlabelled(model, files, preparation)?;
        let mut rows = vec![];
        train::predict(model, &graph, engine, &weights, &sources, Split::Test, |row| rows.push(row))?;
        Ok((train::columns(model, &graph), rows))
    }
}

fn jsonl(rows: &[Row]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).expect("answers are plain data") + "\n").collect()
}

/// A column for every number or word of an answer; lists become JSON.
fn csv(columns: &[String], rows: &[Row]) -> Result<String, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Diagnostic::error(format!("cannot write the table: {e}"));
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(columns).map_err(|e| wrong(&e))?;
    for row in rows {
        writer.write_record(row.values().flat_map(cells)).map_err(|e| wrong(&e))?;
    }
    let bytes = writer.into_inner().map_err(|e| wrong(&e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn cells(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    match value {
        Value::Object(fields) => fields.values().map(text).collect(),
        value => vec![text(value)],
    }
}
