//! A program that holds every rule, broken in one way at a time: each is refused, by name.

use lockstep_graph::{Constant, DType, HostTensor, Op, UnaryOp};
use lockstep_hal::{
    Claim, Error, HostBuffer, Location, Operand, OperandId, Program, ProgramParts, Provenance, Step,
};

const BYTES: usize = 64;

fn operand(name: &str, location: Location) -> Operand {
    Operand { name: name.to_owned(), dtype: DType::F32, shape: vec![16], location, view_of: None }
}

fn arena(start: usize) -> Location {
    Location::Arena(start..start + BYTES)
}

fn step(name: &str, inputs: &[usize], output: usize, claim: Claim) -> Step {
    Step {
        name: name.to_owned(),
        op: Op::Unary(UnaryOp::Exp),
        inputs: inputs.iter().map(|&id| OperandId(id)).collect(),
        outputs: vec![OperandId(output)],
        claim,
        workspace: 0..0,
        provenance: Provenance::Native,
    }
}

const INPUT: usize = 0;
const OUTPUT: usize = 1;
const WEIGHT: usize = 2;
const FIRST: usize = 3;
const SECOND: usize = 4;
const THIRD: usize = 5;
const VIEW: usize = 6;

/// input -> first -> second (in first's place) -> third, with scratch -> output; third reads a view of second.
fn good() -> ProgramParts {
    let plain = Claim::fixed(DType::F32);
    let weight = Constant::new(HostTensor::zeros(DType::F32, &[16]).unwrap());
    let mut view = operand("view", arena(0));
    view.shape = vec![4, 4];
    view.view_of = Some(OperandId(SECOND));
    let mut third = step("make third", &[VIEW, WEIGHT], THIRD, plain.with_workspace(BYTES));
    third.workspace = 2 * BYTES..3 * BYTES;
    ProgramParts {
        operands: vec![
            operand("input", Location::Io(0)),
            operand("output", Location::Io(1)),
            operand("weight", Location::Constant(weight)),
            operand("first", arena(0)),
            operand("second", arena(0)),
            operand("third", arena(BYTES)),
            view,
        ],
        steps: vec![
            step("make first", &[INPUT], FIRST, plain),
            step("make second", &[FIRST], SECOND, plain.aliasing(0, 0)),
            third,
            step("make output", &[THIRD, SECOND], OUTPUT, plain),
        ],
        io: vec![OperandId(INPUT), OperandId(OUTPUT)],
        io_names: Vec::new(),
        input_count: 1,
        arena_bytes: 3 * BYTES,
        alignment: BYTES,
    }
}

fn broken(change: impl FnOnce(&mut ProgramParts)) -> String {
    let mut parts = good();
    change(&mut parts);
    match Program::new(parts) {
        Ok(program) => panic!("accepted: {program:#?}"),
        Err(Error::Program { reason }) => reason,
        Err(other) => panic!("{other:?}"),
    }
}

fn refused(wanted: &str, change: impl FnOnce(&mut ProgramParts)) {
    let reason = broken(change);
    assert!(reason.contains(wanted), "{reason} is not: {wanted}");
}

#[test]
fn the_good_program_is_good() {
    let program = Program::new(good()).unwrap();
    assert_eq!((program.steps().len(), program.arena_bytes(), program.input_count()), (4, 3 * BYTES, 1));
    assert_eq!(program.operand(OperandId(VIEW)).bytes(), BYTES);
    assert_eq!(program.io().len(), 2);
}

#[test]
fn reading_before_writing_is_refused() {
    refused("make first (Exp): reads `third` before it is written", |p| {
        p.steps[0].inputs = vec![OperandId(THIRD)]
    });
    refused("make first (Exp): reads `output` before it is written", |p| {
        p.steps[0].inputs = vec![OperandId(OUTPUT)]
    });
    // A view is written when what it views is.
    refused("reads `view` before it is written", |p| p.steps[1].inputs = vec![OperandId(VIEW)]);
    refused("reads `first` before it is written", |p| p.steps.swap(0, 1));
}

#[test]
fn writing_twice_or_through_a_view_is_refused() {
    refused("writes `first`, which is a view or already written", |p| {
        p.steps[2].outputs = vec![OperandId(FIRST)]
    });
    refused("writes `view`, which is a view or already written", |p| {
        p.steps[3].outputs = vec![OperandId(VIEW)]
    });
    refused("writes `weight`, which is a view or already written", |p| {
        p.steps[2].outputs = vec![OperandId(WEIGHT)]
    });
    refused("writes `input`, which is a view or already written", |p| {
        p.steps[3].outputs = vec![OperandId(INPUT)]
    });
}

#[test]
fn writing_over_what_is_still_read_is_refused() {
    // Without a claim, even a dying input may not be overwritten.
    refused("writes `second` over `first`, which is still read", |p| {
        p.steps[1].claim = Claim::fixed(DType::F32)
    });
    // A claim of another input, or of another output, is none.
    refused("writes `second` over `first`", |p| p.steps[1].claim = Claim::fixed(DType::F32).aliasing(1, 0));
    refused("writes `second` over `first`", |p| p.steps[1].claim = Claim::fixed(DType::F32).aliasing(0, 1));
    // The base is read later.
    refused("writes `second` over `first`", |p| p.steps[3].inputs.push(OperandId(FIRST)));
    // The step reads it twice, so that writing one would change the other.
    refused("writes `second` over `first`", |p| p.steps[1].inputs.push(OperandId(FIRST)));
    // Partly the same bytes is not in place.
    refused("writes `second` over `first`", |p| {
        p.alignment = 32;
        for id in [SECOND, VIEW] {
            p.operands[id].location = Location::Arena(32..32 + BYTES);
        }
    });
    // third takes the place of second, which a later step reads.
    refused("writes `third` over `second`, which is still read", |p| p.operands[THIRD].location = arena(0));
}

