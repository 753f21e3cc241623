//! `mtlc bench`: how long a training step or an answer takes, on random rows.
//!
//! No data files are read, and nothing is written unless `--dump` names a file. A training step is exactly that of `mtlc run`;
//! an answer is one pass over all heads, or over those that `--heads` names. The rows are drawn before the clock starts.

use super::console::{Console, table};
use super::profile;
use super::project::{Specs, heads, in_spec};
use crate::base::{Diagnostic, Result as Checked};
use crate::data::{Array as Rows, Batch};
use crate::engine::{Engine, Session, Weights};
use crate::graph::{Graph, ValueId};
use crate::model::{Failure, Model, Spec};
use crate::passes;
use crate::plan::{Flops, Graphs, Plan};
use crate::train::{Profile, State, Step, precision, random_batch};
use crate::weights::{Array, TensorFile, write_tensors};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Passes that are not measured.
const WARMUP: u32 = 3;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Mode::Train)]
    mode: Mode,
    /// Rows at once [default: the batch of `train` or `serve` in the spec]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// How often to measure
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// How often to run before, unmeasured
    #[arg(long, value_name = "COUNT", default_value_t = WARMUP)]
    warmup: u32,
    /// Only these heads, with `--mode serve`; nothing else is computed
    #[arg(long, value_name = "HEAD", value_delimiter = ',')]
    heads: Vec<String>,
    /// The engine to compute with; `mtlc devices` lists them
    #[arg(long)]
    engine: Option<String>,
    /// Begin with the parameters in this safetensors file, not with those drawn from the seed
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Write the first parameters, the rows, and what the warm-up gave for them to a safetensors file
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// After the warm-up, measure as often as each line of stdin says, and answer with a line of JSON
    #[arg(long)]
    interactive: bool,
    /// Measure what each op costs, too
    #[arg(long, conflicts_with = "interactive")]
    profile: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// A training step: forward, backward, optimizer
    Train,
    /// The answers of all heads
    Serve,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let spec = found.one()?;
        let engine = found.engine(self.engine.as_deref())?;
        if self.profile {
            profile::check(engine)?;
        }
        self.measure(&spec, engine, console).map_err(in_spec(&spec))
    }

    fn measure(&self, spec: &Spec, engine: &'static dyn Engine, console: &Console) -> Checked<()> {
        let model = &spec.model;
        let graphs = Graphs::of(model)?;
        let plan = Plan::of(model, &graphs, &spec.digest());
        let seed = model.train.int("seed") as u64;
        let (mut graph, settings) = match self.mode {
            Mode::Train if !self.heads.is_empty() => {
                let diagnostic = Diagnostic::error("a training step computes every head");
                return Err(diagnostic.help("`--heads` goes with `--mode serve`").into());
            }
            Mode::Train => (graphs.train.clone(), &model.train),
            Mode::Serve => (passes::heads(&graphs.eval, &heads(model, &self.heads)?), &model.serve),
        };
        let size = self.batch.map_or(settings.size("batch"), |n| n as usize);
        let mut weights = Weights::initial(&graphs.train, seed);
        if let Some(path) = &self.weights {
            let mut file = TensorFile::read(path)?;
            crate::train::leave_answers(&mut file);
            weights.load(&file, "")?;
        }
        let first = self.dump.as_ref().map(|_| weights.clone());
        let rows = random_batch(model, size, seed)?;
        if self.mode == Mode::Serve {
            graph = in_precision(model, &graph, engine, &weights, &rows)?;
        }
        let mut work = match self.mode {
            Mode::Train => {
                Work::Train { step: Step::new(model, engine, &graph).into(), state: State::new(weights).into() }
            }
            Mode::Serve => Work::serve(&graph, engine, weights),
        };
        let warm = (0..self.warmup).map(|_| work.once(&rows)).collect::<Checked<Vec<_>>>()?;
        if let (Some(path), Some(first)) = (&self.dump, first) {
            dump(path, &first, &rows, self.answers(&graph, size, warm))?;
        }
        let facts = json!({
            "model": model.name,
            "mode": self.word(),
            "engine": engine.name(),
            "precision": if self.mode == Mode::Serve { precision::asked(model) } else { "f32" },
            "batch": size,
            "flops": self.flops(&graph, &plan.flops) * size as u64,
        });
        if self.interactive {
            return self.answer_lines(&facts, &mut work, &rows, console);
        }
        if self.profile {
            work.begin_profile();
        }
        let taken = work.measure(&rows, self.steps)?;
        let told = self.profile.then(|| {
            let seconds = taken.0.iter().sum::<f64>() / 1e3;
            profile::Told::of(Profile { seconds, ..work.profile() })
        });
        let (min, median) = (taken.min_ms(), taken.median_ms());
        let gflops = facts["flops"].as_u64().unwrap_or(0) as f64 / 1e6 / min;
        if console.json {
            let mut result = facts.clone();
            merge(&mut result, taken.json());
            merge(&mut result, json!({ "gflops_per_s": gflops }));
            if let Some(told) = told {
                merge(&mut result, json!({ "profile": told.json() }));
            }
            console.result_json(&result);
        } else {
            let precision =
                facts["precision"].as_str().filter(|p| *p != "f32").map_or(String::new(), |p| format!(" in {p}"));
            let title = format!("{}, {} of {size} rows on {}{precision}", model.name, self.noun(), engine.name());
            let head = ["", "minimum", "median", "GFLOP/s"].map(String::from).to_vec();
            let row = vec![title, format!("{min:.3} ms"), format!("{median:.3} ms"), format!("{gflops:.1}")];
            console.result(table(&[head, row]));
            if let Some(told) = told {
                console.result(told.text());
            }
        }
        Ok(())
    }

    /// Answers each line of stdin, a number of steps, with one measurement. A peer can be measured between two lines.
    fn answer_lines(&self, facts: &Value, work: &mut Work, rows: &Batch, console: &Console) -> Checked<()> {
        console.result(facts.to_string());
        for line in std::io::stdin().lines() {
            let line = line.map_err(|e| Diagnostic::error(format!("cannot read stdin: {e}")))?;
            let steps = line.trim().parse().ok().filter(|steps| *steps > 0).ok_or_else(|| {
                Diagnostic::error(format!("`{}` is no number of steps", line.trim())).help("write lines such as `20`")
            })?;
            console.result(work.measure(rows, steps)?.json().to_string());
        }
        Ok(())
    }

    /// Floating-point operations for one row.
    fn flops(&self, graph: &Graph, plan: &Flops) -> u64 {
        match self.mode {
            Mode::Train => plan.train,
            Mode::Serve => graph.flops(),
        }
    }

    /// What the warm-up gave, named: each head's answer, or the objective of every step.
    fn answers(&self, graph: &Graph, size: usize, warm: Vec<Vec<Vec<f32>>>) -> Vec<(String, Array)> {
        match self.mode {
            Mode::Train => {
                let data: Vec<f32> = warm.into_iter().flatten().flatten().collect();
                vec![("objectives".into(), Array { dims: vec![data.len()], data })]
            }
            Mode::Serve => {
                let answers = graph.outputs.iter().zip(warm.into_iter().next().unwrap_or_default());
                let array = |id: ValueId, data| Array { dims: graph.value(id).ty.at(size), data };
                answers.map(|(o, data)| (format!("answers/{}", o.name), array(o.value, data))).collect()
            }
        }
    }

    fn word(&self) -> &'static str {
        match self.mode {
            Mode::Train => "train",
            Mode::Serve => "serve",
        }
    }

    fn noun(&self) -> &'static str {
        match self.mode {
            Mode::Train => "a training step",
            Mode::Serve => "an answer",
        }
    }
}

