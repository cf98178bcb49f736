//! Whole models that a vendor's compiler made, which a device runs instead of a program's steps.

use lockstep_graph::DType;
use lockstep_graph::tensor::element_count;
use serde::Serialize;

/// What a compiled model says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompiledModel {
    /// Its file.
    pub file: String,
    /// What it takes, in order.
    pub inputs: Vec<CompiledPort>,
    /// What it gives, in order.
    pub outputs: Vec<CompiledPort>,
    /// The extents that it was compiled for, at least one set; it runs no others.
    pub gears: Vec<Gear>,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompiledPort {
    /// Its name, as the compiler has it.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
}

/// One set of extents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gear {
    /// Of each input.
    pub inputs: Vec<Vec<usize>>,
}

impl CompiledModel {
    /// Whether it has an output of that name.
    pub fn gives(&self, output: &str) -> bool {
        self.outputs.iter().any(|port| port.name == output)
    }

    /// The gear that computes least among those in which the named input has at least these extents.
    pub fn smallest_holding(&self, input: &str, extents: &[usize]) -> Option<&[usize]> {
        let at = self.inputs.iter().position(|port| port.name == input)?;
        let holds = |gear: &&[usize]| {
            gear.len() == extents.len() && gear.iter().zip(extents).all(|(has, wanted)| has >= wanted)
        };
        let gears = self.gears.iter().map(|gear| gear.inputs[at].as_slice());
        gears.filter(holds).min_by_key(|gear| element_count(gear))
    }

    /// Every gear in words, such as `input_ids [1, 128], attention_mask [1, 128]; ..`.
    pub fn gears_in_words(&self) -> String {
        let gear = |gear: &Gear| {
            let inputs = self.inputs.iter().zip(&gear.inputs);
            inputs.map(|(port, extents)| format!("{} {extents:?}", port.name)).collect::<Vec<_>>().join(", ")
        };
        self.gears.iter().map(gear).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(gears: &[[usize; 2]]) -> CompiledModel {
        CompiledModel {
            file: "model.om".to_owned(),
            inputs: vec![CompiledPort { name: "ids".to_owned(), dtype: DType::I64 }],
            outputs: Vec::new(),
            gears: gears.iter().map(|gear| Gear { inputs: vec![gear.to_vec()] }).collect(),
        }
    }

    #[test]
    fn the_gear_that_computes_least_is_taken() {
        let model = model(&[[32, 128], [1, 128], [8, 64], [8, 128]]);
        assert_eq!(model.smallest_holding("ids", &[1, 128]), Some([1, 128].as_slice()));
        assert_eq!(model.smallest_holding("ids", &[2, 60]), Some([8, 64].as_slice()));
        assert_eq!(model.smallest_holding("ids", &[9, 1]), Some([32, 128].as_slice()));
        assert_eq!(model.smallest_holding("ids", &[33, 1]), None);
        assert_eq!(model.smallest_holding("mask", &[1, 1]), None);
    }

    #[test]
    fn gears_are_said_in_words() {
        assert_eq!(model(&[[1, 128], [8, 64]]).gears_in_words(), "ids [1, 128]; ids [8, 64]");
    }
}
