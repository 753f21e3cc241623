//! `bitfit`: of everything only the biases are trained, and the shifts of norms, which are biases by name (Ben Zaken et al. 2021,
//! arXiv 2106.10199).

use crate::base::signature::{PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "bitfit",
    kind: PartKind::Adapter,
    summary: "only biases and the shifts of norms are trained",
    params: &[],
};

pub fn trains(name: &str) -> bool {
    name.rsplit('.').next() == Some("bias")
}
