//! Every wrong input, as a person reads the answer. The folder of the test stands as `[folder]`.

use super::files::{gzip, idx, npy, npz, png};
use super::{folder, spec};
use mtlc::base::Source;
use mtlc::data::{Dataset, Split};
use std::path::Path;

/// Opens the data, which must fail, and pins what is said.
fn fault(name: &str, files: &[(&str, &[u8])], text: &str) {
    let dir = folder(files);
    let (spec, source) = spec::spec(text, dir.path());
    match Dataset::open(&spec) {
        Ok(_) => panic!("{name} was accepted"),
        Err(diagnostics) => pin(name, &diagnostics.render(Some(&source), false), dir.path()),
    }
}

pub(super) fn pin(name: &str, rendered: &str, folder: &Path) {
    let rendered = rendered.replace(&folder.display().to_string(), "[folder]");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("data_{name}"), rendered));
}

/// A csv file `a.csv` that must fail with this data block.
fn csv(name: &str, table: &str, fields: &str) {
    fault(name, &[("a.csv", table.as_bytes())], &format!("csv(\"a.csv\", split: [1.0]) {{\n  {fields}\n}}"));
}

const XY: &str = "in x: f32[1] = column(\"x\")\n  y: f32[1] = column(\"y\")";

#[test]
fn splits() {
    let table: &[(&str, &[u8])] = &[("a.csv", b"x,fold\n1,train\n2,trian\n3,test\n")];
    let field = "{ in x: f32[1] = column(\"x\") }";
    for (name, split) in [
        ("split_sum", "[0.7, 0.1, 0.1]"),
        ("split_count", "[0.4, 0.2, 0.2, 0.2]"),
        ("split_empty", "[0.9, 0.1]"),
        ("split_column_absent", "\"folds\""),
        ("split_word", "\"fold\""),
    ] {
        fault(name, table, &format!("csv(\"a.csv\", split: {split}) {field}"));
    }
    let two = idx(8, &[2, 1, 1], &[0, 1]);
    let wide = idx(8, &[2, 1, 2], &[0; 4]);
    let idx_tests: &[(&str, &[u8])] = &[("i", &two), ("w", &wide), ("l", &idx(8, &[2], &[0, 1]))];
    for (name, arguments) in [
        ("split_idx_share", "test_images: \"i\", split: [0.5, 0.25, 0.25]"),
        ("split_idx_sizes", "test_images: \"w\", split: [1.0]"),
        ("split_idx_half", "labels: \"l\", test_images: \"i\", split: [1.0]"),
    ] {
        fault(name, idx_tests, &format!("idx(\"i\", {arguments}) {{ in x: f32[1, 1, 1] = images }}"));
    }
    let image = idx(8, &[1, 1, 1], &[0]);
    fault("split_of_idx", &[("i", &image)], "idx(\"i\", split: \"fold\") { in x: f32[1, 1, 1] = images }");
    fault(
        "split_folder_name",
        &[("s/trian/a/1.png", b"")],
        "folder(\"s\", split: \"folders\") { in x: f32[1, 1, 1] = images }",
    );
}

#[test]
fn files() {
    let text = "csv(\"wbdc.csv\", split: [1.0]) { in x: f32[1] = column(\"x\") }";
    fault("file_absent", &[("wdbc.csv", b""), ("other.csv", b"")], text);
    fault("file_folder_absent", &[], "csv(\"no/a.csv\", split: [1.0]) { in x: f32[1] = column(\"x\") }");
    fault("file_is_folder", &[("wbdc.csv/a", b"")], text);
    let packed = gzip(b"x\n1\n2\n3\n");
    fault("gzip_cut_short", &[("wbdc.csv", &packed[..packed.len() - 9])], text);
    let mut damaged = packed.clone();
    damaged[packed.len() - 6] ^= 255;
    fault("gzip_damaged", &[("wbdc.csv", &damaged)], text);
}

