//! `mtlc explain`: what a name of the language means, or what becomes of a spec at each stage.

use super::console::{Console, table};
use super::project::{Found, in_spec};
use crate::base::signature::{Default, PartKind, Signature};
use crate::base::{self, Diagnostic};
use crate::graph::{self, Graph, Mode};
use crate::lower::lower;
use crate::model::{self, Failure, Model, catalog, pages};
use crate::parts::backbones;
use crate::passes::{self, Effect, PASSES, Pass};
use crate::plan::{Graphs, Plan};
use crate::syntax;
use crate::train::first_weights;
use crate::weights::Report;
use clap::ValueEnum;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// A name of the language (`conv`), a kind (`layers`), or a spec file
    topic: Option<String>,
    /// The stage of a spec to show
    #[arg(long, value_enum, default_value_t = Stage::Graph)]
    stage: Stage,
    /// Show what each pass did to the graphs of a spec
    #[arg(long, conflicts_with = "stage")]
    passes: bool,
    /// Show the graphs of a spec as they stand after this pass; with `--passes`, what was done until then
    #[arg(long, value_name = "PASS", conflicts_with = "stage")]
    stop_after: Option<String>,
    /// Show which tensor of a file becomes which parameter, for every network of a spec that names weights
    #[arg(long, conflicts_with_all = ["stage", "passes", "stop_after"])]
    weights: bool,
    /// Override a setting of the spec
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Print names and arguments, or what becomes of a spec, as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    Ast,
    Model,
    Graph,
    Plan,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let Some(topic) = &self.topic else {
            if console.json {
                let all = pages().iter().flat_map(|(_, kind)| catalog(*kind));
                console.result_json(&all.map(describe).collect());
                return Ok(());
            }
            for (title, kind) in pages() {
                let names: Vec<&str> = catalog(*kind).iter().map(|s| s.name).collect();
                console.result(format!("{}\n  {}", slug(title), names.join(" ")));
            }
            return Ok(());
        };
        if Path::new(topic).extension().is_some_and(|e| e == "mtl") {
            return self.spec(PathBuf::from(topic), console);
        }
        if let Some((_, kind)) = pages().iter().find(|(title, _)| slug(title) == *topic) {
            let list = catalog(*kind);
            if console.json {
                console.result_json(&list.iter().map(|s| describe(s)).collect());
            } else {
                let rows: Vec<Vec<String>> = list.iter().map(|s| vec![s.name.into(), s.summary.into()]).collect();
                console.result(table(&rows));
            }
            return Ok(());
        }
        let all: Vec<&Signature> = pages().iter().flat_map(|(_, kind)| catalog(*kind)).collect();
        let meant: Vec<&&Signature> = all.iter().filter(|s| s.name == topic).collect();
        if meant.is_empty() {
            let titles: Vec<String> = pages().iter().map(|(title, _)| slug(title)).collect();
            let known = all.iter().map(|s| s.name).chain(titles.iter().map(String::as_str));
            let diagnostic = Diagnostic::error(format!("`{topic}` means nothing in a spec"));
            let diagnostic = match crate::base::diagnostic::closest(topic, known) {
                Some(best) => diagnostic.help(format!("did you mean `{best}`?")),
                None => diagnostic.help("`mtlc explain` lists every name"),
            };
            return Err(diagnostic.into());
        }
        if console.json {
            console.result_json(&meant.iter().map(|s| describe(s)).collect());
        } else {
            console.result(meant.iter().map(|s| page(s)).collect::<Vec<_>>().join("\n\n"));
        }
        Ok(())
    }

    fn spec(&self, file: PathBuf, console: &Console) -> Result<(), Failure> {
        let specs = super::project::Specs { specs: vec![file.clone()], set: self.set.clone() };
        let found: Found = specs.find()?;
        let spec = found.read(&file)?;
        if self.weights {
            let graphs = Graphs::of(&spec.model).map_err(in_spec(&spec))?;
            let (root, seed) = (file.parent().unwrap_or(Path::new("")), spec.model.train.int("seed") as u64);
            let (_, reports) =
                first_weights(&spec.model, &graphs.train, seed, root, &found.runs(None)).map_err(in_spec(&spec))?;
            if console.json {
                console.result_json(&json!({ "model": spec.model.name, "weights": reports }));
            } else if reports.is_empty() {
                console.result(format!("no network of {} names weights", spec.model.name));
            } else {
                console.result(reports.iter().map(Report::full).collect::<Vec<_>>().join("\n"));
            }
            return Ok(());
        }
        let list = self.list()?;
        if self.passes {
            let effects = passed(&spec.model, list).map_err(in_spec(&spec))?;
            let effects: Vec<(&str, Effect)> =
                effects.into_iter().flat_map(|(name, _, e)| e.into_iter().map(move |e| (name, e))).collect();
            if console.json {
                let object = |(graph, e): &(&str, Effect)| {
                    json!({
                        "graph": graph, "pass": e.pass.name, "summary": e.pass.summary,
                        "before": e.before, "after": e.after, "did": e.did,
                    })
                };
                console.result_json(
                    &json!({ "model": spec.model.name, "passes": effects.iter().map(object).collect::<Vec<_>>() }),
                );
            } else {
                let header = ["graph", "pass", "values before", "after", "what it did"].map(String::from).to_vec();
                let row = |(graph, e): &(&str, Effect)| {
                    let did = if e.did.is_empty() { "nothing" } else { &e.did };
                    [graph, e.pass.name, &e.before.to_string(), &e.after.to_string(), did].map(String::from).to_vec()
                };
                console.result(table(&std::iter::once(header).chain(effects.iter().map(row)).collect::<Vec<_>>()));
            }
            return Ok(());
        }
        let graphs = || Graphs::of(&spec.model).map_err(in_spec(&spec));
        let text = match self.stage {
            Stage::Ast => syntax::print::print(&spec.file),
            Stage::Model => model::print(&spec.model),
            Stage::Graph => {
                let graphs = passed(&spec.model, list).map_err(in_spec(&spec))?;
                let shown = graphs.iter().filter(|(name, ..)| *name != "eval");
                shown.map(|(_, graph, _)| graph::print(graph)).collect::<Vec<_>>().join("\n")
            }
            Stage::Plan => Plan::of(&spec.model, &graphs()?, &spec.digest()).to_yaml(),
        };
        if console.json {
            let stage = self.stage.to_possible_value().map(|v| v.get_name().to_string());
            let mut object = json!({ "model": spec.model.name, "stage": stage, "text": text });
            if let Some(pass) = &self.stop_after {
                object["stop_after"] = json!(pass);
            }
            console.result_json(&object);
        } else {
            console.result(text.trim_end_matches('\n'));
        }
        Ok(())
    }

    /// The passes to run: all, or those up to where the command says stop.
    fn list(&self) -> Result<&'static [Pass], Diagnostic> {
        let Some(name) = &self.stop_after else { return Ok(PASSES) };
        passes::up_to(name).ok_or_else(|| {
            Diagnostic::error(format!("there is no pass `{name}`")).suggest(name, PASSES.iter().map(|pass| pass.name))
        })
    }
}

