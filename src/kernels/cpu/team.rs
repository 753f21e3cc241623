//! A team of threads that share the tasks of one loop at a time.
//!
//! Loops here last microseconds, so between two of them the threads spin for a while before they sleep, and whoever starts a
//! loop works along. A loop inside a task, and one that is started while the team is busy, runs on the thread that starts it.
//! Which thread does which task is left to chance; tasks own what they write, so nothing that they compute depends on it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};

/// How often a thread looks for work before it sleeps, about 100 µs.
const PATIENCE: u32 = 4_000;

/// The tasks of a loop. It lives on the stack of the thread that started it, until no other thread is inside.
struct Loop<'f> {
    task: &'f (dyn Fn(usize) + Sync),
    count: usize,
    next: AtomicUsize,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Loop<'_> {
    /// Does tasks until none is left.
    fn work(&self) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let task = self.next.fetch_add(1, Ordering::Relaxed);
                if task >= self.count {
                    return;
                }
                (self.task)(task);
            }
        }));
        if let Err(payload) = done {
            self.next.store(self.count, Ordering::Relaxed);
            self.panicked.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(payload);
        }
    }
}

/// What the threads of a team share.
struct Shared {
    /// The number of the loop in the upper half; below it whether the loop is over, and how many threads are inside.
    gate: AtomicU64,
    current: AtomicPtr<Loop<'static>>,
    /// Whether somebody's loop is running.
    busy: AtomicBool,
    sleeping: AtomicUsize,
    over: AtomicBool,
}

const CLOSED: u64 = 1 << 31;
const INSIDE: u64 = CLOSED - 1;

/// A team of threads, the one that asks included.
pub struct Team {
    shared: Arc<Shared>,
    others: Vec<JoinHandle<()>>,
}

thread_local! {
    /// Whether the thread is doing a task.
    static INSIDE_TASK: Cell<bool> = const { Cell::new(false) };
    /// The team that this thread's loops run on, where it is not the common one.
    static OWN: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
}

impl Team {
    fn new(threads: usize) -> Self {
        Self::started(threads, |_, serve| std::thread::Builder::new().name("mtlc".into()).spawn(serve))
    }

    /// A team whose threads `start` starts: the calling one, and others by their numbers from 1 on.
    fn started(
        threads: usize,
        start: impl Fn(usize, Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(CLOSED),
            current: AtomicPtr::default(),
            busy: AtomicBool::new(false),
            sleeping: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let serve = || {
            let shared = shared.clone();
            Box::new(move || shared.serve())
        };
        // A machine that gives no more threads is served with those there are.
        let others = (1..threads).map_while(|i| start(i, serve()).ok()).collect();
        Self { shared, others }
    }

    fn threads(&self) -> usize {
        self.others.len() + 1
    }

    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        let alone = INSIDE_TASK.get() || self.others.is_empty() || count < 2;
        if alone || self.shared.busy.swap(true, Ordering::Acquire) {
            return (0..count).for_each(task);
        }
        let work = Loop { task, count, next: AtomicUsize::new(0), panicked: Mutex::new(None) };
        self.shared.open(&work, &self.others);
        INSIDE_TASK.set(true);
        work.work();
        INSIDE_TASK.set(false);
        self.shared.close();
        self.shared.busy.store(false, Ordering::Release);
        if let Some(payload) = work.panicked.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
    }
}

impl Shared {
    /// Lets the other threads in.
    fn open(&self, work: &Loop, others: &[JoinHandle<()>]) {
        self.current.store(std::ptr::from_ref(work).cast_mut().cast(), Ordering::Relaxed);
        let number = (self.gate.load(Ordering::Relaxed) >> 32) + 1;
        self.gate.store(number << 32, Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            others.iter().map(JoinHandle::thread).for_each(Thread::unpark);
        }
    }

    /// Lets nobody in any more, and waits until all are out.
    fn close(&self) {
        let mut waited = 0u32;
        let mut gate = self.gate.fetch_or(CLOSED, Ordering::AcqRel);
        while gate & INSIDE != 0 {
            wait(&mut waited);
            gate = self.gate.load(Ordering::Acquire);
        }
    }

