//! Ops whose results have a row for each example compute it from that example alone: what the feature cache rests on.

use super::{TOLERANCE, bytes, cases};
use dfdx::prelude::NoneTape;
use mtlc::base::DType;
use mtlc::graph::{Definition, Value as GraphValue};
use mtlc::ops::{Op, Value};
use safetensors::SafeTensors;

#[test]
fn what_counts_as_row_by_row_is() {
    let goldens = SafeTensors::deserialize(bytes()).expect("the goldens are whole");
    let mut met = 0;
    for case in cases().into_iter().filter(|case| !case.is_train_norm() && case.batch > 1) {
        let (op, output): (Op, _) = (case.op.clone(), case.output.clone());
        let definition = Definition::Op { op: op.clone(), inputs: vec![] };
        let value = GraphValue {
            definition,
            ty: output.clone(),
            taped: false,
            channels_last: false,
            constant: false,
            path: String::new(),
        };
        if !value.is_by_row() {
            continue;
        }
        let together = op.define::<NoneTape>(case.values(&goldens), &output, case.batch).to_vec();
        let width = together.len() / case.batch;
        for row in 0..case.batch {
            let own = case.values(&goldens).into_iter().zip(case.types()).map(|(value, ty)| {
                let (elements, dims) = (ty.elements(1), ty.at(1));
                match (ty.is_batched(), ty.dtype) {
                    (false, _) => value,
                    (true, DType::F32) => Value::from_vec(value.to_vec()[row * elements..][..elements].to_vec(), &dims),
                    (true, DType::I64) => {
                        Value::from_ids(value.ids().data[row * elements..][..elements].to_vec(), &dims)
                    }
                }
            });
            let alone = op.define::<NoneTape>(own.collect(), &output, 1).to_vec();
            for (a, b) in alone.iter().zip(&together[row * width..]) {
                let same = (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * b.abs().max(1.0);
                assert!(same, "{}: row {row} is {a} alone and {b} among others", case.name);
            }
        }
        met += 1;
    }
    assert!(met > 60, "only {met} cases have rows");
}
