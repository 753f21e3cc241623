//! `mtlc sweep`: trains a spec with several weights of its losses, and shows what can be had of one task for what of another.
//!
//! Each point is a training of its own, from the same seed over the same rows; only the weights of `minimize` differ. A point is on
//! the Pareto front where no other one is as good for every task and better for one, by the first figure that the spec measures of
//! each target, on validation rows: test rows must not choose weights.

use super::build::{self, Built};
use super::console::{ABSENT, Console, table};
use super::project::{Specs, in_spec};
use super::trial::{self, Budget, Place};
use crate::base::{Diagnostic, Result as Checked};
use crate::files::write_atomically;
use crate::model::{Failure, Model};
use crate::parts::metrics::Direction;
use crate::report::{Point, Report, Scatter, Table, html};
use crate::train::compare::{Quality, front, quality};
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// Weights of one task to try, such as `label=0.1,1,10`; given for several tasks, all combinations
    #[arg(long, value_name = "TASK=WEIGHTS")]
    weights: Vec<String>,
    /// Without `--weights`: so many points from one task to another, spread evenly over all shares, which add up to the number of tasks
    #[arg(long, value_name = "COUNT", default_value_t = 5, conflicts_with = "weights",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    points: u32,
    #[command(flatten)]
    budget: Budget,
    /// The engine to compute with; `mtlc devices` lists them
    #[arg(long)]
    engine: Option<String>,
    /// Where runs are that the spec starts from [default: runs]
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Write the points as a page with plots, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the points as JSON
    #[arg(long)]
    pub json: bool,
}

/// More trainings than anybody waits for are a slip.
const MOST_POINTS: usize = 1000;

