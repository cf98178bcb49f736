//! How far values are from each other: the one measure of these tests.

use lockstep_graph::HostTensor;

/// The largest difference of two tensors of the same extents; infinite where a NaN is in either.
pub(crate) fn farthest(a: &HostTensor, b: &HostTensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    farthest_of(&a.to_f64(), &b.to_f64())
}

/// As [`farthest`], of as many elements of each.
pub(crate) fn farthest_of(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let distances = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // f64::max would pass over a NaN.
    distances.fold(0.0, |most, distance| if distance.is_nan() { f64::INFINITY } else { distance.max(most) })
}

#[test]
fn a_nan_is_infinitely_far_wherever_it_is() {
    assert_eq!(farthest_of(&[1.0, 2.0, 3.0], &[1.0, 4.0, 3.5]), 2.0);
    for at in 0..3 {
        let mut broken = [1.0, 2.0, 3.0];
        broken[at] = f64::NAN;
        assert_eq!(farthest_of(&broken, &[1.0, 2.0, 3.0]), f64::INFINITY);
        assert_eq!(farthest_of(&[1.0, 2.0, 3.0], &broken), f64::INFINITY);
    }
}

#[test]
#[should_panic(expected = "left == right")]
fn fewer_elements_are_no_match() {
    farthest_of(&[1.0], &[1.0, 2.0]);
}
