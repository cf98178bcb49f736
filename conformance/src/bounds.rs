//! How far a device's result of one op may be from the truth, element by element, for exact inputs.
//!
//! Every bound is a count of the roundings that the op's definition makes in the accumulate dtype, times what each can
//! change (first order; Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapters 3 and 4), plus one rounding to
//! the storage dtype. They look at the inputs, not only at the result, because that is where cancellation is to be seen.
//! Half the smallest subnormal stands where others put an absolute tolerance.
//!
//! Where the magnitudes of a sum add up to more than the largest number of the accumulate dtype, some order of summation
//! overflows on its way to a result that does not; the bound is infinite there, and nothing is asked of such an element. The one other such
//! place is an infinite value of an attention whose weight may underflow.

use lockstep_runtime::graph::DType;

/// The unit roundoff: half the distance of 1 to the next number.
pub fn unit_roundoff(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 2f64.powi(-53),
        DType::F32 => 2f64.powi(-24),
        DType::F16 => 2f64.powi(-11),
        DType::Bf16 => 2f64.powi(-8),
        _ => 0.0,
    }
}

/// The smallest positive number.
pub fn smallest_subnormal(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::from_bits(1),
        DType::F32 => 2f64.powi(-149),
        DType::F16 => 2f64.powi(-24),
        DType::Bf16 => 2f64.powi(-133),
        _ => 0.0,
    }
}

/// The smallest positive number with a full significand.
pub fn smallest_normal(dtype: DType) -> f64 {
    smallest_subnormal(dtype) / (2.0 * unit_roundoff(dtype))
}

/// The largest finite number.
pub fn largest_finite(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(f32::MAX),
        DType::F16 => 65504.0,
        DType::Bf16 => 2f64.powi(128) - 2f64.powi(120),
        _ => f64::MAX,
    }
}

/// The dtypes that a device computes an op in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arithmetic {
    /// What results are stored in.
    pub storage: DType,
    /// What sums are carried in.
    pub accumulate: DType,
    /// `None` for what no order of roundings can exceed. Otherwise the factor of `sqrt(n) u`, within which `n` independent
    /// roundings stay but for one chance in a million over all elements ([`Arithmetic::probable`]).
    pub confidence: Option<f64>,
    /// How far each factor of a product may be rounded before it is multiplied, relatively: 0, or what TF32 and HF32 do. Of factors that
    /// are so small or so large that such a rounding makes them 0 or infinite it says nothing.
    pub factors: f64,
}

/// The unit roundoff of TF32, which keeps ten bits behind the point, and at most that of HF32, which is said to keep ten or eleven.
pub const REDUCED_F32_UNIT: f64 = 1.0 / 2048.0;

/// Values that are sums of others.
#[derive(Clone, Copy, Debug)]
pub struct Summed<'a> {
    /// The sums.
    pub values: &'a [f64],
    /// Of each, what no partial sum is beyond: the sum of its terms' magnitudes, or its own where there are two terms.
    pub magnitudes: &'a [f64],
    /// How many roundings each has behind it.
    pub additions: usize,
}

impl<'a> Summed<'a> {
    /// Values that nothing was added to.
    pub fn exact(values: &'a [f64]) -> Self {
        Self { values, magnitudes: values, additions: 0 }
    }
}

impl Arithmetic {
    /// The worst case of these dtypes.
    pub fn worst_case(storage: DType, accumulate: DType) -> Self {
        Self { storage, accumulate, confidence: None, factors: 0.0 }
    }

    /// The same with factors of products rounded by up to `factors` first.
    pub fn with_factors(self, factors: f64) -> Self {
        Self { factors, ..self }
    }

    /// What rounding both factors changes of a product, relatively.
    fn of_factors(&self) -> f64 {
        self.factors * (2.0 + self.factors)
    }

    /// The same of magnitudes that may be infinite, of which nothing is still nothing.
    fn rounded_factors(&self, magnitudes: f64) -> f64 {
        if self.factors == 0.0 { 0.0 } else { self.of_factors() * magnitudes }
    }

    /// The same with sums held to what independent roundings give for `elements` results, but for one chance in a million:
    /// `sqrt(2 ln(2 N / 1e-6)) sqrt(n) u` (Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, 2019).
    pub fn probable(self, elements: usize) -> Self {
        Self { confidence: Some((2.0 * (2e6 * elements.max(1) as f64).ln()).sqrt()), ..self }
    }

