//! What an op must say about itself, and the checks that signatures share.
//!
//! A signature is called before anything runs, with types that may be wrong in any way. What it accepts, the definition
//! computes without a panic; so it checks number, element type, rank and every size, in words that name the op.

use super::value::{Tape, Value};
use crate::base::{DType, Dim, Type};

/// Why an op cannot take its inputs. The caller adds the place and the chain of shapes that led there.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    pub message: String,
    pub help: Option<String>,
}

impl Mismatch {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The order in which the numbers of feature maps, values of `[batch, channels, height, width]`, are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maps {
    /// As their shape says.
    RowMajor,
    /// Pixel after pixel, with all channels of each.
    ChannelsLast,
    /// The op goes element by element: either order, the same in all maps and in the result.
    Any,
}

/// The rule of ops that go element by element over values of one type.
pub fn elementwise_maps(inputs: &[Type]) -> Maps {
    if inputs.iter().all(|t| *t == inputs[0]) { Maps::Any } else { Maps::RowMajor }
}

/// One op. The struct holds its attributes; the graph holds its inputs.
pub trait Operation: Clone + PartialEq {
    /// The name in graphs and plans, the same as the file's.
    const NAME: &'static str;

    /// The type of the result for these input types. Called before anything runs, with the batch still symbolic.
    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch>;

    /// The meaning of the op. Inputs have the number and types that [`Operation::signature`] accepted, at least one
    /// example, contiguous storage, distinct identities and empty tapes. The result has an identity of its own: dfdx's
    /// reshapes and permutations share theirs with their operand, so an op that only moves numbers uses
    /// `sound::index_select`.
    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T>;

    /// Whether a gradient flows to input `i` at all.
    fn differentiates(&self, _input: usize) -> bool {
        true
    }

    /// Whether a result with a row for each example computes it from that example's rows alone.
    fn is_by_row(&self) -> bool {
        true
    }

    /// Whether the result is the first input's numbers in their order, under another shape.
    fn is_view(&self, _inputs: &[Type]) -> bool {
        false
    }

    /// Whether the gradient of input `i` is that of the result, number by number.
    fn passes(&self, i: usize, inputs: &[Type]) -> bool {
        i == 0 && self.is_view(inputs)
    }

    /// In which order the op's kernel takes its feature maps.
    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::RowMajor
    }

    /// Floating-point operations for a batch of one; by default one per element of the result.
    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        output.elements(1) as u64
    }
}

/// The inputs, when there are `N` of them.
pub fn arity<const N: usize>(name: &str, inputs: &[Type]) -> Result<[Type; N], Mismatch> {
    inputs
        .to_vec()
        .try_into()
        .map_err(|_| Mismatch::new(format!("`{name}` takes {}, and got {}", count(N, "input"), inputs.len())))
}

/// The inputs, when there are `N` of them and all are f32.
pub fn numbers<const N: usize>(name: &str, inputs: &[Type]) -> Result<[Type; N], Mismatch> {
    let inputs = arity(name, inputs)?;
    inputs.iter().try_for_each(|input| number(name, input))?;
    Ok(inputs)
}

/// Fails unless the type is f32.
pub fn number(name: &str, x: &Type) -> Result<(), Mismatch> {
    require(x.dtype == DType::F32, || format!("`{name}` takes numbers, and got indices, {}", x.example()))
        .map_err(|m| m.help("put `embedding` before it to turn indices into vectors"))
}

/// Fails unless the type is i64 and has a batch axis.
pub fn indices(name: &str, x: &Type) -> Result<(), Mismatch> {
    require(x.dtype == DType::I64 && x.is_batched(), || format!("`{name}` takes indices, and got {}", x.example()))
}

/// The sizes behind the batch axis, when there are `N`: `what` says what such a value is.
pub fn batched<const N: usize>(name: &str, what: &str, x: &Type) -> Result<[usize; N], Mismatch> {
    number(name, x)?;
    let inner = x.inner();
    match (x.is_batched(), <[usize; N]>::try_from(inner)) {
        (true, Ok(inner)) => Ok(inner),
        (false, _) => {
            Err(Mismatch::new(format!("`{name}` takes {what} of every example, and got the fixed value {x}")))
        }
        (true, Err(_)) => Err(Mismatch::new(format!("`{name}` takes {what}, and got {}", x.example()))),
    }
}

/// Channels, height and width of an image.
pub fn image(name: &str, x: &Type) -> Result<[usize; 3], Mismatch> {
    batched(name, "an image, f32[channels, height, width]", x).map_err(|m| match (m.help.is_some(), x.inner().len()) {
        (false, 1) => m.help("put it before `flatten` or `global_avg_pool`"),
        _ => m,
    })
}

/// Fails unless the fixed value `got`, called `role`, has these sizes.
pub fn parameter(name: &str, role: &str, got: &Type, dims: &[usize]) -> Result<(), Mismatch> {
    let want = Type::fixed(DType::F32, dims);
    require(*got == want, || format!("the {role} of `{name}` is {want} here, and got {got}"))
}

/// Fails unless `got`, called `role`, is of type `want`.
pub fn same(name: &str, role: &str, got: &Type, want: &Type) -> Result<(), Mismatch> {
    require(got == want, || format!("the {role} of `{name}` is {want} here, and got {got}"))
}

/// Fails with the message unless `condition` holds.
pub fn require(condition: bool, message: impl FnOnce() -> String) -> Result<(), Mismatch> {
    if condition { Ok(()) } else { Err(Mismatch::new(message())) }
}

/// Fails unless the attribute is finite and `condition` holds of it: `must` says so in words.
pub fn attribute(name: &str, attribute: &str, value: f64, must: &str, condition: bool) -> Result<(), Mismatch> {
    require(value.is_finite() && condition, || format!("the {attribute} of `{name}` must be {must}, and got {value}"))
}

/// `1 input`, `2 inputs`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// No size among the attributes is larger than this, so that arithmetic on sizes does not overflow.
const LARGEST_SIZE: usize = 1 << 20;

/// No value has more numbers for one example than this, 8 GiB of them.
const MOST_ELEMENTS: usize = 1 << 31;

/// Fails unless each of the sizes that an attribute gives is from `least` to about a million.
pub fn sizes(name: &str, attribute: &str, values: &[usize], least: usize) -> Result<(), Mismatch> {
    require(values.iter().all(|size| (least..=LARGEST_SIZE).contains(size)), || {
        let given = values.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        format!("the {attribute} of `{name}` must be from {least} to {LARGEST_SIZE}, and got {given}")
    })
}

/// What holds of every value of every op: at most four axes, the batch only in front, sizes of at least one, and a
/// number of elements that fits a machine.
pub fn well_formed(name: &str, types: &[Type]) -> Result<(), Mismatch> {
    types.iter().try_for_each(|t| {
        require(t.rank() <= 4, || format!("`{name}` would have the value {t}; values have at most 4 axes"))?;
        require(!t.dims.contains(&Dim::Size(0)), || format!("`{name}` would have the empty value {t}"))?;
        let elements = t.inner().iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        require(elements.is_some_and(|n| n <= MOST_ELEMENTS), || {
            format!("`{name}` would have the value {t}, which no memory holds")
        })?;
        require(!t.dims.iter().skip(1).any(|d| *d == Dim::Batch), || {
            format!("the batch is the first axis only, and `{name}` would have {t}")
        })
    })
}
