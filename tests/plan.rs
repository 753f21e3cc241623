//! Programs: nothing is read that was overwritten, nothing below the lowest trained parameter is kept, and the arena is what
//! the plan says.

use super::engine::batch;
use mtlc::data::Array;
use mtlc::engine::{ENGINES, Noise, Weights};
use mtlc::graph::{Definition, Graph, Leaf, Purpose, ValueId};
use mtlc::model::Spec;
use mtlc::plan::program::{Instruction, Needs, Operand, Place, Program, backward, forward, root};
use mtlc::plan::{Graphs, Memory, features};
use mtlc::train::{State, Step};

fn specs(overrides: &[String]) -> Vec<(String, Spec)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "mtl"));
    paths.sort();
    let read =
        |p: std::path::PathBuf| (p.file_stem().unwrap().to_string_lossy().into_owned(), Spec::read(&p, overrides));
    paths.into_iter().map(read).map(|(name, spec)| (name, spec.unwrap_or_else(|_| panic!("a wrong spec")))).collect()
}

/// What stands in each place of the arena.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    Nothing,
    Value(usize),
    Gradient(usize),
}

struct Shadow(Vec<Owner>);

impl Shadow {
    fn write(&mut self, place: Place, owner: Owner) {
        self.0[place.offset..place.offset + place.len].fill(owner);
    }

    fn read(&self, what: &str, place: Place, owner: Owner) {
        let held = &self.0[place.offset..place.offset + place.len];
        assert!(
            held.iter().all(|o| *o == owner),
            "{what}: {owner:?} is read and gone, {:?} stands there",
            held.first()
        );
    }

    /// Reads an operand; what is given stands nowhere.
    fn read_value(&self, what: &str, operand: &Operand, owner: ValueId) {
        if let Operand::Place(place) = operand {
            self.read(what, *place, Owner::Value(owner.0));
        }
    }

    /// Reads a gradient, which may have come unchanged from a value that is computed from this one.
    fn read_gradient(&self, what: &str, graph: &Graph, place: Place, id: ValueId) {
        let Some(first) = self.0[place.offset..].first().filter(|_| place.len > 0) else { return };
        self.read(what, place, *first);
        let came = matches!(first, Owner::Gradient(from) if passes(graph, ValueId(*from), id));
        assert!(came, "{what}: {first:?} is read as the gradient of {id:?}");
    }
}

/// Whether the gradient of `from` reaches `to` unchanged.
fn passes(graph: &Graph, from: ValueId, to: ValueId) -> bool {
    if from == to {
        return true;
    }
    let Definition::Op { op, inputs } = &graph.value(from).definition else { return false };
    let types: Vec<_> = inputs.iter().map(|&i| graph.value(i).ty.clone()).collect();
    (0..inputs.len()).any(|i| op.passes(i, &types) && passes(graph, inputs[i], to))
}

/// Runs a program over names in place of numbers. Every read must find what was written for it.
fn replay(what: &str, graph: &Graph, program: &Program, kept: &[ValueId], objectives: &[ValueId]) {
    let mut shadow = Shadow(vec![Owner::Nothing; program.arena]);
    let mut seeds = objectives.iter().filter(|o| graph.value(**o).taped);
    for step in &program.steps {
        match step {
            Instruction::Draw { value, into } => shadow.write(*into, Owner::Value(value.0)),
            Instruction::Compute { value, inputs, into, .. } => {
                for (input, operand) in graph.value(*value).inputs().iter().zip(inputs) {
                    shadow.read_value(what, operand, root(graph, *input));
                }
                shadow.write(*into, Owner::Value(value.0));
            }
            Instruction::Seed(place) => shadow.write(*place, Owner::Gradient(seeds.next().expect("an objective").0)),
            Instruction::Pullback { value, inputs, output, cotangent, into } => {
                let Definition::Op { op, inputs: ids } = &graph.value(*value).definition else {
                    panic!("{what}: no op")
                };
                let needs = Needs::of(op, ids.len());
                for ((id, operand), read) in ids.iter().zip(inputs).zip(&needs.inputs) {
                    assert_eq!(*operand == Operand::Unread, !read, "{what}");
                    shadow.read_value(what, operand, root(graph, *id));
                }
                assert_eq!(*output == Operand::Unread, !needs.output, "{what}");
                shadow.read_value(what, output, root(graph, *value));
                shadow.read_gradient(what, graph, *cotangent, *value);
                for (target, input) in into.iter().zip(ids) {
                    let Some(target) = target else { continue };
                    assert!(graph.value(*input).taped, "{what}: a gradient for what is not taped");
                    if target.add {
                        shadow.read_gradient(what, graph, target.place, *input);
                    } else {
                        shadow.write(target.place, Owner::Gradient(input.0));
                    }
                }
                shadow.read_gradient(what, graph, *cotangent, *value);
            }
        }
    }
    kept.iter().zip(&program.kept).for_each(|(id, operand)| shadow.read_value(what, operand, root(graph, *id)));
    for (path, place) in program.gradients.iter().flatten() {
        let leaf = Definition::Leaf(Leaf::Parameter(path.clone()));
        let id = graph.values.iter().position(|v| v.definition == leaf).expect("a gradient of a parameter");
        shadow.read_gradient(what, graph, *place, ValueId(id));
    }
}

