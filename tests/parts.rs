//! Optimizers against PyTorch, and schedules against values worked out by hand. Metrics have their own file.
//!
//! `tests/goldens/make_optimizers.py` wrote the golden.

use mtlc::base::Span;
use mtlc::base::signature::{Arg, Args, Call, Default, Kind, Signature, Value};
use mtlc::parts::metrics;
use mtlc::parts::optimizers::{self, Hyper, Optimizer, clip};
use mtlc::parts::schedules::{self, Progress, Schedule};
use serde_json::Value as Json;

/// A call with defaults filled in, as the checker makes it.
pub fn call(signatures: &[&'static Signature], name: &str, given: &[(&str, Value)]) -> Call {
    let signature = *signatures.iter().find(|s| s.name == name).expect("a name of the list");
    for (word, _) in given {
        assert!(signature.params.iter().any(|p| p.name == *word), "`{name}` has no `{word}`");
    }
    let mut args = Args::default();
    for param in signature.params {
        let value = match (given.iter().find(|(word, _)| *word == param.name), param.default) {
            (Some((_, value)), _) => value.clone(),
            (None, Default::Is(text)) => literal(text),
            (None, Default::Absent) => continue,
            (None, Default::Required) if matches!(param.kind, Kind::Prediction | Kind::Target) => literal("x"),
            (None, Default::Required) => panic!("`{name}` needs `{}`", param.name),
        };
        args.0.insert(param.name, Arg { value, span: Span::default() });
    }
    Call { signature, args, span: Span::default() }
}

fn literal(text: &str) -> Value {
    match text {
        "true" | "false" => Value::Flag(text == "true"),
        _ => text
            .parse()
            .map(Value::Int)
            .or_else(|_| text.parse().map(Value::Float))
            .unwrap_or(Value::Word(text.to_string())),
    }
}

pub fn given(arguments: &Json) -> Vec<(&str, Value)> {
    let value = |v: &Json| literal(v.as_str().map_or(v.to_string(), String::from).as_str());
    arguments.as_object().expect("an object").iter().map(|(k, v)| (k.as_str(), value(v))).collect()
}

pub fn floats(json: &Json) -> Vec<f64> {
    json.as_array().expect("an array").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Numbers, of which `null` is one that is missing.
pub fn singles(json: &Json) -> Vec<f32> {
    let number = |x: &Json| if x.is_null() { f32::NAN } else { x.as_f64().expect("a number") as f32 };
    json.as_array().expect("an array").iter().map(number).collect()
}

/// Asserts equality within 1e-6 on the scale of the vector, since sums of opposite signs cancel.
fn assert_near(ours: &[f32], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let far = ours.iter().zip(theirs).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
    assert!(far <= 1e-6 * scale, "{what}: {ours:?} is not {theirs:?}");
}

fn optimizer(name: &str, arguments: &[(&str, Value)]) -> (Box<dyn Optimizer>, Hyper) {
    let call = call(&optimizers::signatures(), name, arguments);
    assert!(optimizers::check(&call).is_none());
    (optimizers::build(&call), optimizers::hyper(&call))
}

#[test]
fn optimizers_follow_the_trajectories_of_pytorch() {
    let golden: Json = serde_json::from_str(include_str!("goldens/optimizers.json")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let what = format!("{name} {}", case["arguments"]);
        seen.insert(name);
        let (optimizer, mut hyper) = optimizer(name, &given(&case["arguments"]));
        let mut weight = singles(&golden["start"]);
        let mut slots = vec![vec![0.0; weight.len()]; optimizer.slots().len()];
        for (i, gradient) in golden["gradients"].as_array().unwrap().iter().enumerate() {
            if i == 5 {
                hyper.lr /= 2.0;
            }
            optimizer.update(i as u64 + 1, hyper, &mut weight, &singles(gradient), &mut slots);
            assert_near(&weight, &floats(&case["steps"][i]), &format!("{what}, step {}", i + 1));
        }
        let theirs = case["slots"].as_object().unwrap();
        assert_eq!(theirs.len(), slots.len(), "{what}");
        for (slot, ours) in optimizer.slots().iter().zip(&slots) {
            assert_near(ours, &floats(&theirs[*slot]), &format!("{what}, {slot}"));
        }
    }
    assert_eq!(seen.len(), optimizers::signatures().len(), "an optimizer has no golden");
}

#[test]
fn a_vector_cut_in_two_moves_as_the_whole() {
    for signature in optimizers::signatures() {
        let (optimizer, hyper) = optimizer(signature.name, &[("lr", Value::Float(0.1))]);
        let gradient: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin()).collect();
        let update = |range: std::ops::Range<usize>| {
            let mut weight = vec![1.0; range.len()];
            let mut slots = vec![vec![0.0; range.len()]; optimizer.slots().len()];
            (1..4).for_each(|t| optimizer.update(t, hyper, &mut weight, &gradient[range.clone()], &mut slots));
            weight
        };
        assert_eq!(update(0..37), [update(0..11), update(11..37)].concat(), "{}", signature.name);
    }
}

#[test]
fn a_constant_gradient_does_not_make_centered_rmsprop_nan() {
    let arguments = [("lr", Value::Float(0.01)), ("centered", Value::Flag(true)), ("alpha", Value::Float(0.3))];
    let (optimizer, hyper) = optimizer("rmsprop", &arguments);
    let (mut weight, mut slots) = (vec![1.0; 64], vec![vec![0.0; 64]; 2]);
    let gradient: Vec<f32> = (1..65).map(|i| i as f32 / 3.0).collect();
    (1..200).for_each(|t| optimizer.update(t, hyper, &mut weight, &gradient, &mut slots));
    assert!(weight.iter().all(|w| w.is_finite()));
}

#[test]
fn nesterov_without_momentum_is_an_error() {
    let arguments = [("lr", Value::Float(0.1)), ("nesterov", Value::Flag(true))];
    let problem = optimizers::check(&call(&optimizers::signatures(), "sgd", &arguments)).unwrap();
    assert_eq!(problem.message, "`nesterov` needs momentum");
    assert!(!problem.help.is_empty());
}

#[test]
fn clipping_by_norm_follows_pytorch() {
    let golden: Json = serde_json::from_str(include_str!("goldens/optimizers.json")).unwrap();
    for case in golden["clip_norm"].as_array().unwrap() {
        let mut gradients: Vec<Vec<f32>> = golden["gradients"].as_array().unwrap().iter().map(singles).collect();
        let mut views: Vec<&mut [f32]> = gradients.iter_mut().map(|g| &mut g[..]).collect();
        let norm = clip::clip_norm(&mut views, case["max"].as_f64().unwrap());
        assert_near(&[norm as f32], &[case["norm"].as_f64().unwrap()], "norm");
        for (ours, theirs) in gradients.iter().zip(case["gradients"].as_array().unwrap()) {
            assert_near(ours, &floats(theirs), "clipped gradient");
        }
    }
}

#[test]
fn clipping_hides_no_nan() {
    let mut gradient = [1.0, f32::NAN];
    assert!(clip::clip_norm(&mut [&mut gradient[..]], 1.0).is_nan());
    assert!(gradient.iter().all(|g| g.is_nan()));
    let mut gradient = [1.0, f32::INFINITY];
    assert_eq!(clip::clip_norm(&mut [&mut gradient[..]], 1.0), f64::INFINITY);
    assert!(gradient[0] == 0.0 && gradient[1].is_nan());
    let mut gradient = [-3.0, 0.25, f32::NAN, f32::INFINITY];
    clip::clip_value(&mut [&mut gradient[..]], 0.5);
    assert!(gradient[..2] == [-0.5, 0.25] && gradient[2].is_nan() && gradient[3] == 0.5);
}

fn schedule(name: &str, arguments: &[(&str, Value)]) -> Box<dyn Schedule> {
    schedules::build(&call(&schedules::signatures(), name, arguments))
}

/// The factors of a schedule in a run of ten epochs.
fn factors(name: &str, arguments: &[(&str, Value)], at: &[f64]) -> Vec<f64> {
    let schedule = schedule(name, arguments);
    let factors = at.iter().map(|&epoch| schedule.factor(Progress { epoch, epochs: 10.0 }));
    factors.map(|f| (f * 1e6).round() / 1e6).collect()
}

#[test]
fn schedules_have_the_factors_worked_out_by_hand() {
    let float = Value::Float;
    assert_eq!(factors("constant", &[], &[0.0, 3.7, 10.0]), [1.0, 1.0, 1.0]);
    assert_eq!(factors("step", &[("every", Value::Int(3))], &[0.0, 2.9, 3.0, 6.5, 9.0]), [1.0, 1.0, 0.1, 0.01, 0.001]);
    assert_eq!(factors("step", &[("every", float(0.5)), ("gamma", float(0.5))], &[0.4, 1.2]), [1.0, 0.25]);
    assert_eq!(factors("cosine", &[], &[0.0, 5.0, 10.0, 11.0]), [1.0, 0.5, 0.0, 0.0]);
    assert_eq!(factors("cosine", &[], &[2.5]), [0.853553], "(1 + √½) / 2");
    assert_eq!(factors("cosine", &[("floor", float(0.2))], &[5.0, 10.0]), [0.6, 0.2]);
    assert_eq!(factors("linear", &[], &[0.0, 4.0, 10.0]), [1.0, 0.6, 0.0]);
    assert_eq!(factors("linear", &[("floor", float(0.5))], &[5.0, 10.0]), [0.75, 0.5]);
    let halving = [("gamma", float(0.25))];
    assert_eq!(factors("exponential", &halving, &[0.0, 0.5, 2.0]), [1.0, 0.5, 0.0625]);
}

#[test]
fn every_schedule_warms_up_and_then_starts_from_its_beginning() {
    for signature in schedules::signatures() {
        let name = signature.name;
        let required: Vec<_> = signature.params.iter().filter(|p| p.default == Default::Required).collect();
        let mut arguments: Vec<_> = required.iter().map(|p| (p.name, Value::Float(0.5))).collect();
        let plain = schedule(name, &arguments);
        arguments.push(("warmup", Value::Float(2.0)));
        let warm = schedule(name, &arguments);
        let at = |epoch| warm.factor(Progress { epoch, epochs: 10.0 });
        assert_eq!([at(0.0), at(0.5), at(1.0), at(2.0)], [0.0, 0.25, 0.5, 1.0], "{name}");
        for epoch in [2.0, 3.5, 9.0, 10.0] {
            assert_eq!(at(epoch), plain.factor(Progress { epoch: epoch - 2.0, epochs: 8.0 }), "{name} at {epoch}");
        }
        let short = warm.factor(Progress { epoch: 1.0, epochs: 1.0 });
        assert!(short.is_finite(), "{name} with a warm-up as long as the run gives {short}");
    }
}

#[test]
fn signatures_are_complete() {
    for list in [optimizers::signatures(), schedules::signatures(), metrics::signatures()] {
        for signature in &list {
            assert!(!signature.summary.is_empty() && !signature.summary.ends_with('.'), "{}", signature.name);
            assert_eq!(list.iter().filter(|s| s.name == signature.name).count(), 1, "{} stands twice", signature.name);
            assert!(signature.params.iter().all(|p| !p.doc.is_empty()), "{}", signature.name);
        }
    }
    for signature in metrics::signatures() {
        let kinds = [signature.params[0].kind, signature.params[1].kind];
        assert!(matches!(kinds, [Kind::Prediction, Kind::Target]), "{}", signature.name);
    }
}
