//! Files of weights against what PyTorch, NumPy and safetensors put into them (`tests/goldens/make_weights.py`), and files that
//! must be refused. Rules of import are in `weights/rules.rs`, damaged files in `weights/fuzz.rs`.

mod fuzz;
mod rules;

use mtlc::weights::TensorFile;
use serde_json::Value;
use std::path::PathBuf;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/weights").join(name)
}

fn read(name: &str) -> TensorFile {
    TensorFile::read(&golden(name)).unwrap_or_else(|wrong| panic!("{name}: {}", wrong.render(None, false)))
}

fn refusal(name: &str) -> String {
    TensorFile::read(&golden(name)).expect_err(name).render(None, false)
}

/// Names, order, shapes, types and every bit of every value.
#[test]
fn files_hold_what_was_put_into_them() {
    let text = std::fs::read_to_string(golden("weights.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert!(expected.len() >= 14);
    for (name, tensors) in &expected {
        let file = read(name);
        let tensors = tensors.as_array().unwrap();
        let wanted: Vec<&str> = tensors.iter().map(|t| t["name"].as_str().unwrap()).collect();
        let names: Vec<&str> = file.entries.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, wanted, "{name}");
        for (tensor, entry) in tensors.iter().zip(&file.entries) {
            let place = format!("{name}: {}", entry.name);
            let torch = tensor["type"].as_str().unwrap();
            let types = torch.replace("bfloat", "bf").replace("float", "f").replace("uint", "u").replace("int", "i");
            assert_eq!(entry.dtype.name(), types, "{place}");
            let dims: Vec<u64> = entry.dims.iter().map(|&d| d as u64).collect();
            assert_eq!(serde_json::json!(dims), tensor["shape"], "{place}");
            match tensor["values"].as_array() {
                None => assert!(!entry.is_kept() && !file.tensors.contains_key(&entry.name), "{place}"),
                Some(values) => {
                    let array = &file.tensors[&entry.name];
                    let values: Vec<f32> = values.iter().map(|x| x.as_f64().unwrap() as f32).collect();
                    assert_eq!((&array.data, &array.dims), (&values, &entry.dims), "{place}");
                }
            }
        }
    }
}

#[test]
fn a_checkpoint_says_what_was_taken_from_it() {
    let file = read("checkpoint.pt");
    assert!(file.notes[0].starts_with("these are the tensors under `state_dict`; `epoch`, "), "{:?}", file.notes);
    assert_eq!(read("nested.pt").notes.len(), 2);
    assert_eq!((read("legacy.pth").format, read("zip.pth").format), ("legacy PyTorch", "PyTorch"));
    assert_eq!(read("all.safetensors").metadata["format"], "pt");
}

/// Python would run the commands of these files; here they are names that nobody knows.
#[test]
fn code_in_a_pickle_is_refused_and_never_run() {
    let before = std::fs::read_dir(".").unwrap().count();
    for (name, global) in [
        ("system_zip.pth", "posix.system"),
        ("system_legacy.pth", "posix.system"),
        ("eval.pth", "__builtin__.eval"),
        ("getattr.pth", "builtins.getattr"),
        ("module.pth", "torch.nn.modules.linear.Linear"),
    ] {
        assert!(refusal(name).contains(&format!("the pickle asks for `{global}`")), "{}", refusal(name));
    }
    assert!(!PathBuf::from("executed").exists());
    assert_eq!(std::fs::read_dir(".").unwrap().count(), before);
}

#[test]
fn shards_lie_beside_their_index() {
    assert_eq!(read("model.safetensors.index.json").format, "sharded");
    assert!(refusal("escape_up.index.json").contains("outside of its folder"));
    assert!(refusal("escape_root.index.json").contains("outside of its folder"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.safetensors.index.json", "model-00001-of-00002.safetensors"] {
        std::fs::copy(golden(name), folder.path().join(name)).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    let wrong = TensorFile::read(&index).expect_err("a shard is missing").render(None, false);
    assert!(wrong.contains("there is no such file of weights") && wrong.contains("00002-of-00002"), "{wrong}");
    std::fs::copy(golden("all.safetensors"), folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let wrong = TensorFile::read(&index).expect_err("a tensor is missing").render(None, false);
    assert!(wrong.contains("`a.weight` is not in `model-00002-of-00002.safetensors`"), "{wrong}");
}

#[test]
fn what_is_no_file_of_weights_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pth");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        TensorFile::read(&path).expect_err("no weights").render(None, false)
    };
    assert!(refused(b"").contains("this file of weights is empty"));
    assert!(refused(b"\x93NUMPY\x01").contains("numpy.savez"));
    assert!(refused(b"\x80\x02K\x01.").contains("none that `torch.save` wrote"));
    assert!(refused(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.").contains("the pickle asks for `os.system`"));
    assert!(refused(b"\x80\x02(X\x02\x00\x00\x00lsios\nsystem\n.").contains("the pickle asks for `os.system`"));
    assert!(refused(b"{\"a\": 1}").contains("no index of sharded weights"));
    assert!(TensorFile::read(folder.path()).expect_err("a folder").render(None, false).contains("this is a folder"));
}
