//! The integration tests, one module per room, in one binary.

mod data;
mod metrics;
mod ops;
mod parts;
mod report;
mod syntax;
mod tidy;
