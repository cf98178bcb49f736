//! One model runs once at a time.

use super::draft::{f32_bytes, f32_values, negated_successor};
use super::session::{Data, loaded};
use crate::blocked::Held;
use crate::harness::{acl, contract, new_stream, recent, start};
use std::ptr::null_mut;

contract! {
    /// Documented as an error that is reported; the code is our choice.
    fn one_model_on_two_streams_at_once_is_a_fault() {
        start();
        let (id, first, second) = (loaded(&negated_successor()), new_stream(), new_stream());
        let [a, b] = [1.0, 2.0].map(|x| Data::new(&[&f32_bytes(&[x; 4])], 16));
        let held = Held::new(first);
        assert_eq!(a.submit(id, first), 0, "{}", recent());
        assert_eq!(b.submit(id, second), 0, "{}", recent());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(second)), 507_011);
        let text = recent();
        assert!(text.contains("the same model still runs on stream 1"), "{text}");
        assert!(text.contains("one model must not run twice at a time"), "{text}");
        assert_eq!(b.execute(id), 507_011, "a synchronous run collides as well");
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(first)), 0, "the first is not disturbed: {}", recent());
        assert_eq!(f32_values(&a.result()), [-2.0; 4]);
        assert_eq!(b.execute(id), 0, "{}", recent());
    }
}

contract! {
    fn runs_that_an_event_puts_in_order_do_not_collide() {
        start();
        let (id, first, second) = (loaded(&negated_successor()), new_stream(), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        let mut event = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateEvent(&mut event)), 0);
        let held = Held::new(first);
        assert_eq!(data.submit(id, first), 0);
        assert_eq!(acl!(runtime.aclrtRecordEvent(event, first)), 0);
        assert_eq!(acl!(runtime.aclrtStreamWaitEvent(second, event)), 0);
        assert_eq!(data.submit(id, second), 0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(second)), 0, "{}", recent());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(first)), 0, "{}", recent());
    }
}

contract! {
    fn two_loads_of_one_file_are_two_models() {
        start();
        let file = negated_successor();
        let (ids, streams) = ([loaded(&file), loaded(&file)], [new_stream(), new_stream()]);
        let data = [1.0, 2.0].map(|x| Data::new(&[&f32_bytes(&[x; 4])], 16));
        let held = Held::new(streams[0]);
        for at in [0, 1] {
            assert_eq!(data[at].submit(ids[at], streams[at]), 0);
        }
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(streams[1])), 0, "{}", recent());
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(streams[0])), 0, "{}", recent());
        assert_eq!(data.map(|data| f32_values(&data.result())[0]), [-2.0, -3.0]);
    }
}

contract! {
    /// Our reading: the documents do not say whether it waits.
    fn unloading_a_model_that_runs_is_refused() {
        start();
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        let held = Held::new(stream);
        assert_eq!(data.submit(id, stream), 0);
        assert_eq!(acl!(model.aclmdlUnload(id)), 545_009);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(f32_values(&data.result()), [-2.0; 4]);
        assert_eq!(acl!(model.aclmdlUnload(id)), 0, "{}", recent());
    }
}

contract! {
    fn a_run_that_is_aborted_has_ended() {
        start();
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        let held = Held::new(stream);
        assert_eq!(data.submit(id, stream), 0);
        assert_eq!(acl!(runtime.aclrtStreamAbort(stream)), 0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert!(f32_values(&data.result())[0].is_nan());
        assert_eq!(acl!(model.aclmdlUnload(id)), 0, "{}", recent());
    }
}
