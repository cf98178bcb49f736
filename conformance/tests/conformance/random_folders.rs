//! BERT folders of every kind, small and random: each backend against the f64 reference, within bounds that follow from the
//! formats.
//!
//! **f64.** Two ways to sum the same products in f64: 1e-9 is a million times more than the rounding of networks this small.
//!
//! **f32, f16, bf16.** The yardstick is the *ideal device* of [`lockstep_conformance::rounding`]: it computes in f64 and rounds
//! every value that the device's plan stores, once, to the dtype it is stored in. A real device rounds at the same places,
//! and besides carries its sums in f32:
//!
//! * A sum of `K` products in f32 rounds K partial sums. Terms of random sign make partial sum `i` about `sqrt(i / K)` of
//!   the result's scale, so that all roundings together are `sqrt(K / 2)` times that of the result alone. The widest product
//!   of these models has K = 4 times hidden at most.
//! * So in f32 a device is within `1 + sqrt(K)` times the ideal's error; and twice that, since a maximum over some hundred
//!   numbers scatters and exp, erf and tanh are off by a unit or two more.
//! * In f16 and bf16 those partial sums are 2^13 and 2^16 times finer than what is stored: `sqrt(K) 2^-13` is below 1 %.
//!   What remains is that the device's roundings fall elsewhere than the ideal's, once the two have parted: the same
//!   distribution, another draw. The rms of some hundred correlated numbers then agrees within a factor of 1.5; the largest
//!   of them is one number from the tail and scatters more, within 2.

use crate::{folders, models};
use folders::{RandomModel, random_rows};
use lockstep_bert::fixtures::{Fixture, FixtureHead, Naming};
use lockstep_bert::{BertModel, Pooling};
use lockstep_conformance::rounding::{exact_in_f64, rounded_in_f64};
use lockstep_runtime::graph::{DType, Graph};
use lockstep_runtime::{Device, Packing, RunOptions, Session};
use models::{Batch, bert_small, candle, cpu, excerpt_ids, load, reference, session};
use std::sync::Arc;

/// What a run is compared on: its outputs and its last layer, one list of numbers over the tokens that there are.
#[derive(Debug)]
struct Numbers(Vec<f64>);

/// Errors against the truth.
#[derive(Clone, Copy, Debug)]
struct Error {
    rms: f64,
    largest: f64,
}

impl Numbers {
    fn of(session: &Session, rows: &[Vec<i64>], taps: &[&str]) -> Self {
        let result = Batch::of(rows).run(session, &RunOptions::new().taps(taps));
        let mut numbers = Vec::new();
        for (_, tensor) in result.outputs().iter().chain(result.taps()) {
            match tensor.shape().len() {
                3 => numbers.extend(models::token_rows(tensor, rows)),
                _ => numbers.extend(tensor.to_f64()),
            }
        }
        Self(numbers)
    }

    fn error(&self, truth: &Numbers) -> Error {
        assert_eq!(self.0.len(), truth.0.len());
        let squares: f64 = self.0.iter().zip(&truth.0).map(|(a, b)| (a - b).powi(2)).sum();
        Error {
            rms: (squares / self.0.len() as f64).sqrt(),
            largest: models::largest_difference(&self.0, &truth.0),
        }
    }
}

fn on(device: Arc<dyn Device>, graph: Graph) -> Session {
    Session::builder(graph).device(device).packing(Packing::Off).build().expect("the device runs the graph")
}

fn last_layer(model: &BertModel) -> String {
    format!("encoder.{}.output", model.config().num_hidden_layers - 1)
}

const EVERY_HEAD: [FixtureHead; 10] = [
    FixtureHead::SequenceClassification(1),
    FixtureHead::SequenceClassification(7),
    FixtureHead::TokenClassification(5),
    FixtureHead::Encoder,
    FixtureHead::EncoderWithoutPooler,
    FixtureHead::Embedding(Pooling::Mean),
    FixtureHead::Embedding(Pooling::Cls),
    FixtureHead::Embedding(Pooling::Max),
    FixtureHead::NormalizedEmbedding(Pooling::Mean),
    FixtureHead::NormalizedEmbedding(Pooling::Max),
];

/// Every head, and around them every way to name, store and shard, and extents that no tile divides.
fn fixtures() -> Vec<Fixture> {
    let extents =
        [(32, 4, 48), (18, 6, 35), (21, 7, 13), (36, 3, 40), (80, 1, 64), (33, 11, 129), (16, 16, 16)];
    let namings = [Naming::Plain, Naming::Prefixed, Naming::Old];
    let dtypes = [DType::F32, DType::F16, DType::Bf16, DType::F64];
    (EVERY_HEAD.into_iter().cycle().take(14).enumerate())
        .map(|(at, head)| {
            let (hidden_size, num_attention_heads, intermediate_size) = extents[at % extents.len()];
            Fixture {
                hidden_size,
                num_attention_heads,
                intermediate_size,
                num_hidden_layers: 1 + at % 3,
                max_position_embeddings: 17 + at,
                type_vocab_size: 1 + at % 2,
                hidden_act: ["gelu", "gelu_new"][at % 2],
                head,
                dtype: dtypes[at % dtypes.len()],
                naming: namings[at % namings.len()],
                shards: 1 + at % 4,
                seed: 100 + at as u64,
            }
        })
        .collect()
}

