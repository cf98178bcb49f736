//! The sets of extents that a model is compiled for, from `--input_shape`, `--dynamic_batch_size` and `--dynamic_dims`.

use crate::model::Input;
use crate::{Error, Result};
use lockstep_ascend_container::Dynamic;
use std::collections::HashSet;

const SHAPE: &str = "--input_shape";
const BATCH: &str = "--dynamic_batch_size";
const DIMS: &str = "--dynamic_dims";

/// How many gears ATC takes.
const COUNTS: std::ops::RangeInclusive<usize> = 2..=100;

/// What the flags say, before the model is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shapes {
    /// Each input's extents, -1 where gears choose.
    inputs: Vec<(String, Vec<i64>)>,
    sets: Sets,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sets {
    /// No flag: one gear.
    Fixed,
    Batches(Vec<i64>),
    Dims(Vec<Vec<i64>>),
}

/// One set of extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extents {
    /// What a run names it by: nothing, the batch, or every extent of every input.
    pub(crate) key: Vec<i64>,
    /// Each input's.
    pub(crate) inputs: Vec<Vec<i64>>,
}

/// Every set, the largest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gears {
    pub(crate) dynamic: Dynamic,
    /// The inputs' extents, -1 where a gear chooses.
    pub(crate) inputs: Vec<Vec<i64>>,
    pub(crate) extents: Vec<Extents>,
}

impl Shapes {
    /// What these flags say.
    ///
    /// # Errors
    /// [`Error::Flag`] for what is no list, for flags that exclude each other, and for more or fewer gears than ATC takes.
    pub(crate) fn new(
        shape: Option<&str>,
        batches: Option<&str>,
        dims: Option<&str>,
        is_nd: bool,
    ) -> Result<Self> {
        let inputs = match shape {
            Some(text) => input_shapes(text)?,
            None => vec![],
        };
        let sets = match (batches, dims) {
            (Some(_), Some(_)) => {
                return Err(Error::flag(
                    BATCH,
                    format!("excludes {DIMS}; the latter can vary the batch, too"),
                ));
            }
            (None, None) => Sets::Fixed,
            (Some(text), None) => {
                let batches = positive(BATCH, text)?;
                counted(BATCH, &batches)?;
                Sets::Batches(batches)
            }
            (None, Some(_)) if !is_nd => return Err(Error::flag(DIMS, "needs --input_format=ND")),
            (None, Some(text)) => {
                let sets = text.split(';').map(|set| positive(DIMS, set)).collect::<Result<Vec<_>>>()?;
                counted(DIMS, &sets)?;
                Sets::Dims(sets)
            }
        };
        Ok(Self { inputs, sets })
    }

    /// The extents of a model's inputs, gear by gear.
    ///
    /// # Errors
    /// [`Error::Flag`] for names that are no inputs, extents that are not the model's, or that neither the flags nor the model
    /// say, and gears with more or fewer numbers than there are -1.
    pub(crate) fn gears(&self, inputs: &[Input]) -> Result<Gears> {
        if let Some((name, _)) = self.inputs.iter().find(|(name, _)| inputs.iter().all(|x| x.name != *name)) {
            let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            let reason = format!("`{name}` is no input of the model; its inputs are {}", known.join(", "));
            return Err(Error::flag(SHAPE, reason));
        }
        let asked = inputs.iter().map(|input| self.of(input)).collect::<Result<Vec<_>>>()?;
        let open = self.open(inputs);
        let filled = |numbers: &[i64]| {
            let mut dims = asked.clone();
            open.iter().zip(numbers).for_each(|(&(at, axis), &number)| dims[at][axis] = number);
            dims
        };
        let (dynamic, mut extents) = match &self.sets {
            Sets::Fixed => {
                let extents = match open.first() {
                    None => Extents { key: vec![], inputs: asked.clone() },
                    Some(&(at, axis)) => return Err(left_open(&inputs[at].name, axis)),
                };
                (Dynamic::No, vec![extents])
            }
            Sets::Batches(batches) => {
                batch_is_first(inputs, &open)?;
                let gear =
                    |&batch: &i64| Extents { key: vec![batch], inputs: filled(&vec![batch; open.len()]) };
                (Dynamic::Batch, batches.iter().map(gear).collect())
            }
            Sets::Dims(sets) => {
                if let Some(set) = sets.iter().find(|set| set.len() != open.len()) {
                    let reason = format!(
                        "the gear {} has {}, and {SHAPE} leaves {} open; give one for each -1, in the order of {SHAPE}",
                        list(set),
                        counted_in_words(set.len(), "number"),
                        counted_in_words(open.len(), "extent")
                    );
                    return Err(Error::flag(DIMS, reason));
                }
                let gear = |set: &Vec<i64>| {
                    let inputs = filled(set);
                    Extents { key: inputs.concat(), inputs }
                };
                (Dynamic::Dims, sets.iter().map(gear).collect())
            }
        };
        extents.sort_by_key(|extents| (product(&extents.key), extents.key.clone()));
        Ok(Gears { dynamic, inputs: asked, extents })
    }

