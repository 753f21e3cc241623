//! `fuse_epilogue`.

use super::net::Net;
use super::{assert_same_outputs, assert_untouched, count, pass, shown};
use mtlc::graph::{Mode, Role, ValueId};
use mtlc::ops::{self, Op};

#[test]
fn sums_and_activations_end_ops() {
    let mut net = Net::new(Mode::Train);
    let x = net.maps(2);
    // A residual block with a projection: of the two that are summed the later takes the other.
    let shortcut = net.conv("shortcut", x, 3, Role::Trained);
    let y = net.conv("one", x, 3, Role::Trained);
    let y = net.relu(y);
    let y = net.conv("two", y, 3, Role::Trained);
    let moments = net.moments(y);
    let y = net.norm_by("norm", y, moments, Role::Trained);
    let y = net.add(y, shortcut);
    let y = net.relu(y);
    let y = net.op(ops::global_avg_pool::GlobalAvgPool {}, &[y]);
    let y = net.linear("head", y, 2, Role::Trained);
    let y = net.op(ops::tanh::Tanh {}, &[y]);
    let graph = net.finish(&[y]);
    insta::assert_snapshot!(shown("fuse_epilogue", &graph));
}

#[test]
fn an_activation_whose_slope_needs_more_fuses_where_no_gradient_passes() {
    let graph = |mode: Mode, role: Role| {
        let mut net = Net::new(mode);
        let x = net.maps(2);
        let y = net.conv("c", x, 2, role);
        let y = net.gelu(y);
        net.finish(&[y])
    };
    assert_untouched("fuse_epilogue", &graph(Mode::Train, Role::Trained));
    for (mode, role) in [(Mode::Train, Role::Frozen), (Mode::Eval, Role::Trained)] {
        let graph = graph(mode, role);
        let (after, did) = pass("fuse_epilogue", &graph);
        assert_eq!(did, "fused 1 activation");
        assert_eq!(after.flops(), graph.flops(), "what is fused is computed all the same");
        assert_same_outputs(&graph, &after);
    }
}

#[test]
fn what_must_not_fuse_stays() {
    let untouched = |build: &dyn Fn(&mut Net, ValueId) -> Vec<ValueId>| {
        let mut net = Net::new(Mode::Train);
        let x = net.maps(2);
        let outputs = build(&mut net, x);
        assert_untouched("fuse_epilogue", &net.finish(&outputs));
    };
    // Another reader: a value, an output, or the sum itself.
    untouched(&|net, x| {
        let y = net.conv("c", x, 2, Role::Trained);
        let (a, b) = (net.relu(y), net.op(ops::tanh::Tanh {}, &[y]));
        vec![a, b]
    });
    untouched(&|net, x| {
        let y = net.conv("c", x, 2, Role::Trained);
        vec![net.relu(y), y]
    });
    untouched(&|net, x| {
        let y = net.conv("c", x, 2, Role::Trained);
        vec![net.add(y, y)]
    });
    // Every example shares what is added.
    untouched(&|net, x| {
        let y = net.conv("c", x, 2, Role::Trained);
        let position = net.parameter("p", &[2, 4, 5], Role::Trained);
        vec![net.add(y, position)]
    });
    // No op here has an epilogue.
    untouched(&|net, x| {
        let y = net.op(ops::upsample::Upsample { size: [8, 10], mode: ops::upsample::Mode::Nearest }, &[x]);
        vec![net.relu(y)]
    });
}

/// The residual comes before the activation, and there is one of each.
#[test]
fn an_op_takes_one_residual_and_then_one_activation() {
    let mut net = Net::new(Mode::Eval);
    let x = net.maps(2);
    let a = net.conv("a", x, 2, Role::Trained);
    let a = net.relu(a);
    let a = net.add(a, x);
    let b = net.conv("b", a, 2, Role::Trained);
    let b = net.add(x, b);
    let b = net.add(b, x);
    let c = net.conv("c", b, 2, Role::Trained);
    let c = net.relu(c);
    let c = net.gelu(c);
    let graph = net.finish(&[c]);
    let (after, did) = pass("fuse_epilogue", &graph);
    assert_eq!(did, "fused 1 residual, 2 activations");
    assert_eq!(count(&after, |op| matches!(op, Op::Add(_))), 2);
    assert_eq!(count(&after, |op| matches!(op, Op::Gelu(_))), 1);
    assert_same_outputs(&graph, &after);
    assert_untouched("fuse_epilogue", &after);
}
