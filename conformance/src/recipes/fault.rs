//! What may be wrong with a kernel: one thing at a time, as it has been seen in the field.

use crate::bounds::{largest_finite, smallest_normal};
use lockstep_runtime::graph::Op;
use lockstep_runtime::tensor::{DType, HostTensor};
use serde::Serialize;

macro_rules! faults {
    ($($place:ident { $($name:ident: $text:literal),* $(,)? })*) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Fault {
            $($(#[doc = $text] $name),*),*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Fault] = &[$($(Fault::$name),*),*];

            /// What is wrong, as a report says it.
            pub fn describe(self) -> &'static str {
                match self {
                    $($(Fault::$name => $text),*),*
                }
            }

            /// The fault of a name, in kebab case as JSON has it.
            pub fn from_name(name: &str) -> Option<Self> {
                let is_named = |fault: &&Fault| serde_json::to_value(fault).is_ok_and(|value| value == name);
                Self::ALL.iter().find(is_named).copied()
            }

            fn place(self) -> Place {
                match self {
                    $($(Fault::$name => Place::$place),*),*
                }
            }
        }
    };
}

/// Where in a kernel a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Norm,
    Function,
    Scores,
    Sum,
    Index,
    Store,
}

faults! {
    Norm {
        VarianceOverNMinus1: "variance over n-1",
        EpsilonTooLarge: "epsilon 1e-3",
        EpsilonOutsideRoot: "epsilon outside the root",
        EpsilonForgotten: "epsilon forgotten",
        OnePassVariance: "variance in one pass, as mean square less squared mean",
        GammaBetaSwapped: "gamma and beta swapped",
        BetaForgotten: "beta forgotten",
        MeanForgotten: "mean not subtracted",
        StatisticsInF16: "mean and variance rounded to f16",
        NormOfF16Affine: "gamma, beta, mean and reciprocal deviation rounded to f16",
        ReciprocalRootOf12Bits: "a reciprocal or its root estimated to 12 bits",
        ResidualForgotten: "residual forgotten",
    }
    Function {
        OtherGeluForm: "the other form of GELU",
        GeluBySigmoid: "GELU as x sigmoid(1.702 x)",
        ReluForGelu: "ReLU for GELU",
        GeluTailCut: "GELU cut to zero below -4",
        CubeInF16: "x^3 of GELU in f16",
        CoarseErf: "erf to five digits",
        CoarseExp: "exp of an argument rounded to 10 bits",
        TanhClamped: "tanh clamped at 2.5",
    }
    Scores {
        MaximumForgotten: "softmax without subtracting the maximum",
        OtherAxis: "softmax along another axis",
        LastKeyUncounted: "the last element missing from softmax's sum",
        MaskedRowUnguarded: "NaN for a row that is masked whole",
        WeightsInF16: "softmax weights rounded to f16",
        ScoresInF16: "attention scores rounded to f16",
        ScaleForgotten: "attention scale forgotten",
        ScaleByHidden: "attention scaled by the hidden size, not the head's",
        HeadsMixed: "queries of a head against keys of the next",
        MaskIgnored: "mask ignored",
        MaskAfterSoftmax: "mask applied after softmax",
        MaskTooWeak: "mask of -10 for -inf",
        SequencesRunTogether: "packed sequences see those before",
    }
    Sum {
        TailLost: "the tail of a sum lost",
        AccumulateInF16: "sums carried in f16",
        Tf32Products: "products of operands rounded to TF32",
        Bf16Products: "products of operands rounded to bf16",
        WeightTransposed: "weight transposed",
        BiasForgotten: "bias forgotten",
        BiasTwice: "bias added twice",
        BiasShifted: "bias off by one column",
        OneElementOff: "one element 2 % too large",
    }
    Index {
        DuplicatesLost: "duplicates lost in index_add",
        UpdateLost: "the last update of index_add lost",
        BaseForgotten: "the base of index_add forgotten",
        IndexOffByOne: "rows off by one",
        IndexInEightBits: "indices cut to eight bits",
        IndexClamped: "the last row never reached",
        ExtremeFromZero: "maximum or minimum started at zero",
        NanSkipped: "NaN skipped by maximum or minimum",
    }
    Store {
        NanToZero: "NaN stored as zero",
        InfinityToLargest: "infinity stored as the largest number",
        SubnormalsFlushed: "subnormals stored as zero",
        StoredTruncated: "results truncated, not rounded",
        StoredThroughF16: "results rounded to f16 on the way",
        StoredThroughBf16: "results rounded to bf16 on the way",
        LastElementStale: "the last element never written",
        PaddingWritten: "the last row's tail overwritten with zeros",
        NeighboursSwapped: "the first two elements swapped",
    }
}

