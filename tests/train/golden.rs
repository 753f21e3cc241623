//! Five steps of a whole multi-task network against PyTorch: convolution, batch norm in training, two heads, missing labels,
//! learned task weights, tuned rates, clipping and AdamW together. `goldens/make_training.py` made the numbers.

use mtlc::base::Source;
use mtlc::engine::ENGINES;
use mtlc::model::Spec;
use mtlc::plan::Graphs;
use mtlc::train::{EpochRecord, Fit, History, Run, Sources, State, Watch, fit};
use mtlc::weights::TensorFile;
use std::path::Path;

const SPEC: &str = r#"
model golden
input  image: f32[2, 6, 6]
target kind:  class[3]
target size:  f32[1]
backbone trunk(image) = conv(4, 3) -> norm -> gelu -> max_pool(2) -> flatten
head label(trunk)  = linear(3)
head amount(trunk) = linear(1)
tune trunk (lr: 0.4x)
minimize 1.0 * cross_entropy(label, kind, smoothing: 0.1) + 0.5 * huber(amount, size)
balance uncertainty(lr: 0.01)
data rows = npz("training.npz", split: [1.0]) { image = array("image")  kind = array("kind")  size = array("size") }
train { epochs: 5, batch: 24, optimizer: adamw(lr: 0.05, weight_decay: 0.1), clip: 0.5 }
"#;

struct Record(Vec<EpochRecord>);

impl Watch for Record {
    fn epoch_ends(&mut self, record: &EpochRecord, _: bool) {
        self.0.push(record.clone());
    }
}

/// Trains the spec with other rules for the trunk on every engine, and compares losses and what it ends with below `prefix`.
fn agrees(rules: &str, prefix: &str) {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let golden = TensorFile::read(&goldens.join("training.safetensors")).expect("the goldens are whole");
    let text = SPEC.replace("tune trunk (lr: 0.4x)", rules).replace("clip: 0.5", &settings(prefix));
    let spec = Spec::of(Source::new("golden.mtl", text), &goldens, &[]).expect("the spec is right");
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    let sources = Sources::open(&spec.model).expect("the data are right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for engine in ENGINES {
        let mut weights = mtlc::engine::Weights::initial(&graphs.train, 0);
        for path in graphs.train.parameters.keys() {
            let own = golden.tensors.get(&format!("{prefix}first/{path}"));
            if let Some(first) = own.or(golden.tensors.get(&format!("first/{path}"))) {
                weights.get_mut(path).clone_from(first);
            }
        }
        let run = Run::create(folder.path(), "golden").expect("a folder for the run");
        let (state, history) = (State::new(weights), History::default());
        let mut record = Record(vec![]);
        let task = Fit {
            features: None,
            model: &spec.model,
            engine: *engine,
            sources: &sources,
            run: &run,
            state,
            history,
            stop_after: None,
            profile: false,
        };
        let outcome = fit(task, &mut record).expect("it trains");
        let losses = &golden.tensors[&format!("{prefix}losses")].data;
        for (step, record) in record.0.iter().enumerate() {
            let ours = [Some(record.train.objective), record.train.losses["label"], record.train.losses["amount"]];
            for (ours, theirs) in ours.into_iter().zip(&losses[3 * step..]) {
                let ours = ours.expect("there are labels");
                assert!((ours - f64::from(*theirs)).abs() < 1e-5, "step {step}: {ours} against {theirs}");
            }
        }
        let close = |path: &str, ours: &[f32], theirs: &str| {
            let theirs = &golden.tensors[&format!("{prefix}{theirs}/{path}")].data;
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours - theirs).abs() < 2e-5, "{path}: {ours} against {theirs}");
            }
        };
        for (path, array) in outcome.state.weights.iter() {
            close(path, &array.data, "last");
        }
        let known = golden.tensors.keys().filter(|name| name.starts_with(&format!("{prefix}last/"))).count();
        assert_eq!(outcome.state.weights.iter().count(), known, "every parameter and statistic is compared");
        for (path, average) in &outcome.state.average {
            close(path, average, "average");
        }
        let averaged = golden.tensors.keys().any(|name| name.starts_with(&format!("{prefix}average/")));
        assert_eq!(outcome.state.average.len(), if averaged { 7 } else { 0 }, "every trained parameter is averaged");
    }
}

fn settings(prefix: &str) -> String {
    if prefix == "l2sp/" { "clip: 0.5, ema: 0.7".into() } else { "clip: 0.5".into() }
}

#[test]
fn five_steps_agree_with_pytorch() {
    agrees("tune trunk (lr: 0.4x)", "");
}

#[test]
fn a_pull_to_the_start_and_averages_agree_with_pytorch() {
    agrees("tune trunk (lr: 0.4x, l2sp: 2.0)", "l2sp/");
}

#[test]
fn biases_alone_agree_with_pytorch() {
    agrees("tune trunk (lr: 0.4x, adapt: bitfit)", "bitfit/");
}

#[test]
fn products_of_low_rank_agree_with_pytorch() {
    agrees("tune trunk (lr: 0.4x, adapt: lora(2, alpha: 3)), label (adapt: lora(2, alpha: 3))", "lora/");
}
