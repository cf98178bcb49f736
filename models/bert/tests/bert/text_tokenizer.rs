//! The tokenizer against transformers' own: ids, offsets, segments, truncation.

use crate::text_folders;
use lockstep_bert::{BertConfig, Encoding, Error, Text, Tokenizer, Truncation};
use serde_json::{Value, json};
use std::time::Instant;
use text_folders::{
    config_with, excerpt, fixture, folder_of, list, tokenizer_in, trained, trained_tokenizer, vocab_of, write,
};

#[test]
fn ids_are_those_that_pytorch_was_given() {
    for model in ["field-extractor", "document-classifier"] {
        let (tokenizer, _) = tokenizer_in(&trained(model)).unwrap();
        for (line, document) in excerpt().iter().enumerate() {
            let encoding = tokenizer.encode(document["text"].as_str().unwrap(), Some(128)).unwrap();
            assert_eq!(encoding.ids, list::<u32>(document, "input_ids"), "{model}, document {line}");
            assert!(encoding.type_ids.iter().all(|&type_id| type_id == 0));
            assert_eq!(encoding.truncated, None);
        }
    }
}

/// Texts with emoji, combining accents, control characters, special tokens, and pairs at every kind of truncation.
#[test]
fn awkward_texts_and_pairs_are_tokenized_as_by_transformers() {
    let (right, _) = trained_tokenizer();
    let left =
        folder_of(&[("config.json", &read("config.json")), ("tokenizer.json", &read("tokenizer.json"))]);
    write(
        left.path(),
        "tokenizer_config.json",
        r#"{"tokenizer_class": "TokenizersBackend", "truncation_side": "left"}"#,
    );
    let (left, _) = tokenizer_in(left.path()).unwrap();
    let cases = fixture("tokenizer_cases.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        let tokenizer = if case["truncation_side"] == "left" { &left } else { &right };
        let limit = case["max_length"].as_u64().unwrap() as usize;
        let encoding = encode_texts(tokenizer, &list::<String>(case, "texts"), limit);
        assert_eq!(encoding.ids, list::<u32>(case, "ids"), "{case}");
        assert_eq!(encoding.type_ids, list::<u32>(case, "type_ids"), "{case}");
        assert_eq!(encoding.offsets, list::<(usize, usize)>(case, "offsets"), "{case}");
        assert_eq!(encoding.word_ids, list::<Option<u32>>(case, "word_ids"), "{case}");
        let special: Vec<bool> =
            list::<u32>(case, "special_mask").into_iter().map(|mask| mask == 1).collect();
        assert_eq!(encoding.special_mask, special, "{case}");
        let tokens = case["untruncated"].as_u64().unwrap() as usize;
        assert_eq!(encoding.truncated, (tokens > limit).then_some(Truncation { tokens, limit }), "{case}");
    }
}

#[test]
fn a_vocabulary_alone_gives_the_same_tokens() {
    let alone = folder_of(&[
        ("config.json", &read("config.json")),
        ("vocab.txt", &read("vocab.txt")),
        ("tokenizer_config.json", &read("tokenizer_config.json")),
    ]);
    let (from_vocab, _) = tokenizer_in(alone.path()).unwrap();
    let (from_json, _) = trained_tokenizer();
    for document in excerpt() {
        let text = document["text"].as_str().unwrap();
        assert_eq!(from_vocab.encode(text, None).unwrap(), from_json.encode(text, None).unwrap(), "{text}");
    }
    let cases = fixture("tokenizer_cases.json");
    for case in cases.as_array().unwrap().iter().filter(|case| case["truncation_side"] == "right") {
        let limit = case["max_length"].as_u64().unwrap() as usize;
        let encoding = encode_texts(&from_vocab, &list::<String>(case, "texts"), limit);
        assert_eq!(encoding.ids, list::<u32>(case, "ids"), "{case}");
        assert_eq!(encoding.offsets, list::<(usize, usize)>(case, "offsets"), "{case}");
    }
}

