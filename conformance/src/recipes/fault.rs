//! What may be wrong with a kernel: one thing at a time, as it has been seen in the field.

use lockstep_runtime::tensor::{DType, HostTensor};
use serde::Serialize;

macro_rules! faults {
    ($($name:ident: $text:literal),* $(,)?) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Fault {
            $(#[doc = $text] $name),*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Fault] = &[$(Fault::$name),*];

            /// What is wrong, as a report says it.
            pub fn describe(self) -> &'static str {
                match self {
                    $(Fault::$name => $text),*
                }
            }
        }
    };
}

faults! {
    // Norms.
    VarianceOverNMinus1: "variance over n-1",
    EpsilonTooLarge: "epsilon 1e-3",
    EpsilonOutsideRoot: "epsilon outside the root",
    EpsilonForgotten: "epsilon forgotten",
    OnePassVariance: "variance in one pass, as mean square less squared mean",
    GammaBetaSwapped: "gamma and beta swapped",
    BetaForgotten: "beta forgotten",
    MeanForgotten: "mean not subtracted",
    StatisticsInF16: "mean and variance rounded to f16",
    ReciprocalRootOf12Bits: "a reciprocal or its root estimated to 12 bits",
    ResidualForgotten: "residual forgotten",
    // GELU and functions.
    OtherGeluForm: "the other form of GELU",
    GeluBySigmoid: "GELU as x sigmoid(1.702 x)",
    ReluForGelu: "ReLU for GELU",
    GeluTailCut: "GELU cut to zero below -4",
    CubeInF16: "x^3 of GELU in f16",
    CoarseErf: "erf to five digits",
    CoarseExp: "exp of an argument rounded to 10 bits",
    TanhClamped: "tanh clamped at 2.5",
    // Softmax and attention.
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
    // Products and sums.
    TailLost: "the tail of a sum lost",
    AccumulateInF16: "sums carried in f16",
    Tf32Products: "products of operands rounded to TF32",
    Bf16Products: "products of operands rounded to bf16",
    WeightTransposed: "weight transposed",
    BiasForgotten: "bias forgotten",
    BiasTwice: "bias added twice",
    BiasShifted: "bias off by one column",
    OneElementOff: "one element 2 % too large",
    // Indexing and extremes.
    DuplicatesLost: "duplicates lost in index_add",
    UpdateLost: "the last update of index_add lost",
    BaseForgotten: "the base of index_add forgotten",
    IndexOffByOne: "rows off by one",
    IndexInEightBits: "indices cut to eight bits",
    IndexClamped: "the last row never reached",
    ExtremeFromZero: "maximum or minimum started at zero",
    NanSkipped: "NaN skipped by maximum or minimum",
    // What storing does to any result.
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

/// The largest finite number of a dtype.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        DType::Bf16 => 255.0 * 2f64.powi(120),
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

/// The smallest normal number of a dtype.
fn smallest_normal(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-14),
        DType::F64 => f64::MIN_POSITIVE,
        _ => f64::from(f32::MIN_POSITIVE),
    }
}

impl Fault {
    /// What storing makes of a result; `None` for faults of other places.
    pub(super) fn on_store(self, result: &HostTensor) -> Option<HostTensor> {
        let dtype = result.dtype();
        let mut values = result.to_f64();
        let each =
            |values: &mut Vec<f64>, of: &dyn Fn(f64) -> f64| values.iter_mut().for_each(|x| *x = of(*x));
        match self {
            Fault::NanToZero => each(&mut values, &|x| if x.is_nan() { 0.0 } else { x }),
            Fault::InfinityToLargest => {
                each(&mut values, &|x| if x.is_infinite() { largest(dtype).copysign(x) } else { x });
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
