//! The batches and lengths that a model is compiled for, as ATC's flags.
//!
//! A compiled model runs the extents that it was compiled for and no others. ATC calls a set of them a gear.

use crate::failure::{Failure, Outcome};
use lockstep_onnx::Port;
use lockstep_runtime::tensor::Dim;
use serde::Serialize;

/// The most gears that ATC takes.
const MOST_GEARS: usize = 100;
const BATCH: &str = "batch";
const SEQ: &str = "seq";

/// Every batch size with every length, each in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gears {
    pub(super) batches: Vec<usize>,
    pub(super) seqs: Vec<usize>,
}

impl Gears {
    /// Gears of these batches and lengths, of which the model takes up to `longest` tokens.
    ///
    /// # Errors
    /// [`Failure::Usage`] for longer ones, and for more gears than ATC takes.
    pub(super) fn new(batches: Vec<usize>, seqs: Vec<usize>, longest: usize) -> Outcome<Self> {
        let (batches, seqs) = (ascending(batches), ascending(seqs));
        if let Some(seq) = seqs.iter().find(|&&seq| seq > longest) {
            let what =
                format!("--seq {seq}: the model takes at most {longest} tokens (max_position_embeddings)");
            return Err(Failure::Usage(what));
        }
        let count = batches.len() * seqs.len();
        if count > MOST_GEARS {
            let what = format!(
                "{} batches of {} lengths are {count} gears, and ATC takes at most {MOST_GEARS}; give fewer to \
                 --batches or --seq",
                batches.len(),
                seqs.len()
            );
            return Err(Failure::Usage(what));
        }
        Ok(Self { batches, seqs })
    }

    /// ATC's flags that say what the extents of these inputs are.
    ///
    /// # Errors
    /// [`Failure::Failed`] for an input with another symbol than `batch` and `seq`, or with `batch` elsewhere than first, where
    /// ATC looks for it.
    pub(super) fn flags(&self, inputs: &[Port]) -> Outcome<Vec<String>> {
        // Several lengths vary any dim; several batches of one length vary the first.
        let (varies_batch, varies_seq) = (self.batches.len() > 1, self.seqs.len() > 1);
        let (mut shapes, mut varying) = (Vec::new(), Vec::new());
        for input in inputs {
            let mut extents = Vec::new();
            for (axis, dim) in input.ty.shape.iter().enumerate() {
                let (fixed, varies) = match extent(input, axis, dim)? {
                    Extent::Known(extent) => (extent, false),
                    Extent::Batch => (self.batches.first().copied().unwrap_or(1), varies_batch),
                    Extent::Seq => (self.seqs.first().copied().unwrap_or(1), varies_seq),
                };
                extents.push(if varies { "-1".to_owned() } else { fixed.to_string() });
                if varies {
                    varying.push(dim.to_string());
                }
            }
            shapes.push(format!("{}:{}", input.name, extents.join(",")));
        }
        let mut flags = vec![format!("--input_shape={}", shapes.join(";"))];
        if varies_seq {
            // A value for each -1 of each input, in order.
            let gear = |batch: usize, seq: usize| {
                let values = varying.iter().map(|symbol| if symbol == BATCH { batch } else { seq });
                list(values.collect::<Vec<_>>())
            };
            let gears: Vec<String> = (self.batches.iter())
                .flat_map(|&batch| self.seqs.iter().map(move |&seq| (batch, seq)))
                .map(|(batch, seq)| gear(batch, seq))
                .collect();
            flags.push(format!("--dynamic_dims={}", gears.join(";")));
        } else if varies_batch {
            flags.push(format!("--dynamic_batch_size={}", list(self.batches.clone())));
        }
        Ok(flags)
    }
}

enum Extent {
    Known(usize),
    Batch,
    Seq,
}

fn extent(input: &Port, axis: usize, dim: &Dim) -> Outcome<Extent> {
    if let Some(extent) = dim.as_const() {
        return Ok(Extent::Known(extent));
    }
    let wrong = |reason: String| Err(Failure::Failed(format!("input `{}`: {reason}", input.name)));
    match (dim.as_symbol().map(|symbol| symbol.name()), axis) {
        (Some(BATCH), 0) => Ok(Extent::Batch),
        (Some(BATCH), _) => wrong(format!("its batch is dimension {axis}; ATC takes it only as the first")),
        (Some(SEQ), _) => Ok(Extent::Seq),
        _ => wrong(format!("its dimension {axis} is {dim}; gears are of {BATCH} and {SEQ} alone")),
    }
}

fn ascending(mut extents: Vec<usize>) -> Vec<usize> {
    extents.sort_unstable();
    extents.dedup();
    extents
}

fn list(numbers: Vec<usize>) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_runtime::graph::{DType, TensorType};

    fn port(name: &str, dims: &[&str]) -> Port {
        let dim = |text: &&str| text.parse::<usize>().map_or_else(|_| Dim::symbol(text), Dim::from);
        Port {
            name: name.to_owned(),
            ty: TensorType::new(DType::I64, dims.iter().map(dim).collect::<Vec<_>>()),
        }
    }

    fn flags(batches: &[usize], seqs: &[usize]) -> Vec<String> {
        let inputs = [port("ids", &["batch", "seq"]), port("mask", &["batch", "seq"])];
        Gears::new(batches.to_vec(), seqs.to_vec(), 512).unwrap().flags(&inputs).unwrap()
    }

    #[test]
    fn batches_of_one_length_vary_the_first_dim() {
        let expected = ["--input_shape=ids:-1,128;mask:-1,128", "--dynamic_batch_size=1,8,16"];
        assert_eq!(flags(&[16, 1, 8, 8], &[128]), expected);
    }

    #[test]
    fn one_batch_of_one_length_is_a_fixed_shape() {
        assert_eq!(flags(&[8], &[64]), ["--input_shape=ids:8,64;mask:8,64"]);
    }

    #[test]
    fn several_lengths_give_a_value_for_every_dim_of_every_input() {
        let expected = [
            "--input_shape=ids:-1,-1;mask:-1,-1",
            "--dynamic_dims=1,64,1,64;1,128,1,128;8,64,8,64;8,128,8,128",
        ];
        assert_eq!(flags(&[1, 8], &[128, 64]), expected);
        assert_eq!(
            flags(&[4], &[64, 128]),
            ["--input_shape=ids:4,-1;mask:4,-1", "--dynamic_dims=64,64;128,128"]
        );
    }

    fn said<T: std::fmt::Debug>(outcome: Outcome<T>) -> String {
        match outcome.unwrap_err() {
            Failure::Usage(text) | Failure::Failed(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lengths_beyond_the_model_and_too_many_gears_are_refused() {
        assert!(said(Gears::new(vec![1], vec![64, 513], 512)).contains("--seq 513"));
        assert!(Gears::new((1..=50).collect(), vec![1, 2], 512).is_ok());
        assert!(said(Gears::new((1..=51).collect(), vec![1, 2], 512)).contains("102 gears"));
    }

    #[test]
    fn extents_that_atc_cannot_vary_are_refused() {
        let gears = Gears::new(vec![1, 8], vec![64], 512).unwrap();
        let last = said(gears.flags(&[port("ids", &["seq", "batch"])]));
        assert!(last.contains("`ids`") && last.contains("only as the first"), "{last}");
        assert!(said(gears.flags(&[port("rows", &["tokens"])])).contains("is tokens"));
        assert_eq!(gears.flags(&[port("table", &["7", "3"])]).unwrap()[0], "--input_shape=table:7,3");
    }
}
