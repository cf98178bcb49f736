//! How carefully operators are chosen: as this backend does, or as a first port often does, so that what that costs can be shown.

/// Which operators an op becomes where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// Those that stay within the op's bound.
    Careful,
    /// Those that their names suggest: `aclnnGelu` for any GELU, gamma and beta in the dtype of x, index_add in place, in x's dtype
    /// and in the operator's default mode, in which sums have no fixed order.
    Naive,
}
