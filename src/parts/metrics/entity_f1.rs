//! `entity_f1`: the harmonic mean of precision and recall over whole entities (Tjong Kim Sang and De Meulder 2003).
//!
//! Classes are tags by their names: `O` outside of entities, `B-KIND` at the beginning of one, `I-KIND` inside. An entity begins at
//! `B`, and at an `I` behind `O` or another kind; it ends before `O`, before `B`, and before another kind. One that is named counts
//! when kind, beginning and end are those of a true one, `F₁ = 2·TP / (named + true)`. Agrees with seqeval's `f1_score` in its
//! default mode: `micro` counts all kinds together, `macro` averages over those that are named or true.
//!
//! Places without a label are left out, so that what stands around them is side by side. Where no entity is named or true, there
//! is no value.

use super::elements::{Element, average, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use std::collections::{BTreeMap, BTreeSet};

pub static SIGNATURE: Signature = Signature {
    name: "entity_f1",
    kind: PartKind::Metric,
    summary: "F1 of whole entities, from tags named `O`, `B-KIND` and `I-KIND`",
    params: &[
        PREDICTION,
        TARGET,
        Param::with("average", Kind::Word(&["micro", "macro"]), "micro", "how kinds of entities are put together"),
    ],
};

pub fn build(args: &Args) -> Box<dyn Metric> {
    Box::new(EntityF1 { macros: args.text("average") == "macro", tags: vec![], kinds: BTreeMap::new(), nan: false })
}

/// What a tag says: whether an entity begins, and of which kind; nothing outside of entities.
type Tag = Option<(bool, String)>;

/// A tag by its name; `None` where the name is no tag's.
pub fn tag(name: &str) -> Option<Tag> {
    match name.split_once('-') {
        _ if name == "O" => Some(None),
        Some(("B", kind)) if !kind.is_empty() => Some(Some((true, kind.into()))),
        Some(("I", kind)) if !kind.is_empty() => Some(Some((false, kind.into()))),
        _ => None,
    }
}

#[derive(Default)]
struct Counts {
    hits: u64,
    /// Named, plus true.
    both: u64,
}

impl Counts {
    fn f1(&self) -> Option<f64> {
        (self.both > 0).then(|| 2.0 * self.hits as f64 / self.both as f64)
    }
}

pub struct EntityF1 {
    macros: bool,
    /// What each class says.
    tags: Vec<Tag>,
    kinds: BTreeMap<String, Counts>,
    nan: bool,
}

impl EntityF1 {
    /// The entities of one sequence: kind, beginning, and the first place behind.
    fn entities(&self, classes: &[usize]) -> BTreeSet<(&str, usize, usize)> {
        let mut found = BTreeSet::new();
        let mut open: Option<(&str, usize)> = None;
        for (place, tag) in classes.iter().map(|&class| self.tags.get(class).and_then(Option::as_ref)).enumerate() {
            let goes_on = tag.is_some_and(|(begins, kind)| !begins && open.is_some_and(|(own, _)| own == kind));
            if !goes_on {
                found.extend(open.take().map(|(kind, start)| (kind, start, place)));
                open = tag.map(|(_, kind)| (kind.as_str(), place));
            }
        }
        found.extend(open.map(|(kind, start)| (kind, start, classes.len())));
        found
    }

    fn compare(&mut self, named: &[usize], there: &[usize]) {
        let (named, there) = (self.entities(named), self.entities(there));
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        for (kind, ..) in named.iter().chain(&there) {
            counts.entry((*kind).into()).or_default().both += 1;
        }
        for (kind, ..) in named.intersection(&there) {
            counts.entry((*kind).into()).or_default().hits += 1;
        }
        for (kind, own) in counts {
            let all = self.kinds.entry(kind).or_default();
            (all.hits, all.both) = (all.hits + own.hits, all.both + own.both);
        }
    }
}

impl Metric for EntityF1 {
    fn names(&mut self, names: &[String]) {
        self.tags = names.iter().map(|name| tag(name).flatten()).collect();
    }

    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        let Truth::Classes { ids } = truth else { return };
        let (rows, dims) = (present.len(), prediction.dims);
        let (wide, long) = (prediction.values.len() / rows.max(1), ids.len() / rows.max(1));
        for row in 0..rows {
            let (mut named, mut there, mut nan) = (vec![], vec![], false);
            let mut one = dims.to_vec();
            one[0] = 1;
            let prediction = Prediction { values: &prediction.values[row * wide..][..wide], dims: &one };
            let truth = Truth::Classes { ids: &ids[row * long..][..long] };
            each(prediction, truth, &present[row..=row], |element| {
                let Element::Class { logits, class } = element else { return };
                nan |= logits.has_nan();
                named.push(logits.argmax());
                there.push(class);
            });
            self.nan |= nan;
            self.compare(&named, &there);
        }
    }

    fn value(&self) -> Option<f64> {
        if self.nan {
            return Some(f64::NAN);
        }
        if self.macros {
            return average(self.kinds.values().map(Counts::f1));
        }
        let sum = |part: fn(&Counts) -> u64| self.kinds.values().map(part).sum();
        Counts { hits: sum(|c| c.hits), both: sum(|c| c.both) }.f1()
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}
