//! Which instructions the kernels use: chosen once, the best that the machine has unless somebody forces another.

use super::finish::Finish;
use super::rounded::{self, RoundedFn};
use super::{Tile, avx2, avx512, portable, rounded256, rounded512, transpose};
use std::sync::OnceLock;

/// The tile's formula for one set of instructions.
///
/// # Safety
/// The machine has the instructions, every number that the tile names lies in its slice, and the results are not shared.
pub type TileFn = unsafe fn(tile: &Tile, y: *mut f32, to: &[usize], finish: &Finish);

/// The kernels for one set of instructions.
pub struct Isa {
    /// The name that `--kernels` takes.
    pub name: &'static str,
    /// One sentence without a full stop.
    pub summary: &'static str,
    /// Whether this machine can run them.
    pub available: fn() -> bool,
    pub(super) tile: TileFn,
    pub(super) transpose: transpose::BlockFn,
    /// In low precision.
    pub bf16: RoundedFn,
    pub int8: RoundedFn,
}

static ALL: &[Isa] = &[
    #[cfg(target_arch = "x86_64")]
    Isa {
        name: "avx512",
        summary: "AVX-512: 14 rows by 32 columns in 28 registers of 16 numbers",
        available: || is_x86_feature_detected!("avx512f"),
        tile: avx512::tile,
        transpose: transpose::avx512,
        bf16: rounded512::bf16,
        int8: rounded512::int8,
    },
    #[cfg(target_arch = "x86_64")]
    Isa {
        name: "avx2",
        summary: "AVX2 and FMA: 6 rows by 16 columns in 12 registers of 8 numbers",
        available: || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        tile: avx2::tile,
        transpose: transpose::avx2,
        bf16: rounded256::bf16,
        int8: rounded256::int8,
    },
    Isa {
        name: "portable",
        summary: "what the compiler makes of plain loops, on any machine",
        available: || true,
        tile: portable::tile,
        transpose: transpose::portable,
        bf16: rounded::bf16,
        int8: rounded::int8,
    },
];

static CHOSEN: OnceLock<&'static Isa> = OnceLock::new();

/// Every set of instructions, the best first.
pub fn all() -> &'static [Isa] {
    ALL
}

/// The kernels in use.
pub fn chosen() -> &'static Isa {
    CHOSEN.get_or_init(|| ALL.iter().find(|isa| (isa.available)()).expect("the portable kernels are always there"))
}

/// Forces the kernels of that name, before anything has run. Gives the names that this machine could use when it cannot be.
pub fn choose(name: &str) -> Result<(), Vec<&'static str>> {
    let usable = || ALL.iter().filter(|isa| (isa.available)());
    let isa = usable().find(|isa| isa.name == name).ok_or_else(|| usable().map(|isa| isa.name).collect::<Vec<_>>())?;
    let now = CHOSEN.get_or_init(|| isa);
    assert!(std::ptr::eq(*now, isa), "bug: kernels were forced after others had run");
    Ok(())
}
