//! Arithmetic element by element.

use crate::exports::operators;
use crate::meta::executor::{Described, Launch, Operand, Planned, Refusal};
use crate::meta::scalar::value_of;
use crate::view::View;
use half::{bf16, f16};
use lockstep_ascend_abi::{aclDataType, aclScalar, aclTensor};

/// Dtypes that `aclnnAdd` takes here, as f32 inside.
const FLOATS: [aclDataType; 3] = [aclDataType::FLOAT, aclDataType::FLOAT16, aclDataType::BF16];

fn float(tensor: &Described) -> Result<(), Refusal> {
    if FLOATS.contains(&tensor.dtype) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{} is {:?}, expected one of {FLOATS:?}", tensor.name, tensor.dtype)))
}

/// The shape of `a` and `b` together, by the usual rules.
fn broadcast(a: &[i64], b: &[i64]) -> Option<Vec<i64>> {
    let axes = a.len().max(b.len());
    let dim = |dims: &[i64], axis: usize| (axis + dims.len()).checked_sub(axes).map_or(1, |axis| dims[axis]);
    (0..axes)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (a, b) if a == b => Some(a),
            (1, other) | (other, 1) => Some(other),
            _ => None,
        })
        .collect()
}

/// Element `offset` of a float view.
///
/// # Safety
/// The view's memory holds it.
unsafe fn load(view: &View, offset: isize) -> f32 {
    // SAFETY: the caller's promise; unaligned because a view may start anywhere.
    unsafe {
        match view.dtype {
            aclDataType::FLOAT16 => view.data.cast::<f16>().offset(offset).read_unaligned().into(),
            aclDataType::BF16 => view.data.cast::<bf16>().offset(offset).read_unaligned().into(),
            _ => view.data.cast::<f32>().offset(offset).read_unaligned(),
        }
    }
}

/// Rounds `value` once and stores it as element `offset`.
///
/// # Safety
/// As for [`load`].
unsafe fn store(view: &View, offset: isize, value: f32) {
    // SAFETY: the caller's promise.
    unsafe {
        match view.dtype {
            aclDataType::FLOAT16 => {
                view.data.cast::<f16>().offset(offset).write_unaligned(f16::from_f32(value));
            }
            aclDataType::BF16 => {
                view.data.cast::<bf16>().offset(offset).write_unaligned(bf16::from_f32(value));
            }
            _ => view.data.cast::<f32>().offset(offset).write_unaligned(value),
        }
    }
}

operators! { elementwise;
    fn aclnnAddGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnAdd
    takes [Operand::input(self_, "self"), Operand::input(other, "other"), Operand::output(out, "out")]
    plans |tensors| {
        let alpha = value_of(alpha, "alpha")?.to_f64() as f32;
        let (a, b, out) = (&tensors[0], &tensors[1], &tensors[2]);
        [a, b, out].into_iter().try_for_each(float)?;
        let dims = broadcast(&a.dims, &b.dims).ok_or_else(|| {
            Refusal::invalid(format!("self {:?} and other {:?} do not broadcast", a.dims, b.dims))
        })?;
        if out.dims != dims {
            return Err(Refusal::invalid(format!("out is {:?}, expected {dims:?}", out.dims)));
        }
        Ok(Planned {
            workspace: 0,
            kernel: Box::new(move |launch: &Launch<'_>| {
                let out = launch.view(2);
                let inputs = [0, 1].map(|index| launch.view(index).broadcast_to(&out.dims));
                let [Some(a), Some(b)] = inputs else { unreachable!("phase 1 saw that they broadcast") };
                for ((at, from_a), from_b) in out.offsets().zip(a.offsets()).zip(b.offsets()) {
                    // SAFETY: the launch promises that the views lie in allocated memory.
                    unsafe { store(out, at, load(&a, from_a) + alpha * load(&b, from_b)) };
                }
                Ok(())
            }),
        })
    }
}
