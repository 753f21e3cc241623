//! The planned engine: a static program over one arena, with kernels.
//!
//! For each batch size that comes, the graph becomes a [`Program`](program::Program): instructions forward and backward, and a
//! place in the arena for everything that is computed. Every instruction becomes a [`Call`] whose kernel, shapes and windows
//! are looked up once, so that a step does nothing but compute: it takes no memory. What is constant, and what kernels make of
//! weights that do not move, is computed when such a weight has changed. An op without a kernel runs by its dfdx definition, and
//! its gradient by that definition's pull-back, over copies.

mod call;
mod fixed;
mod profile;

use super::{Engine, Measured, Noise, Session, Visit, Weights};
use crate::base::DType;
use crate::data::Batch;
use crate::graph::{Definition, Graph, Leaf, ValueId};
use crate::kernels::cpu::arena::Block;
use crate::plan::program::{self, Instruction, Operand, Place, Program};
use call::{Call, Cost, Given};
use fixed::Fixed;
use indexmap::IndexMap;
use profile::Profile;
use smallvec::SmallVec;

pub struct Planned;

impl Engine for Planned {
    fn name(&self) -> &'static str {
        "planned"
    }

    fn summary(&self) -> &'static str {
        "a static program over one arena, with CPU kernels"
    }

    fn measures(&self) -> bool {
        true
    }

    fn session<'g>(&self, graph: &'g Graph) -> Box<dyn Session + 'g> {
        Box::new(Running {
            graph,
            programs: vec![],
            arena: Block::default(),
            last: 0,
            missing: Missing::default(),
            profile: None,
        })
    }
}

/// A program that is ready to run.
struct Ready<'g> {
    batch: usize,
    wanted: Vec<ValueId>,
    objectives: Vec<ValueId>,
    trains: bool,
    arena: usize,
    steps: Vec<Step<'g>>,
    fixed: Fixed<'g>,
    kept: Vec<Operand>,
    /// Copies of wanted values that are not in the arena.
    given: Vec<Vec<f32>>,
    gradients: Vec<Gradients>,
}

/// The gradients of one parameter.
struct Gradients {
    path: String,
    /// The objectives that reach it, and where their gradients are, by their offsets.
    places: Vec<(usize, Place)>,
}

/// Objectives whose gradients are visited without an allocation.
const FEW: usize = 16;

/// An instruction, ready to run.
enum Step<'g> {
    Draw { value: ValueId, leaf: &'g Leaf, into: Place },
    Seed(Place),
    Call(Box<Call<'g>>),
}

impl Step<'_> {
    /// The value that the step belongs to, and what it costs.
    fn cost(&self) -> Option<(ValueId, Cost)> {
        match self {
            Step::Call(call) => Some((call.value, call.cost)),
            Step::Draw { value, into, .. } => {
                Some((*value, Cost { op: "mask", backward: false, flops: 0.0, bytes: 4.0 * into.len as f64 }))
            }
            Step::Seed(_) => None,
        }
    }
}

/// What stands for a target that a batch does not bring: no row has it.
#[derive(Default)]
struct Missing {
    numbers: Vec<f32>,
    ids: Vec<i64>,
}

struct Running<'g> {
    graph: &'g Graph,
    programs: Vec<Ready<'g>>,
    arena: Block,
    /// The program that ran last, whose results are in the arena.
    last: usize,
    missing: Missing,
    profile: Option<Profile>,
}

impl<'g> Running<'g> {
    /// The program for a batch size, made when it is first asked for.
    fn ready(&mut self, batch: usize, wanted: &[ValueId], objectives: &[ValueId], trains: bool) -> usize {
        let fits =
            |r: &Ready| r.batch == batch && r.trains == trains && r.wanted == wanted && r.objectives == objectives;
        if let Some(found) = self.programs.iter().position(fits) {
            return found;
        }
        let program = program::backward(self.graph, batch, wanted, objectives);
        self.arena.grow(program.arena);
        let needed = |dtype: DType| {
            let leaves = self.graph.values.iter().filter(|v| v.ty.dtype == dtype);
            let missed =
                leaves.filter(|v| matches!(v.definition, Definition::Leaf(Leaf::Target(_) | Leaf::Presence(_))));
            missed.map(|v| v.ty.elements(batch)).max().unwrap_or(0)
        };
        let (numbers, ids) = (needed(DType::F32), needed(DType::I64));
        if self.missing.numbers.len() < numbers {
            self.missing.numbers.resize(numbers, 0.0);
        }
        if self.missing.ids.len() < ids {
            self.missing.ids.resize(ids, -1);
        }
        let ready = Ready::new(self.graph, program, wanted, objectives, trains);
        self.programs.push(ready);
        self.programs.len() - 1
    }

