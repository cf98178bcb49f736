//! Datasets that do not fit, memory that is not there, contexts and ids that are others.

use super::draft::{f32_bytes, f32_values, negated_successor};
use super::session::{Data, buffer, bytes_of, dataset, device_bytes, loaded};
use crate::harness::{acl, contract, device_memory, new_stream, pinned_memory, recent, reported, start};
use lockstep_ascend_abi::{aclDataType, aclFormat, aclmdlDataset, aclmdlRICaptureMode};
use std::ffi::c_void;
use std::ptr::null_mut;

contract! {
    fn load_execute_and_unload_are_in_one_context() {
        start();
        let (id, data) = (loaded(&negated_successor()), Data::new(&[&[0; 16]], 16));
        let (mut own, mut other) = (null_mut(), null_mut());
        assert_eq!(acl!(runtime.aclrtGetCurrentContext(&mut own)), 0);
        assert_eq!(acl!(runtime.aclrtCreateContext(&mut other, 0)), 0);
        assert_eq!(data.execute(id), 107_004);
        assert_eq!(data.submit(id, null_mut()), 107_004);
        assert_eq!(acl!(model.aclmdlUnload(id)), 107_004);
        assert_eq!(acl!(model.aclmdlSetDynamicBatchSize(id, data.input, 0, 1)), 107_004);
        let stream = new_stream();
        assert_eq!(acl!(runtime.aclrtSetCurrentContext(own)), 0);
        assert_eq!(data.submit(id, stream), 107_003, "a stream of the other context");
        assert_eq!(data.execute(id), 0, "{}", recent());
        let elsewhere = std::thread::spawn(move || acl!(model.aclmdlUnload(id)));
        assert_eq!(elsewhere.join().expect("no panic"), 107_002);
        assert_eq!(acl!(model.aclmdlUnload(id)), 0, "{}", recent());
    }
}

contract! {
    fn threads_that_share_a_context_share_its_models() {
        start();
        let id = loaded(&negated_successor());
        let elsewhere = std::thread::spawn(move || {
            assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
            let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
            assert_eq!(data.execute(id), 0, "{}", recent());
            f32_values(&data.result())
        });
        assert_eq!(elsewhere.join().expect("no panic"), [-2.0; 4]);
        assert_eq!(acl!(model.aclmdlUnload(id)), 0, "{}", recent());
    }
}

contract! {
    fn an_id_that_is_not_loaded_gets_145003() {
        start();
        let data = Data::new(&[&[0; 16]], 16);
        assert_eq!(data.execute(1), 145_003);
        assert_eq!(data.submit(1, null_mut()), 145_003);
        assert_eq!(acl!(model.aclmdlUnload(1)), 145_003);
        assert!(recent().contains("modelId is 1"));
    }
}

/// Runs at these buffers: the code, and its text.
fn told(id: u32, input: *mut aclmdlDataset, output: *mut aclmdlDataset) -> (i32, String) {
    (acl!(model.aclmdlExecute(id, input, output)), recent())
}

contract! {
    /// Which codes is our choice.
    fn datasets_that_do_not_fit_are_refused_when_the_run_is_asked_for() {
        start();
        let id = loaded(&negated_successor());
        let (x, y) = ((device_memory(16), 16), (device_memory(16), 16));
        let (good_input, good_output) = (dataset(&[x]), dataset(&[y]));
        for (input, output, code, reason) in [
            (dataset(&[]), good_output, 100_017, "input has 0 buffers, expected 1"),
            (dataset(&[x, x]), good_output, 100_017, "input has 2 buffers, expected 1"),
            (good_input, dataset(&[]), 100_018, "output has 0 buffers, expected 1"),
            (dataset(&[(x.0, 15)]), good_output, 100_017, "input 0 `x`: the buffer has 15 bytes, 16 are needed"),
            (good_input, dataset(&[(y.0, 15)]), 100_018, "output 0 `y`: the buffer has 15 bytes, 16 are needed"),
            (null_mut(), good_output, 100_000, "input is NULL"),
            (good_input, null_mut(), 100_000, "output is NULL"),
        ] {
            let (found, text) = told(id, input, output);
            assert_eq!(found, code, "{text}");
            assert!(text.contains(reason), "{text}");
        }
        // Larger ones are as good.
        let large = dataset(&[(device_memory(64), 64)]);
        assert_eq!(told(id, large, dataset(&[(device_memory(64), 64)])).0, 0);
        assert_eq!(reported("launches.aclmdlExecute"), 1);
    }
}

contract! {
    fn memory_that_is_not_the_devices_is_found_when_the_model_runs() {
        start();
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let good = (device_memory(16), 16);
        let (mut host, freed) = ([0f32; 4], device_memory(16));
        assert_eq!(acl!(runtime.aclrtFree(freed)), 0);
        let cases: [(*mut c_void, &str); 6] = [
            (null_mut(), "address 0x0 is not device memory"),
            (host.as_mut_ptr().cast(), "is not device memory"),
            (pinned_memory(16), "is not device memory"),
            (device_memory(8), "16 bytes from byte 0 on leave 8 bytes"),
            (freed, "was freed"),
            (device_memory(32).wrapping_byte_add(4), "is not a multiple of 32"),
        ];
        for (wrong, reason) in cases {
            let (code, text) = told(id, dataset(&[(wrong, 16)]), dataset(&[good]));
            assert_eq!(code, 507_015, "{text}");
            assert!(text.contains("input 0 `x`") && text.contains(reason) || reason == "was freed", "{text}");
            let output = dataset(&[(wrong, 16)]);
            assert_eq!(acl!(model.aclmdlExecuteAsync(id, dataset(&[good]), output, stream)), 0, "late");
            assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_015);
            assert!(recent().contains("DDR address of the MTE instruction is out of range"));
        }
    }
}

