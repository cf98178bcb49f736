//! Weight and work memory that the caller brings.

use super::draft::{f32_bytes, f32_values, negated_successor};
use super::session::Data;
use crate::blocked::Held;
use crate::harness::{acl, contract, device_memory, new_stream, pinned_memory, recent, reported, start};
use std::ffi::c_void;
use std::ptr::null_mut;

type Memory = (*mut c_void, usize);

fn load((work, work_size): Memory, (weight, weight_size): Memory) -> (i32, u32) {
    let (file, mut id) = (negated_successor(), 0);
    let (bytes, size) = (file.as_ptr().cast(), file.len());
    let code =
        acl!(model.aclmdlLoadFromMemWithMem(bytes, size, &mut id, work, work_size, weight, weight_size));
    (code, id)
}

const NONE: Memory = (null_mut(), 0);

fn run(id: u32, x: f32) -> Result<f32, i32> {
    let data = Data::new(&[&f32_bytes(&[x; 4])], 16);
    match data.execute(id) {
        0 => Ok(f32_values(&data.result())[0]),
        code => Err(code),
    }
}

contract! {
    fn two_models_may_share_weights_and_take_turns_with_work_memory() {
        start();
        let (work, weight) = ((device_memory(64), 64), (device_memory(4), 4));
        let before = reported("device_bytes");
        let ids = [(); 2].map(|()| load(work, weight)).map(|(code, id)| {
            assert_eq!(code, 0, "{}", recent());
            id
        });
        assert_eq!(reported("device_bytes"), before, "nothing more is allocated");
        for id in ids {
            assert_eq!(run(id, 2.0), Ok(-3.0));
            assert_eq!(acl!(model.aclmdlUnload(id)), 0);
        }
        assert_eq!(reported("device_bytes"), before + 2 * 32, "the caller's memory stays the caller's");
    }
}

contract! {
    fn one_of_the_two_may_be_the_systems() {
        start();
        let weight = (device_memory(4), 4);
        let (code, id) = load(NONE, weight);
        assert_eq!((code, run(id, 0.0)), (0, Ok(-1.0)));
    }
}

contract! {
    /// Which codes is our choice.
    fn memory_that_is_too_small_or_elsewhere_is_refused_when_it_is_loaded() {
        start();
        let (work, weight) = ((device_memory(64), 64), (device_memory(4), 4));
        assert_eq!(load((work.0, 63), weight).0, 145_000);
        assert!(recent().contains("work memory has 63 bytes, the model needs 64"));
        assert_eq!(load(work, (weight.0, 3)).0, 145_000);
        let mut host = [0u64; 8];
        for wrong in [
            (host.as_mut_ptr().cast(), 64),
            (pinned_memory(64), 64),
            (work.0, 65),
            (work.0.wrapping_byte_add(8), 56),
        ] {
            let (code, _) = load(wrong, weight);
            assert!([145_000, 145_007].contains(&code), "{code} {}", recent());
            assert_eq!(code == 145_000, wrong.1 < 64);
        }
        assert_eq!(reported("offline_models"), 0);
    }
}

contract! {
    fn memory_that_was_freed_is_found_when_the_model_runs() {
        start();
        for freed in [0, 1] {
            let memory = [(device_memory(64), 64), (device_memory(4), 4)];
            let (code, id) = load(memory[0], memory[1]);
            assert_eq!(code, 0, "{}", recent());
            assert_eq!(run(id, 1.0), Ok(-2.0));
            assert_eq!(acl!(runtime.aclrtFree(memory[freed].0)), 0);
            assert_eq!(run(id, 1.0), Err(507_015));
            let text = recent();
            assert!(text.contains(["work memory", "weight memory"][freed]) && text.contains("was freed"), "{text}");
            assert_eq!(acl!(model.aclmdlUnload(id)), 0);
        }
    }
}

contract! {
    fn memory_that_is_freed_before_its_run_begins_is_a_late_fault() {
        start();
        let (work, stream) = (device_memory(64), new_stream());
        let (code, id) = load((work, 64), NONE);
        assert_eq!(code, 0, "{}", recent());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        let held = Held::new(stream);
        assert_eq!(data.submit(id, stream), 0, "{}", recent());
        assert_eq!(acl!(runtime.aclrtFree(work)), 0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_015);
        let text = recent();
        assert!(text.contains("aclmdlExecuteAsync") && text.contains("64 bytes (device 0"), "{text}");
    }
}
