//! What a spec can name: layers, library backbones, losses, metrics, optimizers, schedules, balancers and adapters; one kind a folder,
//! one part a file,
//! one list a kind.
//!
//! Beside them stand [`cell`], where a layer is built, and [`boxes`], what a detector's answer means.
//!
//! A part describes itself by a [`Signature`](crate::base::signature::Signature), which the checker, did-you-mean, `mtlc explain`
//! and the language reference read. A call that was checked against its signature comes in; what the part does comes out.

pub mod adapters;
pub mod backbones;
pub mod balancers;
pub mod boxes;
pub mod cell;
pub mod coding;
pub mod layers;
pub mod losses;
pub mod metrics;
pub mod optimizers;
pub mod schedules;
