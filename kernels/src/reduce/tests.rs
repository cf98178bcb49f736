use half::{bf16, f16};

use super::{Reduce, ReduceInteger, Reduction, reduce, reduce_integer};
use crate::movement::ShapeError;
use crate::testing::{Format, Random, Threads, U, assert_within, patterns};
use crate::{Isa, Serial};

/// For each output element, the input positions that it is made of, by the definition.
fn groups(shape: &[usize], axes: &[usize]) -> Vec<Vec<usize>> {
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let mut groups = vec![vec![]; kept.iter().map(|&axis| shape[axis]).product()];
    for flat in 0..shape.iter().product() {
        let (mut rest, mut index) = (flat, vec![0; shape.len()]);
        for d in (0..shape.len()).rev() {
            index[d] = rest % shape[d];
            rest /= shape[d];
        }
        let group = kept.iter().fold(0, |at, &axis| at * shape[axis] + index[axis]);
        groups[group].push(flat);
    }
    groups
}

const CASES: [(&[usize], &[usize]); 18] = [
    (&[], &[]),
    (&[7], &[0]),
    (&[7], &[]),
    (&[3, 129], &[1]),
    (&[3, 64], &[1]),
    (&[129, 3], &[0]),
    (&[40, 37], &[0]),
    (&[5, 16], &[0, 1]),
    (&[2, 3, 4, 17], &[1]),
    (&[2, 3, 4, 17], &[1, 2]),
    (&[2, 3, 4, 17], &[0, 3]),
    (&[2, 3, 4, 17], &[3, 1]),
    (&[2, 3, 4, 17], &[0, 2]),
    (&[2, 3, 4, 17], &[0, 1, 2, 3]),
    (&[4, 1, 5], &[1]),
    (&[4, 5, 1], &[2]),
    (&[0, 5], &[1]),
    (&[5, 0], &[1]),
];

fn holds_on<T: Format>(mean: f64) {
    for (shape, axes) in CASES {
        let x: Vec<T> = Random(1).values(shape.iter().product(), mean, 2.0);
        let reduction = Reduction::new(shape, axes).expect("valid axes");
        let groups = groups(shape, axes);
        assert_eq!(reduction.output_len(), groups.len());
        for isa in Isa::available() {
            for op in [Reduce::Sum, Reduce::Mean, Reduce::Max, Reduce::Min] {
                let mut out = vec![T::default(); groups.len()];
                reduce(isa, &Serial, op, &reduction, &x, &mut out);
                for (group, &got) in groups.iter().zip(&out) {
                    let n = group.len() as f64;
                    let values = || group.iter().map(|&at| x[at].value());
                    let spread = n * U * values().map(f64::abs).sum::<f64>();
                    let (truth, bound) = match op {
                        Reduce::Sum => (values().sum::<f64>(), spread),
                        Reduce::Mean => (values().sum::<f64>() / n, spread / n * (1.0 + 2.0 / n)),
                        Reduce::Max => (values().fold(f64::NEG_INFINITY, f64::max), 0.0),
                        Reduce::Min => (values().fold(f64::INFINITY, f64::min), 0.0),
                    };
                    assert_within(got, truth, bound, &|| format!("{isa:?} {op:?} {shape:?} over {axes:?}"));
                }
            }
        }
    }
}

#[test]
fn floats_match_f64_over_any_axes() {
    // With all values on one side of zero, a zero that slips into a maximum or a minimum shows.
    for mean in [0.5, -40.0, 40.0] {
        holds_on::<f32>(mean);
        holds_on::<f16>(mean);
        holds_on::<bf16>(mean);
    }
}

