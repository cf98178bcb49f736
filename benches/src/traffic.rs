//! The bytes that a program moves, counted from its steps.
//!
//! What a step reads and writes is counted as if nothing stayed in a cache between steps, as it is for a model larger than a
//! GPU's caches; fusion and packing have been done by then, so that what they save is not counted. `Graph::cost` counts the
//! graph as it was built.

use lockstep_runtime::hal::{Location, OperandId, Program};
use lockstep_runtime::tensor::element_count;
use std::collections::BTreeSet;

/// Bytes of one run: every step's inputs and outputs, constants once however many steps read them, and of a table that is
/// gathered from only the rows that are picked. Copies between host and device are not in it.
pub fn traffic(program: &Program) -> u64 {
    let bytes = |id: OperandId| program.operand(id).bytes() as u64;
    let mut constants = BTreeSet::new();
    let mut total = 0u64;
    for step in program.steps() {
        let written: u64 =
            step.outputs.iter().map(|&id| element_count(&program.operand(id).shape) as u64).sum();
        total = step.outputs.iter().fold(total, |total, &id| total.saturating_add(bytes(id)));
        for (at, &id) in step.inputs.iter().enumerate() {
            let memory = program.operand(id).view_of.unwrap_or(id);
            let is_constant = matches!(program.operand(memory).location, Location::Constant(_));
            let read = if step.op.picks_rows_of(at, step.inputs.len()) {
                written.saturating_mul(program.operand(id).dtype.size() as u64)
            } else if is_constant && !constants.insert(memory) {
                0
            } else {
                bytes(id)
            };
            total = total.saturating_add(read);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_reference::ReferenceBackend;
    use lockstep_runtime::graph::{
        Constant, DType, Graph, GraphBuilder, HostTensor, Op, SymbolValues, TensorType,
    };
    use lockstep_runtime::hal::{Claim, Operand, ProgramParts, Provenance, Step};
    use lockstep_runtime::plan::Prepared;
    use lockstep_runtime::{Backend, Extents, Packing, PlanOptions};
    use std::sync::Arc;

    fn counted(graph: &Graph) -> u64 {
        let device = ReferenceBackend::new().open(0).unwrap();
        let options =
            PlanOptions { packing: Packing::Off, extents: Extents::Exact, ..PlanOptions::default() };
        let prepared = Prepared::new(graph, Arc::clone(&device), options).unwrap();
        traffic(&prepared.bind(&SymbolValues::new(), &["y"], &[]).unwrap().program)
    }

    #[test]
    fn a_weight_that_two_steps_read_counts_once() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F64, &[3, 4])).unwrap();
        let shift = b.constant("shift", HostTensor::zeros(DType::F64, &[4]).unwrap());
        let once = b.add("once", x, shift).unwrap();
        let twice = b.add("twice", once, shift).unwrap();
        b.output("y", twice).unwrap();
        let activations = 4 * 3 * 4 * 8;
        assert_eq!(counted(&b.finish().unwrap()), activations + 4 * 8);
    }

    /// Written as a program, since only devices with a kernel for it run the op as one.
    #[test]
    fn an_embedding_counts_the_rows_of_each_of_its_tables() {
        let constant = |name: &str, shape: &[usize]| Operand {
            name: name.to_owned(),
            dtype: DType::F16,
            shape: shape.to_vec(),
            location: Location::Constant(Constant::new(HostTensor::zeros(DType::F16, shape).unwrap())),
            view_of: None,
        };
        let given = |name: &str, dtype: DType, shape: &[usize], io: usize| Operand {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            location: Location::Io(io),
            view_of: None,
        };
        let operands = vec![
            constant("words", &[1000, 4]),
            given("ids", DType::I64, &[3], 0),
            constant("positions", &[500, 4]),
            constant("gamma", &[4]),
            constant("beta", &[4]),
            given("y", DType::F32, &[3, 4], 1),
        ];
        let step = Step {
            name: "embeddings".to_owned(),
            op: Op::EmbedLayerNorm { dtype: DType::F32, epsilon: 1e-12 },
            inputs: [0, 1, 2, 1, 3, 4].map(OperandId).to_vec(),
            outputs: vec![OperandId(5)],
            claim: Claim::fixed(DType::F32),
            workspace: 0..0,
            provenance: Provenance::Native,
        };
        let io = [1, 5].map(OperandId).to_vec();
        let parts = ProgramParts {
            operands,
            steps: vec![step],
            io,
            input_count: 1,
            alignment: 64,
            ..ProgramParts::default()
        };
        let (rows, ids, scales, written) = (2 * 3 * 4 * 2, 2 * 3 * 8, 2 * 4 * 2, 3 * 4 * 4);
        assert_eq!(traffic(&Program::new(parts).unwrap()), rows + ids + scales + written);
    }

    #[test]
    fn a_table_counts_the_rows_that_are_picked() {
        let mut b = GraphBuilder::new();
        let ids = b.input("ids", TensorType::fixed(DType::I64, &[3])).unwrap();
        let table = b.constant("table", HostTensor::zeros(DType::F64, &[1000, 4]).unwrap());
        let rows = b.gather("rows", table, 0, ids).unwrap();
        b.output("y", rows).unwrap();
        assert_eq!(counted(&b.finish().unwrap()), 3 * 8 + 2 * 3 * 4 * 8);
    }
}
