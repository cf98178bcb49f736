//! BERT's WordPiece tokenizer from a `vocab.txt`, as transformers builds it.

use super::settings::{Settings, SpecialTokens};
use crate::error::{Error, Result};
use crate::folder::read_text;
use std::path::Path;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
// The same map as WordPiece's own, which is private.
use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::{AddedToken, Tokenizer};

/// Classes that are BERT's tokenizer under another name; any other (BertJapaneseTokenizer, ...) splits otherwise.
const CLASSES: [&str; 8] = [
    "BertTokenizer",
    "BertTokenizerFast",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "ElectraTokenizer",
    "ElectraTokenizerFast",
    "PreTrainedTokenizerFast",
    "TokenizersBackend",
];

/// Builds the tokenizer: clean, split Chinese characters, lower-case and strip accents as the settings say; split at
/// spaces and punctuation; WordPiece with `##`; `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`.
pub(super) fn from_vocab(vocab: &Path, settings: &Settings) -> Result<Tokenizer> {
    if let Some(class) = settings.class.as_deref()
        && !CLASSES.contains(&class)
    {
        let feature = format!("tokenizer_class {class:?} without a tokenizer.json");
        return Err(Error::unsupported(&settings.path, feature, CLASSES.join(", ")));
    }
    let text = read_text(vocab)?;
    // A token that is listed twice has its last line's id, as in transformers.
    let ids: Vocab = text.lines().zip(0u32..).map(|(token, id)| (token.to_owned(), id)).collect();
    let wordpiece = WordPiece::builder()
        .vocab(ids)
        .unk_token(settings.special.unknown.clone())
        .build()
        .map_err(|error| unusable(vocab, error))?;
    let mut tokenizer = Tokenizer::new(wordpiece);
    let unknown = &settings.special.unknown;
    if tokenizer.token_to_id(unknown).is_none() {
        return Err(unusable(vocab, format!("the unknown token {unknown:?} is not among its lines")));
    }
    let template = bert_template(&tokenizer, &settings.special, vocab)?;
    tokenizer
        .with_normalizer(Some(bert_normalizer(settings)))
        .map_err(|error| unusable(vocab, error))?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_decoder(Some(WordPieceDecoder::default()))
        .with_post_processor(Some(template));
    add_tokens(&mut tokenizer, settings, vocab)?;
    Ok(tokenizer)
}

/// The normaliser that the settings ask for; what they leave open is as in transformers' `BertTokenizer`.
pub(super) fn bert_normalizer(settings: &Settings) -> BertNormalizer {
    let clean_text = true;
    let split_chinese = settings.split_chinese.unwrap_or(true);
    BertNormalizer::new(clean_text, split_chinese, settings.strip_accents, settings.lowercase.unwrap_or(true))
}

/// `[CLS] A [SEP]` with segment 0, and `B [SEP]` with segment 1.
///
/// # Errors
/// [`Error::Tokenizer`] names the special token that the vocabulary in `file` lacks.
pub(super) fn bert_template(
    tokenizer: &Tokenizer,
    special: &SpecialTokens,
    file: &Path,
) -> Result<TemplateProcessing> {
    let token = |name: &str, content: &String| {
        let id = tokenizer.token_to_id(content).ok_or_else(|| {
            unusable(file, format!("the special token {content:?} is not in the vocabulary"))
        })?;
        SpecialToken::new(name.to_owned(), vec![id], vec![content.clone()])
            .map_err(|error| unusable(file, error))
    };
    // Named here and not by content, which may hold the characters that templates give a meaning.
    TemplateProcessing::builder()
        .try_single("cls $A sep")
        .map_err(|error| unusable(file, error))?
        .try_pair("cls $A sep $B:1 sep:1")
        .map_err(|error| unusable(file, error))?
        .special_tokens(vec![token("cls", &special.cls)?, token("sep", &special.sep)?])
        .build()
        .map_err(|error| unusable(file, error))
}

/// Registers the special tokens, so that text may contain them, and the tokens beyond the vocabulary.
fn add_tokens(tokenizer: &mut Tokenizer, settings: &Settings, vocab: &Path) -> Result<()> {
    for (id, token) in &settings.added {
        let content = token.content.clone();
        tokenizer.add_tokens([token.clone()]).map_err(|error| unusable(vocab, error))?;
        let given = tokenizer.token_to_id(&content);
        if given != Some(*id) {
            let found = given.map_or("none".to_owned(), |id| id.to_string());
            let reason = format!(
                "the added token {content:?} must have the id {id} and would get {found}; \
                 the vocabulary and the added tokens are of different tokenizers"
            );
            return Err(unusable(&settings.path, reason));
        }
    }
    let special = &settings.special;
    let named = [&special.unknown, &special.sep, &special.pad, &special.cls, &special.mask];
    let known: Vec<AddedToken> = named
        .into_iter()
        .filter(|content| tokenizer.token_to_id(content).is_some())
        .map(|content| AddedToken::from(content.clone(), true))
        .collect();
    tokenizer.add_special_tokens(known).map_err(|error| unusable(vocab, error))?;
    Ok(())
}

fn unusable(file: &Path, reason: impl ToString) -> Error {
    Error::Tokenizer {
        path: file.to_owned(),
        reason: reason.to_string(),
        hint: "Are vocab.txt and tokenizer_config.json those of this model?",
    }
}
