//! `mean_tokens`: the mean over the tokens of a sequence that are not padding.

use super::Layer;
use crate::base::signature::{PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct MeanTokens;

static SIGNATURE: Signature = Signature {
    name: "mean_tokens",
    kind: PartKind::Layer,
    summary: "the mean over the tokens that are not padding: `[tokens, width]` to `[width]`",
    params: &[],
};

impl Layer for MeanTokens {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "pool"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let ty = cell.ty(x);
        let [tokens, width] = ty.inner()[..] else {
            return Err(Mismatch::new(format!(
                "`mean_tokens` takes tokens [tokens, width], and gets {}",
                ty.example()
            ))
            .into());
        };
        if let Some(mask) = cell.graph.token_mask(x) {
            return cell.op(ops::masked_mean::MaskedMean {}, &[x, mask]);
        }
        // The mean over tokens is the mean of each channel of a one-pixel-wide feature map.
        let columns = cell.op(ops::permute::Permute { order: vec![1, 0] }, &[x])?;
        let map = cell.op(ops::reshape::Reshape { dims: vec![width, tokens, 1] }, &[columns])?;
        cell.op(ops::global_avg_pool::GlobalAvgPool {}, &[map])
    }
}
