//! Metrics against scikit-learn, torchmetrics, pycocotools and values worked out by hand.
//!
//! `tests/goldens/make_metrics.py` wrote the golden.

use super::parts::{call, floats, given, singles};
use mtlc::base::signature::Value;
use mtlc::base::{DType, Type};
use mtlc::parts::boxes::{Found, suppressed};
use mtlc::parts::coding::Coding;
use mtlc::parts::metrics::map::MeanPrecision;
use mtlc::parts::metrics::{self, Direction, Metric, Prediction, Truth};
use serde_json::Value as Json;

/// The names of the classes of whatever reads names.
const TAGS: [&str; 5] = ["O", "B-PLACE", "I-PLACE", "B-PERSON", "I-PERSON"];

fn metric(name: &str, arguments: &[(&str, Value)]) -> Box<dyn Metric> {
    let mut metric = metrics::build(&call(&metrics::signatures(), name, arguments));
    metric.names(&TAGS.map(String::from));
    metric
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
fn metrics_agree_with_others_whatever_the_batches() {
    let golden: Json = serde_json::from_str(include_str!("goldens/metrics.json")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for case in golden.as_array().unwrap() {
        let (name, arguments) = (case["name"].as_str().unwrap(), given(&case["arguments"]));
        seen.insert(name);
        assert!(case.get("names").is_none_or(|names| *names == serde_json::json!(TAGS)));
        let dims: Vec<usize> = floats(&case["dims"]).iter().map(|&n| n as usize).collect();
        let (values, truth) = (singles(&case["prediction"]), singles(&case["truth"]));
        let boxes = name.starts_with("map");
        let batch = if truth.len() < values.len() && !boxes {
            Batch::classes(&dims, &values, &truth.iter().map(|&x| x as i64).collect::<Vec<_>>())
        } else {
            Batch::numbers(&dims, &values, &truth)
        };
        let (ours, theirs) = (batch.measure(name, &arguments).unwrap(), case["value"].as_f64().unwrap());
        let what = format!("{name} {} of {dims:?}: {ours}, not {theirs}", case["arguments"]);
        // pycocotools takes corners as sides, which rounds.
        let tolerance = if boxes { 1e-9 } else { 1e-12 };
        assert!((ours - theirs).abs() <= tolerance * theirs.abs(), "{what}");

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

/// One map of two by two pixels and two channels: right, opposite, at a right angle, and without a label; then a prediction that
/// points nowhere.
#[test]
fn directions_are_read_along_the_channels() {
    let predicted = [1.0, 0.0, 0.0, 1.0, 0.0, 2.0, 3.0, 1.0];
    let truth = [5.0, 0.0, 1.0, f32::NAN, 0.0, -1.0, 0.0, 1.0];
    let batch = Batch::numbers(&[1, 2, 2, 2], &predicted, &truth);
    assert_eq!(batch.measure("angle", &[]), Some((0.0 + 180.0 + 90.0) / 3.0));
    assert_eq!(batch.measure("within", &[("degrees", Value::Float(100.0))]), Some(2.0 / 3.0));
    assert_eq!(batch.measure("within", &[("degrees", Value::Float(90.0))]), Some(1.0 / 3.0), "below, not up to");
    let nowhere = Batch::numbers(&[2, 2], &[0.0, 0.0, 1.0, 0.0], &[1.0, 1.0, 0.0, 0.0]);
    assert_eq!(nowhere.measure("angle", &[]), Some(90.0), "a truth without length is no label");
}

/// Boxes of one class hide each other where they overlap by more than 0.6; of other classes they do not.
#[test]
fn suppression_keeps_the_best_of_a_class() {
    let found = |class, score, corners| Found { class, score, corners };
    let (a, b) = ([0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 7.0]);
    let kept =
        suppressed(vec![found(0, 0.9, a), found(0, 0.8, b), found(1, 0.7, b), found(0, 0.6, [0.0, 0.0, 10.0, 6.0])]);
    assert_eq!(
        kept,
        [found(0, 0.9, a), found(1, 0.7, b), found(0, 0.6, [0.0, 0.0, 10.0, 6.0])],
        "an overlap of just 0.6"
    );
    let many = (0..300).map(|k| found(0, 0.5, [k as f32, 0.0, k as f32 + 0.5, 1.0])).collect();
    assert_eq!(suppressed(many).len(), 100);
}

/// One class: two true boxes, found at the places 1 and 3 of the ranking; so precision is 1 up to a recall of a half, and 2/3 up to 1.
#[test]
fn average_precision_by_hand() {
    let corners = |k: f32| [k, 0.0, k + 10.0, 10.0];
    let found = |score, k| Found { class: 1, score, corners: corners(k) };
    let mut metric = MeanPrecision::new(1);
    metric.add(&[found(0.9, 0.0)], &[(1, corners(0.0))]);
    metric.add(&[found(0.8, 50.0)], &[]);
    metric.add(&[found(0.7, 1.0), found(0.6, 0.0)], &[(1, corners(0.0))]);
    let value = metric.value().unwrap();
    assert!((value - (51.0 + 50.0 * 2.0 / 3.0) / 101.0).abs() < 1e-12, "{value}");
    // A class that is there and never found counts 0; one that is found and never there counts nowhere.
    metric.add(&[Found { class: 2, score: 0.9, corners: corners(0.0) }], &[(0, corners(0.0))]);
    assert!((metric.value().unwrap() - value / 2.0).abs() < 1e-12);
    assert_eq!(MeanPrecision::new(10).value(), None);
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
        assert_eq!(metrics::accepts(name, Coding::Scores, &prediction, &target), Ok(()), "{name}");
    }
    let refusals = [
        ("rmse", f32s(&[3]), ids(&[])),
        ("mae", f32s(&[3]), f32s(&[1])),
        ("top_k", f32s(&[3]), f32s(&[3])),
        ("accuracy", f32s(&[1]), ids(&[])),
        ("accuracy", f32s(&[7, 10]), ids(&[])),
        ("f1", f32s(&[3, 8, 9]), ids(&[8, 8])),
        ("auroc", f32s(&[]), ids(&[])),
        ("angle", f32s(&[3]), ids(&[])),
        ("angle", f32s(&[1, 8, 8]), f32s(&[1, 8, 8])),
        ("accuracy", ids(&[3]), ids(&[])),
    ];
    // Ordered classes are numbers, as far as distances go; what only names classes cannot be ranked.
    assert_eq!(metrics::accepts("mae", Coding::Steps, &f32s(&[3]), &ids(&[])), Ok(()));
    assert!(metrics::accepts("mae", Coding::Scores, &f32s(&[3]), &ids(&[])).is_err());
    assert!(metrics::accepts("auroc", Coding::Steps, &f32s(&[3]), &ids(&[])).is_err());
    assert!(metrics::accepts("top_k", Coding::Chain, &f32s(&[7, 3]), &ids(&[7])).is_err());
    let messages = refusals.map(|(name, prediction, target)| {
        let mismatch = metrics::accepts(name, Coding::Scores, &prediction, &target).unwrap_err();
        format!("{}\n  help: {}", mismatch.message, mismatch.help.as_deref().unwrap_or("-"))
    });
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn entities_are_whole_or_wrong() {
    // One row of tags against another, as seqeval's documentation shows them.
    let tags = |text: &str| -> Vec<usize> {
        text.split(' ').map(|tag| TAGS.iter().position(|t| *t == tag).expect("a tag")).collect()
    };
    let measure = |truth: &str, named: &str| {
        let (truth, named) = (tags(truth), tags(named));
        let scores: Vec<f32> = named.iter().flat_map(|&n| (0..5).map(move |c| f32::from(u8::from(c == n)))).collect();
        let ids: Vec<i64> = truth.iter().map(|&t| t as i64).collect();
        Batch::classes(&[1, truth.len(), 5], &scores, &ids).measure("entity_f1", &[])
    };
    assert_eq!(measure("O B-PLACE I-PLACE O B-PERSON", "O B-PLACE I-PLACE O O"), Some(2.0 / 3.0));
    // Half of an entity is none, and one that begins with an inside tag is one.
    assert_eq!(measure("O B-PLACE I-PLACE O", "O B-PLACE O O"), Some(0.0));
    assert_eq!(measure("O B-PLACE I-PLACE O", "O I-PLACE I-PLACE O"), Some(1.0));
    // Two side by side are two, and a kind that changes begins another.
    assert_eq!(measure("B-PLACE B-PLACE", "B-PLACE I-PLACE"), Some(0.0));
    assert_eq!(measure("B-PLACE B-PERSON", "I-PLACE I-PERSON"), Some(1.0));
    assert_eq!(measure("O O", "O O"), None);
    assert_eq!(measure("O O", "O B-PLACE"), Some(0.0));
}

#[test]
fn what_a_head_codes_becomes_scores() {
    let everywhere = |_: usize, _: usize| true;
    // So many classes as logits are above 0; a NaN names none.
    let steps = [-1.0, -2.0, 3.0, -1.0, 3.0, 1.0, f32::NAN, 0.0];
    let (scores, dims) = Coding::Steps.scores(&steps, &[4, 2], everywhere);
    assert_eq!((dims, &scores[..9]), (vec![4, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0][..]));
    assert!(scores[9..].iter().all(|x| x.is_nan()));
    // At each pixel: the steps lie on the second axis.
    let (scores, dims) = Coding::Steps.scores(&[1.0, -1.0], &[1, 1, 1, 2], everywhere);
    assert_eq!((dims, scores), (vec![1, 2, 1, 2], vec![0.0, 1.0, 1.0, 0.0]));
    // A chain of two labels that must change, and of which the first place does not count.
    let place = [0.0, 5.0, 5.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    let (scores, dims) = Coding::Chain.scores(&place.repeat(3), &[1, 3, 8], |_, place| place > 0);
    assert_eq!((dims, scores), (vec![1, 3, 2], vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0]));
    for coding in [Coding::Scores, Coding::Chain, Coding::Steps] {
        assert_eq!(coding.classes(coding.width(7)), Some(7));
    }
}
