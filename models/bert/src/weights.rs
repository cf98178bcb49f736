//! Weights by name, checked against the config.
//!
//! Published BERTs spell the same tensors in several ways: with or without the `bert.` prefix of a model with a head, and
//! with LayerNorm's `gamma` and `beta` of the first release. A tensor that is missing or does not fit is noted and a
//! placeholder of the expected type stands in for it, so that the graph is built to its end and [`Weights::finish`]
//! reports everything that is wrong with a folder at once.

use crate::config::BertConfig;
use crate::error::Error;
use lockstep_graph::tensor::TensorSource;
use lockstep_graph::{DType, GraphBuilder, HostTensor, Result, TensorType, ValueId};
use std::collections::BTreeSet;
use std::fmt;

/// What transformers puts before the encoder's names in a model with a head.
const PREFIX: &str = "bert.";
/// The parts of the encoder, which have the prefix; a head's names never do.
const ENCODER: [&str; 3] = ["embeddings.", "encoder.", "pooler."];
/// LayerNorm's names of the first release, each with the name of today.
const OLD_NAMES: [(&str, &str); 2] = [("gamma", "weight"), ("beta", "bias")];
/// Tensors that are no cause for concern when a model does not use them: saved index buffers, the heads of pretraining,
/// and the parts that another class with the same encoder has.
const HARMLESS: [&str; 5] =
    ["embeddings.position_ids", "embeddings.token_type_ids", "cls.", "pooler.", "classifier."];
/// How many names a message spells out; a folder of another model can lack hundreds.
const NAMES_SPELLED_OUT: usize = 40;
/// How many misfits a message spells out: a line each, and all of one cause as a rule.
const MISFITS_SPELLED_OUT: usize = 8;

/// An extent of a weight, and the setting of `config.json` that it follows from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    size: usize,
    setting: &'static str,
}

impl Extent {
    pub(crate) fn new(size: usize, setting: &'static str) -> Self {
        Self { size, setting }
    }
}

/// How the weights of a folder differ from what its config asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WeightProblems {
    /// Tensors that the model needs and the folder does not hold.
    pub missing: Vec<String>,
    /// Tensors of another shape, or not of floats: each with what was found, what was expected and why.
    pub unfit: Vec<String>,
    /// What the difference looks like, and what to try.
    pub hint: String,
}

impl fmt::Display for WeightProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.missing.is_empty() {
            let names: Vec<String> = self.missing.iter().map(|name| format!("`{name}`")).collect();
            write!(
                f,
                "{} missing: {}; ",
                count(names.len(), "tensor"),
                spelled_out(&names, ", ", NAMES_SPELLED_OUT)
            )?;
        }
        if !self.unfit.is_empty() {
            write!(f, "{}; ", spelled_out(&self.unfit, "; ", MISFITS_SPELLED_OUT))?;
        }
        f.write_str(&self.hint)
    }
}

/// The tensors of a model while its graph is built.
pub(crate) struct Weights<'a> {
    source: &'a TensorSource,
    config: &'a BertConfig,
    compute: DType,
    /// The prefix that this file has, to call missing tensors what they would be called here.
    prefix: &'static str,
    used: BTreeSet<String>,
    problems: WeightProblems,
}

impl<'a> Weights<'a> {
    /// The weights of `source` for a model that computes in `compute`.
    ///
    /// Weights keep the dtype that they are stored in, and their bytes stay in the file's mapping: the ops read them as
    /// they are. Only the matrices of products are converted in f16 and bf16, where their bytes are what a run streams;
    /// biases, norms and embedding rows are few, and rounding them would cost accuracy for nothing.
    pub(crate) fn new(source: &'a TensorSource, config: &'a BertConfig, compute: DType) -> Self {
        let prefix = if source.names().any(|name| name.starts_with(PREFIX)) { PREFIX } else { "" };
        Self { source, config, compute, prefix, used: BTreeSet::new(), problems: WeightProblems::default() }
    }

    /// The dtype that the model computes in.
    pub(crate) fn compute(&self) -> DType {
        self.compute
    }