#[test]
fn offsets_meet_the_spans_that_the_generator_wrote() {
    let (tokenizer, _) = trained_tokenizer();
    let mut spans = 0;
    for document in excerpt() {
        let text = document["text"].as_str().unwrap();
        let characters: Vec<char> = text.chars().collect();
        let encoding = tokenizer.encode(text, None).unwrap();
        for entity in document["entities"].as_array().unwrap() {
            let (start, end) =
                (entity["start"].as_u64().unwrap() as usize, entity["end"].as_u64().unwrap() as usize);
            let inside = |&&(first, last): &&(usize, usize)| last > first && first < end && last > start;
            let covered: Vec<(usize, usize)> = encoding.offsets.iter().filter(inside).copied().collect();
            assert_eq!(covered.first().map(|token| token.0), Some(start), "{entity} in {text}");
            assert_eq!(covered.last().map(|token| token.1), Some(end), "{entity} in {text}");
            let joined: String = covered.iter().flat_map(|&(first, last)| &characters[first..last]).collect();
            let expected: String = entity["text"]
                .as_str()
                .unwrap()
                .chars()
                .filter(|character| !character.is_whitespace())
                .collect();
            assert_eq!(joined, expected);
            spans += 1;
        }
    }
    assert!(spans > 100, "{spans}");
}

#[test]
fn truncation_saved_in_the_file_does_not_apply() {
    assert!(
        read("tokenizer.json").contains("\"max_length\": 128"),
        "the trained file no longer has the leftover"
    );
    let (tokenizer, _) = trained_tokenizer();
    let encoding = tokenizer.encode(&"中".repeat(400), None).unwrap();
    assert_eq!((encoding.len(), encoding.truncated), (402, None));
}

#[test]
fn a_hundred_thousand_characters_are_cut_and_it_is_said() {
    let (tokenizer, config) = trained_tokenizer();
    for pattern in ["兹证明王伟，", "abc 123, ", "a", " ", "é"] {
        let text: String = pattern.chars().cycle().take(100_000).collect();
        let start = Instant::now();
        let encoding = tokenizer.encode(&text, None).unwrap();
        let elapsed = start.elapsed();
        assert!(encoding.len() <= config.max_position_embeddings);
        if pattern.starts_with('兹') {
            assert_eq!(encoding.truncated, Some(Truncation { tokens: 100_002, limit: 512 }));
            assert_eq!((encoding.len(), encoding.offsets[510]), (512, (509, 510)));
        }
        // Twenty times what it takes; a quadratic step would take minutes.
        assert!(elapsed.as_secs() < 10, "{pattern:?}: {elapsed:?}");
    }
    let pair = tokenizer.encode(("中".repeat(50_000).as_str(), "文".repeat(50_000).as_str()), None).unwrap();
    assert_eq!((pair.len(), pair.truncated), (512, Some(Truncation { tokens: 100_003, limit: 512 })));
}

