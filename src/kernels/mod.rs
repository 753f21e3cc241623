//! What talks to hardware directly: the only room with `unsafe`.

pub mod cpu;
pub mod cuda;
