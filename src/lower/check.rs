//! Checks that need shapes, or every layer of the model.

use crate::base::{DType, Diagnostic, Diagnostics, Dim, Result, Span, Type};
use crate::data::FieldType;
use crate::graph::{Graph, Parameter, Role};
use crate::model::{Measure, Model, Phase, Port, Selection, Term};
use crate::ops::detect::BEHIND;
use crate::parts::adapters;
use crate::parts::cell::Hold;
use crate::parts::coding::Coding;
use crate::parts::losses::Takes;
use crate::parts::metrics::{self, elements::channel_axis};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Whether every `freeze` and `tune` meets a layer.
pub fn selections(model: &Model, seen: &RefCell<Vec<(String, String)>>, diagnostics: &mut Diagnostics) {
    let seen = seen.borrow();
    let frozen = model.freezes.iter().map(|f| ("freeze", &f.selection));
    let tuned = model.tunes.iter().map(|t| ("tune", &t.selection));
    for (word, selection) in frozen.chain(tuned) {
        for path in &selection.paths {
            let one = Selection { paths: vec![path.clone()], ..selection.clone() };
            if seen.iter().any(|(path, kind)| one.contains(path, kind)) {
                continue;
            }
            let what = selection.kind.as_ref().map(|k| format!("{k} in ")).unwrap_or_default();
            let diagnostic = Diagnostic::error(format!("`{word} {what}{path}` meets no layer")).at(selection.span);
            // Every layer and everything above one, as what could have been meant.
            let known: BTreeSet<&str> =
                seen.iter().flat_map(|(p, _)| p.match_indices('.').map(|(i, _)| &p[..i]).chain([p.as_str()])).collect();
            let below: Vec<&str> =
                known.iter().copied().filter(|k| k.split('.').count() <= path.split('.').count()).collect();
            diagnostics.push(match &selection.kind {
                Some(kind) if known.contains(path.as_str()) => {
                    diagnostic.help(format!("there is no {kind} layer below `{path}`"))
                }
                _ if path.contains('*') => diagnostic
                    .help("`*` stands for any letters of one segment, and in quotes `**` for any segments")
                    .note(format!("paths begin like {}", begin(&known))),
                _ => diagnostic.suggest(path, below),
            });
        }
    }
}

/// Whether a `freeze` that says what becomes of norms meets one.
pub fn norms(model: &Model, seen: &RefCell<Vec<(String, String)>>, diagnostics: &mut Diagnostics) {
    for freeze in model.freezes.iter().filter(|f| f.norm != Hold::Everything) {
        let is_norm = |(path, kind): &(String, String)| kind == "norm" && freeze.selection.contains(path, kind);
        if !seen.borrow().iter().any(is_norm) {
            let message = format!("there is no norm in `{}`", freeze.selection);
            let diagnostic = Diagnostic::error(message).at(freeze.selection.span);
            diagnostics.push(diagnostic.help("leave `norm` out: the option says what becomes of norms"));
        }
    }
}

/// Whether rates that fall with the depth meet a network that has some.
pub fn depths(model: &Model, graph: &Graph, diagnostics: &mut Diagnostics) {
    if diagnostics.has_errors() {
        return;
    }
    for tune in model.tunes.iter().filter(|t| t.layer_decay.is_some()) {
        let meant = graph.parameters.values().filter(|p| tune.selection.contains(&p.layer, &p.kind));
        let depth = meant.filter_map(|p| model.depth(&p.layer, |path| graph.has_parameters(path)));
        if depth.map(|(_, layers)| layers).max().unwrap_or(0) < 2 {
            let message = format!("`{}` lies in no network of several layers, so no rate falls", tune.selection);
            let diagnostic = Diagnostic::error(message).at(tune.selection.span);
            diagnostics
                .push(diagnostic.help("`layer_decay` counts the stages of a network, and the copies of `repeat`"));
        }
    }
}

