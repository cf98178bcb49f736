//! The type in which two operands meet: PyTorch's rules, without unsigned 16, 32 and 64 bits, which the device
//! does not promote.

use lockstep_ascend_abi::aclDataType;

/// Types that operators take in arithmetic.
pub(crate) const ARITHMETIC: &[aclDataType] = &[
    aclDataType::FLOAT,
    aclDataType::FLOAT16,
    aclDataType::BF16,
    aclDataType::DOUBLE,
    aclDataType::INT64,
    aclDataType::INT32,
    aclDataType::INT16,
    aclDataType::INT8,
    aclDataType::UINT8,
    aclDataType::BOOL,
];

/// The floats that vector units know.
pub(crate) const FLOATS: &[aclDataType] = &[aclDataType::FLOAT, aclDataType::FLOAT16, aclDataType::BF16];

/// [`FLOATS`] and doubles.
pub(crate) const REALS: &[aclDataType] =
    &[aclDataType::FLOAT, aclDataType::FLOAT16, aclDataType::BF16, aclDataType::DOUBLE];

/// Truth values, integers, floats: a higher kind wins over a lower one, whatever their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Truth,
    Integer,
    Float,
}

/// The kind of a type; `None` for complex numbers, strings and the like.
pub(crate) fn kind(dtype: aclDataType) -> Option<Kind> {
    Some(match dtype {
        aclDataType::BOOL => Kind::Truth,
        aclDataType::INT64 | aclDataType::INT32 | aclDataType::INT16 | aclDataType::INT8 => Kind::Integer,
        aclDataType::UINT64 | aclDataType::UINT32 | aclDataType::UINT16 | aclDataType::UINT8 => Kind::Integer,
        aclDataType::FLOAT | aclDataType::FLOAT16 | aclDataType::BF16 | aclDataType::DOUBLE => Kind::Float,
        _ => return None,
    })
}

/// The type of `a + b` for two tensors; `None` where the device has none.
pub(crate) fn promote(a: aclDataType, b: aclDataType) -> Option<aclDataType> {
    let rank = |dtype| ARITHMETIC.iter().rev().position(|other| *other == dtype);
    if a == b {
        return kind(a).map(|_| a);
    }
    let (rank_a, rank_b) = (rank(a)?, rank(b)?);
    let (kind_a, kind_b) = (kind(a)?, kind(b)?);
    if kind_a != kind_b {
        return Some(if kind_a > kind_b { a } else { b });
    }
    let pair = [a, b];
    let has = |dtype| pair.contains(&dtype);
    if kind_a == Kind::Float {
        Some(if has(aclDataType::DOUBLE) { aclDataType::DOUBLE } else { aclDataType::FLOAT })
    } else if has(aclDataType::UINT8) && has(aclDataType::INT8) {
        Some(aclDataType::INT16)
    } else {
        Some(if rank_a > rank_b { a } else { b })
    }
}

/// The type of `tensor + scalar`: the tensor's, unless the scalar is of a higher kind. A float scalar makes
/// integers f32, an integer scalar makes truth values of its own type.
pub(crate) fn promote_scalar(tensor: aclDataType, scalar: aclDataType) -> Option<aclDataType> {
    let (tensor_kind, scalar_kind) = (kind(tensor)?, kind(scalar)?);
    Some(if scalar_kind <= tensor_kind {
        tensor
    } else if scalar_kind == Kind::Float {
        aclDataType::FLOAT
    } else {
        scalar
    })
}

/// Whether a result of type `from` may be stored as `to`: not from a higher kind to a lower one, except that
/// numbers become truth values only of truth values.
pub(crate) fn can_cast(from: aclDataType, to: aclDataType) -> bool {
    matches!((kind(from), kind(to)), (Some(from), Some(to)) if from <= to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aclDataType as T;

    #[test]
    fn tensors_meet_as_the_vendor_documents() {
        let table = [
            (T::FLOAT16, T::BF16, Some(T::FLOAT)),
            (T::FLOAT16, T::INT32, Some(T::FLOAT16)),
            (T::FLOAT, T::FLOAT16, Some(T::FLOAT)),
            (T::DOUBLE, T::BF16, Some(T::DOUBLE)),
            (T::INT32, T::INT64, Some(T::INT64)),
            (T::INT8, T::UINT8, Some(T::INT16)),
            (T::UINT8, T::INT32, Some(T::INT32)),
            (T::BOOL, T::INT8, Some(T::INT8)),
            (T::BOOL, T::BOOL, Some(T::BOOL)),
            (T::UINT16, T::INT32, None),
            (T::UINT64, T::FLOAT, None),
            (T::COMPLEX64, T::COMPLEX64, None),
        ];
        for (a, b, expected) in table {
            assert_eq!(promote(a, b), expected, "{a:?} {b:?}");
            assert_eq!(promote(b, a), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn a_scalar_raises_the_kind_only() {
        assert_eq!(promote_scalar(T::FLOAT16, T::DOUBLE), Some(T::FLOAT16));
        assert_eq!(promote_scalar(T::INT32, T::FLOAT), Some(T::FLOAT));
        assert_eq!(promote_scalar(T::INT8, T::INT64), Some(T::INT8));
        assert_eq!(promote_scalar(T::BOOL, T::INT64), Some(T::INT64));
    }

    #[test]
    fn results_do_not_lose_their_kind() {
        assert!(can_cast(T::FLOAT, T::FLOAT16));
        assert!(can_cast(T::INT64, T::INT8));
        assert!(!can_cast(T::FLOAT, T::INT32));
        assert!(!can_cast(T::INT32, T::BOOL));
    }
}
