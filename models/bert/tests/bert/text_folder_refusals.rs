//! Folders, configs and heads: what loads, and what is refused with a message that helps.

use crate::text_folders;
use lockstep_bert::{
    Activation, BertConfig, EmbeddingHead, Error, GeluForm, Head, ModelFolder, Pooling, ProblemType, Result,
    WeightFiles,
};
use serde_json::{Value, json};
use std::path::Path;
use text_folders::{config_with, folder_of, tokenizer_in, trained, vocab_of, write};

fn config(changes: Value) -> Result<BertConfig> {
    BertConfig::from_json(&config_with(changes), Path::new("folder/config.json"))
}

/// Asserts that the message holds each of the parts.
fn assert_says(error: &Error, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn the_trained_folders_are_read_whole() {
    let folder = ModelFolder::open(trained("document-classifier")).unwrap();
    let config = BertConfig::from_file(&folder.config_path()).unwrap();
    let sizes = (config.vocab_size, config.hidden_size, config.num_hidden_layers, config.num_attention_heads);
    assert_eq!(sizes, (3877, 512, 4, 8));
    assert_eq!((config.intermediate_size, config.head_size(), config.gelu), (2048, 64, GeluForm::Erf));
    assert_eq!((config.max_position_embeddings, config.type_vocab_size), (512, 2));
    assert_eq!((config.layer_norm_eps, config.pad_token_id), (1e-12, Some(0)));
    assert_eq!(
        (config.labels.len(), config.labels.get(2), config.labels.get(12)),
        (12, Some("收入证明"), None)
    );
    let head = Head::of_folder(&folder, &config).unwrap();
    assert_eq!(head, Head::SequenceClassification { activation: Activation::Softmax });
    assert_eq!(folder.weights().unwrap(), WeightFiles::Single(folder.root().join("model.safetensors")));

    let folder = ModelFolder::open(trained("field-extractor")).unwrap();
    let config = BertConfig::from_file(&folder.config_path()).unwrap();
    assert_eq!(Head::of_folder(&folder, &config).unwrap(), Head::TokenClassification);
    assert_eq!(config.labels.index_of("I-RATE"), Some(18));
}

#[test]
fn a_bare_config_is_bert_base() {
    let config = BertConfig::from_json(r#"{"model_type": "bert"}"#, Path::new("config.json")).unwrap();
    assert_eq!(config, BertConfig::default());
    let sizes =
        (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size);
    assert_eq!(sizes, (768, 12, 12, 3072));
    // Older configs have an architecture and no model type.
    let old = r#"{"architectures": ["BertForSequenceClassification"], "num_labels": 3, "pad_token_id": -1}"#;
    let old = BertConfig::from_json(old, Path::new("config.json")).unwrap();
    assert_eq!((old.labels.get(2), old.pad_token_id), (Some("LABEL_2"), None));
}

#[test]
fn each_name_of_gelu_has_its_form() {
    for name in ["gelu", "gelu_python"] {
        assert_eq!(config(json!({"hidden_act": name})).unwrap().gelu, GeluForm::Erf);
    }
    for name in ["gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate"] {
        assert_eq!(config(json!({"hidden_act": name})).unwrap().gelu, GeluForm::Tanh);
    }
    for name in ["relu", "silu", "quick_gelu", "gelu_10", "GELU", ""] {
        let error = config(json!({"hidden_act": name})).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }));
        assert_says(&error, &["folder/config.json", "hidden_act", name, "gelu_new"]);
    }
}

#[test]
fn other_computations_are_refused_by_name() {
    let refused = [
        (json!({"model_type": "roberta"}), "roberta"),
        (json!({"position_embedding_type": "relative_key_query"}), "relative_key_query"),
        (json!({"is_decoder": true}), "is_decoder"),
        (json!({"add_cross_attention": true}), "add_cross_attention"),
        (json!({"is_encoder_decoder": true}), "is_encoder_decoder"),
        (json!({"pruned_heads": {"0": [1]}}), "pruned_heads"),
        (json!({"quantization_config": {"bits": 8}}), "quantization_config"),
        (json!({"problem_type": "ranking"}), "ranking"),
    ];
    for (changes, name) in refused {
        let error = config(changes).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert_says(&error, &["folder/config.json", name, "supported"]);
    }
    let allowed = json!({"position_embedding_type": "absolute", "is_decoder": false, "pruned_heads": {},
        "quantization_config": null, "use_cache": true, "some_new_field": [1, 2]});
    assert!(config(allowed).is_ok());
    let error = BertConfig::from_json("{}", Path::new("config.json")).unwrap_err();
    assert_says(&error, &["config.json", "model_type", "absent"]);
}

