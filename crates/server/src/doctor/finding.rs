//! One thing that the doctor has seen.

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    Ok,
    /// It could be better.
    Warn,
    /// It has to be mended.
    Fail,
}

impl Grade {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What was seen, and what mends it.
pub struct Finding {
    pub grade: Grade,
    pub subject: &'static str,
    pub text: String,
}
