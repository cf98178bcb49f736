use super::{Part, ShapeError, Strided, concat, copy, fill};
use crate::Serial;
use crate::testing::{Random, Threads};

/// All positions of a shape, in row-major order.
fn positions(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &length in shape {
        all = all
            .iter()
            .flat_map(|p| (0..length).map(move |i| p.iter().copied().chain([i]).collect()))
            .collect();
    }
    all
}

fn at<T: Copy>(x: &[T], shape: &[usize], position: &[usize]) -> T {
    x[position.iter().zip(shape).fold(0, |flat, (index, length)| flat * length + index)]
}

fn numbered(shape: &[usize]) -> Vec<u32> {
    (0..shape.iter().product::<usize>() as u32).collect()
}

fn permutes(shape: &[usize], permutation: &[usize]) {
    let x = numbered(shape);
    let walk = Strided::permuted(shape, permutation).expect("a permutation");
    let out_shape: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
    let expected: Vec<u32> = positions(&out_shape)
        .iter()
        .map(|position| {
            let mut source = vec![0; shape.len()];
            for (d, &axis) in permutation.iter().enumerate() {
                source[axis] = position[d];
            }
            at(&x, shape, &source)
        })
        .collect();
    for threads in [1, 3] {
        let mut out = vec![u32::MAX; x.len()];
        copy(&Threads(threads), &walk, &x, &mut out);
        assert_eq!(out, expected, "{shape:?} {permutation:?}");
        let bytes: Vec<u8> = x.iter().map(|&value| value as u8).collect();
        let mut out = vec![0u8; x.len()];
        copy(&Threads(threads), &walk, &bytes, &mut out);
        assert_eq!(out, expected.iter().map(|&value| value as u8).collect::<Vec<u8>>());
    }
}

#[test]
fn every_permutation_of_four_axes() {
    let shape = [3, 2, 5, 4];
    for p in positions(&[4; 4]) {
        if (0..4).all(|axis| p.contains(&axis)) {
            permutes(&shape, &p);
        }
    }
}

#[test]
fn transposes_at_sizes_around_the_block() {
    for rows in [1, 15, 16, 17, 33] {
        for columns in [1, 2, 16, 31, 65] {
            permutes(&[rows, columns], &[1, 0]);
            permutes(&[2, rows, columns], &[0, 2, 1]);
            permutes(&[rows, 3, columns], &[2, 1, 0]);
        }
    }
    // Large enough to be shared out: one slab, and several.
    permutes(&[257, 300], &[1, 0]);
    permutes(&[5, 130, 140], &[0, 2, 1]);
    permutes(&[4, 60, 8, 33], &[0, 2, 1, 3]);
    permutes(&[4, 60, 8, 33], &[0, 2, 3, 1]);
}

#[test]
fn scalars_and_empty_shapes_move() {
    permutes(&[], &[]);
    permutes(&[1, 1, 1], &[2, 0, 1]);
    permutes(&[0, 3], &[1, 0]);
    permutes(&[3, 0, 2], &[2, 0, 1]);
}

#[test]
fn slices_take_every_step() {
    let shape = [4, 7, 9];
    let x = numbered(&shape);
    let mut random = Random(12);
    for seed in 0..300 {
        let (mut starts, mut steps, mut lengths) = (vec![], vec![], vec![]);
        for &length in &shape {
            let step = random.below(1..4);
            let start = random.below(0..length);
            starts.push(start);
            steps.push(step);
            lengths.push(random.below(0..(length - start).div_ceil(step) + 1));
        }
        let walk = Strided::sliced(&shape, &starts, &steps, &lengths).expect("within the shape");
        let mut out = vec![u32::MAX; walk.len()];
        copy(&Serial, &walk, &x, &mut out);
        let expected: Vec<u32> = positions(&lengths)
            .iter()
            .map(|p| {
                let source: Vec<usize> = (0..3).map(|d| starts[d] + p[d] * steps[d]).collect();
                at(&x, &shape, &source)
            })
            .collect();
        assert_eq!(out, expected, "draw {seed}: {starts:?} {steps:?} {lengths:?}");
    }
}

