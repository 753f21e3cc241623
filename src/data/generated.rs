//! Rows that are drawn in place of being read: what sources without files have in common.
//!
//! In come the arrays of a source and a function that draws one row from a generator; out comes a table like that of an npz file. A
//! row follows from the source, the seed of the drawing and the row's number alone, so another number of rows or of threads changes
//! none of them. Sums, products and square roots are exact on every platform and the rest is `libm`, so neither does another machine.

use super::draw::Random;
use super::number::{Element, Numbers};
use super::table::{Column, Store, Table};
use crate::base::signature::{Args, Kind, Param};
use crate::base::{Diagnostic, Result};
use indexmap::IndexMap;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// How many rows a source draws.
pub const ROWS: Param =
    Param::with("rows", Kind::Count, "800", "how many there are; row 5 is the same of 10 and of 1000");
/// The seed of the drawing. That of the split is [`SEED`](super::source::SEED), so that several splits share one set of rows.
pub const DRAW: Param =
    Param::with("draw", Kind::Whole, "0", "the seed of what is drawn; another one gives other rows");

/// The most bytes that the rows of a source take.
const MOST_BYTES: usize = 2 << 30;

/// The fewest pixels on a side, below which nothing can be made out.
pub const LEAST_SIDE: usize = 16;

/// One array of a source.
pub struct Array {
    pub name: &'static str,
    /// Sizes of one row.
    pub dims: Vec<usize>,
    pub element: Element,
    /// The names of its classes.
    pub classes: &'static [&'static str],
}

impl Array {
    pub fn new(name: &'static str, dims: &[usize], element: Element) -> Self {
        Self { name, dims: dims.to_vec(), element, classes: &[] }
    }

    /// Bytes of a row, as far as they can be counted.
    fn row_bytes(&self) -> Option<usize> {
        self.dims.iter().try_fold(self.element.size_bytes(), |product, &n| product.checked_mul(n))
    }
}

/// Little-endian bytes of numbers.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Checks a side of an image in pixels.
pub fn side(args: &Args, name: &str) -> Result<usize> {
    let pixels = args.size(name);
    if pixels < LEAST_SIDE {
        let message = format!("an image with a {name} of {pixels} pixels shows nothing");
        let span = args.span(name).unwrap_or_default();
        return Err(Diagnostic::error(message).at(span).help(format!("take at least {LEAST_SIDE}")).into());
    }
    Ok(pixels)
}