    /// The life of a thread of the team.
    fn serve(&self) {
        INSIDE_TASK.set(true);
        let (mut done, mut waited) = (0, 0u32);
        while !self.over.load(Ordering::Relaxed) {
            let gate = self.gate.load(Ordering::Relaxed);
            if gate & CLOSED == 0 && gate >> 32 != done {
                if self.gate.compare_exchange(gate, gate + 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    done = gate >> 32;
                    // SAFETY: the gate was open for this very loop when this thread entered, and who started it does not
                    // leave `close`, after which the loop is gone, before this thread is counted out.
                    unsafe { &*self.current.load(Ordering::Relaxed) }.work();
                    self.gate.fetch_sub(1, Ordering::Release);
                    waited = 0;
                }
                continue;
            }
            waited += 1;
            if waited < PATIENCE {
                std::hint::spin_loop();
                continue;
            }
            self.sleeping.fetch_add(1, Ordering::SeqCst);
            // A loop that was opened before this thread was counted asleep would not wake it.
            let gate = self.gate.load(Ordering::SeqCst);
            if (gate & CLOSED != 0 || gate >> 32 == done) && !self.over.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.sleeping.fetch_sub(1, Ordering::SeqCst);
            waited = 0;
        }
    }
}

/// Waits a little: first awake, then leaving the processor to others.
fn wait(waited: &mut u32) {
    *waited += 1;
    if *waited < PATIENCE { std::hint::spin_loop() } else { std::thread::yield_now() }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.others.iter().map(JoinHandle::thread).for_each(Thread::unpark);
        for thread in self.others.drain(..) {
            let _ = thread.join();
        }
    }
}

static COMMON: OnceLock<Team> = OnceLock::new();

/// The team that everybody uses: as many threads as the machine runs at once, or as [`set_threads`] said.
fn common() -> &'static Team {
    COMMON.get_or_init(|| Team::new(std::thread::available_parallelism().map_or(1, usize::from)))
}

/// Sets the number of threads, before the first loop; there are fewer where the system gives no more. Whether it could still be set.
pub fn set_threads(threads: usize) -> bool {
    let mut set = false;
    COMMON.get_or_init(|| {
        set = true;
        Team::new(threads)
    });
    set
}

/// How many threads the loops of this thread run on.
pub fn threads() -> usize {
    if INSIDE_TASK.get() {
        return 1;
    }
    OWN.with_borrow(|own| own.as_ref().map(|team| team.threads())).unwrap_or_else(|| common().threads())
}

/// Calls `f` with a team of its own, of that many threads, for the loops that it starts.
pub fn with_threads<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    let before = OWN.replace(Some(Arc::new(Team::new(threads))));
    let result = catch_unwind(AssertUnwindSafe(f));
    OWN.set(before);
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Calls `task(i)` for each `i` below `count`, shared among the threads.
pub fn run(count: usize, task: &(dyn Fn(usize) + Sync)) {
    match OWN.with_borrow(Clone::clone) {
        Some(own) => own.run(count, task),
        None => common().run(count, task),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_refuses_threads_is_served_with_fewer() {
        let refuse = |i: usize, serve: Box<dyn FnOnce() + Send>| match i {
            0..=2 => std::thread::Builder::new().spawn(serve),
            _ => Err(std::io::ErrorKind::WouldBlock.into()),
        };
        let team = Team::started(100, refuse);
        assert_eq!(team.threads(), 3);
        let done: Vec<AtomicUsize> = (0..50).map(|_| AtomicUsize::new(0)).collect();
        team.run(done.len(), &|i| {
            let _ = done[i].fetch_add(1, Ordering::Relaxed);
        });
        assert!(done.iter().all(|d| d.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn every_task_is_done_once() {
        for threads in [1, 2, 5] {
            with_threads(threads, || {
                for count in [0, 1, 2, 3, 100] {
                    let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                    for _ in 0..200 {
                        run(count, &|i| {
                            let _ = done[i].fetch_add(1, Ordering::Relaxed);
                        });
                    }
                    assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 200), "{threads} threads, {count} tasks");
                }
            });
        }
    }

    #[test]
    fn threads_wake_up_after_they_slept() {
        with_threads(3, || {
            for _ in 0..3 {
                std::thread::sleep(std::time::Duration::from_millis(20));
                let sum = AtomicUsize::new(0);
                run(50, &|i| {
                    let _ = sum.fetch_add(i, Ordering::Relaxed);
                });
                assert_eq!(sum.into_inner(), 1225);
            }
        });
    }

    #[test]
    fn loops_in_tasks_and_from_several_threads_come_to_an_end() {
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    run(10, &|_| {
                        run(10, &|i| {
                            let _ = sum.fetch_add(i, Ordering::Relaxed);
                        })
                    })
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 450);
    }

    #[test]
    fn a_panic_reaches_who_started_the_loop_and_the_team_lives_on() {
        with_threads(2, || {
            let caught = catch_unwind(|| run(100, &|i| assert!(i != 57, "no 57")));
            assert!(caught.is_err());
            let sum = AtomicUsize::new(0);
            run(10, &|i| {
                let _ = sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 45);
        });
    }
}
