//! `detect`: from a feature map to boxes, one for each of its cells (in the manner of FCOS, Tian et al. 2019, arXiv 1904.01355).
//!
//! The map `[classes + 5, h, w]` holds for each cell a logit of each class, a logit of the box's quality, and four numbers of which
//! `softplus` makes the distances from the cell's centre to the left, top, right and bottom side, in strides. The result
//! `[h · w, classes + 7]` has a row for each cell, row after row of the map: the logits as they are, the corners `x0, y0, x1, y1` of the
//! box and the centre `x, y` of the cell, in pixels of the image. With the strides `[sy, sx]` the centre of the cell at row `i` and
//! column `j` is `((j + ½) sx, (i + ½) sy)`. Whoever reads boxes needs no more than such rows.

use super::operation::{Mismatch, Operation, image, numbers, require, sizes};
use super::sigmoid::logistic;
use super::sound::{index_select, linear_map, unary};
use super::value::{T2, T4, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axes4, Cpu, HasShape, PermuteTo, ReshapeTo, TensorFromVec};
use serde::{Deserialize, Serialize};

/// Numbers of a row behind the logits of the classes: the quality, four corners, and the centre.
pub const BEHIND: usize = 7;

/// Channels of the map behind those of the classes: the quality and four distances.
const MAP_BEHIND: usize = 5;

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detect {
    /// Pixels from one cell to the next, down and to the right.
    pub stride: [usize; 2],
}

impl Operation for Detect {
    const NAME: &'static str = "detect";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        let [channels, height, width] = image(Self::NAME, &x)?;
        sizes(Self::NAME, "stride", &self.stride, 1)?;
        require(channels > MAP_BEHIND, || {
            format!("`detect` takes a logit of each class and {MAP_BEHIND} channels more, and got {}", x.example())
        })?;
        Ok(x.with_inner(&[height * width, channels - MAP_BEHIND + BEHIND]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let x: T4<T> = x.r4();
        let &(batch, channels, height, width) = x.shape();
        let (cells, logits) = (height * width, channels - MAP_BEHIND + 1);
        let rows: T2<T> = x.permute::<_, Axes4<0, 2, 3, 1>>().reshape_like(&(batch * cells, channels));
        let columns = |x: T2<T>, range: std::ops::Range<usize>| -> T2<T> {
            let (rows, count) = (x.shape().0, range.len());
            index_select(Value::R2(x).around(1), range.collect(), 0.0).reshape_like(&(rows, count))
        };
        let distances = unary(columns(rows.retaped::<T>(), logits..channels), softplus, logistic);
        // Left and top lie before the centre, right and bottom behind it.
        let [down, right] = self.stride.map(|s| s as f32);
        let steps = [-right, -down, right, down];
        let corner = |column: usize| column.checked_sub(logits).filter(|k| *k < 4);
        let wide = 0..logits + BEHIND - 1;
        let moves = wide.clone().map(|c| corner(c).map(|k| (k, steps[k])).into_iter().collect()).collect();
        let passes = wide.map(|c| if c < logits { vec![(c, 1.0)] } else { vec![] }).collect();
        let centres: Vec<f32> = (0..batch * cells)
            .flat_map(|row| {
                let [x, y] = self.centre(row % cells, width);
                std::iter::repeat_n(0.0, logits).chain([x, y, x, y, x, y])
            })
            .collect();
        let centres = Cpu::default().tensor_from_vec(centres, (batch * cells, logits + BEHIND - 1));
        let y = linear_map(columns(rows, 0..logits), passes) + linear_map(distances, moves) + centres;
        Value::shaped(y, &[batch, cells, logits + BEHIND - 1])
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        4 * inputs[0].elements(1) as u64
    }
}

impl Detect {
    /// The centre x, y of a cell, in a map of that width.
    pub fn centre(&self, cell: usize, width: usize) -> [f32; 2] {
        let [down, right] = self.stride.map(|s| s as f32);
        [((cell % width) as f32 + 0.5) * right, ((cell / width) as f32 + 0.5) * down]
    }
}

/// `ln(1 + e^x)`, which overflows nowhere.
pub fn softplus(x: f32) -> f32 {
    (-x.abs()).exp().ln_1p() + if x < 0.0 { 0.0 } else { x }
}
