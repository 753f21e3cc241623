//! Optimizers, schedules and metrics against PyTorch, scikit-learn and values worked out by hand.
//!
//! `tests/goldens/make_optimizers.py` and `make_metrics.py` wrote the goldens.

use mtlc::base::signature::{Arg, Args, Call, Default, Kind, Signature, Value};
use mtlc::base::{DType, Span, Type};
use mtlc::parts::metrics::{self, Direction, Metric, Prediction, Truth};
use mtlc::parts::optimizers::{self, Hyper, Optimizer, clip};
use mtlc::parts::schedules::{self, Progress, Schedule};
use serde_json::Value as Json;

/// A call with defaults filled in, as the checker makes it.
fn call(signatures: &[&'static Signature], name: &str, given: &[(&str, Value)]) -> Call {
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

fn given(arguments: &Json) -> Vec<(&str, Value)> {
    let value = |v: &Json| literal(v.as_str().map_or(v.to_string(), String::from).as_str());
    arguments.as_object().expect("an object").iter().map(|(k, v)| (k.as_str(), value(v))).collect()
}

fn floats(json: &Json) -> Vec<f64> {
    json.as_array().expect("an array").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn singles(json: &Json) -> Vec<f32> {
    floats(json).into_iter().map(|x| x as f32).collect()
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

fn metric(name: &str, arguments: &[(&str, Value)]) -> Box<dyn Metric> {
    metrics::build(&call(&metrics::signatures(), name, arguments))
}

/// A batch of classes or numbers, owned.
#[derive(Clone)]
struct Batch {
    dims: Vec<usize>,
    values: Vec<f32>,
    ids: Option<Vec<i64>>,
    numbers: Vec<f32>,
    present: Vec<f32>,
}

impl Batch {
    fn classes(dims: &[usize], values: &[f32], ids: &[i64]) -> Self {
        let (dims, values, present) = (dims.to_vec(), values.to_vec(), vec![1.0; dims[0]]);
        Self { dims, values, ids: Some(ids.to_vec()), numbers: vec![], present }
    }

    fn numbers(dims: &[usize], values: &[f32], numbers: &[f32]) -> Self {
        let (dims, values, present) = (dims.to_vec(), values.to_vec(), vec![1.0; dims[0]]);
        Self { dims, values, ids: None, numbers: numbers.to_vec(), present }
    }

    fn rows(&self, range: std::ops::Range<usize>) -> Self {
        let rows = self.dims[0];
        fn cut<T: Clone>(list: &[T], rows: usize, range: &std::ops::Range<usize>) -> Vec<T> {
            let width = list.len() / rows;
            list[range.start * width..range.end * width].to_vec()
        }
        let mut dims = self.dims.clone();
        dims[0] = range.len();
        Self {
            dims,
            values: cut(&self.values, rows, &range),
            ids: self.ids.as_ref().map(|ids| cut(ids, rows, &range)),
            numbers: cut(&self.numbers, rows, &range),
            present: cut(&self.present, rows, &range),
        }
    }

    fn add(&self, metric: &mut dyn Metric) {
        let truth = match &self.ids {
            Some(ids) => Truth::Classes { ids },
            None => Truth::Numbers { values: &self.numbers },
        };
        metric.update(Prediction { values: &self.values, dims: &self.dims }, truth, &self.present);
    }

    fn measure(&self, name: &str, arguments: &[(&str, Value)]) -> Option<f64> {
        let mut metric = metric(name, arguments);
        self.add(&mut *metric);
        metric.value()
    }
}

#[test]
fn metrics_agree_with_scikit_learn_whatever_the_batches() {
    let golden: Json = serde_json::from_str(include_str!("goldens/metrics.json")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for case in golden.as_array().unwrap() {
        let (name, arguments) = (case["name"].as_str().unwrap(), given(&case["arguments"]));
        seen.insert(name);
        let dims: Vec<usize> = floats(&case["dims"]).iter().map(|&n| n as usize).collect();
        let (values, truth) = (singles(&case["prediction"]), singles(&case["truth"]));
        let batch = if truth.len() < values.len() {
            Batch::classes(&dims, &values, &truth.iter().map(|&x| x as i64).collect::<Vec<_>>())
        } else {
            Batch::numbers(&dims, &values, &truth)
        };
        let (ours, theirs) = (batch.measure(name, &arguments).unwrap(), case["value"].as_f64().unwrap());
        let what = format!("{name} {} of {dims:?}: {ours}, not {theirs}", case["arguments"]);
        assert!((ours - theirs).abs() <= 1e-12 * theirs.abs(), "{what}");

        let mut split = metric(name, &arguments);
        [0..1, 1..8, 8..8, 8..24].into_iter().for_each(|range| batch.rows(range).add(&mut *split));
        assert_eq!(split.value(), Some(ours), "{name}, in batches");

        // Rows whose label is missing change nothing, whatever they hold.
        let mut gaps = metric(name, &arguments);
        let mut missing = batch.rows(3..9);
        missing.present.fill(0.0);
        missing.values.fill(f32::NAN);
        [batch.rows(0..5), missing, batch.rows(5..24)].iter().for_each(|b| b.add(&mut *gaps));
        assert_eq!(gaps.value(), Some(ours), "{name}, with absent rows");
        let mut unlabelled = batch.rows(3..9);
        unlabelled.values.fill(f32::NAN);
        unlabelled.ids.iter_mut().for_each(|ids| ids.fill(-1));
        unlabelled.numbers.fill(f32::NAN);
        let mut gaps = metric(name, &arguments);
        [batch.rows(0..5), unlabelled.clone(), batch.rows(5..24)].iter().for_each(|b| b.add(&mut *gaps));
        assert_eq!(gaps.value(), Some(ours), "{name}, with missing labels");
        assert_eq!(unlabelled.measure(name, &arguments), None, "{name}, with no label");
        assert_eq!(metric(name, &arguments).value(), None, "{name}, without batches");

        // A NaN prediction at a label is seen, and stays seen.
        let mut broken = batch.rows(0..4);
        broken.values[1] = f32::NAN;
        let mut sick = metric(name, &arguments);
        [broken, batch.clone()].iter().for_each(|b| b.add(&mut *sick));
        assert!(sick.value().unwrap().is_nan(), "{name}, with a NaN prediction");
    }
    assert_eq!(seen.len(), metrics::signatures().len(), "a metric has no golden");
}

#[test]
fn accuracy_finds_the_class_axis_of_tokens_and_pixels() {
    // Two rows of three tokens and two classes; the last axis holds the classes.
    let tokens = [1.0, 0.0, 0.0, 1.0, 2.0, 3.0, 5.0, 4.0, 0.0, 0.0, -1.0, 0.0];
    let batch = Batch::classes(&[2, 3, 2], &tokens, &[0, 1, 0, 1, 0, -1]);
    assert_eq!(batch.measure("accuracy", &[]), Some(3.0 / 5.0));
    // One image of two by two pixels and two classes; the second axis holds the classes.
    let pixels = [1.0, 0.0, 2.0, 3.0, 0.0, 1.0, 5.0, 1.0];
    let mut batch = Batch::classes(&[1, 2, 2, 2], &pixels, &[0, 1, 1, 1]);
    assert_eq!(batch.measure("accuracy", &[]), Some(0.75));
    batch.present[0] = 0.0;
    assert_eq!(batch.measure("accuracy", &[]), None);
    // Each row has its own presence.
    let mut rows = Batch::classes(&[2, 3, 2], &tokens, &[0, 1, 1, 1, 1, 0]);
    assert_eq!(rows.measure("accuracy", &[]), Some(0.5));
    rows.present[1] = 0.0;
    assert_eq!(rows.measure("accuracy", &[]), Some(1.0));
}

#[test]
fn equal_logits_rank_by_class() {
    let batch = Batch::classes(&[3, 3], &[0.0; 9], &[0, 1, 2]);
    assert_eq!(batch.measure("accuracy", &[]), Some(1.0 / 3.0));
    for k in 1..5 {
        assert_eq!(batch.measure("top_k", &[("k", Value::Int(k))]), Some(k.min(3) as f64 / 3.0));
    }
    assert_eq!(batch.measure("auroc", &[]), Some(0.5), "equal scores count half");
}

#[test]
fn a_class_beyond_the_logits_is_a_miss() {
    let batch = Batch::classes(&[2, 2], &[1.0, 0.0, 1.0, 0.0], &[0, 9]);
    assert_eq!(batch.measure("accuracy", &[]), Some(0.5));
    assert_eq!(batch.measure("top_k", &[]), Some(0.5));
    assert_eq!(batch.measure("f1", &[("average", Value::Word("macro".into()))]), Some(2.0 / 3.0));
}

#[test]
fn metrics_are_undefined_where_they_say_nothing() {
    let one = Batch::classes(&[2, 2], &[1.0, 0.0, 0.0, 1.0], &[0, 0]);
    assert_eq!(one.measure("auroc", &[]), None, "one class alone has no area");
    let none = Batch::classes(&[1, 2], &[1.0, 0.0], &[0]);
    assert_eq!(none.measure("f1", &[("average", Value::Word("binary".into()))]), None, "class 1 is nowhere");
    let single = Batch::numbers(&[1, 1], &[1.0], &[2.0]);
    assert_eq!(single.measure("r2", &[]), None, "one label has no variance");
    let constant = Batch::numbers(&[2, 1], &[1.0, 2.0], &[2.0, 2.0]);
    assert_eq!(constant.measure("r2", &[]), Some(0.0));
    let exact = Batch::numbers(&[2, 1], &[2.0, 2.0], &[2.0, 2.0]);
    assert_eq!(exact.measure("r2", &[]), Some(1.0));
    // Class 2 does not occur; the others have areas of 1 and 1/2.
    let rare = Batch::classes(&[3, 3], &[2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0], &[0, 1, 1]);
    assert_eq!(rare.measure("auroc", &[]), Some(1.0));
}

#[test]
fn infinite_predictions_do_not_panic() {
    for signature in metrics::signatures() {
        for &x in &[f32::INFINITY, f32::NEG_INFINITY] {
            let batch = Batch::classes(&[2, 3], &[x, x, 0.0, 1.0, x, 2.0], &[0, 1]);
            batch.measure(signature.name, &[]);
            Batch::numbers(&[2, 1], &[x, 0.0], &[1.0, 0.0]).measure(signature.name, &[]);
        }
    }
}

#[test]
fn directions_order_values() {
    assert!(Direction::Higher.better(0.9, 0.8) && !Direction::Higher.better(0.8, 0.8));
    assert!(Direction::Lower.better(0.1, 0.2) && !Direction::Lower.better(f64::NAN, 0.2));
    assert!(Direction::Lower.better(5.0, f64::NAN) && !Direction::Higher.better(f64::NAN, f64::NAN));
    for (name, direction) in [("accuracy", Direction::Higher), ("rmse", Direction::Lower), ("r2", Direction::Higher)] {
        assert_eq!(metric(name, &[]).direction(), direction);
    }
}

#[test]
fn metrics_accept_the_types_they_can_compare() {
    let f32s = |dims: &[usize]| Type::batched(DType::F32, dims);
    let ids = |dims: &[usize]| Type::batched(DType::I64, dims);
    for (name, prediction, target) in [
        ("accuracy", f32s(&[10]), ids(&[])),
        ("accuracy", f32s(&[7, 10]), ids(&[7])),
        ("f1", f32s(&[3, 8, 9]), ids(&[8, 9])),
        ("auroc", f32s(&[4]), f32s(&[4])),
        ("rmse", f32s(&[1, 8, 9]), f32s(&[1, 8, 9])),
    ] {
        assert_eq!(metrics::accepts(name, &prediction, &target), Ok(()), "{name}");
    }
    let refusals = [
        ("rmse", f32s(&[3]), ids(&[])),
        ("mae", f32s(&[3]), f32s(&[1])),
        ("top_k", f32s(&[3]), f32s(&[3])),
        ("accuracy", f32s(&[1]), ids(&[])),
        ("accuracy", f32s(&[7, 10]), ids(&[])),
        ("f1", f32s(&[3, 8, 9]), ids(&[8, 8])),
        ("auroc", f32s(&[]), ids(&[])),
        ("accuracy", ids(&[3]), ids(&[])),
    ];
    let messages = refusals.map(|(name, prediction, target)| {
        let mismatch = metrics::accepts(name, &prediction, &target).unwrap_err();
        format!("{}\n  help: {}", mismatch.message, mismatch.help.as_deref().unwrap_or("-"))
    });
    insta::assert_snapshot!(messages.join("\n"));
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
