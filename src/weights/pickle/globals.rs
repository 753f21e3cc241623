//! The globals that a pickle of weights may ask for, and what each stands for. Nothing of Python is behind them: a name is a word
//! for a rule of this machine, and a name that is not in the list ends the reading.

use crate::weights::DType;

/// What a global means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Global {
    /// An empty dictionary, or one of the pairs that it is given.
    Dict,
    /// The sequence that it is given: `torch.Size`.
    Sequence,
    /// A storage of elements of this type, or of bytes.
    Storage(Option<DType>),
    /// A tensor over a storage; the number of its arguments in front of a type, if it has one.
    Tensor,
    TypedTensor,
    /// The tensor that it is given: a parameter.
    Parameter,
    /// Calls the function that it is given with arguments that it is given.
    FromType,
    Type(DType),
    /// Something that holds no tensors, and is passed over: settings, dates of a checkpoint.
    Opaque,
}

/// Module, name, meaning. `torch.save` writes these; functions of PyTorch are in `torch/_utils.py` and `torch/_tensor.py`.
const GLOBALS: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::Dict),
    ("collections", "defaultdict", Global::Opaque),
    ("collections", "Counter", Global::Opaque),
    ("builtins", "dict", Global::Dict),
    ("__builtin__", "dict", Global::Dict),
    ("builtins", "set", Global::Opaque),
    ("__builtin__", "set", Global::Opaque),
    ("builtins", "complex", Global::Opaque),
    ("builtins", "bytearray", Global::Opaque),
    ("argparse", "Namespace", Global::Opaque),
    ("_codecs", "encode", Global::Opaque),
    ("numpy", "dtype", Global::Opaque),
    ("numpy", "ndarray", Global::Opaque),
    ("numpy.core.multiarray", "scalar", Global::Opaque),
    ("numpy._core.multiarray", "scalar", Global::Opaque),
    ("numpy.core.multiarray", "_reconstruct", Global::Opaque),
    ("numpy._core.multiarray", "_reconstruct", Global::Opaque),
    ("torch", "device", Global::Opaque),
    ("torch", "Size", Global::Sequence),
    ("torch", "Tensor", Global::Opaque),
    ("torch.nn.parameter", "Parameter", Global::Parameter),
    ("torch._utils", "_rebuild_tensor", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v3", Global::TypedTensor),
    ("torch._utils", "_rebuild_parameter", Global::Parameter),
    ("torch._utils", "_rebuild_parameter_with_state", Global::Parameter),
    ("torch._tensor", "_rebuild_from_type_v2", Global::FromType),
    ("torch.serialization", "_get_layout", Global::Opaque),
    ("torch", "FloatStorage", Global::Storage(Some(DType::F32))),
    ("torch", "DoubleStorage", Global::Storage(Some(DType::F64))),
    ("torch", "HalfStorage", Global::Storage(Some(DType::F16))),
    ("torch", "BFloat16Storage", Global::Storage(Some(DType::BF16))),
    ("torch", "LongStorage", Global::Storage(Some(DType::I64))),
    ("torch", "IntStorage", Global::Storage(Some(DType::I32))),
    ("torch", "ShortStorage", Global::Storage(Some(DType::I16))),
    ("torch", "CharStorage", Global::Storage(Some(DType::I8))),
    ("torch", "ByteStorage", Global::Storage(Some(DType::U8))),
    ("torch", "BoolStorage", Global::Storage(Some(DType::Bool))),
    ("torch", "ComplexFloatStorage", Global::Storage(Some(COMPLEX64))),
    ("torch", "ComplexDoubleStorage", Global::Storage(Some(COMPLEX128))),
    ("torch", "UntypedStorage", Global::Storage(None)),
    ("torch.storage", "UntypedStorage", Global::Storage(None)),
    ("torch", "float32", Global::Type(DType::F32)),
    ("torch", "float64", Global::Type(DType::F64)),
    ("torch", "float16", Global::Type(DType::F16)),
    ("torch", "bfloat16", Global::Type(DType::BF16)),
    ("torch", "int64", Global::Type(DType::I64)),
    ("torch", "int32", Global::Type(DType::I32)),
    ("torch", "int16", Global::Type(DType::I16)),
    ("torch", "int8", Global::Type(DType::I8)),
    ("torch", "uint64", Global::Type(DType::U64)),
    ("torch", "uint32", Global::Type(DType::U32)),
    ("torch", "uint16", Global::Type(DType::U16)),
    ("torch", "uint8", Global::Type(DType::U8)),
    ("torch", "bool", Global::Type(DType::Bool)),
    ("torch", "complex64", Global::Type(COMPLEX64)),
    ("torch", "complex128", Global::Type(COMPLEX128)),
    ("torch", "float8_e4m3fn", Global::Type(DType::Other("f8_e4m3", 8))),
    ("torch", "float8_e5m2", Global::Type(DType::Other("f8_e5m2", 8))),
];

const COMPLEX64: DType = DType::Other("complex64", 64);
const COMPLEX128: DType = DType::Other("complex128", 128);

/// What the global of that name means, if it may be asked for.
pub fn find(module: &str, name: &str) -> Option<Global> {
    GLOBALS.iter().find(|(m, n, _)| (*m, *n) == (module, name)).map(|(.., global)| *global)
}
