//! The integration tests, one module per room, in one binary.

mod allocations;
mod backbones;
mod balancers;
mod bench_cli;
mod checker;
mod cli;
mod data;
mod engine;
mod metrics;
mod mixup;
mod ops;
mod parts;
mod passes;
mod plan;
mod report;
mod sharing;
mod specs;
mod syntax;
mod tidy;
mod train;
mod weights;
