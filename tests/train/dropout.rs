//! Dropout: single elements fall, or whole channels; in both the mean stays.

use mtlc::base::Source;
use mtlc::data::{Array, Batch};
use mtlc::engine::{ENGINES, Noise, Weights};
use mtlc::model::Spec;
use mtlc::plan::Graphs;
use std::path::Path;

const ROWS: usize = 40;

/// What comes out of the layer for an image of ones, in a training step and when answering, on every engine.
fn dropped(layer: &str) -> Vec<(Vec<f32>, Vec<f32>)> {
    let text = format!(
        "model m\ninput x: f32[6, 4, 5]\ntarget y: f32[6, 4, 5]\nhead fallen(x) = {layer}\n\
         head kept(x) = conv(6, 1)\nminimize mse(fallen, y) + mse(kept, y)"
    );
    let spec = Spec::of(Source::new("m.mtl", text), Path::new(""), &[]).expect("the spec is right");
    let graphs = Graphs::of(&spec.model);
    let graphs = graphs.unwrap_or_else(|wrong| panic!("{}", wrong.render(Some(&spec.source), false)));
    let dims = vec![ROWS, 6, 4, 5];
    let ones = Array::F32 { data: vec![1.0; ROWS * 120], dims };
    let mut batch = Batch { size: ROWS, values: Default::default(), present: Default::default() };
    ["x", "y"].iter().for_each(|name| drop(batch.values.insert(name.to_string(), ones.clone())));
    batch.present.insert("y".into(), vec![1.0; ROWS]);
    let run = |engine: &&dyn mtlc::engine::Engine| {
        let weights = Weights::initial(&graphs.train, 0);
        let out = |graph: &mtlc::graph::Graph| graph.outputs.iter().find(|o| o.name == "fallen").expect("a head").value;
        let mut session = engine.session(&graphs.train);
        let objective = graphs.train.objective().expect("it is trained");
        session.backward(&weights, &batch, Noise { seed: 3, step: 1 }, &[out(&graphs.train)], &[objective]);
        let trained = session.result(0).to_vec();
        let mut session = engine.session(&graphs.eval);
        session.forward(&weights, &batch, &[out(&graphs.eval)]);
        (trained, session.result(0).to_vec())
    };
    ENGINES.iter().map(run).collect()
}

#[test]
fn channels_fall_as_a_whole() {
    for (trained, answered) in dropped("conv(6, 1, bias: false) -> dropout(0.25, by: channel)") {
        let channels = |values: &[f32]| values.chunks(20).map(<[f32]>::to_vec).collect::<Vec<_>>();
        let mut fallen = 0;
        for (channel, whole) in channels(&trained).iter().zip(channels(&answered)) {
            assert!(whole.iter().all(|x| *x != 0.0), "nothing falls when the model answers");
            let kept: Vec<f32> = whole.iter().map(|x| x / 0.75).collect();
            let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
            let all_fallen = channel.iter().all(|x| *x == 0.0);
            assert!(all_fallen || near(channel, &kept), "a channel falls as a whole: {channel:?} of {whole:?}");
            fallen += usize::from(all_fallen);
        }
        // 240 channels, of which 60 are expected to fall, with a deviation of 6.7.
        assert!((35..85).contains(&fallen), "{fallen} of 240 channels fell");
    }
}

#[test]
fn elements_fall_one_by_one() {
    for (trained, _) in dropped("conv(6, 1, bias: false) -> dropout(0.25)") {
        let torn = trained.chunks(20).filter(|c| c.contains(&0.0) && c.iter().any(|x| *x != 0.0));
        assert!(torn.count() > 200, "in 20 elements some fall and some stay");
    }
}
