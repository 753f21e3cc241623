//! Writers of small data files, byte by byte, so that readers are tested against the formats and not against themselves.

use image::ImageFormat;
use std::io::{Cursor, Write};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// An idx file: element type, sizes, elements.
pub fn idx(code: u8, dims: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, dims.len() as u8];
    dims.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

/// An npy file, version 1: element type as NumPy writes it, sizes as a tuple, elements.
pub fn npy(descr: &str, fortran: bool, shape: &str, elements: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

pub fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    for (i, (name, bytes)) in arrays.iter().enumerate() {
        let method = if i % 2 == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).expect("memory");
        writer.write_all(bytes).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

/// A png of 8-bit samples: 1, 3 or 4 channels, interleaved.
pub fn png(width: u32, height: u32, channels: usize, samples: &[u8]) -> Vec<u8> {
    image(ImageFormat::Png, width, height, channels, samples)
}

/// The same in any format.
pub fn image(format: ImageFormat, width: u32, height: u32, channels: usize, samples: &[u8]) -> Vec<u8> {
    let colour = match channels {
        1 => image::ColorType::L8,
        3 => image::ColorType::Rgb8,
        _ => image::ColorType::Rgba8,
    };
    let mut bytes = Cursor::new(vec![]);
    image::write_buffer_with_format(&mut bytes, samples, width, height, colour, format).expect("memory");
    bytes.into_inner()
}
