//! Constant weights, packed once into panels.

use half::{bf16, f16};

use crate::matmul::tile::panel_width;
use crate::{Element, Isa};

/// How the panels are stored. Compute is f32 in every case, so only the weights' own rounding differs.
///
/// [`PanelStorage::F16`] and [`PanelStorage::Bf16`] hold weights that come from an f16 or bf16 file exactly, in half the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PanelStorage {
    /// Four bytes a weight; exact for every storage type.
    F32,
    /// Two bytes a weight; rounds weights that are not f16 already.
    F16,
    /// Two bytes a weight; rounds weights that are not bf16 already.
    Bf16,
}

/// The weights of one linear layer, `[n, k]`, in panels, with the bias in f32.
///
/// A panel holds a fixed number of the layer's outputs, input by input: `[panels, k, width]`, the last panel filled up with
/// zeros. A block of inputs of one panel is therefore contiguous, and so is what is read next.
#[derive(Clone)]
pub struct PackedWeights {
    n: usize,
    k: usize,
    isa: Isa,
    panels: Panels,
    bias: Option<Vec<f32>>,
}

/// A cache line, so that no vector of a panel lies across two.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line<T: Copy, const VALUES: usize>([T; VALUES]);

type LineF32 = Line<f32, 16>;
type LineF16 = Line<f16, 32>;
type LineBf16 = Line<bf16, 32>;

#[derive(Clone)]
enum Panels {
    F32(Vec<LineF32>),
    F16(Vec<LineF16>),
    Bf16(Vec<LineBf16>),
}

/// Where a [`PackedWeights`]' panels start.
#[derive(Clone, Copy)]
pub(crate) enum PanelStart {
    F32(*const f32),
    F16(*const f16),
    Bf16(*const bf16),
}

impl PackedWeights {
    /// Packs `weight`, `[n, k]` row-major (out, in: as PyTorch stores it), for the path `isa`; `bias` is `[n]`.
    ///
    /// Choose [`PanelStorage::F32`] for f32 weights, and for speed wherever the weights fit the last-level cache. For weights
    /// that are f16 or bf16 in their file the matching storage gives the same bits in half the memory; each block is widened
    /// once per call and block of rows. Measured on one core with the weights in the last-level cache, that costs 12 % to 16 %
    /// of the speed at 32 rows and 0 % to 4 % from 128 on; it can only be faster where few rows meet weights from memory.
    ///
    /// # Panics
    /// If `weight` does not have `n * k` values or `bias` not `n`.
    pub fn pack<W: Element, B: Element>(
        isa: Isa,
        storage: PanelStorage,
        n: usize,
        k: usize,
        weight: &[W],
        bias: Option<&[B]>,
    ) -> Self {
        assert_eq!(Some(weight.len()), n.checked_mul(k), "weight is [n, k] = [{n}, {k}]");
        let isa = isa.min(Isa::detect());
        let width = panel_width(isa);
        let panels = match storage {
            PanelStorage::F32 => Panels::F32(packed(width, n, k, weight, |value| value)),
            PanelStorage::F16 => Panels::F16(packed(width, n, k, weight, f16::from_f32)),
            PanelStorage::Bf16 => Panels::Bf16(packed(width, n, k, weight, bf16::from_f32)),
        };
        let bias = bias.map(|bias| {
            assert_eq!(bias.len(), n, "bias is [n]");
            bias.iter().map(|b| b.to_f32()).collect()
        });
        Self { n, k, isa, panels, bias }
    }

    /// The number of outputs (rows of the weight).
    pub fn n(&self) -> usize {
        self.n
    }

    /// The number of inputs (columns of the weight).
    pub fn k(&self) -> usize {
        self.k
    }

    /// The instruction-set path the panels are laid out for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// How the panels are stored.
    pub fn storage(&self) -> PanelStorage {
        match self.panels {
            Panels::F32(_) => PanelStorage::F32,
            Panels::F16(_) => PanelStorage::F16,
            Panels::Bf16(_) => PanelStorage::Bf16,
        }
    }

    /// The bias as f32, if there is one.
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// The bytes that the packed weights and the bias take.
    pub fn bytes(&self) -> usize {
        let panels = match &self.panels {
            Panels::F32(lines) => size_of_val(&lines[..]),
            Panels::F16(lines) => size_of_val(&lines[..]),
            Panels::Bf16(lines) => size_of_val(&lines[..]),
        };
        panels + self.bias.as_ref().map_or(0, |bias| size_of_val(&bias[..]))
    }

    pub(crate) fn panels(&self) -> PanelStart {
        match &self.panels {
            Panels::F32(lines) => PanelStart::F32(lines.as_ptr().cast()),
            Panels::F16(lines) => PanelStart::F16(lines.as_ptr().cast()),
            Panels::Bf16(lines) => PanelStart::Bf16(lines.as_ptr().cast()),
        }
    }
}

impl std::fmt::Debug for PackedWeights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackedWeights")
            .field("n", &self.n)
            .field("k", &self.k)
            .field("isa", &self.isa)
            .field("storage", &self.storage())
            .field("bias", &self.bias.is_some())
            .finish()
    }
}

/// `weight` in panels of `width` columns, each value through `store`.
fn packed<W: Element, T: Copy + Default, const VALUES: usize>(
    width: usize,
    n: usize,
    k: usize,
    weight: &[W],
    store: impl Fn(f32) -> T,
) -> Vec<Line<T, VALUES>> {
    let panels = n.div_ceil(width);
    let values = panels * k * width;
    let mut lines = vec![Line([T::default(); VALUES]); values.div_ceil(VALUES)];
    // Inputs are taken a few lines at a time, so that the part of the panel being filled stays in the first-level cache.
    const INPUTS: usize = 64;
    for panel in 0..panels {
        let outputs = panel * width..n.min((panel + 1) * width);
        for start in (0..k).step_by(INPUTS) {
            for output in outputs.clone() {
                let row = &weight[output * k..][..k][start..k.min(start + INPUTS)];
                let first = (panel * k + start) * width + output - outputs.start;
                for (i, value) in row.iter().enumerate() {
                    let at = first + i * width;
                    lines[at / VALUES].0[at % VALUES] = store(value.to_f32());
                }
            }
        }
    }
    lines
}
