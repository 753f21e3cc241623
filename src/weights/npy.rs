//! The header of an array as NumPy writes it, parsed only when it is safe to parse.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

/// Where the numbers start, behind a header that is safe to parse: it lies within the file, is shallow, and the product of
/// the integers between any two brackets (hence of the shape) times 16 bytes fits in 63 bits.
pub fn data_start(bytes: &[u8]) -> Option<usize> {
    let (length, text) = match bytes.get(6)? {
        1 => (usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?)), 10),
        2 | 3 => (u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize, 12),
        _ => return None,
    };
    let start = text + length;
    let header = std::str::from_utf8(bytes.get(text..start)?).ok()?;
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in header.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let other_notation = ["0x", "0X", "0o", "0O", "0b", "0B"].iter().any(|prefix| header.contains(prefix));
    for piece in header.replace('_', "").split(['(', ')', '[', ']', '{', '}']) {
        let mut product: i64 = 16;
        for run in piece.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()) {
            product = product.checked_mul(run.parse::<i64>().ok()?.max(1))?;
        }
    }
    (deepest <= 16 && header.len() <= 1 << 16 && !other_notation).then_some(start)
}