#[test]
fn csv_files() {
    csv("csv_empty", "", XY);
    csv("csv_no_rows", "x,y\n", XY);
    csv("csv_ragged", "x,y\n1,2\n3\n\n4,5,6\n7,8\n", XY);
    csv("csv_duplicate_header", "x,y,x\n1,2,3\n", XY);
    fault("csv_not_utf8", &[("a.csv", b"x,y\n1,2\n1,\xff\n")], &format!("csv(\"a.csv\") {{ {XY} }}"));
    fault("csv_delimiter", &[("a.csv", b"x\n1\n")], &format!("csv(\"a.csv\", delimiter: \"::\") {{ {XY} }}"));
}

#[test]
fn cells() {
    csv("cell_text", "x,y\n1,2\ntwo,2\n3,2\nfour,five\n", XY);
    csv("cell_nan", "x,y\n1,nan\n2,2\ninf,3\n", XY);
    csv("cell_beyond_f32", "x,y\n1,1e300\n", XY);
    csv(
        "cell_input_missing",
        "x,y,z\n1,2,3\n,3,3\n5,5,\n",
        "in x: f32[2] = columns([\"x\", \"z\"]) -> standardize\n  y: f32[1] = column(\"y\")",
    );
    let rows: String = (0..12).map(|i| format!("{i},bad{i}\n")).collect();
    csv("cell_many", &format!("x,y\n{rows}"), XY);
    csv("cell_no_value", "x,y\n,1\n,2\n", "in x: f32[1] = column(\"x\") -> fill(mean)\n  y: f32[1] = column(\"y\")");
    csv("cell_log1p", "x,y\n-1,1\n", "in x: f32[1] = column(\"x\") -> log1p\n  y: f32[1] = column(\"y\")");
    csv("label_none", "x,y\n1,\n2,\n", XY);
}

#[test]
fn class_cells() {
    let named = "y: class[\"benign\", \"malignant\"] = column(\"y\")";
    csv("class_misspelt", "x,y\n1,benign\n2,malignat\n3,2\n4,fine\n", named);
    csv("class_unnamed", "x,y\n1,benign\n", "y: class[2] = column(\"y\")");
    csv("class_out_of_range", "x,y\n1,0\n2,10\n3,-1\n4,1.5\n", "y: class[10] = column(\"y\")");
    csv("tokens_out_of_range", "x,y\n1,0\n2,10\n3,-1\n4,1.5\n", "in x: tokens[2] < 5 = columns(all)");
}

#[test]
fn columns() {
    csv("column_absent", "mean radius,y\n1,2\n", "in x: f32[1] = column(\"mean raduis\")\n  y: f32[1] = column(\"y\")");
    csv(
        "column_patterns",
        "a,b,y\n1,2,3\n",
        "in x: f32[1] = columns([\"z*\", \"bb\"], except: [\"c\"])\n  y: f32[1] = column(\"y\")",
    );
    csv("column_none_left", "a,y\n1,2\n", "in x: f32[1] = columns(all, except: [\"*\"])\n  y: f32[1] = column(\"y\")");
    csv("column_only_targets", "y\n1\n", "in x: f32[1] = columns(all)\n  y: f32[1] = column(\"y\")");
    csv("column_of_other_source", "a,y\n1,2\n", "in x: f32[1] = images\n  y: f32[1] = column(\"y\")");
    fault("labels_absent", &[("i", &idx(8, &[1, 1, 1], &[0]))], "idx(\"i\", split: [1.0]) { y: class[2] = labels }");
}

