//! Steps and answers take no memory, once the first ones have taken what all need: an allocator counts.

use crate::engine::batch;
use crate::train::adapting;
use mtlc::engine::{ENGINES, Weights};
use mtlc::graph::ValueId;
use mtlc::kernels::cpu::parallel;
use mtlc::model::{Model, Spec};
use mtlc::plan::Graphs;
use mtlc::train::{State, Step};
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;

/// The system's allocator, which counts what a thread asks for while it is told to.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// The allocations of this thread so far, where they are counted.
    static COUNTED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The bytes that a thread holds since [`peak`] began, and the most that it held.
#[derive(Clone, Copy, Default)]
struct Held {
    now: isize,
    most: isize,
}

thread_local! {
    static HELD: Cell<Option<Held>> = const { Cell::new(None) };
}

fn hold(bytes: isize) {
    if let Some(Held { now, most }) = HELD.get() {
        HELD.set(Some(Held { now: now + bytes, most: most.max(now + bytes) }));
    }
}

/// What `f` gives, and the most bytes that it held at once on this thread.
pub fn peak<T>(f: impl FnOnce() -> T) -> (T, usize) {
    HELD.set(Some(Held::default()));
    let result = f();
    let held = HELD.replace(None).unwrap_or_default();
    (result, held.most.unsigned_abs())
}

fn count() {
    let Some(n) = COUNTED.get() else { return };
    COUNTED.set(None);
    // Whoever looks for an allocation sees where the first ones come from.
    if n < 3 && std::env::var_os("MTLC_ALLOCATIONS").is_some() {
        eprintln!("{}", Backtrace::force_capture());
    }
    COUNTED.set(Some(n + 1));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    /// # Safety
    /// As the trait says; so below.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size() as isize);
        // SAFETY: the caller keeps the promises of the trait.
        unsafe { System.alloc(layout) }
    }

    /// # Safety
    /// As above.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    /// # Safety
    /// As above.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(size as isize);
        hold(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    /// # Safety
    /// As above.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// How often `f` asks for memory, on this thread.
fn allocations(f: impl FnOnce()) -> usize {
    COUNTED.set(Some(0));
    f();
    COUNTED.take().expect("it was counted")
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1, 2, 3]))), 1);
    assert_eq!(allocations(|| ()), 0);
    drop(std::hint::black_box(vec![1, 2, 3]));
}

/// Runs before memory must suffice.
const WARM: usize = 3;

fn steady(spec: &str, size: usize) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let spec = Spec::read(&folder.join(spec), &[]);
    let spec = spec.unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false)));
    steady_model(&spec.model, size);
}

fn steady_model(model: &Model, size: usize) {
    let graphs = Graphs::of(model).expect("the spec is right");
    let rows = batch(model, size, 5);
    let engine = ENGINES[0];
    let name = &model.name;
    // One thread, so that everything that is taken is taken by this one.
    parallel::with_threads(1, || {
        let mut state = State::new(Weights::initial(&graphs.train, 4));
        let mut step = Step::new(model, engine, &graphs.train);
        let mut train = || {
            let taken = step.take(&mut state, &rows, 1.0);
            assert!(taken.is_ok(), "{name}: the objective is no number");
        };
        (0..WARM).for_each(|_| train());
        let taken = allocations(|| (0..WARM).for_each(|_| train()));
        assert_eq!(taken, 0, "{name}: {WARM} training steps take memory so often");

        let mut session = engine.session(&graphs.serve);
        let wanted: Vec<ValueId> = graphs.serve.outputs.iter().map(|o| o.value).collect();
        let mut answer = || session.forward(&state.weights, &rows, &wanted);
        (0..WARM).for_each(|_| answer());
        let taken = allocations(|| (0..WARM).for_each(|_| answer()));
        assert_eq!(taken, 0, "{name}: {WARM} answers take memory so often");
    });
}

/// One test for each spec, so that a failure names it.
macro_rules! steady {
    ($($test:ident: $spec:literal, $size:literal;)*) => {
        $(#[test]
        fn $test() {
            steady($spec, $size);
        })*
    };
}

steady! {
    tasks_on_a_table: "specs/tumour.mtl", 32;
    convolutions_and_dropout: "specs/digits.mtl", 8;
    missing_labels: "specs/missing.mtl", 16;
    transformers: "specs/vit.mtl", 2;
    tokens: "specs/text.mtl", 4;
    images_to_images: "specs/unet.mtl", 1;
    depthwise_convolutions: "specs/mobilenet.mtl", 2;
    plain_layers: "tests/bench/specs/mlp.mtl", 16;
}

/// Everything that a step may do besides.
#[test]
fn adapters_averages_and_pulls_to_the_start() {
    let rules = "tune trunk (adapt: lora(2, alpha: 5, dropout: 0.1), l2sp: 0.1), residual in trunk (adapt: bottleneck(3))\n\
                 train { ema: 0.9, clip: 1 }";
    for text in [adapting::TOKENS, adapting::CONVOLUTIONS] {
        steady_model(&adapting::model(&format!("{text}{rules}")), 4);
    }
}
