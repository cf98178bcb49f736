//! Tensors from NumPy's `.npy` files.
//!
//! Read by hand: the format is a short header before the elements, and what reads it must not trust it.

use crate::{AlignedBytes, Bytes, DType, Error, HostTensor, Result};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// How NumPy names the dtypes that we have; it has no bf16.
const DESCRIPTIONS: [(&str, DType); 8] = [
    ("<f8", DType::F64),
    ("<f4", DType::F32),
    ("<f2", DType::F16),
    ("<i8", DType::I64),
    ("<i4", DType::I32),
    ("|i1", DType::I8),
    ("|u1", DType::U8),
    ("|b1", DType::Bool),
];

/// Reads a `.npy` file of version 1, 2 or 3 whose elements are little-endian and row-major.
///
/// # Errors
/// [`Error::Io`] for a file that cannot be read, [`Error::Format`] for one that is cut short, lies about its size, or holds
/// elements that Lockstep does not know, with what to do about it.
pub fn read_npy(path: &Path) -> Result<HostTensor> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    parse(&bytes).map_err(|reason| Error::Format { path: path.to_path_buf(), reason })
}

fn parse(file: &[u8]) -> std::result::Result<HostTensor, String> {
    let cut = || "ends before its header does; was it cut short?".to_owned();
    let rest = file.strip_prefix(MAGIC).ok_or("is no .npy file: it does not begin as one")?;
    let (&[major, _], rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => return Err(format!("is of the format's version {other}; 1 to 3 are read")),
    };
    let (header, elements) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "has a header that is no text")?;
    let description = value(header, "descr")?;
    let name = description.strip_prefix(['\'', '"']).and_then(|text| text.split(['\'', '"']).next());
    let known = DESCRIPTIONS.iter().find(|(known, _)| Some(*known) == name);
    let &(_, dtype) = known.ok_or_else(|| {
        let names = DESCRIPTIONS.map(|(known, _)| known).join(", ");
        let name = name.unwrap_or("a record");
        format!(
            "holds elements of {name}; known are {names}. Convert with .astype, or keep bf16 in safetensors or .pb"
        )
    })?;
    let shape = shape(value(header, "shape")?)?;
    if !value(header, "fortran_order")?.starts_with("False") && shape.len() > 1 {
        return Err("is stored column by column; save numpy.ascontiguousarray(x)".to_owned());
    }
    if dtype == DType::Bool && elements.iter().any(|&byte| byte > 1) {
        return Err("has truth values other than 0 and 1".to_owned());
    }
    let bytes = Bytes::owned(AlignedBytes::copy_of(elements));
    HostTensor::from_bytes(dtype, &shape, bytes).map_err(|error| error.to_string())
}

/// What stands after a key of the header, which is a dictionary as Python writes it.
fn value<'a>(header: &'a str, key: &str) -> std::result::Result<&'a str, String> {
    let after = ["'", "\""].iter().find_map(|quote| header.split_once(&format!("{quote}{key}{quote}")));
    let after = after.and_then(|(_, after)| after.trim_start().strip_prefix(':'));
    after.map(str::trim_start).ok_or_else(|| format!("has a header without `{key}`"))
}

fn shape(text: &str) -> std::result::Result<Vec<usize>, String> {
    let wrong = || "has a header whose `shape` is no list of extents".to_owned();
    let inside = text.strip_prefix('(').and_then(|text| text.split_once(')')).ok_or_else(wrong)?.0;
    // Python ends a tuple of one with a comma.
    let extents = inside.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    extents.map(|extent| extent.parse().map_err(|_| wrong())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `numpy.save` of NumPy 2 writes it.
    fn file(descr: &str, fortran: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
        let padded = format!("{header:<117}\n");
        let length = (padded.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, padded.as_bytes(), elements].concat()
    }

    #[test]
    fn what_numpy_saves_is_read() {
        let floats = parse(&file("<f4", "False", "(2, 1)", &[0, 0, 128, 63, 0, 0, 0, 192])).unwrap();
        assert_eq!(
            (floats.dtype(), floats.shape(), floats.to_f64()),
            (DType::F32, &[2, 1][..], vec![1.0, -2.0])
        );
        let one = parse(&file("|b1", "False", "(3,)", &[1, 0, 1])).unwrap();
        assert_eq!((one.dtype(), one.shape()), (DType::Bool, &[3][..]));
        let scalar = parse(&file("<i8", "True", "()", &7i64.to_le_bytes())).unwrap();
        assert_eq!((scalar.shape(), scalar.to_f64()), (&[][..], vec![7.0]));
        assert_eq!(parse(&file("<f2", "False", "(0, 4)", &[])).unwrap().shape(), [0, 4]);
    }

    #[test]
    fn files_that_lie_are_refused_with_what_is_wrong() {
        let good = file("<f4", "False", "(2,)", &[0; 8]);
        for (bytes, says) in [
            (good[..good.len() - 1].to_vec(), "needs 8 bytes, got 7"),
            (good[..40].to_vec(), "cut short"),
            (good[..7].to_vec(), "cut short"),
            (b"PK\x03\x04".to_vec(), "does not begin"),
            (file("<f4", "False", "(18446744073709551615, 9)", &[]), "too large"),
            (file("<f4", "False", "(-1,)", &[]), "no list of extents"),
            (file("<f4", "True", "(2, 2)", &[0; 16]), "ascontiguousarray"),
            (file(">f4", "False", "(2,)", &[0; 8]), ".astype"),
            (file("|V2", "False", "(2,)", &[0; 4]), "bf16"),
            (file("|b1", "False", "(1,)", &[2]), "truth values"),
            ([MAGIC, &[9, 0], &[0; 8]].concat(), "version 9"),
            ([MAGIC, &[1, 0, 2, 0], b"{}"].concat(), "without `descr`"),
        ] {
            let said = parse(&bytes).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