    /// The unit roundoff of the accumulate dtype.
    pub fn unit(&self) -> f64 {
        unit_roundoff(self.accumulate)
    }

    /// `n u / (1 - n u)`: what `n` roundings can change, relatively; or what they probably do.
    pub fn gamma(&self, n: usize) -> f64 {
        let nu = n as f64 * self.unit();
        let worst = if nu < 1.0 { nu / (1.0 - nu) } else { f64::INFINITY };
        match self.confidence {
            None => worst,
            Some(factor) => worst.min(factor * (n as f64).sqrt() * self.unit()),
        }
    }

    /// The one rounding of the result `y` to storage; an infinity is not rounded.
    pub fn stored(&self, y: f64) -> f64 {
        if y.is_infinite() {
            return 0.0;
        }
        let subnormals = smallest_subnormal(self.storage) + smallest_subnormal(self.accumulate);
        unit_roundoff(self.storage) * y.abs() + subnormals / 2.0
    }

    /// A function whose error is `ulp` units in the last place of the accumulate dtype; an infinity has none.
    pub fn function(&self, ulp: f64, y: f64) -> f64 {
        if y.is_infinite() { 0.0 } else { 2.0 * self.unit() * ulp * y.abs() }
    }

    /// Whether a partial result may lie beyond the largest number where magnitudes add up to `magnitudes`.
    fn may_overflow(&self, terms: usize, magnitudes: f64) -> bool {
        magnitudes * (1.0 + self.gamma(terms)) > largest_finite(self.accumulate)
    }

    /// A sum of `terms` numbers whose magnitudes sum to `magnitudes`, in any order.
    pub fn sum(&self, terms: usize, magnitudes: f64) -> f64 {
        if self.may_overflow(terms, magnitudes) { f64::INFINITY } else { self.gamma(terms) * magnitudes }
    }

    /// A sum of `k` products whose magnitudes sum to `magnitudes`, each product rounded or not. Sums of subnormal numbers are
    /// exact, but a product that is subnormal is off by half the smallest one, whatever its size (Higham, section 2.1).
    pub fn products(&self, k: usize, magnitudes: f64) -> f64 {
        let of_factors = self.rounded_factors(magnitudes);
        self.sum(k + 1, magnitudes + of_factors)
            + of_factors
            + k as f64 * smallest_subnormal(self.accumulate) / 2.0
    }

    /// A mean of `terms` numbers whose magnitudes have the mean `magnitude`: their sum, and a division.
    pub fn mean(&self, terms: usize, magnitude: f64) -> f64 {
        let bound = self.gamma(terms + 1) * magnitude;
        if self.may_overflow(terms, magnitude * terms as f64) { f64::INFINITY } else { bound }
    }

    /// GELU of `x`, either form, from its formula or a better one: three roundings of each part, and what a relative error of
    /// the function's argument does to it.
    pub fn gelu(&self, x: f64, y: f64) -> f64 {
        if x.is_infinite() || y.is_infinite() {
            return 0.0;
        }
        let (u, square) = (self.unit(), x * x);
        // Far out the function is x or 0, and its argument does not matter.
        let of_argument = if square.is_finite() { square * (-square / 2.0).exp() * u } else { 0.0 };
        6.0 * u * (x.abs() / 2.0 + y.abs()) + of_argument
    }

    /// A row of softmax: the subtraction's rounding goes through the exponential, the sum has n roundings, and exponential,
    /// reciprocal and product have at most 8 units between them.
    pub fn softmax(&self, x: &[f64], y: &[f64]) -> Vec<f64> {
        let u = self.unit();
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let below = |x: f64| if x == f64::NEG_INFINITY { 0.0 } else { (x - largest).abs() };
        let spread: f64 = x.iter().zip(y).map(|(&x, &y)| y * below(x)).sum();
        let fixed = self.gamma(x.len()) + 8.0 * u;
        x.iter().zip(y).map(|(&x, &y)| y * (2.0 * u * (below(x) + spread) + fixed)).collect()
    }

