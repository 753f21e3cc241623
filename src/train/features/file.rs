//! The file of cached features: `KEY.features`.
//!
//! | bytes | hold |
//! | --- | --- |
//! | 8 | `mtlcfeat` |
//! | 4, 4 | version of the format, and what a number is stored as: 0 for f32, 1 for bf16 |
//! | 32 | the key: SHA-256 of all that the numbers follow from |
//! | 8, 8 | rows, and numbers of a row |
//! | rows × numbers | the rows, one after the other |
//! | 32 | SHA-256 of all bytes before |
//!
//! Everything is little-endian. A file is written under a temporary name and verified to its last byte when it is opened. Rows are
//! read by position and never mapped: when somebody cuts a mapped file short, the process dies, and a read says what is wrong.

use crate::base::{Diagnostic, Result};
use crate::files::{Unfinished, read_exact_at};
use crate::ops::precision::bf16_bits;
use crate::plan::features::Number;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"mtlcfeat";

/// Goes up whenever the layout of the file changes.
pub const VERSION: u32 = 1;

const HEADER: usize = 64;
const DIGEST: usize = 32;

/// What a file holds, as its header says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    pub key: [u8; 32],
    pub number: Number,
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
}

impl Contents {
    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(self.number as u32).to_le_bytes());
        header[16..48].copy_from_slice(&self.key);
        header[48..56].copy_from_slice(&(self.rows as u64).to_le_bytes());
        header[56..].copy_from_slice(&(self.width as u64).to_le_bytes());
        header
    }

    fn row_bytes(&self) -> usize {
        self.width * self.number.bytes()
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> u64 {
        (self.rows as u64).saturating_mul(self.row_bytes() as u64)
    }
}

/// A file that is being written.
pub struct Writer {
    out: Unfinished,
    hash: Sha256,
    path: PathBuf,
    contents: Contents,
    bytes: Vec<u8>,
}

impl Writer {
    pub fn begin(path: &Path, contents: Contents) -> io::Result<Writer> {
        let out = Unfinished::begin(path)?;
        let mut writer = Writer { out, hash: Sha256::new(), path: path.into(), contents, bytes: vec![] };
        writer.bytes.extend(writer.contents.header());
        writer.send()?;
        Ok(writer)
    }

    /// Adds numbers of rows, in the order of the file.
    pub fn add(&mut self, numbers: &[f32]) -> io::Result<()> {
        match self.contents.number {
            Number::F32 => self.bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes())),
            Number::Bf16 => self.bytes.extend(numbers.iter().flat_map(|x| bf16_bits(*x).to_le_bytes())),
        }
        self.send()
    }

    /// Ends the file and opens it.
    pub fn finish(mut self) -> io::Result<FeatureFile> {
        let digest = self.hash.finalize();
        self.out.write_all(&digest)?;
        Ok(FeatureFile { file: self.out.finish()?, path: self.path, contents: self.contents })
    }

    fn send(&mut self) -> io::Result<()> {
        self.hash.update(&self.bytes);
        self.out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

/// Why there is no file to read.
#[derive(Debug, PartialEq)]
pub enum Missing {
    Absent,
    /// There is one that is of no use, and what is wrong with it.
    Unusable(String),
}

/// A file that was found whole.
#[derive(Debug)]
pub struct FeatureFile {
    file: File,
    pub path: PathBuf,
    pub contents: Contents,
}

impl FeatureFile {
    /// Opens the file that should hold these contents, and checks every byte of it.
    pub fn open(path: &Path, contents: Contents) -> std::result::Result<FeatureFile, Missing> {
        let unusable = |why: &str| Missing::Unusable(why.into());
        let unreadable = |e: io::Error| Missing::Unusable(format!("it cannot be read: {}", e.kind()));
        let file = File::open(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Missing::Absent,
            _ => unreadable(e),
        })?;
        let found = file.metadata().map_err(unreadable)?.len();
        let mut header = [0; HEADER];
        if found < HEADER as u64 {
            return Err(unusable("it was cut short"));
        }
        read_exact_at(&file, &mut header, 0).map_err(unreadable)?;
        let wanted = contents.header();
        if header[..8] != wanted[..8] {
            return Err(unusable("it is no file of features"));
        }
        if header[8..12] != wanted[8..12] {
            return Err(unusable("it is of another version of mtlc"));
        }
        if header != wanted {
            return Err(unusable("it holds the features of something else"));
        }
        let end = contents.bytes().saturating_add(HEADER as u64);
        let whole = end.saturating_add(DIGEST as u64);
        if found != whole {
            return Err(unusable(if found < whole { "it was cut short" } else { "it is too long" }));
        }
        let mut hash = Sha256::new();
        let mut block = vec![0; 1 << 20];
        let mut at = 0;
        while at < end {
            let part = (end - at).min(block.len() as u64) as usize;
            read_exact_at(&file, &mut block[..part], at).map_err(unreadable)?;
            hash.update(&block[..part]);
            at += part as u64;
        }
        read_exact_at(&file, &mut block[..DIGEST], end).map_err(unreadable)?;
        if hash.finalize()[..] != block[..DIGEST] {
            return Err(unusable("its checksum is not that of its bytes"));
        }
        Ok(FeatureFile { file, path: path.into(), contents })
    }

    /// The numbers of these rows, one row after the other.
    ///
    /// The file was whole when it was opened; that it is no more is an error that names it.
    pub fn read(&self, rows: &[usize]) -> Result<Vec<f32>> {
        let size = self.contents.row_bytes();
        let mut bytes = vec![0; rows.len() * size];
        for (row, into) in rows.iter().zip(bytes.chunks_exact_mut(size.max(1))) {
            read_exact_at(&self.file, into, (HEADER + row * size) as u64).map_err(|e| {
                Diagnostic::error(format!("the cached features cannot be read any more: {}", e.kind()))
                    .place(self.path.display().to_string())
                    .help("`mtlc run --resume` computes them anew and goes on from the last whole epoch")
            })?;
        }
        Ok(match self.contents.number {
            Number::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Number::Bf16 => bytes
                .chunks_exact(2)
                .map(|b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16))
                .collect(),
        })
    }
}
