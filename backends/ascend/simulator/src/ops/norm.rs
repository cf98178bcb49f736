//! LayerNorm, alone and after a sum, by the published kernels' recipes.
//!
//! Our reading where they leave it open: statistics pass through f16 only for f16 input with gamma and beta in f16,
//! or without them; bf16 stays in f32 throughout. AddLayerNorm sums its operands in f32 and normalises the sum as
//! it is, before it is rounded to x's type; its mean and rstd are f32.

use super::axes::Rows;
use super::check;
use super::pointwise::{Computation, computed_in};
use crate::exports::operators;
use crate::meta::arrays::integers_of;
use crate::meta::executor::{Described, Fault, Launch, Operand, Planned, Refusal, Tensors};
use crate::numerics::elementary::Elementary;
use crate::numerics::promote::FLOATS;
use crate::numerics::recipes::{ReciprocalRoot, Statistics, layer_norm_in_f16, row_statistics};
use crate::numerics::{Number, Numerics, Rounding};
use crate::view::View;
use lockstep_ascend_abi::{aclDataType, aclIntArray, aclTensor};

/// `implMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Implementation {
    HighPrecision,
    HighPerformance,
    /// Every operation in f16.
    KeepF16,
}

impl Implementation {
    fn of(mode: i32) -> Result<Self, Refusal> {
        match mode {
            0 => Ok(Self::HighPrecision),
            1 => Ok(Self::HighPerformance),
            2 => Ok(Self::KeepF16),
            other => Err(Refusal::invalid(format!(
                "implMode is {other}, expected 0, high precision, 1, high performance, or 2, keep f16"
            ))),
        }
    }
}

/// The operator of compiled graphs, over the last axis; operands as for [`layer_norm`]. Its default is the fast root.
pub(crate) fn layer_norm_of_graph(
    tensors: &Tensors,
    epsilon: f64,
    is_precise: bool,
) -> Result<Planned, Refusal> {
    let implementation =
        if is_precise { Implementation::HighPrecision } else { Implementation::HighPerformance };
    let shape: Vec<i64> = tensors[0].dims.last().copied().into_iter().collect();
    layer_norm(tensors, &shape, epsilon, implementation, Statistics::VarianceThroughF16)
}

/// Operands: input, weight, bias, out, mean, rstd; of these weight, bias, mean and rstd may be null. `in_f16` are the
/// statistics of f16 rows.
fn layer_norm(
    tensors: &Tensors,
    shape: &[i64],
    epsilon: f64,
    implementation: Implementation,
    in_f16: Statistics,
) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x, out) = (&tensors[0], &tensors[3]);
    check::dtype(x, FLOATS)?;
    check::same_dtype(out, x)?;
    check::dims(out, &x.dims)?;
    let first =
        x.dims.len().checked_sub(shape.len()).filter(|first| !shape.is_empty() && x.dims[*first..] == *shape);
    let first = first.ok_or_else(|| {
        Refusal::invalid(format!(
            "normalizedShape is {shape:?}, expected the last axes of input {:?}",
            x.dims
        ))
    })?;
    for index in [1, 2] {
        let Some(parameter) = tensors.optional(index) else { continue };
        check::dims(parameter, shape)?;
        check::dtype(parameter, &[x.dtype, aclDataType::FLOAT])?;
        if implementation == Implementation::KeepF16 {
            check::dtype(parameter, &[aclDataType::FLOAT16])?;
        }
    }
    if implementation == Implementation::KeepF16 {
        check::dtype(x, &[aclDataType::FLOAT16])?;
    }
    let statistics_dims: Vec<i64> =
        x.dims.iter().enumerate().map(|(axis, dim)| if axis < first { *dim } else { 1 }).collect();
    for index in [4, 5] {
        let Some(statistic) = tensors.optional(index) else { continue };
        check::dims(statistic, &statistics_dims)?;
        check::dtype(statistic, &[x.dtype, aclDataType::FLOAT])?;
    }
    let is_f16 = |tensor: &Described| tensor.dtype == aclDataType::FLOAT16;
    let parameters_are_f16 = [1, 2].into_iter().filter_map(|index| tensors.optional(index)).all(is_f16);
    let statistics = if is_f16(x) && parameters_are_f16 { in_f16 } else { Statistics::Wide };
    let axes: Vec<usize> = (first..x.dims.len()).collect();
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| {
            let is_exact = launch.settings.numerics == Numerics::Exact;
            let norm = Norm {
                axes: &axes,
                epsilon,
                root: if implementation == Implementation::HighPerformance && !is_exact {
                    ReciprocalRoot::Logarithm
                } else {
                    ReciprocalRoot::Root
                },
                statistics: if is_exact { Statistics::Wide } else { statistics },
            };
            match computed_in(launch.view(0).dtype, launch) {
                Computation::Double => norm.run::<f64>(launch),
                _ if implementation == Implementation::KeepF16 => norm.run_in_f16(launch),
                _ => norm.run::<f32>(launch),
            }
        }),
    })
}