/// What is measured.
enum Work<'a> {
    Train { step: Box<Step<'a>>, state: Box<State> },
    Serve { session: Box<dyn Session + 'a>, weights: Weights, wanted: Vec<ValueId> },
}

/// A serving graph in the precision that the spec asks for; ranges of int8 are those of these rows.
fn in_precision(model: &Model, graph: &Graph, engine: &dyn Engine, weights: &Weights, rows: &Batch) -> Checked<Graph> {
    let measured = || precision::measure(graph, engine, weights, std::iter::once(Ok(rows.clone())));
    precision::in_precision(model, graph, measured)
}

/// What an answer costs.
pub(super) struct Answer {
    /// The median of the passes.
    pub ms: f64,
    /// What the engine holds from one pass to the next: parameters, values, and what it made of weights.
    pub bytes: u64,
}

/// Measures the answers of all heads for so many random rows at once, as `--mode serve` does.
pub(super) fn answer(
    model: &Model,
    graph: &Graph,
    engine: &dyn Engine,
    weights: &Weights,
    (rows, passes): (usize, u32),
) -> Checked<Answer> {
    let rows = random_batch(model, rows, model.train.int("seed") as u64)?;
    let graph = in_precision(model, graph, engine, weights, &rows)?;
    let mut work = Work::serve(&graph, engine, weights.clone());
    work.measure(&rows, WARMUP)?;
    let ms = work.measure(&rows, passes)?.median_ms();
    let parameters: u64 = graph.parameters.values().map(|p| p.elements() as u64 * 4).sum();
    Ok(Answer { ms, bytes: parameters + work.bytes() })
}

impl<'a> Work<'a> {
    fn serve(graph: &'a Graph, engine: &dyn Engine, weights: Weights) -> Self {
        let wanted = graph.outputs.iter().map(|o| o.value).collect();
        Work::Serve { session: engine.session(graph), weights, wanted }
    }

    fn bytes(&self) -> u64 {
        match self {
            Work::Train { .. } => 0,
            Work::Serve { session, .. } => session.bytes() as u64,
        }
    }

    /// Runs once: the objective, or the answers.
    fn once(&mut self, rows: &Batch) -> Checked<Vec<Vec<f32>>> {
        match self {
            Work::Train { step, state } => Ok(vec![vec![step.take(state, rows, 1.0)?.objective as f32]]),
            Work::Serve { session, weights, wanted } => {
                session.forward(weights, rows, wanted);
                Ok((0..wanted.len()).map(|n| session.result(n).to_vec()).collect())
            }
        }
    }

    fn begin_profile(&mut self) {
        match self {
            Work::Train { step, .. } => step.begin_profile(),
            Work::Serve { session, .. } => drop(session.profile()),
        }
    }

    fn profile(&mut self) -> Profile {
        match self {
            Work::Train { step, .. } => step.profile(),
            Work::Serve { session, .. } => {
                let mut profile = Profile::default();
                profile.add_ops(session.profile());
                profile
            }
        }
    }

    fn measure(&mut self, rows: &Batch, steps: u32) -> Checked<Times> {
        let mut times = vec![];
        for _ in 0..steps {
            let began = Instant::now();
            let result = self.once(rows)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            drop(result);
        }
        times.sort_by(f64::total_cmp);
        Ok(Times(times))
    }
}

/// Milliseconds, sorted; at least one.
struct Times(Vec<f64>);

impl Times {
    fn min_ms(&self) -> f64 {
        self.0[0]
    }

    fn median_ms(&self) -> f64 {
        let (low, high) = ((self.0.len() - 1) / 2, self.0.len() / 2);
        (self.0[low] + self.0[high]) / 2.0
    }

    fn json(&self) -> Value {
        json!({ "steps": self.0.len(), "min_ms": self.min_ms(), "median_ms": self.median_ms() })
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// Writes `weights/PATH`, `rows/NAME` and the answers; indices become floats, which hold them exactly below 2²⁴.
fn dump(path: &std::path::Path, weights: &Weights, rows: &Batch, answers: Vec<(String, Array)>) -> Checked<()> {
    let floats = |rows: &Rows| match rows {
        Rows::F32 { dims, data } => Array { dims: dims.clone(), data: data.clone() },
        Rows::I64 { dims, data } => Array { dims: dims.clone(), data: data.iter().map(|&i| i as f32).collect() },
    };
    let mut all: Vec<(String, Array)> = weights.iter().map(|(p, a)| (format!("weights/{p}"), a.clone())).collect();
    all.extend(rows.values.iter().map(|(name, rows)| (format!("rows/{name}"), floats(rows))));
    all.extend(answers);
    write_tensors(path, all.iter().map(|(name, array)| (name.clone(), array)), Default::default())
}
