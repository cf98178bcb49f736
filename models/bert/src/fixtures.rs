//! Small random BERT folders, for tests; behind the feature `fixtures`.
//!
//! A [`Fixture`] says what a folder is like and writes it: `config.json`, weights, `vocab.txt`. Values follow from the
//! seed and a tensor's own name, so that two fixtures that differ in how they are stored (prefix, old names, shards,
//! dtype) hold the same model. Names and shapes are spelled out here a second time, on purpose: they are what the loader
//! is tested against.

use crate::pooling::Pooling;
use lockstep_graph::tensor::write_safetensors;
use lockstep_graph::{DType, HostTensor};
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// What follows the encoder of a fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixtureHead {
    /// `BertModel` with a pooler.
    Encoder,
    /// `BertModel` without a pooler.
    EncoderWithoutPooler,
    /// `BertForSequenceClassification` with so many labels.
    SequenceClassification(usize),
    /// `BertForTokenClassification` with so many labels.
    TokenClassification(usize),
    /// A sentence-transformers folder.
    Embedding(Pooling),
    /// A sentence-transformers folder that ends in a `Normalize`.
    NormalizedEmbedding(Pooling),
}

/// How tensors are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `embeddings.LayerNorm.weight`, as a bare `BertModel` is saved.
    Plain,
    /// `bert.embeddings.LayerNorm.weight`, as a model with a head is saved.
    Prefixed,
    /// `bert.embeddings.LayerNorm.gamma`, as the first release was saved.
    Old,
}

/// A small random BERT folder.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// `hidden_size`; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// `num_hidden_layers`.
    pub num_hidden_layers: usize,
    /// `num_attention_heads`.
    pub num_attention_heads: usize,
    /// `intermediate_size`.
    pub intermediate_size: usize,
    /// `max_position_embeddings`.
    pub max_position_embeddings: usize,
    /// `type_vocab_size`.
    pub type_vocab_size: usize,
    /// `hidden_act`.
    pub hidden_act: &'static str,
    /// What follows the encoder.
    pub head: FixtureHead,
    /// The dtype of the stored weights, a float.
    pub dtype: DType,
    /// How tensors are named.
    pub naming: Naming,
    /// Into how many files the weights are split; 1 is a plain `model.safetensors`.
    pub shards: usize,
    /// What the values follow from.
    pub seed: u64,
}

impl Default for Fixture {
    /// Two layers of width 32 with four heads, a classifier of three labels, f32, one file.
    fn default() -> Self {
        Self {
            hidden_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            intermediate_size: 48,
            max_position_embeddings: 64,
            type_vocab_size: 2,
            hidden_act: "gelu",
            head: FixtureHead::SequenceClassification(3),
            dtype: DType::F32,
            naming: Naming::Prefixed,
            shards: 1,
            seed: 1,
        }
    }
}

