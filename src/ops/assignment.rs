//! Which cells of a detector answer for which boxes: task-aligned assignment (TOOD, Feng et al. 2021, arXiv 2108.07755).
//!
//! A cell is aligned with a box by `s^α · u^β`: `s` is the probability that it gives to the box's class, and `u` the IoU (intersection
//! over union) of its box with the true one. Candidates are the cells whose centre lies inside of the box; a box too small to hold one
//! takes the nearest cell. Of the candidates the `k` best aligned are taken, and a cell that several boxes take goes to the one with
//! which it has the largest IoU. What is equal is decided by the order of cells and boxes. The best cell of a box has the weight 1 and
//! its soft target is the box's largest IoU; the others have both in proportion to their alignment.
//!
//! The assignment is data: no gradient flows through it. It is computed in 64 bits, in the same order for any number of threads.

use super::detect::BEHIND;

/// The constants of the alignment.
#[derive(Clone, Copy, Debug)]
pub struct Alignment {
    pub candidates: usize,
    pub alpha: f64,
    pub beta: f64,
}

/// A cell that answers for a box.
#[derive(Clone, Debug, PartialEq)]
pub struct Positive {
    /// Among the cells of all rows of the batch.
    pub cell: usize,
    pub class: usize,
    /// The true box.
    pub truth: [f32; 4],
    /// Its share in the losses of box and quality.
    pub weight: f64,
    /// What it should give as the probability of the class.
    pub target: f64,
    /// The IoU of its box with the true one, which the quality foretells.
    pub iou: f64,
}

/// The numbers of a batch: predictions of `[rows, cells, classes + 7]` as the op `detect` gives them, and targets of `[rows, boxes, 5]`.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub prediction: &'a [f32],
    pub target: &'a [f32],
    pub cells: usize,
    pub classes: usize,
    pub boxes: usize,
}

impl Scene<'_> {
    /// Numbers of one cell.
    pub fn width(&self) -> usize {
        self.classes + BEHIND
    }

    /// The answer of a cell, counted through all rows.
    pub fn answer(&self, cell: usize) -> &[f32] {
        &self.prediction[cell * self.width()..][..self.width()]
    }

    /// The box of a cell.
    pub fn corners(&self, cell: usize) -> [f32; 4] {
        let behind = &self.answer(cell)[self.classes + 1..];
        [behind[0], behind[1], behind[2], behind[3]]
    }
}

/// The cells that answer for boxes in those rows, ascending.
pub fn assign(scene: &Scene, rows: impl Iterator<Item = usize>, alignment: &Alignment) -> Vec<Positive> {
    rows.flat_map(|row| in_row(scene, row, alignment)).collect()
}

/// The true boxes of a row: class and corners. What names no class, or has no inside, is none.
pub fn truths(target: &[f32], classes: usize) -> impl Iterator<Item = (usize, [f32; 4])> {
    target.chunks_exact(5).filter_map(move |b| {
        let is_class = b[0] >= 0.0 && b[0].fract() == 0.0 && b[0] < classes as f32;
        (is_class && b[1] < b[3] && b[2] < b[4]).then(|| (b[0] as usize, [b[1], b[2], b[3], b[4]]))
    })
}

/// What the assignment knows of a pair of a box and a cell.
#[derive(Clone, Copy)]
struct Pair {
    truth: usize,
    cell: usize,
    iou: f64,
    aligned: f64,
}

fn in_row(scene: &Scene, row: usize, alignment: &Alignment) -> Vec<Positive> {
    let own = &scene.target[row * scene.boxes * 5..][..scene.boxes * 5];
    let truths: Vec<(usize, [f32; 4])> = truths(own, scene.classes).collect();
    let cells = row * scene.cells..(row + 1) * scene.cells;
    // For each cell the pair that it belongs to so far.
    let mut taken: Vec<Option<Pair>> = vec![None; scene.cells];
    for (truth, (class, corners)) in truths.iter().enumerate() {
        let mut candidates: Vec<Pair> = candidates(scene, cells.clone(), corners)
            .into_iter()
            .map(|cell| {
                let iou = iou(scene.corners(cell), *corners);
                let probability = 1.0 / (1.0 + libm::exp(-f64::from(scene.answer(cell)[*class])));
                let aligned = libm::pow(probability, alignment.alpha) * libm::pow(iou, alignment.beta);
                Pair { truth, cell, iou, aligned }
            })
            .collect();
        candidates.sort_by(|a, b| b.aligned.total_cmp(&a.aligned));
        for pair in candidates.into_iter().take(alignment.candidates) {
            let place = &mut taken[pair.cell - cells.start];
            if place.is_none_or(|before| pair.iou > before.iou) {
                *place = Some(pair);
            }
        }
    }
    let mut most = vec![(0.0f64, 0.0f64); truths.len()];
    for pair in taken.iter().flatten() {
        let (aligned, iou) = &mut most[pair.truth];
        (*aligned, *iou) = (aligned.max(pair.aligned), iou.max(pair.iou));
    }
    let positive = |pair: Pair| {
        let (aligned, iou) = most[pair.truth];
        // Where nothing is aligned with the box at all, its cells are equally good.
        let weight = if aligned > 0.0 { pair.aligned / aligned } else { 1.0 };
        let (class, truth) = truths[pair.truth];
        Positive { cell: pair.cell, class, truth, weight, target: weight * iou, iou: pair.iou }
    };
    taken.into_iter().flatten().map(positive).collect()
}

/// The cells whose centre lies inside of the box; if there is none, the one nearest to the middle of the box.
fn candidates(scene: &Scene, cells: std::ops::Range<usize>, [x0, y0, x1, y1]: &[f32; 4]) -> Vec<usize> {
    let centre = |cell: usize| {
        let answer = scene.answer(cell);
        (answer[scene.classes + 5], answer[scene.classes + 6])
    };
    let inside = |cell: &usize| {
        let (x, y) = centre(*cell);
        *x0 < x && x < *x1 && *y0 < y && y < *y1
    };
    let found: Vec<usize> = cells.clone().filter(inside).collect();
    if !found.is_empty() {
        return found;
    }
    let middle = [x0, x1, y0, y1].map(|x| f64::from(*x));
    let far = |cell: usize| {
        let (x, y) = centre(cell);
        let (dx, dy) = (f64::from(x) - (middle[0] + middle[1]) / 2.0, f64::from(y) - (middle[2] + middle[3]) / 2.0);
        dx * dx + dy * dy
    };
    cells.min_by(|a, b| far(*a).total_cmp(&far(*b))).into_iter().collect()
}

/// The intersection of two boxes over their union, of x0, y0, x1, y1; 0 where they do not meet.
pub fn iou(a: [f32; 4], b: [f32; 4]) -> f64 {
    let (a, b) = (a.map(f64::from), b.map(f64::from));
    let (width, height) = (a[2].min(b[2]) - a[0].max(b[0]), a[3].min(b[3]) - a[1].max(b[1]));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let area = |b: [f64; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    width * height / (area(a) + area(b) - width * height)
}
