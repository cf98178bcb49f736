//! Loaded models, by their ids.

use crate::offline::description::Description;
use crate::offline::memory::{Brought, Memory};
use crate::offline::program::Program;
use crate::offline::turns::Turns;
use crate::runtime::errors::Failure;
use crate::runtime::{context, lock};
use lockstep_ascend_container as container;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A file that was read and planned, and its constants.
pub(super) struct Compiled<'a> {
    pub(super) description: Description,
    pub(super) programs: Vec<Program>,
    constants: &'a [u8],
}

impl<'a> Compiled<'a> {
    /// Of the bytes of `what`.
    ///
    /// # Errors
    /// Of the graph engine's codes for what of a model is not loaded, our reading: 545005, its kernels, for a real `.om`;
    /// 545004, its tasks, for a step that no kernel takes; 545002, the model itself, for the rest.
    pub(super) fn of(bytes: &'a [u8], what: &str) -> Result<Self, Failure> {
        let (model, constants) = container::read(bytes).map_err(|error| {
            let code = if error == container::Error::Real { 545_005 } else { 545_002 };
            Failure::new(code, format!("{what} {error}"))
        })?;
        let programs =
            model.gears.iter().map(|gear| Program::of(&model, gear)).collect::<Result<Vec<_>, _>>();
        let programs = programs.map_err(|reason| Failure::new(545_004, format!("{what}: {reason}")))?;
        let description = Description::of(&model, &programs)
            .map_err(|reason| Failure::new(545_002, format!("{what} is no model of atc-sim: {reason}")))?;
        Ok(Self { description, programs, constants })
    }

    /// Bytes of work memory, for whatever gear.
    pub(super) fn work_bytes(&self) -> usize {
        self.programs.iter().map(|program| program.work_bytes).max().unwrap_or(0)
    }

    /// Bytes of weight memory.
    pub(super) fn weight_bytes(&self) -> usize {
        self.constants.len()
    }
}

/// A model that can be run.
pub(super) struct Loaded {
    pub(super) id: u32,
    pub(super) description: Arc<Description>,
    pub(super) programs: Vec<Program>,
    pub(super) device: i32,
    pub(super) weights: Memory,
    pub(super) work: Memory,
    /// The gear that was chosen last, of whatever dataset, for `aclmdlGetCurOutputDims`.
    pub(super) last_gear: AtomicUsize,
    /// Its runs.
    pub(super) turns: Arc<Turns>,
    context: usize,
    made_by: &'static str,
}

static MODELS: Mutex<BTreeMap<u32, Arc<Loaded>>> = Mutex::new(BTreeMap::new());
/// An id is given once.
static IDS: AtomicU32 = AtomicU32::new(1);

/// Loads what `made_by` has read, into the current context; gives its id.
///
/// # Errors
/// 107002 without a context; as for [`Memory::new`].
pub(super) fn load(
    compiled: Compiled<'_>,
    work: Brought,
    weights: Brought,
    made_by: &'static str,
) -> Result<u32, Failure> {
    let context = context::current()?;
    let device = context.device;
    let (work_bytes, weight_bytes) = (compiled.work_bytes(), compiled.weight_bytes());
    let weights = Memory::new(weights, weight_bytes, device, "weight", made_by)?;
    let work = Memory::new(work, work_bytes, device, "work", made_by)?;
    weights
        .write(compiled.constants, device, "weight memory")
        .map_err(|fault| Failure::new(fault.code, fault.text))?;
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    let loaded = Loaded {
        id,
        last_gear: AtomicUsize::new(compiled.programs.len() - 1),
        description: Arc::new(compiled.description),
        programs: compiled.programs,
        device,
        weights,
        work,
        turns: Arc::default(),
        context: context.handle,
        made_by,
    };
    lock(&MODELS).insert(id, Arc::new(loaded));
    Ok(id)
}

/// A loaded model, for asking about it.
///
/// # Errors
/// 145003 if there is none of that id.
pub(super) fn known(id: u32) -> Result<Arc<Loaded>, Failure> {
    let found = lock(&MODELS).get(&id).cloned();
    found.ok_or_else(|| Failure::new(145_003, format!("modelId is {id}, and no model of that id is loaded")))
}

/// A loaded model of the current context, for running, changing or unloading it.
///
/// # Errors
/// As for [`known`]; 107004 in another context.
pub(super) fn live(id: u32) -> Result<Arc<Loaded>, Failure> {
    let found = known(id)?;
    match found.context == context::current()?.handle {
        true => Ok(found),
        false => Err(Failure::new(107_004, "the model was loaded in another context than the current one")),
    }
}

/// Unloads a model, and gives back the memory that the system found for it.
///
/// # Errors
/// As for [`live`]. 545009 while it runs, which is our reading: the documents do not say whether it waits.
pub(super) fn unload(id: u32) -> Result<(), Failure> {
    let model = live(id)?;
    if !model.turns.end() {
        return Err(Failure::new(545_009, "the model still runs, or is about to; wait for its stream first"));
    }
    lock(&MODELS).remove(&id);
    Ok(())
}

/// How many are loaded.
pub(super) fn count() -> usize {
    lock(&MODELS).len()
}

/// The loaded ones, one line each.
pub(super) fn leaks() -> Vec<String> {
    let describe =
        |model: &Arc<Loaded>| format!("model {} `{}` by {}", model.id, model.description.name, model.made_by);
    lock(&MODELS).values().map(describe).collect()
}