#[test]
fn broadcasts_repeat_as_numpy_does() {
    for (from, to) in [
        (&[][..], &[2, 3][..]),
        (&[3], &[2, 3]),
        (&[2, 1], &[2, 3]),
        (&[2, 1, 3], &[2, 4, 3]),
        (&[1, 5, 1], &[3, 5, 2]),
        (&[4, 1, 1, 2], &[4, 3, 2, 2]),
        (&[1], &[0]),
        (&[2, 3], &[2, 3]),
    ] {
        let x = numbered(from);
        let walk = Strided::broadcast(to, [from]).expect("broadcasts");
        let mut out = vec![u32::MAX; walk.len()];
        copy(&Serial, &walk, &x, &mut out);
        let expected: Vec<u32> = positions(to)
            .iter()
            .map(|p| {
                let own = &p[to.len() - from.len()..];
                let source: Vec<usize> =
                    own.iter().zip(from).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
                at(&x, from, &source)
            })
            .collect();
        assert_eq!(out, expected, "{from:?} to {to:?}");
    }
}

#[test]
fn what_cannot_be_walked_is_an_error() {
    let not_broadcastable = ShapeError::NotBroadcastable { operand: 1, dimension: 1, length: 2, expected: 3 };
    assert_eq!(Strided::broadcast(&[4, 3], [&[3], &[2]]), Err(not_broadcastable));
    assert_eq!(Strided::broadcast(&[3], [&[1, 3]]), Err(ShapeError::TooManyOperandDimensions { operand: 0 }));
    assert_eq!(Strided::permuted(&[2, 3], &[1, 1]), Err(ShapeError::InvalidAxis { axis: 1, rank: 2 }));
    assert_eq!(Strided::permuted(&[2, 3], &[0, 2]), Err(ShapeError::InvalidAxis { axis: 2, rank: 2 }));
    assert_eq!(Strided::permuted(&[2, 3], &[0]), Err(ShapeError::RankMismatch { entries: 1, rank: 2 }));
    let out_of_range = ShapeError::SliceOutOfRange { dimension: 0, length: 5 };
    assert_eq!(Strided::sliced(&[5], &[3], &[1], &[3]), Err(out_of_range));
    assert_eq!(Strided::sliced(&[5], &[0], &[0], &[3]), Err(out_of_range));
    assert_eq!(Strided::sliced(&[5], &[1], &[usize::MAX], &[3]), Err(out_of_range));
    assert_eq!(
        Strided::sliced(&[5], &[0, 1], &[1], &[3]),
        Err(ShapeError::RankMismatch { entries: 2, rank: 1 })
    );
    let reversed: Vec<usize> = (0..10).rev().collect();
    assert_eq!(Strided::permuted(&[2; 10], &reversed), Err(ShapeError::TooManyDimensions));
    // Many dimensions that move together are one.
    assert!(Strided::broadcast(&[2; 20], [&[2; 20], &[2; 20]]).is_ok());
}

#[test]
fn parts_are_joined_in_order() {
    let a: Vec<u16> = (0..6).collect();
    let b: Vec<u16> = (10..12).collect();
    let parts =
        [Part { values: &a, width: 3 }, Part { values: &[], width: 0 }, Part { values: &b, width: 1 }];
    let mut out = [0; 8];
    concat(&Serial, 2, &parts, &mut out);
    assert_eq!(out, [0, 1, 2, 10, 3, 4, 5, 11]);
    concat::<u64>(&Serial, 0, &[Part { values: &[], width: 4 }], &mut []);
    concat::<u64>(&Serial, 3, &[], &mut []);

    let wide: Vec<u32> = (0..300 * 200).collect();
    let parts = [Part { values: &wide, width: 200 }, Part { values: &wide, width: 200 }];
    let (mut serial, mut threaded) = (vec![0; 300 * 400], vec![0; 300 * 400]);
    concat(&Serial, 300, &parts, &mut serial);
    concat(&Threads(3), 300, &parts, &mut threaded);
    assert_eq!(serial, threaded);
    assert_eq!(serial[400..600], wide[200..400]);
}

#[test]
fn fill_reaches_every_element() {
    for count in [0, 1, 100_001] {
        let mut out = vec![0u64; count];
        fill(&Threads(3), 0x1234_5678_9abc_def0, &mut out);
        assert!(out.iter().all(|&value| value == 0x1234_5678_9abc_def0));
    }
}
