//! Random rows of a model's types, for measuring without data.

use crate::base::{DType, Diagnostic, Result};
use crate::data::{Array, Batch};
use crate::engine::generator;
use crate::model::{Model, Port};
use rand::Rng;
use rand_distr::StandardNormal;

/// A batch of rows drawn from the seed: inputs from a standard normal, targets uniform in `[0.1, 1)`, so that a loss may take
/// logarithms of them, indices uniform below their bound, and boxes of up to 16 pixels a side near the upper left corner. Every label is there.
pub fn random_batch(model: &Model, size: usize, seed: u64) -> Result<Batch> {
    let mut batch = Batch { size, values: Default::default(), present: Default::default() };
    for port in &model.inputs {
        let draw = |rng: &mut dyn rand::RngCore| rng.sample::<f32, _>(StandardNormal);
        batch.values.insert(port.name.clone(), array(port, size, seed, draw)?);
    }
    for port in &model.targets {
        if let Some(classes) = port.ty.classes.as_ref().filter(|_| port.ty.is_boxes()) {
            let (dims, n) = (port.ty.ty.at(size), port.ty.ty.elements(size));
            let mut rng = generator(seed, "rows", &port.name, 0);
            let mut any = || {
                let [x, y, width, height] = [0; 4].map(|_| rng.gen_range(1.0..16.0f32));
                [rng.gen_range(0..classes.count) as f32, x, y, x + width, y + height]
            };
            let data = (0..n / 5).flat_map(|_| any()).collect();
            batch.values.insert(port.name.clone(), Array::F32 { dims, data });
            batch.present.insert(port.name.clone(), vec![1.0; size]);
            continue;
        }
        batch.values.insert(port.name.clone(), array(port, size, seed, |rng| rng.gen_range(0.1..1.0f32))?);
        batch.present.insert(port.name.clone(), vec![1.0; size]);
    }
    Ok(batch)
}

fn array(port: &Port, size: usize, seed: u64, draw: impl Fn(&mut dyn rand::RngCore) -> f32) -> Result<Array> {
    let mut rng = generator(seed, "rows", &port.name, 0);
    let (dims, n) = (port.ty.ty.at(size), port.ty.ty.elements(size));
    Ok(match port.ty.ty.dtype {
        DType::F32 => Array::F32 { dims, data: (0..n).map(|_| draw(&mut rng)).collect() },
        DType::I64 => {
            let bound = port.ty.classes.as_ref().map(|c| c.count).or(port.ty.vocabulary).ok_or_else(|| {
                Diagnostic::error(format!("`{}` has no bound to draw indices below", port.name)).at(port.span)
            })?;
            Array::I64 { dims, data: (0..n).map(|_| rng.gen_range(0..bound) as i64).collect() }
        }
    })
}
