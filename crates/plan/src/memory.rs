//! The memory plan: where in the arena each value lives, so that values whose lifetimes do not meet share bytes.

use lockstep_hal::{Error, MemRules, Result};
use std::ops::Range;

/// Something that takes bytes of the arena from one step to another, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// How many bytes.
    pub bytes: usize,
    /// The first step that writes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

/// Where blocks lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The start of each block, in the order given.
    pub offsets: Vec<usize>,
    /// The size of the arena.
    pub arena_bytes: usize,
}

/// Places blocks, the largest first, each at the lowest offset where it meets no block that lives at the same time.
///
/// # Errors
/// [`Error::OutOfMemory`] if the arena would be larger than the device allows.
pub fn lay_out(blocks: &[Block], rules: &MemRules, device: &str) -> Result<Layout> {
    let alignment = rules.alignment.max(1);
    let size = |block: &Block| (block.bytes + rules.padding).next_multiple_of(alignment);
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(blocks[at].bytes), blocks[at].first));
    let mut offsets = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(blocks.len());
    let mut arena_bytes = 0;
    for at in order {
        let block = &blocks[at];
        let mut taken: Vec<Range<usize>> = (placed.iter())
            .filter(|&&other| blocks[other].first <= block.last && block.first <= blocks[other].last)
            .map(|&other| offsets[other]..offsets[other] + size(&blocks[other]))
            .collect();
        taken.sort_by_key(|range| range.start);
        let mut offset = 0;
        for range in taken {
            if offset + size(block) <= range.start {
                break;
            }
            offset = offset.max(range.end);
        }
        offsets[at] = offset;
        arena_bytes = arena_bytes.max(offset + size(block));
        placed.push(at);
    }
    if arena_bytes > rules.largest_allocation {
        return Err(Error::OutOfMemory {
            device: device.to_owned(),
            requested: arena_bytes,
            free: Some(rules.largest_allocation),
        });
    }
    Ok(Layout { offsets, arena_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: MemRules = MemRules { alignment: 64, padding: 32, largest_allocation: usize::MAX };

    /// A small generator of its own, so that a failure's seed is all there is to know.
    fn random(seed: u64) -> impl FnMut(usize) -> usize {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        }
    }

    #[test]
    fn blocks_alive_at_once_never_meet_and_padding_stays_free() {
        for seed in 1..200 {
            let mut next = random(seed);
            let blocks: Vec<Block> = (0..1 + next(40))
                .map(|_| {
                    let first = next(30);
                    Block { bytes: next(5000), first, last: first + next(8) }
                })
                .collect();
            let layout = lay_out(&blocks, &RULES, "test").unwrap();
            for (a, block) in blocks.iter().enumerate() {
                assert_eq!(layout.offsets[a] % RULES.alignment, 0, "seed {seed}");
                assert!(layout.offsets[a] + block.bytes + RULES.padding <= layout.arena_bytes, "seed {seed}");
                for (b, other) in blocks.iter().enumerate().take(a) {
                    let together = block.first <= other.last && other.first <= block.last;
                    let (low, high) = if layout.offsets[a] < layout.offsets[b] { (a, b) } else { (b, a) };
                    let apart =
                        layout.offsets[low] + blocks[low].bytes + RULES.padding <= layout.offsets[high];
                    assert!(!together || apart, "seed {seed}: blocks {a} and {b} meet");
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_blocks_of_memory() {
        let chain: Vec<Block> = (0..20).map(|at| Block { bytes: 1000, first: at, last: at + 1 }).collect();
        let rules = MemRules { padding: 0, ..RULES };
        assert_eq!(lay_out(&chain, &rules, "test").unwrap().arena_bytes, 2 * 1024);
    }

    #[test]
    fn an_arena_beyond_the_device_is_out_of_memory() {
        let rules = MemRules { largest_allocation: 100, ..RULES };
        let error = lay_out(&[Block { bytes: 200, first: 0, last: 0 }], &rules, "chip:0").unwrap_err();
        assert!(error.to_string().contains("chip:0"), "{error}");
    }
}