#[test]
fn sizes_that_fit_nothing_are_refused() {
    let sizes = [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "type_vocab_size",
    ];
    for field in sizes {
        for size in [0u64, 1 << 40, u64::MAX] {
            let error = config(json!({field: size})).unwrap_err();
            assert!(matches!(&error, Error::Config { field: named, .. } if named == field), "{error}");
            assert_says(&error, &["folder/config.json", &size.to_string()]);
        }
        for value in [json!(-1), json!("16"), json!(1.5), json!([16])] {
            let error = config(json!({field: value})).unwrap_err();
            assert!(matches!(error, Error::Json { .. }), "{error}");
            assert_says(&error, &["folder/config.json", "line 1"]);
        }
    }
    let error = config(json!({"num_attention_heads": 3})).unwrap_err();
    assert_says(&error, &["hidden_size is 16", "multiple of num_attention_heads = 3"]);
    assert!(matches!(config(json!({"layer_norm_eps": -1e-5})), Err(Error::Config { .. })));
    assert!(matches!(config(json!({"num_labels": 1u64 << 40})), Err(Error::Config { .. })));
    assert!(matches!(config(json!({"num_labels": 0})), Err(Error::Config { .. })));
}

#[test]
fn labels_are_ordered_by_number_and_have_no_gaps() {
    let twelve: Value = (0..12).map(|i| (i.to_string(), json!(format!("name {i}")))).collect();
    let labels = config(json!({"id2label": twelve})).unwrap().labels;
    assert_eq!(labels.iter().collect::<Vec<_>>(), (0..12).map(|i| format!("name {i}")).collect::<Vec<_>>());
    for wrong in [
        json!({}),
        json!({"0": "a", "2": "c"}),
        json!({"1": "b"}),
        json!({"0": "a", "00": "b"}),
        json!({"zero": "a"}),
        json!({"-1": "a"}),
    ] {
        let error = config(json!({"id2label": wrong})).unwrap_err();
        assert!(matches!(&error, Error::Config { field, .. } if field == "id2label"), "{error}");
    }
    assert!(matches!(config(json!({"id2label": ["a", "b"]})), Err(Error::Json { .. })));
    assert!(matches!(config(json!({"id2label": {"0": 1}})), Err(Error::Json { .. })));
}

