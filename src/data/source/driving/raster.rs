//! The picture of a scene: for each pixel the nearest surface on the ray through its middle.
//!
//! A pinhole camera looks along z, without roll; the horizon lies where the scene says. Ground and sky come first, then each
//! cuboid takes the pixels at which it is nearer than what is there.

use super::scene::{Cuboid, LANE, Object, Scene};
use crate::data::generated::{Colour, mix, scale};

/// Metres of the far plane.
const FAR: f64 = 80.0;
/// The focal length as a share of the width: a field of view of 64°.
const FOCAL: f64 = 0.8;
/// Half of the width of a painted line, and the length of a dash and of what lies between two starts, in metres.
const LINE: f64 = 0.13;
const DASH: f64 = 5.0;
const PERIOD: f64 = 10.0;

#[derive(Clone, Copy)]
pub struct Pixel {
    pub colour: Colour,
    /// 0 else, 1 road, 2 marking.
    pub lane: u8,
    pub depth: f64,
    /// x to the right, y up, z to the camera.
    pub normal: [f64; 3],
    /// Which object of the scene it shows.
    pub object: Option<usize>,
}

pub struct Frame {
    pub width: usize,
    /// Row by row from the top.
    pub pixels: Vec<Pixel>,
}

impl Frame {
    pub fn of(scene: &Scene, height: usize, width: usize) -> Frame {
        let focal = FOCAL * width as f64;
        let horizon = scene.horizon * height as f64;
        let middle = width as f64 / 2.0;
        // The point on the ray at a depth of 1.
        let ray = |x: usize, y: usize| [(x as f64 + 0.5 - middle) / focal, -(y as f64 + 0.5 - horizon) / focal];
        let mut pixels = Vec::with_capacity(height * width);
        for y in 0..height {
            pixels.extend((0..width).map(|x| background(scene, ray(x, y))));
        }
        let mut frame = Frame { width, pixels };
        for (number, object) in scene.objects.iter().enumerate() {
            for part in &object.parts {
                let bounds = |axis: usize, from: f64, sign: f64, size: usize| {
                    let places = corners(object, part).map(|point| {
                        let at = if axis == 1 { point[1] - scene.camera } else { point[axis] };
                        from + sign * focal * at / point[2].max(0.5)
                    });
                    let low = places.iter().copied().fold(f64::INFINITY, f64::min).floor().clamp(0.0, size as f64);
                    let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil().clamp(0.0, size as f64);
                    low as usize..high as usize
                };
                for y in bounds(1, horizon, -1.0, height) {
                    for x in bounds(0, middle, 1.0, width) {
                        let pixel = &mut frame.pixels[y * width + x];
                        if let Some((depth, normal)) = meet(scene, object, part, ray(x, y))
                            && depth < pixel.depth
                        {
                            let lit = scale(part.colour, light(scene, normal));
                            let colour = haze(scene, lit, depth);
                            let normal = [normal[0], normal[1], -normal[2]];
                            *pixel = Pixel { colour, lane: 0, depth, normal, object: Some(number) };
                        }
                    }
                }
            }
        }
        frame
    }
}

/// How much light falls on a surface.
fn light(scene: &Scene, normal: [f64; 3]) -> f64 {
    let toward: f64 = normal.iter().zip(&scene.sun).map(|(a, b)| a * b).sum();
    scene.skylight + scene.sunlight * toward.max(0.0)
}

fn haze(scene: &Scene, colour: Colour, depth: f64) -> Colour {
    mix(scene.sky, colour, libm::exp(-depth / scene.sight))
}

