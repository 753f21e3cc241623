//! Specs to trees and back, and what is said about texts that are no specs.

mod generate;

use generate::{Generator, Writer};
use mtlc::base::Source;
use mtlc::syntax::ast::{DeclarationKind, ExprKind, File, Suffix};
use mtlc::syntax::{format::format, parser, print::print};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const TRANSFER: &str = r#"# A frozen trunk under a new head.
model fashion

input  image: f32[3, 224, 224]
target article: class[10]

backbone trunk(image) = efficientnet_lite0(weights: "efficientnet-lite0.pth")
freeze trunk  # nothing of it changes

head label(trunk) = dropout(0.2) -> linear(10)

minimize cross_entropy(label, article)
measure  accuracy(label, article)

data fashion = idx("images.gz", "labels.gz", split: [0.9, 0.1], seed: 7) {
  image   = images -> resize(224) -> rgb -> normalize(mean: 127, std: 128)
  article = labels
}

train { epochs: 5, batch: 64, optimizer: adamw(lr: 1e-3, weight_decay: 0.01) }
"#;

const TASKS: &str = r#"# Three losses over one trunk: α·A + β·B + γ·C.
model tumour

input  cells: f32[20]  # without the columns that give the targets away
target malignant: class["benign", "malignant"]
target radius:    f32[1]
target texture:   f32[1]

backbone trunk(cells) = linear(64) -> relu -> linear(32) -> relu

head diagnosis(trunk) = linear(2)
head size(trunk)      = linear(16) -> relu -> linear(1)
head grain(trunk)     = linear(1)

minimize 1.0 * cross_entropy(diagnosis, malignant)  # the task that matters
       + 0.5 * huber(size, radius)
       # small, since texture is noisy
       + 0.2 * mse(grain, texture)
balance  cagrad(c: 0.4)  # or: uniform, pcgrad
measure  auroc(diagnosis, malignant), rmse(size, radius), rmse(grain, texture)

data wdbc = csv("wdbc.csv", split: [0.7, 0.15, 0.15], seed: 7) {
  cells     = columns(all, except: ["mean texture", "*radius*", "*area*"]) -> standardize
  malignant = column("diagnosis")
  radius    = column("mean radius") -> standardize  # an empty cell is a missing label

  # The noisy one.
  texture = column("mean texture") -> standardize
}
"#;

const BOTH: &str = r#"block basic(channels, stride: 1) =
  residual(conv(channels, 3, stride: stride) -> norm -> relu -> conv(channels, 3) -> norm) -> relu

backbone trunk(frame, weights: "r18.safetensors") {  # a sequence of named stages
  stem:   conv1: conv(64, 7, stride: 2) -> norm -> relu -> max_pool(3, stride: 2)
  layer1: repeat(2, basic(64))
  layer2: basic(128, stride: 2) -> residual { a: conv(128, 3), b: norm }
  layer3: basic(256, stride: 2) -> basic(256)
}
freeze trunk.stem .. trunk.layer1  # a range of stages
freeze trunk.layer2 until epoch 3  # the schedule survives a resume
freeze norm in trunk, trunk.layer3.*.conv1
tune   trunk (lr: 0.1x), label (lr: 1x, lora(rank: 8))

head lanes(trunk.layer2)           = conv(64, 3) -> relu -> upsample(8) -> conv(2, 1)
head objects(trunk.layer3)         = detect(classes: 3)
head distance(trunk.layer2, lanes) = concat -> conv(1, 1)

data kitti = image_folder("kitti") {
  frame = images -> rgb
  boxes = labels
}
data lanes2 = image_folder("lanes") {
  frame = images
}
train { sample: by_size(temperature: 0.5), phases: [probe(epochs: 2), finetune(epochs: 8)] }
serve {
  port:  8080
  batch: 32
  wait:  2ms
}
"#;

fn source(text: &str) -> Source {
    Source::new("spec.mtl", text)
}

