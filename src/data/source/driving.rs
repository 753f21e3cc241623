//! `driving`: road scenes that are drawn, with a label for every pixel and a box for every object.
//!
//! | array | a row has |
//! | --- | --- |
//! | `images` | `[3, h, w]` bytes: what a camera above the road sees |
//! | `lanes` | `[h, w]`: 0 else, 1 road, 2 marking |
//! | `depth` | `[1, h, w]` metres along the axis of the camera, at most 80; the sky has 80, the far plane |
//! | `normals` | `[3, h, w]`: unit vectors, x to the right, y up, z to the camera; the sky has (0, 0, 1) and faces it |
//! | `boxes` | `[12, 5]`: class (0 car, 1 person, 2 sign), x0, y0, x1, y1 in pixels around what is seen of it; class −1 where there is none |
//!
//! The nearest object comes first. One of which fewer than 4 pixels are seen has no box. All labels are exact: they come from the
//! same surfaces as the pixels.

mod raster;
mod scene;

use super::{File, LIMIT, SEED, SPLIT, SourceKind};
use crate::base::Result;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::Random;
use crate::data::generated::{self, Array, DRAW, ROWS};
use crate::data::number::Element;
use crate::data::table::Table;
use raster::Frame;
use scene::{MOST_OBJECTS, Scene};
use sha2::Sha256;

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "driving",
        kind: PartKind::Source,
        summary: "drawn road scenes; arrays `images`, `lanes` (else, road, marking), `depth` in metres, `normals`, `boxes` (car, person, sign)",
        params: &[
            ROWS,
            Param::with("height", Kind::Count, "48", "of an image in pixels, at least 16"),
            Param::with("width", Kind::Count, "80", "of an image in pixels, at least 16"),
            DRAW,
            SPLIT,
            SEED,
            LIMIT,
        ],
    },
    paths: &[],
    read,
};

/// The fewest pixels of an object that has a box.
const LEAST_PIXELS: usize = 4;

fn read(args: &Args, _: &[File], hash: &mut Sha256) -> Result<Table> {
    let (height, width) = (generated::side(args, "height")?, generated::side(args, "width")?);
    let arrays = [
        Array::new("images", &[3, height, width], Element::Unsigned(1)),
        Array::new("lanes", &[height, width], Element::Unsigned(1)),
        Array::new("depth", &[1, height, width], Element::Float(4)),
        Array::new("normals", &[3, height, width], Element::Float(4)),
        Array::new("boxes", &[MOST_OBJECTS, 5], Element::Float(4)),
    ];
    generated::table("driving", args, &arrays, hash, |random| draw(height, width, random))
}

/// The arrays of one row.
fn draw(height: usize, width: usize, random: &mut Random) -> Vec<Vec<u8>> {
    let scene = Scene::new(random);
    let frame = Frame::of(&scene, height, width);
    let pixels: Vec<_> = frame.pixels.iter().map(|pixel| pixel.colour).collect();
    let images = generated::develop(&pixels, scene.grain, random);
    let lanes = frame.pixels.iter().map(|pixel| pixel.lane).collect();
    let depth: Vec<f32> = frame.pixels.iter().map(|pixel| pixel.depth as f32).collect();
    let axis = |axis: usize| frame.pixels.iter().map(move |pixel| pixel.normal[axis] as f32);
    let normals: Vec<f32> = (0..3).flat_map(axis).collect();
    vec![images, lanes, generated::bytes(&depth), generated::bytes(&normals), generated::bytes(&boxes(&scene, &frame))]
}

/// The boxes around what is seen of each object, the nearest object first.
fn boxes(scene: &Scene, frame: &Frame) -> Vec<f32> {
    let mut boxes = vec![];
    for (number, object) in scene.objects.iter().enumerate() {
        let seen: Vec<usize> = (0..frame.pixels.len()).filter(|&i| frame.pixels[i].object == Some(number)).collect();
        if seen.len() < LEAST_PIXELS {
            continue;
        }
        let (columns, rows) = (seen.iter().map(|i| i % frame.width), seen.iter().map(|i| i / frame.width));
        let bounds = |places: &mut dyn Iterator<Item = usize>| {
            places.fold((usize::MAX, 0), |(low, high), at| (low.min(at), high.max(at + 1)))
        };
        let ((x0, x1), (y0, y1)) = (bounds(&mut columns.into_iter()), bounds(&mut rows.into_iter()));
        boxes.extend([object.class as usize, x0, y0, x1, y1].map(|n| n as f32));
    }
    let unused = MOST_OBJECTS - boxes.len() / 5;
    boxes.extend([-1.0, 0.0, 0.0, 0.0, 0.0].repeat(unused));
    boxes
}
