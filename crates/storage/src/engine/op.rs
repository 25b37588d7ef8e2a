//! A bound for async closures whose future can be sent to another thread.
//!
//! `AsyncFnOnce` alone cannot demand a `Send` future, and `FnOnce(T) -> Fut` alone cannot take an argument
//! that is borrowed for any lifetime; together they can. A bound names both: `AsyncFnOnce` for the inference
//! of the closure, [`Op`] to name its future.

/// An async closure from `T` to `R` with a nameable future.
pub trait Op<T, R>: AsyncFnOnce(T) -> R + FnOnce(T) -> <Self as Op<T, R>>::Fut {
    /// The closure's future.
    type Fut: Future<Output = R>;
}

impl<F, T, Fut, R> Op<T, R> for F
where
    F: AsyncFnOnce(T) -> R + FnOnce(T) -> Fut,
    Fut: Future<Output = R>,
{
    type Fut = Fut;
}