    fn run(&mut self, number: usize, weights: &Weights, batch: &Batch, noise: Option<Noise>) {
        self.last = number;
        let Running { graph, programs, arena, missing, profile, .. } = self;
        let ready = &mut programs[number];
        ready.fixed.refresh(graph, weights);
        let given = Given { graph, weights, batch, missing, fixed: &ready.fixed };
        for step in &ready.steps {
            let began = profile.as_ref().map(|_| std::time::Instant::now());
            match step {
                Step::Draw { leaf, into, .. } => draw(leaf, noise, &mut arena.as_mut_slice()[range(*into)]),
                Step::Seed(place) => arena.as_mut_slice()[place.offset] = 1.0,
                Step::Call(call) => call.run(&given, arena),
            }
            if let (Some(profile), Some(began), Some((value, cost))) = (profile.as_mut(), began, step.cost()) {
                profile.add(graph, value, cost, began.elapsed());
            }
        }
        for (operand, copy) in ready.kept.iter().zip(&mut ready.given) {
            if let Operand::Given(id) = operand {
                given.copy(*id, copy);
            }
        }
    }
}

impl<'g> Ready<'g> {
    fn new(graph: &'g Graph, program: Program, wanted: &[ValueId], objectives: &[ValueId], trains: bool) -> Self {
        let mut fixed = Fixed::new(graph, &program.constants);
        let batch = program.batch;
        let step = |step: &Instruction| match step {
            Instruction::Draw { value, into } => {
                let Definition::Leaf(leaf) = &graph.value(*value).definition else {
                    unreachable!("only leaves are drawn")
                };
                Step::Draw { value: *value, leaf, into: *into }
            }
            Instruction::Seed(place) => Step::Seed(*place),
            Instruction::Compute { value, rows, inputs, into } => {
                Step::Call(Call::forward(graph, *value, inputs, *into, rows.clone(), trains, &mut fixed).into())
            }
            Instruction::Pullback { value, inputs, output, cotangent, into } => {
                Step::Call(Call::pullback(graph, *value, inputs, *output, *cotangent, into, batch, trains).into())
            }
        };
        let steps = program.steps.iter().map(step).collect();
        Self {
            batch,
            wanted: wanted.to_vec(),
            objectives: objectives.to_vec(),
            trains,
            arena: program.arena,
            steps,
            fixed,
            given: program.kept.iter().map(|_| vec![]).collect(),
            kept: program.kept,
            gradients: gradients(graph, &program.gradients),
        }
    }
}

impl Session for Running<'_> {
    fn forward(&mut self, weights: &Weights, batch: &Batch, wanted: &[ValueId]) {
        let number = self.ready(batch.size, wanted, &[], false);
        self.run(number, weights, batch, None);
    }

    fn backward(&mut self, weights: &Weights, batch: &Batch, noise: Noise, wanted: &[ValueId], objectives: &[ValueId]) {
        let number = self.ready(batch.size, wanted, objectives, true);
        self.run(number, weights, batch, Some(noise));
    }

    fn result(&self, number: usize) -> &[f32] {
        let ready = &self.programs[self.last];
        match ready.kept[number] {
            Operand::Place(place) => &self.arena.as_slice()[range(place)],
            Operand::Given(_) | Operand::Unread => &ready.given[number],
        }
    }

    fn gradients(&mut self, visit: &mut Visit) {
        let ready = &self.programs[self.last];
        assert!(ready.arena <= self.arena.len(), "bug: a program larger than its arena");
        for Gradients { path, places } in &ready.gradients {
            let mut each: SmallVec<[Option<&mut [f32]>; FEW]> = ready.objectives.iter().map(|_| None).collect();
            let (mut rest, mut begin) = (self.arena.as_mut_slice(), 0);
            for (objective, place) in places {
                let (own, behind) = rest[place.offset - begin..].split_at_mut(place.len);
                each[*objective] = Some(own);
                (rest, begin) = (behind, place.offset + place.len);
            }
            visit(path, &mut each);
        }
    }

    fn bytes(&self) -> usize {
        let programs =
            self.programs.iter().map(|r| r.fixed.bytes() + 4 * r.given.iter().map(Vec::capacity).sum::<usize>());
        let missing = 4 * self.missing.numbers.capacity() + 8 * self.missing.ids.capacity();
        self.arena.bytes() + missing + programs.sum::<usize>()
    }

    fn profile(&mut self) -> Vec<Measured> {
        self.profile.get_or_insert_default().measured()
    }
}

/// The gradients of all objectives by parameter, in the order of the graph.
fn gradients(graph: &Graph, of: &[IndexMap<String, Place>]) -> Vec<Gradients> {
    let leaves = graph.values.iter().filter_map(|value| match &value.definition {
        Definition::Leaf(Leaf::Parameter(path)) => Some(path),
        _ => None,
    });
    let one = |path: &String| {
        let mut places: Vec<(usize, Place)> =
            of.iter().enumerate().filter_map(|(i, places)| Some((i, *places.get(path)?))).collect();
        places.sort_by_key(|(_, place)| place.offset);
        Gradients { path: path.clone(), places }
    };
    leaves.map(one).filter(|gradients| !gradients.places.is_empty()).collect()
}

fn range(place: Place) -> std::ops::Range<usize> {
    place.offset..place.offset + place.len
}

/// Draws a dropout mask or a share.
fn draw(leaf: &Leaf, noise: Option<Noise>, into: &mut [f32]) {
    noise.expect("what is drawn stands only in graphs that are trained").draw(leaf, into);
}
