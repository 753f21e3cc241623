//! The numbers that files of weights are made of, and how the floating ones become `f32`.

/// The type of a tensor's elements in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    /// A type that no parameter has, by its name, with the bits of one element.
    Other(&'static str, usize),
}

impl DType {
    pub fn name(self) -> &'static str {
        match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I16 => "i16",
            DType::I8 => "i8",
            DType::U64 => "u64",
            DType::U32 => "u32",
            DType::U16 => "u16",
            DType::U8 => "u8",
            DType::Bool => "bool",
            DType::Other(name, _) => name,
        }
    }

    /// Bits of one element.
    pub fn bits(self) -> usize {
        match self {
            DType::F64 | DType::I64 | DType::U64 => 64,
            DType::F32 | DType::I32 | DType::U32 => 32,
            DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 16,
            DType::I8 | DType::U8 | DType::Bool => 8,
            DType::Other(_, bits) => bits,
        }
    }

    /// Whether tensors of this type can be parameters.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F64 | DType::F32 | DType::F16 | DType::BF16)
    }

    /// Appends the little-endian elements in `bytes` to `out`, and says whether the type can be a parameter's at all. `f64` is
    /// rounded to the nearest `f32`; the others lose nothing.
    pub fn append(self, bytes: &[u8], out: &mut Vec<f32>) -> bool {
        let words = bytes.chunks_exact((self.bits() / 8).max(1));
        match self {
            DType::F64 => out.extend(words.map(|b| f64::from_le_bytes(array(b)) as f32)),
            DType::F32 => out.extend(words.map(|b| f32::from_le_bytes(array(b)))),
            DType::F16 => out.extend(words.map(|b| half(u16::from_le_bytes(array(b))))),
            DType::BF16 => out.extend(words.map(|b| f32::from_bits(u32::from(u16::from_le_bytes(array(b))) << 16))),
            _ => return false,
        }
        true
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("chunks have the size of an element")
}

/// An IEEE half: 1 bit of sign, 5 of exponent, 10 of fraction.
pub fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}