/// Whether every adapter meets a layer that it can adapt, and may learn at some time.
pub fn adapters(model: &Model, graph: &Graph, diagnostics: &mut Diagnostics) {
    if diagnostics.has_errors() {
        return;
    }
    for tune in &model.tunes {
        let Some(call) = &tune.adapt else { continue };
        let (adapter, selection) = (adapters::build(call), &tune.selection);
        let own = |(path, p): &(&String, &Parameter)| {
            let decides = model.adapting(&p.layer, &p.kind).is_some_and(|t| std::ptr::eq(t, tune));
            let name = path.strip_prefix(&p.layer).unwrap_or(path).trim_start_matches('.');
            decides && (p.added || adapter.trains(name))
        };
        let mut own = graph.parameters.iter().filter(own).peekable();
        if own.peek().is_none() {
            let name = call.signature.name;
            let diagnostic = Diagnostic::error(format!("`{name}` meets nothing in `{selection}` that it can adapt"));
            diagnostics.push(diagnostic.at(selection.span).help(adapters::adapts(call)));
            continue;
        }
        let held = |p: &Parameter| model.turns().iter().all(|t| model.hold(&p.layer, &p.kind, *t) == Hold::Everything);
        if own.all(|(_, p)| held(p)) {
            let message = format!("`{selection}` is frozen throughout, and what adapts it too");
            let diagnostic = Diagnostic::error(message).at(selection.span);
            diagnostics.push(diagnostic.help("leave the `freeze` out: `adapt` keeps the weights of what it adapts"));
        }
    }
}

/// The shortest paths, as far as a message wants them.
fn begin(known: &BTreeSet<&str>) -> String {
    let mut paths: Vec<&str> = known.iter().copied().collect();
    paths.sort_by_key(|path| path.split('.').count());
    paths.iter().take(6).map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

/// Whether a loss can compare a head's values with a target.
pub fn loss(term: &Term, takes: Takes, prediction: &Type, target: &Port) -> Option<Diagnostic> {
    let name = term.loss.signature.name;
    let wrong = |message: String| {
        let diagnostic = Diagnostic::error(message).at(term.span).label(target.span, "the target");
        Some(diagnostic.note(format!("the head `{}` gives {}", term.head, prediction.example())))
    };
    match (&target.ty.classes, takes) {
        (Some(_), Takes::Numbers) => wrong(format!("`{name}` compares numbers, and `{}` has classes", term.target))
            .map(|d| d.help("`cross_entropy` takes classes")),
        (None, Takes::Classes | Takes::Coded(_)) => {
            wrong(format!("`{name}` takes classes, and `{}` has numbers", term.target))
                .map(|d| d.help("`mse` or `huber` take numbers"))
        }
        (Some(classes), _)
            if term.loss.args.has("weights") && term.loss.args.list("weights").len() != classes.count =>
        {
            let (given, span) = (term.loss.args.list("weights").len(), term.loss.args.span("weights"));
            let message = format!("there are {given} weights, and `{}` has {} classes", term.target, classes.count);
            let diagnostic = Diagnostic::error(message).at(span.unwrap_or(term.span)).label(target.span, "the target");
            Some(diagnostic.help("give one weight for each class, in their order"))
        }
        (Some(classes), _) => {
            let given = channel_axis(prediction.rank()).map(|axis| prediction.dims[axis]);
            match given {
                Some(Dim::Size(n)) if n != takes.coding().width(classes.count) => {
                    let (coding, count) = (takes.coding(), classes.count);
                    wrong(match coding {
                        Coding::Scores => format!(
                            "the head `{}` tells {n} classes apart, and `{}` has {count}",
                            term.head, term.target
                        ),
                        _ => format!(
                            "the head `{}` gives {n} values, and `{name}` takes {} for the {count} classes of `{}`",
                            term.head,
                            coding.width(count),
                            term.target
                        ),
                    })
                    .map(|d| d.help(coding.ending(count)))
                }
                _ => places(term, prediction, target),
            }
        }
        (None, _) if prediction.dtype == DType::F32 && *prediction != target.ty.ty => {
            let (gives, is) = (prediction.example(), written(&target.ty));
            let message = format!("the head `{}` gives {gives}, and `{}` is {is}", term.head, term.target);
            let diagnostic = Diagnostic::error(message).at(term.span).label(target.span, "the target");
            Some(diagnostic.help(format!("end the head so that it gives {is}")))
        }
        _ => None,
    }
}

/// A loss or a metric: its name, what it compares, and its place.
pub struct Comparison<'a> {
    name: &'a str,
    head: &'a str,
    target: &'a str,
    /// `loss` or `metric`.
    noun: &'a str,
    span: Span,
}

impl<'a> From<&'a Term> for Comparison<'a> {
    fn from(term: &'a Term) -> Self {
        let name = term.loss.signature.name;
        Self { name, head: &term.head, target: &term.target, noun: "loss", span: term.span }
    }
}

