//! A comparison as text, JSON and page: entries side by side, a figure a row.
//!
//! Quality stands under its metric and target, as mean and deviation over the seeds. Costs of an entry of several models are added
//! up, but for the memory to train: such models can be trained one after the other, so that of the largest counts.

use super::{Cost, Entry, Seed, Told};
use crate::cli::console::{ABSENT, table};
use crate::parts::metrics::Direction;
use crate::plan::{bytes, count};
use crate::report::{Report, Table};
use crate::train::compare::{Quality, delta, mean_and_deviation};
use serde_json::{Value, json};

pub struct Compared<'a> {
    columns: Vec<Column<'a>>,
    baseline: usize,
    budget: String,
    batch: u32,
    engine: &'static str,
}

/// An entry.
struct Column<'a> {
    name: &'a str,
    parts: Vec<&'a Told>,
    /// Of each seed, what all models of it say together.
    quality: Vec<Quality>,
    /// Against the baseline, seed by seed.
    delta: Vec<Option<f64>>,
}

impl<'a> Compared<'a> {
    /// Puts entries side by side; at each seed Δm is against the baseline of that seed.
    pub fn of(
        entries: &'a [Entry],
        told: &'a [Told],
        baseline: usize,
        (budget, batch, engine): (String, u32, &'static str),
    ) -> Compared<'a> {
        let mut columns = vec![];
        for entry in entries {
            let parts: Vec<&Told> = entry.parts.iter().map(|part| &told[*part]).collect();
            let seeds = 0..parts.iter().map(|told| told.seeds.len()).min().unwrap_or(0);
            let quality = seeds.map(|seed| together(&parts, seed)).collect();
            columns.push(Column { name: &entry.name, parts, quality, delta: vec![] });
        }
        let base = columns[baseline].quality.clone();
        for column in &mut columns {
            column.delta = column.quality.iter().zip(&base).map(|(own, base)| delta(own, base)).collect();
        }
        Compared { columns, baseline, budget, batch, engine }
    }

    /// The names of all figures, in the order in which entries first have them, with their directions.
    fn figures(&self) -> Vec<(&str, Direction)> {
        let mut figures: Vec<(&str, Direction)> = vec![];
        for (name, figure) in self.columns.iter().flat_map(|c| c.quality.iter().flatten()) {
            if !figures.iter().any(|(known, _)| known == name) {
                figures.push((name, figure.direction));
            }
        }
        figures
    }

    fn header(&self, first: &str) -> Vec<String> {
        std::iter::once(first.to_string()).chain(self.columns.iter().map(|c| c.name.to_string())).collect()
    }

    fn row(&self, name: impl Into<String>, cell: impl Fn(&Column) -> String) -> Vec<String> {
        std::iter::once(name.into()).chain(self.columns.iter().map(cell)).collect()
    }

