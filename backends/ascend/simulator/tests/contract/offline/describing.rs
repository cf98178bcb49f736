//! What a model's description tells.

use super::draft::{Draft, batched, negated_successor};
use super::session::{Data, described, loaded};
use crate::harness::{acl, contract, recent, start};
use lockstep_ascend_abi::{
    ACL_DYNAMIC_TENSOR_NAME, aclDataType, aclFormat, aclmdlBatch, aclmdlDesc, aclmdlHW, aclmdlIODims,
    aclmdlIODimsRange,
};
use lockstep_ascend_container::{DType, Dynamic, Operator};
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;

fn text(pointer: *const c_char) -> String {
    assert!(!pointer.is_null(), "{}", recent());
    // SAFETY: not null: a text that ends in NUL.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8").to_owned()
}

/// What a call leaves in a struct; the call must succeed.
fn told<T>(call: impl FnOnce(*mut T) -> i32) -> T {
    let mut place = MaybeUninit::uninit();
    assert_eq!(call(place.as_mut_ptr()), 0, "{}", recent());
    // SAFETY: a call that succeeds has written it.
    unsafe { place.assume_init() }
}

fn name_and_dims(dims: &aclmdlIODims) -> (String, Vec<i64>) {
    (text(dims.name.as_ptr()), dims.dims[..dims.dim_count].to_vec())
}

fn input_dims(desc: *mut aclmdlDesc, at: usize) -> (String, Vec<i64>) {
    name_and_dims(&told(|dims| acl!(model.aclmdlGetInputDims(desc, at, dims))))
}

fn current_output(desc: *mut aclmdlDesc) -> Vec<i64> {
    name_and_dims(&told(|dims| acl!(model.aclmdlGetCurOutputDims(desc, 0, dims)))).1
}

contract! {
    fn a_model_with_fixed_extents_is_described_as_it_was_compiled() {
        start();
        let desc = described(loaded(&negated_successor()));
        assert_eq!((acl!(model.aclmdlGetNumInputs(desc)), acl!(model.aclmdlGetNumOutputs(desc))), (1, 1));
        assert_eq!(input_dims(desc, 0), ("x".to_owned(), vec![1, 4]));
        let same = told(|dims| acl!(model.aclmdlGetInputDimsV2(desc, 0, dims)));
        assert_eq!(name_and_dims(&same).1, [1, 4]);
        let output = told(|dims| acl!(model.aclmdlGetOutputDims(desc, 0, dims)));
        assert_eq!(name_and_dims(&output), ("y".to_owned(), vec![1, 4]));
        assert_eq!(current_output(desc), [1, 4]);
        assert_eq!(acl!(model.aclmdlGetInputSizeByIndex(desc, 0)), 16);
        assert_eq!(acl!(model.aclmdlGetOutputSizeByIndex(desc, 0)), 16);
        assert_eq!(text(acl!(model.aclmdlGetInputNameByIndex(desc, 0))), "x");
        assert_eq!(text(acl!(model.aclmdlGetOutputNameByIndex(desc, 0))), "y");
        assert_eq!(told(|at| acl!(model.aclmdlGetInputIndexByName(desc, c"x".as_ptr(), at))), 0usize);
        assert_eq!(told(|at| acl!(model.aclmdlGetOutputIndexByName(desc, c"y".as_ptr(), at))), 0usize);
        assert_eq!(acl!(model.aclmdlGetInputDataType(desc, 0)), aclDataType::FLOAT);
        assert_eq!(acl!(model.aclmdlGetOutputDataType(desc, 0)), aclDataType::FLOAT);
        assert_eq!(acl!(model.aclmdlGetInputFormat(desc, 0)), aclFormat::ND);
        assert_eq!(acl!(model.aclmdlGetOutputFormat(desc, 0)), aclFormat::ND);
        let batch: aclmdlBatch = told(|batch| acl!(model.aclmdlGetDynamicBatch(desc, batch)));
        let sizes: aclmdlHW = told(|hw| acl!(model.aclmdlGetDynamicHW(desc, usize::MAX, hw)));
        let gears: usize = told(|count| acl!(model.aclmdlGetInputDynamicGearCount(desc, usize::MAX, count)));
        assert_eq!((batch.batch_count, sizes.hw_count, gears), (0, 0, 0));
    }
}

contract! {
    fn batches_are_listed_and_sizes_are_the_largest() {
        start();
        let id = loaded(&batched(&[1, 2, 8]));
        let desc = described(id);
        assert_eq!(acl!(model.aclmdlGetNumInputs(desc)), 2);
        assert_eq!(input_dims(desc, 0).1, [-1, 4]);
        assert_eq!(input_dims(desc, 1), ("ascend_mbatch_shape_data".to_owned(), vec![1]));
        let name = ACL_DYNAMIC_TENSOR_NAME.as_ptr();
        assert_eq!(told(|at| acl!(model.aclmdlGetInputIndexByName(desc, name, at))), 1usize);
        assert_eq!(acl!(model.aclmdlGetInputDataType(desc, 1)), aclDataType::INT64);
        assert_eq!(acl!(model.aclmdlGetInputSizeByIndex(desc, 0)), 8 * 16);
        assert_eq!(acl!(model.aclmdlGetInputSizeByIndex(desc, 1)), 8);
        assert_eq!(acl!(model.aclmdlGetOutputSizeByIndex(desc, 0)), 8 * 16);
        let range: aclmdlIODimsRange = told(|range| acl!(model.aclmdlGetInputDimsRange(desc, 0, range)));
        assert_eq!(range.range[..range.range_count], [[1, 8], [4, 4]]);
        let batch: aclmdlBatch = told(|batch| acl!(model.aclmdlGetDynamicBatch(desc, batch)));
        assert_eq!(batch.batch[..batch.batch_count], [1, 2, 8]);
        // Documented: the largest gear; the current one once a gear was set.
        let output = told(|dims| acl!(model.aclmdlGetOutputDims(desc, 0, dims)));
        assert_eq!((name_and_dims(&output).1, current_output(desc)), (vec![8, 4], vec![8, 4]));
        let data = Data::new(&[&[0; 32], &[0; 8]], 32);
        assert_eq!(acl!(model.aclmdlSetDynamicBatchSize(id, data.input, 1, 2)), 0, "{}", recent());
        assert_eq!(current_output(desc), [2, 4]);
    }
}

