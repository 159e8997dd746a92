//! What can go wrong, as plain sentences.

use std::fmt;

/// A failure of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The caller's argument cannot be used.
    Invalid(String),
    /// The network, a peer or mosaik did not do what was asked.
    Failed(String),
}

impl Error {
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Failed(what.into())
    }

    pub(crate) fn closed(what: &str) -> Self {
        Self::Failed(format!("the {what} is closed"))
    }

    pub(crate) fn timeout(what: &str, after: std::time::Duration) -> Self {
        Self::Failed(format!("{what} did not finish within {:.1} s", after.as_secs_f64()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(what) | Self::Failed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
