//! What a caller is answered, whatever makes it and whoever keeps it.

/// An answer as it goes over the wire.
#[derive(Clone)]
pub struct WireAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body; empty when there is none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body holds a secret.
    pub holds_secret: bool,
    /// Whether this is a kept answer, given again.
    pub replayed: bool,
}
