//! Matrix products, as the cube units compute them.
//!
//! f16 and bf16 are read exactly, every product is summed in f32 and rounded once at the end, `beta * self` and
//! `alpha` included. The device's order of summation is not published; here k runs upwards in blocks of 256, whose
//! sums are added in order. f32 is multiplied as f32 unless `cubeMathType` asks for less.
//!
//! The private format that `aclnnTransMatmulWeight` makes is, in this simulator, the plain one: a weight in
//! FRACTAL_NZ is read by its dims and strides. Only what the operator made is valid in it, here as on the device.

mod product;

use super::check;
use super::elementwise::promoted;
use crate::exports::operators;
use crate::meta::executor::{Described, Operand, Planned, Refusal, Tensors};
use crate::meta::scalar::value_of;
use crate::numerics::promote::FLOATS;
use lockstep_ascend_abi::{aclDataType, aclScalar, aclTensor};
use product::{Product, Sum};

/// What f32 operands are rounded to before they are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Multiplicands {
    AsTheyAre,
    Hf32,
    F16,
}

/// `cubeMathType` for operands that meet in `dtype`.
///
/// 1 and 3 turn f32 into HF32 on Atlas A2. 4 sums long rows of f32 in groups, as this simulator does anyway. That 2
/// is refused for bf16, which does not fit f16's range, is our reading.
fn multiplicands(cube_math_type: i8, dtype: aclDataType) -> Result<Multiplicands, Refusal> {
    let is_f32 = dtype == aclDataType::FLOAT;
    match cube_math_type {
        0 | 4 => Ok(Multiplicands::AsTheyAre),
        1 | 3 => Ok(if is_f32 { Multiplicands::Hf32 } else { Multiplicands::AsTheyAre }),
        2 if dtype == aclDataType::BF16 => {
            Err(Refusal::invalid("cubeMathType is 2, f16, which bf16 operands are not multiplied in"))
        }
        2 => Ok(if is_f32 { Multiplicands::F16 } else { Multiplicands::AsTheyAre }),
        other => Err(Refusal::invalid(format!(
            "cubeMathType is {other}, expected 0 to 4: keep, HF32 or f16 allowed, f16, HF32, grouped sums"
        ))),
    }
}

/// Dtypes and formats of a product's two operands; what they meet in.
fn factors(a: &Described, b: &Described) -> Result<aclDataType, Refusal> {
    check::dtype(a, FLOATS)?;
    check::dtype(b, FLOATS)?;
    if a.dtype != b.dtype && [a.dtype, b.dtype].contains(&aclDataType::BF16) {
        return Err(Refusal::invalid(format!(
            "dtypes {:?} of {} and {:?} of {}: ACL_BF16 is multiplied by ACL_BF16 only",
            a.dtype, a.name, b.dtype, b.name
        )));
    }
    check::plain_format(a)?;
    promoted(a, b)
}

/// The result's dtype and format.
fn result(out: &Described) -> Result<(), Refusal> {
    check::dtype(out, FLOATS)?;
    check::plain_format(out)
}

/// The extents of a product: those of the batch, rows and columns.
struct Extents {
    batch: Vec<i64>,
    m: i64,
    n: i64,
}

impl Extents {
    /// Of operands with at least two axes, either transposed if so asked.
    fn of(a: &Described, b: &Described, transposed: [bool; 2]) -> Result<Self, Refusal> {
        let split = |tensor: &Described, is_transposed: bool| {
            let (batch, matrix) = tensor.dims.split_at(tensor.dims.len() - 2);
            let (rows, columns) = (matrix[0], matrix[1]);
            (batch.to_vec(), if is_transposed { (columns, rows) } else { (rows, columns) })
        };
        let (batch_a, (m, k)) = split(a, transposed[0]);
        let (batch_b, (k_of_b, n)) = split(b, transposed[1]);
        let batch = check::broadcast_dims(&batch_a, &batch_b).filter(|_| k == k_of_b);
        let batch = batch.ok_or_else(|| {
            Refusal::invalid(format!(
                "{} {:?} and {} {:?} are not multiplied: {k} columns and {k_of_b} rows, batches {batch_a:?} and {batch_b:?}",
                a.name, a.dims, b.name, b.dims
            ))
        })?;
        Ok(Self { batch, m, n })
    }

