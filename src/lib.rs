//! mtlc: a compiler and runtime for transfer learning and multi-task learning.
//!
//! The rooms below stand in import order: a module uses only what stands above it. `src/ARCHITECTURE.md` tells the story.

pub mod base;

pub mod syntax;

pub mod ops;

pub mod data;
