//! Why a call was not answered.

use std::time::Duration;

use gatepost_kernel::{Cause, Error, FieldErrors};

/// Why a call on a server was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum McpError {
    /// The server has no such tool.
    #[error("unknown tool")]
    UnknownTool,
    /// The arguments do not fit the tool's schema.
    #[error("invalid arguments")]
    InvalidArguments(FieldErrors),
    /// The server lists no such resource, and no template of its that it matches.
    #[error("unknown resource")]
    UnknownResource,
    /// The server is not there now: nothing was sent to it.
    #[error("server is down: {why}")]
    Down {
        /// When it is worth asking again.
        retry_after: Duration,
        /// The last thing that went wrong; for the log.
        why: String,
    },
    /// So many arguments for this server are being checked that these had no turn in time: nothing was sent
    /// to it.
    #[error("no turn to check arguments within {} s", .0.as_secs())]
    Busy(Duration),
    /// The check itself broke off: nothing was sent to the server.
    #[error("the check of the arguments broke off: {0}")]
    Unchecked(String),
    /// The connection ended before the answer came. Nobody knows whether something was done.
    #[error("connection lost")]
    Lost,
    /// The server has answered, but with something that cannot be read. Nobody knows whether something was
    /// done.
    #[error("unreadable answer: {0}")]
    Unreadable(String),
    /// The answer did not come in time. Nobody knows whether something was done.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl McpError {
    /// Whether the server has certainly done nothing.
    pub fn nothing_was_done(&self) -> bool {
        !matches!(self, Self::Lost | Self::Unreadable(_) | Self::TimedOut(_))
    }

    /// How a call ended that ended in this.
    pub fn outcome(&self) -> CallOutcome {
        match self {
            Self::UnknownTool | Self::UnknownResource => CallOutcome::Unknown,
            Self::InvalidArguments(_) => CallOutcome::Refused,
            Self::Down { .. } => CallOutcome::Down,
            Self::Busy(_) => CallOutcome::Busy,
            Self::Unchecked(_) => CallOutcome::Unchecked,
            Self::Lost => CallOutcome::Lost,
            Self::Unreadable(_) => CallOutcome::Unreadable,
            Self::TimedOut(_) => CallOutcome::TimedOut,
        }
    }
}

gatepost_metrics::label! {
    /// How a call of a tool ended, for logs and counters.
    pub enum CallOutcome("outcome") {
        /// The tool has answered.
        Answered = "answered",
        /// The tool has answered that it failed.
        ToolError = "tool_error",
        /// There is no such tool.
        Unknown = "unknown",
        /// The arguments do not fit.
        Refused = "refused",
        /// The server is not there.
        Down = "down",
        /// Too many calls wait.
        Busy = "busy",
        /// The check of the arguments broke off.
        Unchecked = "unchecked",
        /// The connection ended before the answer came.
        Lost = "lost",
        /// The answer cannot be read.
        Unreadable = "unreadable",
        /// The answer did not come in time.
        TimedOut = "timed_out",
    }
}

impl From<McpError> for Error {
    fn from(error: McpError) -> Self {
        let cause = Cause::by("a call on an MCP server", error.clone());
        let unavailable = |message: &str, retry_after: Duration| {
            let seconds = retry_after.as_secs().max(1);
            Self::UpstreamUnavailable {
                message: message.to_owned(),
                retry_after_seconds: seconds,
                cause: cause.clone(),
            }
        };
        match error {
            McpError::UnknownTool | McpError::UnknownResource => Self::NotFound,
            McpError::InvalidArguments(errors) => Self::Validation(errors),
            McpError::Down { retry_after, .. } => {
                unavailable("The MCP server is not available at the moment.", retry_after)
            }
            McpError::Unchecked(_) => Self::Internal(cause),
            McpError::Busy(_) => {
                unavailable("The MCP server has too many calls at the moment.", Duration::from_secs(1))
            }
            McpError::Lost => unavailable(
                "The connection to the MCP server was lost before it answered.",
                Duration::from_secs(1),
            ),
            McpError::Unreadable(_) => {
                unavailable("The answer of the MCP server could not be read.", Duration::from_secs(1))
            }
            McpError::TimedOut(limit) => {
                let message = format!("The MCP server did not answer within {} seconds.", limit.as_secs());
                unavailable(&message, Duration::from_secs(1))
            }
        }
    }
}