#[test]
fn problem_types_choose_the_activation() {
    let activation = |changes: Value| {
        let mut changes = changes;
        changes["architectures"] = json!(["BertForSequenceClassification"]);
        let folder = folder_of(&[("config.json", &config_with(changes))]);
        let folder = ModelFolder::open(folder.path()).unwrap();
        let config = BertConfig::from_file(&folder.config_path()).unwrap();
        match Head::of_folder(&folder, &config).unwrap() {
            Head::SequenceClassification { activation } => activation,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(activation(json!({"problem_type": "single_label_classification"})), Activation::Softmax);
    assert_eq!(activation(json!({"problem_type": "multi_label_classification"})), Activation::Sigmoid);
    assert_eq!(activation(json!({"problem_type": "regression", "num_labels": 1})), Activation::Identity);
    assert_eq!(activation(json!({"problem_type": null})), Activation::Softmax);
    assert_eq!(activation(json!({"num_labels": 1})), Activation::Sigmoid);
    let regression = config(json!({"problem_type": "regression"})).unwrap();
    assert_eq!(regression.problem_type, Some(ProblemType::Regression));
}

#[test]
fn architectures_are_bare_or_refused() {
    let head = |architectures: Value| {
        let folder = folder_of(&[("config.json", &config_with(json!({"architectures": architectures})))]);
        let folder = ModelFolder::open(folder.path()).unwrap();
        Head::of_folder(&folder, &BertConfig::from_file(&folder.config_path()).unwrap())
    };
    for bare in [json!(["BertModel"]), json!(null), json!([])] {
        assert_eq!(head(bare).unwrap(), Head::Encoder);
    }
    for other in ["BertForQuestionAnswering", "BertForMaskedLM", "BertLMHeadModel"] {
        let error = head(json!([other])).unwrap_err();
        assert_says(&error, &["config.json", other, "BertForTokenClassification", "sentence-transformers"]);
    }
}

/// A sentence-transformers folder with these modules after the transformer, and this pooling config.
fn sentence_folder(path: &str, modules: &[&str], pooling: Value) -> tempfile::TempDir {
    let mut list = vec![json!({"idx": 0, "path": path, "type": "sentence_transformers.models.Transformer"})];
    for (index, kind) in modules.iter().enumerate() {
        let index = index + 1;
        list.push(json!({"idx": index, "path": format!("{index}_{kind}"), "type": format!("a.b.{kind}")}));
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    folder_of(&[
        ("modules.json", &json!(list).to_string()),
        (&format!("{prefix}config.json"), &config_with(json!({"architectures": ["BertForMaskedLM"]}))),
        (&format!("{prefix}vocab.txt"), &vocab_of(&["a"])),
        (&format!("{prefix}model.safetensors.index.json"), "{}"),
        ("1_Pooling/config.json", &pooling.to_string()),
    ])
}

fn embedding(folder: &tempfile::TempDir) -> Result<EmbeddingHead> {
    let folder = ModelFolder::open(folder.path())?;
    match Head::of_folder(&folder, &BertConfig::from_file(&folder.config_path())?)? {
        Head::Embedding(head) => Ok(head),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sentence_transformers_folders_say_how_to_pool() {
    let legacy = |cls, mean, max| {
        json!({"word_embedding_dimension": 16, "pooling_mode_cls_token": cls, "pooling_mode_mean_tokens": mean,
               "pooling_mode_max_tokens": max, "pooling_mode_mean_sqrt_len_tokens": false})
    };
    let cases = [
        (legacy(true, false, false), Pooling::Cls),
        (legacy(false, true, false), Pooling::Mean),
        (legacy(false, false, true), Pooling::Max),
        (json!({"embedding_dimension": 16, "pooling_mode": "cls"}), Pooling::Cls),
        (json!({"embedding_dimension": 16, "pooling_mode": ["max"]}), Pooling::Max),
        // The name wins over the old flags.
        (json!({"pooling_mode": "mean", "pooling_mode_cls_token": true}), Pooling::Mean),
        (json!({}), Pooling::Mean),
    ];
    for path in ["", "0_Transformer"] {
        for (config, pooling) in &cases {
            let folder = sentence_folder(path, &["Pooling"], config.clone());
            let expected = EmbeddingHead { pooling: *pooling, normalize: false, prompt: None };
            assert_eq!(embedding(&folder).unwrap(), expected);
            let folder = sentence_folder(path, &["Pooling", "Normalize"], config.clone());
            assert!(embedding(&folder).unwrap().normalize);
        }
    }
    let folder = sentence_folder("0_Transformer", &["Pooling"], json!({}));
    let opened = ModelFolder::open(folder.path()).unwrap();
    let index = folder.path().join("0_Transformer/model.safetensors.index.json");
    assert_eq!(opened.weights().unwrap(), WeightFiles::Sharded(index));
    assert_eq!(tokenizer_in(folder.path()).unwrap().0.encode("a", None).unwrap().ids, [2, 5, 3]);
}

#[test]
fn a_default_prompt_is_found() {
    let folder = sentence_folder("", &["Pooling"], json!({}));
    let settings = |text: &str| write(folder.path(), "config_sentence_transformers.json", text);
    settings(r#"{"prompts": {"query": "query: "}, "default_prompt_name": null}"#);
    assert_eq!(embedding(&folder).unwrap().prompt, None);
    settings(r#"{"prompts": {"query": "query: "}, "default_prompt_name": "query"}"#);
    assert_eq!(embedding(&folder).unwrap().prompt.as_deref(), Some("query: "));
    settings(r#"{"prompts": {"query": "query: "}, "default_prompt_name": "passage"}"#);
    assert_says(&embedding(&folder).unwrap_err(), &["default_prompt_name", "passage", "query"]);
    settings(r#"{"prompts": {"query": "query: "}, "default_prompt_name": "query"}"#);
    write(folder.path(), "1_Pooling/config.json", r#"{"include_prompt": false}"#);
    assert_says(&embedding(&folder).unwrap_err(), &["include_prompt"]);
}

#[test]
fn other_pooling_and_modules_are_refused_by_name() {
    for mode in ["weightedmean", "lasttoken", "mean_sqrt_len_tokens"] {
        let flag = if mode.ends_with("_tokens") { mode.to_owned() } else { format!("{mode}_tokens") };
        let flag = if mode == "lasttoken" { "lasttoken".to_owned() } else { flag };
        for pooling in [json!({"pooling_mode": mode}), json!({format!("pooling_mode_{flag}"): true})] {
            let error = embedding(&sentence_folder("", &["Pooling"], pooling)).unwrap_err();
            assert_says(&error, &["1_Pooling", mode, "cls, mean, max"]);
        }
    }
    let both = json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true});
    assert_says(&embedding(&sentence_folder("", &["Pooling"], both)).unwrap_err(), &["cls and mean"]);
    let wide = json!({"word_embedding_dimension": 384});
    assert_says(
        &embedding(&sentence_folder("", &["Pooling"], wide)).unwrap_err(),
        &["384", "16, the hidden_size"],
    );
    for module in ["Dense", "WeightedLayerPooling", "LSTM"] {
        let error = embedding(&sentence_folder("", &["Pooling", module], json!({}))).unwrap_err();
        assert_says(&error, &["modules.json", &format!("the module {module}")]);
    }
    for order in [&["Normalize"][..], &[], &["Pooling", "Pooling"], &["Pooling", "Normalize", "Normalize"]] {
        let error = embedding(&sentence_folder("", order, json!({}))).unwrap_err();
        assert_says(&error, &["modules.json", "the sequence of modules [Transformer"]);
    }
    let folder = sentence_folder("", &["Pooling", "Normalize"], json!({}));
    write(folder.path(), "2_Normalize/config.json", r#"{"module_input_name": "token_embeddings"}"#);
    assert_says(&embedding(&folder).unwrap_err(), &["2_Normalize", "token_embeddings"]);
    let folder = sentence_folder("", &["Pooling"], json!({}));
    std::fs::remove_file(folder.path().join("1_Pooling/config.json")).unwrap();
    assert!(
        matches!(embedding(&folder), Err(Error::Read { path, .. }) if path.ends_with("1_Pooling/config.json"))
    );
}

#[test]
fn modules_cannot_lead_out_of_the_folder() {
    for path in ["../other", "/etc", "a/../../b"] {
        let list = json!([{"type": "sentence_transformers.models.Transformer", "path": path}]);
        let folder =
            folder_of(&[("modules.json", &list.to_string()), ("config.json", &config_with(json!({})))]);
        assert_says(&ModelFolder::open(folder.path()).unwrap_err(), &["modules.json", path, "inside"]);
    }
}

#[test]
fn missing_files_are_named_with_what_was_tried() {
    let missing = std::env::temp_dir().join("no such model");
    let error = ModelFolder::open(&missing).unwrap_err();
    assert!(matches!(error, Error::FolderMissing { .. }));
    assert_says(&error, &["no such model", "config.json"]);

    let error = ModelFolder::open(trained("document-classifier").join("config.json")).unwrap_err();
    assert!(matches!(error, Error::NotAFolder { .. }));

    let folder = folder_of(&[]);
    assert_says(
        &ModelFolder::open(folder.path()).unwrap_err(),
        &["no model config", "looked for config.json"],
    );

    write(folder.path(), "config.json", &config_with(json!({})));
    let opened = ModelFolder::open(folder.path()).unwrap();
    let error = opened.weights().unwrap_err();
    assert_says(
        &error,
        &["model.safetensors, model.safetensors.index.json, pytorch_model.bin", "convert it"],
    );
    write(folder.path(), "pytorch_model.bin", "");
    assert_says(&opened.weights().unwrap_err(), &["pytorch_model.bin is there", "convert it"]);
    assert_says(&opened.tokenizer_files().unwrap_err(), &["no tokenizer", "tokenizer.json, vocab.txt"]);
}

#[test]
fn tokenizer_files_that_describe_none_are_named() {
    let error_of = |files: &[(&str, &str)]| {
        let folder = folder_of(files);
        write(folder.path(), "config.json", &config_with(json!({})));
        tokenizer_in(folder.path()).unwrap_err()
    };
    let vocab = vocab_of(&["a"]);
    for corrupt in ["", "{", "[]", "{}", r#"{"version": "1.0", "model": {"type": "WordPiece"}}"#] {
        let error = error_of(&[("tokenizer.json", corrupt)]);
        assert!(matches!(error, Error::Tokenizer { .. } | Error::Json { .. }), "{error}");
        assert_says(&error, &["tokenizer.json"]);
    }
    assert_says(&error_of(&[("vocab.txt", "")]), &["vocab.txt", "[UNK]"]);
    assert_says(&error_of(&[("vocab.txt", "[UNK]\n[CLS]\n")]), &["vocab.txt", "[SEP]"]);
    let class = r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#;
    let error = error_of(&[("vocab.txt", &vocab), ("tokenizer_config.json", class)]);
    assert_says(&error, &["tokenizer_config.json", "BertJapaneseTokenizer", "BertTokenizer"]);
    let error = error_of(&[("vocab.txt", &vocab), ("tokenizer_config.json", "{")]);
    assert!(matches!(error, Error::Json { .. }), "{error}");
    let error =
        error_of(&[("vocab.txt", &vocab), ("tokenizer_config.json", r#"{"do_basic_tokenize": false}"#)]);
    assert_says(&error, &["do_basic_tokenize"]);
    let error = error_of(&[("vocab.txt", &vocab), ("tokenizer_config.json", r#"{"truncation_side": "up"}"#)]);
    assert_says(&error, &["truncation_side", "up", "left or right"]);

    let folder = folder_of(&[("config.json", &config_with(json!({})))]);
    std::fs::write(folder.path().join("vocab.txt"), b"[PAD]\n[UNK]\n\xff\xfe\n").unwrap();
    assert_says(&tokenizer_in(folder.path()).unwrap_err(), &["vocab.txt", "byte 12", "line 3"]);
}
