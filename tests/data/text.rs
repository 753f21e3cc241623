//! Text as word pieces, against what the Python implementation of BERT's tokenizer makes of it.

use super::{all, folder, i64s, open, spec};
use indexmap::IndexSet;
use mtlc::data::{Dataset, Split};
use serde_json::{Value, json};
use std::path::Path;

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The texts, their pieces, and a vocabulary of just those.
fn goldens() -> (Vec<String>, Vec<Vec<String>>, IndexSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/wordpiece.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).expect("goldens")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_string();
    let texts: Vec<String> = cases.iter().map(|case| text(&case["text"])).collect();
    let pieces: Vec<Vec<String>> =
        cases.iter().map(|case| case["pieces"].as_array().expect("pieces").iter().map(text).collect()).collect();
    let vocabulary = SPECIAL.map(String::from).into_iter().chain(pieces.iter().flatten().cloned()).collect();
    (texts, pieces, vocabulary)
}

fn lines(vocabulary: &IndexSet<String>) -> String {
    vocabulary.iter().map(|piece| format!("{piece}\n")).collect()
}

/// The same as a `tokenizer.json`, with padding and truncation that must not count.
fn tokenizer(vocabulary: &IndexSet<String>) -> String {
    let ids: serde_json::Map<String, Value> =
        vocabulary.iter().enumerate().map(|(id, piece)| (piece.clone(), id.into())).collect();
    let added = SPECIAL.iter().enumerate().map(|(id, piece)| {
        json!({ "id": id, "content": piece, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false })
    });
    json!({
        "version": "1.0",
        "truncation": { "max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right" },
        "padding": { "strategy": { "Fixed": 7 }, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 3, "pad_type_id": 0, "pad_token": "[SEP]" },
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": null,
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids },
    })
    .to_string()
}

fn rows(texts: &[String]) -> String {
    texts.iter().map(|text| format!("{}\n", json!({ "text": text }))).collect()
}

/// From either kind of vocabulary, with padding behind; and cut, the last token still ends the text.
#[test]
fn word_pieces_are_those_of_bert() {
    let (texts, pieces, vocabulary) = goldens();
    let dir = folder(&[
        ("spec/a.jsonl", rows(&texts).as_bytes()),
        ("spec/vocab.txt", lines(&vocabulary).as_bytes()),
        ("spec/tokenizer.json", tokenizer(&vocabulary).as_bytes()),
    ]);
    for (file, length) in [("vocab.txt", 120), ("tokenizer.json", 120), ("vocab.txt", 6), ("tokenizer.json", 6)] {
        let data = open(
            &dir.path().join("spec"),
            &format!(
                r#"jsonl("a.jsonl", split: [1.0]) {{ in x: tokens[{length}] < {} = column("text") -> wordpiece("{file}", {length}) }}"#,
                vocabulary.len()
            ),
        );
        let ids = i64s(&all(&data, Split::Train), "x");
        for ((got, want), text) in ids.chunks(length).zip(&pieces).zip(&texts) {
            let mut want = want.clone();
            if want.len() > length {
                want.truncate(length - 1);
                want.push("[SEP]".into());
            }
            want.resize(length, "[PAD]".into());
            let got: Vec<&String> = got.iter().map(|&id| &vocabulary[id as usize]).collect();
            assert_eq!(got, want.iter().collect::<Vec<_>>(), "{text} by {file}");
        }
    }
}

/// The published vocabulary gives the ids that MiniLM was trained with.
#[test]
fn word_pieces_have_the_ids_of_the_published_vocabulary() {
    let Some(assets) = std::env::var_os("MTLC_ASSETS") else {
        eprintln!("skipped: MTLC_ASSETS names no folder with the published vocabulary");
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/wordpiece.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).expect("goldens")).expect("JSON");
    let (texts, _, _) = goldens();
    let dir = folder(&[("a.jsonl", rows(&texts).as_bytes())]);
    for name in ["vocab.txt", "tokenizer.json"] {
        let file = Path::new(&assets).join("minilm").join(name);
        let data = open(
            dir.path(),
            &format!(
                r#"jsonl("a.jsonl", split: [1.0]) {{ in x: tokens[128] < 30522 = column("text") -> wordpiece("{}", 128) }}"#,
                file.display()
            ),
        );
        let ids = i64s(&all(&data, Split::Train), "x");
        for (got, case) in ids.chunks(128).zip(&cases) {
            let want: Vec<i64> = case["ids"].as_array().expect("ids").iter().filter_map(Value::as_i64).collect();
            assert_eq!(got[..want.len()], want, "{} by {name}", case["text"]);
            assert!(got[want.len()..].iter().all(|id| *id == 0), "{} by {name}", case["text"]);
        }
    }
}