/// The graph of a training step, of an evaluation and of serving, after these passes, and what they did.
fn passed(model: &Model, list: &'static [Pass]) -> base::Result<Vec<(&'static str, Graph, Vec<Effect>)>> {
    let eval = lower(model, Mode::Eval, 0)?;
    let heads: Vec<&str> = model.heads().map(|h| h.name.as_str()).collect();
    let serve = passes::cut(&eval, &heads);
    let graphs = [("train", lower(model, Mode::Train, 0)?), ("eval", eval), ("serve", serve)];
    Ok(graphs
        .into_iter()
        .map(|(name, graph)| {
            let (graph, effects) = passes::run(graph, list);
            (name, graph, effects)
        })
        .collect())
}

/// `Data sources` as a word of the command line: `data-sources`.
fn slug(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

fn page(signature: &Signature) -> String {
    let mut text = format!("{} ({})\n  {}", signature.name, signature.kind.noun(), signature.summary);
    for param in signature.params {
        let default = match param.default {
            Default::Required => "required".to_string(),
            Default::Absent => "optional".to_string(),
            Default::Is(value) => format!("default {value}"),
        };
        text += &format!("\n\n  {} ({default})\n    {}\n    {}", param.name, param.doc, param.kind.describe());
    }
    if let Some((backbone, family)) = backbones::find(signature.name).filter(|_| signature.kind == PartKind::Backbone) {
        text += &format!("\n\n  published weights expect {}", backbone.expects);
        text += &format!("\n\n{}", backbone.listing(family));
    }
    text
}

fn describe(signature: &Signature) -> serde_json::Value {
    let params = signature.params.iter().map(|p| {
        let default = if let Default::Is(value) = p.default { Some(value) } else { None };
        json!({ "name": p.name, "required": p.default == Default::Required, "default": default, "kind": p.kind.describe(), "doc": p.doc })
    });
    json!({ "name": signature.name, "kind": signature.kind.noun(), "summary": signature.summary, "arguments": params.collect::<Vec<_>>() })
}
