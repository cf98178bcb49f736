//! Blocks of device and pinned memory. A fresh block holds NaN in every float type; guard bytes lie on both
//! sides; a freed block is filled and kept for a while, so that a late use is found instead of working.

use crate::runtime::errors::Failure;
use crate::runtime::{lock, process, report};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Of every base address, and of a guard.
const ALIGNMENT: usize = 64;
/// NaN as f16, bf16, f32 and f64, and no index.
const FRESH: [u8; 2] = [0xA5, 0xFF];
/// The same for freed memory.
const FREED: [u8; 2] = [0x5A, 0xFF];
const GUARD: u8 = 0xC3;
/// Of larger blocks, only these first bytes are filled: a machine may have less than it hands out.
const FILLED: usize = 1 << 30;
/// Freed bytes and blocks that are kept.
const QUARANTINE: (usize, usize) = (64 << 20, 1024);

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Of a device.
    Device(i32),
    /// Pinned, on the host.
    Host,
}

/// An allocation.
#[derive(Debug)]
pub(crate) struct Block {
    /// No other block has it.
    pub number: u64,
    /// The caller's address.
    pub base: usize,
    /// Bytes that the caller asked for.
    pub requested: usize,
    /// Whose it is.
    pub home: Home,
    /// The symbol that made it.
    pub made_by: &'static str,
    /// Bytes that count as used.
    accounted: usize,
    raw: *mut u8,
    layout: Layout,
    users: AtomicUsize,
    is_freed: AtomicBool,
}

// SAFETY: the address is used for filling, checking and freeing only; who reads and writes through it is C's
// caller's business, as on a device.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody holds the block any more.
        unsafe { dealloc(self.raw, self.layout) };
    }
}

impl Block {
    fn new(
        number: u64,
        requested: usize,
        accounted: usize,
        home: Home,
        made_by: &'static str,
    ) -> Option<Self> {
        let bytes = accounted.checked_add(2 * ALIGNMENT)?;
        let layout = Layout::from_size_align(bytes, ALIGNMENT).ok()?;
        // SAFETY: the layout is not empty.
        let raw = unsafe { alloc(layout) };
        if raw.is_null() {
            return None;
        }
        let base = raw.wrapping_add(ALIGNMENT).expose_provenance();
        let (users, is_freed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let block = Self { number, base, requested, home, made_by, accounted, raw, layout, users, is_freed };
        block.fill(FRESH);
        // SAFETY: both guards lie inside the allocation, which nobody else knows yet.
        unsafe {
            raw.write_bytes(GUARD, ALIGNMENT);
            raw.add(block.tail()).write_bytes(GUARD, bytes - block.tail());
        }
        Some(block)
    }

    /// Where the guard behind begins, from `raw`.
    fn tail(&self) -> usize {
        ALIGNMENT + self.requested.next_multiple_of(32)
    }

    fn fill(&self, pattern: [u8; 2]) {
        let count = (self.tail() - ALIGNMENT).min(FILLED) / 2;
        let start = self.raw.wrapping_add(ALIGNMENT).cast::<[u8; 2]>();
        for at in 0..count {
            // SAFETY: before the guard behind; writers that race are C's caller's fault.
            unsafe { start.add(at).write(pattern) };
        }
    }

    /// What was written outside of it.
    fn damage(&self) -> Option<&'static str> {
        // SAFETY: both guards lie inside the allocation and were initialised.
        let (before, behind) = unsafe {
            let tail = self.tail();
            let behind = core::slice::from_raw_parts(self.raw.add(tail), self.layout.size() - tail);
            (core::slice::from_raw_parts(self.raw, ALIGNMENT), behind)
        };
        let is_whole = |guard: &[u8]| guard.iter().all(|byte| *byte == GUARD);
        match (is_whole(before), is_whole(behind)) {
            (true, true) => None,
            (false, _) => Some("before its start"),
            (true, false) => Some("behind its end"),
        }
    }