    /// A row of LayerNorm in two passes, of sums that were rounded themselves.
    pub fn layer_norm(&self, row: Summed<'_>, gamma: &[f64], beta: &[f64], epsilon: f64) -> Vec<f64> {
        let (x, rounded) = (row.values, row.additions as f64);
        let (n, u) = (x.len() as f64, self.unit());
        let mean = x.iter().sum::<f64>() / n;
        let mean_of = |values: &[f64]| values.iter().map(|x| x.abs()).sum::<f64>() / n;
        let magnitude = mean_of(row.magnitudes).max(mean_of(x));
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let sigma = (variance + epsilon).sqrt();
        if variance.is_finite() && self.may_overflow(x.len() + 2, n * magnitude.max(variance)) {
            return vec![f64::INFINITY; x.len()];
        }
        let of_mean = (self.gamma(x.len()) + (1.0 + rounded) * u) * magnitude;
        let of_sigma = (self.gamma(x.len()) + (of_mean / sigma).powi(2)) / 2.0 + 6.0 * u;
        (x.iter().zip(row.magnitudes).zip(gamma).zip(beta))
            .map(|(((&x, &summed), &gamma), &beta)| {
                let normalised = (x - mean) / sigma;
                let of_centred = of_mean + u * (x - mean).abs() + rounded * u * summed.abs();
                // What the sums' roundings move the deviation by: at most by its share of each element's own.
                let of_rounded = rounded * u * magnitude / sigma;
                gamma.abs() * (of_centred / sigma + normalised.abs() * (of_sigma + of_rounded))
                    + 2.0 * u * ((normalised * gamma).abs() + beta.abs())
            })
            .collect()
    }

    /// Attention over at most `keys` keys with scores of magnitude up to `score` before their scale (the sum of the magnitudes
    /// of their `size` products): scores move by `gamma(size + 2)` of that, scaled, a weight by the exponential of twice it and
    /// by softmax's own roundings, and the result by what all weights can do to `weighted`, the softmax-weighted magnitudes of
    /// values. However far scores move, weights stay weights: the result stays among the values, of which `value` is the
    /// largest.
    pub fn attention(&self, scores: Scores, weighted: f64, value: f64) -> f64 {
        let Scores { size, keys, score, scale } = scores;
        // The weights may be divided by their sum at the end; before, each is at most 1.
        if self.may_overflow(size + 2, score * scale.max(1.0))
            || (weighted.is_finite() && self.may_overflow(keys + 2, weighted * keys as f64))
        {
            return f64::INFINITY;
        }
        let (u, score) = (self.unit(), score * scale);
        let of_scores = (2.0 * (self.gamma(size + 2) + self.of_factors()) * score).exp_m1();
        let of_softmax = 8.0 * u * score + self.gamma(keys) + 8.0 * u;
        let of_sum = self.gamma(keys + 2) + self.of_factors();
        let among_values = (2.0 + self.gamma(keys) + 8.0 * u + of_sum) * value;
        let of_underflow = keys as f64 * smallest_subnormal(self.accumulate);
        ((of_scores + of_softmax + of_sum) * weighted + of_underflow).min(among_values)
    }

    /// Whether scores can be so far apart that a weight is below the smallest normal number, and may become 0.
    pub fn may_lose_weights(&self, scores: Scores) -> bool {
        2.0 * scores.score * scores.scale > -smallest_normal(self.accumulate).ln()
    }
}