    /// Each -1 as an input's number and an axis, in the order in which `--input_shape` has them: as Huawei's page on
    /// `--dynamic_dims` says, numbers go to them in that order, whatever the order of the model's inputs.
    fn open(&self, inputs: &[Input]) -> Vec<(usize, usize)> {
        let number = |name: &str| inputs.iter().position(|input| input.name == name);
        let listed = self.inputs.iter().filter_map(|(name, dims)| Some((number(name)?, dims)));
        listed
            .flat_map(|(at, dims)| dims.iter().enumerate().map(move |(axis, &dim)| (at, axis, dim)))
            .filter(|&(_, _, dim)| dim == -1)
            .map(|(at, axis, _)| (at, axis))
            .collect()
    }

    /// What the flag says of an input, or else the model.
    fn of(&self, input: &Input) -> Result<Vec<i64>> {
        let name = &input.name;
        let Some((_, dims)) = self.inputs.iter().find(|(known, _)| known == name) else {
            let known: Option<Vec<i64>> = input.dims.iter().copied().collect();
            return known.ok_or_else(|| {
                let reason = format!("says nothing of `{name}`, whose extents the model leaves open");
                Error::flag(SHAPE, reason)
            });
        };
        if dims.len() != input.dims.len() {
            let (said, has) = (counted_in_words(dims.len(), "extent"), input.dims.len());
            return Err(Error::flag(SHAPE, format!("`{name}` is given {said}, and the model has {has}")));
        }
        for (axis, (&said, known)) in dims.iter().zip(&input.dims).enumerate() {
            if let Some(known) = known.filter(|&known| known != said) {
                let reason =
                    format!("`{name}` is given {said} at axis {axis}, and the model fixes it to {known}");
                return Err(Error::flag(SHAPE, reason));
            }
        }
        Ok(dims.clone())
    }
}

fn left_open(name: &str, axis: usize) -> Error {
    let reason = format!(
        "`{name}` has -1 at axis {axis}, and no gear says what it is: give {BATCH}, {DIMS}, or a number (models of any extent are not \
         simulated)"
    );
    Error::flag(SHAPE, reason)
}

fn batch_is_first(inputs: &[Input], open: &[(usize, usize)]) -> Result<()> {
    if open.is_empty() {
        return Err(Error::flag(BATCH, format!("{SHAPE} leaves no batch open; write -1 for it")));
    }
    match open.iter().find(|(_, axis)| *axis != 0) {
        None => Ok(()),
        Some(&(at, axis)) => {
            let name = &inputs[at].name;
            let reason = format!(
                "`{name}` has -1 at axis {axis}; the batch is the first, and {DIMS} varies the others, too"
            );
            Err(Error::flag(BATCH, reason))
        }
    }
}

fn input_shapes(text: &str) -> Result<Vec<(String, Vec<i64>)>> {
    let mut inputs: Vec<(String, Vec<i64>)> = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        // Names may have colons; extents have none.
        let Some((name, dims)) = part.rsplit_once(':').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(Error::flag(SHAPE, format!("`{part}` is not of the form name:extent,extent")));
        };
        let name = name.trim();
        if inputs.iter().any(|(known, _)| known == name) {
            return Err(Error::flag(SHAPE, format!("`{name}` is there twice")));
        }
        let dims = match dims.trim() {
            "" => vec![],
            dims => numbers(SHAPE, dims)?,
        };
        if let Some(wrong) = dims.iter().find(|&&dim| dim != -1 && dim < 1) {
            return Err(Error::flag(
                SHAPE,
                format!("`{name}` has the extent {wrong}; give -1 or at least 1"),
            ));
        }
        inputs.push((name.to_owned(), dims));
    }
    Ok(inputs)
}

fn numbers(flag: &str, text: &str) -> Result<Vec<i64>> {
    let number = |word: &str| {
        let word = word.trim();
        word.parse().map_err(|_| Error::flag(flag, format!("`{word}` in `{text}` is no number")))
    };
    text.split(',').map(number).collect()
}

fn positive(flag: &str, text: &str) -> Result<Vec<i64>> {
    let numbers = numbers(flag, text)?;
    match numbers.iter().find(|&&number| number < 1) {
        Some(wrong) => Err(Error::flag(flag, format!("{wrong} in `{text}` is no extent; give at least 1"))),
        None => Ok(numbers),
    }
}

fn counted<T: std::hash::Hash + Eq + std::fmt::Debug>(flag: &str, gears: &[T]) -> Result<()> {
    let mut seen = HashSet::new();
    if let Some(twice) = gears.iter().find(|gear| !seen.insert(*gear)) {
        return Err(Error::flag(flag, format!("the gear {twice:?} is there twice")));
    }
    if COUNTS.contains(&gears.len()) {
        return Ok(());
    }
    let reason = format!(
        "has {}; ATC takes {} to {}, and one set of extents is written into {SHAPE}",
        counted_in_words(gears.len(), "gear"),
        COUNTS.start(),
        COUNTS.end()
    );
    Err(Error::flag(flag, reason))
}

