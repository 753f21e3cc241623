//! What losses share: they count only what has a label.
//!
//! A loss takes a prediction, a target, and a presence of `[batch]` that is 0 where an example has no label. Rows
//! without a label are taken out before anything is computed, so whatever stands in them, NaN included, has no effect. So are
//! the numbers of a present row's target that are NaN, such as pixels without a depth. The mean is over what is left. When nothing is left the loss is 0 and has no gradient. Targets and presence are
//! data: no gradient flows to them.

use super::operation::{Mismatch, arity, number, require, same};
use super::sound::{index_select, pick};
use super::value::{T0, T1, T2, Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{Axes4, HasShape, PermuteTo, ReshapeTo};

/// The signature of a loss whose target has the type of its prediction.
pub fn regression(name: &str, inputs: &[Type]) -> Result<Type, Mismatch> {
    let [prediction, target, presence] = arity(name, inputs)?;
    number(name, &prediction)?;
    require(prediction.is_batched(), || {
        format!("`{name}` takes the prediction of every example, and got {prediction}")
    })?;
    require(target == prediction, || {
        format!(
            "`{name}` compares values of one type, and got {} with the target {}",
            prediction.example(),
            target.example()
        )
    })
    .map_err(|m| match (target.dtype, &target.inner()[..], prediction.rank()) {
        (DType::I64, ..) => m.help("a class has the loss `cross_entropy`"),
        (DType::F32, [width], 2) => m.help(format!("let the head end in `linear({width})`")),
        _ => m,
    })?;
    check_presence(name, &presence)
}

/// The signature of a loss over classes.
pub fn classification(name: &str, inputs: &[Type]) -> Result<(usize, Type), Mismatch> {
    let [prediction, target, presence] = arity(name, inputs)?;
    number(name, &prediction)?;
    let inner = prediction.inner();
    let shape = match (prediction.is_batched(), &inner[..]) {
        (true, &[classes]) => Some((classes, vec![])),
        (true, &[tokens, classes]) => Some((classes, vec![tokens])),
        (true, &[classes, h, w]) => Some((classes, vec![h, w])),
        _ => None,
    };
    let Some((classes, places)) = shape else {
        return Err(Mismatch::new(format!(
            "`{name}` takes f32[classes], f32[tokens, classes] or f32[classes, height, width], and got {}",
            prediction.example()
        )));
    };
    require(target.dtype == DType::I64, || format!("the target of `{name}` is a class, and got {}", target.example()))
        .map_err(|m| m.help("a number has a loss such as `mse` or `huber`"))?;
    let want = Type::batched(DType::I64, &places);
    require(target == want, || {
        format!(
            "`{name}` of {} takes the target {}, and got {}",
            prediction.example(),
            want.example(),
            target.example()
        )
    })?;
    Ok((classes, check_presence(name, &presence)?))
}

fn check_presence(name: &str, presence: &Type) -> Result<Type, Mismatch> {
    same(name, "presence", presence, &Type::batched(DType::F32, &[]))?;
    Ok(Type::scalar())
}

/// The loss when nothing counts.
pub fn nothing<T: Tape>() -> Value<T> {
    Value::zeros(&[])
}

/// The rows of prediction and target whose label is present, as `[rows, elements]`, when there are any.
pub fn present<T: Tape>(inputs: Vec<Value<T>>) -> Option<(T2<T>, T2)> {
    let [prediction, target, presence] = take(inputs);
    let rows = labelled(&presence);
    if rows.is_empty() {
        return None;
    }
    let target = target.constant().rows();
    Some((choose(prediction.rows(), rows.clone()), choose(target, rows)))
}

/// The elements that count of prediction and target, when there are any: as `[rows, elements]` of the present rows, or, where numbers
/// of the target are missing, as `[elements, 1]`.
pub fn given<T: Tape>(inputs: Vec<Value<T>>) -> Option<(T2<T>, T2)> {
    let (prediction, target) = present(inputs)?;
    let numbers = target.as_vec();
    let there: Vec<usize> = (0..numbers.len()).filter(|i| !numbers[*i].is_nan()).collect();
    if there.len() == numbers.len() {
        return Some((prediction, target));
    }
    let n = there.len();
    let column = |x: T1| x.reshape_like(&(n, 1));
    (n > 0).then(|| {
        let target = column(pick(Value::R2(target).flat(), there.clone()));
        (pick(Value::R2(prediction).flat(), there).reshape_like(&(n, 1)), target)
    })
}

/// The loss of the elements that count, given as prediction and target of two axes; it goes element by element.
pub fn over_present<T: Tape>(inputs: Vec<Value<T>>, loss: impl FnOnce(T2<T>, T2) -> T0<T>) -> Value<T> {
    given(inputs).map_or_else(nothing, |(prediction, target)| loss(prediction, target).into())
}

/// Vectors along the channels, as `[vectors, channels]`, of the present rows, when there are any. Where numbers of a true vector are
/// missing, it does not count.
pub fn directions<T: Tape>(inputs: Vec<Value<T>>) -> Option<(T2<T>, T2)> {
    let [prediction, target, presence] = take(inputs);
    let rows = labelled(&presence);
    let (prediction, target) = (along_channels(prediction), along_channels(target.constant()));
    let &(vectors, channels) = target.shape();
    let numbers = target.as_vec();
    let places = vectors / presence.dims()[0].max(1);
    let is_whole = |v: &usize| numbers[v * channels..(v + 1) * channels].iter().all(|x| !x.is_nan());
    let there: Vec<usize> =
        rows.into_iter().flat_map(|row| row * places..(row + 1) * places).filter(is_whole).collect();
    (!there.is_empty()).then(|| (choose(prediction, there.clone()), choose(target, there)))
}

/// A vector of each pixel of a map, of each token, or of each row.
fn along_channels<T: Tape>(x: Value<T>) -> T2<T> {
    match x {
        Value::R3(x) => {
            let &(batch, tokens, width) = x.shape();
            x.reshape_like(&(batch * tokens, width))
        }
        Value::R4(x) => {
            let &(batch, channels, h, w) = x.shape();
            x.permute::<_, Axes4<0, 2, 3, 1>>().reshape_like(&(batch * h * w, channels))
        }
        x => x.rows(),
    }
}

/// Scores of `[elements, classes]` and the class of each element, for the elements that count: in a present row, with
/// an index that is neither negative, nor `ignore`, nor beyond the classes.
pub fn classified<T: Tape>(inputs: Vec<Value<T>>, ignore: Option<i64>) -> Option<(T2<T>, Vec<usize>)> {
    elements(inputs, |id, classes| id < classes && ignore != i64::try_from(id).ok())
}

/// The values along the channels, `[elements, channels]`, and the index of each element, for the elements that count: in a
/// present row, with an index that is not negative and of which `counts` says so, given it and the number of channels.
pub fn elements<T: Tape>(inputs: Vec<Value<T>>, counts: impl Fn(usize, usize) -> bool) -> Option<(T2<T>, Vec<usize>)> {
    let [prediction, target, presence] = take(inputs);
    let scores = match prediction {
        Value::R2(scores) => scores,
        Value::R3(scores) => {
            let &(batch, tokens, classes) = scores.shape();
            scores.reshape_like(&(batch * tokens, classes))
        }
        scores => {
            let scores = scores.r4();
            let &(batch, classes, h, w) = scores.shape();
            scores.permute::<_, Axes4<0, 2, 3, 1>>().reshape_like(&(batch * h * w, classes))
        }
    };
    let classes = scores.shape().1;
    let target = target.ids();
    let places = target.data.len() / target.dims[0];
    let counts = |id: i64| usize::try_from(id).is_ok_and(|id| counts(id, classes));
    let elements: Vec<usize> = labelled(&presence)
        .into_iter()
        .flat_map(|row| row * places..(row + 1) * places)
        .filter(|&element| counts(target.data[element]))
        .collect();
    let ids: Vec<usize> = elements.iter().map(|&element| target.data[element] as usize).collect();
    (!elements.is_empty()).then(|| (choose(scores, elements), ids))
}

/// `y[i] = x[i, ids[i]]`.
pub fn at_class<T: Tape>(x: T2<T>, ids: &[usize]) -> T1<T> {
    let classes = x.shape().1;
    let index = ids.iter().enumerate().map(|(row, id)| row * classes + id).collect();
    pick(Value::R2(x).flat(), index)
}

fn labelled<T: Tape>(presence: &Value<T>) -> Vec<usize> {
    presence.to_vec().iter().enumerate().filter(|(_, p)| **p != 0.0).map(|(row, _)| row).collect()
}

fn choose<T: Tape>(x: T2<T>, rows: Vec<usize>) -> T2<T> {
    let (n, kept) = (x.shape().1, rows.len());
    index_select(Value::R2(x).around(0), rows, 0.0).reshape_like(&(kept, n))
}
