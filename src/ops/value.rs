//! Values that definitions compute with: dfdx tensors whose rank is in the type, generic over the tape.
//!
//! All dimensions are run-time sizes, so one definition serves every shape, and `T` says whether a gradient is
//! recorded: `NoneTape` or `OwnedTape`. Nothing here, or in the definitions, is `unsafe`.

use dfdx::prelude::{Cpu, HasShape, NoneTape, OwnedTape, PutTape, ReshapeTo, Shape, SplitTape, Tensor, TensorFromVec};
use std::sync::Arc;

/// A tape: `NoneTape` where a part is frozen or served, `OwnedTape` where it is trained.
pub trait Tape: dfdx::prelude::Tape<f32, Cpu> + 'static {}
impl<T: dfdx::prelude::Tape<f32, Cpu> + 'static> Tape for T {}

/// The tape that records.
pub type Recording = OwnedTape<f32, Cpu>;

pub type T0<T = NoneTape> = Tensor<(), f32, Cpu, T>;
pub type T1<T = NoneTape> = Tensor<(usize,), f32, Cpu, T>;
pub type T2<T = NoneTape> = Tensor<(usize, usize), f32, Cpu, T>;
pub type T3<T = NoneTape> = Tensor<(usize, usize, usize), f32, Cpu, T>;
pub type T4<T = NoneTape> = Tensor<(usize, usize, usize, usize), f32, Cpu, T>;

/// Indices: classes or tokens. They have no gradient. Negative means missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Ids {
    pub dims: Vec<usize>,
    pub data: Arc<Vec<i64>>,
}

/// A value of rank 0 to 4, or indices.
#[derive(Clone, Debug)]
pub enum Value<T: Tape = NoneTape> {
    R0(T0<T>),
    R1(T1<T>),
    R2(T2<T>),
    R3(T3<T>),
    R4(T4<T>),
    Ids(Ids),
}

/// Runs one expression on a value of any rank, giving a value of the same rank: `each_rank!(x, |t| t.relu())`.
#[macro_export]
macro_rules! each_rank {
    ($value:expr, |$t:ident| $body:expr) => {
        match $value {
            $crate::ops::Value::R0($t) => $crate::ops::Value::R0($body),
            $crate::ops::Value::R1($t) => $crate::ops::Value::R1($body),
            $crate::ops::Value::R2($t) => $crate::ops::Value::R2($body),
            $crate::ops::Value::R3($t) => $crate::ops::Value::R3($body),
            $crate::ops::Value::R4($t) => $crate::ops::Value::R4($body),
            $crate::ops::Value::Ids(_) => panic!("bug: indices where numbers were verified"),
        }
    };
}

macro_rules! ranks {
    ($($method:ident $variant:ident $tensor:ident),*) => {
        impl<T: Tape> Value<T> {
            $(
                /// The tensor, whose rank the signature has checked.
                pub fn $method(self) -> $tensor<T> {
                    match self {
                        Value::$variant(t) => t,
                        other => {
                            let promised = stringify!($variant);
                            panic!("bug: a definition got shape {:?} where its signature promised {promised}", other.dims())
                        }
                    }
                }
            )*
        }
        $(impl<T: Tape> From<$tensor<T>> for Value<T> {
            fn from(t: $tensor<T>) -> Self {
                Value::$variant(t)
            }
        })*
    };
}

ranks!(r0 R0 T0, r1 R1 T1, r2 R2 T2, r3 R3 T3, r4 R4 T4);

impl<T: Tape> Value<T> {
    /// A tensor without history from row-major numbers.
    pub fn from_vec(data: Vec<f32>, dims: &[usize]) -> Self {
        let cpu = Cpu::default();
        match *dims {
            [] => Value::R0(cpu.tensor_from_vec(data, ()).put_tape(T::default())),
            [a] => Value::R1(cpu.tensor_from_vec(data, (a,)).put_tape(T::default())),
            [a, b] => Value::R2(cpu.tensor_from_vec(data, (a, b)).put_tape(T::default())),
            [a, b, c] => Value::R3(cpu.tensor_from_vec(data, (a, b, c)).put_tape(T::default())),
            [a, b, c, d] => Value::R4(cpu.tensor_from_vec(data, (a, b, c, d)).put_tape(T::default())),
            _ => panic!("bug: rank {} passed the verifier", dims.len()),
        }
    }

    pub fn from_ids(data: Vec<i64>, dims: &[usize]) -> Self {
        assert_eq!(data.len(), dims.iter().product::<usize>(), "bug: indices do not fill their shape");
        Value::Ids(Ids { dims: dims.to_vec(), data: Arc::new(data) })
    }

    pub fn zeros(dims: &[usize]) -> Self {
        Value::from_vec(vec![0.0; dims.iter().product()], dims)
    }

