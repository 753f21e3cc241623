//! Phases of a training: stretches of epochs with rules of their own, `train { phases: [probe(epochs: 2), …] }`.
//!
//! Everything about a phase follows from the epoch, so a resumed run is in the phase in which it stopped. Each begins with
//! fresh state of its optimizer and from the start of its schedule. Without `phases`, the training is one phase.

use super::Model;
use crate::base::signature::{Args, Call, Kind, Param, PartKind, Signature};
use crate::parts::optimizers::{self, Hyper};

/// How far a phase goes, and what it changes; what is absent is that of `train`.
const PARAMS: &[Param] = &[
    Param::required("epochs", Kind::Count, "passes over the training rows in this phase"),
    Param::optional("lr", Kind::Positive, "learning rate in place of the optimizer's"),
    Param::optional("optimizer", Kind::Part(PartKind::Optimizer), "optimizer in place of that of `train`"),
    Param::optional("schedule", Kind::Part(PartKind::Schedule), "schedule in place of that of `train`"),
];

pub static PROBE: Signature = Signature {
    name: "probe",
    kind: PartKind::Phase,
    summary: "every backbone is frozen: the heads learn to read what is there",
    params: PARAMS,
};

pub static FINETUNE: Signature = Signature {
    name: "finetune",
    kind: PartKind::Phase,
    summary: "nothing is frozen but what `freeze` says",
    params: PARAMS,
};

/// One phase of a model's training.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    /// As the spec calls it; nothing when the training is not divided.
    pub name: Option<&'static str>,
    /// Whether every backbone is frozen.
    pub probes: bool,
    /// The epochs before it, and those in it.
    pub start: u64,
    pub epochs: u64,
    pub optimizer: &'a Call,
    pub schedule: &'a Call,
    lr: Option<f64>,
}

impl Phase<'_> {
    /// Learning rate and weight decay before schedule and `tune`.
    pub fn hyper(&self) -> Hyper {
        let hyper = optimizers::hyper(self.optimizer);
        Hyper { lr: self.lr.unwrap_or(hyper.lr), ..hyper }
    }
}

impl Model {
    /// The phases of the training, in their order; at least one.
    pub fn phases(&self) -> Vec<Phase<'_>> {
        phases(&self.train)
    }

    /// The phase of an epoch, counted from 0. The last one has no end.
    pub fn phase(&self, epoch: u64) -> Phase<'_> {
        let phases = self.phases();
        *phases.iter().rev().find(|phase| phase.start <= epoch).expect("the first phase starts at epoch 0")
    }
}

fn phases(train: &Args) -> Vec<Phase<'_>> {
    let (optimizer, schedule) = (train.part("optimizer"), train.part("schedule"));
    if !train.has("phases") {
        let epochs = train.size("epochs") as u64;
        return vec![Phase { name: None, probes: false, start: 0, epochs, optimizer, schedule, lr: None }];
    }
    let mut start = 0;
    let calls = train.list("phases").iter().filter_map(|arg| arg.value.as_part());
    let phase = |call| {
        let Call { signature, args, .. }: &Call = call;
        let own = |name, default| if args.has(name) { args.part(name) } else { default };
        let phase = Phase {
            name: Some(signature.name),
            probes: signature.name == PROBE.name,
            start,
            epochs: args.size("epochs") as u64,
            optimizer: own("optimizer", optimizer),
            schedule: own("schedule", schedule),
            lr: args.get("lr").and_then(|lr| lr.value.as_float()),
        };
        start += phase.epochs;
        phase
    };
    calls.map(phase).collect()
}

/// Epochs of all phases together.
pub fn epochs(train: &Args) -> u64 {
    phases(train).iter().map(|phase| phase.epochs).sum()
}