struct Norm<'a> {
    axes: &'a [usize],
    epsilon: f64,
    root: ReciprocalRoot,
    statistics: Statistics,
}

impl Norm<'_> {
    fn run<C: Elementary>(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let parts = Parts::<C>::of(launch, self.axes)?;
        let mut row = vec![C::ZERO; parts.x.len];
        for index in 0..parts.x.count {
            parts.x.load(index, &mut row);
            let (mean, rstd) = row_statistics(&row, self.epsilon, self.root, self.statistics);
            normalize(&mut row, mean, rstd, &parts.gamma, &parts.beta);
            parts.store(index, &row, mean, rstd);
        }
        Ok(())
    }

    fn run_in_f16(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let parts = Parts::<f32>::of(launch, self.axes)?;
        let mut row = vec![0.0; parts.x.len];
        for index in 0..parts.x.count {
            parts.x.load(index, &mut row);
            let (mean, rstd) = layer_norm_in_f16(&mut row, &parts.gamma, &parts.beta, self.epsilon);
            parts.store(index, &row, mean, rstd);
        }
        Ok(())
    }
}

/// The operands of [`layer_norm`], ready to be read and written.
struct Parts<C> {
    x: Rows,
    out: Rows,
    gamma: Vec<C>,
    beta: Vec<C>,
    mean: Option<Rows>,
    rstd: Option<Rows>,
}

impl<C: Number> Parts<C> {
    fn of(launch: &Launch<'_>, axes: &[usize]) -> Result<Self, Fault> {
        let rounding = Rounding::of(launch.settings);
        let x = Rows::over(launch.view(0), axes, rounding)?;
        let view = |index: usize| launch.views[index].as_ref();
        let statistic = |index| view(index).map(|view| Rows::over(view, axes, rounding)).transpose();
        Ok(Self {
            out: Rows::over(launch.view(3), axes, rounding)?,
            gamma: parameter(view(1), x.len, C::ONE, rounding)?,
            beta: parameter(view(2), x.len, C::ZERO, rounding)?,
            mean: statistic(4)?,
            rstd: statistic(5)?,
            x,
        })
    }

    fn store(&self, index: usize, row: &[C], mean: C, rstd: C) {
        self.out.store(index, row);
        for (rows, value) in [(&self.mean, mean), (&self.rstd, rstd)] {
            if let Some(rows) = rows {
                rows.store(index, &[value]);
            }
        }
    }
}

/// The elements of a parameter, or so many times `absent`.
fn parameter<C: Number>(
    view: Option<&View>,
    len: usize,
    absent: C,
    rounding: Rounding,
) -> Result<Vec<C>, Fault> {
    let mut values = vec![absent; len];
    if let Some(view) = view {
        let axes: Vec<usize> = (0..view.dims.len()).collect();
        Rows::over(view, &axes, rounding)?.load(0, &mut values);
    }
    Ok(values)
}

fn normalize<C: Number>(row: &mut [C], mean: C, rstd: C, gamma: &[C], beta: &[C]) {
    for ((x, gamma), beta) in row.iter_mut().zip(gamma).zip(beta) {
        *x = x.subtract(mean).multiply(rstd).multiply(*gamma).add(*beta);
    }
}

/// Operands: x1, x2, gamma, beta, bias or null, y, mean, rstd, x or null.
fn add_layer_norm(tensors: &Tensors, epsilon: f64, writes_x: bool) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x1, x2, gamma, beta) = (&tensors[0], &tensors[1], &tensors[2], &tensors[3]);
    let (y, mean, rstd) = (&tensors[5], &tensors[6], &tensors[7]);
    check::dtype(x1, FLOATS)?;
    check::axes(x1, 1..=8)?;
    check::dtype(x2, FLOATS)?;
    check::dims(x2, &x1.dims)?;
    check::axes(gamma, 1..=x1.dims.len())?;
    let first = x1.dims.len() - gamma.dims.len();
    for parameter in [gamma, beta] {
        check::dtype(parameter, FLOATS)?;
        check::dims(parameter, &x1.dims[first..])?;
    }
    if let Some(bias) = tensors.optional(4) {
        check::dtype(bias, FLOATS)?;
        if bias.dims != x1.dims {
            check::dims(bias, &gamma.dims)?;
        }
    }
    let statistics_dims: Vec<i64> =
        x1.dims.iter().enumerate().map(|(axis, dim)| if axis < first { *dim } else { 1 }).collect();
    for statistic in [mean, rstd] {
        check::dtype(statistic, &[aclDataType::FLOAT])?;
        check::dims(statistic, &statistics_dims)?;
    }
    let sum = tensors.optional(8);
    if writes_x && sum.is_none() {
        return Err(Refusal::null("xOut"));
    }
    for out in [Some(y), sum.filter(|_| writes_x)].into_iter().flatten() {
        check::dtype(out, &[x1.dtype, x2.dtype])?;
        check::dims(out, &x1.dims)?;
    }
    let axes: Vec<usize> = (first..x1.dims.len()).collect();
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| match computed_in(launch.view(0).dtype, launch) {
            Computation::Single => add_layer_norm_in::<f32>(launch, &axes, epsilon, writes_x),
            _ => add_layer_norm_in::<f64>(launch, &axes, epsilon, writes_x),
        }),
    })
}

