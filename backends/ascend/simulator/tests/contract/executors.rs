//! Tensors, the two phases, and executors that run once or more.

use crate::blocked::Held;
use crate::harness::{
    Add, acl, contract, device_memory, downloaded, execute_add, library, new_stream, recent, reported, start,
    tensor, uploaded,
};
use lockstep_ascend_abi::{aclDataType, aclFormat};
use std::ptr::{null, null_mut};

contract! {
    fn phase_2_consumes_the_executor() {
        start();
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        let executor = Add::of(a, a, out, 1).prepared();
        assert_eq!(reported("executors"), 1);
        assert_eq!(execute_add(executor, null_mut()), 0);
        assert_eq!(reported("executors"), 0);
        assert_eq!(execute_add(executor, null_mut()), 561_103);
        assert!(recent().contains("consumes"));
        assert_eq!(acl!(meta.aclDestroyAclOpExecutor(executor)), 561_103);
        assert_eq!(execute_add(null_mut(), null_mut()), 561_103);
    }
}

contract! {
    fn a_repeatable_executor_runs_again_with_other_addresses() {
        start();
        let (a, b, out) = (uploaded(&[1.0]), uploaded(&[5.0]), uploaded(&[0.0]));
        let add = Add::of(a, a, out, 1);
        let executor = add.prepared();
        assert_eq!(acl!(meta.aclSetAclOpExecutorRepeatable(null_mut())), 561_103);
        assert_eq!(acl!(meta.aclSetAclOpExecutorRepeatable(executor)), 0);
        for expected in [2.0, 6.0] {
            assert_eq!(execute_add(executor, null_mut()), 0);
            assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), 0);
            assert_eq!(downloaded(out, 1), [expected]);
            assert_eq!(acl!(meta.aclSetInputTensorAddr(executor, 1, add.b, b)), 0);
        }
        let other = uploaded(&[0.0]);
        assert_eq!(acl!(meta.aclSetOutputTensorAddr(executor, 0, add.out, other)), 0);
        assert_eq!(acl!(meta.AclSetTensorAddr(executor, 0, add.a, b)), 0);
        assert_eq!(execute_add(executor, null_mut()), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), 0);
        assert_eq!(downloaded(other, 1), [10.0]);
        assert_eq!(acl!(meta.aclSetInputTensorAddr(executor, 2, add.b, b)), 161_002);
        assert_eq!(acl!(meta.aclSetInputTensorAddr(executor, 0, null_mut(), b)), 561_103);
        assert_eq!(acl!(meta.aclDestroyAclOpExecutor(executor)), 0);
        assert_eq!(acl!(meta.aclDestroyAclOpExecutor(executor)), 561_103);
    }
}

contract! {
    /// Our choice of code; that it must not be done is documented.
    fn a_raw_address_may_not_change_between_the_phases() {
        start();
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        let add = Add::of(a, a, out, 1);
        let executor = add.prepared();
        assert_eq!(acl!(meta.aclSetRawTensorAddr(add.b, uploaded(&[9.0]))), 0);
        assert_eq!(execute_add(executor, null_mut()), 161_002);
        assert!(recent().contains("between the phases"));
        add.launch(null_mut());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), 0);
        assert_eq!(downloaded(out, 1), [10.0]);
    }
}

contract! {
    fn null_parameters_get_161001_by_name() {
        start();
        let a = uploaded(&[1.0]);
        let add = Add::of(a, a, a, 1);
        let cases = [
            (Add { a: null_mut(), ..add }, "self"),
            (Add { out: null_mut(), ..Add::of(a, a, a, 1) }, "out"),
            (Add { alpha: null_mut(), ..Add::of(a, a, a, 1) }, "alpha"),
        ];
        for (wrong, name) in cases {
            assert_eq!(wrong.prepare().0, 161_001, "{name}");
            let text = recent();
            assert!(text.contains("EZ1001") && text.contains("aclnnAdd") && text.contains(name), "{text}");
        }
    }
}

contract! {
    fn shapes_and_dtypes_that_do_not_fit_get_161002() {
        start();
        let a = uploaded(&[1.0, 2.0, 3.0]);
        let mut add = Add::of(a, a, a, 3);
        add.b = tensor(a, &[2]);
        assert_eq!(add.prepare().0, 161_002);
        let text = recent();
        assert!(text.contains("[3]") && text.contains("[2]"), "{text}");
        let dims = [3];
        let dims: *const i64 = dims.as_ptr();
        let (string, format) = (aclDataType::STRING, aclFormat::ND);
        add.b = acl!(meta.aclCreateTensor(dims, 1, string, null(), 0, format, dims, 1, a));
        assert_eq!(add.prepare().0, 161_002);
        assert!(recent().contains("ACL_STRING"));
    }
}

