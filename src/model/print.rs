//! The stable text of a model, for people and snapshots.

use super::{LearningRate, Model, NetworkKind, Tree, WeightsFrom};
use crate::base::signature::{Arg, Args, Call, Value};
use crate::data::FieldType;
use crate::parts::cell::Hold;
use std::fmt::Write;

pub fn print(model: &Model) -> String {
    let mut out = format!("model {}\n", model.name);
    for port in &model.inputs {
        let _ = writeln!(out, "input {}: {}", port.name, field_type(&port.ty));
    }
    for port in &model.targets {
        let _ = writeln!(out, "target {}: {}", port.name, field_type(&port.ty));
    }
    for network in &model.networks {
        let kind = match network.kind {
            NetworkKind::Backbone => "backbone",
            NetworkKind::Head => "head",
        };
        let sources: Vec<&str> = network.sources.iter().map(|s| s.path.as_str()).collect();
        let _ = write!(out, "{kind} {}({})", network.name, sources.join(", "));
        match network.weights.as_ref().map(|w| &w.from) {
            Some(WeightsFrom::File(file)) => {
                let _ = write!(out, " from {file:?}");
            }
            Some(WeightsFrom::Run { model, last, network }) => {
                let _ = write!(out, " from the {} checkpoint of {model}", if *last { "last" } else { "best" });
                out.extend(network.iter().map(|network| format!(", its `{network}`")));
            }
            None => {}
        }
        if let Some(rules) = network.weights.as_ref().map(|w| &w.rules) {
            let rename = rules.rename.iter().map(|rule| format!("\n  names {}", rule.text()));
            let unused = rules.unused.iter().map(|pattern| format!("\n  not used {}", pattern.text()));
            let fresh = rules.fresh.iter().map(|pattern| format!("\n  fresh {}", pattern.text()));
            out.extend(rename.chain(unused).chain(fresh));
        }
        out.push('\n');
        tree(&mut out, &network.body, 1);
    }
    for freeze in &model.freezes {
        let until = freeze.until.map(|e| format!(" until epoch {e}")).unwrap_or_default();
        let norm = match freeze.norm {
            Hold::Nothing => " norm: train",
            Hold::Statistics => " norm: affine",
            Hold::Everything => "",
        };
        let _ = writeln!(out, "freeze {}{norm}{until}", freeze.selection);
    }
    for tune in &model.tunes {
        let lr = tune.lr.map(|lr| match lr {
            LearningRate::Times(x) => format!(" lr: {x}x"),
            LearningRate::Absolute(x) => format!(" lr: {x}"),
        });
        let decay = tune.weight_decay.map(|d| format!(" weight_decay: {d}"));
        let layers = tune.layer_decay.map(|d| format!(" layer_decay: {d}"));
        let pull = tune.l2sp.map(|d| format!(" l2sp: {d}"));
        let adapt = tune.adapt.as_ref().map(|a| format!(" adapt: {}", call(a)));
        let settings = [lr, decay, layers, pull, adapt].into_iter().flatten().collect::<String>();
        let _ = writeln!(out, "tune {}{settings}", tune.selection);
    }
    for term in &model.terms {
        let _ = writeln!(out, "task {}: {} * {}", term.name, term.weight, call(&term.loss));
    }
    let _ = writeln!(out, "balance {}", call(&model.balance));
    for measure in &model.measures {
        let _ = writeln!(out, "measure {}: {}", measure.name, call(&measure.metric));
    }
    for data in &model.data {
        let _ = writeln!(out, "data {} = {}", data.name, call(&data.source));
        for field in &data.fields {
            let steps: String = field.steps.iter().map(|s| format!(" -> {}", call(s))).collect();
            let _ = writeln!(out, "  {} = {}{steps}", field.name, call(&field.column));
        }
    }
    let _ = writeln!(out, "train {{{}}}", args(&model.train));
    let _ = writeln!(out, "serve {{{}}}", args(&model.serve));
    out
}

fn tree(out: &mut String, node: &Tree, depth: usize) {
    match node {
        Tree::Chain { steps, .. } => steps.iter().for_each(|step| tree(out, step, depth)),
        Tree::Layer(node) => {
            let note = if node.before_norm { "  (a norm follows)" } else { "" };
            let call = format!("{}({})", node.layer.signature().name, args(&node.args));
            let _ = writeln!(out, "{:indent$}{}: {call}{note}", "", node.path, indent = depth * 2);
            node.chains.iter().for_each(|chain| tree(out, chain, depth + 1));
        }
    }
}

fn field_type(ty: &FieldType) -> String {
    let mut text = ty.ty.to_string();
    if let Some(classes) = &ty.classes {
        let (boxes, s) = (if ty.is_boxes() { " boxes" } else { "" }, if classes.count == 1 { "" } else { "es" });
        let _ = write!(text, "{boxes} of {} class{s}", classes.count);
        if let Some(names) = &classes.names {
            let _ = write!(text, " {}", names.join(", "));
        }
    }
    if let Some(vocabulary) = ty.vocabulary {
        let _ = write!(text, " below {vocabulary}");
    }
    text
}

pub fn call(call: &Call) -> String {
    format!("{}({})", call.signature.name, args(&call.args))
}

fn args(args: &Args) -> String {
    let shown: Vec<String> = args.0.iter().map(|(name, arg)| format!("{name}: {}", value(arg))).collect();
    shown.join(", ")
}

fn value(arg: &Arg) -> String {
    match &arg.value {
        Value::Named(name, of) => format!("{name}: {}", value(&Arg { value: (**of).clone(), span: arg.span })),
        Value::Int(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Factor(x) => format!("{x}x"),
        Value::Duration(ms) => format!("{ms}ms"),
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Word(word) => word.clone(),
        Value::List(list) => format!("[{}]", list.iter().map(value).collect::<Vec<_>>().join(", ")),
        Value::Part(part) => call(part),
        Value::Chain(_) => "…".into(),
    }
}
