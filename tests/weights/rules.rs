//! Import rules on small files: names, parts of tensors, and every difference told.

use mtlc::weights::rules::assign;
use mtlc::weights::{Array, Pattern, Rule, Rules, TensorFile, write_tensors};

fn file(tensors: &[(&str, &[usize])]) -> TensorFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let arrays: Vec<(String, Array)> = tensors
        .iter()
        .enumerate()
        .map(|(i, (name, dims))| {
            let data = (0..dims.iter().product()).map(|k| (100 * i + k) as f32).collect();
            (name.to_string(), Array { dims: dims.to_vec(), data })
        })
        .collect();
    write_tensors(&path, arrays.iter().map(|(name, array)| (name.clone(), array)), Default::default()).unwrap();
    let mut file = TensorFile::read(&path).unwrap();
    file.name = "w.safetensors".into();
    file
}

fn rules(rename: &[&str], unused: &[&str], fresh: &[&str]) -> Rules {
    Rules {
        rename: rename.iter().map(|text| Rule::parse(text).unwrap()).collect(),
        unused: unused.iter().map(|text| Pattern::new(text)).collect(),
        fresh: fresh.iter().map(|text| Pattern::new(text)).collect(),
        must_match: true,
    }
}

type Loaded = Vec<(String, Vec<f32>)>;

fn load(file: &TensorFile, rules: &Rules, own: &[(&str, &[usize])], head: bool) -> Result<(Loaded, String), String> {
    let own: Vec<(String, Vec<usize>)> = own.iter().map(|(p, d)| (p.to_string(), d.to_vec())).collect();
    let assigned = assign(file, rules, "trunk", &own, head).map_err(|wrong| wrong.render(None, false))?;
    Ok((assigned.values, assigned.report.full()))
}

#[test]
fn parts_of_a_tensor_become_parameters() {
    let file = file(&[("module.blocks.0.qkv.weight", &[6, 2]), ("module.blocks.0.qkv.num_batches_tracked", &[1])]);
    let rules = rules(
        &[
            "blocks.*.qkv.*[0/3] -> layers.*.query.*",
            "blocks.*.qkv.*[1/3] -> layers.*.key.*",
            "blocks.*.qkv.*[2/3] -> layers.*.value.*",
        ],
        &[],
        &[],
    );
    let own: [(&str, &[usize]); 3] = [
        ("trunk.layers.0.query.weight", &[2, 2]),
        ("trunk.layers.0.key.weight", &[2, 2, 1]),
        ("trunk.layers.0.value.weight", &[2, 2]),
    ];
    let (loaded, _) = load(&file, &rules, &own, false).unwrap();
    let first = file.tensors["module.blocks.0.qkv.weight"].data[0];
    let want = |from: usize| (from..from + 4).map(|k| first + k as f32).collect::<Vec<f32>>();
    let values: Vec<Vec<f32>> = loaded.into_iter().map(|(_, values)| values).collect();
    assert_eq!(values, [want(0), want(4), want(8)]);
}

/// A stage may have the name of its network, and then a path that begins with it is not the network's.
#[test]
fn a_stage_is_not_taken_for_its_network() {
    let own: [(&str, &[usize]); 2] = [("trunk.trunk.0.weight", &[2]), ("trunk.trunk.1.weight", &[3])];
    let loaded = |names: [&str; 2], rename: &[&str]| {
        load(&file(&[(names[0], &[2]), (names[1], &[3])]), &rules(rename, &[], &[]), &own, false).unwrap().0.len()
    };
    assert_eq!(loaded(["enc.0.weight", "enc.1.weight"], &["enc.* -> trunk.*"]), 2);
    assert_eq!(loaded(["trunk.0.weight", "trunk.1.weight"], &[]), 2);
    assert_eq!(loaded(["trunk.trunk.0.weight", "trunk.trunk.1.weight"], &[]), 2);
    assert_eq!(loaded(["trunk.layer.0.weight", "trunk.layer.1.weight"], &["trunk.layer.* -> trunk.*"]), 2);
}

#[test]
fn names_stand_for_themselves_without_prefixes() {
    let own: [(&str, &[usize]); 1] = [("trunk.0.weight", &[2])];
    for name in ["0.weight", "module.0.weight", "trunk.0.weight", "module.trunk.0.weight"] {
        assert_eq!(load(&file(&[(name, &[2])]), &rules(&[], &[], &[]), &own, false).unwrap().0.len(), 1, "{name}");
    }
    // A file of a whole model has more than this network.
    let whole = file(&[("trunk.0.weight", &[2]), ("label.0.weight", &[5])]);
    assert!(
        load(&whole, &rules(&[], &[], &[]), &own, false).unwrap().1.contains("1 more tensors belong to other parts")
    );
}

#[test]
fn differences_are_told_with_what_to_write() {
    let published =
        file(&[("conv1.weight", &[4, 1, 3, 3]), ("bn1.weight", &[4]), ("fc.weight", &[10, 4]), ("fc.bias", &[10])]);
    let own: [(&str, &[usize]); 3] =
        [("trunk.stem.0.weight", &[4, 1, 3, 3]), ("trunk.stem.1.weight", &[4]), ("trunk.top.bias", &[2])];
    let wrong = |rules: &Rules| load(&published, rules, &own, false).unwrap_err();
    insta::assert_snapshot!(
        "weights_rules",
        [
            wrong(&rules(&[], &[], &[])),
            wrong(&rules(&["conv1.* -> stem.0.*", "bn1.* -> stem.1.*"], &["fc.weight"], &[])),
            wrong(&rules(&["conv1.* -> stem.0.*", "bn1.* -> stem.0.*"], &["fc.*", "gone.*"], &["top.*", "none"])),
            wrong(&rules(&["conv1.* -> stem.1.*", "bn1.*[0/3] -> stem.0.*", "c.* -> d.*"], &["fc.*"], &["top.*"])),
        ]
        .join("\n\n")
    );
    let sound = rules(&["conv1.* -> stem.0.*", "bn1.* -> stem.1.*"], &["fc.*"], &["top.*"]);
    let (loaded, report) = load(&published, &sound, &own, false).unwrap();
    assert_eq!(loaded.len(), 2);
    assert!(report.starts_with("trunk: 2 tensors from w.safetensors, 1 fresh, 2 not used"), "{report}");
}

#[test]
fn a_head_of_other_classes_begins_anew() {
    let file = file(&[("0.weight", &[4, 3]), ("1.weight", &[10, 4]), ("1.bias", &[10])]);
    let own: [(&str, &[usize]); 3] = [("trunk.0.weight", &[4, 3]), ("trunk.1.weight", &[2, 4]), ("trunk.1.bias", &[2])];
    let (loaded, report) = load(&file, &rules(&[], &[], &[]), &own, true).unwrap();
    assert_eq!(loaded.len(), 1);
    assert!(report.contains("drawn anew: trunk.1.weight: [10, 4] in the file, [2, 4] here"), "{report}");
    assert!(load(&file, &rules(&[], &[], &[]), &own, false).unwrap_err().contains("is meant for `trunk.1.bias`"));
}