fn parse(text: &str) -> File {
    let source = source(text);
    parser::parse(&source).unwrap_or_else(|d| panic!("{}\nin\n{text}", d.render(Some(&source), false)))
}

fn reformat(text: &str) -> String {
    format(&source(text), &parse(text))
}

fn errors(text: &str) -> String {
    let source = source(text);
    match parser::parse(&source) {
        Ok(file) => panic!("this has no error:\n{text}\n{}", print(&file)),
        Err(diagnostics) => diagnostics.render(Some(&source), false),
    }
}

/// The tree as text without the places in it.
fn stripped(file: &File) -> String {
    let debug = format!("{:#?}", file.declarations);
    let mut kept = String::new();
    let mut inside = false;
    for line in debug.lines() {
        let word = line.trim();
        if word.ends_with("Span {") {
            inside = true;
        } else if inside {
            inside = !word.starts_with('}');
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn canonical_specs_stay_as_they_are() {
    for spec in [TRANSFER, TASKS, BOTH] {
        assert_eq!(reformat(spec), spec);
    }
}

#[test]
fn places_are_the_constructs_without_blanks() {
    let text = "head a(t) =\n  norm -> ( b )  # c\n\nfreeze  norm in x .. y # d\n\nbalance q  \n";
    let file = parse(text);
    let at = source(text);
    let spans: Vec<_> = file.declarations.iter().map(|d| at.slice(d.span)).collect();
    assert_eq!(spans, ["head a(t) =\n  norm -> ( b )", "freeze  norm in x .. y", "balance q"]);
    let DeclarationKind::Freeze { selectors, .. } = &file.declarations[1].kind else { panic!() };
    assert_eq!(at.slice(selectors[0].0.span), "norm in x .. y");
    assert_eq!(at.slice(file.comments[1].span), "# d");
}

#[test]
fn operators_bind_as_in_arithmetic() {
    let expression = parser::parse_expression("-a * 2 + b / (c - 3ms) -> d").unwrap();
    let ExprKind::Chain(steps) = &expression.kind else { panic!("no chain") };
    assert_eq!(steps.len(), 2);
    let file = parse("minimize -a * 2 - b / (c - 3ms) - d");
    assert_eq!(
        print(&file).split_whitespace().collect::<Vec<_>>().join(" "),
        "minimize - - * negate a 2 / b group - c 3ms d"
    );
}

#[test]
fn an_expression_can_stand_alone() {
    let expression = parser::parse_expression(" 0.1x ").unwrap();
    assert_eq!((expression.span.start, expression.span.end), (1, 5));
    assert!(matches!(expression.kind, ExprKind::Number { value: 0.1, suffix: Suffix::Times, .. }));
    for wrong in ["", "a b", "(", "1e999", "\"x", "a ->"] {
        assert!(parser::parse_expression(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn random_trees_survive_writing_and_formatting() {
    for seed in 0..600 {
        let mut generator = Generator { rng: ChaCha8Rng::seed_from_u64(seed) };
        let tree = generator.file();
        let mut writer = Writer::default();
        writer.file(&tree);
        let (text, comments) = writer.layout(&mut generator.rng, seed % 2 == 0);
        let read = parse(&text);
        let wanted = stripped(&tree);
        assert!(stripped(&read) == wanted, "seed {seed}, read from\n{text}");

        let formatted = format(&source(&text), &read);
        let again = parse(&formatted);
        assert!(stripped(&again) == wanted, "seed {seed}, formatted to\n{formatted}");
        assert_eq!(print(&again), print(&tree));
        assert_eq!(reformat(&formatted), formatted, "seed {seed}, from\n{text}");
        let mut kept: Vec<_> = again.comments.iter().map(|c| c.text.clone()).collect();
        kept.sort_by_key(|c| c[2..].parse::<usize>().unwrap());
        assert_eq!(kept, comments, "seed {seed}, formatted to\n{formatted}");
    }
}

#[test]
fn broken_specs_never_panic_and_point_into_the_text() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut wrong = 0;
    for round in 0..3000 {
        let mut bytes = [TRANSFER, TASKS, BOTH][round % 3].as_bytes().to_vec();
        for _ in 0..rng.gen_range(1..5) {
            let at = rng.gen_range(0..bytes.len());
            match rng.gen_range(0..4) {
                0 => bytes[at] = b"(){}[]\"#\\\n->.,:=*x0"[rng.gen_range(0..19)],
                1 => bytes[at] = rng.r#gen(),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let source = source(&String::from_utf8_lossy(&bytes));
        match parser::parse(&source) {
            Ok(file) => {
                let formatted = format(&source, &file);
                assert_eq!(print(&parse(&formatted)), print(&file));
                assert_eq!(reformat(&formatted), formatted);
            }
            Err(diagnostics) => {
                wrong += 1;
                assert!(!diagnostics.0.is_empty());
                for diagnostic in &diagnostics.0 {
                    let span = diagnostic.labels[0].span;
                    assert!(span.start <= span.end && span.end <= source.text.len());
                    assert!(source.text.is_char_boundary(span.start) && source.text.is_char_boundary(span.end));
                }
                diagnostics.render(Some(&source), false);
            }
        }
    }
    assert!(wrong > 1000, "only {wrong} mutations were errors");
}

#[test]
fn every_syntax_error_of_a_file_is_reported_in_its_line() {
    let text = "modle fashion\ninput x: f32[3\ntarget y: class[10]\nhead a(x) = linear(2) relu\nminimize mse(a, y) +\n\
                train { epochs 5 }\nserve { wait: \"2ms }\ndata d = csv(1e999) {}\n";
    let at = source(text);
    let diagnostics = parser::parse(&at).unwrap_err();
    let lines: Vec<_> = diagnostics.0.iter().map(|d| at.line_column(d.labels[0].span.start).0).collect();
    assert_eq!(lines, [1, 2, 4, 5, 6, 7, 8], "{}", diagnostics.render(Some(&at), false));
}

#[test]
fn deep_and_long_texts_are_refused() {
    for (open, close) in [("(", ")"), ("[", "]"), ("f(", ")"), ("r { a: ", "}"), ("-(", ")")] {
        let nested = |n: usize| format!("minimize {}a{}", open.repeat(n), close.repeat(n));
        let deepest = nested(64);
        assert_eq!(print(&parse(&reformat(&deepest))), print(&parse(&deepest)));
        // A slip at the bottom is found without trying every level again.
        assert!(errors(&format!("minimize {}a 2{}", open.repeat(64), close.repeat(64))).contains("found `2`"));
        assert!(errors(&nested(65)).contains("nested more than 64 deep"));
        assert!(errors(&nested(10_000)).contains("nested more than 64 deep"));
    }
    assert!(errors(&"(".repeat(10_000)).contains("nested more than 64 deep"));
    let sum = |n: usize| format!("minimize a{}", " + a".repeat(n));
    assert_eq!(print(&parse(&reformat(&sum(256)))), print(&parse(&sum(256))));
    assert!(errors(&sum(100_000)).contains("more than 256 operators"));
    assert!(errors(&"# long\n".repeat(200_000)).contains("too long"));
}

#[test]
fn comments_move_only_out_of_expressions() {
    let text = "# first\n\n\n# second\nhead a(b) = c -> # amid\n d # behind\n# above\nhead long(b)=e\ntrain { # opens\n x: 1, # one\n\
                \n# above y\n y: [2, # two\n 3]\n # last\n}\n\n# end";
    insta::assert_snapshot!("comments", reformat(text));
}

#[test]
fn long_lines_break() {
    let text = "backbone t(a_first_input_with_a_name, a_second_input_with_a_name, a_third_input_with_a_name, more: 4) = q\n\
                head h(t) = conv(64, 3, stride: 2) -> norm -> relu -> conv(64, 3, stride: 2) -> norm -> relu -> conv(64, 3) -> norm\n\
                head d(t) = detect(anchors: [1000, 2000, 3000, 4000, 5000], classes: [\"pedestrian\", \"cyclist\", \"car\", \"van\"])\n\
                block s { one: conv(64, 3, stride: 2) -> norm -> relu -> conv(64, 3, stride: 2) -> norm -> relu -> conv(64, 3)\n b: x }\n\
                measure auroc(diagnosis, malignant), rmse(size, radius), rmse(grain, texture), accuracy(diagnosis, malignant)\n\
                train { epochs: 5, batch: 64, optimizer: adamw(lr: 1e-3, weight_decay: 0.01), schedule: cosine(warmup: 100) }\n";
    insta::assert_snapshot!("long_lines", reformat(text));
}

#[test]
fn the_tree_prints_one_node_a_line() {
    insta::assert_snapshot!("tree", print(&parse(BOTH)));
}

#[test]
fn errors_of_words() {
    let text =
        "modle a\nbackbonne t(x) = y\nhead (t) = y\nhead y t = z\n  heda q(t) = z\nfreeze\ntune trunk\n12 a\nquux\n";
    insta::assert_snapshot!("errors_of_words", errors(text));
}

#[test]
fn errors_in_expressions() {
    let text = "head a(t) = linear(2) relu\nhead b(t) = conv(64 3)\nhead c(t) = -> relu\nhead d(t) = linear(a = 2)\n\
                head e(t) = linear(0.1y)\nhead f(t) = a ->\n\nminimize a + * b\nminimize 1e999 * a\nfreeze a until epoch 2.5\n\
                freeze a until 3\ninput x = f32[3]\n";
    insta::assert_snapshot!("errors_in_expressions", errors(text));
}

#[test]
fn errors_of_brackets_and_characters() {
    let text = "head a(t) = linear(2\nhead b(t) = conv[64)\nhead c(t) = conv(64))\nhead d(t) => linear(2); \n\
                data e = csv(\"wdbc.csv) {\n  x = 'column'\n}\ndata f = csv(\"C:\\data\") {}\nminimize α * a // twice\n";
    insta::assert_snapshot!("errors_of_brackets_and_characters", errors(text));
}

#[test]
fn errors_in_braces() {
    let text = "train { epochs: 5 batch = 64 }\ntrain { epochs 5 }\ndata d = csv(\"x\") { x: column }\nblock b { conv(3) }\n\
                train { epochs: 5, , batch: 3 }\ndata d = csv(\"x\")\ntrain epochs: 5\n";
    insta::assert_snapshot!("errors_in_braces", errors(text));
}

#[test]
fn a_long_spec_parses_quickly() {
    let text = [TRANSFER, TASKS, BOTH].concat();
    let fastest = (0..20).map(|_| {
        let started = std::time::Instant::now();
        parse(&text);
        started.elapsed()
    });
    // Unoptimized, on a busy machine, it takes about 2 ms; a grammar that reads everything twice at each level takes far more.
    assert!(fastest.min().unwrap() < std::time::Duration::from_millis(25));
}

#[test]
fn texts_without_declarations_are_specs() {
    for (text, formatted) in
        [("", ""), (" \n\n", ""), ("\n  # a\n\n\n# b", "# a\n\n# b\n"), ("\u{feff}# a\r\n", "# a\n")]
    {
        assert_eq!(parse(text).declarations.len(), 0);
        assert_eq!(reformat(text), formatted);
    }
}

#[test]
fn rubbish_gets_a_bounded_answer() {
    for rubbish in ["x y\n# c\n", "}{", "∑ ", "\"\n", "head a(b) = c {x: y}{\n", "- ", "a: "] {
        let text = rubbish.repeat((1 << 19) / rubbish.len());
        let count = parser::parse(&source(&text)).unwrap_err().0.len();
        assert!((1..=100).contains(&count), "{count} errors in {rubbish:?}");
    }
    let long = "# a\ntrain { a: 1 } # b\n".repeat(20_000);
    assert_eq!(parse(&reformat(&long)).comments.len(), 40_000);
}