    /// The tensors whose names begin with `path`, a module of the model; of an empty path, all.
    pub(crate) fn module(&mut self, path: &str) -> Module<'_, 'a> {
        Module { path: path.to_owned(), weights: self }
    }

    /// Whether there is any tensor of a module, such as `pooler.dense`.
    pub(crate) fn has_module(&self, path: &str) -> bool {
        let inside = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.source.names().any(|name| inside(name.strip_prefix(PREFIX).unwrap_or(name)))
    }

    /// Closes the model: warnings about tensors that nothing used.
    ///
    /// # Errors
    /// [`Error::Weights`] lists every tensor that was missing or did not fit.
    pub(crate) fn finish(mut self) -> std::result::Result<Vec<String>, Error> {
        if !self.problems.missing.is_empty() || !self.problems.unfit.is_empty() {
            self.problems.hint = self.hint();
            return Err(Error::Weights { path: self.source.path().to_owned(), problems: self.problems });
        }
        let is_harmless = |name: &str| {
            let name = name.strip_prefix(PREFIX).unwrap_or(name);
            HARMLESS.iter().any(|known| name.starts_with(known))
        };
        let unused: Vec<String> = self
            .source
            .names()
            .filter(|name| !self.used.contains(*name) && !is_harmless(name))
            .map(|name| format!("`{name}`"))
            .collect();
        if unused.is_empty() {
            return Ok(Vec::new());
        }
        let (path, number) = (self.source.path().display(), count(unused.len(), "tensor"));
        let names = spelled_out(&unused, ", ", NAMES_SPELLED_OUT);
        Ok(vec![format!("{path}: {number} not used by the model of config.json: {names}")])
    }

    /// A weight as a constant of the graph, or a placeholder of its type where it is missing or does not fit.
    fn constant(
        &mut self,
        b: &mut GraphBuilder,
        module: &str,
        op: &str,
        part: &str,
        extents: &[Extent],
    ) -> Result<ValueId> {
        let shape: Vec<usize> = extents.iter().map(|extent| extent.size).collect();
        let tensor = match self.find(module, part) {
            Some(name) => self.fitting(&name, op, &shape, extents)?.map(|tensor| (name, tensor)),
            None => {
                let missing = format!("{}.{part}", self.as_stored(module));
                self.problems.missing.push(missing);
                None
            }
        };
        match tensor {
            Some((name, tensor)) => Ok(b.constant(&name, tensor)),
            None => b.input(&format!("{module}.{part}"), TensorType::fixed(self.compute, &shape)),
        }
    }

    /// The name that a weight has in this file.
    fn find(&mut self, module: &str, part: &str) -> Option<String> {
        let old = OLD_NAMES.iter().find(|(_, today)| *today == part && module.ends_with("LayerNorm"));
        let name = [Some(part), old.map(|(old, _)| *old)]
            .into_iter()
            .flatten()
            .flat_map(|part| [format!("{PREFIX}{module}.{part}"), format!("{module}.{part}")])
            .find(|name| self.source.contains(name))?;
        self.used.insert(name.clone());
        Some(name)
    }

    /// The tensor of that name in the dtype that the graph keeps it in; `None`, and a note, if it is not as expected.
    fn fitting(
        &mut self,
        name: &str,
        op: &str,
        shape: &[usize],
        extents: &[Extent],
    ) -> Result<Option<HostTensor>> {
        let tensor = self.source.tensor(name)?;
        let (module, part) = name.rsplit_once('.').unwrap_or(("", name));
        if tensor.shape() != shape {
            let settings = differing_settings(tensor.shape(), extents);
            let found = tensor.shape();
            let note = format!(
                "{module} ({op}): {part} is {found:?}, expected {shape:?} from config.json's {settings}"
            );
            self.problems.unfit.push(note);
            return Ok(None);
        }
        if !tensor.dtype().is_float() {
            let dtype = tensor.dtype();
            let note = format!(
                "{module} ({op}): {part} is {dtype}, expected f64, f32, f16 or bf16 (quantised weights are not read)"
            );
            self.problems.unfit.push(note);
            return Ok(None);
        }
        match self.compute {
            DType::F16 | DType::Bf16 if op == "Linear" && shape.len() == 2 => {
                Ok(Some(tensor.cast(self.compute)?))
            }
            _ => Ok(Some(tensor)),
        }
    }

