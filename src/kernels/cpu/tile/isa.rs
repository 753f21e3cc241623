//! Which instructions the kernels use: chosen once, the best that the machine has unless somebody forces another.

use super::finish::Finish;
use super::rounded::{self, RoundedFn};
use super::{Tile, portable, transpose};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, rounded256, rounded512};
use pulp::Arch;
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
    /// What `math::vectorised` and its like compile their loops for; the same, where the machine has it.
    pub(in crate::kernels::cpu) arch: fn() -> Arch,
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
        arch: Arch::new,
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
        arch: || pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3),
        tile: avx2::tile,
        transpose: transpose::avx2,
        bf16: rounded256::bf16,
        int8: rounded256::int8,
    },
    Isa {
        name: "portable",
        summary: "what the compiler makes of plain loops, on any machine",
        available: || true,
        arch: || Arch::Scalar,
        tile: portable::tile,
        transpose: transpose::portable,
        bf16: rounded::bf16,
        int8: rounded::int8,
    },
];

static CHOSEN: OnceLock<&'static Isa> = OnceLock::new();

/// The environment variable that forces the kernels of a name, as `--kernels` does.
pub const VARIABLE: &str = "MTLC_KERNELS";

/// Every set of instructions, the best first.
pub fn all() -> &'static [Isa] {
    ALL
}

/// The kernels in use. A name in the environment that this machine cannot use is passed over here; [`choose`] refuses it.
pub fn chosen() -> &'static Isa {
    CHOSEN.get_or_init(|| {
        let named = std::env::var(VARIABLE).ok().and_then(|name| usable().find(|isa| isa.name == name));
        named.or_else(|| usable().next()).expect("the portable kernels are always there")
    })
}

fn usable() -> impl Iterator<Item = &'static Isa> {
    ALL.iter().filter(|isa| (isa.available)())
}

/// Forces the kernels of that name, before anything has run. Gives the names that this machine could use when it cannot be.
pub fn choose(name: &str) -> Result<(), Vec<&'static str>> {
    let isa = usable().find(|isa| isa.name == name).ok_or_else(|| usable().map(|isa| isa.name).collect::<Vec<_>>())?;
    let now = CHOSEN.get_or_init(|| isa);
    assert!(std::ptr::eq(*now, isa), "bug: kernels were forced after others had run");
    Ok(())
}
