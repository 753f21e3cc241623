//! The graph that serves in low precision: what is rounded, what is not, and that engines agree on it.

use super::super::engine::{assert_near, batch};
use super::specs_in;
use mtlc::engine::{ENGINES, Weights};
use mtlc::graph::{Definition, Graph, Mode, verify};
use mtlc::model::Spec;
use mtlc::ops::Op;
use mtlc::ops::precision::Precision;
use mtlc::passes::precision::{bf16, int8, products};
use mtlc::plan::Graphs;
use mtlc::train::precision::measure;
use std::path::Path;

fn ops(graph: &Graph) -> impl Iterator<Item = &Op> {
    graph.values.iter().filter_map(|v| if let Definition::Op { op, .. } = &v.definition { Some(op) } else { None })
}

fn graphs(path: &Path) -> (Spec, Graphs) {
    let spec = Spec::read(path, &[]).unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false)));
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    (spec, graphs)
}

#[test]
fn products_are_rounded_and_nothing_else() {
    let mut grouped = 0;
    for path in specs_in("specs") {
        let (_, graphs) = graphs(&path);
        assert!(products(&graphs.train).is_empty(), "training is in f32");
        let graph = bf16(&graphs.serve);
        for op in ops(&graph) {
            let dense = match op {
                Op::Linear(_) => true,
                Op::Conv2d(conv) => conv.groups == 1,
                _ => false,
            };
            grouped += usize::from(matches!(op, Op::Conv2d(_)) && !dense);
            let want = if dense { Precision::Bf16 } else { Precision::F32 };
            assert_eq!(op.precision(), want, "{} in {}", op.name(), path.display());
        }
        let known = products(&graphs.serve).len();
        assert!(known > 0 && known == ops(&graph).filter(|op| !op.precision().is_f32()).count());
    }
    assert!(grouped > 0, "no spec has a convolution in groups");
}

#[test]
fn what_has_no_range_stays_as_it_is() {
    let (_, graphs) = graphs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/tumour.mtl"));
    let ranges = [("trunk.2.weight".to_string(), [-1.0, 2.0])].into_iter().collect();
    let graph = int8(&graphs.serve, &ranges);
    let rounded: Vec<Precision> = ops(&graph).map(Op::precision).filter(|p| !p.is_f32()).collect();
    assert_eq!(rounded, [Precision::Int8 { low: -1.0, high: 2.0 }]);
}

#[test]
fn nothing_is_trained_in_low_precision() {
    let (_, graphs) = graphs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/tumour.mtl"));
    let mut graph = bf16(&graphs.eval);
    verify(&graph).expect("an evaluation may be rounded");
    graph.mode = Mode::Train;
    let broken = verify(&graph).expect_err("training may not");
    assert!(broken.contains("is trained in low precision"), "{broken}");
}

/// Where two engines differ in the last bit before a number is rounded, they may differ by a whole step behind it.
#[test]
fn engines_agree_in_low_precision() {
    let mut checked = 0;
    for path in specs_in("specs") {
        let (spec, graphs) = graphs(&path);
        // The definitions are slow where images are large.
        if graphs.serve.flops() > 50_000_000 {
            continue;
        }
        checked += 1;
        let (weights, rows) = (Weights::initial(&graphs.eval, 4), batch(&spec.model, 5, 3));
        let ranges = measure(&graphs.serve, ENGINES[0], &weights, std::iter::once(Ok(rows.clone()))).expect("ranges");
        for graph in [bf16(&graphs.serve), int8(&graphs.serve, &ranges)] {
            let wanted: Vec<_> = graph.outputs.iter().map(|o| o.value).collect();
            let answers = ENGINES.iter().map(|engine| {
                let mut session = engine.session(&graph);
                session.forward(&weights, &rows, &wanted);
                (0..wanted.len()).map(|n| session.result(n).to_vec()).collect::<Vec<_>>()
            });
            let answers: Vec<_> = answers.collect();
            for (n, output) in graph.outputs.iter().enumerate() {
                let what = format!("{} of {}", output.name, path.display());
                assert_near(&what, &answers[0][n], &answers[1][n], 2e-2);
            }
        }
    }
    assert!(checked >= 8, "only {checked} specs are small enough");
}
