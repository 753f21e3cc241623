//! What a spec can name: layers, losses, metrics, optimizers, schedules and balancers.
//!
//! Each is one file with its [`Signature`] and one line in the list of its kind. The checker, did-you-mean, `mtlc explain`
//! and the language reference read these lists.

pub mod balancers;
pub mod cell;
pub mod layers;
pub mod losses;
