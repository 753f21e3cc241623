//! `lesions`: pictures of skin that are drawn, three of four with a lesion.
//!
//! | array | a row has |
//! | --- | --- |
//! | `images` | `[3, s, s]` bytes: 16 mm of skin, with texture, uneven light and maybe hairs |
//! | `mask` | `[s, s]`: 0 skin, 1 lesion |
//! | `present` | 0 without a lesion, 1 with one |
//! | `size` | the diameter in mm of the disc that has the area of the mask; missing without a lesion |
//! | `malignant` | 0 benign, 1 malignant; missing without a lesion |
//!
//! Whether a lesion is malignant follows from what can be seen of it, after the B, C and D of the ABCD rule (Nachbar et al. 1994): the
//! irregularity of its border and the variety of its colours, each between 0 and 1, and a sixteenth for each mm above 6 (less below)
//! sum to more than 1. No sum lies within 0.06 of 1.

use super::{File, LIMIT, SEED, SPLIT, SourceKind};
use crate::base::Result;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::Random;
use crate::data::generated::{self, Array, Colour, DRAW, Noise, ROWS, mix, scale};
use crate::data::number::Element;
use crate::data::table::Table;
use sha2::Sha256;
use std::f64::consts::{PI, TAU};

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "lesions",
        kind: PartKind::Source,
        summary: "drawn pictures of skin; arrays `images`, `mask` (skin, lesion), `present`, and of lesions `size` in mm and `malignant`",
        params: &[
            ROWS,
            Param::with("size", Kind::Count, "48", "height and width of an image in pixels, at least 16"),
            DRAW,
            SPLIT,
            SEED,
            LIMIT,
        ],
    },
    paths: &[],
    read,
};

/// Millimetres that an image shows.
const FIELD: f64 = 16.0;
/// How often there is a lesion.
const SHARE: f64 = 0.75;
/// How far from the limit every lesion stays.
const MARGIN: f64 = 0.06;

fn read(args: &Args, _: &[File], hash: &mut Sha256) -> Result<Table> {
    let size = generated::side(args, "size")?;
    let arrays = [
        Array::new("images", &[3, size, size], Element::Unsigned(1)),
        Array::new("mask", &[size, size], Element::Unsigned(1)),
        Array::new("present", &[1], Element::Unsigned(1)),
        Array::new("size", &[1], Element::Float(4)),
        Array { classes: &["benign", "malignant"], ..Array::new("malignant", &[1], Element::Signed(1)) },
    ];
    generated::table("lesions", args, &arrays, hash, |random| draw(size, random))
}

struct Lesion {
    centre: [f64; 2],
    radius: f64,
    /// Share and phase of each wave of the border, from two to nine waves around.
    waves: Vec<(f64, f64)>,
    /// The variety of colours.
    variety: f64,
    colour: Colour,
    /// Where the other colours are, and which.
    patches: Noise,
    tints: Noise,
    malignant: bool,
}

impl Lesion {
    fn new(random: &mut Random) -> Lesion {
        let diameter = random.within(3.0, 10.0);
        let (mut border, mut variety) = (random.unit(), random.unit());
        let limit = 1.0 - (diameter - 6.0) / 16.0;
        let malignant = border + variety > limit;
        // What lies too close to the limit moves away from it.
        let apart = border + variety - limit;
        if apart.abs() < MARGIN {
            let shift = (MARGIN.copysign(apart) - apart) / 2.0;
            (border, variety) = (border + shift, variety + shift);
        }
        let reach = FIELD / 2.0 - diameter / 2.0 - 0.5;
        let wave = |k: usize, random: &mut Random| {
            let share = if k == 2 { 0.08 } else { 0.2 * border / (k as f64 - 1.0).sqrt() };
            (share * random.within(0.6, 1.0), random.within(0.0, TAU))
        };
        let brown = random.within(0.3, 0.5);
        Lesion {
            centre: [random.within(-reach, reach), random.within(-reach, reach)],
            radius: diameter / 2.0,
            waves: (2..=9).map(|k| wave(k, random)).collect(),
            variety,
            colour: [brown, 0.62 * brown, 0.42 * brown],
            patches: Noise::new(random),
            tints: Noise::new(random),
            malignant,
        }
    }

