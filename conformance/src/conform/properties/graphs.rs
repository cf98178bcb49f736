//! A small encoder block, asked for in different ways.

use super::{Checks, Property};
use crate::cases::{random, stored, truths};
use crate::random::Random;
use crate::replay::{Modes, Replay};
use crate::rounding::exact_in_f64;
use lockstep_runtime::graph::{
    Attention, GeluForm, Graph, GraphBuilder, Op, Operands, Result as GraphResult, Sequences, TensorType,
};
use lockstep_runtime::hal::Error as DeviceError;
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Error, Packing, Result, RunOptions, Session, plan};

const BATCH: usize = 2;
const SEQ: usize = 5;
const HIDDEN: usize = 16;
const INNER: usize = 33;
/// What reports call it.
const NAME: &str = "encoder block";

impl Checks<'_, '_> {
    pub(super) fn graphs(&mut self, r: &mut Random) -> Result<()> {
        if self.selection.op.is_some() {
            return Ok(());
        }
        let x = stored(&random(r, &[BATCH, SEQ, HIDDEN], 1.5), self.dtype);
        let mask = truths(&[BATCH, SEQ], &[true, true, true, false, false, true, true, true, true, true]);
        let inputs = [("x", &x), ("mask", &mask)];
        let graph = encoder_block(self.dtype, r).map_err(DeviceError::from)?;
        let deterministic = self.device.info().numerics.deterministic;
        let session = |checks: &Self, fuse| {
            Session::builder(graph.clone()).device(checks.device.clone()).fuse(fuse).build()
        };
        let refusal = match session(self, true) {
            Err(error) if is_refusal(&error) => Some(error.to_string()),
            _ => None,
        };
        self.record_of(Property::TapsChangeNothing, NAME, refusal.clone(), deterministic, |checks| {
            taps_change_nothing(&session(checks, true)?, &inputs)
        });
        self.record_of(Property::FusionChangesNothing, NAME, refusal, true, |checks| {
            let truth = checks.in_f64(&graph, &inputs)?;
            for fuse in [true, false] {
                let session = session(checks, fuse)?;
                if checks.in_f64(session.prepared().graph(), &inputs)?.bytes() != truth.bytes() {
                    return Ok(Some(format!("with fusion {fuse}, the plan means something else in f64")));
                }
                let replay = Replay::new(checks.oracle.device().clone(), session)?;
                let found = replay.run(&inputs, Modes { isolated: true, cumulative: false }, &|_, _| {})?;
                let guilty = found.guilty().first().map(|step| format!("{} is {}", step.node, step.verdict));
                if !found.holds() {
                    let what = guilty.unwrap_or_else(|| "the whole run is not the sum of its steps".into());
                    return Ok(Some(format!("with fusion {fuse}, {what}")));
                }
            }
            Ok(None)
        });
        Ok(())
    }

    /// What a graph means, without any rounding but the reference's own.
    fn in_f64(&self, graph: &Graph, inputs: &[(&str, &HostTensor)]) -> Result<HostTensor> {
        let exact = exact_in_f64(graph).map_err(DeviceError::from)?;
        let session = Session::builder(exact).device(self.oracle.device().clone()).packing(Packing::Off);
        Ok(session.build()?.run(inputs)?.output("y")?.clone())
    }
}

/// All checkpoints, and each alone: the output keeps its bits.
fn taps_change_nothing(session: &Session, inputs: &[(&str, &HostTensor)]) -> Result<Option<String>> {
    let plain = session.run(inputs)?;
    let checkpoints = session.prepared().graph().checkpoints();
    let all: Vec<&str> = checkpoints.iter().map(|(name, _)| name.as_str()).collect();
    for taps in std::iter::once(all.as_slice()).chain(all.chunks(1)) {
        let tapped = session.run_with(inputs, &RunOptions::new().taps(taps))?;
        if tapped.output("y")?.bytes() != plain.output("y")?.bytes() {
            return Ok(Some(format!("tapping {} changes the output", taps.join(", "))));
        }
    }
    Ok(None)
}

fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Device(DeviceError::Unsupported { .. })
            | Error::Plan(plan::Error::Device(DeviceError::Unsupported { .. }))
    )
}

/// Attention and feed-forward, each with its residual and norm, spelled out so that there is something to fuse.
fn encoder_block(dtype: DType, r: &mut Random) -> GraphResult<Graph> {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(dtype, &[BATCH, SEQ, HIDDEN]))?;
    let mask = b.input("mask", TensorType::fixed(DType::Bool, &[BATCH, SEQ]))?;
    let mut weights = 0;
    let mut weight = |b: &mut GraphBuilder, shape: &[usize]| {
        weights += 1;
        b.constant(&format!("w{weights}"), stored(&random(r, shape, 0.5), dtype))
    };
    let (w, bias) = (weight(&mut b, &[3 * HIDDEN, HIDDEN]), weight(&mut b, &[3 * HIDDEN]));
    let merged = b.linear("qkv", x, w, bias, None)?;
    let attention =
        Attention { heads: 2, scale: 0.35, operands: Operands::Merged, sequences: Sequences::KeyMask };
    let mixed = b.single("attention", Op::Attention(attention), &[merged, mask])?;
    b.checkpoint("attention", mixed)?;
    let (w, bias) = (weight(&mut b, &[HIDDEN, HIDDEN]), weight(&mut b, &[HIDDEN]));
    let projected = b.linear("attention.output", mixed, w, bias, None)?;
    let sum = b.add("attention.residual", projected, x)?;
    let (gamma, beta) = (weight(&mut b, &[HIDDEN]), weight(&mut b, &[HIDDEN]));
    let normed = b.layer_norm("attention.norm", sum, gamma, beta, 1e-5)?;
    b.checkpoint("attention.norm", normed)?;
    let (w, bias) = (weight(&mut b, &[INNER, HIDDEN]), weight(&mut b, &[INNER]));
    let inner = b.linear("inner", normed, w, bias, None)?;
    let inner = b.gelu("inner.gelu", inner, GeluForm::Erf)?;
    b.checkpoint("inner", inner)?;
    let (w, bias) = (weight(&mut b, &[HIDDEN, INNER]), weight(&mut b, &[HIDDEN]));
    let outer = b.linear("outer", inner, w, bias, None)?;
    let sum = b.add("outer.residual", outer, normed)?;
    let (gamma, beta) = (weight(&mut b, &[HIDDEN]), weight(&mut b, &[HIDDEN]));
    let y = b.layer_norm("outer.norm", sum, gamma, beta, 1e-5)?;
    b.output("y", y)?;
    b.finish()
}