/// Sky, hills, or the ground where the ray meets it.
fn background(scene: &Scene, [right, up]: [f64; 2]) -> Pixel {
    let sky = Pixel { colour: scene.sky, lane: 0, depth: FAR, normal: [0.0, 0.0, 1.0], object: None };
    if up >= 0.0 {
        let hill = 0.09 * scene.clouds.at(4.0 * right, 0.0);
        if up < hill {
            return Pixel { colour: haze(scene, scale(scene.grass, 0.6 * light(scene, [0.0, 1.0, 0.0])), FAR), ..sky };
        }
        let cloud = scene.clouds.at(3.0 * right + 50.0, 12.0 * up);
        return Pixel { colour: mix(scale(scene.sky, 1.0 - 0.5 * up), [1.0; 3], 0.5 * (cloud - 0.4).max(0.0)), ..sky };
    }
    let z = scene.camera / -up;
    let (x, road) = (right * z, &scene.road);
    // Beyond the far plane the grain of the ground is too fine to be seen.
    let grain = if z < FAR { scene.ground.at(2.0 * x, 2.0 * z) - 0.5 } else { 0.0 };
    let across = x - road.middle(z);
    // How far the nearest line between lanes, or at the side, lies.
    let lanes = (across + road.half()) / LANE;
    let line = lanes.round().clamp(0.0, road.lanes as f64);
    let on_line = (lanes - line).abs() * LANE < LINE;
    let is_side = line == 0.0 || line == road.lanes as f64;
    let dashed = (z + road.phase) % PERIOD < DASH;
    let (lane, albedo) = match across.abs() < road.half() + LINE && z < FAR {
        true if on_line && (is_side || dashed) => (2, [0.85 + 0.1 * grain; 3]),
        true => (1, [scene.asphalt * (1.0 + 0.25 * grain); 3]),
        false => (0, scale(scene.grass, 1.0 + 0.6 * grain)),
    };
    let shade = if scene.objects.iter().any(|object| shadows(object, x, z)) { 0.45 } else { 1.0 };
    let lit = scale(albedo, shade * light(scene, [0.0, 1.0, 0.0]));
    Pixel { colour: haze(scene, lit, z.min(FAR)), lane, depth: z.min(FAR), normal: [0.0, 1.0, 0.0], object: None }
}

/// Whether a point of the ground lies below an object, or close to it.
fn shadows(object: &Object, x: f64, z: f64) -> bool {
    let [width, _, length] = object.parts[0].half;
    let [beside, along] = turned(object, x - object.x, z - object.z);
    beside.abs() < width + 0.15 && along.abs() < length + 0.15
}

/// A vector of the scene as the object has it: across its length, and along it.
fn turned(object: &Object, x: f64, z: f64) -> [f64; 2] {
    let (sin, cos) = object.turn;
    [x * cos - z * sin, x * sin + z * cos]
}

/// Where the corners of a part stand.
fn corners(object: &Object, part: &Cuboid) -> [[f64; 3]; 8] {
    let (sin, cos) = object.turn;
    std::array::from_fn(|i| {
        let sign = |bit: usize| if i >> bit & 1 == 1 { 1.0 } else { -1.0 };
        let [width, height, length] = part.half;
        let (beside, along) = (sign(0) * width, sign(2) * length);
        let [x, y, z] = part.centre;
        [x + beside * cos + along * sin, y + sign(1) * height, z - beside * sin + along * cos]
    })
}

/// Depth and outward normal where the ray enters a part, by the slabs between its faces (Kay and Kajiya 1986).
fn meet(scene: &Scene, object: &Object, part: &Cuboid, [right, up]: [f64; 2]) -> Option<(f64, [f64; 3])> {
    let [x, y, z] = part.centre;
    let [from_x, from_z] = turned(object, -x, -z);
    let [to_x, to_z] = turned(object, right, 1.0);
    let (from, to) = ([from_x, scene.camera - y, from_z], [to_x, up, to_z]);
    let (mut enters, mut leaves, mut face) = (0.0, f64::INFINITY, None);
    for axis in 0..3 {
        if to[axis] == 0.0 {
            if from[axis].abs() > part.half[axis] {
                return None;
            }
            continue;
        }
        let sign = if to[axis] > 0.0 { -1.0 } else { 1.0 };
        let near = (sign * part.half[axis] - from[axis]) / to[axis];
        let far = (-sign * part.half[axis] - from[axis]) / to[axis];
        if near > enters {
            (enters, face) = (near, Some((axis, sign)));
        }
        leaves = far.min(leaves);
    }
    let (axis, sign) = face.filter(|_| enters < leaves)?;
    let (sin, cos) = object.turn;
    let normal = match axis {
        0 => [sign * cos, 0.0, -sign * sin],
        1 => [0.0, sign, 0.0],
        _ => [sign * sin, 0.0, sign * cos],
    };
    Some((enters, normal))
}
