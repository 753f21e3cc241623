//! Wrong inputs: each is a diagnostic that names the place, and none leaves a trace.

use super::lab::{Lab, NEXT, SMALL, pin, table};
use flate2::{Compression, write::GzEncoder};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::io::Write;

fn told(cases: &[(Lab, &[&str])]) -> String {
    cases.iter().map(|(lab, args)| lab.wrong(args)).collect()
}

/// A lab whose table is changed line by line.
fn rows(change: impl Fn(usize, &str) -> String) -> Lab {
    let lines: Vec<String> = table().lines().enumerate().map(|(i, line)| change(i + 1, line)).collect();
    Lab::new().write("d.csv", lines.join("\n") + "\n")
}

const RUN: &[&str] = &["run", "small.mtl"];

#[test]
fn data() {
    let mut packed = GzEncoder::new(vec![], Compression::default());
    packed.write_all(table().as_bytes()).expect("memory");
    let packed = packed.finish().expect("memory");
    let gzip = Lab::with("d.csv", "d.csv.gz").write("d.csv.gz", &packed[..packed.len() / 2]);
    let absent = Lab::with("d.csv", "e.csv");
    let folder = Lab::with("d.csv", "folder");
    folder.put("folder/x", "");
    let cases: &[(Lab, &[&str])] = &[
        (Lab::new().write("d.csv", &table()[..table().rfind(',').expect("a comma")]), RUN),
        (gzip, RUN),
        (absent, RUN),
        (folder, RUN),
        (rows(|i, line| if i == 1 { line.replace("size", "mass") } else { line.into() }), RUN),
        (
            rows(
                |i, line| {
                    if i == 5 { format!("NaN{}", &line[line.find(',').expect("a comma")..]) } else { line.into() }
                },
            ),
            RUN,
        ),
        (rows(|i, line| if i == 7 { line.replace("yes", "maybe").replace("no", "maybe") } else { line.into() }), RUN),
        (rows(|i, line| if i == 9 { line.replace("yes", "2").replace("no", "2") } else { line.into() }), RUN),
        (rows(|_, line| line.rsplit_once(',').map_or(String::new(), |(rest, _)| rest.to_string() + ",x")), RUN),
        (Lab::new().write("d.csv", "a,b,kind,size\n"), RUN),
        (Lab::new().write("d.csv", ""), RUN),
        (Lab::with("[0.5, 0.25, 0.25]", "\"fold\""), RUN),
        (Lab::with("[0.5, 0.25, 0.25]", "[0.01, 0.99]"), RUN),
    ];
    pin("wrong_data", &told(cases));
}

#[test]
fn images_are_found_broken_before_a_run_is_kept() {
    let spec = r#"model seen
input  image: f32[3, 4, 4]
target kind: class["no", "yes"]
head which(image) = flatten -> linear(2)
minimize cross_entropy(which, kind)
data d = csv("d.csv", split: [1.0]) {
  image = column("file") -> read_image -> resize(4) -> rgb
  kind  = column("kind")
}
train { epochs: 1 }
"#;
    let lab = Lab::empty().write("seen.mtl", spec).write("d.csv", "file,kind\na.png,yes\nb.png,no\n");
    lab.put("a.png", b"\x89PNG\r\n\x1a\n and then nothing");
    pin("wrong_image", &lab.wrong(&["run", "seen.mtl"]));
}

#[test]
fn specs() {
    let binary = Lab::new().write("small.mtl", b"model a\ninput \xff\xfe");
    let folder = Lab::new();
    folder.put("dir.mtl/x", "");
    let cases: &[(Lab, &[&str])] = &[
        (Lab::new(), &["check", "smal.mtl"]),
        (Lab::new(), &["run", "nowhere/small.mtl"]),
        (Lab::empty(), &["run"]),
        (folder, &["check", "dir.mtl"]),
        (binary, &["fmt", "small.mtl"]),
        (Lab::new().write("two.mtl", SMALL), &["build"]),
        (Lab::new().write("b.mtl", SMALL), &["predict"]),
        (Lab::with("linear(4)", "linea(4)"), &["check", "small.mtl"]),
        (Lab::with("relu", "conv(4, 3)"), RUN),
    ];
    pin("wrong_specs", &told(cases));
}

#[test]
fn settings() {
    let set = |value: &'static str| ["run", "small.mtl", "--set", value];
    let values = [
        "train.epoks=1",
        "train.epochs=0",
        "train.epochs",
        "train.epochs=",
        "epochs=1",
        "data.x.seed=1",
        "data.d.sead=1",
        "data.d.split=[0.5]",
        "train.optimizer=adm",
        "train.batch=100000000000",
        "data.d.path=\"none.csv\"",
    ];
    let text: String = values.iter().map(|value| Lab::new().wrong(&set(value))).collect();
    let yaml = |text: &str| Lab::new().write("mtlc.yaml", text);
    let cases: &[(Lab, &[&str])] = &[
        (yaml("spec: [small.mtl]\n"), &["build"]),
        (yaml("specs:\n  - small.mtl\n runs: a: b\n"), &["build"]),
        (yaml("specs: [other.mtl]\n"), &["build"]),
        (yaml("engine: cudaa\n"), &["run"]),
        (yaml("set: { train.epochs: many }\n"), &["run"]),
        (Lab::new(), &["run", "small.mtl", "--engine", "tpu"]),
    ];
    pin("wrong_settings", &(text + &told(cases)));
}

