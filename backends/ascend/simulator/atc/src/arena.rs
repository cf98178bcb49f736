//! Work memory: values that do not live at the same time share it.

use lockstep_ascend_container::ALIGNMENT;

/// A value's size, and the first and last step that it must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) bytes: u64,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Life {
    fn meets(&self, other: &Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// An offset for each value, and how much memory all of them take. The largest are placed first, each in the first gap between
/// those that live at the same time.
pub(crate) fn placed(lives: &[Life]) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(lives[at].bytes), lives[at].first));
    let mut offsets = vec![0; lives.len()];
    // By offset, so that gaps are met in order.
    let mut taken: Vec<(u64, u64, Life)> = Vec::with_capacity(lives.len());
    let mut whole = 0;
    for at in order {
        let life = lives[at];
        let length = life.bytes.max(1).next_multiple_of(ALIGNMENT);
        let mut offset = 0;
        for (start, end, _) in taken.iter().filter(|(_, _, other)| other.meets(&life)) {
            if offset + length <= *start {
                break;
            }
            offset = offset.max(*end);
        }
        let place = taken.partition_point(|(start, _, _)| *start < offset);
        taken.insert(place, (offset, offset + length, life));
        offsets[at] = offset;
        whole = whole.max(offset + length);
    }
    (offsets, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(bytes: u64, first: usize, last: usize) -> Life {
        Life { bytes, first, last }
    }

    #[test]
    fn values_share_memory_exactly_where_they_do_not_meet() {
        let lives = [life(100, 0, 1), life(100, 1, 2), life(100, 2, 3)];
        let (offsets, whole) = placed(&lives);
        assert_eq!((offsets, whole), (vec![0, 128, 0], 256));
        assert_eq!(placed(&[]), (vec![], 0));
    }

    #[test]
    fn small_values_fill_gaps() {
        let lives = [life(640, 0, 9), life(320, 0, 2), life(320, 4, 9), life(64, 3, 3)];
        let (offsets, whole) = placed(&lives);
        assert_eq!(offsets, [0, 640, 640, 640]);
        assert_eq!(whole, 960);
    }

    /// A chain of random lives, held against the definition.
    #[test]
    fn no_two_that_meet_overlap() {
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let lives: Vec<Life> = (0..200)
            .map(|_| {
                let first = random(100) as usize;
                life(random(5000), first, first + random(20) as usize)
            })
            .collect();
        let (offsets, whole) = placed(&lives);
        for (at, a) in lives.iter().enumerate() {
            assert_eq!(offsets[at] % ALIGNMENT, 0);
            assert!(offsets[at] + a.bytes <= whole);
            for (other, b) in lives.iter().enumerate().skip(at + 1).filter(|(_, b)| a.meets(b)) {
                let apart =
                    offsets[at] + a.bytes <= offsets[other] || offsets[other] + b.bytes <= offsets[at];
                assert!(apart, "{at} and {other}");
            }
        }
        assert!(whole < lives.iter().map(|life| life.bytes).sum::<u64>() / 2);
    }
}