impl Fixture {
    /// Writes the whole folder, which must exist.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        write_json(&folder.join("config.json"), &self.config())?;
        std::fs::write(folder.join("vocab.txt"), vocabulary().join("\n"))?;
        let tokenizer = json!({
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": true,
            "model_max_length": self.max_position_embeddings,
        });
        write_json(&folder.join("tokenizer_config.json"), &tokenizer)?;
        self.write_modules(folder)?;
        self.write_weights(folder, &self.tensors())
    }

    /// Writes only the weights, and in place of the fixture's own, these: for folders that are wrong.
    ///
    /// # Errors
    /// What the system said.
    pub fn write_weights(&self, folder: &Path, tensors: &[(String, HostTensor)]) -> io::Result<()> {
        let save = |file: &str, tensors: &[(String, HostTensor)]| {
            write_safetensors(
                &folder.join(file),
                tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)),
            )
            .map_err(io::Error::other)
        };
        if self.shards <= 1 {
            return save("model.safetensors", tensors);
        }
        let mut weight_map = serde_json::Map::new();
        for (at, part) in tensors.chunks(tensors.len().div_ceil(self.shards).max(1)).enumerate() {
            let file = format!("model-{:05}-of-{:05}.safetensors", at + 1, self.shards);
            save(&file, part)?;
            weight_map.extend(part.iter().map(|(name, _)| (name.clone(), json!(file))));
        }
        write_json(&folder.join("model.safetensors.index.json"), &json!({ "weight_map": weight_map }))
    }

    /// Every tensor, in the file's names and dtype.
    pub fn tensors(&self) -> Vec<(String, HostTensor)> {
        self.shapes()
            .into_iter()
            .map(|(name, shape)| {
                let values = values(self.seed, &name, &shape);
                let tensor =
                    HostTensor::from_f64(self.dtype, &shape, &values).expect("one value per element");
                (self.stored_name(&name), tensor)
            })
            .collect()
    }

    /// The content of `config.json`.
    pub fn config(&self) -> Value {
        let (architecture, labels) = match self.head {
            FixtureHead::SequenceClassification(labels) => ("BertForSequenceClassification", labels),
            FixtureHead::TokenClassification(labels) => ("BertForTokenClassification", labels),
            _ => ("BertModel", 2),
        };
        let id2label: serde_json::Map<String, Value> =
            (0..labels).map(|label| (label.to_string(), json!(format!("label {label}")))).collect();
        json!({
            "architectures": [architecture],
            "model_type": "bert",
            "vocab_size": vocabulary().len(),
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "intermediate_size": self.intermediate_size,
            "hidden_act": self.hidden_act,
            "max_position_embeddings": self.max_position_embeddings,
            "type_vocab_size": self.type_vocab_size,
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
            "id2label": id2label,
        })
    }

    /// Today's name without a prefix, and the shape, of every tensor.
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let mut shapes = Vec::new();
        let mut dense = |name: &str, output: usize, input: usize| {
            shapes.push((format!("{name}.weight"), vec![output, input]));
            shapes.push((format!("{name}.bias"), vec![output]));
        };
        for layer in 0..self.num_hidden_layers {
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                dense(&format!("encoder.layer.{layer}.attention.{part}"), hidden, hidden);
            }
            dense(&format!("encoder.layer.{layer}.intermediate.dense"), inner, hidden);
            dense(&format!("encoder.layer.{layer}.output.dense"), hidden, inner);
        }
        match self.head {
            FixtureHead::SequenceClassification(labels) => {
                dense("pooler.dense", hidden, hidden);
                dense("classifier", labels, hidden);
            }
            FixtureHead::TokenClassification(labels) => dense("classifier", labels, hidden),
            FixtureHead::EncoderWithoutPooler => {}
            _ => dense("pooler.dense", hidden, hidden),
        }
        let mut norms = vec!["embeddings".to_owned()];
        for layer in 0..self.num_hidden_layers {
            norms.extend(["attention.output", "output"].map(|part| format!("encoder.layer.{layer}.{part}")));
        }
        for norm in norms {
            shapes.extend(["weight", "bias"].map(|part| (format!("{norm}.LayerNorm.{part}"), vec![hidden])));
        }
        let tables = [
            ("word", vocabulary().len()),
            ("position", self.max_position_embeddings),
            ("token_type", self.type_vocab_size),
        ];
        shapes.extend(
            tables.map(|(kind, rows)| (format!("embeddings.{kind}_embeddings.weight"), vec![rows, hidden])),
        );
        shapes
    }

    fn stored_name(&self, name: &str) -> String {
        let name = match self.naming {
            Naming::Old => name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta"),
            Naming::Plain | Naming::Prefixed => name.to_owned(),
        };
        match self.naming {
            Naming::Prefixed | Naming::Old if !name.starts_with("classifier") => format!("bert.{name}"),
            _ => name,
        }
    }

    fn write_modules(&self, folder: &Path) -> io::Result<()> {
        let (pooling, normalize) = match self.head {
            FixtureHead::Embedding(pooling) => (pooling, false),
            FixtureHead::NormalizedEmbedding(pooling) => (pooling, true),
            _ => return Ok(()),
        };
        let module = |index: usize, kind: &str, path: &str| {
            json!({ "idx": index, "name": index.to_string(), "path": path,
                    "type": format!("sentence_transformers.models.{kind}") })
        };
        let mut modules = vec![module(0, "Transformer", ""), module(1, "Pooling", "1_Pooling")];
        if normalize {
            modules.push(module(2, "Normalize", "2_Normalize"));
        }
        write_json(&folder.join("modules.json"), &Value::Array(modules))?;
        let pooling_folder = folder.join("1_Pooling");
        std::fs::create_dir_all(&pooling_folder)?;
        let settings = json!({
            "word_embedding_dimension": self.hidden_size,
            "pooling_mode_cls_token": pooling == Pooling::Cls,
            "pooling_mode_mean_tokens": pooling == Pooling::Mean,
            "pooling_mode_max_tokens": pooling == Pooling::Max,
        });
        write_json(&pooling_folder.join("config.json"), &settings)
    }
}