/// What the bound of an attention needs to know of its scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Products in each.
    pub size: usize,
    /// How many there are in a row, at most.
    pub keys: usize,
    /// Their largest magnitude, unscaled.
    pub score: f64,
    /// Their scale's magnitude.
    pub scale: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_factors_move_a_product_by_twice_their_rounding() {
        let reduced = F32.with_factors(REDUCED_F32_UNIT);
        // 1 + 2^-11 rounds to 1, both times: what is lost of the product is in the bound, and hardly more.
        let (x, lost) = (1.0 + 2f64.powi(-11), (1.0 + 2f64.powi(-11)).powi(2) - 1.0);
        let bound = reduced.products(1, x * x);
        assert!(lost <= bound && bound < 1.01 * lost, "{lost} {bound}");
        assert!(F32.products(1, x * x) < lost / 1000.0);
        // Nothing is rounded, however large: infinite, not NaN.
        assert_eq!(F32.products(1, f64::INFINITY), f64::INFINITY);
    }

    const F32: Arithmetic =
        Arithmetic { storage: DType::F32, accumulate: DType::F32, confidence: None, factors: 0.0 };

    #[test]
    fn units_are_those_of_the_formats() {
        assert_eq!(unit_roundoff(DType::F32), f64::from(f32::EPSILON) / 2.0);
        assert_eq!(unit_roundoff(DType::F64), f64::EPSILON / 2.0);
        assert_eq!(smallest_subnormal(DType::F32), f64::from(f32::from_bits(1)));
    }

    /// A sum in f32 that loses every small term is what the bound is there to allow, and one that loses a large one is not.
    #[test]
    fn a_sum_is_bounded_by_its_magnitudes() {
        let terms = [1e8f32, 1.0, 1.0, 1.0, -1e8];
        let truth: f64 = terms.iter().map(|&x| f64::from(x)).sum();
        let found: f32 = terms.iter().sum();
        let magnitudes: f64 = terms.iter().map(|&x| f64::from(x.abs())).sum();
        let bound = F32.sum(terms.len(), magnitudes);
        assert!((f64::from(found) - truth).abs() <= bound);
        assert!((truth - 1e8).abs() > bound);
    }

    /// Biased against unbiased variance, and a large epsilon, must stand out of the bound.
    #[test]
    fn the_bound_of_layer_norm_tells_one_definition_from_another() {
        let x: Vec<f64> = (0..16).map(|i| f64::from(i) * 0.3).collect();
        let (gamma, beta) = (vec![1.0; 16], vec![0.0; 16]);
        let normed = |divisor: f64, epsilon: f64| -> Vec<f64> {
            let mean = x.iter().sum::<f64>() / 16.0;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / divisor;
            x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()).collect()
        };
        let bound = F32.layer_norm(Summed::exact(&x), &gamma, &beta, 1e-5);
        let truth = normed(16.0, 1e-5);
        for wrong in [normed(15.0, 1e-5), normed(16.0, 1e-3)] {
            assert!((0..16).any(|at| (wrong[at] - truth[at]).abs() > bound[at]));
        }
    }

    /// What may overflow on its way may give anything; an infinity that is the truth may not.
    #[test]
    fn only_partial_results_that_overflow_have_no_bound() {
        let largest = largest_finite(DType::F32);
        assert_eq!(F32.sum(3, 1.1 * largest), f64::INFINITY);
        assert!(F32.sum(3, 0.9 * largest).is_finite());
        assert_eq!(F32.mean(4, 0.3 * largest), f64::INFINITY);
        assert!(F32.mean(4, 0.2 * largest).is_finite());
        let ones = vec![1.0; 4];
        let norm = |x: f64| F32.layer_norm(Summed::exact(&[x, -x, x, -x]), &ones, &ones, 1e-5)[0];
        assert!(norm(1e19).is_infinite() && norm(1e18).is_finite(), "squares overflow");
        for bound in [F32.stored(f64::INFINITY), F32.function(1.0, f64::INFINITY), F32.gelu(1e300, 1e300)] {
            assert!(bound.is_finite());
        }
    }

    /// 33 products of 1.7e-42 in f32, each cut to the subnormal numbers, against their sum.
    #[test]
    fn products_that_underflow_are_off_by_units_of_the_subnormal_numbers() {
        let x = 1.3e-21f32;
        let found = (0..33).fold(0.0f32, |sum, _| sum + x * x);
        let truth = 33.0 * f64::from(x) * f64::from(x);
        let error = (f64::from(found) - truth).abs();
        assert!(error > F32.sum(34, truth), "the relative bound alone would accuse it");
        assert!(error <= F32.products(33, truth));
    }

    #[test]
    fn attention_stays_among_its_values_however_far_its_scores_move() {
        let scores = Scores { size: 8, keys: 4, score: 1e12, scale: 1.0 };
        let bound = F32.attention(scores, 1.0, 3.0);
        assert!((6.0..6.1).contains(&bound), "{bound}");
        let overflowing = Scores { score: 1e39, ..scores };
        assert_eq!(F32.attention(overflowing, 1.0, 3.0), f64::INFINITY);
    }

    #[test]
    fn softmax_without_its_maximum_stands_out() {
        let x = [0.0, 1.0, f64::NEG_INFINITY];
        let sum: f64 = x.iter().map(|x| x.exp()).sum();
        let y: Vec<f64> = x.iter().map(|x| x.exp() / sum).collect();
        let bound = F32.softmax(&x, &y);
        assert!(bound[1] < 1e-5 && bound[1] > 0.0);
        assert_eq!(bound[2], 0.0);
    }
}
