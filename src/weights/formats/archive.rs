//! Zip archives of weights: where their entries lie, and what the entries hold.
//!
//! The `zip` crate makes room for as many entries as an archive claims to have, and tries the bytes of a damaged one again and
//! again. Here every size is held against the file first, and an entry that is not compressed is never copied.
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>

use super::damaged;
use crate::base::{Diagnostic, Result};
use crate::weights::shown;
use flate2::{Crc, read::DeflateDecoder};
use indexmap::IndexMap;
use std::borrow::Cow;
use std::io::Read;

/// A zip archive, and how many bytes may still come out of its compressed entries.
pub struct Archive<'a> {
    pub entries: IndexMap<&'a str, Entry<'a>>,
    left: usize,
}

/// An entry as it lies in the file.
pub struct Entry<'a> {
    compressed: bool,
    crc: u32,
    size: usize,
    bytes: &'a [u8],
}

/// Whether the archive has an entry whose name ends so.
pub fn has(bytes: &[u8], end: &str) -> bool {
    bytes.starts_with(b"PK\x03\x04") && list(bytes).is_some_and(|all| all.keys().any(|name| name.ends_with(end)))
}

impl<'a> Archive<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Archive<'a>> {
        let entries = list(bytes).ok_or_else(|| damaged("this is no whole zip archive"))?;
        // Weights hardly compress; 32 times the file is far beyond what honest archives unpack to.
        Ok(Archive { entries, left: bytes.len().saturating_mul(32) })
    }

    /// What an entry holds, checked against its checksum. Nothing when there is no such entry.
    pub fn entry(&mut self, name: &str) -> Result<Option<Cow<'a, [u8]>>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let broken = || damaged(format!("the entry `{}` of the archive is damaged", shown(name)));
        let data = if entry.compressed {
            if entry.size > self.left {
                let message = "the archive unpacks to more than 32 times its size";
                return Err(Diagnostic::error(message)
                    .help("weights do not compress like that: pack them anew")
                    .into());
            }
            self.left -= entry.size;
            let mut data = vec![];
            let limit = entry.size as u64 + 1;
            DeflateDecoder::new(entry.bytes).take(limit).read_to_end(&mut data).map_err(|_| broken())?;
            Cow::Owned(data)
        } else {
            Cow::Borrowed(entry.bytes)
        };
        let mut crc = Crc::new();
        crc.update(&data);
        // PyTorch can be told to leave checksums out, and then writes zeros.
        if data.len() != entry.size || (crc.sum() != entry.crc && entry.crc != 0) {
            return Err(broken().into());
        }
        Ok(Some(data))
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?).try_into().ok()
}

/// The entries, from the list of contents at the end of the archive. Nothing where anything is not as it should be.
fn list(bytes: &[u8]) -> Option<IndexMap<&str, Entry<'_>>> {
    let is_end = |&at: &usize| {
        bytes[at..].starts_with(b"PK\x05\x06") && u16_at(bytes, at + 20).is_some_and(|n| at + 22 + n == bytes.len())
    };
    let last = bytes.len().checked_sub(22)?;
    let end = (last.saturating_sub(65_535)..=last).rev().find(is_end)?;
    let mut count = u16_at(bytes, end + 10)?;
    let mut at = u32_at(bytes, end + 16)? as usize;
    // A large archive keeps its numbers in a record of its own, to which a locator in front of the end points.
    let locator = end.checked_sub(20).filter(|&at| bytes[at..].starts_with(b"PK\x06\x07"));
    if let Some(locator) = locator {
        let record = u64_at(bytes, locator + 8)?;
        if !bytes.get(record..)?.starts_with(b"PK\x06\x06") {
            return None;
        }
        (count, at) = (u64_at(bytes, record + 32)?, u64_at(bytes, record + 48)?);
    }
    // Every entry takes at least 46 bytes of the list.
    if count > bytes.len().checked_sub(at)? / 46 {
        return None;
    }
    let mut entries = IndexMap::new();
    for _ in 0..count {
        let header = bytes.get(at..)?;
        let encrypted = u16_at(header, 8)? & 1 == 1;
        let method = u16_at(header, 10)?;
        if !header.starts_with(b"PK\x01\x02") || encrypted || !matches!(method, 0 | 8) {
            return None;
        }
        let (name_size, extra_size, comment_size) = (u16_at(header, 28)?, u16_at(header, 30)?, u16_at(header, 32)?);
        let name = std::str::from_utf8(header.get(46..46 + name_size)?).ok()?;
        let extra = header.get(46 + name_size..46 + name_size + extra_size)?;
        let [size, packed, local] = sizes([u32_at(header, 24)?, u32_at(header, 20)?, u32_at(header, 42)?], extra)?;
        let own = bytes.get(local..)?;
        if !own.starts_with(b"PK\x03\x04") {
            return None;
        }
        let start = 30 + u16_at(own, 26)? + u16_at(own, 28)?;
        let entry = Entry {
            compressed: method == 8,
            crc: u32_at(header, 16)?,
            size,
            bytes: own.get(start..start.checked_add(packed)?)?,
        };
        entries.insert(name, entry);
        at += 46 + name_size + extra_size + comment_size;
    }
    Some(entries)
}

/// Sizes and place of an entry, which stand in an extra field where 32 bits are too few for them.
fn sizes(short: [u32; 3], mut extra: &[u8]) -> Option<[usize; 3]> {
    let mut long: &[u8] = &[];
    while extra.len() >= 4 {
        let (id, size) = (u16_at(extra, 0)?, u16_at(extra, 2)?);
        let field = extra.get(4..4 + size)?;
        if id == 1 {
            long = field;
        }
        extra = &extra[4 + size..];
    }
    let mut all = [0; 3];
    for (value, short) in all.iter_mut().zip(short) {
        *value = short as usize;
        if short == u32::MAX {
            *value = u64_at(long, 0)?;
            long = &long[8..];
        }
    }
    Some(all)
}
