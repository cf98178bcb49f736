//! When a run happens, and what it sees.

use super::draft::{f32_bytes, f32_values, negated_successor};
use super::session::{Data, loaded};
use crate::blocked::Held;
use crate::harness::{KIND, acl, contract, new_stream, pinned_memory, recent, reported, start};
use std::ptr::null_mut;

contract! {
    fn an_asynchronous_run_returns_before_its_results_are_there() {
        start();
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0, 2.0, 3.0, 4.0])], 16);
        let held = Held::new(stream);
        assert_eq!(data.submit(id, stream), 0, "{}", recent());
        assert!(f32_values(&data.result()).iter().all(|value| value.is_nan()));
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-2.0, -3.0, -4.0, -5.0]);
        assert_eq!(reported("launches.aclmdlExecuteAsync"), 1);
    }
}

contract! {
    fn null_is_the_default_stream_and_runs_of_one_stream_are_in_order() {
        start();
        let id = loaded(&negated_successor());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        for _ in 0..3 {
            assert_eq!(data.submit(id, null_mut()), 0, "{}", recent());
            // y feeds x: -(x + 1) of 1 is -2, of that 1, of that -2.
            assert_eq!(acl!(runtime.aclrtMemcpyAsync(data.x, 16, data.y, 16, KIND, null_mut())), 0);
        }
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-2.0; 4]);
    }
}

contract! {
    /// Our reading: a run without a stream is waited for, but waits for no stream.
    fn a_synchronous_run_does_not_wait_for_what_streams_still_have_to_do() {
        start();
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        let pinned = pinned_memory(16);
        // SAFETY: 16 bytes of pinned memory.
        unsafe { pinned.cast::<[f32; 4]>().write([7.0; 4]) };
        let held = Held::new(stream);
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(data.x, 16, pinned, 16, KIND, stream)), 0);
        assert_eq!(data.execute(id), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-2.0; 4]);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(data.execute(id), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-8.0; 4]);
    }
}

contract! {
    fn a_synchronous_run_on_a_stream_comes_after_what_it_has_to_do() {
        start();
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        let pinned = pinned_memory(16);
        // SAFETY: 16 bytes of pinned memory.
        unsafe { pinned.cast::<[f32; 4]>().write([7.0; 4]) };
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(data.x, 16, pinned, 16, KIND, stream)), 0);
        let none = std::ptr::null();
        assert_eq!(acl!(model.aclmdlExecuteV2(id, data.input, data.output, stream, none)), 0, "{}", recent());
        assert_eq!(f32_values(&data.result()), [-8.0; 4]);
    }
}

contract! {
    fn a_run_fails_when_the_environment_says() with [
        "LOCKSTEP_ASCEND_SIM_FAIL" = "aclmdlExecute:2:507011",
        "LOCKSTEP_ASCEND_SIM_LATE" = "aclmdlExecute:2:507015;aclmdlExecuteAsync:1:507014"
    ] {
        start();
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        // The second call is refused at once, so that the third is the second to run.
        assert_eq!([(); 4].map(|()| data.execute(id)), [0, 507_011, 507_015, 0]);
        assert_eq!(data.submit(id, stream), 0, "{}", recent());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_014);
        let text = recent();
        assert!(text.contains("aclmdlExecuteAsync (launch") && text.contains("`drafted`"), "{text}");
        assert_eq!(data.submit(id, stream), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0, "{}", recent());
        assert_eq!(acl!(model.aclmdlUnload(id)), 0, "a faulted run has ended: {}", recent());
    }
}

contract! {
    fn settings_of_numerics_hold_for_models() with ["LOCKSTEP_ASCEND_SIM_OVERFLOW" = "saturation"] {
        use super::draft::{decoded, encoded, one_step};
        use super::session::outcome;
        use lockstep_ascend_container::{Binary, DType::F16, Operator};
        start();
        let file = one_step(Operator::Binary(Binary::Mul), &[(F16, &[2]), (F16, &[2])], (F16, &[2]));
        let x = encoded(F16, &[60_000.0, -60_000.0]);
        let found = outcome(&file, &[&x, &encoded(F16, &[2.0, 2.0])], 4).expect("runs");
        assert_eq!(decoded(F16, &found), [65_504.0, -65_504.0]);
    }
}