    /// The concrete shape.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Value::R0(_) => vec![],
            Value::R1(t) => vec![t.shape().0],
            Value::R2(t) => vec![t.shape().0, t.shape().1],
            Value::R3(t) => vec![t.shape().0, t.shape().1, t.shape().2],
            Value::R4(t) => vec![t.shape().0, t.shape().1, t.shape().2, t.shape().3],
            Value::Ids(ids) => ids.dims.clone(),
        }
    }

    pub fn ids(self) -> Ids {
        match self {
            Value::Ids(ids) => ids,
            other => {
                panic!("bug: a definition got numbers of shape {:?} where its signature promised indices", other.dims())
            }
        }
    }

    /// The numbers in row-major order.
    pub fn to_vec(&self) -> Vec<f32> {
        match self {
            // dfdx cannot read an empty tensor.
            empty if empty.dims().contains(&0) => vec![],
            Value::R0(t) => t.as_vec(),
            Value::R1(t) => t.as_vec(),
            Value::R2(t) => t.as_vec(),
            Value::R3(t) => t.as_vec(),
            Value::R4(t) => t.as_vec(),
            Value::Ids(ids) => ids.data.iter().map(|&i| i as f32).collect(),
        }
    }

    /// All numbers in one axis. Like every reshaping of a contiguous tensor in dfdx, this is the same tensor under
    /// another shape: it keeps its identity, and gradients flow to it.
    pub fn flat(self) -> T1<T> {
        let n = self.dims().iter().product();
        reshape(self, &(n,))
    }

    /// One row per entry of the first axis, everything behind it in the row. A scalar is one row of one.
    pub fn rows(self) -> T2<T> {
        let dims = self.dims();
        reshape(self, &(dims.first().copied().unwrap_or(1), dims.iter().skip(1).product()))
    }

    /// The axes before `axis`, `axis` itself, and the axes behind it.
    pub fn around(self, axis: usize) -> T3<T> {
        let dims = self.dims();
        reshape(self, &(dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product()))
    }

    /// The same numbers, row-major, in the shape `dims`.
    pub fn shaped<S: Shape>(t: Tensor<S, f32, Cpu, T>, dims: &[usize]) -> Self {
        match *dims {
            [] => Value::R0(t.reshape_like(&())),
            [a] => Value::R1(t.reshape_like(&(a,))),
            [a, b] => Value::R2(t.reshape_like(&(a, b))),
            [a, b, c] => Value::R3(t.reshape_like(&(a, b, c))),
            [a, b, c, d] => Value::R4(t.reshape_like(&(a, b, c, d))),
            _ => panic!("bug: rank {} passed the verifier", dims.len()),
        }
    }

    /// The same value with its numbers in row-major order in memory.
    pub fn contiguous(self) -> Self {
        match self {
            Value::Ids(ids) => Value::Ids(ids),
            numbers => each_rank!(numbers, |t| t.contiguous()),
        }
    }

    /// A copy with an identity of its own and no history: data, through which no gradient flows.
    pub fn constant(&self) -> Value {
        Value::from_vec(self.to_vec(), &self.dims())
    }

    /// The value apart from its tape. The tensor keeps its identity, so gradients still find it.
    pub fn split(self) -> (Value, T) {
        match self {
            Value::R0(t) => split(t),
            Value::R1(t) => split(t),
            Value::R2(t) => split(t),
            Value::R3(t) => split(t),
            Value::R4(t) => split(t),
            Value::Ids(ids) => (Value::Ids(ids), T::default()),
        }
    }

    /// The same tensor on an empty tape of another kind.
    pub fn retaped<U: Tape>(&self) -> Value<U> {
        match self {
            Value::R0(t) => Value::R0(t.retaped()),
            Value::R1(t) => Value::R1(t.retaped()),
            Value::R2(t) => Value::R2(t.retaped()),
            Value::R3(t) => Value::R3(t.retaped()),
            Value::R4(t) => Value::R4(t.retaped()),
            Value::Ids(ids) => Value::Ids(ids.clone()),
        }
    }
}

fn reshape<S: Shape, T: Tape>(value: Value<T>, shape: &S) -> Tensor<S, f32, Cpu, T> {
    match value {
        Value::R0(t) => t.reshape_like(shape),
        Value::R1(t) => t.reshape_like(shape),
        Value::R2(t) => t.reshape_like(shape),
        Value::R3(t) => t.reshape_like(shape),
        Value::R4(t) => t.reshape_like(shape),
        Value::Ids(_) => panic!("bug: indices where numbers were verified"),
    }
}

fn split<S: Shape, T: Tape>(t: Tensor<S, f32, Cpu, T>) -> (Value, T)
where
    Value: From<Tensor<S, f32, Cpu>>,
{
    let (t, tape) = t.split_tape();
    (Value::from(t), tape)
}

/// The inputs of a definition, by position.
pub fn take<const N: usize, T: Tape>(inputs: Vec<Value<T>>) -> [Value<T>; N] {
    inputs.try_into().unwrap_or_else(|v: Vec<_>| panic!("bug: {} inputs where the signature promised {N}", v.len()))
}