#[test]
fn the_length_is_the_least_that_any_file_allows() {
    let config = config_with(json!({}));
    let vocab = vocab_of(&["a"]);
    let length = |tokenizer_config: &str| {
        let files =
            [("config.json", &*config), ("vocab.txt", &vocab), ("tokenizer_config.json", tokenizer_config)];
        tokenizer_in(folder_of(&files).path()).map(|(tokenizer, _)| tokenizer.max_length())
    };
    assert_eq!(length("{}").unwrap(), 32);
    assert_eq!(length(r#"{"model_max_length": 20}"#).unwrap(), 20);
    assert_eq!(length(r#"{"model_max_length": 512}"#).unwrap(), 32);
    // What transformers writes for "unknown".
    assert_eq!(length(r#"{"model_max_length": 1000000000000000019884624838656}"#).unwrap(), 32);
    assert!(
        matches!(length(r#"{"model_max_length": 0}"#), Err(Error::Config { field, .. }) if field == "model_max_length")
    );
    assert!(matches!(
        length(r#"{"model_max_length": 1}"#),
        Err(Error::MaxLength { requested: 1, smallest: 2, .. })
    ));
}

#[test]
fn a_callers_length_is_held_between_the_template_and_the_positions() {
    let (tokenizer, _) = trained_tokenizer();
    for requested in [0, 1, 513, usize::MAX] {
        let error = tokenizer.encode("中文", Some(requested)).unwrap_err();
        assert!(matches!(error, Error::MaxLength { smallest: 2, largest: 512, .. }), "{error}");
        assert!(error.to_string().contains(&requested.to_string()), "{error}");
    }
    assert_eq!(tokenizer.encode("中文", Some(2)).unwrap().ids, [2, 3]);
    assert!(matches!(tokenizer.encode(("中", "文"), Some(2)), Err(Error::MaxLength { smallest: 3, .. })));
}

#[test]
fn casing_and_accents_follow_the_settings() {
    let vocab = vocab_of(&["cafe", "Cafe", "café", "Café", "caf", "##é", "##e", "中", "文", "##文", "中文"]);
    let first = |settings: &str, text: &str| {
        let config = config_with(json!({}));
        let files = [("config.json", &*config), ("vocab.txt", &vocab), ("tokenizer_config.json", settings)];
        let (tokenizer, _) = tokenizer_in(folder_of(&files).path()).unwrap();
        tokenizer.token(tokenizer.encode(text, None).unwrap().ids[1]).unwrap()
    };
    assert_eq!(first("{}", "Café"), "cafe");
    assert_eq!(first(r#"{"do_lower_case": true, "strip_accents": false}"#, "Café"), "café");
    assert_eq!(first(r#"{"do_lower_case": false}"#, "Café"), "Café");
    assert_eq!(first(r#"{"do_lower_case": false, "strip_accents": true}"#, "Café"), "Cafe");
    assert_eq!(first("{}", "中文"), "中");
    assert_eq!(first(r#"{"tokenize_chinese_chars": false}"#, "中文"), "中文");
}

/// Recorded from transformers 5.23: BertTokenizer's settings replace the saved ones, other classes keep them.
#[test]
fn the_class_decides_whether_saved_casing_stands() {
    let lowercases = |saved: bool, settings: &str| {
        let mut file: Value = serde_json::from_str(&read("tokenizer.json")).unwrap();
        file["normalizer"]["lowercase"] = json!(saved);
        let folder =
            folder_of(&[("config.json", &read("config.json")), ("tokenizer.json", &file.to_string())]);
        write(folder.path(), "tokenizer_config.json", settings);
        let (tokenizer, _) = tokenizer_in(folder.path()).unwrap();
        tokenizer.encode("A", None).unwrap().ids[1] != tokenizer.unknown_id().unwrap()
    };
    let bert = |rest: &str| format!(r#"{{"tokenizer_class": "BertTokenizer"{rest}}}"#);
    assert!(lowercases(false, &bert("")));
    assert!(!lowercases(true, &bert(r#", "do_lower_case": false"#)));
    let other = |rest: &str| format!(r#"{{"tokenizer_class": "PreTrainedTokenizerFast"{rest}}}"#);
    assert!(!lowercases(false, &other(r#", "do_lower_case": true"#)));
    assert!(lowercases(true, &other(r#", "do_lower_case": false"#)));
    assert!(!lowercases(true, r#"{"do_lower_case": false}"#));
    assert!(!lowercases(false, "{}"));
}

#[test]
fn special_tokens_may_have_other_names_and_files() {
    let config = config_with(json!({}));
    let vocab = "<pad>\n<unk>\n<s>\n</s>\nа\n";
    let map = r#"{"cls_token": "<s>", "sep_token": {"content": "</s>", "special": true}, "unk_token": "<unk>", "pad_token": "<pad>"}"#;
    let files = [("config.json", &*config), ("vocab.txt", vocab), ("special_tokens_map.json", map)];
    let (tokenizer, _) = tokenizer_in(folder_of(&files).path()).unwrap();
    assert_eq!(tokenizer.encode("а б</s>", None).unwrap().ids, [2, 4, 1, 3, 3]);
    assert_eq!(tokenizer.unknown_id(), Some(1));
}

#[test]
fn added_tokens_keep_their_ids() {
    let config = config_with(json!({}));
    let vocab = vocab_of(&["a"]);
    let decoder = r#"{"added_tokens_decoder": {"6": {"content": "<amount>", "special": false}, "0": {"content": "[PAD]", "special": true}}}"#;
    let files = [("config.json", &*config), ("vocab.txt", &vocab), ("tokenizer_config.json", decoder)];
    let (tokenizer, _) = tokenizer_in(folder_of(&files).path()).unwrap();
    assert_eq!(tokenizer.encode("a<amount>a", None).unwrap().ids, [2, 5, 6, 5, 3]);

    let files =
        [("config.json", &*config), ("vocab.txt", &vocab), ("added_tokens.json", r#"{"<amount>": 6}"#)];
    let (tokenizer, _) = tokenizer_in(folder_of(&files).path()).unwrap();
    assert_eq!(tokenizer.encode("a<amount>a", None).unwrap().ids, [2, 5, 6, 5, 3]);

    let files =
        [("config.json", &*config), ("vocab.txt", &vocab), ("added_tokens.json", r#"{"<amount>": 9}"#)];
    let error = tokenizer_in(folder_of(&files).path()).unwrap_err();
    assert!(matches!(&error, Error::Tokenizer { .. }) && error.to_string().contains("<amount>"), "{error}");
}

#[test]
fn sentence_transformers_settings_cut_and_lowercase() {
    let modules = r#"[{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
                      {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
    let folder = folder_of(&[
        ("config.json", &config_with(json!({}))),
        ("modules.json", modules),
        ("vocab.txt", &vocab_of(&["a", "A"])),
        ("tokenizer_config.json", r#"{"do_lower_case": false, "model_max_length": 30}"#),
        ("sentence_bert_config.json", r#"{"max_seq_length": 9, "do_lower_case": true}"#),
    ]);
    let (tokenizer, _) = tokenizer_in(folder.path()).unwrap();
    assert_eq!(tokenizer.max_length(), 9);
    assert_eq!(tokenizer.encode("A a", None).unwrap().ids, [2, 5, 5, 3]);
}

#[test]
fn a_tokenizer_of_another_model_is_named() {
    let config = BertConfig { vocab_size: 100, source: "small/config.json".into(), ..BertConfig::default() };
    let files =
        lockstep_bert::ModelFolder::open(trained("field-extractor")).unwrap().tokenizer_files().unwrap();
    let error = Tokenizer::load(&files, &config).unwrap().encode("中", None).unwrap_err();
    assert!(matches!(error, Error::TokenOutOfRange { vocab_size: 100, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("tokenizer.json") && message.contains("small/config.json"), "{message}");

    let config = BertConfig { vocab_size: 3877, type_vocab_size: 1, ..config };
    let tokenizer = Tokenizer::load(&files, &config).unwrap();
    assert!(tokenizer.encode("中", None).is_ok());
    assert!(matches!(tokenizer.encode(("中", "文"), None), Err(Error::SegmentOutOfRange { type_id: 1, .. })));
}

fn encode_texts(tokenizer: &Tokenizer, texts: &[String], limit: usize) -> Encoding {
    let text = match texts {
        [text] => Text::Single(text),
        [first, second] => Text::Pair(first, second),
        other => panic!("{other:?}"),
    };
    tokenizer.encode(text, Some(limit)).unwrap()
}

/// A text file of the trained field extractor.
fn read(name: &str) -> String {
    std::fs::read_to_string(trained("field-extractor").join(name)).unwrap()
}