/// Draws the rows that `args` ask for. `draw` gives the bytes of each array for one row. Rows that would not fit into 2 GiB are an
/// error before memory is taken.
pub fn table(
    kind: &'static str,
    args: &Args,
    arrays: &[Array],
    hash: &mut Sha256,
    draw: impl Fn(&mut Random) -> Vec<Vec<u8>> + Sync,
) -> Result<Table> {
    let (rows, seed) = (args.size("rows"), args.size("draw"));
    let row_bytes: Option<Vec<usize>> = arrays.iter().map(Array::row_bytes).collect();
    let sum = row_bytes.iter().flatten().try_fold(0usize, |sum, &n| sum.checked_add(n));
    let Some((row_bytes, sum)) = row_bytes.zip(sum).filter(|(_, sum)| rows <= MOST_BYTES / (*sum).max(1)) else {
        let message = format!("{rows} rows of `{kind}` take more than 2 GiB");
        let diagnostic = Diagnostic::error(message).at(args.span("rows").unwrap_or_default());
        let most = sum.map_or(0, |sum| MOST_BYTES / sum.max(1));
        return Err(match most {
            0 => diagnostic.help("ask for smaller images"),
            most => {
                diagnostic.help(format!("of this size at most {most} rows fit; ask for fewer, or for smaller ones"))
            }
        }
        .into());
    };
    debug_assert!(sum > 0, "a row has values");
    let mut whole: Vec<Vec<u8>> = row_bytes.iter().map(|n| vec![0; n * rows]).collect();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let share = rows.div_ceil(threads).max(1);
    let mut parts: Vec<Vec<&mut [u8]>> = (0..rows.div_ceil(share)).map(|_| vec![]).collect();
    for (array, n) in whole.iter_mut().zip(&row_bytes) {
        array.chunks_mut(share * n).zip(&mut parts).for_each(|(chunk, part)| part.push(chunk));
    }
    std::thread::scope(|scope| {
        for (number, mut part) in parts.into_iter().enumerate() {
            let (draw, row_bytes) = (&draw, &row_bytes);
            scope.spawn(move || {
                for row in 0..share.min(rows - number * share) {
                    let drawn = draw(&mut generator(kind, seed, number * share + row));
                    for ((array, values), n) in part.iter_mut().zip(drawn).zip(row_bytes) {
                        array[row * n..][..*n].copy_from_slice(&values);
                    }
                }
            });
        }
    });
    let mut columns = IndexMap::new();
    for (array, bytes) in arrays.iter().zip(whole) {
        hash.update(format!("{} {:?}", array.name, array.dims));
        hash.update(&bytes);
        let numbers = Numbers::new(array.element, false, bytes, 0);
        let store = if array.name == "images" { Store::Images(numbers) } else { Store::Numbers(numbers) };
        let classes = (!array.classes.is_empty()).then(|| array.classes.iter().map(|name| name.to_string()).collect());
        columns.insert(array.name.into(), Column { file: kind.into(), rows, dims: array.dims.clone(), store, classes });
    }
    Ok(Table { kind, name: kind.into(), columns, lines: vec![], folds: None, test_from: None })
}

/// The generator of one row.
fn generator(kind: &str, seed: usize, row: usize) -> Random {
    Random(ChaCha8Rng::from_seed(Sha256::digest(format!("{kind} {seed} {row}")).into()))
}

/// Smooth noise over the plane: random values in [0, 1) at whole coordinates, and between them the blend of the four around, with
/// a slope of 0 at each. Two octaves, the second of half the scale and a third of the weight.
#[derive(Clone, Copy)]
pub struct Noise(u64);

impl Noise {
    pub fn new(random: &mut Random) -> Self {
        Self(random.upto(u32::MAX as usize) as u64)
    }

    pub fn at(self, x: f64, y: f64) -> f64 {
        0.75 * self.octave(x, y) + 0.25 * self.octave(2.0 * x + 17.0, 2.0 * y + 31.0)
    }

    fn octave(self, x: f64, y: f64) -> f64 {
        let (left, top) = (x.floor(), y.floor());
        let ease = |t: f64| t * t * (3.0 - 2.0 * t);
        let (u, v) = (ease(x - left), ease(y - top));
        let corner = |dx: f64, dy: f64| self.corner((left + dx) as i64, (top + dy) as i64);
        let above = corner(0.0, 0.0) * (1.0 - u) + corner(1.0, 0.0) * u;
        let below = corner(0.0, 1.0) * (1.0 - u) + corner(1.0, 1.0) * u;
        above * (1.0 - v) + below * v
    }

    /// The value at a corner: its coordinates mixed as in SplitMix64 (Steele et al. 2014).
    fn corner(self, x: i64, y: i64) -> f64 {
        let mut z =
            self.0 ^ (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (y as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Red, green and blue from 0 to 1; more is cut off in the end.
pub type Colour = [f64; 3];

pub fn mix(a: Colour, b: Colour, share: f64) -> Colour {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * share)
}

pub fn scale(colour: Colour, factor: f64) -> Colour {
    colour.map(|c| c * factor)
}

/// Pixels as bytes, channel by channel, with `grain` of uniform noise on each.
pub fn develop(pixels: &[Colour], grain: f64, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; 3 * pixels.len()];
    for (i, pixel) in pixels.iter().enumerate() {
        for (channel, value) in pixel.iter().enumerate() {
            let value = value + random.within(-grain, grain);
            bytes[channel * pixels.len() + i] = (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
    bytes
}