contract! {
    fn gears_of_dims_list_all_dims_of_all_inputs() {
        start();
        let (f32, i64) = (DType::F32, DType::I64);
        let mut draft = Draft::new(
            &[("x", f32, &[-1, 4]), ("ids", i64, &[3, -1])], &[("y", f32, &[-1, 4])],
        );
        draft.model.dynamic = Dynamic::Dims;
        for (rows, ids) in [(1, 5), (6, 2)] {
            draft.gear(&[rows, 4, 3, ids], &[&[rows, 4], &[3, ids]], &[&[rows, 4]]);
            let (x, y) = (draft.input(0), draft.output(0));
            draft.step("copy", Operator::Copy, &[&x], &y);
        }
        let desc = described(loaded(&draft.file()));
        let gears: usize = told(|count| acl!(model.aclmdlGetInputDynamicGearCount(desc, usize::MAX, count)));
        assert_eq!(gears, 2);
        let dims: [aclmdlIODims; 2] =
            told(|dims: *mut [aclmdlIODims; 2]| acl!(model.aclmdlGetInputDynamicDims(desc, usize::MAX, dims.cast(), 2)));
        assert_eq!([0, 1].map(|at| name_and_dims(&dims[at]).1), [[1, 4, 3, 5], [6, 4, 3, 2]]);
        // One number per extent that is chosen.
        assert_eq!(input_dims(desc, 2), ("ascend_mbatch_shape_data".to_owned(), vec![2]));
        assert_eq!(acl!(model.aclmdlGetInputSizeByIndex(desc, 0)), 6 * 16);
        assert_eq!(acl!(model.aclmdlGetInputSizeByIndex(desc, 1)), 3 * 5 * 8);
        let mut few = dims;
        assert_eq!(acl!(model.aclmdlGetInputDynamicDims(desc, usize::MAX, few.as_mut_ptr(), 1)), 100_000);
        assert_eq!(acl!(model.aclmdlGetInputDynamicDims(desc, 0, few.as_mut_ptr(), 2)), 100_000);
    }
}

contract! {
    fn a_name_that_does_not_fit_has_another_that_leads_back() {
        start();
        let long = "layer/".repeat(40);
        let mut draft = Draft::new(&[(long.as_str(), DType::F32, &[2])], &[("y", DType::F32, &[2])]);
        draft.gear(&[], &[&[2]], &[&[2]]);
        let (x, y) = (draft.input(0), draft.output(0));
        draft.step("copy", Operator::Copy, &[&x], &y);
        let id = loaded(&draft.file());
        let desc = described(id);
        assert_eq!(text(acl!(model.aclmdlGetInputNameByIndex(desc, 0))), long);
        let (short, _) = input_dims(desc, 0);
        assert_eq!(short, format!("acl_modelId_{id}_input_0"));
        for name in [short, long.clone()] {
            let name = CString::new(name).expect("no NUL");
            assert_eq!(text(acl!(model.aclmdlGetTensorRealName(desc, name.as_ptr()))), long);
        }
        assert!(acl!(model.aclmdlGetTensorRealName(desc, c"z".as_ptr())).is_null());
    }
}

contract! {
    fn what_is_not_there_is_refused_or_empty() {
        start();
        let desc = acl!(model.aclmdlCreateDesc());
        assert_eq!(acl!(model.aclmdlGetNumInputs(desc)), 0);
        assert!(recent().contains("describes no model yet"));
        assert_eq!(acl!(model.aclmdlGetDesc(desc, 77)), 145_003);
        let id = loaded(&negated_successor());
        assert_eq!(acl!(model.aclmdlGetDesc(desc, id)), 0);
        let mut dims = MaybeUninit::uninit();
        assert_eq!(acl!(model.aclmdlGetInputDims(desc, 1, dims.as_mut_ptr())), 100_000);
        assert!(recent().contains("index is 1, and the model has 1 inputs"));
        assert_eq!(acl!(model.aclmdlGetInputSizeByIndex(desc, 1)), 0);
        assert_eq!(text(acl!(model.aclmdlGetOutputNameByIndex(desc, 1))), "");
        assert_eq!(acl!(model.aclmdlGetInputDataType(desc, 1)), aclDataType::UNDEFINED);
        assert_eq!(acl!(model.aclmdlGetInputIndexByName(desc, c"z".as_ptr(), &mut 0)), 100_000);
        assert!(recent().contains(r#"expected one of ["x"]"#));
        assert_eq!(acl!(model.aclmdlGetInputIndexByName(desc, null(), &mut 0)), 100_000);
        // The description outlives its model.
        assert_eq!(acl!(model.aclmdlUnload(id)), 0);
        assert_eq!(acl!(model.aclmdlGetNumInputs(desc)), 1);
        assert_eq!(acl!(model.aclmdlDestroyDesc(desc)), 0);
        assert_eq!(acl!(model.aclmdlDestroyDesc(desc)), 100_000);
        assert_eq!(acl!(model.aclmdlGetNumInputs(desc)), 0);
    }
}