/// What nothing reads any more may be overwritten: the rules forbid no more than they must.
#[test]
fn writing_over_what_is_dead_is_fine() {
    let mut parts = good();
    parts.steps[3].inputs = vec![OperandId(THIRD)];
    parts.operands.push(operand("fourth", arena(0)));
    let fourth = OperandId(parts.operands.len() - 1);
    parts.steps.insert(3, step("make fourth", &[THIRD], fourth.0, Claim::fixed(DType::F32)));
    Program::new(parts).unwrap();
}

#[test]
fn scratch_that_meets_an_operand_is_refused() {
    refused("its scratch overlaps `second`", |p| p.steps[2].workspace = 0..BYTES);
    refused("`third` overlaps its scratch", |p| p.steps[2].workspace = BYTES..2 * BYTES);
    refused("bytes 128..256 are not an aligned part of an arena of 192", |p| p.steps[2].workspace = 128..256);
    refused("bytes 130..140 are not an aligned part", |p| p.steps[2].workspace = 130..140);
    #[allow(clippy::reversed_empty_ranges)]
    {
        refused("are not an aligned part", |p| p.steps[2].workspace = 128..64);
    }
}

#[test]
fn places_outside_the_arena_misaligned_or_too_small_are_refused() {
    refused("operand `third`: bytes 192..256 are not an aligned part", |p| {
        p.operands[THIRD].location = arena(192)
    });
    refused("operand `third`: bytes 68..132 are not an aligned part", |p| {
        p.operands[THIRD].location = arena(68)
    });
    refused("operand `third`: takes 64 bytes, has 60", |p| {
        p.operands[THIRD].location = Location::Arena(64..124)
    });
    refused("operand `first`: bytes", |p| p.arena_bytes = 0);
    #[allow(clippy::reversed_empty_ranges)]
    {
        refused("operand `third`: bytes 128..64", |p| p.operands[THIRD].location = Location::Arena(128..64));
    }
}

#[test]
fn views_of_something_else_are_refused() {
    refused("operand `view`: views nothing", |p| p.operands[VIEW].view_of = Some(OperandId(99)));
    refused("operand `view`: is no view of `third`", |p| p.operands[VIEW].view_of = Some(OperandId(THIRD)));
    refused("operand `view`: is no view of `second`", |p| p.operands[VIEW].shape = vec![4, 3]);
    refused("operand `view`: is no view of `second`", |p| p.operands[VIEW].dtype = DType::I32);
    refused("operand `view`: is no view of `second`", |p| p.operands[VIEW].location = arena(BYTES));
    refused("is no view of `view`", |p| {
        let mut view = p.operands[VIEW].clone();
        view.view_of = Some(OperandId(VIEW));
        p.operands.push(view);
    });
}

#[test]
fn constants_that_hold_something_else_are_refused() {
    refused("operand `weight`: is not what its constant holds", |p| p.operands[WEIGHT].shape = vec![17]);
    refused("operand `weight`: is not what its constant holds", |p| p.operands[WEIGHT].dtype = DType::I32);
}

#[test]
fn buffers_that_do_not_fit_their_operands_are_refused() {
    refused("has more inputs than buffers", |p| p.input_count = 3);
    refused("another number of names", |p| p.io_names = vec!["input".to_owned()]);
    refused("buffer 0 is not the place of its operand", |p| p.io.swap(0, 1));
    refused("buffer 1 is not the place of its operand", |p| p.io[1] = OperandId(THIRD));
    refused("buffer 2 is not the place of its operand", |p| p.io.push(OperandId(99)));
    refused("operand `third`: is in buffer 2 of 2", |p| p.operands[THIRD].location = Location::Io(2));
    refused("`third` claims buffer 0 of another operand", |p| p.operands[THIRD].location = Location::Io(0));
}

#[test]
fn outputs_that_nothing_writes_and_operands_that_are_not_there_are_refused() {
    refused("no step writes the output `output`", |p| drop(p.steps.pop()));
    refused("make output (Exp): operand 99 does not exist", |p| p.steps[3].inputs.push(OperandId(99)));
    refused("make output (Exp): operand 99 does not exist", |p| p.steps[3].outputs = vec![OperandId(99)]);
}

#[test]
fn runs_get_a_large_enough_buffer_for_each_operand() {
    let program = Program::new(good()).unwrap();
    let buffer = |bytes| HostBuffer::allocate("test", bytes).unwrap();
    program.check_buffers(&[buffer(BYTES), buffer(2 * BYTES)]).unwrap();
    let error = program.check_buffers(&[buffer(BYTES)]).unwrap_err().to_string();
    assert!(error.contains("takes 2 buffers, got 1"), "{error}");
    let error = program.check_buffers(&[buffer(BYTES), buffer(BYTES - 1)]).unwrap_err().to_string();
    assert!(error.contains("`output` takes 64 bytes, its buffer has 63"), "{error}");
}