fn counted_in_words(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn product(numbers: &[i64]) -> i64 {
    numbers.iter().fold(1, |product, &number| product.saturating_mul(number))
}

/// Numbers as flags have them.
pub(crate) fn list(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_ascend_container::DType;

    fn input(name: &str, dims: &[Option<i64>]) -> Input {
        Input { name: name.to_owned(), dtype: DType::I64, dims: dims.to_vec() }
    }

    fn inputs() -> [Input; 2] {
        [input("ids", &[None, None]), input("mask", &[None, None])]
    }

    fn gears(shape: &str, batches: Option<&str>, dims: Option<&str>) -> Result<Gears> {
        Shapes::new(Some(shape), batches, dims, true)?.gears(&inputs())
    }

    fn keys(gears: Result<Gears>) -> Vec<Vec<i64>> {
        gears.unwrap().extents.into_iter().map(|extents| extents.key).collect()
    }

    #[test]
    fn gears_are_sorted_and_keyed_as_runs_name_them() {
        let batches = gears("ids:-1,128;mask:-1,128", Some("8,1"), None).unwrap();
        assert_eq!((batches.dynamic, &batches.inputs), (Dynamic::Batch, &vec![vec![-1, 128]; 2]));
        assert_eq!(batches.extents[1], Extents { key: vec![8], inputs: vec![vec![8, 128]; 2] });
        let sets = gears("ids:4,-1;mask:4,-1", None, Some("128,128;64,64"));
        assert_eq!(keys(sets), [[4, 64, 4, 64], [4, 128, 4, 128]]);
        assert_eq!(keys(gears("ids:4,64;mask:4,64", None, None)), [[0i64; 0]]);
    }

    #[test]
    fn numbers_of_a_gear_go_to_the_inputs_in_the_order_of_the_shapes() {
        let swapped = gears("mask:2,-1;ids:-1,-1", None, Some("64,2,32;128,4,16")).unwrap();
        assert_eq!(swapped.inputs, [[-1, -1], [2, -1]]);
        let extents = |ids: [i64; 2], mask: [i64; 2]| Extents {
            key: [ids, mask].concat(),
            inputs: vec![ids.to_vec(), mask.to_vec()],
        };
        // Runs name a gear by the extents of the model's inputs in the model's order.
        assert_eq!(swapped.extents, [extents([2, 32], [2, 64]), extents([4, 16], [2, 128])]);
    }

    fn said(gears: Result<Gears>) -> String {
        gears.unwrap_err().to_string()
    }

    #[test]
    fn atcs_rules_are_held() {
        let (open, fixed) = ("ids:-1,128;mask:-1,128", "ids:1,128;mask:1,128");
        assert!(said(gears(open, Some("1"), None)).contains("has 1 gear; ATC takes 2 to 100"));
        let many: Vec<String> = (1..=101).map(|n: i64| n.to_string()).collect();
        assert!(said(gears(open, Some(&many.join(",")), None)).contains("101 gears"));
        assert!(said(gears(open, Some("1,8"), Some("1,1;8,8"))).contains("excludes --dynamic_dims"));
        assert!(said(gears(open, Some("8,8"), None)).contains("twice"));
        assert!(said(gears(open, Some("0,8"), None)).contains("no extent"));
        assert!(said(gears(open, Some("1,x"), None)).contains("`x`"));
        assert!(said(gears(fixed, Some("1,8"), None)).contains("leaves no batch open"));
        assert!(
            said(gears("ids:-1,-1;mask:1,1", Some("1,8"), None)).contains("axis 1; the batch is the first")
        );
        assert!(said(gears(open, None, Some("1;8"))).contains("has 1 number, and --input_shape leaves 2"));
        assert!(said(gears(open, None, None)).contains("no gear says what it is"));
        assert!(
            Shapes::new(Some(open), None, Some("1,1;8,8"), false)
                .is_err_and(|error| error.to_string().contains("ND"))
        );
    }

    #[test]
    fn extents_are_held_against_the_model() {
        assert!(
            said(gears("x:1,2", None, None)).contains("`x` is no input of the model; its inputs are ids")
        );
        assert!(said(gears("ids:1,2", None, None)).contains("says nothing of `mask`"));
        assert!(said(gears("ids:1;mask:1,2", None, None)).contains("1 extent, and the model has 2"));
        assert!(said(gears("ids:1,0;mask:1,2", None, None)).contains("extent 0"));
        assert!(said(gears("ids:1,2;ids:1,2", None, None)).contains("twice"));
        assert!(said(gears("ids", None, None)).contains("name:extent"));
        let shapes = Shapes::new(Some("a:0:2,3"), None, None, true).unwrap();
        let known = [input("a:0", &[Some(2), Some(4)])];
        assert!(shapes.gears(&known).unwrap_err().to_string().contains("the model fixes it to 4"));
        let silent = Shapes::new(None, None, None, false).unwrap();
        assert_eq!(silent.gears(&known).unwrap().inputs, [[2, 4]]);
    }
}
