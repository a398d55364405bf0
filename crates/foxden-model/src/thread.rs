//! How threads share the cores: those that answer requests, and those at long work.
//!
//! Linux alone is told. Elsewhere, or where the system refuses, all threads are equal and answers come some milliseconds
//! later beside long work.

/// Lets the calling thread, and those that it starts, run soon after they wake, though not for longer in all. To be called
/// before other threads are started. Before Linux 6.12 it changes nothing.
pub fn answer_soon() {
    #[cfg(target_os = "linux")]
    linux::change(|attributes| attributes.sched_runtime = linux::SHORT_SLICE);
}

/// Lowers the priority of the calling thread, for good. It is for long work: beside a thread that answers requests on the
/// same core it gets a tenth of the time, where no other thread wants the core all of it.
pub fn lower_priority() {
    #[cfg(target_os = "linux")]
    linux::change(|attributes| {
        attributes.sched_nice = attributes.sched_nice.max(linux::NICE);
        attributes.sched_runtime = linux::USUAL_SLICE;
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use libc::{SYS_sched_getattr, SYS_sched_setattr, c_int, c_uint, sched_attr};

    /// Nanoseconds that a thread runs at once while others wait; the least that Linux takes. With the usual three
    /// milliseconds a thread that wakes may wait for as long, or until the next tick of the clock.
    pub(super) const SHORT_SLICE: u64 = 100_000;
    /// As the system sets it.
    pub(super) const USUAL_SLICE: u64 = 0;
    pub(super) const NICE: i32 = 10;

    #[expect(clippy::cast_possible_truncation, reason = "fifty bytes or so")]
    const SIZE: c_uint = size_of::<sched_attr>() as c_uint;
    const THIS_THREAD: c_int = 0;
    const NO_FLAGS: c_uint = 0;

    /// Changes what the system knows of the calling thread. A thread that the operator gave another scheduler stays as it is.
    pub(super) fn change(change: impl FnOnce(&mut sched_attr)) {
        if let Some(mut attributes) = read()
            && i64::from(attributes.sched_policy) == i64::from(libc::SCHED_OTHER)
        {
            change(&mut attributes);
            write(&attributes);
        }
    }

    #[expect(unsafe_code, reason = "sched_getattr has no safe wrapper")]
    pub(super) fn read() -> Option<sched_attr> {
        let mut attributes = sched_attr {
            size: SIZE,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: the system writes no more than SIZE bytes into a structure of numbers, which is as large.
        let result = unsafe {
            libc::syscall(
                SYS_sched_getattr,
                THIS_THREAD,
                &raw mut attributes,
                SIZE,
                NO_FLAGS,
            )
        };
        (result == 0).then_some(attributes)
    }

    #[expect(unsafe_code, reason = "sched_setattr has no safe wrapper")]
    fn write(attributes: &sched_attr) {
        // A system that refuses leaves the thread as it was.
        // SAFETY: the system reads SIZE bytes of a structure that is as large, and changes nothing but the calling thread's
        // share of the cores.
        unsafe { libc::syscall(SYS_sched_setattr, THIS_THREAD, attributes, NO_FLAGS) };
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// The nice value and the slice of the calling thread.
    fn now() -> (i32, u64) {
        let attributes = linux::read().unwrap();
        (attributes.sched_nice, attributes.sched_runtime)
    }

    /// Whether the system listens: some sandboxes do not, and a thread with another scheduler stays as it is.
    fn is_heard() -> bool {
        let policy = linux::read().map(|attributes| i64::from(attributes.sched_policy));
        policy == Some(i64::from(libc::SCHED_OTHER))
    }

    #[test]
    fn threads_inherit_that_they_answer_soon() {
        if !is_heard() {
            return;
        }
        let test = std::thread::spawn(|| {
            let (nice, usual) = now();
            answer_soon();
            let (still, slice) = now();
            assert_eq!(still, nice);
            // An older system knows no slices.
            assert!(slice == linux::SHORT_SLICE || slice == usual, "{slice}");
            assert_eq!(std::thread::spawn(now).join().unwrap(), (nice, slice));
        });
        test.join().unwrap();
    }

    #[test]
    fn long_work_stands_back_alone() {
        if !is_heard() {
            return;
        }
        let before = now();
        let at_work = std::thread::spawn(|| {
            answer_soon();
            lower_priority();
            now()
        });
        assert_eq!(at_work.join().unwrap(), (linux::NICE.max(before.0), before.1));
        assert_eq!(now(), before);
    }
}