impl<'a> From<&'a Measure> for Comparison<'a> {
    fn from(measure: &'a Measure) -> Self {
        let name = measure.metric.signature.name;
        Self { name, head: &measure.head, target: &measure.target, noun: "metric", span: measure.span }
    }
}

/// Whether a loss or a metric can compare a head's answers with boxes, where one of the three is about boxes. `takes` says whether
/// the loss or metric is, and `detects` whether the head ends in `detect`.
pub fn boxes(
    compared: &Comparison,
    takes: bool,
    detects: bool,
    prediction: &Type,
    target: &Port,
) -> Option<Diagnostic> {
    let Comparison { name, head, target: named, noun, span } = *compared;
    let wrong = |message: String, help: String| {
        let diagnostic = Diagnostic::error(message).at(span).label(target.span, "the target");
        Some(diagnostic.note(format!("the head `{head}` gives {}", prediction.example())).help(help))
    };
    let Some(classes) = target.ty.classes.as_ref().filter(|_| target.ty.is_boxes()) else {
        let message = format!("`{name}` compares boxes, and `{named}` is {}", written(&target.ty));
        return wrong(message, "declare the target as `boxes[CLASSES][MOST]`".into());
    };
    if !takes {
        let fits = if noun == "loss" { "the loss `detection` takes" } else { "the metrics `map` and `map50` take" };
        return wrong(format!("`{name}` does not compare boxes, and `{named}` has boxes"), format!("{fits} boxes"));
    }
    if !detects {
        let message = format!("the head `{head}` gives no boxes to compare with `{named}`");
        return wrong(message, format!("end the head in `detect({})`, behind a feature map", classes.count));
    }
    let given = prediction.inner().last().map_or(0, |width| width.saturating_sub(BEHIND));
    (given != classes.count).then(|| {
        let message = format!("the head `{head}` tells {given} classes apart, and `{named}` has {}", classes.count);
        wrong(message, format!("let the head end in `detect({})`", classes.count))
    })?
}