/// Capitals and accents count where the vocabulary has them.
#[test]
fn a_cased_vocabulary_keeps_capitals() {
    let vocabulary: IndexSet<String> = SPECIAL.into_iter().chain(["Él", "el"]).map(String::from).collect();
    let dir = folder(&[("a.jsonl", b"{\"text\": \"\xc3\x89l\"}\n"), ("vocab.txt", lines(&vocabulary).as_bytes())]);
    let ids = |options: &str| {
        let text = format!(
            r#"jsonl("a.jsonl", split: [1.0]) {{ in x: tokens[3] = column("text") -> wordpiece("vocab.txt", 3{options}) }}"#
        );
        i64s(&all(&open(dir.path(), &text), Split::Train), "x")
    };
    assert_eq!(ids(", lowercase: false"), [2, 5, 3]);
    assert_eq!(ids(""), [2, 6, 3]);
}

/// A run remembers the vocabulary by its hash: another one gives other tokens, and is an error.
#[test]
fn another_vocabulary_is_noticed() {
    let (texts, _, vocabulary) = goldens();
    let dir = folder(&[("a.jsonl", rows(&texts).as_bytes()), ("vocab.txt", lines(&vocabulary).as_bytes())]);
    let text = r#"jsonl("a.jsonl", split: [1.0]) { in x: tokens[9] = column("text") -> wordpiece("vocab.txt", 9) }"#;
    let (spec, _) = spec::spec(text, dir.path());
    let fitted = open(dir.path(), text).fitted();
    assert!(Dataset::open_fitted(&spec, &fitted).is_ok());
    std::fs::write(dir.path().join("vocab.txt"), lines(&vocabulary) + "more\n").expect("written");
    let wrong = Dataset::open_fitted(&spec, &fitted).expect_err("another vocabulary");
    assert!(wrong.0[0].message.contains("does not fit its steps"), "{wrong:?}");
}

/// A word's label stands at its first piece, on whatever tokens `wordpiece` makes of the same text.
#[test]
fn labels_of_words_stand_at_their_first_pieces() {
    let pieces = ["play", "##ing", "here", "un", "##der", "!", "it"];
    let vocabulary: IndexSet<String> = SPECIAL.into_iter().chain(pieces).map(String::from).collect();
    let rows = [
        json!({ "text": "It  playing here! under", "tags": "p v a n" }),
        json!({ "text": "playing it", "tags": null }),
    ];
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let dir = folder(&[("a.jsonl", text.as_bytes()), ("vocab.txt", lines(&vocabulary).as_bytes())]);
    let fields = |length: usize| {
        format!(
            r#"jsonl("a.jsonl", split: [1.0]) {{ in x: tokens[{length}] = column("text") -> wordpiece("vocab.txt", {length})
               y: class["n", "v", "a", "p"][{length}] = columns(["text", "tags"]) -> word_labels("vocab.txt", {length}) }}"#
        )
    };
    let whole = all(&open(dir.path(), &fields(11)), Split::Train);
    // [CLS] it play ##ing here ! un ##der [SEP] [PAD] [PAD]
    assert_eq!(i64s(&whole, "x")[..11], [2, 11, 5, 6, 7, 10, 8, 9, 3, 0, 0]);
    assert_eq!(i64s(&whole, "y")[..11], [-1, 3, 1, -1, 2, -1, 0, -1, -1, -1, -1]);
    assert_eq!(whole.present["y"], [1.0, 0.0]);
    // What is cut off has no label.
    assert_eq!(i64s(&all(&open(dir.path(), &fields(5)), Split::Train), "y")[..5], [-1, 3, 1, -1, -1]);
    // As many labels as words.
    std::fs::write(dir.path().join("a.jsonl"), "{\"text\": \"it it\", \"tags\": \"p\"}\n").expect("written");
    let (wrong, _) = spec::spec(&fields(5), dir.path());
    let wrong = Dataset::open(&wrong).expect_err("a label is missing");
    assert!(wrong.0[0].message.contains("words and labels differ: 2 and 1"), "{wrong:?}");
}
