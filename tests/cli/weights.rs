//! Weights from a file of PyTorch's making, renamed: what a run tells and keeps of it, and what it needs later.

use super::lab::{Lab, NEXT};
use serde_json::json;

const SPEC: &str = r#"file("module_state.bin", rename: ["0.* -> dense.0.*"], unused: ["1.*"])"#;

fn lab() -> Lab {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/weights/module_state.bin");
    // The file has a linear layer from 3 to 2 numbers.
    let spec = NEXT.replace("f32[2]", "f32[3]").replace("[\"a\", \"b\"]", "[\"a\", \"b\", \"c\"]");
    let spec = spec.replace("run(small)", SPEC).replace("= linear(4) -> relu", "{\n  dense: linear(2) -> relu\n}");
    let table: String = (0..24).map(|i| format!("{i},{},{},{}\n", i % 5, i % 7, i % 3)).collect();
    Lab::empty()
        .write("next.mtl", spec)
        .write("d.csv", "a,b,c,size\n".to_string() + &table)
        .write("module_state.bin", std::fs::read(golden).expect("a golden"))
}

#[test]
fn a_renamed_file() {
    let lab = lab();
    let told = lab.done(&["explain", "next.mtl", "--weights"]);
    assert!(told.starts_with("trunk: 2 tensors from module_state.bin, 4 not used\n  PyTorch, sha256 "), "{told}");
    assert!(told.contains("\n  trunk.dense.0.weight <- 0.weight\n"), "{told}");
    let run = lab.run(&["run", "next.mtl", "--stop-after", "1"]);
    let talk = String::from_utf8_lossy(&run.stderr).to_string();
    assert!(talk.contains("  trunk: 2 tensors from module_state.bin, 4 not used\n"), "{talk}");
    let record: serde_json::Value = serde_json::from_str(&lab.read("runs/next/1/run.json")).expect("JSON");
    let listed = lab.json(&["weights", "module_state.bin", "--json"]);
    assert_eq!(record["weights"][0]["sha256"], listed["files"][0]["sha256"]);
    assert_eq!(record["weights"][0]["loaded"][1], json!(["trunk.dense.0.bias", "0.bias"]));
    assert_eq!((&listed["files"][0]["parameters"], &listed["files"][0]["format"]), (&json!(16), &json!("PyTorch")));
    // The run has weights of its own by now.
    std::fs::remove_file(lab.path("module_state.bin")).expect("it was there");
    lab.done(&["run", "next.mtl", "--resume"]);
    lab.wrong(&["run", "next.mtl"]);
}

#[test]
fn a_head_has_weights_too() {
    let lab = lab();

    lab.edit(
        "next.mtl",
        "head much(trunk)",
        "head much(trunk, weights: file(\"module_state.bin\", rename: [\"0.* -> *\"], unused: [\"1.*\"]))",
    );
    let told = lab.done(&["explain", "next.mtl", "--weights"]);
    assert!(told.contains("drawn anew: much.weight: [2, 3] in the file, [1, 2] here"), "{told}");
}
