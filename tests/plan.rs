//! Programs: nothing is read that was overwritten, nothing below the lowest trained parameter is kept, and the arena is what
//! the plan says.

use mtlc::graph::{Definition, Graph, Leaf, ValueId};
use mtlc::model::Spec;
use mtlc::plan::Graphs;
use mtlc::plan::program::{Instruction, Needs, Place, Program, backward, forward};

fn specs() -> Vec<(String, Spec)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "mtl"));
    paths.sort();
    let read = |p: std::path::PathBuf| (p.file_stem().unwrap().to_string_lossy().into_owned(), Spec::read(&p, &[]));
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

    fn read_value(&self, what: &str, program: &Program, id: ValueId) {
        if let Some(place) = program.places[id.0] {
            self.read(what, place, Owner::Value(id.0));
        }
    }
}

/// Runs a program over names in place of numbers. Every read must find what was written for it.
fn replay(what: &str, graph: &Graph, program: &Program, kept: &[ValueId]) {
    let mut shadow = Shadow(vec![Owner::Nothing; program.arena]);
    let objective = graph.objective();
    for step in &program.steps {
        match step {
            Instruction::Load(id) => {
                if let Some(place) = program.places[id.0] {
                    shadow.write(place, Owner::Value(id.0));
                }
            }
            Instruction::Compute(id) => {
                graph.value(*id).inputs().iter().for_each(|i| shadow.read_value(what, program, *i));
                shadow.write(program.places[id.0].expect("a place"), Owner::Value(id.0));
            }
            Instruction::Seed(place) => shadow.write(*place, Owner::Gradient(objective.expect("an objective").0)),
            Instruction::Pullback { value, cotangent, into } => {
                let Definition::Op { op, inputs } = &graph.value(*value).definition else { panic!("{what}: no op") };
                let needs = Needs::of(op, inputs.len());
                for (input, _) in inputs.iter().zip(&needs.inputs).filter(|(_, read)| **read) {
                    shadow.read_value(what, program, *input);
                }
                if needs.output {
                    shadow.read_value(what, program, *value);
                }
                shadow.read(what, *cotangent, Owner::Gradient(value.0));
                for (target, input) in into.iter().zip(inputs) {
                    let Some(target) = target else { continue };
                    assert!(graph.value(*input).taped, "{what}: a gradient for what is not taped");
                    if target.add {
                        shadow.read(what, target.place, Owner::Gradient(input.0));
                    }
                    shadow.write(target.place, Owner::Gradient(input.0));
                }
                shadow.read(what, *cotangent, Owner::Gradient(value.0));
            }
        }
    }
    kept.iter().for_each(|id| shadow.read_value(what, program, *id));
    for (path, place) in &program.gradients {
        let leaf = Definition::Leaf(Leaf::Parameter(path.clone()));
        let id = graph.values.iter().position(|v| v.definition == leaf).expect("a gradient of a parameter");
        shadow.read(what, *place, Owner::Gradient(id));
    }
}

#[test]
fn no_program_reads_what_was_overwritten() {
    for (name, spec) in specs() {
        let graphs = Graphs::of(&spec.model).expect("the spec is right");
        for batch in [0, 1, 3] {
            let kept = graphs.train.step_results();
            let program = backward(&graphs.train, batch, &kept);
            replay(&name, &graphs.train, &program, &kept);
            let trained = graphs.train.parameters.values().filter(|p| p.role == mtlc::graph::Role::Trained).count();
            assert_eq!(program.gradients.len(), trained, "{name}");
            let heads: Vec<ValueId> = graphs.serve.outputs.iter().map(|o| o.value).collect();
            replay(&name, &graphs.serve, &forward(&graphs.serve, batch, &heads), &heads);
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
        let program = backward(&graph, 128, &graph.step_results());
        let pulled = program.steps.iter().filter(|s| matches!(s, Instruction::Pullback { .. })).count();
        (program.arena, pulled)
    };
    let ((whole, all), (frozen, head)) = (spec(""), spec("freeze trunk"));
    // The loss, the weighted sum and the head; and two values of the trunk at a time instead of all forty.
    assert_eq!((all, head), (43, 3));
    assert!(frozen * 10 < whole, "{frozen} against {whole}");
}
