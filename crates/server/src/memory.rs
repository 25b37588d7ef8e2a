//! The allocator, how soon it gives memory back, and who may read what is in it.

use std::{
    ffi::{c_int, c_long},
    thread,
    time::Duration,
};

/// Half of what a delivery costs is memory that is taken and given back; this does it for less than the
/// system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of `mimalloc.h`, which the crate does not name.
const PURGE_DELAY: c_int = 15;
/// How long what is free is kept from the system, in milliseconds. The default is a second, in which large
/// bodies that come one after the other take as much memory as if they came at once.
const KEPT_MILLISECONDS: c_long = 10;

/// How often what is due is looked for.
const COLLECTED_EVERY: Duration = Duration::from_secs(1);

/// Lets memory that is free go back to the system soon. To be called once, before there is anything to give
/// back.
pub fn give_back_soon() {
    #[expect(
        unsafe_code,
        reason = "the option has no other door, and this is a call of C that takes two numbers"
    )]
    // SAFETY: sets one number among the allocator's options, which any thread may do at any time.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, KEPT_MILLISECONDS);
    }
    // What is due to go back goes when somebody frees more. Once the server has nothing to do nobody does,
    // and it would keep what it took in its busiest moment.
    let collector = thread::Builder::new().name("memory".to_owned());
    let started = collector.spawn(|| {
        loop {
            thread::sleep(COLLECTED_EVERY);
            #[expect(unsafe_code, reason = "a call of C that the allocator's crate has no door for")]
            // SAFETY: may be called on any thread at any time, and takes a flag.
            unsafe {
                libmimalloc_sys::mi_collect(false);
            }
        }
    });
    if let Err(error) = started {
        let error: crate::Failure = format!("memory that is free goes back late: {error}").into();
        crate::output::error(error.as_ref());
    }
}

/// Keeps what is in memory, keys and secrets among it, from other processes of the same user, and out of core
/// dumps. The system's administrator may still look.
pub fn keep_from_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        let error: crate::Failure = format!("other processes of this user can read this one: {error}").into();
        crate::output::error(error.as_ref());
    }
}
