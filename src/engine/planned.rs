//! The planned engine: a static program over one arena, with kernels.
//!
//! For each batch size that comes, the graph becomes a [`Program`]: instructions forward and backward, and a place in the arena
//! for everything that is computed, so a step takes no new memory for its values. An op without a kernel runs by its dfdx definition, and its
//! gradient by that definition's pull-back, over copies.

use super::feed::{Feed, feed};
use super::{Engine, Noise, Session, Weights};
use crate::data::Batch;
use crate::graph::{Definition, Graph, Leaf, ValueId};
use crate::kernels::cpu::{self, Backward, Gradient, Input, Shapes};
use crate::ops::Value;
use crate::ops::pullback::pullback;
use crate::plan::program::{self, Instruction, Needs, Place, Program, Target};
use std::collections::HashMap;

pub struct Planned;

impl Engine for Planned {
    fn name(&self) -> &'static str {
        "planned"
    }

    fn summary(&self) -> &'static str {
        "a static program over one arena, with CPU kernels"
    }

    fn session<'g>(&self, graph: &'g Graph) -> Box<dyn Session + 'g> {
        Box::new(Running { graph, programs: vec![], arena: vec![], ids: HashMap::new(), last: 0 })
    }
}

/// A program, and the shapes that its kernels are called with.
struct Ready {
    program: Program,
    wanted: Vec<ValueId>,
    trains: bool,
    shapes: Vec<Option<Shapes>>,
}

struct Running<'g> {
    graph: &'g Graph,
    programs: Vec<Ready>,
    arena: Vec<f32>,
    /// The indices of leaves, by value.
    ids: HashMap<usize, Vec<i64>>,
    /// The program that ran last, whose gradients are in the arena.
    last: usize,
}

impl Running<'_> {
    /// The program for a batch size, made when it is first asked for.
    fn ready(&mut self, batch: usize, wanted: &[ValueId], trains: bool) -> usize {
        let fits = |r: &Ready| r.program.batch == batch && r.trains == trains && r.wanted == wanted;
        if let Some(found) = self.programs.iter().position(fits) {
            return found;
        }
        let program = if trains {
            program::backward(self.graph, batch, wanted)
        } else {
            program::forward(self.graph, batch, wanted)
        };
        let shapes = self.graph.values.iter().map(|value| match &value.definition {
            Definition::Leaf(_) => None,
            Definition::Op { inputs, .. } => Some(Shapes {
                inputs: inputs.iter().map(|&i| self.graph.value(i).ty.at(batch)).collect(),
                output: value.ty.at(batch),
                channels_last: value.channels_last || inputs.iter().any(|&i| self.graph.value(i).channels_last),
                trains,
            }),
        });
        let shapes = shapes.collect();
        if self.arena.len() < program.arena {
            self.arena.resize(program.arena, 0.0);
        }
        self.programs.push(Ready { program, wanted: wanted.to_vec(), trains, shapes });
        self.programs.len() - 1
    }

    fn run(&mut self, number: usize, weights: &Weights, batch: &Batch, noise: Option<Noise>) -> Vec<Vec<f32>> {
        self.last = number;
        let Ready { program, wanted, shapes, .. } = &self.programs[number];
        let mut machine = Machine {
            graph: self.graph,
            program,
            shapes,
            weights,
            arena: &mut self.arena[..program.arena],
            ids: &mut self.ids,
        };
        for step in &program.steps {
            match step {
                Instruction::Load(id) => machine.load(*id, batch, noise),
                Instruction::Compute(id) => machine.compute(*id, batch.size),
                Instruction::Seed(place) => machine.arena[place.offset] = 1.0,
                Instruction::Pullback { value, cotangent, into } => {
                    machine.pullback(*value, *cotangent, into, batch.size)
                }
            }
        }
        wanted.iter().map(|&id| machine.read(id)).collect()
    }
}

impl Session for Running<'_> {
    fn forward(&mut self, weights: &Weights, batch: &Batch, wanted: &[ValueId]) -> Vec<Vec<f32>> {
        let number = self.ready(batch.size, wanted, false);
        self.run(number, weights, batch, None)
    }

    fn backward(&mut self, weights: &Weights, batch: &Batch, noise: Noise, wanted: &[ValueId]) -> Vec<Vec<f32>> {
        let number = self.ready(batch.size, wanted, true);
        self.run(number, weights, batch, Some(noise))
    }

    fn gradients(&mut self) -> Vec<(&str, &mut [f32])> {
        let program = &self.programs[self.last].program;
        let places: Vec<Place> = program.gradients.values().copied().collect();
        let slices = carve(&mut self.arena, &[], &places).1;
        program.gradients.keys().map(String::as_str).zip(slices).collect()
    }
}