fn add_layer_norm_in<C: Elementary>(
    launch: &Launch<'_>,
    axes: &[usize],
    epsilon: f64,
    writes_x: bool,
) -> Result<(), Fault> {
    let rounding = Rounding::of(launch.settings);
    let rows = |index: usize| Rows::over(launch.view(index), axes, rounding);
    let (x1, x2, y, mean_out, rstd_out) = (rows(0)?, rows(1)?, rows(5)?, rows(6)?, rows(7)?);
    let x_out = writes_x.then(|| rows(8)).transpose()?;
    let gamma = parameter(Some(launch.view(2)), x1.len, C::ONE, rounding)?;
    let beta = parameter(Some(launch.view(3)), x1.len, C::ZERO, rounding)?;
    let bias = match launch.views[4].as_ref().and_then(|bias| bias.broadcast_to(&launch.view(0).dims)) {
        Some(bias) => Some(Rows::over(&bias, axes, rounding)?),
        None => None,
    };
    let (mut sum, mut addend) = (vec![C::ZERO; x1.len], vec![C::ZERO; x1.len]);
    for index in 0..x1.count {
        x1.load(index, &mut sum);
        for addends in [Some(&x2), bias.as_ref()].into_iter().flatten() {
            addends.load(index, &mut addend);
            sum.iter_mut().zip(&addend).for_each(|(sum, addend)| *sum = sum.add(*addend));
        }
        if let Some(x_out) = &x_out {
            x_out.store(index, &sum);
        }
        let (mean, rstd) = row_statistics(&sum, epsilon, ReciprocalRoot::Root, Statistics::Wide);
        normalize(&mut sum, mean, rstd, &gamma, &beta);
        y.store(index, &sum);
        mean_out.store(index, &[mean]);
        rstd_out.store(index, &[rstd]);
    }
    Ok(())
}

use Operand as Op;

operators! { normalization;
    fn aclnnLayerNormGetWorkspaceSize(
        input: *const aclTensor, normalized_shape: *const aclIntArray, weight_optional: *const aclTensor,
        bias_optional: *const aclTensor, eps: f64, out: *mut aclTensor, mean_out_optional: *mut aclTensor,
        rstd_out_optional: *mut aclTensor,
    ) then aclnnLayerNorm
    takes [
        Op::input(input, "input"), Op::optional(weight_optional, "weightOptional"),
        Op::optional(bias_optional, "biasOptional"), Op::output(out, "out"),
        Op::optional_output(mean_out_optional, "meanOutOptional"),
        Op::optional_output(rstd_out_optional, "rstdOutOptional"),
    ]
    plans |tensors| {
        let shape = integers_of(normalized_shape, "normalizedShape")?;
        layer_norm(tensors, &shape, eps, Implementation::HighPrecision, Statistics::ThroughF16)
    }

    fn aclnnLayerNormWithImplModeGetWorkspaceSize(
        input: *const aclTensor, normalized_shape: *const aclIntArray, weight_optional: *const aclTensor,
        bias_optional: *const aclTensor, eps: f64, out: *mut aclTensor, mean_out_optional: *mut aclTensor,
        rstd_out_optional: *mut aclTensor, impl_mode: i32,
    ) then aclnnLayerNormWithImplMode
    takes [
        Op::input(input, "input"), Op::optional(weight_optional, "weightOptional"),
        Op::optional(bias_optional, "biasOptional"), Op::output(out, "out"),
        Op::optional_output(mean_out_optional, "meanOutOptional"),
        Op::optional_output(rstd_out_optional, "rstdOutOptional"),
    ]
    plans |tensors| {
        let shape = integers_of(normalized_shape, "normalizedShape")?;
        layer_norm(tensors, &shape, eps, Implementation::of(impl_mode)?, Statistics::ThroughF16)
    }

    fn aclnnAddLayerNormGetWorkspaceSize(
        x1: *const aclTensor, x2: *const aclTensor, gamma: *const aclTensor, beta: *const aclTensor,
        bias_optional: *const aclTensor, epsilon: f64, additional_output: bool, y_out: *const aclTensor,
        mean_out: *const aclTensor, rstd_out: *const aclTensor, x_out: *const aclTensor,
    ) then aclnnAddLayerNorm
    takes [
        Op::input(x1, "x1"), Op::input(x2, "x2"), Op::input(gamma, "gamma"), Op::input(beta, "beta"),
        Op::optional(bias_optional, "biasOptional"), Op::output(y_out, "yOut"), Op::output(mean_out, "meanOut"),
        Op::output(rstd_out, "rstdOut"), Op::optional_output(x_out, "xOut"),
    ]
    plans |tensors| { add_layer_norm(tensors, epsilon, additional_output) }
}
