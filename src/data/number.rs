//! Numbers as an array file has them: bytes, which become `f32` or `i64` only when an example is prepared.

use crate::weights::half;

/// What one element of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Zero is false, everything else true.
    Bool,
    Unsigned(usize),
    Signed(usize),
    Float(usize),
}

impl Element {
    pub fn size_bytes(self) -> usize {
        match self {
            Element::Bool => 1,
            Element::Unsigned(n) | Element::Signed(n) | Element::Float(n) => n,
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, Element::Float(_))
    }
}

/// A row-major array of numbers, in the file's own element type.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub element: Element,
    pub big_endian: bool,
    bytes: Vec<u8>,
    /// Where the first element starts.
    start: usize,
}

impl Numbers {
    /// `bytes` behind `start` hold the elements. The caller has checked that there are as many as the shape says.
    pub fn new(element: Element, big_endian: bool, bytes: Vec<u8>, start: usize) -> Self {
        Self { element, big_endian, bytes, start }
    }

    /// The bits of element `i`, with the sign extended for signed integers.
    fn bits(&self, i: usize) -> u64 {
        let size = self.element.size_bytes();
        let at = self.start + i * size;
        let mut word = [0u8; 8];
        for (k, &byte) in self.bytes[at..at + size].iter().enumerate() {
            word[if self.big_endian { size - 1 - k } else { k }] = byte;
        }
        let bits = u64::from_le_bytes(word);
        match self.element {
            Element::Signed(_) => {
                let unused = 64 - 8 * size as u32;
                (((bits << unused) as i64) >> unused) as u64
            }
            _ => bits,
        }
    }

    /// Element `i` as a number; what exceeds the range of `f32` becomes infinite.
    pub fn float(&self, i: usize) -> f32 {
        if self.element == Element::Unsigned(1) {
            // The pixels of images, the one case that is worth a shorter way.
            return f32::from(self.bytes[self.start + i]);
        }
        let bits = self.bits(i);
        match self.element {
            Element::Float(2) => half(bits as u16),
            Element::Float(4) => f32::from_bits(bits as u32),
            Element::Float(_) => f64::from_bits(bits) as f32,
            Element::Unsigned(_) => bits as f32,
            Element::Bool => f32::from(bits != 0),
            Element::Signed(_) => bits as i64 as f32,
        }
    }

    /// Element `i` as an integer, for integer elements; what exceeds the range of `i64` becomes its largest.
    pub fn integer(&self, i: usize) -> i64 {
        let bits = self.bits(i);
        match self.element {
            Element::Unsigned(_) => i64::try_from(bits).unwrap_or(i64::MAX),
            Element::Bool => i64::from(bits != 0),
            Element::Signed(_) => bits as i64,
            Element::Float(_) => self.float(i) as i64,
        }
    }

    /// The same numbers with axes reversed: from Fortran's order, first axis fastest, to C's.
    pub fn reordered(self, dims: &[usize]) -> Self {
        let size = self.element.size_bytes();
        let count: usize = dims.iter().product();
        let mut bytes = Vec::with_capacity(count * size);
        let mut at = vec![0; dims.len()];
        for _ in 0..count {
            let index = at.iter().zip(dims).rev().fold(0, |index, (&i, &n)| index * n + i);
            let from = self.start + index * size;
            bytes.extend_from_slice(&self.bytes[from..from + size]);
            for (i, &n) in at.iter_mut().zip(dims).rev() {
                *i += 1;
                if *i < n {
                    break;
                }
                *i = 0;
            }
        }
        Self { bytes, start: 0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_kind() {
        let at = |element, big, bytes: &[u8]| Numbers::new(element, big, bytes.to_vec(), 0);
        assert_eq!(at(Element::Signed(2), true, &[0xff, 0xfe]).integer(0), -2);
        assert_eq!(at(Element::Signed(2), false, &[0xfe, 0xff]).float(0), -2.0);
        assert_eq!(at(Element::Unsigned(2), false, &[0xfe, 0xff]).integer(0), 65534);
        assert_eq!(at(Element::Unsigned(8), false, &[0xff; 8]).integer(0), i64::MAX);
        assert_eq!(at(Element::Float(4), true, &1.5f32.to_be_bytes()).float(0), 1.5);
        assert_eq!(at(Element::Float(8), false, &1e300f64.to_le_bytes()).float(0), f32::INFINITY);
        assert_eq!(at(Element::Float(2), false, &0xc500u16.to_le_bytes()).float(0), -5.0);
        assert_eq!(at(Element::Float(2), false, &1u16.to_le_bytes()).float(0), 2f32.powi(-24));
        assert_eq!(at(Element::Bool, false, &[7]).integer(0), 1);
    }

    #[test]
    fn fortran_order_becomes_row_major() {
        let columns_first = Numbers::new(Element::Unsigned(1), false, vec![9, 1, 4, 2, 5, 3, 6], 1);
        let rows_first = columns_first.reordered(&[2, 3]);
        assert_eq!((0..6).map(|i| rows_first.integer(i)).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    }
}
