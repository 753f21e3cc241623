//! Signatures: what they say to wrong inputs, and that a definition computes whatever they accept.

use super::{Case, single_ops};
use mtlc::base::{DType, Dim, Type};
use mtlc::ops::{Op, Value, pullback::pullback};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

fn f(inner: &[usize]) -> Type {
    Type::batched(DType::F32, inner)
}

fn w(dims: &[usize]) -> Type {
    Type::fixed(DType::F32, dims)
}

fn ids(inner: &[usize]) -> Type {
    Type::batched(DType::I64, inner)
}

/// What each op says to inputs that do not fit, one line or two each.
#[test]
fn wrong_inputs_are_told_apart() {
    let conv =
        |g: usize| json!({ "stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1], "groups": g, "bias": false });
    let deconv = |pad: usize, out: usize| {
        let (padding, output_padding) = ([pad, pad], [out, out]);
        json!({ "stride": [2, 2], "padding": padding, "output_padding": output_padding, "dilation": [1, 1],
                "groups": 1, "bias": false })
    };
    let pool = |k: usize, s: usize, p: usize| json!({ "kernel": [k, k], "stride": [s, s], "padding": [p, p, p, p] });
    let ce = |s: f64, w: Option<Vec<f64>>| json!({ "smoothing": s, "weights": w, "ignore": null });
    let boxes = |candidates: usize| {
        json!({ "class_weight": 1.0, "box_weight": 1.0, "quality_weight": 1.0, "candidates": candidates,
                "alpha": 1.0, "beta": 6.0 })
    };
    let (none, presence, scalar) = (json!({}), f(&[]), Type::scalar());
    let bias = json!({ "bias": true });
    let balance = |formula: serde_json::Value, weight: f64| json!({ "formula": formula, "weights": [weight] });
    let table = [
        ("linear", bias.clone(), vec![f(&[4]), w(&[3, 4])]),
        ("linear", bias.clone(), vec![f(&[3, 8, 8]), w(&[3, 4]), w(&[3])]),
        ("linear", bias.clone(), vec![f(&[5]), w(&[3, 4]), w(&[3])]),
        ("linear", bias.clone(), vec![f(&[4]), w(&[3, 4]), w(&[4])]),
        ("linear", bias.clone(), vec![f(&[4]), w(&[4]), w(&[4])]),
        ("linear", bias, vec![ids(&[4]), w(&[3, 4]), w(&[3])]),
        ("conv2d", conv(1), vec![f(&[10]), w(&[8, 3, 3, 3])]),
        ("conv2d", conv(1), vec![f(&[4, 8, 8]), w(&[8, 3, 3, 3])]),
        ("conv2d", conv(1), vec![f(&[3, 2, 8]), w(&[8, 3, 3, 3])]),
        ("conv2d", conv(2), vec![f(&[3, 8, 8]), w(&[8, 3, 3, 3])]),
        ("conv2d", conv(0), vec![f(&[3, 8, 8]), w(&[8, 3, 3, 3])]),
        ("conv2d", conv(1), vec![f(&[3, 8, 8]), w(&[8, 27])]),
        ("conv_transpose2d", deconv(0, 2), vec![f(&[3, 2, 2]), w(&[3, 4, 2, 2])]),
        ("conv_transpose2d", deconv(4, 0), vec![f(&[3, 2, 2]), w(&[3, 4, 2, 2])]),
        ("conv_transpose2d", deconv(0, 0), vec![f(&[5, 2, 2]), w(&[3, 4, 2, 2])]),
        ("embedding", none.clone(), vec![f(&[4]), w(&[9, 4])]),
        ("embedding", none.clone(), vec![ids(&[]), w(&[9, 4])]),
        ("embedding", none.clone(), vec![ids(&[4]), w(&[9])]),
        ("attention", json!({ "heads": 3 }), vec![f(&[5, 4]); 3]),
        ("attention", json!({ "heads": 2 }), vec![f(&[5, 4]), f(&[5, 6]), f(&[5, 6])]),
        ("attention", json!({ "heads": 2 }), vec![f(&[5, 4]), f(&[6, 4]), f(&[6, 4]), f(&[5])]),
        ("attention", json!({ "heads": 2 }), vec![f(&[5, 4]), f(&[5, 4])]),
        ("max_pool2d", pool(2, 0, 0), vec![f(&[3, 8, 8])]),
        ("max_pool2d", pool(2, 2, 2), vec![f(&[3, 8, 8])]),
        ("max_pool2d", pool(9, 2, 0), vec![f(&[3, 8, 8])]),
        ("max_pool2d", pool(0, 2, 0), vec![f(&[3, 8, 8])]),
        ("adaptive_avg_pool2d", json!({ "size": [0, 1] }), vec![f(&[3, 8, 8])]),
        ("global_avg_pool", none.clone(), vec![f(&[8])]),
        ("masked_mean", none.clone(), vec![f(&[5, 4]), f(&[4])]),
        ("upsample", json!({ "size": [4, 4], "mode": "nearest" }), vec![f(&[8])]),
        ("channel_mean", none.clone(), vec![f(&[])]),
        ("channel_var", none.clone(), vec![f(&[3, 4]), w(&[4])]),
        ("batch_norm", json!({ "epsilon": 1e-5 }), vec![f(&[3, 4]), w(&[3]), w(&[3]), w(&[4]), w(&[3])]),
        ("batch_norm", json!({ "epsilon": 0.0 }), vec![f(&[3]), w(&[3]), w(&[3]), w(&[3]), w(&[3])]),
        ("scale_filters", json!({ "axis": 2, "epsilon": 1e-5 }), vec![w(&[3, 4]), w(&[3]), w(&[3])]),
        ("scale_filters", json!({ "axis": 1, "epsilon": 1e-5 }), vec![w(&[3, 4]), w(&[4]), w(&[3])]),
        ("low_rank", json!({ "scale": 1.0 }), vec![w(&[3, 4]), w(&[2, 5]), w(&[3, 2])]),
        ("low_rank", json!({ "scale": 1.0 }), vec![w(&[3, 4, 3, 3]), w(&[2, 4, 3, 3]), w(&[3, 2])]),
        ("low_rank", json!({ "scale": 1.0 }), vec![f(&[3, 4]), w(&[2, 4]), w(&[3, 2])]),
        ("scale", json!({ "factor": 2.0 }), vec![ids(&[4])]),
        ("fold_bias", json!({ "bias": true, "epsilon": 1e-5 }), vec![w(&[3]), w(&[3]), w(&[3]), w(&[3])]),
        ("fold_bias", json!({ "bias": false, "epsilon": 1e-5 }), vec![w(&[3]), w(&[3]), w(&[4]), w(&[3])]),
        ("fold_bias", json!({ "bias": false, "epsilon": 1e-5 }), vec![w(&[]), w(&[]), w(&[]), w(&[])]),
        ("layer_norm", json!({ "epsilon": 1e-5 }), vec![f(&[3, 4, 5]), w(&[5]), w(&[5])]),
        ("group_norm", json!({ "groups": 2, "epsilon": 1e-5 }), vec![f(&[3, 4, 5]), w(&[3]), w(&[3])]),
        ("normalize_l2", json!({ "epsilon": 1e-5 }), vec![f(&[3, 4])]),
        ("dropout", none.clone(), vec![f(&[3]), f(&[4])]),
        ("relu", none.clone(), vec![ids(&[3])]),
        ("relu", none.clone(), vec![]),
        ("softmax", json!({ "axis": 0 }), vec![f(&[3])]),
        ("softmax", json!({ "axis": 2 }), vec![f(&[3])]),
        ("add", none.clone(), vec![f(&[3, 4]), f(&[4, 3])]),
        ("add", none.clone(), vec![f(&[3, 4, 4]), w(&[3])]),
        ("mul", none.clone(), vec![w(&[3]), f(&[3])]),
        ("scale_channels", none.clone(), vec![f(&[3, 4, 4]), f(&[4])]),
        ("scale_channels", none.clone(), vec![f(&[3]), f(&[3])]),
        ("add_rows", json!({ "row": null }), vec![f(&[5, 4]), w(&[4, 4])]),
        ("add_rows", json!({ "row": 4 }), vec![f(&[5, 4]), w(&[4, 4])]),
        ("add_rows", json!({ "row": null }), vec![f(&[5, 4]), w(&[5, 3])]),
        ("prepend", none.clone(), vec![f(&[5, 4]), w(&[5])]),
        ("concat", json!({ "axis": 1 }), vec![]),
        ("concat", json!({ "axis": 1 }), vec![f(&[3, 4, 4]), f(&[3, 4, 5])]),
        ("concat", json!({ "axis": 3 }), vec![f(&[3, 4]), f(&[3, 4])]),
        ("flatten", none.clone(), vec![w(&[3])]),
        ("reshape", json!({ "dims": [2, 2] }), vec![f(&[5])]),
        ("reshape", json!({ "dims": [1, 1, 1, 5] }), vec![f(&[5])]),
        ("permute", json!({ "order": [0, 0] }), vec![f(&[2, 3])]),
        ("slice", json!({ "axis": 1, "start": 2, "end": 6 }), vec![f(&[5])]),
        ("slice", json!({ "axis": 1, "start": 2, "end": 2 }), vec![f(&[5])]),
        ("present", json!({ "absent": 0 }), vec![f(&[5])]),
        ("cross_entropy", ce(0.0, None), vec![f(&[5]), f(&[1]), presence.clone()]),
        ("cross_entropy", ce(0.0, None), vec![f(&[5, 4]), ids(&[]), presence.clone()]),
        ("cross_entropy", ce(0.0, None), vec![f(&[5]), ids(&[]), f(&[1])]),
        ("cross_entropy", ce(1.0, None), vec![f(&[5]), ids(&[]), presence.clone()]),
        ("cross_entropy", ce(0.0, Some(vec![1.0; 4])), vec![f(&[5]), ids(&[]), presence.clone()]),
        ("cross_entropy", ce(0.0, Some(vec![1.0, -1.0])), vec![f(&[2]), ids(&[]), presence.clone()]),
        ("focal", json!({ "gamma": -1.0, "alpha": null }), vec![f(&[2]), ids(&[]), presence.clone()]),
        ("ordinal", none.clone(), vec![f(&[2]), f(&[2]), presence.clone()]),
        ("crf", none.clone(), vec![f(&[5, 9]), ids(&[5]), presence.clone()]),
        ("crf", none.clone(), vec![f(&[8]), ids(&[]), presence.clone()]),
        ("potentials", none.clone(), vec![f(&[5, 3]), w(&[3, 4]), w(&[3]), w(&[3])]),
        ("potentials", none.clone(), vec![f(&[3]), w(&[3, 3]), w(&[3]), w(&[3])]),
        ("mse", none.clone(), vec![f(&[10]), f(&[1]), presence.clone()]),
        ("mse", none.clone(), vec![f(&[10]), ids(&[]), presence.clone()]),
        ("mse", none.clone(), vec![f(&[1]), f(&[1])]),
        ("huber", json!({ "delta": 0.0 }), vec![f(&[1]), f(&[1]), presence.clone()]),
        ("dice", json!({ "smooth": 1.0 }), vec![f(&[3, 4, 4]), ids(&[4, 5]), presence.clone()]),
        ("detect", json!({ "stride": [8, 8] }), vec![f(&[5, 4, 4])]),
        ("detect", json!({ "stride": [8, 0] }), vec![f(&[8, 4, 4])]),
        ("detect", json!({ "stride": [8, 8] }), vec![f(&[8])]),
        ("detection", boxes(10), vec![f(&[6, 7]), f(&[4, 5]), presence.clone()]),
        ("detection", boxes(10), vec![f(&[8, 4, 4]), f(&[4, 5]), presence.clone()]),
        ("detection", boxes(10), vec![f(&[6, 9]), f(&[4, 4]), presence.clone()]),
        ("detection", boxes(0), vec![f(&[6, 9]), f(&[4, 5]), presence]),
        ("weighted_sum", json!({ "weights": [] }), vec![]),
        ("weighted_sum", json!({ "weights": [1.0, 1.0] }), vec![scalar.clone()]),
        ("weighted_sum", json!({ "weights": [1.0] }), vec![f(&[])]),
        ("balance", balance(json!("uncertainty"), 1.0), vec![scalar.clone(), f(&[]), w(&[2])]),
        ("balance", balance(json!("weighted"), 1.0), vec![scalar.clone(), f(&[])]),
        ("balance", balance(json!("imtl_l"), 1.0), vec![scalar.clone(), f(&[1]), w(&[1])]),
        ("balance", balance(json!("imtl_l"), 0.0), vec![scalar.clone(), f(&[]), w(&[1])]),
        ("balance", balance(json!({ "log": { "epsilon": 0.0 } }), 1.0), vec![scalar.clone(), f(&[])]),
        ("balance", balance(json!({ "chebyshev": { "mu": 1.0, "ideal": [] } }), 1.0), vec![scalar, f(&[])]),
        ("relu", none.clone(), vec![w(&[1, 1, 1, 1, 1])]),
        ("relu", none, vec![f(&[3, 0])]),
    ];
    let mut text = String::new();
    for (name, attributes, inputs) in table {
        let op: Op = serde_json::from_value(json!({ name: attributes })).unwrap();
        let wrong = op.signature(&inputs).expect_err(name);
        text += &format!("{}\n", wrong.message);
        text += &wrong.help.map(|help| format!("    help: {help}\n")).unwrap_or_default();
    }
    insta::assert_snapshot!(text);
}

/// Changes one thing about a case: a size, a type, the number of inputs, or a number among the attributes.
fn mutate(case: &Case, random: &mut ChaCha8Rng) -> Option<(Op, Vec<Type>)> {
    let (mut op, mut types) = (serde_json::to_value(&case.op).unwrap(), case.types());
    for _ in 0..random.gen_range(1..=2) {
        let which = if types.is_empty() { 0 } else { random.gen_range(0..types.len()) };
        match random.gen_range(0..8) {
            0 | 1 if !types.is_empty() && !types[which].dims.is_empty() => {
                let axis = random.gen_range(0..types[which].dims.len());
                types[which].dims[axis] =
                    if random.gen_bool(0.1) { Dim::Batch } else { Dim::Size(random.gen_range(0..5)) };
            }
            2 if !types.is_empty() => {
                types[which].dtype = if types[which].dtype == DType::F32 { DType::I64 } else { DType::F32 };
            }
            3 if !types.is_empty() => {
                types[which].dims.pop();
            }
            4 if !types.is_empty() => types[which].dims.push(Dim::Size(random.gen_range(1..4))),
            5 if !types.is_empty() => {
                let input = types[random.gen_range(0..types.len())].clone();
                if random.gen_bool(0.5) { types.push(input) } else { types.truncate(which) }
            }
            _ => change_number(&mut op, random),
        }
    }
    // Not every text is an op: a size is not negative.
    Some((serde_json::from_value(op).ok()?, types))
}

fn change_number(value: &mut serde_json::Value, random: &mut ChaCha8Rng) {
    fn leaves<'a>(value: &'a mut serde_json::Value, found: &mut Vec<&'a mut serde_json::Value>) {
        match value {
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| leaves(item, found)),
            serde_json::Value::Object(items) => items.values_mut().for_each(|item| leaves(item, found)),
            leaf => found.push(leaf),
        }
    }
    let mut found = vec![];
    leaves(value, &mut found);
    let Some(leaf) = found.choose_mut(random) else { return };
    **leaf = match **leaf {
        serde_json::Value::Bool(b) => json!(!b),
        serde_json::Value::Number(_) => json!([0, 1, 2, 3, 5, -1].choose(random)),
        ref other => other.clone(),
    };
}

