//! The command as a user meets it: the built binary in a folder of its own, and what it says on both streams.
//!
//! Specs and data are tiny, so a whole road takes a fraction of a second. What changes from run to run, such as times, hashes and
//! the last digits of numbers, is masked before it is compared.

mod compare;
mod interrupted;
mod lab;
mod precision;
mod road;
mod sizes;
mod streams;
mod weights;
mod wrong;