/// A program while it runs.
struct Machine<'a> {
    graph: &'a Graph,
    program: &'a Program,
    shapes: &'a [Option<Shapes>],
    weights: &'a Weights,
    arena: &'a mut [f32],
    ids: &'a mut HashMap<usize, Vec<i64>>,
}

/// Where an input's numbers are.
enum Source<'a> {
    Weights(&'a [f32]),
    Ids(&'a [i64]),
    Arena(Place),
}

impl Machine<'_> {
    fn load(&mut self, id: ValueId, batch: &Batch, noise: Option<Noise>) {
        let value = self.graph.value(id);
        let Definition::Leaf(leaf) = &value.definition else { unreachable!("only leaves are loaded") };
        match (feed(leaf, &value.ty, self.weights, batch, noise), self.program.places[id.0]) {
            (Feed::Numbers(numbers), Some(place)) => self.arena[range(place)].copy_from_slice(&numbers),
            (Feed::Ids(ids), None) => drop(self.ids.insert(id.0, ids)),
            _ => panic!("bug: the batch brings `{}` in another type", value.path),
        }
    }

    fn compute(&mut self, id: ValueId, batch: usize) {
        let value = self.graph.value(id);
        let Definition::Op { op, inputs } = &value.definition else { unreachable!("only ops are computed") };
        let shapes = self.shapes[id.0].as_ref().expect("every op has shapes");
        let place = self.program.places[id.0].expect("a computed value has a place");
        if batch == 0 {
            return self.arena[range(place)].fill(0.0);
        }
        let sources: Vec<Source> =
            inputs.iter().map(|&i| source(self.graph, self.program, self.weights, self.ids, i)).collect();
        match cpu::find(op) {
            Some(kernel) => {
                let (reads, mut writes) = carve(self.arena, &arena_places(&sources), &[place]);
                kernel.forward(&resolve(&sources, &reads), shapes, writes.remove(0));
            }
            None => {
                let inputs = values::<dfdx::prelude::NoneTape>(&sources, self.arena, shapes);
                let result = op.define(inputs, &value.ty, batch).to_vec();
                self.arena[range(place)].copy_from_slice(&result);
            }
        }
    }

    fn pullback(&mut self, id: ValueId, cotangent: Place, into: &[Option<Target>], batch: usize) {
        let value = self.graph.value(id);
        let Definition::Op { op, inputs } = &value.definition else { unreachable!("only ops are pulled back") };
        let shapes = self.shapes[id.0].as_ref().expect("every op has shapes");
        if batch == 0 {
            into.iter().flatten().filter(|t| !t.add).for_each(|t| self.arena[range(t.place)].fill(0.0));
            return;
        }
        let reads = Needs::of(op, inputs.len());
        let sources: Vec<Source> = inputs
            .iter()
            .zip(&reads.inputs)
            .map(|(&i, read)| match source(self.graph, self.program, self.weights, self.ids, i) {
                Source::Arena(_) if !read => Source::Weights(&[]),
                source => source,
            })
            .collect();
        let mut targets: Vec<Place> = into.iter().flatten().map(|t| t.place).collect();
        targets.sort_unstable();
        let distinct = targets.windows(2).all(|pair| pair[0] != pair[1]);
        match cpu::find(op).filter(|_| distinct) {
            Some(kernel) => {
                let mut places = arena_places(&sources);
                let output = if reads.output { self.program.places[id.0] } else { None };
                places.extend(output);
                places.push(cotangent);
                let writes: Vec<Place> = into.iter().flatten().map(|t| t.place).collect();
                let (read, write) = carve(self.arena, &places, &writes);
                let mut write = write.into_iter();
                let mut gradients: Vec<Option<Gradient>> = into
                    .iter()
                    .map(|t| t.map(|t| Gradient { data: write.next().expect("one for each target"), add: t.add }))
                    .collect();
                let call = Backward {
                    inputs: &resolve(&sources, &read),
                    output: output.map_or(&[], |_| read[read.len() - 2]),
                    cotangent: read[read.len() - 1],
                    shapes,
                };
                kernel.pullback(&call, &mut gradients);
            }
            None => {
                // The definition's own pull-back reads every input, and so does one for a kernel whose gradients share a place.
                let all: Vec<Source> =
                    inputs.iter().map(|&i| source(self.graph, self.program, self.weights, self.ids, i)).collect();
                let values = values::<dfdx::prelude::NoneTape>(&all, self.arena, shapes);
                let cotangent = self.arena[range(cotangent)].to_vec();
                let (_, gradients) = pullback(op, &values, &value.ty, batch, &cotangent);
                let mut seen: Vec<Place> = vec![];
                for (target, gradient) in into.iter().zip(gradients) {
                    let (Some(target), Some(gradient)) = (target, gradient) else { continue };
                    let add = target.add || seen.contains(&target.place);
                    let place = &mut self.arena[range(target.place)];
                    if add {
                        place.iter_mut().zip(&gradient).for_each(|(g, d)| *g += d);
                    } else {
                        place.copy_from_slice(&gradient);
                    }
                    seen.push(target.place);
                }
            }
        }
    }

    fn read(&self, id: ValueId) -> Vec<f32> {
        match source(self.graph, self.program, self.weights, self.ids, id) {
            Source::Weights(numbers) => numbers.to_vec(),
            Source::Ids(ids) => ids.iter().map(|&i| i as f32).collect(),
            Source::Arena(place) => self.arena[range(place)].to_vec(),
        }
    }
}