contract! {
    fn handles_that_are_gone_are_refused() {
        start();
        let id = loaded(&negated_successor());
        let (x, data) = (device_bytes(&[0; 16]), Data::new(&[&[0; 16]], 16));
        let made = acl!(model.aclmdlCreateDataset());
        let of_it = buffer(x, 16);
        assert_eq!(acl!(model.aclmdlAddDatasetBuffer(made, of_it)), 0);
        assert_eq!(acl!(model.aclmdlAddDatasetBuffer(made, null_mut())), 100_000);
        assert_eq!(acl!(model.aclmdlGetDatasetBuffer(made, 0)), of_it);
        assert!(acl!(model.aclmdlGetDatasetBuffer(made, 1)).is_null());
        assert_eq!(acl!(model.aclDestroyDataBuffer(of_it)), 0);
        assert_eq!(acl!(model.aclDestroyDataBuffer(of_it)), 100_000);
        assert!(acl!(model.aclGetDataBufferAddr(of_it)).is_null());
        let (code, text) = told(id, made, data.output);
        assert_eq!(code, 100_000);
        assert!(text.contains("buffer 0 of the dataset was destroyed"), "{text}");
        assert_eq!(acl!(model.aclmdlDestroyDataset(made)), 0);
        assert_eq!(acl!(model.aclmdlDestroyDataset(made)), 100_000);
        assert_eq!(told(id, made, data.output).0, 100_000);
        assert_eq!(acl!(model.aclmdlGetDatasetNumBuffers(made)), 0);
    }
}

contract! {
    fn a_buffer_may_be_pointed_elsewhere_between_runs() {
        start();
        let (id, data) = (loaded(&negated_successor()), Data::new(&[&f32_bytes(&[1.0; 4])], 16));
        let other = device_bytes(&f32_bytes(&[5.0; 4]));
        let of_input = acl!(model.aclmdlGetDatasetBuffer(data.input, 0));
        assert_eq!(acl!(model.aclUpdateDataBuffer(of_input, other, 16)), 0);
        assert_eq!(acl!(model.aclGetDataBufferAddr(of_input)), other);
        assert_eq!(acl!(model.aclGetDataBufferSizeV2(of_input)), 16);
        assert_eq!(acl!(model.aclGetDataBufferSize(of_input)), 16);
        assert_eq!(data.execute(id), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-6.0; 4]);
    }
}

contract! {
    /// Documented: what is left out is the system's to allocate. That it is the caller's to free is our reading.
    fn an_output_of_null_and_0_is_allocated() {
        start();
        let (id, data) = (loaded(&negated_successor()), Data::new(&[&f32_bytes(&[1.0; 4])], 16));
        let output = dataset(&[(null_mut(), 0)]);
        let before = reported("device_bytes");
        for _ in 0..2 {
            assert_eq!(told(id, data.input, output).0, 0, "{}", recent());
        }
        assert_eq!(reported("device_bytes"), before + 16, "once");
        let made = acl!(model.aclmdlGetDatasetBuffer(output, 0));
        let address = acl!(model.aclGetDataBufferAddr(made));
        assert_eq!(acl!(model.aclGetDataBufferSizeV2(made)), 16);
        assert_eq!(f32_values(&bytes_of(address, 16)), [-2.0; 4]);
        assert_eq!(acl!(runtime.aclrtFree(address)), 0);
        // An input is not.
        assert_eq!(told(id, dataset(&[(null_mut(), 0)]), output).0, 100_017);
    }
}

contract! {
    /// Our reading.
    fn a_tensors_description_must_be_that_of_the_gear() {
        start();
        let (id, data) = (loaded(&negated_successor()), Data::new(&[&f32_bytes(&[1.0; 4])], 16));
        let desc = |dims: [i64; 2]| acl!(model.aclCreateTensorDesc(aclDataType::FLOAT, 2, dims.as_ptr(), aclFormat::ND));
        assert!(acl!(model.aclmdlGetDatasetTensorDesc(data.input, 0)).is_null());
        let (wrong, right) = (desc([4, 1]), desc([1, 4]));
        assert_eq!(acl!(model.aclmdlSetDatasetTensorDesc(data.input, wrong, 1)), 100_000);
        assert_eq!(acl!(model.aclmdlSetDatasetTensorDesc(data.input, wrong, 0)), 0);
        assert_eq!(acl!(model.aclmdlGetDatasetTensorDesc(data.input, 0)), wrong);
        assert_eq!(data.execute(id), 100_017);
        assert!(recent().contains("is ACL_FLOAT [4, 1], expected ACL_FLOAT [1, 4]"));
        assert_eq!(acl!(model.aclmdlSetDatasetTensorDesc(data.input, right, 0)), 0);
        assert_eq!(data.execute(id), 0, "{}", recent());
    }
}

contract! {
    /// Our reading: operators and copies are captured, models are not.
    fn models_are_not_captured() {
        start();
        let (id, data, stream) = (loaded(&negated_successor()), Data::new(&[&[0; 16]], 16), new_stream());
        assert_eq!(acl!(capture.aclmdlRICaptureBegin(stream, aclmdlRICaptureMode::GLOBAL)), 0);
        assert_eq!(data.submit(id, stream), 207_000);
        assert_eq!(data.execute(id), 107_030);
        let mut captured = null_mut();
        assert_eq!(acl!(capture.aclmdlRICaptureEnd(stream, &mut captured)), 507_903);
        assert_eq!(data.execute(id), 0, "{}", recent());
    }
}