    /// Says what it is.
    pub(crate) fn describe(&self) -> String {
        let home = match self.home {
            Home::Device(device) => format!("device {device}"),
            Home::Host => "pinned".to_owned(),
        };
        format!("{} bytes ({home}, allocation {} by {})", self.requested, self.number, self.made_by)
    }

    /// Whether `bytes` from `address` on lie in what the caller asked for.
    pub(crate) fn holds(&self, address: usize, bytes: usize) -> bool {
        let start = address.checked_sub(self.base);
        start.and_then(|start| start.checked_add(bytes)).is_some_and(|end| end <= self.requested)
    }

    /// Whether it was freed.
    pub(crate) fn is_freed(&self) -> bool {
        self.is_freed.load(Ordering::Acquire)
    }
}

/// A block that a task uses; it is not given back to the machine meanwhile.
pub(crate) struct Use(pub Arc<Block>);

impl Drop for Use {
    fn drop(&mut self) {
        let _table = lock(&TABLE);
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 && self.0.is_freed() {
            self.0.fill(FREED);
        }
    }
}

#[derive(Default)]
struct Table {
    live: BTreeMap<usize, Arc<Block>>,
    freed: VecDeque<Arc<Block>>,
    freed_bytes: usize,
    used: BTreeMap<i32, u64>,
    registered: BTreeMap<usize, usize>,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    live: BTreeMap::new(),
    freed: VecDeque::new(),
    freed_bytes: 0,
    used: BTreeMap::new(),
    registered: BTreeMap::new(),
});
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// What is at an address.
pub(crate) enum Place {
    /// A live block that holds the range.
    Block(Arc<Block>),
    /// Host memory that was registered.
    Registered,
    /// Any other memory of the process.
    Pageable,
    /// A range that leaves its block, or memory that was freed.
    Wrong(String),
}

/// Makes a block; a device has no more than the settings say.
///
/// # Errors
/// 207001 if there is no such block.
pub(crate) fn allocate(
    home: Home,
    requested: usize,
    padding: usize,
    made_by: &'static str,
) -> Result<usize, Failure> {
    let memory = process::settings().memory;
    let refused = |used: u64| {
        let text = format!("{requested} bytes for {made_by}: {used} of {memory} bytes are in use");
        Failure::new(207_001, text)
    };
    let accounted = requested.checked_next_multiple_of(32).and_then(|size| size.checked_add(padding));
    let accounted = accounted.ok_or_else(|| refused(0))?;
    let mut table = lock(&TABLE);
    if let Home::Device(device) = home {
        let used = table.used.entry(device).or_default();
        if used.checked_add(accounted as u64).is_none_or(|sum| sum > memory) {
            return Err(refused(*used));
        }
        *used += accounted as u64;
    }
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let Some(block) = Block::new(number, requested, accounted, home, made_by) else {
        table.account(home, accounted);
        return Err(refused(0));
    };
    let base = block.base;
    table.live.insert(base, Arc::new(block));
    Ok(base)
}

impl Table {
    fn account(&mut self, home: Home, freed: usize) {
        if let Home::Device(device) = home {
            *self.used.entry(device).or_default() -= freed as u64;
        }
    }

    fn around(&self, address: usize) -> Option<&Arc<Block>> {
        let (_, block) = self.live.range(..=address).next_back()?;
        (address - block.base < block.accounted.max(1)).then_some(block)
    }

    fn freed_around(&self, address: usize) -> Option<&Arc<Block>> {
        let holds = |block: &&Arc<Block>| (block.base..block.base + block.accounted).contains(&address);
        self.freed.iter().rev().find(holds)
    }