    /// What a module is called in this file.
    fn as_stored(&self, module: &str) -> String {
        let prefix = if ENCODER.iter().any(|part| module.starts_with(part)) { self.prefix } else { "" };
        format!("{prefix}{module}")
    }

    fn hint(&self) -> String {
        let stored = self
            .source
            .names()
            .filter_map(|name| name.split_once("encoder.layer.")?.1.split_once('.')?.0.parse::<usize>().ok())
            .max()
            .map_or(0, |last| last.saturating_add(1));
        let configured = self.config.num_hidden_layers;
        if !self.problems.missing.is_empty() && stored > 0 && stored != configured {
            return format!(
                "config.json's num_hidden_layers is {configured}, the weights have {stored} layers"
            );
        }
        let file = self.source.path().file_name().unwrap_or_default().to_string_lossy();
        let example = match self.source.names().next() {
            Some(name) if self.used.is_empty() => format!(", which holds `{name}`,"),
            _ => String::new(),
        };
        format!("is this folder's {file}{example} of another model?")
    }
}

/// The weights of one module of the model, under its name.
pub(crate) struct Module<'w, 'a> {
    weights: &'w mut Weights<'a>,
    path: String,
}

impl Module<'_, '_> {
    /// Adds `x weight^T + bias`: `[.., input]` to `[.., output]`, with the weights `name.weight` `[output, input]` and
    /// `name.bias` `[output]`.
    ///
    /// # Errors
    /// As the builder's methods; a tensor that cannot be read.
    pub(crate) fn linear(
        &mut self,
        b: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        input: Extent,
        output: Extent,
    ) -> Result<ValueId> {
        let weight = self.constant(b, name, "Linear", "weight", &[output, input])?;
        let bias = self.constant(b, name, "Linear", "bias", &[output])?;
        b.linear(name, x, weight, bias, None)
    }

    /// Adds a LayerNorm over the last axis of `x`, with the weights `name.weight` and `name.bias`, both `[width]`.
    ///
    /// # Errors
    /// As [`Module::linear`].
    pub(crate) fn layer_norm(
        &mut self,
        b: &mut GraphBuilder,
        name: &str,
        x: ValueId,
        width: Extent,
    ) -> Result<ValueId> {
        let gamma = self.constant(b, name, "LayerNorm", "weight", &[width])?;
        let beta = self.constant(b, name, "LayerNorm", "bias", &[width])?;
        b.layer_norm(name, x, gamma, beta, self.weights.config.layer_norm_eps)
    }

    /// The table `name.weight` `[rows, width]` of an embedding, in the dtype that it is kept in.
    ///
    /// # Errors
    /// As [`Module::linear`].
    pub(crate) fn table(
        &mut self,
        b: &mut GraphBuilder,
        name: &str,
        rows: Extent,
        width: Extent,
    ) -> Result<ValueId> {
        self.constant(b, name, "Embedding", "weight", &[rows, width])
    }

    fn constant(
        &mut self,
        b: &mut GraphBuilder,
        name: &str,
        op: &str,
        part: &str,
        extents: &[Extent],
    ) -> Result<ValueId> {
        let separator = if self.path.is_empty() { "" } else { "." };
        let module = format!("{}{separator}{name}", self.path);
        self.weights.constant(b, &module, op, part, extents)
    }
}

/// The settings behind the extents that differ; behind all where the ranks do.
fn differing_settings(found: &[usize], extents: &[Extent]) -> String {
    let same_rank = found.len() == extents.len();
    let mut settings: Vec<&str> = extents
        .iter()
        .enumerate()
        .filter(|(axis, extent)| !same_rank || found[*axis] != extent.size)
        .map(|(_, extent)| extent.setting)
        .collect();
    settings.dedup();
    settings.join(" and ")
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what} is") } else { format!("{number} {what}s are") }
}

fn spelled_out(items: &[String], separator: &str, most: usize) -> String {
    let shown = items.len().min(most);
    let rest = match items.len() - shown {
        0 => String::new(),
        more => format!("{separator}and {more} more"),
    };
    format!("{}{rest}", items[..shown].join(separator))
}
