//! One graph on one device, run from any number of threads.
//!
//! A session prepares the graph once, then keeps a compiled program per set of extents, outputs and taps. Programs that
//! are not running wait in a small least-recently-used store; two runs at once take two programs. Weights are shared by
//! all of them, through the device. Where the device prefers it a batch is filled up to a bucket first, so that few programs
//! serve all batches, and results are cut back.

use crate::{Error, Result, inputs::bind_inputs};
use lockstep_plan::hal::graph::{Graph, HostTensor, SymbolValues, TensorType};
use lockstep_plan::hal::tensor::{AlignedBytes, Bytes};
use lockstep_plan::hal::{Buffer, Cancel, Device, Executable, Usage, Work};
use lockstep_plan::{BoundProgram, Extents, Fallback, Packing, PlanOptions, Prepared};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of arenas and buffers that programs at rest may hold, unless [`SessionBuilder::cache_bytes`] says otherwise.
const CACHE_BYTES: usize = 64 << 20;

/// Builds a [`Session`].
#[derive(Debug)]
pub struct SessionBuilder {
    graph: Graph,
    device: Option<Arc<dyn Device>>,
    options: PlanOptions,
    cache_bytes: usize,
}

impl SessionBuilder {
    /// The device to run on. Required.
    pub fn device(mut self, device: Arc<dyn Device>) -> Self {
        self.device = Some(device);
        self
    }

    /// Whether sequences are packed; by default where the device prefers it.
    pub fn packing(mut self, packing: Packing) -> Self {
        self.options.packing = packing;
        self
    }

    /// Whether programs are made for each batch's extents or for buckets; by default as the device prefers. The bits are the
    /// same where the device is batch invariant.
    pub fn extents(mut self, extents: Extents) -> Self {
        self.options.extents = extents;
        self
    }

    /// What happens to nodes the device refuses; by default an error that lists them.
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.options.fallback = fallback;
        self
    }

    /// Whether nodes are fused; on by default. Off, every node of the graph runs on its own.
    pub fn fuse(mut self, fuse: bool) -> Self {
        self.options.fuse = fuse;
        self
    }

    /// How many bytes programs at rest may hold (64 MiB by default); one is always kept.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Prepares the graph for the device.
    ///
    /// # Errors
    /// [`Error::NoDevice`]; otherwise those of [`Prepared::new`].
    pub fn build(self) -> Result<Session> {
        let device = self.device.ok_or(Error::NoDevice)?;
        let prepared = Prepared::new(&self.graph, device, self.options)?;
        Ok(Session { prepared, cache_bytes: self.cache_bytes, idle: Mutex::new(Vec::new()) })
    }
}

/// What one run should give, and when it should stop.
#[derive(Clone, Debug, Default)]
pub struct RunOptions<'a> {
    outputs: Option<Vec<&'a str>>,
    taps: Vec<&'a str>,
    cancel: Cancel,
}

impl<'a> RunOptions<'a> {
    /// Every output, no taps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these outputs; what only others need is not computed.
    pub fn outputs(mut self, names: &[&'a str]) -> Self {
        self.outputs = Some(names.to_vec());
        self
    }

    /// These checkpoints too. The run's bits stay the same.
    pub fn taps(mut self, names: &[&'a str]) -> Self {
        self.taps = names.to_vec();
        self
    }

    /// A flag that stops the run between two steps.
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct RunResult {
    outputs: Vec<(String, HostTensor)>,
    taps: Vec<(String, HostTensor)>,
    device_time: Option<Duration>,
    work: Option<Work>,
}

impl RunResult {
    /// The output of that name.
    ///
    /// # Errors
    /// [`Error::NoOutput`] lists what there is.
    pub fn output(&self, name: &str) -> Result<&HostTensor> {
        find(&self.outputs, name)
    }

    /// The tapped checkpoint of that name.
    ///
    /// # Errors
    /// [`Error::NoOutput`] lists what there is.
    pub fn tap(&self, name: &str) -> Result<&HostTensor> {
        find(&self.taps, name)
    }

    /// The outputs, in the graph's order or the order asked for.
    pub fn outputs(&self) -> &[(String, HostTensor)] {
        &self.outputs
    }

    /// The tapped checkpoints, in the order asked for.
    pub fn taps(&self) -> &[(String, HostTensor)] {
        &self.taps
    }

    /// How long the run took on the device itself, where the device measures that ([`Executable::device_time`]).
    pub fn device_time(&self) -> Option<Duration> {
        self.device_time
    }

    /// What the run asked of the device, where the device keeps count ([`Executable::work`]).
    pub fn work(&self) -> Option<Work> {
        self.work
    }
}

fn find<'a>(all: &'a [(String, HostTensor)], name: &str) -> Result<&'a HostTensor> {
    all.iter().find(|(given, _)| given == name).map(|(_, tensor)| tensor).ok_or_else(|| Error::NoOutput {
        name: name.to_owned(),
        given: all.iter().map(|(given, _)| given.clone()).collect(),
    })
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    symbols: SymbolValues,
    outputs: Vec<String>,
    taps: Vec<String>,
}

/// A compiled program with its buffers.
struct Compiled {
    key: Key,
    bound: BoundProgram,
    executable: Box<dyn Executable>,
    /// Empty where the program brings its own staging.
    io: Vec<Buffer>,
    bytes: usize,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("key", &self.key).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// One graph, ready on one device.
#[derive(Debug)]
pub struct Session {
    prepared: Prepared,
    cache_bytes: usize,
    /// Programs at rest, the least recently used first.
    idle: Mutex<Vec<Compiled>>,
}

impl Session {
    /// Starts building a session for a graph.
    pub fn builder(graph: Graph) -> SessionBuilder {
        SessionBuilder { graph, device: None, options: PlanOptions::default(), cache_bytes: CACHE_BYTES }
    }