/// Whether a head tells classes apart at the places where the target has one.
fn places(term: &Term, prediction: &Type, target: &Port) -> Option<Diagnostic> {
    let axis = channel_axis(prediction.rank())?;
    let (mut given, wanted) = (prediction.inner(), target.ty.ty.inner());
    given.remove(axis - 1);
    if given == wanted {
        return None;
    }
    let at = |sizes: &[usize]| match sizes {
        [] => "once for each example".to_string(),
        [tokens] => format!("at each of {tokens} tokens"),
        sizes => format!("at each of {} pixels", sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×")),
    };
    let message =
        format!("the head `{}` answers {}, and `{}` asks {}", term.head, at(&given), term.target, at(&wanted));
    let diagnostic = Diagnostic::error(message).at(term.span).label(target.span, "the target");
    let diagnostic = diagnostic.note(format!("the head `{}` gives {}", term.head, prediction.example()));
    Some(match (given.len(), wanted.len()) {
        (1, 0) => diagnostic.help("put `mean_tokens` into the head, which makes one vector of the tokens"),
        (2, 0) => diagnostic.help("put `global_pool` into the head, which makes one vector of the pixels"),
        (2, 2) => diagnostic.help("`upsample` and `conv_transpose` enlarge a feature map, a stride makes it smaller"),
        _ => diagnostic,
    })
}

/// A type as a spec writes it.
pub fn written(ty: &FieldType) -> String {
    let sizes = ty.ty.inner();
    match &ty.classes {
        Some(classes) if ty.is_boxes() => format!("boxes[{}][{}]", classes.count, sizes[0]),
        Some(classes) if sizes.is_empty() => format!("class[{}]", classes.count),
        Some(classes) => format!("class[{}]{sizes:?}", classes.count),
        None if ty.ty.dtype == DType::I64 => format!("tokens{sizes:?}"),
        None => ty.ty.example(),
    }
}

/// Whether a metric can compare a head's values with a target.
pub fn measure(measure: &Measure, coding: Coding, prediction: &Type, target: &Port) -> Option<Diagnostic> {
    let name = measure.metric.signature.name;
    let place = |message: String| {
        let diagnostic = Diagnostic::error(message).at(measure.span).label(target.span, "the target");
        diagnostic.note(format!("the head `{}` gives {}", measure.head, prediction.example()))
    };
    // Where the values are none of the coding, the loss has said so.
    let decoded = coding.decoded(prediction).unwrap_or_else(|| prediction.clone());
    if let Err(mismatch) = metrics::accepts(name, coding, &decoded, &target.ty.ty) {
        return Some(mismatch.help.into_iter().fold(place(mismatch.message), Diagnostic::help));
    }
    let prediction = &decoded;
    if name == "entity_f1" {
        let names = target.ty.classes.as_ref().and_then(|classes| classes.names.as_deref());
        let help = "name the classes: `class[\"O\", \"B-PLACE\", \"I-PLACE\"][48]`";
        let Some(names) = names else {
            return Some(
                place(format!("`{name}` reads the names of tags, and `{}` has none", measure.target)).help(help),
            );
        };
        if let Some(other) = names.iter().find(|name| metrics::entity_f1::tag(name).is_none()) {
            let message = format!("`{name}` reads tags, and `{}` has the class `{other}`", measure.target);
            return Some(place(message).help("a tag is `O`, `B-KIND` or `I-KIND`, for any kind of entity"));
        }
        if target.ty.ty.inner().len() != 1 {
            let message = format!("`{name}` measures sequences, and `{}` is {}", measure.target, written(&target.ty));
            return Some(place(message).help(help));
        }
    }
    let given = channel_axis(prediction.rank()).map(|axis| prediction.dims[axis]);
    if let (Some(classes), "top_k") = (&target.ty.classes, name)
        && measure.metric.args.size("k") >= classes.count
    {
        let message = format!("`top_k` of {} classes names all of them, and is always right", classes.count);
        return Some(place(message).help(format!("give `k` below {}", classes.count)));
    }
    match (&target.ty.classes, given) {
        (Some(classes), Some(Dim::Size(n))) if n != classes.count => Some(place(format!(
            "the head `{}` tells {n} classes apart, and `{}` has {}",
            measure.head, measure.target, classes.count
        ))),
        _ => None,
    }
}

/// Whether training can reach what it should: every loss feeds a trained parameter, every trained head has a loss.
pub fn training(model: &Model, graph: &Graph, phase: &Phase) -> Result<()> {
    let mut diagnostics = Diagnostics::default();
    for term in &model.terms {
        let output = graph.outputs.iter().find(|o| o.name == term.name && o.purpose == crate::graph::Purpose::Loss);
        if output.is_some_and(|o| !graph.value(o.value).taped) {
            let diagnostic =
                Diagnostic::error(format!("no trained parameter lies below the loss `{}`", term.name)).at(term.span);
            let help = match model.freezes.is_empty() {
                _ if phase.probes => {
                    "a phase that probes trains the heads alone: give the head a layer with parameters"
                }
                true => "give the head a layer with parameters, such as `linear`",
                false => "freeze less, or give the head a layer with parameters",
            };
            diagnostics.push(diagnostic.help(help));
        }
    }
    for head in model.heads() {
        let prefix = format!("{}.", head.name);
        let trained = graph.parameters.iter().any(|(path, p)| path.starts_with(&prefix) && p.role == Role::Trained);
        let read = |name: &str| model.terms.iter().any(|t| t.head == name);
        let reached = read(&head.name)
            || model
                .heads()
                .any(|h| read(&h.name) && h.sources.iter().any(|s| s.path.split('.').next() == Some(&head.name)));
        if trained && !reached {
            let diagnostic =
                Diagnostic::error(format!("no loss reaches the head `{}`, so it would never learn", head.name));
            diagnostics.push(
                diagnostic.at(head.span).help(format!("add a loss of `{}` to `minimize`, or freeze it", head.name)),
            );
        }
    }
    diagnostics.into_result(())
}

/// Whether two losses reach one trained parameter.
pub fn shares(graph: &Graph) -> bool {
    graph.reach(&graph.descended()).values().any(|tasks| *tasks > 1)
}

/// That a balancer of gradients has nothing to balance.
pub fn nothing_shared(model: &Model) -> Diagnostic {
    let message = format!(
        "`{}` balances gradients of what tasks share, and no two losses reach one trained parameter",
        model.balance.signature.name
    );
    let help = match model.freezes.is_empty() {
        true => "let two heads read one backbone, or leave `balance` out",
        false => "freeze less of what the heads share, or leave `balance` out",
    };
    Diagnostic::error(message).at(model.balance.span).help(help)
}
