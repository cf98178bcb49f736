use half::{bf16, f16};

use super::{IndexAddShape, index_add, index_add_scratch};
use crate::gather::IndexOutOfRange;
use crate::testing::{Format, Random, Threads, patterns};
use crate::{Element, Isa, Parallel, Serial};

struct Case<T> {
    shape: IndexAddShape,
    index: Vec<i64>,
    base: Vec<T>,
    source: Vec<T>,
}

impl<T: Element> Case<T> {
    fn random(seed: u64, shape: IndexAddShape, indices: usize) -> Self {
        let mut random = Random(seed);
        let index = (0..indices).map(|_| random.below(0..shape.rows) as i64).collect();
        let base = random.values(shape.outer * shape.rows * shape.inner, 0.0, 1.0);
        let source = random.values(shape.outer * indices * shape.inner, 0.0, 1.0);
        Self { shape, index, base, source }
    }

    fn run(&self, isa: Isa, pool: &dyn Parallel) -> Vec<T> {
        let mut out = self.base.clone();
        // Scratch of any content must do.
        let mut scratch = vec![0xdead_beef; index_add_scratch(self.shape.rows, self.index.len())];
        index_add(isa, pool, self.shape, &self.index, &self.source, &mut out, &mut scratch)
            .expect("in range");
        out
    }

    /// The definition: positions in ascending order, in f32, one rounding at the end.
    fn defined(&self) -> Vec<T> {
        let IndexAddShape { outer, rows, inner } = self.shape;
        let mut sums: Vec<f32> = self.base.iter().map(|x| x.to_f32()).collect();
        for o in 0..outer {
            for (i, &row) in self.index.iter().enumerate() {
                for column in 0..inner {
                    let value = self.source[(o * self.index.len() + i) * inner + column].to_f32();
                    sums[(o * rows + row as usize) * inner + column] += value;
                }
            }
        }
        sums.into_iter().map(T::from_f32).collect()
    }
}

fn holds_on<T: Format>(shape: IndexAddShape, indices: usize) {
    let case = Case::<T>::random(41, shape, indices);
    let expected = patterns(&case.defined());
    for isa in Isa::available() {
        assert_eq!(patterns(&case.run(isa, &Serial)), expected, "{isa:?} {} {shape:?} {indices}", T::NAME);
    }
}

#[test]
fn duplicate_indices_add_up_in_order_with_one_rounding() {
    for inner in [1, 3, 15, 16, 17, 63, 64, 65, 130] {
        for (outer, rows, indices) in [(1, 1, 9), (1, 7, 5), (2, 5, 40), (3, 40, 3), (1, 4, 1)] {
            let shape = IndexAddShape { outer, rows, inner };
            holds_on::<f32>(shape, indices);
            holds_on::<f16>(shape, indices);
            holds_on::<bf16>(shape, indices);
        }
    }
}

#[test]
fn halves_are_not_rounded_between_additions() {
    // 2048 + 1 is 2048 in f16: rounding after each addition would leave 2048.
    let case = Case {
        shape: IndexAddShape { outer: 1, rows: 1, inner: 1 },
        index: vec![0; 8],
        base: vec![f16::from_f32(2048.0)],
        source: vec![f16::from_f32(1.0); 8],
    };
    for isa in Isa::available() {
        assert_eq!(case.run(isa, &Serial), [f16::from_f32(2056.0)]);
    }
}

#[test]
fn additions_ascend_by_position() {
    // (1e8 + 1) - 1e8 is 0 in f32, and (1e8 - 1e8) + 1 is 1.
    let shape = IndexAddShape { outer: 1, rows: 2, inner: 1 };
    let source = vec![1e8f32, 1e8, 1.0, -1e8, -1e8, 1.0];
    let case = Case { shape, index: vec![0, 1, 0, 1, 0, 1], base: vec![0.0; 2], source };
    for isa in Isa::available() {
        assert_eq!(case.run(isa, &Serial), [0.0, 1.0]);
    }
}

#[test]
fn an_index_out_of_range_is_named_and_nothing_is_written() {
    let shape = IndexAddShape { outer: 1, rows: 3, inner: 2 };
    for (bad, position) in [(3, 1), (-1, 0), (i64::MAX, 2), (i64::MIN, 1)] {
        let mut index = [0i64, 1, 2];
        index[position] = bad;
        let mut out = [5.0f32; 6];
        let result = index_add(Isa::detect(), &Serial, shape, &index, &[1.0; 6], &mut out, &mut [0; 6]);
        assert_eq!(result, Err(IndexOutOfRange { position, index: bad, limit: 3 }));
        assert_eq!(out, [5.0; 6]);
    }
}

#[test]
fn both_index_types_give_the_same() {
    let case = Case::<f32>::random(2, IndexAddShape { outer: 2, rows: 6, inner: 19 }, 11);
    let narrow: Vec<i32> = case.index.iter().map(|&index| index as i32).collect();
    let mut out = case.base.clone();
    let mut scratch = vec![0; index_add_scratch(6, 11)];
    index_add(Isa::detect(), &Serial, case.shape, &narrow, &case.source, &mut out, &mut scratch)
        .expect("in range");
    assert_eq!(out, case.run(Isa::detect(), &Serial));
}

#[test]
fn untouched_rows_keep_their_bits() {
    let nan = f32::from_bits(0x7fc1_2345);
    let shape = IndexAddShape { outer: 1, rows: 3, inner: 1 };
    let case = Case { shape, index: vec![1], base: vec![nan, 1.0, -0.0], source: vec![2.0] };
    let out = case.run(Isa::detect(), &Serial);
    let bits: Vec<u32> = out.iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits, [0x7fc1_2345, 3f32.to_bits(), 0x8000_0000]);
}

#[test]
fn bits_do_not_depend_on_threads() {
    let case = Case::<f32>::random(6, IndexAddShape { outer: 2, rows: 301, inner: 130 }, 900);
    for isa in Isa::available() {
        let serial = patterns(&case.run(isa, &Serial));
        for threads in [2, 3, 8] {
            assert_eq!(patterns(&case.run(isa, &Threads(threads))), serial, "{isa:?} {threads}");
        }
    }
}

#[test]
fn empty_operands_change_nothing() {
    for (outer, rows, inner, indices) in [(0, 3, 4, 2), (1, 3, 0, 2), (1, 3, 4, 0), (1, 0, 4, 0)] {
        let shape = IndexAddShape { outer, rows, inner };
        let mut out = vec![1.0f32; outer * rows * inner];
        let source = vec![1.0; outer * indices * inner];
        let mut scratch = vec![0; index_add_scratch(rows, indices)];
        let result = index_add(
            Isa::detect(),
            &Threads(2),
            shape,
            &vec![0i32; indices],
            &source,
            &mut out,
            &mut scratch,
        );
        assert_eq!(result, Ok(()));
        assert!(out.iter().all(|&x| x == 1.0), "{shape:?}");
    }
}