    fn quality_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![];
        for (name, direction) in self.figures() {
            let arrow = if direction == Direction::Higher { "↑" } else { "↓" };
            rows.push(self.row(format!("{name} {arrow}"), |c| spread(&c.values(name), |x| format!("{x:.4}"))));
        }
        if self.columns.len() > 1 {
            rows.push(self.row("Δm ↑", |c| match std::ptr::eq(c, &self.columns[self.baseline]) {
                true => "baseline".into(),
                false => spread(&c.deltas(), |x| format!("{:+.2} %", 100.0 * x)),
            }));
        }
        rows
    }

    fn cost_rows(&self) -> Vec<Vec<String>> {
        let batch = self.batch;
        vec![
            self.row("measured on", |c| c.rows()),
            self.row("parameters", |c| count(c.sum(|cost| cost.parameters))),
            self.row("  trained", |c| count(c.sum(|cost| cost.trained))),
            self.row("memory to train, planned", |c| bytes(c.largest(|cost| cost.train_bytes))),
            self.row("memory to serve a row, measured", |c| bytes(c.sum(|cost| cost.serve_bytes))),
            self.row("a row", |c| format!("{:.3} ms", c.time(|cost| cost.latency_ms))),
            self.row(format!("rows at batch {batch}"), |c| format!("{:.0} /s", c.throughput(batch))),
            self.row("training", |c| spread(&c.seconds(|seed| Some(seed.seconds)), time)),
            self.row("  what it starts from", |c| match c.starts_elsewhere() {
                true => "runs that were there".into(),
                false => match c.seconds(|seed| seed.pretraining.filter(|s| *s > 0.0)) {
                    none if none.is_empty() => ABSENT.into(),
                    seconds => spread(&seconds, time),
                },
            }),
            self.row("epochs", |c| c.epochs()),
        ]
    }

    fn facts(&self) -> Vec<(String, String)> {
        let seeds = self.columns.iter().map(|c| c.quality.len()).max().unwrap_or(0);
        let mut facts = vec![
            ("Budget".to_string(), self.budget.clone()),
            ("Seeds".into(), seeds.to_string()),
            ("Engine".into(), self.engine.into()),
        ];
        if self.columns.len() > 1 {
            facts.push(("Baseline of Δm".into(), self.columns[self.baseline].name.into()));
        }
        facts
    }

    pub fn text(&self) -> String {
        let rows = [vec![self.header("")], self.quality_rows(), self.cost_rows()].concat();
        let facts: Vec<String> = self.facts().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let mut text = table(&rows) + "\n  " + &facts.join("; ");
        if self.columns.len() > 1 {
            text += &format!("\n  {DELTA}");
        }
        text
    }

    pub fn report(&self) -> Report {
        let quality = Table { title: "Quality".into(), header: self.header(""), rows: self.quality_rows() };
        let cost = Table { title: "Cost".into(), header: self.header(""), rows: self.cost_rows() };
        let run = |told: &Told, seed: &Seed| {
            vec![told.file.clone(), told.model.clone(), seed.seed.to_string(), seed.run.clone()]
        };
        let mut runs: Vec<Vec<String>> = vec![];
        for row in self.columns.iter().flat_map(|c| &c.parts).flat_map(|told| told.seeds.iter().map(|s| run(told, s))) {
            if !runs.contains(&row) {
                runs.push(row);
            }
        }
        let runs = Table {
            title: "Runs".into(),
            header: ["spec", "model", "seed", "folder"].map(String::from).to_vec(),
            rows: runs,
        };
        Report {
            title: "Comparison".into(),
            subtitle: DELTA.into(),
            facts: self.facts(),
            tables: vec![quality, cost, runs],
            ..Report::default()
        }
    }

    pub fn json(&self) -> Value {
        let spread = |values: &[f64]| {
            let (mean, deviation) = mean_and_deviation(values).map_or((None, None), |(mean, sd)| (Some(mean), sd));
            json!({ "mean": mean, "deviation": deviation, "seeds": values })
        };
        let entry = |c: &Column| {
            let figures =
                self.figures().into_iter().filter(|(name, _)| c.quality.iter().any(|q| q.contains_key(*name)));
            let metrics = figures.map(|(name, direction)| {
                let mut value = spread(&c.values(name));
                value["better"] = if direction == Direction::Higher { "higher" } else { "lower" }.into();
                (name.to_string(), value)
            });
            let specs = c.parts.iter().map(|told| {
                let runs: Vec<&str> = told.seeds.iter().map(|seed| seed.run.as_str()).collect();
                json!({ "file": told.file, "model": told.model, "runs": runs })
            });
            let pretraining = c.seconds(|seed| seed.pretraining);
            json!({
                "name": c.name,
                "specs": specs.collect::<Vec<_>>(),
                "metrics": metrics.collect::<serde_json::Map<_, _>>(),
                "delta": spread(&c.deltas()),
                "measured_on": c.rows(),
                "parameters": c.sum(|cost| cost.parameters),
                "trained_parameters": c.sum(|cost| cost.trained),
                "train_bytes": c.largest(|cost| cost.train_bytes),
                "serve_bytes": c.sum(|cost| cost.serve_bytes),
                "latency_ms": c.time(|cost| cost.latency_ms),
                "batch": self.batch,
                "rows_per_s": c.throughput(self.batch),
                "train_seconds": spread(&c.seconds(|seed| Some(seed.seconds))),
                "pretraining_seconds": if c.starts_elsewhere() { Value::Null } else { spread(&pretraining) },
            })
        };
        json!({
            "budget": self.budget,
            "engine": self.engine,
            "baseline": self.columns[self.baseline].name,
            "entries": self.columns.iter().map(entry).collect::<Vec<_>>(),
        })
    }
}

