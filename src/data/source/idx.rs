//! `idx`: images and labels in the format of MNIST and its kin; packed with gzip or not.
//!
//! Bytes: two zeros, the element type, the number of axes, each axis as a big-endian u32, then the elements, big-endian. The
//! file is exactly as long as its header says.
//!
//! Published sets have a second pair of files for testing: its rows come behind those of the first, and are the test split.

use super::{File, LIMIT, SEED, SPLIT, SourceKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::base::{Diagnostic, Result};
use crate::data::number::{Element, Numbers};
use crate::data::table::{Column, Store, Table};
use indexmap::IndexMap;
use sha2::Sha256;

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "idx",
        kind: PartKind::Source,
        summary: "images and labels in the format of MNIST, also as .gz",
        params: &[
            Param::required("images", Kind::Text, "the file of images, [rows, height, width]"),
            Param::optional("labels", Kind::Text, "the file of labels, [rows]"),
            Param::optional("test_images", Kind::Text, "another file of images, whose rows are the test split"),
            Param::optional("test_labels", Kind::Text, "the labels of those"),
            SPLIT,
            SEED,
            LIMIT,
        ],
    },
    paths: &["images", "labels", "test_images", "test_labels"],
    read,
};

fn read(args: &Args, files: &[File], hash: &mut Sha256) -> Result<Table> {
    // A prediction brings files of its own, images, or images and labels, and then the arguments name none.
    let [labels, test_images, test_labels] = ["labels", "test_images", "test_labels"].map(|path| args.has(path));
    let (first, test) = files.split_at(if test_images { 1 + usize::from(labels) } else { files.len() });
    if test_labels != (labels && test_images) {
        let message = "images and labels for testing come together, as those for training do";
        let span = args.span("test_labels").or(args.span("test_images")).unwrap_or_default();
        return Err(Diagnostic::error(message)
            .at(span)
            .help("name both `test_images` and `test_labels`, or neither")
            .into());
    }
    let mut whole = pair(first, hash)?;
    if test_images {
        let test_from = whole.rows;
        let more = pair(test, hash)?;
        whole.append(more, &test[0])?;
        whole.test_from = Some(test_from);
    }
    Ok(whole.into_table(files))
}

/// The contents of a file of images and maybe one of labels.
struct Pair {
    rows: usize,
    /// Sizes of one image.
    inner: Vec<usize>,
    images: Numbers,
    labels: Option<Numbers>,
    /// The row from which on rows are for testing.
    test_from: Option<usize>,
}

fn pair(files: &[File], hash: &mut Sha256) -> Result<Pair> {
    let Some((file, labels)) = files.split_first().filter(|(_, labels)| labels.len() <= 1) else {
        return Err(Diagnostic::error("`idx` reads one file of images and one of labels").into());
    };
    let (dims, images) = load(file, hash)?;
    let inner = match dims[1..] {
        [height, width] => vec![1, height, width],
        [channels, height, width] => vec![channels, height, width],
        _ => {
            return Err(file
                .broken(format!("images have 3 axes, rows, height and width, and this file has shape {dims:?}"))
                .help("the file of images comes first, then the file of labels")
                .into());
        }
    };
    let mut pair = Pair { rows: dims[0], inner, images, labels: None, test_from: None };
    if let [labels] = labels {
        let (dims, numbers) = load(labels, hash)?;
        if dims.len() != 1 || numbers.element.is_float() {
            let message = format!("labels are one integer a row, and this file has shape {dims:?}");
            return Err(labels.broken(message).help("the file of images comes first, then the file of labels").into());
        }
        if dims[0] != pair.rows {
            return Err(labels
                .broken(format!("there are {} labels and {} images", dims[0], pair.rows))
                .note(format!("the images are `{}`", file.name))
                .help("name the two files of one set, such as both `train-…`")
                .into());
        }
        pair.labels = Some(numbers);
    }
    Ok(pair)
}

impl Pair {
    /// Adds the rows of another pair, whose images are in `file`.
    fn append(&mut self, more: Pair, file: &File) -> Result<()> {
        let sorts =
            |a: &Option<Numbers>, b: &Option<Numbers>| a.as_ref().map(|n| n.element) == b.as_ref().map(|n| n.element);
        if self.inner != more.inner || self.images.element != more.images.element || !sorts(&self.labels, &more.labels)
        {
            let message = format!("its images are {:?}, and those for training {:?}", more.inner, self.inner);
            let fault = file.broken(message).note("sizes and types of numbers must be the same");
            return Err(fault.help("name the two pairs of files of one set").into());
        }
        self.rows += more.rows;
        self.images.append(&more.images);
        if let (Some(labels), Some(more)) = (&mut self.labels, &more.labels) {
            labels.append(more);
        }
        Ok(())
    }

    fn into_table(self, files: &[File]) -> Table {
        let rows = self.rows;
        let column = |file: &File, dims, store| Column { file: file.name.clone(), rows, dims, store, classes: None };
        let mut columns =
            IndexMap::from([("images".into(), column(&files[0], self.inner, Store::Images(self.images)))]);
        if let Some(labels) = self.labels {
            columns.insert("labels".into(), column(&files[1], vec![1], Store::Numbers(labels)));
        }
        let name = files[0].name.clone();
        Table { kind: "idx", name, columns, lines: vec![], folds: None, test_from: self.test_from }
    }
}

/// Shape and elements of one file.
fn load(file: &File, hash: &mut Sha256) -> Result<(Vec<usize>, Numbers)> {
    let bytes = file.read_unpacked(hash)?;
    let not_idx = || file.broken("the file is not in idx format").help("an idx file starts with two zero bytes");
    let [0, 0, code, rank, ..] = bytes[..] else { return Err(not_idx().into()) };
    let element = match code {
        0x08 => Element::Unsigned(1),
        0x09 => Element::Signed(1),
        0x0b => Element::Signed(2),
        0x0c => Element::Signed(4),
        0x0d => Element::Float(4),
        0x0e => Element::Float(8),
        _ => return Err(not_idx().note(format!("its element type is {code:#04x}")).into()),
    };
    let start = 4 + 4 * usize::from(rank);
    let cut_short = |wanted: String| {
        file.broken("the length of the file is not what its header says")
            .note(format!("it has {} bytes, and its header asks for {wanted}", bytes.len()))
            .help("download or copy it again")
    };
    let Some(header) = bytes.get(4..start) else { return Err(cut_short(format!("at least {start}")).into()) };
    let dims: Vec<usize> =
        header.chunks_exact(4).map(|axis| u32::from_be_bytes([axis[0], axis[1], axis[2], axis[3]]) as usize).collect();
    let wanted =
        dims.iter().try_fold(element.size_bytes(), |size, &n| size.checked_mul(n)).and_then(|n| n.checked_add(start));
    if rank == 0 || wanted != Some(bytes.len()) {
        return Err(cut_short(wanted.map_or("more than there can be".into(), |n| n.to_string())).into());
    }
    if dims.contains(&0) {
        return Err(file.broken(format!("the file has no elements: its shape is {dims:?}")).into());
    }
    Ok((dims, Numbers::new(element, true, bytes, start)))
}
