//! `read_image`: from the path of an image file, in a cell, to the image: `f32[channels, height, width]` from 0 to 255.
//!
//! Relative paths start at the folder of the table. Samples of more than 8 bits are scaled to 0…255. The file's own channels
//! are kept (1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha): `rgb` or `gray` makes them one number.

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::draw::Row;
use crate::data::form::{Cell, Example, Fault, Form, FormKind};
use crate::files;
use image::ImageReader;
use std::io::Cursor;
use std::path::{Path, PathBuf};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "read_image",
        kind: PartKind::Step,
        summary: "from the path of an image file, in a cell, to the image, f32[channels, height, width] from 0 to 255",
        params: &[],
    },
    make,
};

struct ReadImage {
    folder: PathBuf,
}

fn make(_: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if *form != Form::new(FormKind::Cells, &[1]) {
        return Err(Fault::new(format!("`read_image` takes one cell with a path, and got {form}")));
    }
    let out = Form { kind: FormKind::Numbers, dims: vec![None; 3] };
    Ok((Box::new(ReadImage { folder: field.folder.to_path_buf() }), out))
}

impl Step for ReadImage {
    fn file(&self, example: &Example) -> Option<PathBuf> {
        match example {
            Example::Cells { cells, .. } => cells.first().map(|cell| self.folder.join(cell.text())),
            _ => None,
        }
    }

    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        match example {
            Example::Cells { cells, .. } => match cells.first() {
                None | Some(Cell::Empty) => Ok(Example::Missing),
                Some(cell) => decode(&self.folder.join(cell.text())),
            },
            other => Ok(other),
        }
    }
}

/// The image in a file.
pub fn decode(path: &Path) -> Result<Example, Fault> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = files::read(path)
        .map_err(|error| Fault::new(format!("cannot read image `{name}`: {}", files::reason(&error))))?;
    let broken = |reason: String| {
        Fault::new(format!("cannot decode image `{name}`: {reason}"))
            .help("replace the file, or remove it from the data")
    };
    let reader =
        ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(|error| broken(error.to_string()))?;
    if reader.format().is_none() {
        return Err(broken("it is no png, jpeg, bmp or pnm".into()));
    }
    let image = reader.decode().map_err(|error| broken(error.to_string()))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width == 0 || height == 0 {
        return Err(broken("it has no pixels".into()));
    }
    let channels = usize::from(image.color().channel_count());
    let pixels = match channels {
        1 => image.into_luma8().into_raw(),
        2 => image.into_luma_alpha8().into_raw(),
        3 => image.into_rgb8().into_raw(),
        _ => image.into_rgba8().into_raw(),
    };
    let data = (0..channels).flat_map(|c| pixels.iter().skip(c).step_by(channels)).map(|&x| f32::from(x)).collect();
    Ok(Example::Numbers { dims: vec![channels, height, width], data })
}
