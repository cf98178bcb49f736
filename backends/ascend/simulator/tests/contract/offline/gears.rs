//! Choosing among the sizes that a model was compiled for.

use super::draft::{Draft, batched, f32_bytes, f32_values, negated_successor};
use super::session::{Data, bytes_of, dataset, device_bytes, loaded};
use crate::blocked::Held;
use crate::harness::{acl, contract, device_memory, new_stream, recent, start};
use lockstep_ascend_abi::{ACL_MAX_DIM_CNT, ACL_MAX_TENSOR_NAME_LEN, aclmdlDataset, aclmdlIODims};
use lockstep_ascend_container::{DType, Dynamic, Operator};
use std::ptr::null_mut;

fn choose(id: u32, dataset: *mut aclmdlDataset, batch: u64) -> i32 {
    acl!(model.aclmdlSetDynamicBatchSize(id, dataset, 1, batch))
}

/// Datasets for so many rows of four f32.
fn rows(count: usize) -> Data {
    Data::new(&[&f32_bytes(&vec![1.0; count * 4]), &[0; 8]], count * 16)
}

contract! {
    fn without_a_choice_the_largest_gear_runs() {
        start();
        let id = loaded(&batched(&[1, 3]));
        let data = rows(3);
        assert_eq!(data.execute(id), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-2.0; 12]);
        // One row is not enough for it.
        let small = rows(1);
        assert_eq!(small.execute(id), 100_017);
        assert!(recent().contains("input 0 `x`: the buffer has 16 bytes, 48 are needed at gear [3]"));
    }
}

contract! {
    fn a_choice_holds_for_the_runs_with_its_dataset_and_no_others() {
        start();
        let id = loaded(&batched(&[1, 3]));
        let (small, large) = (rows(3), rows(3));
        assert_eq!(choose(id, small.input, 1), 0, "{}", recent());
        for _ in 0..2 {
            for data in [&small, &large] {
                assert_eq!(data.execute(id), 0, "{}", recent());
            }
            assert_eq!(f32_values(&large.result()), [-2.0; 12]);
            let found = f32_values(&small.result());
            assert_eq!(found[..4], [-2.0; 4]);
            assert!(found[4..].iter().all(|untouched| untouched.is_nan()), "{found:?}");
        }
        assert_eq!(choose(id, small.input, 3), 0);
        assert_eq!(small.execute(id), 0);
        assert_eq!(f32_values(&small.result()), [-2.0; 12]);
    }
}

contract! {
    /// Which codes is our choice.
    fn what_was_not_compiled_is_refused_with_what_was() {
        start();
        let (id, fixed) = (loaded(&batched(&[1, 3])), loaded(&negated_successor()));
        let data = rows(3);
        assert_eq!(choose(id, data.input, 2), 145_013);
        assert!(recent().contains("[2] is none of the model's gears: [1], [3]"));
        assert_eq!(choose(id, data.input, u64::MAX), 145_013);
        assert_eq!(choose(fixed, data.input, 1), 100_019);
        assert_eq!(acl!(model.aclmdlSetDynamicHWSize(id, data.input, 1, 224, 224)), 100_019);
        assert_eq!(acl!(model.aclmdlSetInputDynamicDims(id, data.input, 1, &dims(&[1, 4]))), 100_019);
        assert_eq!(acl!(model.aclmdlSetDynamicBatchSize(id, data.input, 0, 1)), 100_000);
        assert!(recent().contains("expected 1, that of \"ascend_mbatch_shape_data\""));
        assert_eq!(choose(id, null_mut(), 1), 100_000);
        assert_eq!(choose(77, data.input, 1), 145_003);
        // Nothing of this was a choice.
        assert_eq!(data.execute(id), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-2.0; 12]);
    }
}

