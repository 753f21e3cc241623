//! Training, evaluation and prediction: epochs over data, checkpoints, and the folder of a run.
//!
//! A run is a folder. Its checkpoint holds everything that the next step depends on, so a run that was interrupted and
//! resumed ends with the same bits as one that was not. Nothing here prints; who wants to see progress passes a [`Watch`].

mod answer;
mod balance;
mod checkpoint;
pub mod compare;
mod config;
mod evaluate;
pub mod features;
mod fit;
mod history;
mod origin;
pub mod precision;
mod predict;
mod profile;
mod published;
mod random;
mod run;
mod sampling;
mod sources;
mod step;
mod tuned;

pub use checkpoint::{State, leave_answers};
pub use evaluate::{Evaluation, evaluate, evaluate_with, labels, labels_by_source};
pub use fit::{Fit, Frozen, Outcome, Watch, final_evaluations, fit};
pub use history::{EpochRecord, History, report};
pub use origin::first_weights;
pub use predict::{Row, columns, predict};
pub use profile::Profile;
pub use random::random_batch;
pub use run::{Run, RunRecord};
pub use sampling::Sampler;
pub use sources::{Preparation, Sources};
pub use step::{Step, Taken};