    /// How many mm a point lies inside the border, along the line from the centre.
    fn depth(&self, x: f64, y: f64) -> f64 {
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        let angle = libm::atan2(y, x);
        let wave = |(k, (share, phase)): (usize, &(f64, f64))| share * libm::cos((k + 2) as f64 * angle + phase);
        let border = 1.0 + self.waves.iter().enumerate().map(wave).sum::<f64>();
        self.radius * border.max(0.3) - (x * x + y * y).sqrt()
    }

    fn colour(&self, x: f64, y: f64) -> Colour {
        const OTHERS: [Colour; 3] = [[0.08, 0.06, 0.06], [0.62, 0.2, 0.18], [0.36, 0.38, 0.46]];
        let tint = self.tints.at(0.5 * x, 0.5 * y);
        let other = OTHERS[((tint * 1.8 - 0.4) * 3.0).clamp(0.0, 2.0) as usize];
        let patch = ((self.patches.at(0.7 * x, 0.7 * y) - 0.35) * 3.0).clamp(0.0, 1.0);
        mix(self.colour, other, self.variety * patch)
    }
}

/// A hair: where it passes, its direction, and how it bends.
struct Hair {
    at: [f64; 2],
    along: [f64; 2],
    bend: f64,
}

impl Hair {
    fn new(random: &mut Random) -> Hair {
        let angle = random.within(0.0, PI);
        let at = [random.within(-7.0, 7.0), random.within(-7.0, 7.0)];
        Hair { at, along: [libm::cos(angle), libm::sin(angle)], bend: random.within(-0.05, 0.05) }
    }

    fn covers(&self, x: f64, y: f64) -> bool {
        let (x, y) = (x - self.at[0], y - self.at[1]);
        let along = x * self.along[0] + y * self.along[1];
        let beside = y * self.along[0] - x * self.along[1];
        (beside - self.bend * along * along).abs() < 0.17
    }
}

/// The arrays of one row.
fn draw(size: usize, random: &mut Random) -> Vec<Vec<u8>> {
    let lesion = if random.unit() < SHARE { Some(Lesion::new(random)) } else { None };
    let tone = random.within(0.5, 0.9);
    let skin = [tone, tone * random.within(0.7, 0.8), tone * random.within(0.55, 0.68)];
    let hairs: Vec<Hair> = (0..random.upto(4)).map(|_| Hair::new(random)).collect();
    let (texture, blotches) = (Noise::new(random), Noise::new(random));
    let light = [random.within(-0.02, 0.02), random.within(-0.02, 0.02)];
    let grain = random.within(0.01, 0.04);
    let (mut pixels, mut mask) = (Vec::with_capacity(size * size), Vec::with_capacity(size * size));
    let place = |i: usize| ((i as f64 + 0.5) / size as f64 - 0.5) * FIELD;
    for (y, x) in (0..size * size).map(|i| (place(i / size), place(i % size))) {
        let uneven = 0.12 * (texture.at(1.5 * x, 1.5 * y) - 0.5) + 0.16 * (blotches.at(0.25 * x, 0.25 * y) - 0.5);
        let mut colour = scale(skin, 1.0 + uneven);
        let depth = lesion.as_ref().map_or(f64::NEG_INFINITY, |lesion| lesion.depth(x, y));
        if let Some(lesion) = &lesion {
            let share = (depth / 0.5 + 0.5).clamp(0.0, 1.0);
            colour = mix(colour, scale(lesion.colour(x, y), 1.0 + uneven), 0.92 * share);
        }
        if hairs.iter().any(|hair| hair.covers(x, y)) {
            colour = scale(colour, 0.45);
        }
        let shade = 1.0 + light[0] * x + light[1] * y - 0.002 * (x * x + y * y);
        pixels.push(scale(colour, shade));
        mask.push(u8::from(depth > 0.0));
    }
    let area =
        mask.iter().filter(|inside| **inside == 1).count() as f64 * (FIELD / size as f64) * (FIELD / size as f64);
    let diameter = lesion.as_ref().map_or(f32::NAN, |_| (2.0 * (area / PI).sqrt()) as f32);
    let malignant = lesion.as_ref().map_or(-1, |lesion| i8::from(lesion.malignant));
    let images = generated::develop(&pixels, grain, random);
    vec![
        images,
        mask,
        vec![u8::from(lesion.is_some())],
        generated::bytes(&[diameter]),
        malignant.to_le_bytes().to_vec(),
    ]
}
