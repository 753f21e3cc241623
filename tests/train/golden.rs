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
balance uncertainty
data rows = npz("training.npz", split: [1.0]) { image = array("image")  kind = array("kind")  size = array("size") }
train { epochs: 5, batch: 24, optimizer: adamw(lr: 0.05, weight_decay: 0.1), clip: 0.5 }
"#;

struct Record(Vec<EpochRecord>);

impl Watch for Record {
    fn epoch_ends(&mut self, record: &EpochRecord, _: bool) {
        self.0.push(record.clone());
    }
}

#[test]
fn five_steps_agree_with_pytorch() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let golden = TensorFile::read(&goldens.join("training.safetensors")).expect("the goldens are whole");
    let spec = Spec::of(Source::new("golden.mtl", SPEC), &goldens, &[]).expect("the spec is right");
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    let sources = Sources::open(&spec.model).expect("the data are right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for engine in ENGINES {
        let mut weights = mtlc::engine::Weights::initial(&graphs.train, 0);
        for path in graphs.train.parameters.keys() {
            if let Some(first) = golden.tensors.get(&format!("first/{path}")) {
                weights.get_mut(path).clone_from(first);
            }
        }
        let run = Run::create(folder.path(), "golden").expect("a folder for the run");
        let (state, history) = (State::new(weights), History::default());
        let mut record = Record(vec![]);
        let task = Fit {
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
        let losses = &golden.tensors["losses"].data;
        for (step, record) in record.0.iter().enumerate() {
            let ours = [Some(record.train.objective), record.train.losses["label"], record.train.losses["amount"]];
            for (ours, theirs) in ours.into_iter().zip(&losses[3 * step..]) {
                let ours = ours.expect("there are labels");
                assert!((ours - f64::from(*theirs)).abs() < 1e-5, "step {step}: {ours} against {theirs}");
            }
        }
        for (path, array) in outcome.state.weights.iter() {
            let theirs = &golden.tensors[&format!("last/{path}")].data;
            for (ours, theirs) in array.data.iter().zip(theirs) {
                assert!((ours - theirs).abs() < 2e-5, "{path}: {ours} against {theirs}");
            }
        }
        assert_eq!(outcome.state.weights.iter().count(), 10, "every parameter and statistic is compared");
    }
}