/// The objective, and every loss by itself.
fn objectives(graph: &Graph) -> Vec<ValueId> {
    graph.outputs.iter().filter(|o| o.purpose != Purpose::Head).map(|o| o.value).collect()
}

#[test]
fn no_program_reads_what_was_overwritten() {
    for (name, spec) in specs(&[]) {
        let graphs = Graphs::of(&spec.model).expect("the spec is right");
        for batch in [0, 1, 3] {
            let kept = graphs.train.step_results();
            let objective = graphs.train.objective();
            let program = backward(&graphs.train, batch, &kept, objective.as_slice());
            replay(&name, &graphs.train, &program, &kept, objective.as_slice());
            let trained = graphs.train.parameters.values().filter(|p| p.role == mtlc::graph::Role::Trained).count();
            assert_eq!(program.gradients[0].len(), trained, "{name}");
            let each = objectives(&graphs.train);
            let program = backward(&graphs.train, batch, &kept, &each);
            assert_eq!(program.gradients.len(), each.len());
            replay(&name, &graphs.train, &program, &kept, &each);
            let heads: Vec<ValueId> = graphs.serve.outputs.iter().map(|o| o.value).collect();
            replay(&name, &graphs.serve, &forward(&graphs.serve, batch, &heads), &heads, &[]);
        }
    }
}

/// A batch of large maps goes through in slices, also where it is no multiple of them: each value is there when it is read, the answers
/// are those of one row at a time, and what is computed for the whole batch finds all rows.
#[test]
fn large_maps_go_through_in_slices() {
    let text = "model m\ninput image: f32[3, 64, 64]\ninput word: f32[4]\ntarget y: f32[1]\n\
                backbone trunk(image) = conv(64, 1) -> relu -> depthwise(3) -> residual(conv(64, 1)) -> silu \
                -> max_pool(4) -> conv(16, 3) -> relu -> global_pool\n\
                backbone small(word) = linear(4)\nbackbone both(trunk, small) = linear(8) -> relu\n\
                head h(both) = linear(1)\nminimize mse(h, y)";
    let spec = Spec::of(mtlc::base::Source::new("m.mtl", text), std::path::Path::new(""), &[]).expect("right");
    let graphs = Graphs::of(&spec.model).expect("right");
    let graph = &graphs.eval;
    let wanted: Vec<ValueId> = graph.outputs.iter().map(|o| o.value).collect();
    for size in [5, 7] {
        let program = forward(graph, size, &wanted);
        replay("slices", graph, &program, &wanted, &[]);
        let rows = |step: &Instruction| {
            if let Instruction::Compute { rows, .. } = step { Some(rows.clone()) } else { None }
        };
        let rows: Vec<_> = program.steps.iter().filter_map(rows).collect();
        assert!(rows.iter().any(|r| r.len() < size) && rows.iter().any(|r| r.len() == size), "{rows:?}");
        assert!((0..size).all(|row| rows.iter().any(|r| r.len() < size && r.contains(&row))), "{rows:?}");
        let maps = graph.values.iter().map(|v| v.ty.elements(size)).max().unwrap_or(0);
        assert!(program.arena < 2 * maps, "{} against {maps}", program.arena);

        let weights = Weights::initial(graph, 4);
        let all = batch(&spec.model, size, 3);
        let mut session = ENGINES[0].session(graph);
        session.forward(&weights, &all, &wanted);
        let mut alone = ENGINES[0].session(graph);
        let head = graph.outputs.iter().position(|o| o.purpose == Purpose::Head).expect("a head");
        for row in 0..size {
            let mut one = all.clone();
            one.size = 1;
            for array in one.values.values_mut() {
                let Array::F32 { dims, data } = array else { panic!("no numbers") };
                let len = data.len() / size;
                (dims[0], *data) = (1, data[row * len..(row + 1) * len].to_vec());
            }
            one.present.values_mut().for_each(|p| *p = vec![p[row]]);
            alone.forward(&weights, &one, &wanted);
            let (found, right) = (session.result(head)[row], alone.result(head)[0]);
            assert!((found - right).abs() <= 1e-5 * right.abs().max(1e-2), "row {row}: {found} in place of {right}");
        }
    }
}

