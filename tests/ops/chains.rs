//! Chains of labels: pytorch-crf on whole networks of them, every path by itself, and what a missing label does.

use super::assert_close;
use crate::parts::singles;
use mtlc::base::{DType, Type};
use mtlc::ops::chain::{Chain, labels, width};
use mtlc::ops::{Op, Value, pullback::pullback};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;

fn golden() -> Vec<Json> {
    serde_json::from_str(include_str!("../goldens/crf.json")).expect("the golden is well-formed")
}

fn op(name: &str) -> Op {
    serde_json::from_value(serde_json::json!({ name: {} })).expect("an op")
}

#[test]
fn loss_gradients_and_paths_are_those_of_pytorch_crf() {
    for case in golden() {
        let [batch, tokens, n] = [0, 1, 2].map(|i| case["dims"][i].as_u64().expect("a size") as usize);
        let what = format!("{batch} sequences of {tokens} tokens and {n} labels");
        let tables = [("transitions", vec![n, n]), ("start", vec![n]), ("end", vec![n])];
        let mut inputs = vec![Value::from_vec(singles(&case["emissions"]), &[batch, tokens, n])];
        inputs.extend(tables.iter().map(|(name, dims)| Value::from_vec(singles(&case[*name]), dims)));
        let types: Vec<Type> = std::iter::once(Type::batched(DType::F32, &[tokens, n]))
            .chain(tables.iter().map(|(_, dims)| Type::fixed(DType::F32, dims)))
            .collect();
        let packed = op("potentials").signature(&types).expect("they fit");
        let ids: Vec<i64> = case["tags"].as_array().expect("tags").iter().filter_map(Json::as_i64).collect();
        let scores = pullback(&op("potentials"), &inputs, &packed, batch, &vec![0.0; packed.elements(batch)]).0;
        let of_loss = [
            scores.clone(),
            Value::from_ids(ids.clone(), &[batch, tokens]),
            Value::from_vec(vec![1.0; batch], &[batch]),
        ];
        let (loss, slopes) = pullback(&op("crf"), &of_loss, &Type::scalar(), batch, &[1.0]);
        let want = case["loss"].as_f64().expect("a loss") as f32;
        assert_close(&what, &loss.to_vec(), &[want], 1e-5);
        let slopes = slopes[0].as_ref().expect("scores have a gradient");
        let gradients = pullback(&op("potentials"), &inputs, &packed, batch, slopes).1;
        for (name, got) in ["emissions", "transitions", "start", "end"].iter().zip(gradients) {
            let want = singles(&case[format!("{name}.grad")]);
            assert_close(&format!("{what}, {name}"), &got.expect("each has one"), &want, 1e-5);
        }
        for (row, path) in case["paths"].as_array().expect("a path for each").iter().enumerate() {
            let scores = scores.to_vec();
            let chain = Chain::new(&scores[row * tokens * width(n)..][..tokens * width(n)], n);
            let places: Vec<usize> = (0..tokens).filter(|place| ids[row * tokens + place] >= 0).collect();
            let path: Vec<u64> = path.as_array().expect("labels").iter().filter_map(Json::as_u64).collect();
            assert_eq!(chain.best(&places).iter().map(|&l| l as u64).collect::<Vec<_>>(), path, "{what}, row {row}");
        }
    }
}

/// The score of a path over some places, said as the file's documentation says it.
fn score(scores: &[f32], n: usize, places: &[usize], path: &[usize]) -> f64 {
    let at = |place: usize, row: usize, c: usize| f64::from(scores[place * width(n) + row * n + c]);
    let mut sum = at(places[0], n, path[0]);
    for k in 1..places.len() {
        sum += at(places[k], path[k - 1], path[k]);
    }
    sum + at(places[places.len() - 1], n + 1, path[places.len() - 1])
}

fn every_path(n: usize, len: usize) -> Vec<Vec<usize>> {
    (0..len).fold(vec![vec![]], |paths, _| {
        paths.iter().flat_map(|path| (0..n).map(|c| [&path[..], &[c]].concat())).collect()
    })
}

#[test]
fn the_best_path_is_the_best_of_all_also_over_gaps() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for n in 1..4 {
        for tokens in 1..6 {
            let scores: Vec<f32> = (0..tokens * width(n)).map(|_| random.gen_range(-3.0..3.0)).collect();
            let places: Vec<usize> = (0..tokens).filter(|_| random.gen_bool(0.7)).collect();
            let chain = Chain::new(&scores, n);
            let best = chain.best(&places);
            let Some(most) = (!places.is_empty()).then(|| {
                let paths = every_path(n, places.len());
                paths.iter().map(|path| score(&scores, n, &places, path)).fold(f64::NEG_INFINITY, f64::max)
            }) else {
                assert!(best.is_empty());
                continue;
            };
            assert!((score(&scores, n, &places, &best) - most).abs() < 1e-9, "{n} labels, {tokens} tokens");
            // The loss is what all paths weigh, less the path asked for.
            let ids: Vec<i64> =
                (0..tokens).map(|t| if places.contains(&t) { random.gen_range(0..n as i64) } else { -1 }).collect();
            let path: Vec<usize> = places.iter().map(|&t| ids[t] as usize).collect();
            let all: f64 = every_path(n, places.len()).iter().map(|p| score(&scores, n, &places, p).exp()).sum();
            let loss = chain.surprise(&ids, &mut vec![], None).expect("there are labels");
            assert!((loss - (all.ln() - score(&scores, n, &places, &path))).abs() < 1e-9);
        }
    }
    // Of equals the first wins.
    assert_eq!(Chain::new(&[0.0; 3 * 8], 2).best(&[0, 1, 2]), [0, 0, 0]);
}

#[test]
fn the_width_of_a_chain_tells_its_labels() {
    assert_eq!([0, 1, 3, 7, 8, 14, 15, 168].map(labels), [None, None, Some(1), None, Some(2), None, Some(3), Some(12)]);
    assert!((1..200).all(|n| labels(width(n)) == Some(n)));
}

#[test]
fn scores_far_apart_do_not_overflow_and_nan_is_seen() {
    let scores: Vec<f32> = (0..3 * 8).map(|i| if i % 3 == 0 { 3e4 } else { -3e4 }).collect();
    let mut gradient = vec![0.0; scores.len()];
    let loss = Chain::new(&scores, 2).surprise(&[0, 1, 0], &mut vec![], Some((&mut gradient, 1.0)));
    assert!(loss.expect("labels").is_finite() && gradient.iter().all(|g| g.is_finite()));
    let mut broken = scores;
    // The score of the first label where the chain begins.
    broken[4] = f32::NAN;
    assert!(Chain::new(&broken, 2).surprise(&[0, 1, 0], &mut vec![], None).expect("labels").is_nan());
}
