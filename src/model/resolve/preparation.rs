//! What published weights expect of the images that they read: the step `prepare_for` written out, and warnings where a spec
//! prepares them in another way.

use super::Resolver;
use crate::base::signature::{Args, Call, PartKind, Value};
use crate::base::{Diagnostic, Span};
use crate::data::FieldType;
use crate::model::bind::Scope;
use crate::model::settings::PREPARE_FOR;
use crate::model::{Model, Network, Published, WeightsFrom};
use crate::parts::backbones::{Expects, normalize};
use crate::syntax::parse_expression;

/// How far mean and deviation may be from the expected ones, as a share of the deviation. Libraries round them differently.
const NEAR: f64 = 0.02;

impl Resolver<'_> {
    /// The steps of a chain, with what `prepare_for` stands for in its place.
    pub(super) fn prepared(&mut self, steps: Vec<Call>, ty: &FieldType, networks: &[Network]) -> Option<Vec<Call>> {
        let mut written = vec![];
        for call in steps {
            if call.signature.name == PREPARE_FOR.name {
                written.extend(self.prepare_for(&call, ty, networks)?);
            } else {
                written.push(call);
            }
        }
        Some(written)
    }

    fn prepare_for(&mut self, call: &Call, ty: &FieldType, networks: &[Network]) -> Option<Vec<Call>> {
        let name = call.args.text("backbone");
        let span = call.args.span("backbone").unwrap_or(call.span);
        let Some(network) = networks.iter().find(|n| n.name == name) else {
            if !self.names.contains_key(name) {
                let known = networks.iter().map(|n| n.name.as_str());
                self.report(Diagnostic::error(format!("there is no backbone `{name}`")).at(span).suggest(name, known));
            }
            return None;
        };
        let Some(published) = first_published(network) else {
            let message =
                format!("nothing is known of what `{name}` expects: its first layers are no library backbone");
            let help = "write the steps, such as `rgb -> resize(224) -> normalize(mean, std)`";
            self.report(Diagnostic::error(message).at(span).label(network.span, "the backbone").help(help));
            return None;
        };
        let Expects::Image { mean, std, .. } = published.backbone().expects else {
            let message = format!("no step makes the tokens that `{}` expects", published.call.signature.name);
            let help = "give the ids of the tokenizer that lies beside the weights as a column of the data";
            self.report(Diagnostic::error(message).at(span).help(help));
            return None;
        };
        let [_, height, width] = ty.ty.inner()[..] else {
            let message =
                format!("`{}` reads images, and this field is {}", published.call.signature.name, ty.ty.example());
            self.report(Diagnostic::error(message).at(call.span).help("declare the input as `f32[3, height, width]`"));
            return None;
        };
        let text = format!("rgb -> resize({height}, {width}) -> {}", normalize(&mean, &std));
        let chain = parse_expression(&text).expect("steps as a spec writes them");
        let crate::syntax::ast::ExprKind::Chain(steps) = &chain.kind else { return None };
        let bound = steps.iter().map(|step| self.binder.part(&step.expr, PartKind::Step, &Scope::new()));
        let calls: Option<Vec<Call>> = bound.map(|bound| bound.map(|b| at(b.call, call.span))).collect();
        calls
    }

    /// Warns where published weights will read what they were not trained with.
    pub(super) fn check_preparation(&mut self, model: &Model) {
        for network in model.networks.iter() {
            let Some(weights) = network.weights.as_ref().filter(|w| matches!(w.from, WeightsFrom::File(_))) else {
                continue;
            };
            let Some(published) = first_published(network) else { continue };
            let Expects::Image { size, mean, std } = published.backbone().expects else { continue };
            for input in model.inputs.iter().filter(|i| network.sources.iter().any(|s| s.path == i.name)) {
                let name = published.call.signature.name;
                let expected = format!("they expect {}", published.backbone().expects);
                let warn = |message: &str, span: Span| {
                    let message = format!("published weights of `{name}` will read {message}");
                    Diagnostic::warning(message).at(span).label(weights.span, "these weights").note(expected.clone())
                };
                if input.ty.ty.inner() != [3, size, size] {
                    let other = warn(&format!("images of {}", input.ty.ty.example()), input.span);
                    self.report(other.help(format!("declare `input {}: f32[3, {size}, {size}]`", input.name)));
                }
                let fields = model.data.iter().flat_map(|d| &d.fields).filter(|f| f.name == input.name);
                for field in fields {
                    let message =
                        match field.steps.iter().rfind(|s| ["normalize", "standardize"].contains(&s.signature.name)) {
                            None => "values that are not normalized",
                            Some(step) if step.signature.name == "standardize" => {
                                "values normalized by their own mean and deviation"
                            }
                            Some(step) if !is_near(&step.args, mean, std) => {
                                "values normalized by another mean or deviation"
                            }
                            Some(_) => continue,
                        };
                    let help =
                        format!("`{} = … -> prepare_for({})` prepares images for them", input.name, network.name);
                    self.report(warn(message, field.span).help(help));
                }
            }
        }
    }
}

/// The library backbone that reads what the network reads.
fn first_published(network: &Network) -> Option<&Published> {
    let first = network.body.first()?;
    network.published.iter().find(|p| first.path.starts_with(&p.path))
}

/// The call with everything in it at one place of the spec.
fn at(mut call: Call, span: Span) -> Call {
    call.span = span;
    for arg in call.args.0.values_mut() {
        arg.span = span;
        if let Value::List(list) = &mut arg.value {
            list.iter_mut().for_each(|item| item.span = span);
        }
    }
    call
}

/// Whether `normalize` is given about these numbers, for values from 0 to 255 or from 0 to 1.
fn is_near(args: &Args, mean: [f64; 3], std: [f64; 3]) -> bool {
    let given = |name: &str| -> Vec<f64> {
        match args.get(name).map(|arg| &arg.value) {
            Some(Value::List(list)) => list.iter().filter_map(|item| item.value.as_float()).collect(),
            Some(value) => value.as_float().into_iter().collect(),
            None => vec![],
        }
    };
    let (means, stds) = (given("mean"), given("std"));
    let of = |numbers: &[f64], channel: usize| numbers.get(channel).or(numbers.last()).copied().unwrap_or(f64::NAN);
    let near = |scale: f64| {
        (0..3).all(|c| {
            let (m, s) = (of(&means, c) * scale, of(&stds, c) * scale);
            (m - mean[c]).abs() <= NEAR * std[c] && (s - std[c]).abs() <= NEAR * std[c]
        })
    };
    near(1.0) || near(255.0)
}