/// What Δm means, in one line.
const DELTA: &str = "Δm: mean relative change of the figures against the baseline, seed by seed; positive is better";

impl Column<'_> {
    /// A figure at each seed that has it.
    fn values(&self, name: &str) -> Vec<f64> {
        self.quality.iter().filter_map(|quality| quality.get(name)?.value).collect()
    }

    /// Δm of all seeds, or nothing where one seed has none: the mean of the others would be about other seeds.
    fn deltas(&self) -> Vec<f64> {
        self.delta.iter().copied().collect::<Option<_>>().unwrap_or_default()
    }

    fn costs(&self) -> impl Iterator<Item = &Cost> {
        self.parts.iter().filter_map(|told| told.cost.as_ref())
    }

    fn sum(&self, of: impl Fn(&Cost) -> u64) -> u64 {
        self.costs().map(of).sum()
    }

    fn largest(&self, of: impl Fn(&Cost) -> u64) -> u64 {
        self.costs().map(of).max().unwrap_or(0)
    }

    fn time(&self, of: impl Fn(&Cost) -> f64) -> f64 {
        self.costs().map(of).sum()
    }

    fn throughput(&self, batch: u32) -> f64 {
        1e3 * f64::from(batch) / self.time(|cost| cost.batch_ms)
    }

    /// The sum over the models at each seed, where any says something.
    fn seconds(&self, of: impl Fn(&Seed) -> Option<f64>) -> Vec<f64> {
        let at = |nth: usize| {
            let told: Vec<f64> = self.parts.iter().filter_map(|told| of(&told.seeds[nth])).collect();
            (!told.is_empty()).then(|| told.iter().sum::<f64>())
        };
        (0..self.quality.len()).filter_map(at).collect()
    }

    fn starts_elsewhere(&self) -> bool {
        self.parts.iter().flat_map(|told| &told.seeds).any(|seed| seed.pretraining.is_none())
    }

    /// `85 test rows`.
    fn rows(&self) -> String {
        let mut rows: Vec<String> = vec![];
        for seed in self.parts.iter().flat_map(|told| &told.seeds) {
            let told = format!("{} {} rows", seed.rows, seed.split);
            if !rows.contains(&told) {
                rows.push(told);
            }
        }
        rows.join(", ")
    }

    fn epochs(&self) -> String {
        let epochs = |told: &&Told| {
            let all = || told.seeds.iter().map(|seed| seed.epochs);
            match (all().min().unwrap_or(0), all().max().unwrap_or(0)) {
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            }
        };
        self.parts.iter().map(epochs).collect::<Vec<_>>().join(" + ")
    }
}

/// What the models of an entry say together.
fn together(parts: &[&Told], seed: usize) -> Quality {
    let figures = parts.iter().flat_map(|told| &told.seeds[seed].quality);
    figures.map(|(name, figure)| (name.clone(), *figure)).collect()
}

/// `0.9412 ± 0.0031`: mean and deviation.
fn spread(values: &[f64], show: impl Fn(f64) -> String) -> String {
    match mean_and_deviation(values) {
        None => ABSENT.into(),
        Some((mean, None)) => show(mean),
        Some((mean, Some(deviation))) => format!("{} ± {}", show(mean), show(deviation).trim_start_matches('+')),
    }
}

fn time(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}
