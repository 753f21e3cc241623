//! Settings of the blocks that name no part: `train`, `serve`, `tune`, and the options of a backbone.

use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::Winograd;

/// `train { … }`.
pub static TRAIN: Signature = Signature {
    name: "train",
    kind: PartKind::Settings,
    summary: "how to train",
    params: &[
        Param::with("epochs", Kind::Count, "10", "passes over the training rows; with `phases`, the sum of theirs"),
        Param::optional(
            "phases",
            Kind::List(&Kind::Part(PartKind::Phase)),
            "stretches of the training, one after the other, such as `[probe(epochs: 2), finetune(epochs: 8)]`",
        ),
        Param::with("batch", Kind::Count, "32", "rows of a step"),
        Param::with(
            "sample",
            Kind::Part(PartKind::Sampling),
            "by_size",
            "how the rows of an epoch are chosen among several sources",
        ),
        Param::with("complete", Kind::Flag, "false", "train only on rows that have the label of every task"),
        Param::with("optimizer", Kind::Part(PartKind::Optimizer), "adam", "how gradients move the parameters"),
        Param::with("schedule", Kind::Part(PartKind::Schedule), "constant", "how the learning rate changes"),
        Param::optional(
            "clip",
            Kind::Positive,
            "the largest norm of all gradients together; longer ones are scaled down",
        ),
        Param::optional(
            "ema",
            Kind::Fraction,
            "how much of the running average of the parameters a step keeps; the average is what is evaluated and served",
        ),
        Param::with("seed", Kind::Whole, "0", "of initial parameters, shuffling and dropout"),
        Param::optional("patience", Kind::Count, "stop after so many epochs without a better validation objective"),
        Param::optional(
            "mixup",
            Kind::Positive,
            "blend each example with another of its batch, by a share from Beta(mixup, mixup), and its losses alike; 0.2 is usual",
        ),
        Param::with(
            "winograd",
            Kind::Word(Winograd::WORDS),
            "f2",
            "the largest tiles of Winograd that convolutions may take: none, 2×2 or 4×4 outputs; larger ones are faster and round more",
        ),
        Param::with(
            "cache",
            Kind::Word(CACHES),
            "auto",
            "what follows from frozen layers alone is computed once and kept: where that pays, never, or always, in f32 or rounded to bf16",
        ),
        Param::optional(
            "variants",
            Kind::Count,
            "draw so many variants of each training row, keep what is computed once of each, and train on them in turn",
        ),
    ],
};

/// What `cache` of `train` can be; see [`crate::passes::frozen`].
pub const CACHES: &[&str] = &["auto", "off", "f32", "bf16"];

/// What `serve` can compute in; see [`crate::ops::precision`].
pub const PRECISIONS: &[&str] = &["f32", "bf16", "int8"];

/// `serve { … }`.
pub static SERVE: Signature = Signature {
    name: "serve",
    kind: PartKind::Settings,
    summary: "how to serve",
    params: &[
        Param::with("port", Kind::Count, "8080", "port of the server"),
        Param::with(
            "batch",
            Kind::Count,
            "1",
            "most requests answered in one pass; the memory to serve is planned for it",
        ),
        Param::with("wait", Kind::Duration, "2ms", "longest wait for a batch to fill"),
        Param::with(
            "precision",
            Kind::Word(PRECISIONS),
            "f32",
            "the numbers that linear layers and convolutions compute in; training is in f32 throughout",
        ),
    ],
};

/// `freeze SELECTION (…)`.
pub static FREEZE: Signature = Signature {
    name: "freeze",
    kind: PartKind::Settings,
    summary: "what becomes of the norms among frozen layers",
    params: &[Param::with(
        "norm",
        Kind::Word(&["frozen", "affine", "train"]),
        "frozen",
        "`frozen`: running statistics are used and kept, like all parameters; `affine`: the same, and scale and shift are \
         trained; `train`: norms train as if nothing froze them",
    )],
};

/// `tune SELECTION (…)`.
pub static TUNE: Signature = Signature {
    name: "tune",
    kind: PartKind::Settings,
    summary: "what is different for some parameters",
    params: &[
        Param::optional(
            "lr",
            Kind::Either(&[Kind::Factor, Kind::Positive]),
            "learning rate, as a multiple of the optimizer's (`0.1x`) or by itself (`1e-4`)",
        ),
        Param::optional("weight_decay", Kind::NonNegative, "weight decay in place of the optimizer's"),
        Param::optional(
            "layer_decay",
            Kind::Fraction,
            "what the rate is multiplied by for each layer of the network that lies behind; the last layer has the whole rate",
        ),
        Param::optional(
            "l2sp",
            Kind::NonNegative,
            "strength of a pull towards the values that the parameters started from",
        ),
        Param::optional(
            "adapt",
            Kind::Part(PartKind::Adapter),
            "train these few numbers of the layers, or beside them, and freeze the rest",
        ),
    ],
};

/// The options of `backbone NAME(…, options)`, and of a head.
pub static BACKBONE: Signature = Signature {
    name: "backbone",
    kind: PartKind::Settings,
    summary: "options of a backbone or a head, behind what it reads",
    params: &[Param::optional(
        "weights",
        Kind::Either(&[Kind::Text, Kind::Part(PartKind::Weights)]),
        "where the parameters start: a file of weights, with `file(…)` around it where names differ, or `run(model)`",
    )],
};

/// `weights: file(path, …)`.
pub static FILE: Signature = Signature {
    name: "file",
    kind: PartKind::Weights,
    summary: "the tensors of a file: safetensors, sharded safetensors, PyTorch, npz",
    params: &[
        Param::required("path", Kind::Text, "the file, from the folder of the spec"),
        Param::optional(
            "rename",
            Kind::List(&Kind::Text),
            "rules from names of the file to paths below the network, such as `\"blocks.* -> layers.*\"`",
        ),
        Param::optional(
            "unused",
            Kind::List(&Kind::Text),
            "tensors of the file that are not wanted, such as `\"_fc.*\"`",
        ),
        Param::optional(
            "fresh",
            Kind::List(&Kind::Text),
            "parameters that keep their first values, by their paths below the network",
        ),
    ],
};

/// `weights: run(model)`.
pub static RUN: Signature = Signature {
    name: "run",
    kind: PartKind::Weights,
    summary: "the parameters that the newest training run of a model left",
    params: &[
        Param::required("model", Kind::Either(&[Kind::Text, Kind::Prediction]), "the name of the model"),
        Param::with("checkpoint", Kind::Word(&["best", "last"]), "best", "which of the run's checkpoints"),
        Param::optional(
            "network",
            Kind::Either(&[Kind::Text, Kind::Prediction]),
            "the network of that model; by default the one of the same name",
        ),
    ],
};

/// The preparation step `prepare_for(trunk)`, which the resolver writes out: it depends on the networks, which data do not know.
pub static PREPARE_FOR: Signature = Signature {
    name: "prepare_for",
    kind: PartKind::Step,
    summary: "`rgb`, `resize` to the size of the input, and `normalize` as the published weights of a library backbone expect it",
    params: &[Param::required("backbone", Kind::Prediction, "the `backbone` that reads the images")],
};

/// A learning rate of `tune`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LearningRate {
    /// A multiple of the optimizer's.
    Times(f64),
    /// In place of the optimizer's; the schedule still applies.
    Absolute(f64),
}
