//! mtlc: a compiler and runtime for transfer learning and multi-task learning.
//!
//! The rooms below stand in import order: a module uses only what stands above it. `src/ARCHITECTURE.md` tells the story.

pub mod base;

pub mod files;

pub mod weights;

pub mod syntax;

pub mod ops;

pub mod kernels;

pub mod graph;

pub mod data;

pub mod parts;

pub mod model;

pub mod lower;

pub mod passes;

pub mod plan;

pub mod engine;

pub mod report;

pub mod train;

pub mod cli;
