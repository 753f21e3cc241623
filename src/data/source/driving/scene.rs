//! What stands in a road scene: a road that bends, cars, people and signs made of cuboids, the sun and the weather.
//!
//! Coordinates are metres: x to the right of the camera, y above the ground, z ahead.

use crate::data::draw::Random;
use crate::data::generated::{Colour, Noise};

/// The most objects that a scene has.
pub const MOST_OBJECTS: usize = 12;
const MOST_CARS: usize = 5;
const MOST_PEOPLE: usize = 4;
const MOST_SIGNS: usize = MOST_OBJECTS - MOST_CARS - MOST_PEOPLE;

/// Width of a lane in metres.
pub const LANE: f64 = 3.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Car,
    Person,
    Sign,
}

/// A cuboid on a vertical axis.
pub struct Cuboid {
    pub centre: [f64; 3],
    /// Half of its width, height and length.
    pub half: [f64; 3],
    pub colour: Colour,
}

pub struct Object {
    pub class: Class,
    /// Where it stands.
    pub x: f64,
    pub z: f64,
    /// Sine and cosine of the angle between its length and z.
    pub turn: (f64, f64),
    pub parts: Vec<Cuboid>,
}

/// The middle of the road lies at `offset + heading · z + bend · z²`.
pub struct Road {
    pub offset: f64,
    pub heading: f64,
    pub bend: f64,
    pub lanes: usize,
    /// Where the first dash of a broken line starts.
    pub phase: f64,
}

impl Road {
    pub fn middle(&self, z: f64) -> f64 {
        self.offset + (self.heading + self.bend * z) * z
    }

    /// Half of its width.
    pub fn half(&self) -> f64 {
        self.lanes as f64 * LANE / 2.0
    }

    /// Sine and cosine of its direction at a distance.
    fn turn(&self, z: f64) -> (f64, f64) {
        let slope = self.heading + 2.0 * self.bend * z;
        let length = (1.0 + slope * slope).sqrt();
        (slope / length, 1.0 / length)
    }
}

pub struct Scene {
    /// Metres of the camera above the ground.
    pub camera: f64,
    /// Where the horizon lies, as a share of the image from its top.
    pub horizon: f64,
    pub road: Road,
    /// The nearest first.
    pub objects: Vec<Object>,
    /// A unit vector to the sun, and how bright it and the sky are.
    pub sun: [f64; 3],
    pub sunlight: f64,
    pub skylight: f64,
    pub sky: Colour,
    pub grass: Colour,
    pub asphalt: f64,
    /// Metres after which haze takes all but 1/e of the light.
    pub sight: f64,
    /// The most that noise changes a pixel.
    pub grain: f64,
    pub ground: Noise,
    pub clouds: Noise,
}

impl Scene {
    pub fn new(random: &mut Random) -> Scene {
        let lanes = 2 + random.upto(2);
        let own = random.upto(lanes / 2 - usize::from(lanes == 2)) as f64;
        let half = lanes as f64 * LANE / 2.0;
        let road = Road {
            offset: random.within(-0.5, 0.5) - (half - LANE * (own + 0.5)),
            heading: random.within(-0.06, 0.06),
            bend: random.within(-0.006, 0.006),
            lanes,
            phase: random.within(0.0, 12.0),
        };
        let mut objects = vec![];
        for _ in 0..random.upto(MOST_CARS) {
            let car = car(&road, random);
            // Two cars do not stand in one another.
            if objects.iter().all(|other: &Object| (other.x - car.x).abs() > 2.3 || (other.z - car.z).abs() > 5.5) {
                objects.push(car);
            }
        }
        for _ in 0..random.upto(MOST_PEOPLE) {
            objects.push(person(&road, random));
        }
        for _ in 0..random.upto(MOST_SIGNS) {
            objects.push(sign(&road, random));
        }
        objects.sort_by(|a, b| a.z.total_cmp(&b.z));
        let light = random.within(0.55, 1.05);
        let clear = random.unit();
        let toward = [random.within(-1.0, 1.0), random.within(0.5, 1.2), random.within(-1.0, 0.6)];
        let length = toward.iter().map(|x| x * x).sum::<f64>().sqrt();
        Scene {
            camera: random.within(1.3, 1.7),
            horizon: random.within(0.38, 0.48),
            road,
            objects,
            sun: toward.map(|x| x / length),
            sunlight: light * (0.3 + 0.6 * clear),
            skylight: light * (0.65 - 0.25 * clear),
            sky: [0.75 - 0.35 * clear, 0.8 - 0.15 * clear, 0.85 + 0.1 * clear].map(|c| c * light),
            grass: [random.within(0.2, 0.45), random.within(0.35, 0.5), random.within(0.12, 0.25)],
            asphalt: random.within(0.25, 0.42),
            sight: random.within(60.0, 400.0),
            grain: random.within(0.01, 0.04),
            ground: Noise::new(random),
            clouds: Noise::new(random),
        }
    }
}