fn range(place: Place) -> std::ops::Range<usize> {
    place.offset..place.offset + place.len
}

fn source<'a>(
    graph: &Graph,
    program: &Program,
    weights: &'a Weights,
    ids: &'a HashMap<usize, Vec<i64>>,
    id: ValueId,
) -> Source<'a> {
    match (&graph.value(id).definition, program.places[id.0]) {
        (Definition::Leaf(Leaf::Parameter(path)), _) => Source::Weights(&weights.get(path).data),
        (_, Some(place)) => Source::Arena(place),
        (_, None) => Source::Ids(ids.get(&id.0).map_or(&[], Vec::as_slice)),
    }
}

fn arena_places(sources: &[Source]) -> Vec<Place> {
    sources.iter().filter_map(|s| if let Source::Arena(place) = s { Some(*place) } else { None }).collect()
}

/// The inputs of a kernel; those in the arena come from `reads`, in order.
fn resolve<'a>(sources: &[Source<'a>], reads: &[&'a [f32]]) -> Vec<Input<'a>> {
    let mut reads = reads.iter();
    let input = |source: &Source<'a>| match source {
        Source::Weights(numbers) => Input::Numbers(numbers),
        Source::Ids(ids) => Input::Ids(ids),
        Source::Arena(_) => Input::Numbers(reads.next().expect("one for each place")),
    };
    sources.iter().map(input).collect()
}

/// The inputs of a definition: copies.
fn values<T: crate::ops::Tape>(sources: &[Source], arena: &[f32], shapes: &Shapes) -> Vec<Value<T>> {
    let value = |(source, dims): (&Source, &Vec<usize>)| match source {
        Source::Weights(numbers) => Value::from_vec(numbers.to_vec(), dims),
        Source::Ids(ids) => Value::from_ids(ids.to_vec(), dims),
        Source::Arena(place) => Value::from_vec(arena[range(*place)].to_vec(), dims),
    };
    sources.iter().zip(&shapes.inputs).map(value).collect()
}

/// Slices of the arena, some to read, which may be the same place, and some to write, each apart from all others.
fn carve<'a>(arena: &'a mut [f32], reads: &[Place], writes: &[Place]) -> (Vec<&'a [f32]>, Vec<&'a mut [f32]>) {
    let mut order: Vec<(Place, Option<usize>)> = writes.iter().enumerate().map(|(i, p)| (*p, Some(i))).collect();
    let mut read: Vec<Place> = reads.iter().copied().filter(|p| p.len > 0).collect();
    read.sort_unstable();
    read.dedup();
    order.extend(read.iter().map(|p| (*p, None)));
    order.sort_unstable_by_key(|(place, _)| *place);
    let (mut rest, mut at) = (arena, 0);
    let mut written: Vec<Option<&mut [f32]>> = writes.iter().map(|_| None).collect();
    let mut found: Vec<(Place, &[f32])> = vec![];
    for (place, write) in order {
        let (_, behind) = rest.split_at_mut(place.offset - at);
        let (own, behind) = behind.split_at_mut(place.len);
        (rest, at) = (behind, place.offset + place.len);
        match write {
            Some(i) => written[i] = Some(own),
            None => found.push((place, own)),
        }
    }
    let look = |place: &Place| {
        if place.len == 0 { &[][..] } else { found.iter().find(|(p, _)| p == place).expect("carved above").1 }
    };
    let reads = reads.iter().map(look).collect();
    (reads, written.into_iter().map(|w| w.expect("carved above")).collect())
}
