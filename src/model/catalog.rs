//! Every name of the language, by kind.

use super::{phase, sampling, settings};
use crate::base::signature::{PartKind, Signature};
use crate::{data, parts};

/// The signatures of a kind, in the order of the reference.
pub fn catalog(kind: PartKind) -> Vec<&'static Signature> {
    match kind {
        PartKind::Layer => parts::layers::LAYERS.iter().map(|l| l.signature()).collect(),
        PartKind::Backbone => parts::backbones::all().map(|(b, _)| b.signature).collect(),
        PartKind::Loss => parts::losses::LOSSES.iter().map(|l| l.signature).collect(),
        PartKind::Metric => parts::metrics::signatures(),
        PartKind::Optimizer => parts::optimizers::signatures(),
        PartKind::Schedule => parts::schedules::signatures(),
        PartKind::Balancer => parts::balancers::BALANCERS.iter().map(|b| b.signature()).collect(),
        PartKind::Source => data::sources(),
        PartKind::Column => data::columns(),
        PartKind::Step => data::steps().into_iter().chain([&settings::PREPARE_FOR]).collect(),
        PartKind::Weights => vec![&settings::FILE, &settings::RUN],
        PartKind::Adapter => parts::adapters::signatures(),
        PartKind::Phase => vec![&phase::PROBE, &phase::FINETUNE],
        PartKind::Sampling => vec![&sampling::BY_SIZE, &sampling::WEIGHTS, &sampling::ROUND_ROBIN],
        PartKind::Settings => {
            vec![&settings::TRAIN, &settings::SERVE, &settings::FREEZE, &settings::TUNE, &settings::BACKBONE]
        }
    }
}

/// The kinds as the pages of a manual: title and kind.
pub fn pages() -> &'static [(&'static str, PartKind)] {
    &[
        ("Layers", PartKind::Layer),
        ("Backbones", PartKind::Backbone),
        ("Losses", PartKind::Loss),
        ("Metrics", PartKind::Metric),
        ("Balancers", PartKind::Balancer),
        ("Optimizers", PartKind::Optimizer),
        ("Schedules", PartKind::Schedule),
        ("Data sources", PartKind::Source),
        ("Columns", PartKind::Column),
        ("Preparation steps", PartKind::Step),
        ("Weights", PartKind::Weights),
        ("Adapters", PartKind::Adapter),
        ("Phases", PartKind::Phase),
        ("Sampling", PartKind::Sampling),
        ("Settings", PartKind::Settings),
    ]
}

/// What a name is, when it is not what was looked for.
pub fn kind_of(name: &str) -> Option<PartKind> {
    let kinds = pages().iter().map(|(_, kind)| *kind).filter(|kind| *kind != PartKind::Settings);
    kinds.into_iter().find(|kind| catalog(*kind).iter().any(|s| s.name == name))
}