    /// The plan behind it.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Runs the graph and gives every output.
    ///
    /// # Errors
    /// As [`Session::run_with`].
    pub fn run(&self, inputs: &[(&str, &HostTensor)]) -> Result<RunResult> {
        self.run_with(inputs, &RunOptions::new())
    }

    /// Runs the graph. May be called from several threads at once.
    ///
    /// # Errors
    /// [`Error::Input`] for inputs that do not fit; an unknown output or checkpoint; [`Error::Device`] for values an op
    /// cannot take (an id outside its table), a cancelled run ([`Error::is_cancelled`]), or a fault of the device.
    pub fn run_with(&self, inputs: &[(&str, &HostTensor)], options: &RunOptions<'_>) -> Result<RunResult> {
        let _span = tracing::debug_span!("run", device = %self.prepared.device().info().id).entered();
        let given = by_name(inputs)?;
        let symbols = bind_inputs(self.prepared.source(), &given)?;
        let Some(batch) = self.prepared.padded(&given)? else {
            return self.run_given(given, symbols, options);
        };
        let padded = batch.inputs();
        let bucket = bind_inputs(self.prepared.source(), &padded)?;
        match self.run_given(padded, bucket, options) {
            // The graph takes no batch as long as the bucket's.
            Err(Error::Plan(lockstep_plan::Error::Graph(error))) => {
                tracing::debug!(%error, "no bucket");
                self.run_given(given, symbols, options)
            }
            ran => {
                let mut ran = ran?;
                for (name, tensor) in ran.outputs.iter_mut().chain(&mut ran.taps) {
                    *tensor = self.prepared.cut(&batch, name, tensor)?;
                }
                Ok(ran)
            }
        }
    }