    /// Fills a block that is no longer live, and keeps it for a while.
    fn retire(&mut self, block: Arc<Block>) {
        self.account(block.home, block.accounted);
        if let Some(where_) = block.damage() {
            report::note(format!("{} was written {where_}", block.describe()));
        }
        block.is_freed.store(true, Ordering::Release);
        if block.users.load(Ordering::Acquire) == 0 {
            block.fill(FREED);
        }
        self.freed_bytes += block.layout.size();
        self.freed.push_back(block);
        while self.freed_bytes > QUARANTINE.0 || self.freed.len() > QUARANTINE.1 {
            let Some(oldest) = self.freed.pop_front() else { break };
            self.freed_bytes -= oldest.layout.size();
        }
    }
}

/// Frees the block that begins at `address`.
///
/// # Errors
/// 107000 if none does, or it is of another kind.
pub(crate) fn free(address: usize, is_host: bool) -> Result<(), Failure> {
    let mut table = lock(&TABLE);
    let found = table.live.get(&address).cloned();
    match found {
        Some(block) if (block.home == Home::Host) == is_host => {
            table.live.remove(&address);
            table.retire(block);
            Ok(())
        }
        Some(block) => Err(Failure::refused(format!("{} is freed by the other function", block.describe()))),
        None => {
            let text = match (table.around(address), table.freed_around(address)) {
                (Some(block), _) => format!("{address:#x} is inside {}, not its start", block.describe()),
                (None, Some(block)) => format!("{} was freed before", block.describe()),
                (None, None) => format!("{address:#x} was not allocated by ACL"),
            };
            Err(Failure::refused(text))
        }
    }
}

/// What `bytes` from `address` on are.
pub(crate) fn place(address: usize, bytes: usize) -> Place {
    let table = lock(&TABLE);
    if let Some(block) = table.around(address) {
        return match block.holds(address, bytes) {
            true => Place::Block(block.clone()),
            false => Place::Wrong(format!(
                "{bytes} bytes from byte {} on leave {}",
                address - block.base,
                block.describe()
            )),
        };
    }
    if let Some(block) = table.freed_around(address) {
        return Place::Wrong(format!("{} was freed", block.describe()));
    }
    let registered = table.registered.range(..=address).next_back();
    match registered {
        Some((start, size)) if address - start + bytes <= *size => Place::Registered,
        _ => Place::Pageable,
    }
}

/// Keeps a block for a task, unless it was freed since.
pub(crate) fn hold(block: &Arc<Block>) -> Option<Use> {
    let _table = lock(&TABLE);
    if block.is_freed() {
        return None;
    }
    block.users.fetch_add(1, Ordering::AcqRel);
    Some(Use(block.clone()))
}

/// Makes host memory pinned; `false` if it begins where another registration does.
pub(crate) fn register(address: usize, bytes: usize) -> bool {
    lock(&TABLE).registered.insert(address, bytes).is_none()
}

/// Undoes [`register`].
pub(crate) fn unregister(address: usize) -> bool {
    lock(&TABLE).registered.remove(&address).is_some()
}

/// Bytes in use on a device.
pub(crate) fn used(device: i32) -> u64 {
    lock(&TABLE).used.get(&device).copied().unwrap_or(0)
}

/// The live blocks, by address.
pub(crate) fn live() -> Vec<Arc<Block>> {
    lock(&TABLE).live.values().cloned().collect()
}

/// Notes what was written outside of live blocks.
pub(crate) fn note_damage() {
    for block in live() {
        if let Some(where_) = block.damage() {
            report::note(format!("{} was written {where_}", block.describe()));
        }
    }
}

/// Frees a device's blocks, noting each as not given back.
pub(crate) fn release_device(device: i32) {
    let mut table = lock(&TABLE);
    let blocks: Vec<_> =
        table.live.values().filter(|block| block.home == Home::Device(device)).cloned().collect();
    for block in blocks {
        report::note(format!("{} was not freed before its device was reset", block.describe()));
        table.live.remove(&block.base);
        table.retire(block);
    }
}

/// Frees everything.
pub(crate) fn release_everything() {
    *lock(&TABLE) = Table::default();
}