#[test]
fn frozen_layers_are_neither_kept_nor_pulled_back() {
    let spec = |freeze: &str| {
        let text = format!(
            "model m\ninput x: f32[64]\ntarget y: f32[1]\nbackbone trunk(x) = repeat(20, linear(64) -> silu)\n{freeze}\n\
             head h(trunk) = linear(1)\nminimize mse(h, y)"
        );
        let spec = Spec::of(mtlc::base::Source::new("m.mtl", text), std::path::Path::new(""), &[]).expect("right");
        let graph = Graphs::of(&spec.model).expect("right").train;
        let program = backward(&graph, 128, &graph.step_results(), graph.objective().as_slice());
        let pulled = program.steps.iter().filter(|s| matches!(s, Instruction::Pullback { .. })).count();
        (program.arena, pulled)
    };
    let ((whole, all), (frozen, head)) = (spec(""), spec("freeze trunk"));
    // The loss, the weighted sum and the head; and two values of the trunk at a time instead of all forty.
    assert_eq!((all, head), (43, 3));
    assert!(frozen * 10 < whole, "{frozen} against {whole}");
}

/// Bytes of numbers in memory.
fn bytes_of<'a>(arrays: impl Iterator<Item = &'a Vec<f32>>) -> u64 {
    arrays.map(|a| 4 * a.len() as u64).sum()
}

/// What the plan of every spec says about memory against weights, optimizer state, and what the sessions of the engine hold.
#[test]
fn the_memory_that_is_planned_is_the_memory_that_is_held() {
    let near = |what: String, planned: u64, held: u64| {
        let most = held / 10;
        assert!(planned.abs_diff(held) <= most, "{what}: {planned} bytes are planned, and {held} held");
    };
    // Few rows, so that weights and what is made of them count; the arena is as long as its program says in any case.
    for (name, spec) in specs(&["train.batch=2".into(), "serve.batch=2".into()]) {
        let graphs = Graphs::of(&spec.model).expect("the spec is right");
        let memory = Memory::of(&spec.model, &graphs);
        let rows = batch(&spec.model, 2, 3);

        let weights = Weights::initial(&graphs.serve, 4);
        let heads: Vec<ValueId> = graphs.serve.outputs.iter().map(|o| o.value).collect();
        let mut session = ENGINES[0].session(&graphs.serve);
        session.forward(&weights, &rows, &heads);
        let held = bytes_of(weights.iter().map(|(_, array)| &array.data)) + session.bytes() as u64;
        near(format!("{name} serves"), memory.serve_bytes, held);

        // Where features are cached, a session computes them, and another one trains from them when that is gone.
        let mut state = State::new(Weights::initial(&graphs.train, 4));
        let (mut graph, mut rows, mut computing) = (&graphs.train, rows, 0);
        if let Some(cut) = graphs.caching.cut() {
            let inputs = batch(&spec.model, features::rows(&cut.features), 3);
            let wanted: Vec<ValueId> = cut.features.outputs.iter().map(|o| o.value).collect();
            let mut session = ENGINES[0].session(&cut.features);
            session.forward(&state.weights, &inputs, &wanted);
            (graph, computing) = (&cut.train, session.bytes());
            for stored in &cut.values {
                let data = vec![0.5; stored.ty.elements(2)];
                rows.values.insert(stored.name.clone(), Array::F32 { dims: stored.ty.at(2), data });
            }
        }
        Step::new(&spec.model, ENGINES[0], graph).take(&mut state, &rows, 1.0).expect("a step");
        let mut session = ENGINES[0].session(graph);
        let (noise, objective) = (Noise { seed: 9, step: 0 }, graph.objective());
        session.backward(&state.weights, &rows, noise, &graph.step_results(), objective.as_slice());
        let held = bytes_of(state.weights.iter().map(|(_, array)| &array.data))
            + bytes_of(state.slots.values().flatten())
            + session.bytes().max(computing) as u64;
        near(format!("{name} trains"), memory.train_bytes, held);
    }
}