contract! {
    /// Our choice: phase 1 refuses a view that leaves its storage.
    fn a_view_lies_in_its_storage() {
        start();
        let a = uploaded(&[1.0, 2.0, 3.0, 4.0]);
        let (dims, storage, stride) = ([2i64], [4i64], [2i64]);
        let view = |offset: i64| {
            acl!(meta.aclCreateTensor(
                dims.as_ptr(), 1, aclDataType::FLOAT, stride.as_ptr(), offset, aclFormat::ND,
                storage.as_ptr(), 1, a
            ))
        };
        let out = uploaded(&[0.0, 0.0]);
        let mut add = Add::of(a, a, out, 2);
        (add.a, add.b) = (view(1), view(0));
        add.launch(null_mut());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), 0, "{}", recent());
        assert_eq!(downloaded(out, 2), [3.0, 7.0]);
        add.a = view(2);
        assert_eq!(add.prepare().0, 161_002);
        assert!(recent().contains("leave the storage"));
    }
}

contract! {
    fn phase_2_without_a_context_is_a_runtime_error_inside() {
        start();
        let a = uploaded(&[1.0]);
        let executor = Add::of(a, a, a, 1).prepared().expose_provenance();
        let (code, text) = std::thread::spawn(move || {
            let code = execute_add(std::ptr::with_exposed_provenance_mut(executor), null_mut());
            (code, recent())
        })
        .join()
        .expect("no panic");
        assert_eq!(code, 361_001);
        assert!(text.contains("107002"), "{text}");
        // Consumed all the same: nobody could give it back otherwise.
        assert_eq!(reported("executors"), 0);
    }
}

contract! {
    fn a_list_destroys_its_tensors() {
        start();
        let a = uploaded(&[1.0]);
        let tensors = [tensor(a, &[1]).cast_const(), tensor(a, &[1]).cast_const()];
        let list = acl!(meta.aclCreateTensorList(tensors.as_ptr(), 2));
        let mut size = 0;
        assert_eq!(acl!(meta.aclGetTensorListSize(list, &mut size)), 0);
        assert_eq!(size, 2);
        assert_eq!(acl!(meta.aclDestroyTensor(tensors[0])), 561_103);
        assert_eq!(acl!(meta.aclDestroyTensorList(list)), 0);
        assert_eq!(reported("tensors"), 0);
        assert_eq!(acl!(meta.aclDestroyTensor(tensors[0])), 561_103);
    }
}

contract! {
    fn a_tensor_cannot_be_made_of_null_or_negative_dims() {
        let dims = [-1i64];
        let dims = dims.as_ptr();
        let (dtype, format) = (aclDataType::FLOAT, aclFormat::ND);
        let made = acl!(meta.aclCreateTensor(null(), 1, dtype, null(), 0, format, null(), 0, null_mut()));
        assert!(made.is_null() && recent().contains("viewDims"));
        let made = acl!(meta.aclCreateTensor(dims, 1, dtype, null(), 0, format, dims, 1, null_mut()));
        assert!(made.is_null() && recent().contains("negative"));
    }
}

contract! {
    fn tensors_may_be_destroyed_once_phase_2_has_returned() {
        start();
        let (a, out, stream) = (uploaded(&[4.0]), uploaded(&[0.0]), new_stream());
        let held = Held::new(stream);
        let add = Add::of(a, a, out, 1);
        add.launch(stream);
        add.destroy();
        assert_eq!((reported("tensors"), reported("scalars")), (0, 0));
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(downloaded(out, 1), [8.0]);
    }
}

contract! {
    fn an_executor_of_another_operator_is_refused_and_stays() {
        start();
        let a = device_memory(64);
        let executor = Add::of(a, a, a, 1).prepared();
        let other = library().ops.elementwise.aclnnMul.expect("exported").execute;
        // SAFETY: a live executor; another operator's is refused.
        assert_eq!(unsafe { other(null_mut(), 0, executor, null_mut()) }, 161_002);
        assert!(recent().contains("made for aclnnAdd"));
        assert_eq!(reported("executors"), 1);
        assert_eq!(execute_add(executor, null_mut()), 0);
    }
}

contract! {
    /// Which code each case has is our choice.
    fn a_workspace_is_device_memory_of_the_size_asked_for() with ["LOCKSTEP_ASCEND_SIM_WORKSPACE" = "64"] {
        start();
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        let add = Add::of(a, a, out, 1);
        let execute = library().ops.elementwise.aclnnAdd.expect("exported").execute;
        let mut host = [0u8; 64];
        let workspace = uploaded(&[0.0; 16]);
        let cases = [
            (null_mut(), 64, 161_001, 0),
            (workspace, 63, 161_002, 0),
            (host.as_mut_ptr().cast(), 64, 0, 507_015),
            (device_memory(32), 64, 0, 507_015),
            (workspace, 64, 0, 0),
        ];
        for (address, size, submitted, synchronized) in cases {
            let (status, executor, needed) = add.prepare_with_workspace();
            assert_eq!((status, needed), (0, 64));
            // SAFETY: a live executor; wrong memory is refused.
            assert_eq!(unsafe { execute(address, size, executor, null_mut()) }, submitted);
            assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), synchronized);
        }
        assert_eq!(downloaded(out, 1), [2.0]);
        // The kernel's own: whoever keeps something there loses it.
        assert!(downloaded(workspace, 16).iter().all(|value| value.is_nan()));
    }
}
