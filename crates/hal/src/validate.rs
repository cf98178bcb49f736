//! The rules of a well-formed program. Backends write through raw pointers because these hold.

use crate::{Error, Location, OperandId, ProgramParts, Result};
use std::ops::Range;

/// The operand whose memory `id` is.
fn root(parts: &ProgramParts, id: OperandId) -> OperandId {
    parts.operands[id.0].view_of.unwrap_or(id)
}

/// For every operand the index of the last step that reads it or a view of it; `usize::MAX` for those the caller reads.
fn last_reads(parts: &ProgramParts) -> Vec<Option<usize>> {
    let mut last = vec![None; parts.operands.len()];
    for (at, step) in parts.steps.iter().enumerate() {
        for &input in &step.inputs {
            last[root(parts, input).0] = Some(at);
        }
    }
    for &id in &parts.io {
        last[id.0] = Some(usize::MAX);
    }
    last
}

pub(crate) fn validate(parts: &ProgramParts) -> Result<()> {
    check_operands(parts)?;
    check_io(parts)?;
    check_steps(parts)?;
    let last = last_reads(parts);
    // Operands whose memory holds something, in order of writing.
    let mut written: Vec<bool> = (parts.operands.iter().enumerate())
        .map(|(at, operand)| match operand.location {
            Location::Io(slot) => slot < parts.input_count && parts.operands[at].view_of.is_none(),
            Location::Constant(_) => true,
            Location::Arena(_) => false,
        })
        .collect();
    for (at, step) in parts.steps.iter().enumerate() {
        let wrong =
            |reason: String| Error::program(format!("step {at}, {} ({}): {reason}", step.name, step.op));
        for &input in &step.inputs {
            if !written[root(parts, input).0] {
                return Err(wrong(format!("reads `{}` before it is written", parts.operands[input.0].name)));
            }
        }
        in_arena(parts, &step.workspace).map_err(&wrong)?;
        let mut busy: Vec<(Range<usize>, OperandId)> = Vec::new();
        for (id, _) in written.iter().enumerate().filter(|(_, written)| **written) {
            let live = last[id].is_some_and(|last| last >= at);
            if let (true, Location::Arena(range)) = (live, &parts.operands[id].location) {
                busy.push((range.clone(), OperandId(id)));
            }
        }
        for (output_at, &output) in step.outputs.iter().enumerate() {
            let operand = &parts.operands[output.0];
            if written[output.0] || operand.view_of.is_some() {
                return Err(wrong(format!("writes `{}`, which is a view or already written", operand.name)));
            }
            let Location::Arena(range) = &operand.location else {
                written[output.0] = true;
                continue;
            };
            let shared = step.claim.alias.filter(|(_, output)| *output == output_at);
            let shared = shared.and_then(|(input, _)| step.inputs.get(input)).map(|&id| root(parts, id));
            for (taken, id) in &busy {
                let allowed = Some(*id) == shared
                    && taken == range
                    && last[id.0] == Some(at)
                    && reads(parts, at, *id) == 1;
                if overlap(taken, range) && !allowed {
                    let other = &parts.operands[id.0].name;
                    return Err(wrong(format!(
                        "writes `{}` over `{other}`, which is still read",
                        operand.name
                    )));
                }
            }
            if overlap(range, &step.workspace) {
                return Err(wrong(format!("`{}` overlaps its scratch", operand.name)));
            }
            busy.push((range.clone(), output));
            written[output.0] = true;
        }
        if let Some((_, id)) = busy.iter().find(|(range, _)| overlap(range, &step.workspace)) {
            return Err(wrong(format!("its scratch overlaps `{}`", parts.operands[id.0].name)));
        }
    }
    match parts.io[parts.input_count..].iter().find(|id| !written[id.0]) {
        Some(id) => Err(Error::program(format!("no step writes the output `{}`", parts.operands[id.0].name))),
        None => Ok(()),
    }
}

/// How many of a step's inputs are that operand or a view of it.
fn reads(parts: &ProgramParts, step: usize, id: OperandId) -> usize {
    parts.steps[step].inputs.iter().filter(|&&input| root(parts, input) == id).count()
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn in_arena(parts: &ProgramParts, range: &Range<usize>) -> std::result::Result<(), String> {
    let fits = range.start <= range.end && range.end <= parts.arena_bytes;
    if !fits || !range.start.is_multiple_of(parts.alignment.max(1)) {
        return Err(format!("bytes {range:?} are not an aligned part of an arena of {}", parts.arena_bytes));
    }
    Ok(())
}

fn check_operands(parts: &ProgramParts) -> Result<()> {
    for operand in &parts.operands {
        let wrong = |reason: String| Error::program(format!("operand `{}`: {reason}", operand.name));
        if let Some(of) = operand.view_of {
            let base = parts.operands.get(of.0).ok_or_else(|| wrong("views nothing".into()))?;
            let same_place = match (&base.location, &operand.location) {
                (Location::Io(a), Location::Io(b)) => a == b,
                (Location::Arena(a), Location::Arena(b)) => a == b,
                (Location::Constant(a), Location::Constant(b)) => a.key() == b.key(),
                _ => false,
            };
            if base.view_of.is_some()
                || !same_place
                || base.bytes() != operand.bytes()
                || base.dtype != operand.dtype
            {
                return Err(wrong(format!("is no view of `{}`", base.name)));
            }
        }
        match &operand.location {
            Location::Arena(range) => {
                in_arena(parts, range).map_err(&wrong)?;
                if range.len() < operand.bytes() {
                    return Err(wrong(format!("takes {} bytes, has {}", operand.bytes(), range.len())));
                }
            }
            Location::Constant(constant) => {
                if constant.tensor().bytes().len() != operand.bytes()
                    || constant.tensor().dtype() != operand.dtype
                {
                    return Err(wrong("is not what its constant holds".into()));
                }
            }
            Location::Io(slot) => {
                if *slot >= parts.io.len() {
                    return Err(wrong(format!("is in buffer {slot} of {}", parts.io.len())));
                }
            }
        }
    }
    Ok(())
}

fn check_steps(parts: &ProgramParts) -> Result<()> {
    for step in &parts.steps {
        if let Some(id) = step.inputs.iter().chain(&step.outputs).find(|id| id.0 >= parts.operands.len()) {
            return Err(Error::program(format!(
                "{} ({}): operand {} does not exist",
                step.name, step.op, id.0
            )));
        }
    }
    Ok(())
}

fn check_io(parts: &ProgramParts) -> Result<()> {
    if parts.input_count > parts.io.len() {
        return Err(Error::program("has more inputs than buffers"));
    }
    if !parts.io_names.is_empty() && parts.io_names.len() != parts.io.len() {
        return Err(Error::program("has another number of names than of buffers"));
    }
    for (slot, &id) in parts.io.iter().enumerate() {
        let operand = parts.operands.get(id.0);
        if !operand
            .is_some_and(|o| matches!(o.location, Location::Io(at) if at == slot) && o.view_of.is_none())
        {
            return Err(Error::program(format!("buffer {slot} is not the place of its operand")));
        }
    }
    for (at, operand) in parts.operands.iter().enumerate() {
        if let Location::Io(slot) = operand.location {
            let owner = root(parts, OperandId(at));
            if parts.io[slot] != owner {
                return Err(Error::program(format!(
                    "`{}` claims buffer {slot} of another operand",
                    operand.name
                )));
            }
        }
    }
    Ok(())
}
