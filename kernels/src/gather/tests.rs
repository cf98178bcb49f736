use half::{bf16, f16};

use super::{GatherShape, IndexOutOfRange, gather, gather_convert};
use crate::testing::{Random, Threads, patterns};
use crate::{Isa, Serial};

#[test]
fn rows_are_copied_bit_for_bit() {
    // Each element names where it is, and bits that no float arithmetic would keep.
    let (outer, rows, inner) = (2, 5, 3);
    let table: Vec<u32> = (0..(outer * rows * inner) as u32).map(|i| 0x7fa0_0000 + i).collect();
    let index = [4i64, 0, 4, 2];
    let shape = GatherShape { outer, rows, inner };
    let mut out = vec![0; outer * index.len() * inner];
    gather(&Serial, shape, &table, &index, &mut out).expect("in range");
    for o in 0..outer {
        for (i, &row) in index.iter().enumerate() {
            for column in 0..inner {
                let expected = 0x7fa0_0000 + ((o * rows + row as usize) * inner + column) as u32;
                assert_eq!(out[(o * index.len() + i) * inner + column], expected);
            }
        }
    }
}

#[test]
fn a_table_is_widened_row_by_row() {
    let mut random = Random(3);
    for inner in [1, 15, 16, 17, 40] {
        let shape = GatherShape { outer: 1, rows: 9, inner };
        let index: Vec<i32> = (0..20).map(|_| random.below(0..9) as i32).collect();
        let table: Vec<f16> = random.values(9 * inner, 0.0, 1.0);
        for isa in Isa::available() {
            let mut wide = vec![0.0f32; index.len() * inner];
            gather_convert(isa, &Serial, shape, &table, &index, &mut wide).expect("in range");
            let mut narrow = vec![bf16::ZERO; index.len() * inner];
            gather_convert(isa, &Serial, shape, &table, &index, &mut narrow).expect("in range");
            for (i, &row) in index.iter().enumerate() {
                for column in 0..inner {
                    let value = table[row as usize * inner + column];
                    assert_eq!(wide[i * inner + column], f32::from(value), "{isa:?}");
                    assert_eq!(narrow[i * inner + column], bf16::from_f32(f32::from(value)), "{isa:?}");
                }
            }
        }
    }
}

#[test]
fn an_index_out_of_range_is_named_and_nothing_is_written() {
    let shape = GatherShape { outer: 1, rows: 3, inner: 2 };
    for (bad, position) in [(3i64, 1), (-1, 0), (1 << 40, 2), (i64::MIN, 1)] {
        let mut index = [0i64, 1, 2];
        index[position] = bad;
        let expected = Err(IndexOutOfRange { position, index: bad, limit: 3 });
        let mut out = [7.0f32; 6];
        assert_eq!(gather(&Serial, shape, &[1.0; 6], &index, &mut out), expected);
        assert_eq!(gather_convert(Isa::detect(), &Serial, shape, &[f16::ONE; 6], &index, &mut out), expected);
        assert_eq!(out, [7.0; 6]);
    }
    let message = IndexOutOfRange { position: 4, index: -2, limit: 9 }.to_string();
    assert_eq!(message, "index -2 at position 4 is outside 0..9");
}

#[test]
fn threads_do_not_change_the_result() {
    let mut random = Random(8);
    let shape = GatherShape { outer: 3, rows: 50, inner: 128 };
    let table: Vec<f32> = random.values(3 * 50 * 128, 0.0, 1.0);
    let index: Vec<i64> = (0..333).map(|_| random.below(0..50) as i64).collect();
    let mut serial = vec![0.0f32; 3 * 333 * 128];
    gather(&Serial, shape, &table, &index, &mut serial).expect("in range");
    for threads in [2, 5] {
        let mut out = vec![0.0f32; serial.len()];
        gather(&Threads(threads), shape, &table, &index, &mut out).expect("in range");
        assert_eq!(patterns(&out), patterns(&serial));
        gather_convert(Isa::detect(), &Threads(threads), shape, &table, &index, &mut out).expect("in range");
        assert_eq!(patterns(&out), patterns(&serial));
    }
}

#[test]
fn empty_operands_are_valid() {
    for (outer, rows, inner, indices) in [(0, 3, 4, 2), (1, 3, 0, 2), (1, 3, 4, 0), (1, 0, 4, 0)] {
        let shape = GatherShape { outer, rows, inner };
        let table = vec![1.0f32; outer * rows * inner];
        let mut out = vec![0.0; outer * indices * inner];
        assert_eq!(gather(&Threads(2), shape, &table, &vec![0i64; indices], &mut out), Ok(()));
    }
    let none = GatherShape { outer: 1, rows: 0, inner: 4 };
    let result = gather(&Serial, none, &[], &[0i32], &mut [0.0f32; 4]);
    assert_eq!(result, Err(IndexOutOfRange { position: 0, index: 0, limit: 0 }));
}
