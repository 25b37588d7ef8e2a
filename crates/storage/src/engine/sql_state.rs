//! What PostgreSQL says of an error beside its sentence, which is in the language of the server's operator.
//!
//! Diesel hands on the sentence and, of most errors, no more. So connections are opened over a [`Noting`]
//! stream, which reads along and notes the state of each error that passes; whoever turns an error of
//! diesel's into one of ours, in the same task, finds it.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use gatepost_kernel::{Fate, LockAnyway};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

tokio::task_local! {
    /// The unit of work that the task runs.
    static UNIT: Unit;
}

/// What an error has to be seen by.
#[derive(Default)]
struct Unit {
    /// The connection that was asked last.
    asked: RefCell<Option<LastState>>,
    /// Whether the server was told to keep what was done, or keeps it without being told.
    may_be_kept: Cell<bool>,
}

/// A `SQLSTATE`: five letters and digits, of which the first two are its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SqlState([u8; 5]);

impl SqlState {
    /// What became of the work, where the same statement can succeed at another time.
    pub(crate) fn fate_of_refused(self) -> Option<Fate> {
        match &self.0 {
            // serialization_failure, deadlock_detected
            b"40001" | b"40P01" => Some(Fate::GaveWay),
            // lock_not_available, read_only_sql_transaction, and the session that idled in a transaction for
            // too long
            b"55P03" | b"25006" | b"25P03" | b"25P04" => Some(fate()),
            // connection_exception, insufficient_resources, operator_intervention, system_error
            [b'0', b'8', ..] | [b'5', b'3' | b'7' | b'8', ..] => Some(fate()),
            _ => None,
        }
    }
}

/// The state of the last error that came over a connection, since the last statement went out.
#[derive(Clone, Default)]
pub(super) struct LastState(Arc<Mutex<Option<SqlState>>>);

impl LastState {
    /// A statement goes out: what came before is not about it, and what comes is for this task.
    pub(super) fn forget(&self) {
        *self.0.lock_anyway() = None;
        let _ = UNIT.try_with(|unit| *unit.asked.borrow_mut() = Some(self.clone()));
    }

    fn note(&self, state: SqlState) {
        *self.0.lock_anyway() = Some(state);
    }
}

/// The state that the connection of this task has answered its last statement with, if that was an error.
pub(crate) fn postgres_state() -> Option<SqlState> {
    let asked = UNIT.try_with(|unit| unit.asked.borrow().clone()).ok().flatten()?;
    *asked.0.lock_anyway()
}

/// Runs a unit of work, of which nothing is kept before it says so, unless every statement is kept at once.
pub(super) async fn unit<F: Future>(keeps_at_once: bool, work: F) -> F::Output {
    let unit = Unit::default();
    unit.may_be_kept.set(keeps_at_once);
    UNIT.scope(unit, work).await
}

/// The same for what runs on a thread of its own.
pub(super) fn blocking_unit<R>(work: impl FnOnce() -> R) -> R {
    UNIT.sync_scope(Unit::default(), work)
}

/// Notes that the server is told now to keep what this task's unit has done.
pub(super) fn keep() {
    let _ = UNIT.try_with(|unit| unit.may_be_kept.set(true));
}

/// What became of this task's unit, if no more is heard of it.
pub(crate) fn fate() -> Fate {
    let may_be_kept = UNIT.try_with(|unit| unit.may_be_kept.get());
    if may_be_kept.unwrap_or(false) { Fate::Unknown } else { Fate::Undone }
}

/// A stream from a server that notes the states of its errors.
pub(super) struct Noting<S> {
    stream: S,
    frames: Frames,
    last: LastState,
}

impl<S> Noting<S> {
    pub(super) fn new(stream: S, last: LastState) -> Self {
        Self { stream, frames: Frames::default(), last }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noting<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, frames, last } = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(context, buffer);
        frames.read(&buffer.filled()[before..], |state| last.note(state));
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noting<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// The frames of the protocol: a letter, a length that counts itself, and the rest.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    /// How much of the present frame is still to come, behind its head.
    rest: usize,
    /// What came of a frame that is an error.
    error: Option<Vec<u8>>,
}

