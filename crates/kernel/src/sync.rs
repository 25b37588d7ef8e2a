//! Locks that one panic does not close for everybody.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Taking a lock whatever became of whoever had it before.
pub trait LockAnyway<T: ?Sized> {
    /// The lock, also where a thread panicked that had it. Only for what is whole between any two statements
    /// under the lock, as counters and maps are.
    fn lock_anyway(&self) -> MutexGuard<'_, T>;
}

impl<T: ?Sized> LockAnyway<T> for Mutex<T> {
    fn lock_anyway(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::catch_unwind, sync::Mutex};

    use super::LockAnyway;

    #[test]
    fn a_panic_leaves_the_lock_to_others() {
        let counter = Mutex::new(1);
        let panicked = catch_unwind(|| {
            let mut counter = counter.lock_anyway();
            *counter += 1;
            panic!("on the way");
        });
        assert!(panicked.is_err() && counter.is_poisoned());
        assert_eq!(*counter.lock_anyway(), 2);
    }
}