/// Any colour, none of them dark.
fn paint(random: &mut Random) -> Colour {
    let base = random.within(0.15, 0.9);
    [0, 1, 2].map(|_| (base + random.within(-0.3, 0.3)).clamp(0.08, 0.95))
}

fn cuboid(colour: Colour, height: f64, half: [f64; 3]) -> Cuboid {
    Cuboid { centre: [0.0, height, 0.0], half, colour }
}

/// Turns a part's place beside the object's axis into one of the scene.
fn stand(class: Class, x: f64, z: f64, turn: (f64, f64), mut parts: Vec<Cuboid>) -> Object {
    let (sin, cos) = turn;
    for part in &mut parts {
        let [beside, height, along] = part.centre;
        part.centre = [x + beside * cos + along * sin, height, z - beside * sin + along * cos];
    }
    Object { class, x, z, turn, parts }
}

fn car(road: &Road, random: &mut Random) -> Object {
    let lane = random.upto(road.lanes - 1) as f64;
    let z = random.within(7.0, 38.0);
    let x = road.middle(z) - road.half() + LANE * (lane + 0.5) + random.within(-0.3, 0.3);
    let size = random.within(0.9, 1.15);
    let glass = [0.1, 0.12, 0.16];
    let mut parts = vec![
        cuboid([0.06; 3], 0.2 * size, [0.85 * size, 0.2 * size, 1.9 * size]),
        cuboid(paint(random), 0.65 * size, [0.92 * size, 0.35 * size, 2.1 * size]),
        cuboid(glass, 1.22 * size, [0.78 * size, 0.26 * size, 1.1 * size]),
    ];
    parts[2].centre[2] = random.within(-0.6, 0.2);
    stand(Class::Car, x, z, road.turn(z), parts)
}

fn person(road: &Road, random: &mut Random) -> Object {
    let z = random.within(5.0, 22.0);
    let side = if random.unit() < 0.5 { -1.0 } else { 1.0 };
    let beside = road.half() + random.within(0.4, 3.0);
    let crosses = random.unit() < 0.2;
    let x = road.middle(z) + side * if crosses { random.within(0.0, road.half()) } else { beside };
    let size = random.within(0.85, 1.1);
    let skin = random.within(0.3, 0.8);
    let parts = vec![
        cuboid(paint(random), 0.42 * size, [0.19 * size, 0.42 * size, 0.14 * size]),
        cuboid(paint(random), 1.12 * size, [0.27 * size, 0.3 * size, 0.17 * size]),
        cuboid([skin, 0.78 * skin, 0.62 * skin], 1.58 * size, [0.12 * size, 0.15 * size, 0.12 * size]),
    ];
    let sin = random.within(-1.0, 1.0);
    stand(Class::Person, x, z, (sin, (1.0 - sin * sin).sqrt()), parts)
}

fn sign(road: &Road, random: &mut Random) -> Object {
    const PLATES: [Colour; 4] = [[0.85, 0.1, 0.1], [0.1, 0.25, 0.8], [0.95, 0.8, 0.1], [0.9, 0.9, 0.9]];
    let z = random.within(6.0, 20.0);
    let side = if random.unit() < 0.3 { -1.0 } else { 1.0 };
    let x = road.middle(z) + side * (road.half() + random.within(0.7, 1.8));
    let height = random.within(2.0, 2.6);
    let half = random.within(0.35, 0.5);
    let plate = cuboid(PLATES[random.upto(3)], height, [half, half, 0.04]);
    let pole = cuboid([0.5; 3], (height - half) / 2.0, [0.05, (height - half) / 2.0, 0.05]);
    stand(Class::Sign, x, z, road.turn(z), vec![pole, plate])
}
