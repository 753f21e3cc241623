//! The integration tests, one module per room.

mod data;
