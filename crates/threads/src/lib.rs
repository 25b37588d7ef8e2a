//! Which threads of a process the operating system runs first, so that the large work of one client does not
//! hold up the small requests of all others where cores are few.
//!
//! Both functions are about the calling thread, need no privilege, and do nothing where the system knows no
//! such thing. Threads that the calling thread starts afterwards inherit what it was given.

/// The `nice` value that [`yield_to_others`] asks for: about a tenth of the share of a thread that answers.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// What [`wake_at_once`] asks for, in nanoseconds, where the default is about 3 ms. With 0.1 ms, workers were
/// woken for single answers of a group, which cost a fifth more time per event on SQLite.
#[cfg(target_os = "linux")]
const SHORT_SLICE: u64 = 300_000;

/// Lets others run first: for threads whose work is large and waited for by one client alone. For good, since
/// going back takes a privilege.
pub fn yield_to_others() {
    #[cfg(target_os = "linux")]
    linux::reschedule(|it| {
        it.sched_nice = it.sched_nice.max(NICE);
        // Long turns, whatever the thread that started this one asked for.
        it.sched_runtime = 0;
    });
}

/// Runs soon after it is woken, and in short turns: for threads that answer everybody. The share of the
/// processor stays the same. Linux does so from 6.12 on.
pub fn wake_at_once() {
    #[cfg(target_os = "linux")]
    linux::reschedule(|it| it.sched_runtime = SHORT_SLICE);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ptr;

    /// Schedules the calling thread otherwise. What the kernel does not know or not grant stays as it was.
    pub(super) fn reschedule(change: impl FnOnce(&mut libc::sched_attr)) {
        let Some(mut attributes) = attributes() else { return };
        // Batch and real-time threads were made so by whoever started the process.
        if attributes.sched_policy != libc::SCHED_OTHER as u32 {
            return;
        }
        change(&mut attributes);
        #[expect(unsafe_code, reason = "no crate names this system call")]
        // SAFETY: the structure is initialised and as large as it says, 0 is the calling thread, and the
        // kernel only reads.
        unsafe {
            libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(&attributes), 0);
        }
    }

    /// How the calling thread is scheduled; none where the system does not say.
    pub(super) fn attributes() -> Option<libc::sched_attr> {
        let size = size_of::<libc::sched_attr>() as u32;
        let mut attributes = libc::sched_attr {
            size,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        #[expect(unsafe_code, reason = "no crate names this system call")]
        // SAFETY: the kernel writes at most `size` bytes, which is how large the structure is; 0 is the
        // calling thread.
        let refused =
            unsafe { libc::syscall(libc::SYS_sched_getattr, 0, ptr::from_mut(&mut attributes), size, 0) };
        (refused == 0).then_some(attributes)
    }

    #[cfg(test)]
    mod tests {
        use std::thread;

        use crate::{NICE, SHORT_SLICE, wake_at_once, yield_to_others};

        use super::attributes;

        #[test]
        fn a_thread_steps_back_and_what_it_starts_with_it() {
            let before = attributes().expect("how the thread is scheduled").sched_nice;
            let (own, started) = thread::spawn(|| {
                yield_to_others();
                let started = thread::spawn(|| attributes().map(|it| it.sched_nice)).join().expect("a nice");
                (attributes().map(|it| it.sched_nice), started)
            })
            .join()
            .expect("a nice");
            assert_eq!((own, started), (Some(NICE), Some(NICE)));
            let after = attributes().expect("how the thread is scheduled").sched_nice;
            assert_eq!(after, before, "of this thread alone");
        }

        #[test]
        fn a_thread_that_answers_keeps_its_share() {
            thread::spawn(|| {
                let before = attributes().expect("how the thread is scheduled");
                wake_at_once();
                let after = attributes().expect("how the thread is scheduled");
                assert_eq!((after.sched_policy, after.sched_nice), (before.sched_policy, before.sched_nice));
                // A kernel that does not know of slices says 0 before and after.
                assert!(before.sched_runtime == 0 || after.sched_runtime == SHORT_SLICE);
            })
            .join()
            .expect("the slice");
        }
    }
}
