//! A kernel on its way through a stream: what it uses is looked up when it is submitted, and held and checked
//! when it runs, since a fault is the device's to find.

use crate::meta::executor::{Bound, Fault, Kernel, Launch};
use crate::meta::tensor::Description;
use crate::numerics::Settings;
use crate::runtime::context::Context;
use crate::runtime::stream::Stream;
use crate::runtime::uses::{self, Found};
use crate::runtime::{counts, faults};
use crate::view::{View, element_size};
use lockstep_ascend_abi::aclFormat;
use std::sync::Arc;

/// A submitted launch; a captured one runs again and again.
pub(crate) struct Submission {
    op: &'static str,
    kernel: Arc<Kernel>,
    views: Vec<Option<View>>,
    memory: Vec<Found>,
    workspace: (usize, u64),
    settings: Arc<Settings>,
    is_deterministic: bool,
    stream: i32,
}

impl Submission {
    /// Of an executor's parts, for a stream and the current context.
    pub(crate) fn new(
        op: &'static str,
        kernel: Arc<Kernel>,
        operands: &[Bound],
        workspace: (usize, u64),
        stream: &Stream,
        context: &Context,
    ) -> Self {
        let mut memory: Vec<Found> = operands.iter().map(|operand| found(operand, stream.device)).collect();
        memory.push(uses::in_device_memory(workspace.0, workspace.1 as usize, stream.device, "workspace"));
        Self {
            op,
            kernel,
            views: operands.iter().map(|operand| operand.description.as_ref().map(view)).collect(),
            memory,
            workspace,
            settings: stream.settings.clone(),
            is_deterministic: context.is_deterministic(),
            stream: stream.number,
        }
    }

    /// Runs it on the stream's thread.
    pub(crate) fn run(&self) -> Result<(), Fault> {
        let launch_number = counts::launch(self.op);
        let place = format!("{} (launch {launch_number}, stream {})", self.op, self.stream);
        if let Some(code) = faults::injected_late(self.op) {
            return Err(Fault::new(code, format!("{place}: LOCKSTEP_ASCEND_SIM_LATE asked for this fault")));
        }
        let launch = Launch {
            views: &self.views,
            workspace: (core::ptr::with_exposed_provenance_mut(self.workspace.0), self.workspace.1),
            settings: &self.settings,
            is_deterministic: self.is_deterministic,
            launch_number,
        };
        uses::during(&self.memory, &place, || {
            fill_workspace(&launch);
            (self.kernel)(&launch).map_err(|fault| Fault::new(fault.code, format!("{place}: {}", fault.text)))
        })
    }
}

/// Leaves in the workspace what a kernel might: a caller that keeps something there finds it gone.
fn fill_workspace(launch: &Launch<'_>) {
    let (address, bytes) = launch.workspace;
    if bytes > 0 {
        // SAFETY: device memory of at least these bytes, which the submission holds.
        unsafe { address.write_bytes(0xFF, bytes as usize) };
    }
}

fn view(description: &Description) -> View {
    let size = element_size(description.dtype).unwrap_or(1);
    let base: *mut u8 = core::ptr::with_exposed_provenance_mut(description.address);
    View {
        dtype: description.dtype,
        dims: description.dims.clone(),
        strides: description.strides.clone(),
        data: base.wrapping_add((description.offset as usize).wrapping_mul(size)),
    }
}

fn found(operand: &Bound, device: i32) -> Found {
    let Some(description) = &operand.description else { return Ok(None) };
    let bytes = bytes_of(description).ok_or_else(|| format!("{} has no size in bytes", operand.name))?;
    if bytes == 0 {
        return Ok(None);
    }
    uses::aligned(description.address, bytes, device, operand.name)
}

/// What says where elements lie.
pub(crate) struct Extent<'a> {
    pub dims: &'a [i64],
    pub strides: &'a [i64],
    pub offset: i64,
    pub format: aclFormat,
    pub storage_dims: &'a [i64],
}

impl Extent<'_> {
    /// Elements from a tensor's address to its last one; of a tiled layout, those of the storage. `None` if
    /// they are too many.
    pub(crate) fn elements(&self) -> Option<i64> {
        if self.dims.contains(&0) {
            return Some(0);
        }
        const IN_ORDER: [aclFormat; 5] =
            [aclFormat::ND, aclFormat::NCHW, aclFormat::NCL, aclFormat::NHWC, aclFormat::NC];
        let last = match IN_ORDER.contains(&self.format) {
            true => self
                .dims
                .iter()
                .zip(self.strides)
                .try_fold(1i64, |last, (dim, stride)| last.checked_add((dim - 1).checked_mul(*stride)?)),
            false => self.storage_dims.iter().try_fold(1i64, |count, dim| count.checked_mul(*dim)),
        };
        last?.checked_add(self.offset)
    }
}

/// Bytes from a tensor's address to its last element.
fn bytes_of(description: &Description) -> Option<usize> {
    let Description { dtype, dims, strides, offset, format, storage_dims, .. } = description;
    let extent = Extent { dims, strides, offset: *offset, format: *format, storage_dims };
    usize::try_from(extent.elements()?).ok()?.checked_mul(element_size(*dtype)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_ascend_abi::aclDataType;

    fn description(dims: &[i64], strides: &[i64], offset: i64, format: aclFormat) -> Description {
        Description {
            dtype: aclDataType::FLOAT16,
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            offset,
            format,
            storage_dims: vec![2, 3, 16, 16],
            address: 0,
        }
    }

    #[test]
    fn a_view_reaches_to_its_last_element() {
        assert_eq!(bytes_of(&description(&[2, 3], &[3, 1], 0, aclFormat::ND)), Some(12));
        assert_eq!(bytes_of(&description(&[2, 3], &[10, 2], 5, aclFormat::ND)), Some(40));
        assert_eq!(bytes_of(&description(&[4, 1], &[0, 7], 0, aclFormat::ND)), Some(2));
        assert_eq!(bytes_of(&description(&[4, 0], &[0, 7], 9, aclFormat::ND)), Some(0));
        assert_eq!(bytes_of(&description(&[2, 2], &[i64::MAX, 2], 0, aclFormat::ND)), None);
    }

    #[test]
    fn a_tiled_tensor_reaches_to_the_end_of_its_storage() {
        assert_eq!(bytes_of(&description(&[20, 40], &[40, 1], 0, aclFormat::FRACTAL_NZ)), Some(3072));
    }
}