    fn dims(&self) -> Vec<i64> {
        [self.batch.as_slice(), &[self.m, self.n]].concat()
    }
}

/// Product of operands 0 and 1, both with two axes or more, in operand 2.
pub(crate) fn multiply(tensors: &Tensors, cube_math_type: i8) -> Result<Planned, Refusal> {
    let (a, b, out) = (&tensors[0], &tensors[1], &tensors[2]);
    let dtype = factors(a, b)?;
    let multiplicands = multiplicands(cube_math_type, dtype)?;
    result(out)?;
    check::dims(out, &Extents::of(a, b, [false; 2])?.dims())?;
    Ok(Product { a: 0, b: 1, out: 2, transposed: [false; 2], multiplicands, sum: None }.planned(tensors))
}

/// As [`multiply`], where a vector is a row on the left and a column on the right, and the result has no such axis.
fn multiply_with_vectors(tensors: &Tensors, cube_math_type: i8) -> Result<Planned, Refusal> {
    let (a, b, out) = (&tensors[0], &tensors[1], &tensors[2]);
    let dtype = factors(a, b)?;
    let multiplicands = multiplicands(cube_math_type, dtype)?;
    result(out)?;
    check::axes(a, 1..=6)?;
    check::axes(b, 1..=6)?;
    let [mut row, mut column] = [a.clone(), b.clone()];
    if a.dims.len() == 1 {
        row.dims.insert(0, 1);
    }
    if b.dims.len() == 1 {
        column.dims.push(1);
    }
    let extents = Extents::of(&row, &column, [false; 2])?;
    let mut dims = extents.batch;
    dims.extend((a.dims.len() > 1).then_some(extents.m));
    dims.extend((b.dims.len() > 1).then_some(extents.n));
    check::dims(out, &dims)?;
    Ok(Product { a: 0, b: 1, out: 2, transposed: [false; 2], multiplicands, sum: None }.planned(tensors))
}

/// Where the parts of `beta * addend + alpha * (a @ b)` are among the operands.
struct Places {
    addend: usize,
    a: usize,
    b: usize,
    out: usize,
}

/// A product with an addend, scaled both; the operands have `axes` axes.
fn multiply_and_add(
    tensors: &Tensors,
    places: &Places,
    axes: usize,
    transposed: [bool; 2],
    (alpha, beta): (f64, f64),
    cube_math_type: i8,
) -> Result<Planned, Refusal> {
    let (addend, a, b) = (&tensors[places.addend], &tensors[places.a], &tensors[places.b]);
    let out = &tensors[places.out];
    check::axes(a, axes..=axes)?;
    check::axes(b, axes..=axes)?;
    let dtype = factors(a, b)?;
    let multiplicands = multiplicands(cube_math_type, dtype)?;
    result(out)?;
    check::dtype(addend, FLOATS)?;
    check::plain_format(addend)?;
    let dims = Extents::of(a, b, transposed)?.dims();
    check::broadcasts_to(addend, &dims)?;
    check::dims(out, &dims)?;
    let sum = Some(Sum { addend: places.addend, alpha, beta });
    Ok(Product { a: places.a, b: places.b, out: places.out, transposed, multiplicands, sum }.planned(tensors))
}

/// Two scalars that scale a sum.
fn scales(alpha: *const aclScalar, beta: *const aclScalar) -> Result<(f64, f64), Refusal> {
    Ok((value_of(alpha, "alpha")?.to_f64(), value_of(beta, "beta")?.to_f64()))
}

/// `transA`, `transB`.
fn flag(value: i64, name: &str) -> Result<bool, Refusal> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Refusal::invalid(format!("{name} is {other}, expected 0 or 1"))),
    }
}

/// Addend first, result last.
const ADDMM: Places = Places { addend: 0, a: 1, b: 2, out: 3 };
/// The addend is the result.
const IN_PLACE: Places = Places { addend: 0, a: 1, b: 2, out: 0 };

