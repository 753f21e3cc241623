//! The stable text of a graph, for people, snapshots and `mtlc explain`.

use super::{Definition, Graph, Leaf, Mode, Purpose, Role};
use std::fmt::Write;

/// One line a value: number, definition, type, `nhwc` for a map with its channels last, `constant` for what is computed once,
/// `taped` where a gradient passes, and the layer it belongs to.
pub fn print(graph: &Graph) -> String {
    let mode = match graph.mode {
        Mode::Train => "train",
        Mode::Eval => "eval",
    };
    let mut text = format!("graph {} ({mode})\n", graph.name);
    let rows: Vec<[String; 4]> = graph
        .values
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let definition = match &value.definition {
                Definition::Leaf(leaf) => print_leaf(graph, leaf),
                Definition::Op { op, inputs } => {
                    let inputs: Vec<String> = inputs.iter().map(|id| format!("%{}", id.0)).collect();
                    format!("{}{} {}", op.name(), attributes(op), inputs.join(" "))
                }
            };
            let marks = [(value.channels_last, "nhwc"), (value.constant, "constant"), (value.taped, "taped")];
            let marks: Vec<&str> = marks.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
            let path = match &value.definition {
                Definition::Leaf(_) => String::new(),
                Definition::Op { .. } => format!("# {}", value.path),
            };
            [format!("%{i}"), definition, format!("{} {}", value.ty, marks.join(" ")).trim_end().to_string(), path]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let (w0, w1, w2) = (width(0), width(1).min(60), width(2));
    for [id, definition, ty, path] in &rows {
        let line = format!("  {id:<w0$} = {definition:<w1$} : {ty:<w2$} {path}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for output in &graph.outputs {
        let purpose = match output.purpose {
            Purpose::Head => "head",
            Purpose::Loss => "loss",
            Purpose::Objective => "minimize",
        };
        let _ = writeln!(text, "  {purpose} {} = %{}", output.name, output.value.0);
    }
    for update in &graph.updates {
        let bessel = update.bessel.map(|n| format!(", {n} a channel")).unwrap_or_default();
        let _ = writeln!(
            text,
            "  update {} by %{} (momentum {}{bessel})",
            update.parameter, update.value.0, update.momentum
        );
    }
    text
}

fn print_leaf(graph: &Graph, leaf: &Leaf) -> String {
    match leaf {
        Leaf::Input(name) => format!("input {name}"),
        Leaf::Target(name) => format!("target {name}"),
        Leaf::Presence(name) => format!("presence {name}"),
        Leaf::Mask { path, keep } => format!("mask {path} (keep {keep})"),
        Leaf::Share { alpha } => format!("share (beta {alpha})"),
        Leaf::Parameter(path) => {
            let word = match graph.parameters[path].role {
                Role::Trained => "param",
                Role::Frozen => "frozen",
                Role::Statistic => "statistic",
                Role::FrozenStatistic => "frozen statistic",
                Role::Balance => "balance",
            };
            format!("{word} {path}")
        }
    }
}

/// The attributes of an op as `{stride: [2, 2], bias: true}`, by its serialised form; empty when there are none.
pub fn attributes(op: &crate::ops::Op) -> String {
    let Ok(serde_json::Value::Object(variant)) = serde_json::to_value(op) else { return String::new() };
    let Some(serde_json::Value::Object(fields)) = variant.into_iter().next().map(|(_, v)| v) else {
        return String::new();
    };
    if fields.is_empty() {
        return String::new();
    }
    let fields: Vec<String> =
        fields.iter().map(|(k, v)| format!("{k}: {}", v.to_string().replace(',', ", "))).collect();
    format!("{{{}}}", fields.join(", "))
}