    fn run_given(
        &self,
        given: BTreeMap<&str, &HostTensor>,
        mut symbols: SymbolValues,
        options: &RunOptions<'_>,
    ) -> Result<RunResult> {
        let derived = self.prepared.derive(&mut symbols, &given)?;
        let mut given = given;
        given.extend(derived.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        let mut compiled = self.take(self.key(symbols, options))?;
        let ran = self.execute(&mut compiled, &given, &options.cancel);
        // A failed run leaves the program as good as before: every run writes all that it reads.
        self.give_back(compiled);
        ran
    }

    /// The program that such a run executes at exactly these extents, and its inputs in the program's order, derived ones
    /// included; for those who want to look at each step on its own.
    ///
    /// # Errors
    /// As [`Session::run_with`], before anything runs.
    pub fn bind(
        &self,
        inputs: &[(&str, &HostTensor)],
        options: &RunOptions<'_>,
    ) -> Result<(BoundProgram, Vec<HostTensor>)> {
        let given = by_name(inputs)?;
        let mut symbols = bind_inputs(self.prepared.source(), &given)?;
        let derived = self.prepared.derive(&mut symbols, &given)?;
        let key = self.key(symbols, options);
        let bound = self.prepared.bind(&key.symbols, &names(&key.outputs), &names(&key.taps))?;
        let derived: BTreeMap<&str, &HostTensor> =
            derived.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let tensors = bound.inputs.iter().map(|name| {
            let tensor = given.get(name.as_str()).or_else(|| derived.get(name.as_str()));
            tensor.map(|tensor| (*tensor).clone()).ok_or_else(|| not_given(name))
        });
        let tensors = tensors.collect::<Result<_>>()?;
        Ok((bound, tensors))
    }

    fn key(&self, symbols: SymbolValues, options: &RunOptions<'_>) -> Key {
        let outputs = match &options.outputs {
            Some(names) => names.iter().map(|name| (*name).to_owned()).collect(),
            None => self.prepared.graph().outputs().iter().map(|(name, _)| name.clone()).collect(),
        };
        Key { symbols, outputs, taps: options.taps.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn take(&self, key: Key) -> Result<Compiled> {
        {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = idle.iter().position(|compiled| compiled.key == key) {
                return Ok(idle.remove(at));
            }
        }
        self.compile(key)
    }

    fn compile(&self, key: Key) -> Result<Compiled> {
        let _span = tracing::debug_span!("compile", symbols = ?key.symbols).entered();
        let bound = self.prepared.bind(&key.symbols, &names(&key.outputs), &names(&key.taps))?;
        let device = self.prepared.device();
        let mut executable = device.clone().compile(bound.program.clone())?;
        let sizes = bound.program.io().iter().map(|&id| bound.program.operand(id).bytes());
        let bytes = bound.program.arena_bytes() + sizes.clone().sum::<usize>();
        let bytes = executable.resting_bytes().unwrap_or(bytes);
        let mut io = Vec::new();
        if executable.staged().is_none() {
            for (slot, size) in sizes.enumerate() {
                let usage = if slot < bound.program.input_count() { Usage::Input } else { Usage::Output };
                io.push(device.alloc(size, usage)?);
            }
        }
        Ok(Compiled { key, bound, executable, io, bytes })
    }

    fn give_back(&self, compiled: Compiled) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(compiled);
        while idle.len() > 1 && idle.iter().map(|compiled| compiled.bytes).sum::<usize>() > self.cache_bytes {
            idle.remove(0);
        }
    }

    fn execute(
        &self,
        compiled: &mut Compiled,
        inputs: &BTreeMap<&str, &HostTensor>,
        cancel: &Cancel,
    ) -> Result<RunResult> {
        let Compiled { bound, executable, io, .. } = compiled;
        let given = bound.inputs.iter().map(|name| {
            inputs.get(name.as_str()).map(|tensor| tensor.bytes()).ok_or_else(|| not_given(name))
        });
        let given: Vec<&[u8]> = given.collect::<Result<_>>()?;
        let produced = &bound.program.io()[given.len()..];
        let sizes = produced.iter().map(|&id| bound.program.operand(id).bytes());
        let mut results: Vec<AlignedBytes> = sizes.map(AlignedBytes::zeroed).collect();
        if let Some(staged) = executable.staged() {
            let mut targets: Vec<&mut [u8]> = results.iter_mut().map(AlignedBytes::as_mut_slice).collect();
            staged.run(&given, &mut targets, cancel)?;
        } else {
            let device = self.prepared.device();
            for (buffer, bytes) in io.iter().zip(&given) {
                device.write(buffer, 0, bytes)?;
            }
            executable.submit(io, cancel)?;
            executable.wait()?;
            for (buffer, result) in io[given.len()..].iter().zip(&mut results) {
                device.read(buffer, 0, result.as_mut_slice())?;
            }
        }
        let mut results = results.into_iter();
        Ok(RunResult {
            outputs: named(&bound.outputs, &mut results)?,
            taps: named(&bound.taps, &mut results)?,
            device_time: executable.device_time(),
            work: executable.work(),
        })
    }
}

fn names(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

fn by_name<'a>(inputs: &[(&'a str, &'a HostTensor)]) -> Result<BTreeMap<&'a str, &'a HostTensor>> {
    let mut given = BTreeMap::new();
    for (name, tensor) in inputs {
        if given.insert(*name, *tensor).is_some() {
            return Err(Error::Input { input: (*name).to_owned(), reason: "was given twice".into() });
        }
    }
    Ok(given)
}

fn not_given(name: &str) -> Error {
    Error::Input { input: name.to_owned(), reason: "the plan reads it, and nothing gives it".into() }
}

/// The next results with the names and types that the plan gives them.
fn named(
    wanted: &[(String, TensorType)],
    results: &mut dyn Iterator<Item = AlignedBytes>,
) -> Result<Vec<(String, HostTensor)>> {
    let tensor = |((name, ty), bytes): (&(String, TensorType), AlignedBytes)| {
        let shape = ty.fixed_shape().unwrap_or_default();
        Ok((name.clone(), HostTensor::from_bytes(ty.dtype, &shape, Bytes::owned(bytes))?))
    };
    wanted.iter().zip(results).map(tensor).collect()
}
