//! What a run looked like, epoch by epoch: the lines of `metrics.jsonl`, and the report made of them.

use super::evaluate::Evaluation;
use crate::base::{Diagnostic, Result};
use crate::files::{self, write_atomically};
use crate::model::Model;
use crate::plan::{Plan, bytes, count, flop};
use crate::report::{Chart, Report, Series, Table};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u64,
    /// Training steps done.
    pub step: u64,
    /// The optimizer's learning rate at the last step, before `tune`.
    pub lr: f64,
    pub train: TrainRecord,
    /// Absent when no row is kept for validation.
    pub validation: Option<Evaluation>,
    pub seconds: f64,
}

/// Means over the steps of an epoch, while the parameters moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainRecord {
    pub objective: f64,
    pub losses: IndexMap<String, Option<f64>>,
    /// What the balancer made of each task: the mean factor of its weighted loss, or of that loss's gradient, over the steps in which
    /// it has a label. Absent where the weights of the spec hold throughout.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub weights: IndexMap<String, Option<f64>>,
    /// The mean norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The rows met that have the label of each task.
    #[serde(default)]
    pub labels: IndexMap<String, u64>,
    /// The rows met of each source, where there are several.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rows: IndexMap<String, u64>,
}

impl EpochRecord {
    /// What early stopping and the best checkpoint go by: the validation's objective, if it saw any label.
    pub fn objective(&self) -> f64 {
        let told = self.validation.as_ref().filter(|v| v.has_labels());
        told.map_or(self.train.objective, |v| v.objective)
    }
}

/// The epochs so far.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<EpochRecord>);

impl History {
    pub fn write(&self, path: &Path) -> Result<()> {
        let lines: Vec<String> =
            self.0.iter().map(|line| serde_json::to_string(line).expect("records are plain data") + "\n").collect();
        write_atomically(path, lines.concat().as_bytes())
    }

    /// The first `epochs` lines of a file.
    pub fn read(path: &Path, epochs: u64) -> Result<History> {
        let wrong = |what: String, line: usize| Diagnostic::error(what).place(format!("{}:{line}", path.display()));
        let text = match files::read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && epochs == 0 => String::new(),
            Err(error) => return Err(wrong(format!("cannot read the history: {}", files::reason(&error)), 1).into()),
        };
        let mut records = vec![];
        for (i, line) in text.lines().take(epochs as usize).enumerate() {
            records.push(serde_json::from_str(line).map_err(|e| wrong(format!("the history is damaged: {e}"), i + 1))?);
        }
        if (records.len() as u64) < epochs {
            let what =
                format!("the history ends after epoch {}, and the checkpoint is of epoch {epochs}", records.len());
            return Err(wrong(what, records.len() + 1).into());
        }
        Ok(History(records))
    }
}

