//! Heads whose values are no scores of classes: trained, measured and asked for answers.

use super::{metric, train};
use mtlc::base::Source;
use mtlc::graph::Mode;
use mtlc::lower::lower;
use mtlc::model::Spec;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const SPEC: &str = r#"model coded
input  words: tokens[12]
target number: class["one", "many"]
target wrong:  class["O", "B-FAULT"][12]
backbone trunk(words) = embedding(110, 16, padding: 0)
head many(trunk)      = mean_tokens -> linear(1)
head faults(trunk)    = linear(2) -> crf
minimize ordinal(many, number) + crf(faults, wrong)
measure  accuracy(many, number), mae(many, number), accuracy(faults, wrong), exact(faults, wrong)
data made = agreement(rows: 400, length: 12) {
  words  = column("words")
  number = column("number")
  wrong  = column("wrong")
}
train { epochs: 6, optimizer: adam(lr: 1e-2) }
"#;

/// A bag of words tells the number of most subjects, and of the words 19 in 20 are right.
#[test]
fn steps_and_chains_are_trained_measured_and_answered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec = folder.path().join("coded.mtl");
    std::fs::write(&spec, SPEC).expect("written");
    let run = train(folder.path(), &spec, &[]);
    let (right, off) = (metric(&run, "test", "accuracy(many)"), metric(&run, "test", "mae(many)"));
    assert!(right > 0.6, "{right}");
    // Of two classes, who is wrong is off by one.
    assert!((right + off - 1.0).abs() < 1e-12, "{right} and {off}");
    assert!(metric(&run, "test", "accuracy(faults)") > 0.85);
    let exact = metric(&run, "test", "exact(faults)");
    assert!((0.2..0.9).contains(&exact), "{exact}");

    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
    let output = command.current_dir(folder.path()).args(["predict", "coded.mtl"]).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(rows.len(), 400);
    let mut padded = 0;
    for row in &rows {
        assert!(["one", "many"].contains(&row["many"]["class"].as_str().expect("a name")));
        let likely = row["many"]["probability"].as_f64().expect("a number");
        assert!((0.5..=1.0).contains(&likely), "{likely}");
        let tags = row["faults"].as_array().expect("a class for each word");
        assert_eq!(tags.len(), 12);
        let words = tags.iter().take_while(|tag| !tag.is_null()).count();
        assert!(words >= 3 && tags[words..].iter().all(Value::is_null), "{row}");
        padded += usize::from(words < 12);
    }
    assert!(padded > 100, "{padded} of 400 sentences are shorter than the longest");
}

#[test]
fn a_span_is_two_choices_among_the_tokens() {
    let text = "model span\ninput text: tokens[48]\ntarget ends: class[48][2]\n\
                backbone encoder(text) = embedding(100, 8, padding: 0)\n\
                head span(encoder) = linear(2) -> transpose\nminimize cross_entropy(span, ends)\n\
                measure accuracy(span, ends), exact(span, ends)\n";
    let spec = Spec::of(Source::new("span.mtl", text), Path::new(""), &[]).expect("a right spec");
    let graph = lower(&spec.model, Mode::Train, 0).expect("a right spec");
    let head = graph.outputs.iter().find(|output| output.name == "span").expect("the head");
    assert_eq!(graph.value(head.value).ty.inner(), [2, 48]);
}
