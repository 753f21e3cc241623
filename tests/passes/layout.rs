//! `layout`.

use super::net::Net;
use super::{assert_same_outputs, models};
use mtlc::base::Type;
use mtlc::graph::{Definition, Graph, Mode, Role, Value, print, verify};
use mtlc::lower::lower;
use mtlc::ops::{self, Maps, Op};
use mtlc::passes::{layout, optimise};

/// Convolutions want their maps channels last, transposed ones do not, and the rest is as it is.
fn convolutions_last(op: &Op, inputs: &[Type]) -> Maps {
    match op {
        Op::Conv2d(_) | Op::GlobalAvgPool(_) => Maps::ChannelsLast,
        Op::ConvTranspose2d(_) => Maps::RowMajor,
        other => other.maps(inputs),
    }
}

fn assert_laid_out(graph: &Graph) {
    for value in &graph.values {
        let Definition::Op { op, inputs } = &value.definition else { continue };
        if matches!(op, Op::Relayout(_)) {
            assert_ne!(graph.value(inputs[0]).channels_last, value.channels_last, "a conversion to the same order");
            continue;
        }
        let inputs: Vec<&Value> = inputs.iter().map(|&id| graph.value(id)).collect();
        let types: Vec<Type> = inputs.iter().map(|v| v.ty.clone()).collect();
        let orders: Vec<bool> =
            inputs.into_iter().chain([value]).filter(|v| v.is_map()).map(|v| v.channels_last).collect();
        match convolutions_last(op, &types) {
            Maps::RowMajor => assert!(orders.iter().all(|last| !last)),
            Maps::ChannelsLast => assert!(orders.iter().all(|last| *last)),
            Maps::Any => assert!(orders.windows(2).all(|pair| pair[0] == pair[1])),
        }
    }
    assert!(graph.outputs.iter().all(|o| !graph.value(o.value).channels_last), "an output leaves in another order");
}

#[test]
fn maps_are_stored_as_the_kernels_want_them() {
    let mut net = Net::new(Mode::Train);
    let x = net.maps(2);
    // Two convolutions read one conversion of `x`, sums follow, and the transposed convolution wants its map back.
    let [a, b] = ["a", "b"].map(|path| net.conv(path, x, 2, Role::Trained));
    let y = net.add(a, b);
    let y = net.add(x, y);
    let up = net.deconv("up", y, 2, 1);
    let z = net.op(ops::global_avg_pool::GlobalAvgPool {}, &[y]);
    let untouched = net.relu(x);
    let graph = net.finish(&[z, up, y, untouched]);
    let (after, did) = layout(&graph, convolutions_last);
    assert_laid_out(&after);
    assert_same_outputs(&graph, &after);
    insta::assert_snapshot!(format!("{}\n{did}\n\n{}", print(&graph), print(&after)));
    let (again, _) = layout(&after, convolutions_last);
    assert_eq!(print(&again), print(&after));
}

/// What a pass must not do: the verifier sees it.
#[test]
fn wrong_marks_are_found() {
    let mut net = Net::new(Mode::Eval);
    let x = net.maps(2);
    let y = net.relu(x);
    let shift = net.parameter("shift", &[2, 4, 5], Role::Frozen);
    let shift = net.relu(shift);
    let y = net.add(y, shift);
    let z = net.relu(y);
    let graph = net.finish(&[z]);
    let broken = |change: &dyn Fn(&mut Graph)| {
        let mut graph = graph.clone();
        change(&mut graph);
        verify(&graph).expect_err("a wrong mark")
    };
    assert_eq!(broken(&|g| g.values[0].channels_last = true), "graph `net`: %0 at `x2` is a leaf with a mark of an op");
    assert_eq!(
        broken(&|g| g.values[1].channels_last = true),
        "graph `net`: %1 at `relu` mixes the orders of feature maps"
    );
    assert_eq!(
        broken(&|g| g.values[3].channels_last = true),
        "graph `net`: %3 at `relu` mixes the orders of feature maps"
    );
    assert_eq!(broken(&|g| g.values[4].constant = true), "graph `net`: %4 at `add` is called constant, and is not");
    let relaid = layout(&graph, |op, _| if matches!(op, Op::Relu(_)) { Maps::ChannelsLast } else { Maps::RowMajor }).0;
    let out = relaid.outputs[0].value;
    let before = relaid.value(out).inputs()[0];
    let mut graph = relaid.clone();
    graph.outputs[0].value = before;
    assert_eq!(verify(&graph), Err("graph `net`: output `y0` is not given row-major, anew".into()));
    assert_eq!(verify(&relaid), Ok(()));
}

#[test]
fn every_spec_can_be_laid_out() {
    for (name, model) in models() {
        let graph = optimise(lower(&model, Mode::Train, 0).unwrap()).0;
        let (after, _) = layout(&graph, convolutions_last);
        assert_laid_out(&after);
        let (back, did) = layout(&after, |_, _| Maps::RowMajor);
        assert_eq!(did, "");
        let rows = layout(&graph, |_, _| Maps::RowMajor).0;
        assert_eq!(print(&back), print(&rows), "{name}");
    }
}