impl Fault {
    /// Whether a kernel of that op can have it.
    pub fn touches(self, op: &Op) -> bool {
        let has_residual = matches!(op, Op::Linear(parts) if parts.residual);
        let has_activation = matches!(op, Op::Linear(parts) if parts.activation.is_some());
        let is_norm =
            matches!(op, Op::LayerNorm { .. } | Op::AddLayerNorm { .. } | Op::EmbedLayerNorm { .. });
        let has_scores = matches!(op, Op::Softmax { .. } | Op::Attention(_));
        let is_product = matches!(op, Op::Linear(_) | Op::MatMul);
        let is_indexed = matches!(op, Op::Gather { .. } | Op::IndexAdd { .. } | Op::EmbedLayerNorm { .. });
        let (is_unary, is_reduced) = (matches!(op, Op::Unary(_)), matches!(op, Op::Reduce { .. }));
        match self.place() {
            Place::Norm => is_norm || has_residual || is_unary || is_reduced,
            Place::Function => has_activation || has_scores || is_unary || matches!(op, Op::Gelu(_)),
            Place::Scores => has_scores,
            Place::Sum => is_norm || is_product || has_scores || is_reduced || is_indexed,
            Place::Index => is_indexed || is_reduced,
            Place::Store => true,
        }
    }

    /// Whether it is in nothing but the storing of a result that is right.
    pub fn is_of_storing(self) -> bool {
        // Truncating needs to know what was rounded.
        self.place() == Place::Store && self != Fault::StoredTruncated
    }

    /// What storing makes of a result; `None` for faults of other places.
    pub(super) fn on_store(self, result: &HostTensor) -> Option<HostTensor> {
        let dtype = result.dtype();
        let mut values = result.to_f64();
        let each =
            |values: &mut Vec<f64>, of: &dyn Fn(f64) -> f64| values.iter_mut().for_each(|x| *x = of(*x));
        match self {
            Fault::NanToZero => each(&mut values, &|x| if x.is_nan() { 0.0 } else { x }),
            Fault::InfinityToLargest => {
                each(&mut values, &|x| if x.is_infinite() { largest_finite(dtype).copysign(x) } else { x });
            }
            Fault::SubnormalsFlushed => {
                each(&mut values, &|x| if x.abs() < smallest_normal(dtype) { 0.0 } else { x });
            }
            Fault::StoredThroughF16 | Fault::StoredThroughBf16 => {
                let narrow = if self == Fault::StoredThroughF16 { DType::F16 } else { DType::Bf16 };
                values = result.cast(narrow).ok()?.to_f64();
            }
            Fault::LastElementStale => *values.last_mut()? = 0.0,
            Fault::PaddingWritten => {
                let width = result.shape().last().copied().unwrap_or(1);
                let from = values.len() - (width % 16).max(1).min(values.len());
                values[from..].fill(0.0);
            }
            Fault::NeighboursSwapped if values.len() > 1 => values.swap(0, 1),
            _ => return None,
        }
        HostTensor::from_f64(dtype, result.shape(), &values).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::recipes::Recipe;

    /// What `touches` denies must change no bit, or a fault would be looked for in the wrong place.
    #[test]
    fn a_fault_changes_nothing_where_it_cannot_be() {
        for case in cases::all().iter().map(|case| case.in_dtype(DType::Bf16)) {
            // A large table costs time and shows no more.
            let is_small = case.inputs.iter().all(|input| input.element_count() < 5000);
            let Some(plain) = Recipe::PLAIN.run(&case.op, &case.inputs, DType::Bf16).filter(|_| is_small)
            else {
                continue;
            };
            for &fault in Fault::ALL.iter().filter(|fault| !fault.touches(&case.op)) {
                let found = Recipe::faulty(fault).run(&case.op, &case.inputs, DType::Bf16);
                let same = found.is_some_and(|found| found.bytes() == plain.bytes());
                assert!(same, "{fault:?} in {}", case.describe());
            }
        }
    }
}