use Operand as Op;

operators! { matmul;
    fn aclnnMmGetWorkspaceSize(
        self_: *const aclTensor, mat2: *const aclTensor, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnMm
    takes [Op::input(self_, "self"), Op::input(mat2, "mat2"), Op::output(out, "out")]
    plans |tensors| {
        check::axes(&tensors[0], 2..=2)?;
        check::axes(&tensors[1], 2..=2)?;
        multiply(tensors, cube_math_type)
    }

    fn aclnnMatmulGetWorkspaceSize(
        self_: *const aclTensor, mat2: *const aclTensor, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnMatmul
    takes [Op::input(self_, "self"), Op::input(mat2, "mat2"), Op::output(out, "out")]
    plans |tensors| { multiply_with_vectors(tensors, cube_math_type) }

    fn aclnnBatchMatMulGetWorkspaceSize(
        self_: *const aclTensor, mat2: *const aclTensor, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnBatchMatMul
    takes [Op::input(self_, "self"), Op::input(mat2, "mat2"), Op::output(out, "out")]
    plans |tensors| {
        check::axes(&tensors[0], 3..=3)?;
        check::axes(&tensors[1], 3..=3)?;
        multiply(tensors, cube_math_type)
    }

    fn aclnnAddmmGetWorkspaceSize(
        self_: *const aclTensor, mat1: *const aclTensor, mat2: *const aclTensor, beta: *const aclScalar,
        alpha: *const aclScalar, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnAddmm
    takes [
        Op::input(self_, "self"), Op::input(mat1, "mat1"), Op::input(mat2, "mat2"), Op::output(out, "out"),
    ]
    plans |tensors| { multiply_and_add(tensors, &ADDMM, 2, [false; 2], scales(alpha, beta)?, cube_math_type) }

    fn aclnnInplaceAddmmGetWorkspaceSize(
        self_ref: *const aclTensor, mat1: *const aclTensor, mat2: *const aclTensor, beta: *const aclScalar,
        alpha: *const aclScalar, cube_math_type: i8,
    ) then aclnnInplaceAddmm
    takes [Op::both(self_ref, "selfRef"), Op::input(mat1, "mat1"), Op::input(mat2, "mat2")]
    plans |tensors| { multiply_and_add(tensors, &IN_PLACE, 2, [false; 2], scales(alpha, beta)?, cube_math_type) }

    fn aclnnBaddbmmGetWorkspaceSize(
        self_: *const aclTensor, batch1: *const aclTensor, batch2: *const aclTensor, beta: *const aclScalar,
        alpha: *const aclScalar, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnBaddbmm
    takes [
        Op::input(self_, "self"), Op::input(batch1, "batch1"), Op::input(batch2, "batch2"),
        Op::output(out, "out"),
    ]
    plans |tensors| { multiply_and_add(tensors, &ADDMM, 3, [false; 2], scales(alpha, beta)?, cube_math_type) }

    fn aclnnGemmGetWorkspaceSize(
        a: *const aclTensor, b: *const aclTensor, c: *const aclTensor, alpha: f32, beta: f32, trans_a: i64,
        trans_b: i64, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnGemm
    takes [Op::input(a, "A"), Op::input(b, "B"), Op::input(c, "C"), Op::output(out, "out")]
    plans |tensors| {
        let places = Places { addend: 2, a: 0, b: 1, out: 3 };
        let transposed = [flag(trans_a, "transA")?, flag(trans_b, "transB")?];
        multiply_and_add(tensors, &places, 2, transposed, (alpha.into(), beta.into()), cube_math_type)
    }

    fn aclnnTransMatmulWeightGetWorkspaceSize(mm_weight_ref: *mut aclTensor) then aclnnTransMatmulWeight
    takes [Op::both(mm_weight_ref, "mmWeightRef")]
    plans |tensors| {
        check::dtype(&tensors[0], FLOATS)?;
        check::axes(&tensors[0], 2..=6)?;
        // The memory stays as it is; see the top of this file.
        Ok(Planned { workspace: 0, kernel: Box::new(|_| Ok(())) })
    }
}
