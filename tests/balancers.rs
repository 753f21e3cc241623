//! Balancers: their directions against TorchJD and the papers' formulas, what they learn, and what a training step makes of them.
//!
//! `tests/goldens/make_balancers.py` wrote the golden.

mod steps;

use crate::parts::{call, floats, given};
use mtlc::base::signature::{Call, Value};
use mtlc::kernels::cpu::gradients::{Room, combine, products};
use mtlc::parts::balancers::{BALANCERS, Balancer, Gram, Own, Turn, find};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;

fn balancer(name: &str, arguments: &[(&str, Value)]) -> (&'static dyn Balancer, Call) {
    let signatures: Vec<_> = BALANCERS.iter().map(|b| b.signature()).collect();
    (find(name).expect("a balancer"), call(&signatures, name, arguments))
}

/// What is the same in every turn of a test.
struct Scene<'a> {
    call: &'a Call,
    weights: Vec<f64>,
    numbers: Vec<f32>,
    own: Own,
    step: u64,
}

impl<'a> Scene<'a> {
    fn new(call: &'a Call, tasks: usize) -> Self {
        Self { call, weights: vec![1.0; tasks], numbers: vec![0.0; tasks], own: Own::default(), step: 0 }
    }

    /// Calls `act` with a turn in which these tasks are present.
    fn turn<R>(&mut self, tasks: &[usize], losses: &[f64], act: impl FnOnce(&mut Turn) -> R) -> R {
        let step = self.step;
        let random = |purpose: &str| ChaCha8Rng::seed_from_u64(step * 1000 + purpose.len() as u64);
        self.step += 1;
        act(&mut Turn {
            args: &self.call.args,
            own: &mut self.own,
            numbers: &mut self.numbers,
            tasks,
            losses,
            weights: &self.weights,
            random: &random,
        })
    }

    /// The shared gradient of a step with all tasks.
    fn direction(&mut self, balancer: &dyn Balancer, jacobian: &[Vec<f64>], losses: &[f64]) -> Vec<f64> {
        let tasks: Vec<usize> = (0..jacobian.len()).collect();
        self.turn(&tasks, losses, |turn| {
            let row = |i: usize| jacobian[i].iter().map(|g| (g * balancer.factor(turn, i)) as f32).collect();
            let mut rows: Vec<Vec<f32>> = tasks.iter().map(|&i| row(i)).collect();
            let mut seen: Vec<Option<&mut [f32]>> = rows.iter_mut().map(|row| Some(&mut row[..])).collect();
            balancer.observe(turn, "trunk", &mut seen);
            let gram = gram(&rows);
            let weights = balancer.weigh(turn, &gram);
            let one = |k: usize| weights.iter().zip(&rows).map(|(w, row)| w * f64::from(row[k])).sum();
            (0..jacobian[0].len()).map(one).collect()
        })
    }
}

fn gram(rows: &[Vec<f32>]) -> Gram {
    let mut sums = vec![0.0; rows.len() * rows.len()];
    let rows: Vec<Option<&[f32]>> = rows.iter().map(|row| Some(&row[..])).collect();
    products(&rows, None, &mut sums, &mut Room::default());
    let last = (0..rows.len()).map(|i| sums[i * rows.len() + i]).collect();
    Gram::new(sums, last)
}