/// The report of a run.
pub fn report(
    model: &Model,
    plan: &Plan,
    history: &History,
    finals: &[(String, Evaluation)],
    facts: Vec<(String, String)>,
    spec: &str,
) -> Report {
    let trained: usize = plan.parts.iter().map(|p| p.trained).sum();
    let frozen: usize = plan.parts.iter().map(|p| p.frozen).sum();
    let mut all = vec![
        ("Trained parameters".into(), count(trained as u64)),
        ("Frozen parameters".into(), count(frozen as u64)),
        ("Forward pass".into(), format!("{} an example", flop(plan.flops.forward))),
        ("Memory to train".into(), bytes(plan.memory.train_bytes)),
    ];
    all.extend(facts);
    let mut charts = vec![chart("Objective", "objective", history, |r| Some(r.train.objective), |v| Some(v.objective))];
    if model.terms.len() > 1 {
        for term in &model.terms {
            let (train, validation) = (term.name.clone(), term.name.clone());
            charts.push(chart(
                &format!("Loss of {}", term.name),
                term.loss.signature.name,
                history,
                move |r| r.train.losses.get(&train).copied().flatten(),
                move |v| v.losses.get(&validation).copied().flatten(),
            ));
        }
    }
    if history.0.iter().any(|r| !r.train.weights.is_empty()) {
        let series = model.terms.iter().map(|term| Series {
            name: term.name.clone(),
            points: history
                .0
                .iter()
                .filter_map(|r| Some((r.epoch as f64, (*r.train.weights.get(&term.name)?)?)))
                .collect(),
        });
        charts.push(Chart {
            title: format!("What {} makes of the weights", model.balance.signature.name),
            x_label: "epoch".into(),
            y_label: "mean factor".into(),
            series: series.filter(|s| !s.points.is_empty()).collect(),
            log_y: false,
        });
    }
    for measure in &model.measures {
        let name = measure.name.clone();
        let metric = measure.metric.signature.name;
        charts.push(chart(&measure.name, metric, history, |_| None, move |v| v.metrics.get(&name).copied().flatten()));
    }
    charts.push(Chart {
        title: "Learning rate".into(),
        x_label: "epoch".into(),
        y_label: "rate".into(),
        series: vec![Series {
            name: "rate".into(),
            points: history.0.iter().map(|r| (r.epoch as f64, r.lr)).collect(),
        }],
        log_y: false,
    });
    Report {
        title: model.name.clone(),
        subtitle: format!("{} epochs, {} tasks", history.0.len(), model.terms.len()),
        facts: all,
        charts,
        tables: tables(plan, history, finals),
        listings: vec![("Spec".into(), spec.into()), ("Plan".into(), plan.to_yaml())],
        ..Report::default()
    }
}

fn chart(
    title: &str,
    y_label: &str,
    history: &History,
    train: impl Fn(&EpochRecord) -> Option<f64>,
    validation: impl Fn(&Evaluation) -> Option<f64>,
) -> Chart {
    let series = |name: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>| Series {
        name: name.into(),
        points: history.0.iter().filter_map(|r| Some((r.epoch as f64, value(r)?))).collect(),
    };
    let both = [series("training", &train), series("validation", &|r| r.validation.as_ref().and_then(&validation))];
    Chart {
        title: title.into(),
        x_label: "epoch".into(),
        y_label: y_label.into(),
        series: both.into_iter().filter(|s| !s.points.is_empty()).collect(),
        log_y: false,
    }
}

fn tables(plan: &Plan, history: &History, finals: &[(String, Evaluation)]) -> Vec<Table> {
    let mut results = Table { title: "Results of the best checkpoint".into(), ..Table::default() };
    results.header = std::iter::once("".into())
        .chain(finals.iter().map(|(split, e)| format!("{split} ({} rows)", e.rows)))
        .collect();
    if let Some((_, first)) = finals.first() {
        let value = |x: Option<f64>| x.map_or("no labels".into(), |x| format!("{x:.4}"));
        for name in first.metrics.keys() {
            let cells = finals.iter().map(|(_, e)| value(e.metrics.get(name).copied().flatten()));
            results.rows.push(std::iter::once(name.clone()).chain(cells).collect());
        }
        for name in first.losses.keys() {
            let cells = finals.iter().map(|(_, e)| value(e.losses.get(name).copied().flatten()));
            results.rows.push(std::iter::once(format!("loss of {name}")).chain(cells).collect());
        }
    }
    let parts = Table {
        title: "Parameters".into(),
        header: ["part", "trained", "frozen", "statistics"].map(String::from).to_vec(),
        rows: plan
            .parts
            .iter()
            .map(|p| vec![p.name.clone(), p.trained.to_string(), p.frozen.to_string(), p.statistics.to_string()])
            .collect(),
    };
    // The last epoch is like every other, but for what is drawn.
    let met = history.0.last().map(|record| {
        let of = |counts: &IndexMap<String, u64>, what: &str| -> Vec<Vec<String>> {
            counts.iter().map(|(name, n)| vec![format!("{what} `{name}`"), n.to_string()]).collect()
        };
        Table {
            title: "Rows met in the last epoch".into(),
            header: ["", "rows"].map(String::from).to_vec(),
            rows: [of(&record.train.labels, "with a label for"), of(&record.train.rows, "from")].concat(),
        }
    });
    [vec![results], met.into_iter().collect(), vec![parts]].concat()
}