fn rows_of(fixture: &Fixture) -> Vec<Vec<i64>> {
    random_rows(fixture.seed, &[9, 1, 17, 4, 12, 2])
}

/// The ideal device's error for a model as the processor plans it, and the truth; both computed in f64 on `oracle`.
fn ideal(oracle: Arc<dyn Device>, model: &BertModel, rows: &[Vec<i64>], taps: &[&str]) -> (Numbers, Error) {
    let planned = session(model, cpu(), Packing::Off).prepared().graph().clone();
    let truth = Numbers::of(&on(oracle.clone(), exact_in_f64(model.graph()).expect("a graph")), rows, taps);
    let rounded = Numbers::of(&on(oracle, rounded_in_f64(&planned).expect("a graph")), rows, taps);
    let error = rounded.error(&truth);
    (truth, error)
}

#[test]
fn candle_in_f64_agrees_on_every_folder() {
    for fixture in fixtures() {
        let random = RandomModel::new(&fixture, DType::F64);
        let (rows, last) = (rows_of(&fixture), last_layer(&random.model));
        let run = |device| Numbers::of(&session(&random.model, device, Packing::Auto), &rows, &[&last]);
        let error = run(candle()).error(&run(reference()));
        assert!(error.largest <= 1e-9, "{fixture:?}: {error:?}");
    }
}

#[test]
fn every_backend_in_f32_is_within_a_few_roundings_on_every_folder() {
    let mut worst: f64 = 0.0;
    for fixture in fixtures() {
        let random = RandomModel::new(&fixture, DType::F32);
        let (rows, last) = (rows_of(&fixture), last_layer(&random.model));
        let (truth, ideal) = ideal(reference(), &random.model, &rows, &[&last]);
        let widest = fixture.hidden_size.max(fixture.intermediate_size) as f64;
        let factor = 2.0 * (1.0 + widest.sqrt());
        for (device, packing) in
            [(cpu(), Packing::Required), (cpu(), Packing::Off), (candle(), Packing::Auto)]
        {
            let id = device.info().id.clone();
            let error = Numbers::of(&session(&random.model, device, packing), &rows, &[&last]).error(&truth);
            worst = worst.max(error.rms / ideal.rms / factor);
            let holds = error.rms <= factor * ideal.rms && error.largest <= factor * ideal.largest;
            assert!(holds, "{id} {packing:?}, {fixture:?}: {error:?} against {ideal:?} times {factor:.1}");
        }
    }
    eprintln!("the worst rms is {worst:.2} of its bound");
}

fn hold_to_the_ideal(what: &str, error: Error, ideal: Error) {
    let (rms, largest) = (error.rms / ideal.rms, error.largest / ideal.largest);
    eprintln!(
        "{what}: rms {rms:.3}, largest {largest:.3} of the ideal's {:.2e} and {:.2e}",
        ideal.rms, ideal.largest
    );
    assert!(rms <= 1.5 && largest <= 2.0, "{what}: {error:?} against {ideal:?}");
}

#[test]
fn the_cpu_in_half_precision_is_as_good_as_the_format_on_every_folder() {
    for fixture in fixtures() {
        for dtype in [DType::F16, DType::Bf16] {
            let random = RandomModel::new(&fixture, dtype);
            let (rows, last) = (rows_of(&fixture), last_layer(&random.model));
            let (truth, ideal) = ideal(reference(), &random.model, &rows, &[&last]);
            for packing in [Packing::Required, Packing::Off] {
                let error =
                    Numbers::of(&session(&random.model, cpu(), packing), &rows, &[&last]).error(&truth);
                hold_to_the_ideal(&format!("{dtype} {packing:?} {:?}", fixture.head), error, ideal);
            }
        }
    }
}

/// The trained weights: class logits and their layers over short documents, tag logits token by token. The f64 is candle's,
/// which the tests above and `golden` hold to the reference: that one takes half a minute here.
#[test]
fn the_cpu_in_half_precision_is_as_good_as_the_format_on_the_trained_models() {
    let mut rows: Vec<Vec<i64>> = excerpt_ids();
    rows.sort_by_key(Vec::len);
    rows.truncate(6);
    for folder in ["document-classifier", "field-extractor"] {
        for dtype in [DType::F16, DType::Bf16] {
            let model = load(&bert_small(folder), dtype);
            for (of, taps) in
                [("logits", &[][..]), ("logits and layers", &["encoder.1.output", "encoder.3.output"])]
            {
                let (truth, ideal) = ideal(candle(), &model, &rows, taps);
                let error = Numbers::of(&session(&model, cpu(), Packing::Auto), &rows, taps).error(&truth);
                hold_to_the_ideal(&format!("{folder} {dtype}, {of}"), error, ideal);
            }
        }
    }
}