#[test]
fn places_to_write() {
    let cases: &[(Lab, &[&str])] = &[
        (Lab::new().write("runs", "a file"), RUN),
        (Lab::new().write("runs/small", "a file"), RUN),
        (Lab::new().write("target", "a file"), RUN),
        (Lab::trained(), &["predict", "small.mtl", "--output", "none/x.jsonl"]),
        (Lab::trained().write("dir/x", ""), &["predict", "small.mtl", "--output", "dir"]),
        (Lab::new().write("file", ""), &["new", "file/project"]),
    ];
    pin("wrong_places", &told(cases));
}

#[test]
fn questions_that_no_run_can_answer() {
    let unknown = Lab::trained().write("x.csv", "a,c\n1,2\n").write("bad.csv", "a,b\n1,x\n");
    let emptied = Lab::trained().write("runs/small/1/run.json", "{");
    let cases: &[(Lab, &[&str])] = &[
        (Lab::new(), &["eval", "small.mtl"]),
        (Lab::new(), &["predict", "small.mtl"]),
        (Lab::trained(), &["eval", "small.mtl", "--run", "7"]),
        (Lab::trained(), &["eval", "small.mtl", "--split", "tset"]),
        (Lab::trained(), &["predict", "small.mtl", "--heads", "whch"]),
        (unknown, &["predict", "small.mtl", "--input", "x.csv"]),
        (Lab::trained().write("bad.csv", "a,b\n1,x\n"), &["predict", "small.mtl", "--input", "bad.csv"]),
        (Lab::trained(), &["predict", "small.mtl", "--input", "none.csv"]),
        (emptied, &["eval", "small.mtl"]),
        (Lab::trained(), &["predict", "small.mtl", "--set", "train.epochs=3", "--input", "small.mtl"]),
    ];
    pin("wrong_questions", &told(cases));
}

/// A safetensors file of these tensors, each filled with halves.
fn tensors(list: &[(&str, &[usize])], dtype: Dtype) -> Vec<u8> {
    let width = if dtype == Dtype::F32 { 4 } else { 2 };
    let data: Vec<Vec<u8>> = list.iter().map(|(_, dims)| vec![0; dims.iter().product::<usize>() * width]).collect();
    let views = list.iter().zip(&data).map(|((name, dims), data)| {
        (*name, TensorView::new(dtype, dims.to_vec(), data).expect("the data fill their shape"))
    });
    safetensors::serialize(views, None::<HashMap<String, String>>).expect("consistent")
}

#[test]
fn weights() {
    let lab = |content: Option<Vec<u8>>| {
        let lab = Lab::new().write("next.mtl", NEXT.replace("run(small)", "\"w.safetensors\""));
        content.into_iter().for_each(|bytes| lab.put("w.safetensors", bytes));
        lab
    };
    let right: &[(&str, &[usize])] = &[("trunk.0.weight", &[4, 2]), ("trunk.0.bias", &[4])];
    lab(Some(tensors(right, Dtype::F32))).done(&["run", "next.mtl"]);
    let other: &[(&str, &[usize])] = &[("trunk.0.weight", &[8, 2]), ("trunk.1.bias", &[8]), ("head.bias", &[2])];
    let whole = tensors(right, Dtype::F32);
    let cut = whole[..whole.len() - 8].to_vec();
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let contents = [
        None,
        Some(vec![]),
        Some(b"garbage, surely".to_vec()),
        Some(cut),
        Some(huge),
        Some(tensors(other, Dtype::F32)),
        Some(tensors(right, Dtype::I16)),
    ];
    let text: String = contents.into_iter().map(|content| lab(content).wrong(&["run", "next.mtl"])).collect();
    let without = Lab::new().write("next.mtl", NEXT);
    let narrower = Lab::trained().write("next.mtl", NEXT.replace("linear(4)", "linear(3)"));
    pin("wrong_weights", &(text + &without.wrong(&["run", "next.mtl"]) + &narrower.wrong(&["run", "next.mtl"])));
}

#[test]
fn numbers_that_grow_without_end() {
    let lab = Lab::with("lr: 0.05", "lr: 1e30");
    let text = lab.wrong(&["run", "small.mtl"]);
    // With one step an epoch, what the step broke shows at the epoch's end.
    let lab = Lab::with("lr: 0.05", "lr: 1e38");
    pin("wrong_diverged", &(text + &lab.wrong(&["run", "small.mtl", "--set", "train.batch=24"])));
}
