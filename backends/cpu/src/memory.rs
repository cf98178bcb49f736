//! From operands to slices. The one place where the backend trusts the program: [`Program::new`] has checked that what
//! a step writes overlaps nothing that is still read, so that its slices may be handed out side by side.

use bytemuck::Pod;
use lockstep_hal::tensor::{AlignedBytes, HostTensor};
use lockstep_hal::{Location, OperandId, Program};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{RwLockReadGuard, RwLockWriteGuard};

/// Where an operand's elements are during a run.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    Arena(Range<usize>),
    Io { slot: usize, bytes: usize },
    Constant(HostTensor),
}

impl Slot {
    /// The place of an operand.
    pub(crate) fn of(program: &Program, id: OperandId) -> Self {
        let operand = program.operand(id);
        match &operand.location {
            Location::Arena(range) => Slot::Arena(range.start..range.start + operand.bytes()),
            Location::Io(slot) => Slot::Io { slot: *slot, bytes: operand.bytes() },
            Location::Constant(constant) => Slot::Constant(constant.tensor().clone()),
        }
    }

    /// Whether two slots are the same memory.
    pub(crate) fn is(&self, other: &Slot) -> bool {
        match (self, other) {
            (Slot::Arena(a), Slot::Arena(b)) => a == b && !a.is_empty(),
            (Slot::Io { slot: a, .. }, Slot::Io { slot: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// A borrowed buffer of the caller.
pub(crate) enum Guard<'a> {
    Read(RwLockReadGuard<'a, AlignedBytes>),
    Write(RwLockWriteGuard<'a, AlignedBytes>),
}

/// The memory of one run.
pub(crate) struct Memory<'a> {
    arena: *mut u8,
    arena_len: usize,
    /// The start and length of each buffer; outputs and taps may be written.
    io: Vec<(*mut u8, usize)>,
    borrows: PhantomData<&'a mut u8>,
}

// SAFETY: a `Memory` is pointers into the arena and the caller's buffers, both of which the run that made it holds
// exclusively (`&mut` arena, guards of the buffers); threads only meet on ranges that the program's rules keep apart.
unsafe impl Send for Memory<'_> {}
// SAFETY: as above; `&Memory` gives out slices only through `read` and `write`.
unsafe impl Sync for Memory<'_> {}

impl<'a> Memory<'a> {
    /// The memory of a run over `arena` and the borrowed buffers.
    pub(crate) fn new(arena: &'a mut [u8], guards: &'a mut [Guard<'_>]) -> Self {
        let io = guards.iter_mut().map(|guard| match guard {
            Guard::Read(guard) => (guard.as_slice().as_ptr().cast_mut(), guard.as_slice().len()),
            Guard::Write(guard) => {
                let bytes = guard.as_mut_slice();
                (bytes.as_mut_ptr(), bytes.len())
            }
        });
        Self { io: io.collect(), arena: arena.as_mut_ptr(), arena_len: arena.len(), borrows: PhantomData }
    }

    /// The start and length in bytes of a slot.
    fn place(&self, slot: &Slot) -> (*mut u8, usize) {
        match slot {
            Slot::Arena(range) => {
                assert!(range.end <= self.arena_len, "the arena was allocated for this program");
                // SAFETY: within the arena, as just checked.
                (unsafe { self.arena.add(range.start) }, range.len())
            }
            Slot::Io { slot, bytes } => {
                let (start, len) = self.io[*slot];
                assert!(*bytes <= len, "buffers were checked against the program");
                (start, *bytes)
            }
            Slot::Constant(tensor) => (tensor.bytes().as_ptr().cast_mut(), tensor.bytes().len()),
        }
    }

    /// The elements of an operand that the running step reads.
    pub(crate) fn read<T: Pod>(&self, slot: &Slot) -> &[T] {
        let (start, bytes) = self.place(slot);
        if bytes == 0 {
            return &[];
        }
        // SAFETY: the bytes live as long as the run; the program's rules keep every other operand of this step's outputs
        // off them, so nothing writes them while the slice is used. Any bit pattern is a `T` (it is `Pod`).
        bytemuck::cast_slice(unsafe { std::slice::from_raw_parts(start, bytes) })
    }

    /// The elements of an operand that the running step writes. A step asks once per output, and not for an input that
    /// shares its memory.
    #[allow(clippy::mut_from_ref)]
    pub(crate) fn write<T: Pod>(&self, slot: &Slot) -> &mut [T] {
        assert!(!matches!(slot, Slot::Constant(_)), "programs never write constants");
        let (start, bytes) = self.place(slot);
        if bytes == 0 {
            return &mut [];
        }
        // SAFETY: as in `read`; outputs are written by one step only, in arena ranges or write-guarded buffers that overlap
        // no other operand of the step but a claimed alias, for which only the output's slice is taken.
        bytemuck::cast_slice_mut(unsafe { std::slice::from_raw_parts_mut(start, bytes) })
    }

    /// A step's scratch.
    #[allow(clippy::mut_from_ref)]
    pub(crate) fn scratch<T: Pod>(&self, range: &Range<usize>) -> &mut [T] {
        self.write(&Slot::Arena(range.clone()))
    }
}