#[test]
fn shapes() {
    csv("shape_columns", "a,b,y\n1,2,3\n", "in x: f32[3] = columns(all) -> standardize\n  y: f32[1] = column(\"y\")");
    csv("shape_tokens", "a,b,y\n1,2,3\n", "in x: f32[2] = columns(all) -> categories");
    csv("shape_not_image", "a,b,y\n1,2,3\n", "in x: f32[3, 2, 2] = columns(all) -> rgb");
    csv("shape_reshape", "a,b,y\n1,2,3\n", "in x: f32[2, 2] = columns(all) -> reshape(2, 2)");
    csv("shape_needs_reshape", "a,b,c,d\n1,2,3,4\n", "in x: f32[1, 2, 2] = columns(all)");
    csv("step_fill_target", "a,b,y\n1,2,3\n", "y: f32[1] = column(\"y\") -> fill(0)");
    csv("step_forget_input", "a,b,y\n1,2,3\n", "in x: f32[1] = column(\"y\") -> forget(0.5)");
    csv("step_normalize_list", "a,b,y\n1,2,3\n", "in x: f32[3] = columns(all) -> normalize(mean: [1, 2], std: 1)");
    csv("step_bytes_vocabulary", "a,b\n1,2\n", "in x: tokens[4] < 30 = column(\"a\") -> bytes(4)");
    let words = |name: &str, vocabulary: &[u8], call: &str| {
        let files: &[(&str, &[u8])] = &[("a.csv", b"a\nx\n"), ("vocab.txt", vocabulary)];
        fault(
            name,
            files,
            &format!("csv(\"a.csv\", split: [1.0]) {{ in x: tokens[4] < 5 = column(\"a\") -> {call} }}"),
        );
    };
    let whole = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nx\ny\n";
    words("step_wordpiece_absent", whole, "wordpiece(\"vocab.text\", 4)");
    words("step_wordpiece_special", b"[PAD]\nx\n", "wordpiece(\"vocab.txt\", 4)");
    words("step_wordpiece_not_text", b"\xff\xfe", "wordpiece(\"vocab.txt\", 4)");
    words("step_wordpiece_json", b"{\"model\": {}}", "wordpiece(\"vocab.txt\", 4)");
    words("step_wordpiece_vocabulary", whole, "wordpiece(\"vocab.txt\", 4)");
    words("step_wordpiece_length", &whole[..24], "wordpiece(\"vocab.txt\", 2)");
    csv("step_categories_vocabulary", "a\nx\ny\nz\n", "in x: tokens[1] < 3 = column(\"a\") -> categories");
    csv("step_standardize_tokens", "a\nx\n", "in x: f32[1] = column(\"a\") -> categories -> standardize");
    let image = idx(8, &[1, 2, 2], &[0; 4]);
    let idx =
        |name: &str, field: &str| fault(name, &[("i", &image)], &format!("idx(\"i\", split: [1.0]) {{ {field} }}"));
    idx("shape_needs_rgb", "in x: f32[3, 2, 2] = images");
    idx("shape_needs_resize", "in x: f32[1, 4, 6] = images");
    idx("step_flip_probability", "in x: f32[1, 2, 2] = images -> flip(1.5)");
    idx("step_crop_too_large", "in x: f32[1, 4, 4] = images -> crop(4)");
    idx("step_crop_invents_labels", "y: f32[1, 2, 2] = images -> crop(2, padding: 1)");
    idx("step_color_of_target", "y: f32[1, 2, 2] = images -> color(contrast: 0.1)");
    idx("step_resized_crop_area", "in x: f32[1, 2, 2] = images -> resized_crop(2, area: [1, 0.5])");
    idx("step_resized_crop_classes", "y: class[3][4, 4] = images -> resized_crop(4)");
    csv("step_flip_of_cells", "a,b\n1,2\n", "in x: f32[2] = columns(all) -> flip");
    idx("step_resize_classes", "y: class[3][4, 4] = images -> resize(4)");
    let dot = png(1, 1, 1, &[0]);
    let images: &[(&str, &[u8])] = &[("s/a/1.png", &dot), ("s/b/2.png", &dot), ("s/c/3.png", &dot)];
    fault(
        "shape_unknown_channels",
        images,
        "folder(\"s\", split: [1.0]) { in x: f32[1, 1, 1] = images -> standardize }",
    );
    fault("folder_class_count", images, "folder(\"s\", split: [1.0]) { y: class[2] = labels }");
}