/// The tokens of every fixture: the special ones, then ASCII, continuations of words, and some Chinese characters.
pub fn vocabulary() -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let printable = ('!'..='~').filter(|c| !c.is_ascii_uppercase()).map(String::from);
    let continued = ('0'..='9').chain('a'..='z').map(|c| format!("##{c}"));
    let chinese =
        "的一是在人有我他这中大来上国个到说们为子兹证明王伟系单位员工月均收入元借款年利率，。".chars();
    special.into_iter().chain(printable).chain(continued).chain(chinese.map(String::from)).collect()
}

/// Values as a trained model has them, in kind: rows of weights that keep a vector's length, scales of LayerNorm about 1,
/// small biases. Larger than BERT's initial 0.02, at which attention is all but uniform and hides mistakes.
fn values(seed: u64, name: &str, shape: &[usize]) -> Vec<f64> {
    let mut random = Random::of(seed, name);
    let fan_in = shape.last().copied().unwrap_or(1) as f64;
    let (mean, deviation) = match name {
        _ if name.ends_with("LayerNorm.weight") => (1.0, 0.1),
        _ if name.ends_with("bias") => (0.0, 0.1),
        _ if name.starts_with("embeddings") => (0.0, 0.5),
        _ if name.ends_with("query.weight") || name.ends_with("key.weight") => (0.0, 1.5 / fan_in.sqrt()),
        _ => (0.0, 1.0 / fan_in.sqrt()),
    };
    (0..shape.iter().product()).map(|_| mean + deviation * random.normal()).collect()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    /// A generator that follows from a seed and a name, which FNV-1a turns into a number.
    fn of(seed: u64, name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Mean 0, variance 1, bell-shaped: the sum of four uniform numbers, which every machine computes to the same bit.
    fn normal(&mut self) -> f64 {
        let uniform = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        let sum: f64 = (0..4).map(|_| uniform(self.next())).sum();
        (sum - 2.0) * 3f64.sqrt()
    }
}

fn write_json(path: &Path, value: &Value) -> io::Result<()> {
    std::fs::write(path, serde_json::to_vec_pretty(value)?)
}

/// Rows of so many token ids each, padded to the longest, as the three inputs of a BERT with a vocabulary of 1,001 or more: i64
/// `[rows, longest]`. Ids of a row follow from its number and the position alone.
pub fn padded_inputs(lengths: &[usize]) -> [(&'static str, HostTensor); 3] {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let fill = |value: &dyn Fn(usize, usize) -> i64| {
        let rows = (0..lengths.len()).flat_map(|row| (0..longest).map(move |at| (row, at)));
        let values: Vec<i64> = rows.map(|(row, at)| value(row, at)).collect();
        HostTensor::from_slice(&[lengths.len(), longest], &values).expect("a value for each element")
    };
    let id =
        |row: usize, at: usize| if at < lengths[row] { 101 + (row * 31 + at * 97) as i64 % 900 } else { 0 };
    [
        ("input_ids", fill(&id)),
        ("token_type_ids", fill(&|_, _| 0)),
        ("attention_mask", fill(&|row, at| i64::from(at < lengths[row]))),
    ]
}