contract! {
    /// Which codes is our choice.
    fn the_last_buffer_must_be_device_memory_that_holds_the_choice() {
        start();
        let id = loaded(&batched(&[1, 3]));
        let x = device_bytes(&f32_bytes(&[1.0; 12]));
        let mut host = 0u64;
        let without = dataset(&[(x, 48)]);
        assert_eq!(choose(id, without, 1), 100_000);
        assert!(recent().contains("has 1 buffers, none of number 1"));
        assert_eq!(choose(id, dataset(&[(x, 48), (device_memory(8), 7)]), 1), 145_012);
        assert_eq!(choose(id, dataset(&[(x, 48), ((&raw mut host).cast(), 8)]), 1), 145_011);
        assert_eq!(choose(id, dataset(&[(x, 48), (null_mut(), 8)]), 1), 145_011);
        let chosen = device_memory(8);
        assert_eq!(choose(id, dataset(&[(x, 48), (chosen, 8)]), 3), 0, "{}", recent());
        assert_eq!(bytes_of(chosen, 8), 3i64.to_le_bytes());
        // A model with gears has one more input, also where nothing is chosen.
        let y = dataset(&[(device_memory(48), 48)]);
        assert_eq!(acl!(model.aclmdlExecute(id, without, y)), 100_017);
        assert!(recent().contains("input has 1 buffers, expected 2"));
    }
}

contract! {
    /// The device reads the choice when the model runs, not when it is set.
    fn a_buffer_that_two_datasets_share_is_found_out() {
        start();
        let (id, stream, chosen) = (loaded(&batched(&[1, 3])), new_stream(), device_memory(8));
        let x = device_bytes(&f32_bytes(&[1.0; 12]));
        let [first, second] = [(); 2].map(|()| dataset(&[(x, 48), (chosen, 8)]));
        let y = dataset(&[(device_memory(48), 48)]);
        let held = Held::new(stream);
        assert_eq!(choose(id, first, 1), 0);
        assert_eq!(acl!(model.aclmdlExecuteAsync(id, first, y, stream)), 0, "{}", recent());
        assert_eq!(choose(id, second, 3), 0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_011);
        let text = recent();
        assert!(text.contains("gear [1]") && text.contains("was written since it was chosen"), "{text}");
    }
}

fn dims(extents: &[i64]) -> aclmdlIODims {
    let mut dims = aclmdlIODims {
        name: [0; ACL_MAX_TENSOR_NAME_LEN],
        dim_count: extents.len(),
        dims: [0; ACL_MAX_DIM_CNT],
    };
    dims.dims[..extents.len()].copy_from_slice(extents);
    dims
}

contract! {
    fn dims_are_chosen_by_all_extents_of_all_inputs() {
        start();
        let mut draft = Draft::new(&[("x", DType::F32, &[-1, -1])], &[("y", DType::F32, &[-1, -1])]);
        draft.model.dynamic = Dynamic::Dims;
        for (height, width) in [(1, 3), (2, 2)] {
            draft.gear(&[height, width], &[&[height, width]], &[&[width, height]]);
            let (x, y) = (draft.input(0), draft.output(0));
            let (seen, strides) = (vec![width, height], vec![1, width]);
            let transposed = lockstep_ascend_container::Operand { dims: seen, strides, ..x.view() };
            draft.step_over("transpose", Operator::Copy, vec![transposed], y.view());
        }
        let id = loaded(&draft.file());
        let data = Data::new(&[&f32_bytes(&[1.0, 2.0, 3.0, 4.0]), &[0; 16]], 16);
        let choose = |extents: &[i64]| acl!(model.aclmdlSetInputDynamicDims(id, data.input, 1, &dims(extents)));
        assert_eq!(choose(&[2, 2]), 0, "{}", recent());
        assert_eq!(data.execute(id), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(choose(&[1, 3]), 0, "{}", recent());
        assert_eq!(data.execute(id), 0, "{}", recent());
        assert_eq!(f32_values(&data.result())[..3], [1.0, 2.0, 3.0]);
        for wrong in [&[3, 1][..], &[1], &[1, 3, 1]] {
            assert_eq!(choose(wrong), 145_013);
            assert!(recent().contains("[1, 3], [2, 2]"));
        }
        let mut many = dims(&[1, 3]);
        many.dim_count = 129;
        assert_eq!(acl!(model.aclmdlSetInputDynamicDims(id, data.input, 1, &many)), 100_000);
        assert_eq!(acl!(model.aclmdlSetDynamicBatchSize(id, data.input, 1, 1)), 100_019);
    }
}
