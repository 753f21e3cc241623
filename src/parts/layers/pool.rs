//! Pools: windows that keep the largest or the mean value.

use super::Layer;
use super::spatial::{PADDING, PAIR, feature_map, padding, pair, window_fits};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::parts::cell::{Cell, Fault};

/// `max_pool` or `avg_pool`.
pub struct Pool {
    average: bool,
}

pub static MAX: Pool = Pool { average: false };
pub static AVERAGE: Pool = Pool { average: true };
pub struct Adaptive;
pub struct Global;

const STRIDE: Param = Param::optional("stride", PAIR, "step of the window; by default its size");

static MAX_POOL: Signature = Signature {
    name: "max_pool",
    kind: PartKind::Layer,
    summary: "the largest value of each window",
    params: &[Param::required("kernel", PAIR, "size of the window, or `[height, width]`"), STRIDE, PADDING],
};

static AVG_POOL: Signature = Signature {
    name: "avg_pool",
    kind: PartKind::Layer,
    summary: "the mean of each window",
    params: &[
        Param::required("kernel", PAIR, "size of the window, or `[height, width]`"),
        STRIDE,
        PADDING,
        Param::with("count_padding", Kind::Flag, "true", "whether padded zeros count in the mean"),
    ],
};

static ADAPTIVE_POOL: Signature = Signature {
    name: "adaptive_pool",
    kind: PartKind::Layer,
    summary: "means over a grid that fits any size: `[c, h, w]` to `[c, height, width]`",
    params: &[
        Param::required("height", Kind::Count, "rows of the result"),
        Param::optional("width", Kind::Count, "columns of the result; by default as many as rows"),
    ],
};

static GLOBAL_POOL: Signature = Signature {
    name: "global_pool",
    kind: PartKind::Layer,
    summary: "the mean of each channel: `[c, h, w]` to `[c]`",
    params: &[],
};

impl Layer for Pool {
    fn signature(&self) -> &'static Signature {
        if self.average { &AVG_POOL } else { &MAX_POOL }
    }

    fn kind(&self) -> &'static str {
        "pool"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [_, height, width] = feature_map(self.signature().name, &cell.ty(x))?;
        let kernel = pair(cell.args, "kernel")?;
        let stride = if cell.args.has("stride") { pair(cell.args, "stride")? } else { kernel };
        let padding = padding(cell.args, [height, width], kernel, stride, [1, 1]);
        window_fits(self.signature().name, [height, width], kernel, [1, 1], padding)?;
        if self.average {
            let count_padding = cell.args.flag("count_padding");
            cell.op(ops::avg_pool2d::AvgPool2d { kernel, stride, padding, count_padding }, &[x])
        } else {
            cell.op(ops::max_pool2d::MaxPool2d { kernel, stride, padding }, &[x])
        }
    }
}

impl Layer for Adaptive {
    fn signature(&self) -> &'static Signature {
        &ADAPTIVE_POOL
    }

    fn kind(&self) -> &'static str {
        "pool"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let height = cell.args.size("height");
        let width = if cell.args.has("width") { cell.args.size("width") } else { height };
        cell.op(ops::adaptive_avg_pool2d::AdaptiveAvgPool2d { size: [height, width] }, &[x])
    }
}

impl Layer for Global {
    fn signature(&self) -> &'static Signature {
        &GLOBAL_POOL
    }

    fn kind(&self) -> &'static str {
        "pool"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        cell.op(ops::global_avg_pool::GlobalAvgPool {}, &[x])
    }
}
