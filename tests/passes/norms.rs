//! `own_moments` and `fold_batch_norm`.

use super::net::Net;
use super::{assert_same_outputs, assert_untouched, count, pass, shown};
use mtlc::base::{DType, Type};
use mtlc::graph::{Mode, Role, ValueId};
use mtlc::ops::epilogue::{Activation, Epilogue};
use mtlc::ops::{self, Op};

#[test]
fn norms_by_their_own_moments_say_so() {
    let mut net = Net::new(Mode::Train);
    let x = net.maps(2);
    let y = net.conv("c", x, 3, Role::Trained);
    let moments = net.moments(y);
    let z = net.norm_by("n", y, moments, Role::Trained);
    let graph = net.finish(&[z]);
    insta::assert_snapshot!(shown("own_moments", &graph));
}

#[test]
fn norms_by_the_moments_of_another_value_do_not() {
    let mut net = Net::new(Mode::Train);
    let x = net.maps(2);
    let y = net.conv("c", x, 2, Role::Trained);
    let [mean_of_x, var_of_x] = net.moments(x);
    let [mean_of_y, var_of_y] = net.moments(y);
    let around_x = net.op(ops::channel_var::ChannelVar {}, &[y, mean_of_x]);
    let pairs = [
        [mean_of_x, var_of_x],
        [mean_of_x, var_of_y],
        [mean_of_y, var_of_x],
        [mean_of_x, around_x],
        [mean_of_y, around_x],
    ];
    let mut outputs: Vec<ValueId> =
        pairs.into_iter().enumerate().map(|(i, by)| net.norm_by(&format!("n{i}"), y, by, Role::Trained)).collect();
    outputs.push(net.norm("running", y, Role::Trained));
    assert_untouched("own_moments", &net.finish(&outputs));
}

#[test]
fn fixed_norms_fold_into_what_stands_before_them() {
    let mut net = Net::new(Mode::Train);
    let x = net.maps(2);
    let y = net.conv("conv", x, 3, Role::Frozen);
    let y = net.norm("conv_norm", y, Role::Frozen);
    let y = net.deconv("deconv", y, 4, 1);
    let y = net.norm("deconv_norm", y, Role::Frozen);
    let y = net.op(ops::global_avg_pool::GlobalAvgPool {}, &[y]);
    let y = net.linear("linear", y, 5, Role::Frozen);
    let y = net.norm("linear_norm", y, Role::Frozen);
    let y = net.linear("head", y, 2, Role::Trained);
    let graph = net.finish(&[y]);
    insta::assert_snapshot!(shown("fold_batch_norm", &graph));
}

#[test]
fn a_norm_that_ends_in_an_epilogue_hands_it_on() {
    let mut net = Net::new(Mode::Eval);
    let x = net.maps(2);
    let y = net.conv("conv", x, 2, Role::Trained);
    let y = net.norm("norm", y, Role::Trained);
    let y = net.add(y, x);
    let y = net.relu(y);
    let graph = pass("fuse_epilogue", &net.finish(&[y])).0;
    assert_eq!(count(&graph, |op| matches!(op, Op::BatchNorm(op) if op.epilogue.residual)), 1);
    let (after, did) = pass("fold_batch_norm", &graph);
    assert_eq!(did, "folded 1 norm");
    let whole = Epilogue { residual: true, activation: Some(Activation::Relu) };
    assert_eq!(count(&after, |op| matches!(op, Op::Conv2d(op) if op.epilogue == whole)), 1);
    assert_same_outputs(&graph, &after);
}

#[test]
fn norms_that_must_not_fold_stay() {
    let untouched = |mode: Mode, build: &dyn Fn(&mut Net) -> Vec<ValueId>| {
        let mut net = Net::new(mode);
        let outputs = build(&mut net);
        assert_untouched("fold_batch_norm", &net.finish(&outputs));
    };
    // Filters, or the norm, are trained.
    for (filters, norm) in [(Role::Trained, Role::Frozen), (Role::Frozen, Role::Trained)] {
        untouched(Mode::Train, &|net| {
            let x = net.maps(2);
            let y = net.conv("c", x, 3, filters);
            vec![net.norm("n", y, norm)]
        });
    }
    // Something else reads what the filters give: an output, or another value.
    untouched(Mode::Eval, &|net| {
        let x = net.maps(2);
        let y = net.conv("c", x, 2, Role::Frozen);
        vec![net.norm("n", y, Role::Frozen), y]
    });
    untouched(Mode::Eval, &|net| {
        let x = net.maps(2);
        let y = net.conv("c", x, 2, Role::Frozen);
        let z = net.norm("n", y, Role::Frozen);
        vec![net.add(y, z)]
    });
    // An activation stands between, or already in the filters' op.
    untouched(Mode::Eval, &|net| {
        let x = net.maps(2);
        let y = net.conv("c", x, 2, Role::Frozen);
        let y = net.relu(y);
        vec![net.norm("n", y, Role::Frozen)]
    });
    let mut net = Net::new(Mode::Eval);
    let x = net.maps(2);
    let y = net.conv("c", x, 2, Role::Frozen);
    let y = net.relu(y);
    let y = net.norm("n", y, Role::Frozen);
    assert_untouched("fold_batch_norm", &pass("fuse_epilogue", &net.finish(&[y])).0);
    // The norm goes along the tokens, the filters give channels.
    untouched(Mode::Eval, &|net| {
        let x = net.0.input("tokens", Type::batched(DType::F32, &[3, 3]));
        let y = net.linear("l", x, 3, Role::Frozen);
        vec![net.norm("n", y, Role::Frozen)]
    });
    untouched(Mode::Eval, &|net| {
        let x = net.maps(4);
        let y = net.deconv("d", x, 3, 2);
        vec![net.norm("n", y, Role::Frozen)]
    });
    // The moments are those of the batch.
    untouched(Mode::Eval, &|net| {
        let x = net.maps(2);
        let y = net.conv("c", x, 2, Role::Frozen);
        let moments = net.moments(x);
        vec![net.norm_by("n", y, moments, Role::Frozen)]
    });
}
