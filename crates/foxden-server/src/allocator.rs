//! How the C library's allocator gives memory back.
//!
//! Left alone, glibc raises its bound for blocks that it maps one by one as soon as such a block is freed. From
//! then on, large short-lived buffers (password hashes, uploads, pages of answers) come from one of many heaps,
//! which keep them: hundreds of megabytes after a few hundred sign-ups (decision record 0019).

/// Fixes the allocator's bounds. To be called before any other thread runs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "mallopt has no safe wrapper")]
pub fn set_bounds() {
    /// Blocks from this size on are mapped one by one and unmapped when freed, in bytes.
    const MAPPED_FROM: i32 = 1 << 20;
    /// Free bytes at a heap's end beyond which they go back to the system. With half of that, answers of a few hundred
    /// kilobytes give back and take anew what the next one needs.
    const KEPT: i32 = 2 << 20;
    // As many heaps as threads that run at once; without a bound there are eight times as many.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let heaps = i32::try_from(cores.max(2)).unwrap_or(i32::MAX);
    for (bound, value) in [
        (libc::M_MMAP_THRESHOLD, MAPPED_FROM),
        (libc::M_TRIM_THRESHOLD, KEPT),
        (libc::M_ARENA_MAX, heaps),
    ] {
        // SAFETY: mallopt takes two numbers and touches the allocator's own settings alone; no other thread
        // allocates yet.
        let is_taken = unsafe { libc::mallopt(bound, value) } == 1;
        debug_assert!(is_taken, "mallopt refuses {bound}");
    }
}

/// Returns free memory to the system, from anywhere in the heap: a heap's end alone goes back by itself. It takes
/// milliseconds, so it is for a moment when much has just been freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "malloc_trim has no safe wrapper")]
pub fn give_back() {
    // SAFETY: malloc_trim takes a number and touches free memory alone, under the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn give_back() {}

/// Other allocators have other bounds.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn set_bounds() {}
