//! The specs on rows that are drawn: small runs learn more than can be guessed.

use super::{metric, specs, train};

/// The commonest class of pixels covers about two thirds of them, and the mean distance is some 32 m off on average.
#[test]
fn lanes_and_distances_of_drawn_roads_are_learned() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = ["--set", "data.scenes.rows=160", "--set", "train.epochs=4"];
    let run = train(folder.path(), &specs().join("driving.mtl"), &more);
    let (surface, distance) = (metric(&run, "test", "accuracy(surface)"), metric(&run, "test", "mae(distance)"));
    assert!(surface > 0.8, "{run}");
    assert!(distance < 20.0, "{run}");
}

/// Without a lesion in sight an `f1` is 0.5 at most, an `auroc` of chance is 0.5, and a size of the mean has an `r2` of 0.
#[test]
fn outline_size_and_verdict_of_drawn_lesions_are_learned() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = ["--set", "data.skin.rows=500", "--set", "train.epochs=5"];
    let run = train(folder.path(), &specs().join("lesion.mtl"), &more);
    let value = |name: &str| metric(&run, "test", name);
    assert!(value("f1(mask)") > 0.9, "{run}");
    assert!(value("r2(size)") > 0.5, "{run}");
    assert!(value("auroc(verdict)") > 0.6, "{run}");
}