#[test]
fn jsonl_files() {
    let jsonl = |name: &str, text: &[u8]| {
        fault(name, &[("a.jsonl", text)], "jsonl(\"a.jsonl\", split: [1.0]) { in x: f32[2] = column(\"x\") }")
    };
    jsonl("jsonl_empty", b"\n");
    jsonl("jsonl_syntax", b"{\"x\": [1, 2]}\n{\"x\": [1,\n[1]\n\xff\n");
    jsonl("jsonl_shapes", b"{\"x\": [1, 2]}\n{\"x\": [1]}\n{\"x\": 3}\n{\"x\": [[1], 2]}\n");
    jsonl("jsonl_object", b"{\"x\": {\"y\": 1}}\n");
    jsonl("jsonl_null", b"{\"x\": [1, 2]}\n{\"x\": [1, null]}\n{}\n{\"x\": [\"1\", \"b\"]}\n");
}

#[test]
fn npz_files() {
    let npz_fault = |name: &str, bytes: &[u8], field: &str| {
        fault(name, &[("a.npz", bytes)], &format!("npz(\"a.npz\", split: [1.0]) {{ {field} }}"))
    };
    let x = "in x: f32[2] = array(\"x\")";
    let floats: Vec<u8> = [1.0f32, f32::NAN, f32::INFINITY, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let sound = npz(&[("x", npy("<f4", false, "(2, 2)", &floats))]);
    npz_fault("npz_not_finite", &sound, x);
    npz_fault("npz_absent", &sound, "in x: f32[2] = array(\"xx\")");
    npz_fault("npz_cut_short", &sound[..sound.len() - 30], x);
    npz_fault("npz_not", b"hello", x);
    npz_fault("npz_text", &npz(&[("x", npy("<U2", false, "(2,)", &[0; 16]))]), x);
    npz_fault("npz_huge", &npz(&[("x", npy("<f4", false, "(4294967296, 4294967296)", &floats))]), x);
    npz_fault("npz_large", &npz(&[("x", npy("<f4", false, "(1000000000, 2)", &floats))]), x);
    npz_fault("npz_empty", &npz(&[("x", npy("<f4", false, "(0, 2)", &[]))]), x);
    let two = npz(&[("x", npy("<f4", false, "(2, 2)", &floats)), ("y", npy("|u1", false, "(3,)", &[0; 3]))]);
    npz_fault("npz_rows_differ", &two, "in x: f32[2] = array(\"x\"); y: class[3] = array(\"y\")");
    npz_fault(
        "npz_label_range",
        &npz(&[("y", npy("|i1", false, "(3,)", &[3, 254, 255]))]),
        "y: class[3] = array(\"y\")",
    );
}

#[test]
fn idx_files() {
    let images = idx(8, &[2, 1, 1], &[0, 0]);
    let fault = |name: &str, images: &[u8], labels: &[u8]| {
        let files: &[(&str, &[u8])] = &[("i", images), ("l", labels)];
        fault(name, files, "idx(\"i\", \"l\", split: [1.0]) { in x: f32[1, 1, 1] = images; y: class[3] = labels }");
    };
    fault("idx_magic", b"PNG images", &idx(8, &[2], &[0, 0]));
    fault("idx_type", &idx(7, &[2, 1, 1], &[0, 0]), &idx(8, &[2], &[0, 0]));
    fault("idx_cut_short", &images[..13], &idx(8, &[2], &[0, 0]));
    fault("idx_header_cut_short", &images[..9], &idx(8, &[2], &[0, 0]));
    fault("idx_huge", &idx(8, &[u32::MAX; 4], &[0]), &idx(8, &[2], &[0, 0]));
    fault("idx_swapped", &idx(8, &[2], &[0, 0]), &images);
    fault("idx_counts", &images, &idx(8, &[3], &[0, 0, 0]));
    fault("idx_label_range", &images, &idx(8, &[2], &[2, 3]));
    fault("idx_labels_are_images", &images, &images);
    fault("idx_no_rows", &idx(8, &[0, 1, 1], &[]), &idx(8, &[0], &[]));
}

#[test]
fn images() {
    fault(
        "folder_empty",
        &[("s/a/readme.txt", b"")],
        "folder(\"s\", split: [1.0]) { in x: f32[1, 1, 1] = images -> gray -> resize(1) }",
    );
    let sound = png(3, 3, 1, &[9; 9]);
    let dir = folder(&[
        ("s/a/1.png", &sound),
        ("s/a/2.png", &sound[..sound.len() / 2]),
        ("s/a/3.png", b"no"),
        ("s/a/4.png", b""),
    ]);
    let text = "folder(\"s\", split: [1.0]) { in x: f32[1, 1, 1] = images -> gray -> resize(1) }";
    let (spec, source) = spec::spec(text, dir.path());
    let data = Dataset::open(&spec).expect("images are decoded later");
    assert_eq!(data.batch(&[0]).expect("a sound image").size, 1);
    let wrong = data.batch(data.rows(Split::Train)).expect_err("damaged images");
    pin("image_damaged", &wrong.render(Some(&source), false), dir.path());
    std::fs::remove_file(dir.path().join("s/a/1.png")).expect("a file");
    assert!(data.batch(&[0]).is_ok(), "the cache keeps it");
    assert!(data.batch(&[9]).is_err());
}

#[test]
fn later_runs() {
    let dir = folder(&[("a.csv", b"a,b,y\n1,2,3\n2,3,4\n"), ("new.csv", b"a,c\n1,2\n")]);
    let text = |x: &str| {
        format!("csv(\"a.csv\", split: [1.0]) {{ in x: f32[2] = columns(all){x}; y: f32[1] = column(\"y\") }}")
    };
    let (spec, source) = spec::spec(&text(" -> standardize"), dir.path());
    let fitted = Dataset::open(&spec).expect("sound").fitted();
    let pin_error = |name: &str, source: &Source, result: mtlc::base::Result<Dataset>| match result {
        Ok(_) => panic!("{name} was accepted"),
        Err(diagnostics) => pin(name, &diagnostics.render(Some(source), false), dir.path()),
    };
    let new = [dir.path().join("new.csv")];
    pin_error("later_columns", &source, Dataset::open_unlabelled(&spec, Some(&new), &fitted));
    let (spec, source) = spec::spec(&text(""), dir.path());
    pin_error("later_steps", &source, Dataset::open_fitted(&spec, &fitted));
    let (spec, source) = spec::spec(&text(" -> standardize").replace("in x", "in other"), dir.path());
    pin_error("later_fields", &source, Dataset::open_fitted(&spec, &fitted));
}

/// A device or a pipe may have no end.
#[cfg(unix)]
#[test]
fn special_files() {
    for (name, source) in [
        ("special_csv", "csv(\"/dev/zero\", "),
        ("special_jsonl", "jsonl(\"/dev/zero\", "),
        ("special_npz", "npz(\"/dev/zero\", "),
    ] {
        fault(name, &[], &format!("{source}split: [1.0]) {{ in x: f32[1] = column(\"x\") }}"));
    }
}

#[test]
fn drawn() {
    let scene = "{ in x: f32[3, 48, 80] = images }";
    fault("drawn_small", &[], &format!("driving(height: 8) {scene}"));
    fault("drawn_rows", &[], &format!("driving(rows: 9000000000) {scene}"));
    fault("drawn_pixels", &[], &format!("driving(width: 4000000000000000000, height: 4000000000000000000) {scene}"));
    fault("drawn_large", &[], "lesions(size: 100000) { in x: f32[3, 48, 48] = images }");
    fault("drawn_array", &[], "lesions(rows: 2, split: [1.0]) { in x: f32[3, 48, 48] = array(\"image\") }");
    fault("drawn_column", &[], "lesions(rows: 2, split: [1.0]) { in x: f32[1] = column(\"size\") }");
    fault("drawn_split", &[], "lesions(rows: 2, split: \"size\") { in x: f32[3, 48, 48] = images }");
}
