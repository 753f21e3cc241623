//! `upsample`: an image resized to a given height and width, larger or smaller.
//!
//! `x` of `[batch, C, H, W]`. `nearest` repeats pixel `⌊i · H / h⌋`; `bilinear` mixes the two nearest pixels of each
//! axis, with pixels as areas (source place `(i + ½) · H / h − ½`, not below 0); `bilinear_aligned` maps corner centres
//! onto corner centres (`i · (H − 1) / (h − 1)`). They agree with `torch.nn.functional.interpolate`.

use super::operation::{Maps, Mismatch, Operation};
use super::value::{Tape, Value, take};
use super::window::{resample, resized};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// How a pixel of the result is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Nearest,
    Bilinear,
    BilinearAligned,
}

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upsample {
    /// Height and width of the result.
    pub size: [usize; 2],
    pub mode: Mode,
}

impl Upsample {
    /// The first source place of entry `i` along an axis, and the weights of it and of the next; that one's is 0 where it is not
    /// read.
    pub fn sources(&self, i: usize, from: usize, to: usize) -> (usize, [f64; 2]) {
        let place = match self.mode {
            Mode::Nearest => return (i * from / to, [1.0, 0.0]),
            Mode::Bilinear => ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0),
            Mode::BilinearAligned if to == 1 => 0.0,
            Mode::BilinearAligned => i as f64 * (from - 1) as f64 / (to - 1) as f64,
        };
        let low = (place as usize).min(from - 1);
        let part = place - low as f64;
        if low == from - 1 { (low, [1.0, 0.0]) } else { (low, [1.0 - part, part]) }
    }
}

impl Operation for Upsample {
    const NAME: &'static str = "upsample";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        resized(Self::NAME, inputs, self.size)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let [oh, ow] = self.size;
        resample(x, self.size, |[h, w]| {
            let sources = |i: usize, from: usize, to: usize| {
                let (first, [a, b]) = self.sources(i, from, to);
                [(first, a), (first + 1, b)].into_iter().filter(|source| source.1 != 0.0).collect::<Vec<_>>()
            };
            let columns: Vec<_> = (0..ow).map(|i| sources(i, w, ow)).collect();
            let mut taps = Vec::with_capacity(oh * ow);
            for rows in (0..oh).map(|i| sources(i, h, oh)) {
                for columns in &columns {
                    let pixels =
                        rows.iter().flat_map(|&(y, a)| columns.iter().map(move |&(x, b)| (y * w + x, (a * b) as f32)));
                    taps.push(pixels.collect());
                }
            }
            taps
        })
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        let each = if self.mode == Mode::Nearest { 0 } else { 8 };
        each * output.elements(1) as u64
    }
}
