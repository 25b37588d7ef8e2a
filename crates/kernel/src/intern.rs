//! Names that are known only when the program runs, and then for as long as it does.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex},
};

use crate::LockAnyway;

static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

/// A name for as long as the program runs. It is never given up, so names are those of the operator's
/// declarations and nobody else's; the same name is kept once.
pub fn intern(name: &str) -> &'static str {
    let mut names = NAMES.lock_anyway();
    match names.get(name) {
        Some(known) => known,
        None => {
            let kept: &'static str = Box::leak(name.into());
            names.insert(kept);
            kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let (first, second) = (intern("lead"), intern(&["le", "ad"].concat()));
        assert_eq!(first, "lead");
        assert!(std::ptr::eq(first, second));
    }
}