#[test]
fn whatever_a_signature_accepts_its_definition_computes() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut accepted, mut rejected) = (0, 0);
    for case in single_ops() {
        for _ in 0..40 {
            let Some((op, types)) = mutate(&case, &mut random) else { continue };
            let Ok(output) = op.signature(&types) else {
                rejected += 1;
                continue;
            };
            for batch in [1, 3] {
                let values: Vec<Value> = types
                    .iter()
                    .map(|t| match t.dtype {
                        DType::F32 => {
                            let numbers = (0..t.elements(batch)).map(|_| random.gen_range(-2.0..2.0)).collect();
                            Value::from_vec(numbers, &t.at(batch))
                        }
                        DType::I64 => {
                            let indices = (0..t.elements(batch)).map(|_| random.gen_range(-2..12)).collect();
                            Value::from_ids(indices, &t.at(batch))
                        }
                    })
                    .collect();
                let cotangent = vec![1.0; output.elements(batch)];
                let (value, _) = pullback(&op, &values, &output, batch, &cotangent);
                assert_eq!(value.dims(), output.at(batch), "{op:?} of {types:?}");
            }
            let _ = op.flops(&types, &output);
            accepted += 1;
        }
    }
    assert!(accepted > 1000 && rejected > 1000, "{accepted} accepted, {rejected} rejected");
}