impl Frames {
    const ERROR_RESPONSE: u8 = b'E';
    const HEAD_BYTES: usize = 5;
    /// The state stands in front of the texts.
    const MAX_ERROR_BYTES: usize = 1 << 10;

    fn read(&mut self, mut bytes: &[u8], mut note: impl FnMut(SqlState)) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let (now, later) = bytes.split_at(self.rest.min(bytes.len()));
                if let Some(error) = &mut self.error {
                    let room = Self::MAX_ERROR_BYTES - error.len();
                    error.extend_from_slice(&now[..room.min(now.len())]);
                }
                (self.rest, bytes) = (self.rest - now.len(), later);
            } else {
                let (now, later) = bytes.split_at((Self::HEAD_BYTES - self.head.len()).min(bytes.len()));
                self.head.extend_from_slice(now);
                bytes = later;
                if let [kind, a, b, c, d] = self.head[..] {
                    self.rest = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                    self.error = (kind == Self::ERROR_RESPONSE).then(Vec::new);
                    self.head.clear();
                }
            }
            if self.rest == 0
                && let Some(error) = self.error.take()
                && let Some(state) = state_of(&error)
            {
                note(state);
            }
        }
    }
}

/// Field `C` of an error's fields: each a letter and a text that a zero ends.
fn state_of(fields: &[u8]) -> Option<SqlState> {
    let state = |field: &[u8]| match field {
        [b'C', state @ ..] => state.try_into().ok().map(SqlState),
        _ => None,
    };
    fields.split(|byte| *byte == 0).find_map(state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("a short frame").to_be_bytes();
        [&[kind], length.as_slice(), body].concat()
    }

    #[test]
    fn what_passes_is_told_by_its_state() {
        for (state, fate) in [
            (b"40P01", Some(Fate::GaveWay)),
            (b"40001", Some(Fate::GaveWay)),
            (b"57P01", Some(Fate::Undone)),
            (b"57014", Some(Fate::Undone)),
            (b"55P03", Some(Fate::Undone)),
            (b"53100", Some(Fate::Undone)),
            (b"08006", Some(Fate::Undone)),
            (b"58030", Some(Fate::Undone)),
            (b"23505", None),
            (b"42601", None),
            (b"XX000", None),
        ] {
            assert_eq!(SqlState(*state).fate_of_refused(), fate, "{}", String::from_utf8_lossy(state));
        }
    }

    proptest! {
        /// However the bytes are cut, the states of all errors are noted, and nothing else is.
        #[test]
        fn errors_are_found_among_other_frames(
            frames in prop::collection::vec((prop::bool::ANY, prop::collection::vec(any::<u8>(), 0..2_000), "[0-9A-Z]{5}"), 0..8),
            cuts in prop::collection::vec(1..700usize, 1..40),
        ) {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for (is_error, rest, state) in &frames {
                if *is_error {
                    let text = rest.iter().map(|byte| byte.max(&1)).copied().collect::<Vec<u8>>();
                    bytes.extend(frame(b'E', &[b"SFATAL\0VFATAL\0C", state.as_bytes(), b"\0M", &text, b"\0\0"].concat()));
                    expected.push(SqlState(state.as_bytes().try_into().expect("five bytes")));
                } else {
                    bytes.extend(frame(b'D', rest));
                }
            }
            let (mut read, mut noted, mut cuts) = (Frames::default(), Vec::new(), cuts.iter().cycle());
            while !bytes.is_empty() {
                let later = bytes.split_off(cuts.next().copied().unwrap_or(1).min(bytes.len()));
                read.read(&bytes, |state| noted.push(state));
                bytes = later;
            }
            prop_assert_eq!(noted, expected);
        }
    }
}
