//! Sizes and counts that nobody means: refused with a diagnostic, or done; never a fault of mtlc, never a machine out of memory.

use super::lab::Lab;

/// Whether the command ends as it may: done, or with a diagnostic and no trace.
fn survives(from: &str, to: &str) -> bool {
    let lab = Lab::with(from, to);
    let output = lab.run(&["run", "small.mtl", "--set", "train.epochs=1"]);
    match output.status.code() {
        Some(0) => true,
        Some(1) => {
            assert!(!lab.path("runs").exists(), "{to}");
            false
        }
        _ => panic!("{to}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn layers() {
    let body = "linear(4) -> relu";
    for layers in [
        "linear(4000000000)",
        "linear(1000000000)",
        "repeat(1000, repeat(1000, linear(4)))",
        "repeat(4000000000, relu)",
        "reshape(2, 1, 1) -> conv(4, 4000000000) -> flatten",
        "reshape(2, 1, 1) -> conv(4000000000, 3) -> flatten",
        "reshape(2, 1, 1) -> conv(4, 3, padding: 4000000000) -> flatten",
        "reshape(2, 1, 1) -> conv(4, 3, dilation: 4000000000) -> flatten",
        "reshape(2, 1, 1) -> conv_transpose(4, 4000000000) -> flatten",
        "reshape(2, 1, 1) -> conv_transpose(4, 3, stride: 4000000000) -> flatten",
        "reshape(2, 1, 1) -> max_pool(4000000000) -> flatten",
        "reshape(2, 1, 1) -> avg_pool(1000000, padding: 500000) -> flatten",
        "reshape(2, 1, 1) -> adaptive_pool(4000000000, 4000000000) -> flatten",
        "reshape(1, 1, 2) -> upsample(4000000000) -> flatten",
        "reshape(4000000000, 4000000000, 4000000000) -> flatten",
        "slice(4000000000, 4000000000)",
        "reshape(1, 2) -> attention(4000000000) -> flatten",
        "reshape(1, 2) -> encoder(1, 4000000000) -> flatten",
        "linear(4) -> dropout(1)",
    ] {
        assert!(!survives(body, layers), "{layers}");
    }
    for layers in ["linear(4) -> batch_norm", "repeat(500, relu)", "linear(4) -> dropout(0.99999999)"] {
        assert!(survives(body, layers), "{layers}");
    }
}

#[test]
fn inputs() {
    assert!(!survives("f32[2]", "f32[1000000000]"));
    assert!(!survives("f32[2]", "f32[1000000000, 1000000000, 1000000000]"));
    assert!(!survives("class[\"no\", \"yes\"]", "class[1000000000]"));
    let tokens = Lab::with("f32[2]", "tokens[2]");
    tokens.edit("small.mtl", "linear(4) -> relu", "embedding(4000000000, 4000000000) -> mean_tokens");
    tokens.wrong(&["run", "small.mtl"]);
}

#[test]
fn settings() {
    let train = "batch: 4, optimizer: adam(lr: 0.05)";
    for settings in [
        "batch: 1000000000",
        "batch: 1",
        "batch: 1000, patience: 1",
        "batch: 4, clip: 1e-300",
        "batch: 4, seed: 4294967295",
        "batch: 4, optimizer: sgd(lr: 1e-300)",
        "batch: 4, schedule: cosine(warmup: 4000000000)",
    ] {
        assert!(survives(train, settings), "{settings}");
    }
    for settings in
        ["batch: 0", "batch: 4000000000", "batch: 1e400", "batch: 1e15", "batch: 4, optimizer: sgd(lr: 1e300)"]
    {
        assert!(!survives(train, settings), "{settings}");
    }
    assert!(survives("0.5 * mse", "1e-300 * mse"));
    assert!(!survives("0.5 * mse", "1e300 * mse"));
}

#[test]
fn data_with_little_in_it() {
    let table = |change: &dyn Fn(usize) -> (String, String)| {
        let row = |i: usize| {
            let (kind, size) = change(i);
            let fold = ["train", "validation", "test"][i % 3];
            format!("{},{},{kind},{size},{fold}\n", i, i % 5)
        };
        "a,b,kind,size,fold\n".to_string() + &(0..24).map(row).collect::<String>()
    };
    let run = |table: String| {
        let lab = Lab::with("[0.5, 0.25, 0.25]", "\"fold\"").write("d.csv", table);
        lab.run(&["run", "small.mtl"])
    };
    let fine = |table| {
        let output = run(table);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    fine(table(&|i| ("yes".into(), i.to_string())));
    fine(table(&|_| ("no".into(), "1".into())));
    // A validation without labels cannot say which epoch is best, so the training does.
    let told = fine(table(&|i| if i % 3 == 1 { (String::new(), String::new()) } else { ("no".into(), i.to_string()) }));
    let objective = told.lines().find(|line| line.contains("objective")).expect("a line");
    assert_eq!(objective.split_whitespace().nth(2), Some("-"), "{told}");
    assert!(told.contains("best epoch 2 of 2"), "{told}");
    let unlabelled =
        run(table(&|i| if i % 3 == 0 { (String::new(), String::new()) } else { ("no".into(), i.to_string()) }));
    assert_eq!(unlabelled.status.code(), Some(1));
    for limit in ["limit: 1", "limit: 1000000000"] {
        let lab = Lab::with("seed: 1)", &format!("seed: 1, {limit})"));
        lab.edit("small.mtl", "linear(4)", "linear(4) -> batch_norm");
        lab.done(&["run", "small.mtl"]);
    }
}

#[test]
fn words_and_paths() {
    for (from, to) in [("model small", "model größe"), ("which", "прогноз"), ("\"d.csv\"", "\"/dev\"")] {
        assert!(!survives(from, to), "{to}");
    }
    let long = ["linear(4)"; 500].join(" -> ");
    assert!(survives("linear(4) -> relu", &long));
    let deep = format!("{}linear(2){}", "residual(".repeat(60), ")".repeat(60));
    assert!(survives("linear(4) -> relu", &deep));
    let folder = "d".repeat(100) + "/" + &"e".repeat(100);
    let lab = Lab::empty().write(&format!("{folder}/small.mtl"), super::lab::SMALL);
    lab.put(&format!("{folder}/data/größe.csv"), super::lab::table());
    let spec = format!("{folder}/small.mtl");
    lab.edit(&spec, "d.csv", "data/größe.csv");
    lab.done(&["run", &spec]);
    assert!(lab.path("runs/small/1/report.html").is_file(), "runs are where the command is, not where the spec is");
    lab.put("runs/small/18446744073709551615/x", "");
    lab.put("runs/small/7", "a file");
    lab.done(&["run", &spec]);
}