#[test]
fn directions_are_those_of_torchjd_and_the_papers() {
    let golden: Json = serde_json::from_str(include_str!("goldens/balancers.json")).unwrap();
    let mut wrong = vec![];
    let mut compared = 0;
    for case in golden["cases"].as_array().unwrap() {
        let jacobian: Vec<Vec<f64>> = case["jacobian"].as_array().unwrap().iter().map(floats).collect();
        for answer in case["answers"].as_array().unwrap() {
            let (balancer, call) = balancer(answer["name"].as_str().unwrap(), &given(&answer["arguments"]));
            let losses = floats(&case["losses"]);
            let ours = Scene::new(&call, jacobian.len()).direction(balancer, &jacobian, &losses);
            let theirs = floats(&answer["direction"]);
            // Where gradients cancel, what is left is compared on the scale of what cancelled.
            let least = jacobian.iter().map(|row| row.iter().map(|g| g * g).sum::<f64>().sqrt());
            let least = least.filter(|norm| *norm > 0.0).fold(f64::INFINITY, f64::min);
            let scale = theirs.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-2 * least);
            let far = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            compared += 1;
            if far.is_nan() || far > 1e-5 * scale {
                let place = format!("{}: {} {}", case["name"], answer["name"], answer["arguments"]);
                wrong.push(format!("{place}: {far:e} of {scale:e}\n  {ours:?}\n  {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 150);
}

/// A vector of small whole numbers, so that every sum is exact.
fn whole(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.gen_range(-8i8..=8).into()).collect()
}

#[test]
fn products_and_sums_are_those_of_every_number() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for len in [0, 1, 15, 16, 17, 4095, 4096, 4097, 70_000] {
        let mut rows: Vec<Vec<f32>> = (0..3).map(|_| whole(&mut rng, len)).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let mut sums = vec![1.0; 9];
        let (mut room, seen) = (Room::default(), [Some(&rows[0][..]), None, Some(&rows[2][..])]);
        products(&seen, None, &mut sums, &mut room);
        let (a, b, c) = (dot(&rows[0], &rows[0]), dot(&rows[0], &rows[2]), dot(&rows[2], &rows[2]));
        let expected = [a, 0.0, b, 0.0, 0.0, 0.0, b, 0.0, c].map(|x| x + 1.0);
        assert_eq!(sums, expected, "{len}");
        let mut sums = vec![0.0; 9];
        products(&seen, Some(&[None, Some(&rows[1]), Some(&rows[0])]), &mut sums, &mut room);
        let (first, third) = (dot(&rows[0], &rows[1]), dot(&rows[2], &rows[1]));
        assert_eq!(sums, [0.0, first, a, 0.0, 0.0, 0.0, 0.0, third, b], "{len}");
        let sum: Vec<f32> = (0..len).map(|k| 2.0 * rows[1][k] - 0.5 * rows[2][k]).collect();
        let [_, second, third] = &mut rows[..] else { unreachable!("three rows") };
        combine(&mut [None, Some(second), Some(third)], &[7.0, 2.0, -0.5]);
        assert_eq!(rows[1], sum, "{len}");
    }
}

#[test]
fn pcgrad_projects_on_gradients_as_they_were_in_some_order() {
    let (balancer, call) = balancer("pcgrad", &[]);
    let jacobian = [vec![1.0, 0.0, 0.5, 0.25], vec![-0.75, 1.0, 0.0, 0.5], vec![0.25, -0.5, 1.0, -0.75]];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Every combination of the two orders that each task has.
    let sums: Vec<Vec<f64>> = (0..8)
        .map(|orders: usize| {
            let mut sum = vec![0.0; 4];
            for i in 0..3 {
                let mut others: Vec<usize> = (0..3).filter(|j| *j != i).collect();
                if orders >> i & 1 == 1 {
                    others.reverse();
                }
                let mut own = jacobian[i].clone();
                for j in others {
                    let along = dot(&own, &jacobian[j]) / dot(&jacobian[j], &jacobian[j]);
                    own.iter_mut().zip(&jacobian[j]).for_each(|(g, other)| *g -= along.min(0.0) * other);
                }
                sum.iter_mut().zip(own).for_each(|(s, g)| *s += g);
            }
            sum
        })
        .collect();
    let mut scene = Scene::new(&call, 3);
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let ours = scene.direction(balancer, &jacobian, &[1.0; 3]);
        let same = |theirs: &&Vec<f64>| ours.iter().zip(*theirs).all(|(a, b)| (a - b).abs() < 1e-6);
        met.insert(format!("{:?}", sums.iter().find(same).expect("one of the orders")));
    }
    assert!(met.len() > 1, "the order is drawn anew in each step");
}

#[test]
fn gradnorm_follows_the_norms_of_the_last_shared_layer() {
    let (balancer, call) = balancer("gradnorm", &[]);
    let mut scene = Scene::new(&call, 2);
    // Norms 3 and 1 of equal tasks: the factor of the larger one falls, that of the other rises, and they add up to 2.
    let products = || Gram::new(vec![900.0, 0.0, 0.0, 100.0], vec![9.0, 1.0]);
    let mut weigh = |losses: &[f64]| scene.turn(&[0, 1], losses, |turn| balancer.weigh(turn, &products()));
    assert_eq!(weigh(&[1.0, 1.0]), [1.0, 1.0]);
    let second = weigh(&[1.0, 1.0]);
    // Adam's first step is its rate, whatever the gradient.
    assert!((second[0] - 0.975).abs() < 1e-6 && (second[1] - 1.025).abs() < 1e-6, "{second:?}");
    // Now the first task has not learned at all, and the other has learned everything: N̄ r^α is beyond what it has.
    (0..40).for_each(|_| drop(weigh(&[1.0, 0.001])));
    let later = weigh(&[1.0, 0.001]);
    assert!(later[0] > 1.2 && (later[0] + later[1] - 2.0).abs() < 1e-5, "{later:?}");
}

#[test]
fn nash_is_no_average_of_inverse_losses() {
    let (balancer, call) = balancer("nash", &[]);
    let jacobian = [vec![2.0, 0.5], vec![-0.5, 1.0]];
    let one = |losses: &[f64]| Scene::new(&call, 2).direction(balancer, &jacobian, losses);
    assert_eq!(one(&[1.0, 1.0]), one(&[100.0, 0.01]));
}

#[test]
fn excess_risk_raises_what_still_gains() {
    let (balancer, call) = balancer("excess", &[("rate", Value::Float(0.5))]);
    let mut scene = Scene::new(&call, 2);
    let jacobian = |a: f64| [vec![a, 0.0], vec![0.0, 1.0]];
    // In the first step the factors are 1. In the second the first task has the gradient 2 behind 1: h = 5, e = 4/√5 over 1; the
    // other one's is 1/√2.
    assert_eq!(scene.direction(balancer, &jacobian(1.0), &[1.0; 2]), [1.0, 1.0]);
    let second = scene.direction(balancer, &jacobian(2.0), &[1.0; 2]);
    let (a, b) = ((0.5 * 4.0 / 5f64.sqrt()).exp(), (0.5 / 2f64.sqrt()).exp());
    assert!((second[0] - 2.0 * 2.0 * a / (a + b)).abs() < 1e-5, "{second:?}");
    assert!((second[1] - 2.0 * b / (a + b)).abs() < 1e-5, "{second:?}");
}

#[test]
fn averages_of_db_mtl_and_smooth_begin_and_move_as_they_say() {
    let (db_mtl, call) = balancer("db_mtl", &[("beta", Value::Float(0.5))]);
    let mut scene = Scene::new(&call, 2);
    scene.direction(db_mtl, &[vec![4.0, 0.0], vec![0.0, 1.0]], &[1.0, 1.0]);
    // The averages are (2, 1) and (0, 1), the longest has √5.
    let second = scene.direction(db_mtl, &[vec![0.0, 2.0], vec![0.0, 1.0]], &[1.0, 1.0]);
    assert!((second[0] - 2.0).abs() < 1e-5 && (second[1] - 1.0 - 5f64.sqrt()).abs() < 1e-5, "{second:?}");

    let (smooth, mut outer) = balancer("smooth", &[("of", Value::Int(0)), ("alpha", Value::Float(0.75))]);
    outer.args.0.get_mut("of").expect("given").value = Value::Part(balancer("mgda", &[]).1);
    let mut scene = Scene::new(&outer, 2);
    // From ½ each towards the factors of mgda, 0 and 1: the shorter gradient alone.
    let first = scene.direction(smooth, &[vec![4.0, 0.0], vec![1.0, 0.0]], &[1.0, 1.0]);
    assert!((first[0] - (0.375 * 4.0 + 0.625)).abs() < 1e-6, "{first:?}");
}

#[test]
fn dropped_signs_are_drawn_by_their_share() {
    let (balancer, call) = balancer("graddrop", &[]);
    let mut scene = Scene::new(&call, 2);
    let wide = [vec![3.0; 4000], [vec![-1.0; 2000], vec![2.0; 2000]].concat()];
    let direction = scene.direction(balancer, &wide, &[1.0; 2]);
    assert!(direction[2000..].iter().all(|g| *g == 5.0), "numbers of one sign are kept");
    // P is ¾: three in four keep the positive number, the others the negative one.
    let kept = direction[..2000].iter().filter(|g| **g == 3.0).count();
    assert_eq!(direction[..2000].iter().filter(|g| **g == -1.0).count(), 2000 - kept);
    assert!((1400..1600).contains(&kept), "{kept}");
}

#[test]
fn dwa_compares_the_last_two_epochs() {
    let (balancer, call) = balancer("dwa", &[]);
    let mut scene = Scene::new(&call, 2);
    scene.numbers = vec![1.0; 2];
    let mut epoch = |losses: [f64; 2]| {
        // Two steps, whose mean counts.
        for by in [0.5, 1.5] {
            scene.turn(&[0, 1], &[losses[0] * by, losses[1] * by], |turn| balancer.end(turn, &[]));
        }
        scene.turn(&[0, 1], &[], |turn| balancer.epoch_ends(turn));
        scene.numbers.clone()
    };
    assert_eq!(epoch([1.0, 1.0]), [1.0, 1.0], "ones in the first two epochs");
    let third = epoch([0.5, 1.0]);
    let (a, b) = ((0.5f64 / 2.0).exp(), (1f64 / 2.0).exp());
    assert!((f64::from(third[0]) - 2.0 * a / (a + b)).abs() < 1e-6, "{third:?}");
    assert!((f64::from(third[1]) - 2.0 * b / (a + b)).abs() < 1e-6, "{third:?}");
}

#[test]
fn famo_moves_towards_what_fell_least() {
    let (balancer, call) = balancer("famo", &[("decay", Value::Float(0.0))]);
    let mut scene = Scene::new(&call, 2);
    // The first loss halved and the second stayed: δ = (ln 2, 0), so ξ falls for the first and rises for the second, by Adam's rate.
    scene.turn(&[0, 1], &[1.0, 1.0], |turn| balancer.end(turn, &[0.5, 1.0]));
    assert!((scene.numbers[0] + 0.025).abs() < 1e-6 && (scene.numbers[1] - 0.025).abs() < 1e-6, "{:?}", scene.numbers);
    // c = (Σ z / D)⁻¹ at z = (½, ½).
    let mut scene = Scene::new(&call, 2);
    let scale = scene.turn(&[0, 1], &[1.0, 0.5], |turn| balancer.scale(turn));
    assert!((scale - 1.0 / 1.5).abs() < 1e-6, "{scale}");
}