/// Weights of all tasks, and what came of them.
struct Swept {
    weights: Vec<f64>,
    validation: Quality,
    epochs: u64,
    seconds: f64,
    run: String,
    is_front: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let engine = found.engine(self.engine.as_deref())?;
        let file = found.files.first().expect("`find` fails where there is no spec").clone();
        let plain = build::of(found.one_with(&self.budget.overrides())?)?;
        console.diagnostics(Some(&plain.spec.source), &plain.spec.warnings);
        let model = &plain.spec.model;
        let grid = self.grid(model)?;
        let place = Place::of(&file, &found, "sweep", &found.runs(self.runs.as_deref()));
        let mut swept = vec![];
        for (number, weights) in grid.iter().enumerate() {
            let named = model.terms.iter().zip(weights).map(|(term, w)| format!("minimize.{}={w}", term.name));
            let overrides: Vec<String> = self.budget.overrides().into_iter().chain(named).collect();
            let built = build::of(found.read_with(&file, &overrides)?)?;
            let name = format!("{}, point {} of {}", model.name, number + 1, grid.len());
            let one = || -> Checked<Swept> {
                let trial = trial::train(&built, &name, &place, &self.budget, engine, console)?;
                let validation = trial.validation.as_ref().filter(|v| v.has_labels()).ok_or_else(without_validation)?;
                Ok(Swept {
                    weights: weights.clone(),
                    validation: quality(model, validation),
                    epochs: trial.epochs,
                    seconds: trial.seconds,
                    run: trial.run.folder.display().to_string(),
                    is_front: false,
                })
            };
            swept.push(one().map_err(in_spec(&built.spec))?);
        }
        let figures = decisive(model, &swept);
        let points: Vec<Vec<Option<f64>>> =
            swept.iter().map(|s| figures.iter().map(|(name, _)| s.validation.get(name)?.value).collect()).collect();
        let directions: Vec<Direction> = figures.iter().map(|(_, direction)| *direction).collect();
        for (one, is_front) in swept.iter_mut().zip(front(&points, &directions)) {
            one.is_front = is_front;
        }
        if let Some(file) = &self.html {
            write_atomically(file, html(&self.report(&plain, &swept, &figures)).as_bytes())?;
        }
        if console.json {
            let point = |one: &Swept| {
                let weights = model.terms.iter().zip(&one.weights).map(|(t, w)| (t.name.clone(), json!(w)));
                let figures = one.validation.iter().map(|(name, figure)| (name.clone(), json!(figure.value)));
                json!({
                    "weights": weights.collect::<serde_json::Map<_, _>>(),
                    "validation": figures.collect::<serde_json::Map<_, _>>(),
                    "pareto": one.is_front,
                    "epochs": one.epochs,
                    "seconds": one.seconds,
                    "run": one.run,
                })
            };
            let by: Vec<&String> = figures.iter().map(|(name, _)| name).collect();
            let points: Vec<_> = swept.iter().map(point).collect();
            console.result_json(&json!({ "model": model.name, "pareto_by": by, "points": points }));
        } else {
            console.result(table(&rows(model, &swept)));
            let by: Vec<&str> = figures.iter().map(|(name, _)| name.as_str()).collect();
            console.result(format!("  front: by {} on validation rows", by.join(", ")));
        }
        Ok(())
    }

    /// The weights of every task at every point.
    fn grid(&self, model: &Model) -> Checked<Vec<Vec<f64>>> {
        let tasks: Vec<&str> = model.terms.iter().map(|term| term.name.as_str()).collect();
        if tasks.len() < 2 {
            let diagnostic = Diagnostic::error(format!("`{}` has one loss, so its weight changes nothing", model.name));
            return Err(diagnostic.help("a sweep is about specs of several tasks").into());
        }
        if self.weights.is_empty() {
            return simplex(tasks.len(), self.points as usize);
        }
        let mut grid = vec![model.terms.iter().map(|term| term.weight).collect::<Vec<f64>>()];
        let mut swept: Vec<usize> = vec![];
        for given in &self.weights {
            let wrong = |what: String| Diagnostic::error(what).place(format!("--weights {given}"));
            let example = format!("for example `--weights {}=0.1,1,10`", tasks[0]);
            let Some((name, list)) = given.split_once('=') else {
                return Err(wrong("expected TASK=WEIGHTS".into()).help(example).into());
            };
            let Some(task) = tasks.iter().position(|task| *task == name.trim()) else {
                let diagnostic = wrong(format!("there is no task `{}`", name.trim()));
                return Err(diagnostic.suggest(name.trim(), tasks).into());
            };
            if swept.contains(&task) {
                return Err(wrong(format!("the weights of `{}` are given twice", tasks[task])).into());
            }
            swept.push(task);
            let mut values = vec![];
            for text in list.split(',') {
                let value = text.trim().parse::<f64>().ok().filter(|w| w.is_finite() && *w > 0.0);
                values.push(
                    value.ok_or_else(|| wrong(format!("`{}` is no weight above 0", text.trim())).help(&example))?,
                );
            }
            if grid.len() * values.len() > MOST_POINTS {
                return Err(too_many().into());
            }
            let with = |point: &Vec<f64>, value: f64| {
                let mut point = point.clone();
                point[task] = value;
                point
            };
            grid = grid.iter().flat_map(|point| values.iter().map(|value| with(point, *value))).collect();
        }
        Ok(grid)
    }

    fn report(&self, plain: &Built, swept: &[Swept], figures: &[(String, Direction)]) -> Report {
        let model = &plain.spec.model;
        let mut rows = rows(model, swept);
        let header = rows.remove(0);
        let mut scatters = vec![];
        for (i, (x, towards_x)) in figures.iter().enumerate() {
            for (y, towards_y) in &figures[i + 1..] {
                let points = swept.iter().enumerate().map(|(number, one)| {
                    let value = |name: &String| one.validation.get(name).and_then(|f| f.value).unwrap_or(f64::NAN);
                    Point { name: (number + 1).to_string(), x: value(x), y: value(y), is_front: one.is_front }
                });
                scatters.push(Scatter {
                    title: format!("{x} and {y}"),
                    x_label: format!("{x}, {}", better(*towards_x)),
                    y_label: format!("{y}, {}", better(*towards_y)),
                    points: points.collect(),
                    joined: figures.len() == 2,
                });
            }
        }
        let on = swept.iter().filter(|one| one.is_front).count();
        Report {
            title: format!("Weights of {}", model.name),
            subtitle: "Each point is a training with other weights of its losses, measured on validation rows".into(),
            facts: vec![
                ("Points".into(), swept.len().to_string()),
                ("On the Pareto front".into(), on.to_string()),
                ("Budget".into(), self.budget.told()),
                ("Balance".into(), model.balance.signature.name.into()),
            ],
            scatters,
            tables: vec![Table { title: "Points".into(), header, rows }],
            listings: vec![("Spec".into(), plain.spec.source.text.clone())],
            ..Report::default()
        }
    }
}