#[test]
fn nothing_reduces_to_the_neutral_value() {
    let reduction = Reduction::new(&[2, 0, 3], &[1]).expect("valid axes");
    for isa in Isa::available() {
        for (op, expected) in [
            (Reduce::Sum, 0.0),
            (Reduce::Mean, f32::NAN),
            (Reduce::Max, f32::NEG_INFINITY),
            (Reduce::Min, f32::INFINITY),
        ] {
            let mut out = [5.0f32; 6];
            reduce(isa, &Serial, op, &reduction, &[], &mut out);
            assert_eq!(patterns(&out), patterns(&[expected; 6]), "{isa:?} {op:?}");
        }
    }
    for (op, expected) in
        [(ReduceInteger::Sum, 0), (ReduceInteger::Max, i64::MIN), (ReduceInteger::Min, i64::MAX)]
    {
        let mut out = [5i64; 6];
        reduce_integer(&Serial, op, &reduction, &[], &mut out);
        assert_eq!(out, [expected; 6], "{op:?}");
    }
}

#[test]
fn a_nan_spoils_what_it_belongs_to_and_nothing_else() {
    for isa in Isa::available() {
        for (axes, stays) in [(1, 1), (0, 100)] {
            for column in [0, 15, 16, 63, 64, 99] {
                let mut x = vec![1.0f32; 200];
                x[100 + column] = f32::NAN;
                let reduction = Reduction::new(&[2, 100], &[axes]).expect("valid axes");
                for op in [Reduce::Sum, Reduce::Mean, Reduce::Max, Reduce::Min] {
                    let mut out = vec![0.0; reduction.output_len()];
                    reduce(isa, &Serial, op, &reduction, &x, &mut out);
                    let spoiled = if axes == 1 { 1 } else { column };
                    for (at, value) in out.iter().enumerate() {
                        assert_eq!(
                            value.is_nan(),
                            at == spoiled,
                            "{isa:?} {op:?} axis {axes} column {column}"
                        );
                    }
                    assert_eq!(out.len(), stays + usize::from(axes == 1));
                }
            }
        }
    }
}

#[test]
fn integers_match_the_definition_and_wrap() {
    for (shape, axes) in CASES {
        let mut random = Random(5);
        let x: Vec<i64> = (0..shape.iter().product()).map(|_| random.bits() as i64).collect();
        let reduction = Reduction::new(shape, axes).expect("valid axes");
        let groups = groups(shape, axes);
        let run = |op| {
            let mut out = vec![1; groups.len()];
            reduce_integer(&Threads(2), op, &reduction, &x, &mut out);
            out
        };
        let expected = |join: fn(i128, i128) -> i128, empty: i128| -> Vec<i64> {
            let fold =
                |group: &Vec<usize>| group.iter().map(|&at| i128::from(x[at])).fold(empty, join) as i64;
            groups.iter().map(fold).collect()
        };
        assert_eq!(run(ReduceInteger::Sum), expected(|a, b| a + b, 0), "{shape:?} {axes:?}");
        assert_eq!(run(ReduceInteger::Max), expected(i128::max, i64::MIN.into()), "{shape:?} {axes:?}");
        assert_eq!(run(ReduceInteger::Min), expected(i128::min, i64::MAX.into()), "{shape:?} {axes:?}");
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_fused_path() {
    let shape = [130, 9, 131];
    let x: Vec<f32> = Random(8).values(shape.iter().product(), 0.0, 1.0);
    for axes in [&[2][..], &[0], &[0, 1], &[0, 2], &[1]] {
        let reduction = Reduction::new(&shape, axes).expect("valid axes");
        let mut fused: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            let run = |threads| {
                let mut out = vec![0.0; reduction.output_len()];
                reduce(isa, &Threads(threads), Reduce::Sum, &reduction, &x, &mut out);
                patterns(&out)
            };
            let serial = run(1);
            assert_eq!(run(3), serial, "{isa:?} {axes:?}");
            // No products in a sum: even the portable path has the same bits.
            assert_eq!(*fused.get_or_insert_with(|| serial.clone()), serial, "{isa:?} {axes:?}");
        }
    }
}

#[test]
fn axes_must_exist_and_differ() {
    assert_eq!(Reduction::new(&[2, 3], &[2]), Err(ShapeError::InvalidAxis { axis: 2, rank: 2 }));
    assert_eq!(Reduction::new(&[2, 3], &[0, 0]), Err(ShapeError::InvalidAxis { axis: 0, rank: 2 }));
}
