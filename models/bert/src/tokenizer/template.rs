//! What a `tokenizer.json` says beyond its vocabulary, checked and completed.

use super::settings::Settings;
use super::wordpiece::bert_normalizer;
use crate::error::{Error, Result};
use serde_json::Value;
use std::path::Path;
use tokenizers::PostProcessorWrapper;
use tokenizers::normalizers::BertNormalizer;

/// The normaliser saved in a `tokenizer.json`, with what `tokenizer_config.json` says over it.
///
/// transformers builds `BertTokenizer`'s normaliser from `tokenizer_config.json` alone, whatever the saved one says. Of
/// other classes it keeps the saved one; when no class is named, the settings that are written count.
pub(super) fn normalizer(saved: &BertNormalizer, settings: &Settings) -> BertNormalizer {
    match settings.class {
        Some(_) if settings.names_bert_tokenizer() => bert_normalizer(settings),
        Some(_) => *saved,
        None => BertNormalizer::new(
            saved.clean_text,
            settings.split_chinese.unwrap_or(saved.handle_chinese_chars),
            settings.strip_accents.or(saved.strip_accents),
            settings.lowercase.unwrap_or(saved.lowercase),
        ),
    }
}

/// Refuses templates that the `tokenizers` crate reads and then panics on: a single text's template that uses the second
/// text, and special tokens that are used and not described.
pub(super) fn check(processor: &PostProcessorWrapper, path: &Path) -> Result<()> {
    let value =
        serde_json::to_value(processor).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    check_value(&value).map_err(|reason| Error::Tokenizer {
        path: path.to_owned(),
        reason,
        hint: "Is the file of a BERT tokenizer? Remove it to have the tokenizer built from vocab.txt",
    })
}

fn check_value(processor: &Value) -> Result<(), String> {
    for nested in processor["processors"].as_array().into_iter().flatten() {
        check_value(nested)?;
    }
    for (name, sequences) in [("single", &["A"][..]), ("pair", &["A", "B"])] {
        let Some(pieces) = processor[name].as_array() else { continue };
        for piece in pieces {
            let special = &piece["SpecialToken"]["id"];
            if let Some(id) = special.as_str()
                && processor["special_tokens"].get(id).is_none()
            {
                return Err(format!("its post_processor uses {id:?} in {name:?} and does not describe it"));
            }
        }
        let used: Vec<&str> = pieces.iter().filter_map(|piece| piece["Sequence"]["id"].as_str()).collect();
        if used != sequences {
            return Err(format!(
                "its post_processor's {name:?} uses the texts {used:?}, expected {sequences:?}"
            ));
        }
    }
    Ok(())
}
