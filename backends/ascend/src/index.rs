//! Whether indices are in range: aclnn does not look, and would read or write beyond the tensor.

use lockstep_hal::graph::DType;
use lockstep_hal::{Error, Result};

/// Checks an index in its bytes.
///
/// # Errors
/// [`Error::Value`] names the first element outside `0..rows`.
pub(crate) fn check_index(node: &str, dtype: DType, bytes: &[u8], rows: usize) -> Result<()> {
    let outside = |value: i64| usize::try_from(value).ok().is_none_or(|value| value >= rows);
    let found = match dtype {
        DType::I32 => first(bytes, |word: [u8; 4]| i64::from(i32::from_ne_bytes(word)), outside),
        _ => first(bytes, i64::from_ne_bytes, outside),
    };
    match found {
        None => Ok(()),
        Some((position, value)) => {
            Err(Error::value(node, format!("index {value} at position {position} is not in 0..{rows}")))
        }
    }
}

fn first<const N: usize>(
    bytes: &[u8],
    read: impl Fn([u8; N]) -> i64,
    outside: impl Fn(i64) -> bool,
) -> Option<(usize, i64)> {
    let words = bytes.as_chunks::<N>().0;
    words.iter().map(|word| read(*word)).enumerate().find(|(_, value)| outside(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_index_outside_is_named() {
        let bytes: Vec<u8> = [0_i64, 4, 5, -1].iter().flat_map(|value| value.to_ne_bytes()).collect();
        assert!(check_index("n", DType::I64, &bytes[..16], 5).is_ok());
        let error = check_index("n", DType::I64, &bytes, 5).unwrap_err().to_string();
        assert!(error.contains("index 5 at position 2 is not in 0..5"), "{error}");
        let bytes: Vec<u8> = [-1_i32].iter().flat_map(|value| value.to_ne_bytes()).collect();
        assert!(check_index("n", DType::I32, &bytes, 5).is_err());
    }
}
