//! Scheduling: threads that answer requests run before threads with long work.
//!
//! This is set on Linux only. On other systems, or if the system refuses, all threads are equal, and long work delays answers by
//! some milliseconds.

/// Gives the calling thread, and threads that it starts, short time slices: they run soon after they wake, but not longer in
/// total. Call it before other threads are started. It has no effect before Linux 6.12.
pub fn prefer_low_latency() {
    #[cfg(target_os = "linux")]
    linux::change(|attributes| attributes.sched_runtime = linux::SHORT_SLICE);
}

/// Lowers the priority of the calling thread permanently. It is for long work: beside a thread that answers requests on the same
/// core, such a thread gets a tenth of the time; on an idle core it gets all of it.
pub fn lower_priority() {
    #[cfg(target_os = "linux")]
    linux::change(|attributes| {
        attributes.sched_nice = attributes.sched_nice.max(linux::NICE);
        attributes.sched_runtime = linux::DEFAULT_SLICE;
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use libc::{SYS_sched_getattr, SYS_sched_setattr, c_int, c_uint, sched_attr};

    /// The time slice in nanoseconds, the shortest that Linux accepts. With the default of three milliseconds, a thread that wakes
    /// may wait that long, or until the next timer tick.
    pub(super) const SHORT_SLICE: u64 = 100_000;
    /// The system's default.
    pub(super) const DEFAULT_SLICE: u64 = 0;
    pub(super) const NICE: i32 = 10;

    #[expect(clippy::cast_possible_truncation, reason = "about fifty bytes")]
    const SIZE: c_uint = size_of::<sched_attr>() as c_uint;
    const THIS_THREAD: c_int = 0;
    const NO_FLAGS: c_uint = 0;

    /// Changes the scheduling attributes of the calling thread. A thread to which the operator gave another scheduler stays as it is.
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
        // SAFETY: the system writes at most SIZE bytes into a structure of integers of that size.
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
        // SAFETY: the system reads SIZE bytes of a structure of that size, and changes only the scheduling of the calling thread.
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

    /// Whether the system supports it: some sandboxes do not, and a thread with another scheduler stays as it is.
    fn is_supported() -> bool {
        let policy = linux::read().map(|attributes| i64::from(attributes.sched_policy));
        policy == Some(i64::from(libc::SCHED_OTHER))
    }

    #[test]
    fn threads_inherit_the_short_slice() {
        if !is_supported() {
            return;
        }
        let test = std::thread::spawn(|| {
            let (nice, usual) = now();
            prefer_low_latency();
            let (still, slice) = now();
            assert_eq!(still, nice);
            // An older system knows no slices.
            assert!(slice == linux::SHORT_SLICE || slice == usual, "{slice}");
            assert_eq!(std::thread::spawn(now).join().unwrap(), (nice, slice));
        });
        test.join().unwrap();
    }

    #[test]
    fn lower_priority_affects_one_thread() {
        if !is_supported() {
            return;
        }
        let before = now();
        let worker = std::thread::spawn(|| {
            prefer_low_latency();
            lower_priority();
            now()
        });
        assert_eq!(worker.join().unwrap(), (linux::NICE.max(before.0), before.1));
        assert_eq!(now(), before);
    }
}