/// A figure for each target, by which points are held against each other: the first that every point has.
fn decisive(model: &Model, swept: &[Swept]) -> Vec<(String, Direction)> {
    let first = swept.first().map(|one| &one.validation);
    let of = |target: &str| {
        let about = |name: &str| {
            let inner = name.split_once('(').map_or("", |(_, inner)| inner);
            inner.strip_prefix(target).is_some_and(|rest| rest.starts_with([')', ',']))
        };
        let (name, figure) = first?.iter().find(|(name, _)| about(name))?;
        Some((name.clone(), figure.direction))
    };
    model.answered().into_iter().filter_map(of).collect()
}

/// A row for each point under a header.
fn rows(model: &Model, swept: &[Swept]) -> Vec<Vec<String>> {
    let figures: Vec<&String> = swept.first().map(|one| one.validation.keys().collect()).unwrap_or_default();
    let mut header = vec!["point".to_string()];
    header.extend(model.terms.iter().map(|term| format!("weight of {}", term.name)));
    header.extend(figures.iter().map(|name| name.to_string()));
    header.push("front".into());
    let mut rows = vec![header];
    for (number, one) in swept.iter().enumerate() {
        let mut row = vec![(number + 1).to_string()];
        row.extend(
            one.weights.iter().map(|w| format!("{w:.4}").trim_end_matches('0').trim_end_matches('.').to_string()),
        );
        let value = |name: &String| one.validation.get(name).and_then(|figure| figure.value);
        row.extend(figures.iter().map(|name| value(name).map_or(ABSENT.into(), |x| format!("{x:.4}"))));
        row.push(if one.is_front { "*".into() } else { String::new() });
        rows.push(row);
    }
    rows
}

/// Shares of `tasks` tasks on an even lattice, with `points` from one task to another. None is 0, so that every head learns, and they
/// add up to the number of tasks, so that a learning rate means what it means at equal weights.
fn simplex(tasks: usize, points: usize) -> Checked<Vec<Vec<f64>>> {
    // A share is a whole number of steps, at least one; between two tasks this leaves `points` ways.
    let steps = points + tasks - 1;
    let mut lattice: Vec<Vec<usize>> = vec![vec![]];
    for task in 0..tasks {
        let mut longer = vec![];
        for point in &lattice {
            let left = steps - point.iter().sum::<usize>();
            let behind = tasks - task - 1;
            let shares = if behind == 0 { left..=left } else { 1..=left - behind };
            longer.extend(shares.rev().map(|share| [&point[..], &[share]].concat()));
            if longer.len() > MOST_POINTS {
                return Err(too_many().into());
            }
        }
        lattice = longer;
    }
    let weight = |share: &usize| (*share * tasks) as f64 / steps as f64;
    Ok(lattice.iter().map(|point| point.iter().map(weight).collect()).collect())
}

fn too_many() -> Diagnostic {
    Diagnostic::error(format!("these are more than {MOST_POINTS} trainings"))
        .help("take fewer `--points` or `--weights`")
}

fn without_validation() -> Diagnostic {
    Diagnostic::error("no validation row has a label, so there is nothing to choose weights by")
        .help("let `split` of the data keep rows for validation: `split: [0.7, 0.15, 0.15]`")
}

fn better(direction: Direction) -> &'static str {
    match direction {
        Direction::Higher => "higher is better",
        Direction::Lower => "lower is better",
    }
}

#[cfg(test)]
mod tests {
    use super::simplex;

    #[test]
    fn shares_are_spread_evenly_and_add_up() {
        let two = simplex(2, 3).unwrap();
        assert_eq!(two, [[1.5, 0.5], [1.0, 1.0], [0.5, 1.5]]);
        let three = simplex(3, 5).unwrap();
        assert_eq!(three.len(), 15);
        for point in &three {
            assert!((point.iter().sum::<f64>() - 3.0).abs() < 1e-12 && point.iter().all(|w| *w > 0.0), "{point:?}");
        }
        assert_eq!(simplex(4, 1).unwrap(), [[1.0; 4]]);
        assert!(simplex(9, 1000).is_err());
    }
}
