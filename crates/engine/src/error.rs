//! What can go wrong while a question is answered, by what its caller can do.

use ebbtide_model::{ErrorKind, Fault};
use ebbtide_store::StoreError;

use crate::Stop;
use crate::sql::SqlError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The definition names something that the app lacks, or that does not fit.
    #[error(transparent)]
    Query(#[from] Fault),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a stored column is not of its declared type: {found}")]
    Layout { found: String },
    /// A spine was found damaged: asked again, the question is answered by the rows.
    #[error("a file that speeds questions up was found damaged; ask again")]
    SpineLost,
    #[error("a saved cohort is not as it was written: {found}")]
    Cohort { found: String },
    #[error("a worker of a query stopped before its end")]
    Worker,
    #[error("{}", match .0 {
        Stop::Left => "the question was given up, since its caller has left",
        Stop::TimeUp => "the question took longer than it may; ask about less time or fewer events",
    })]
    Stopped(Stop),
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl EngineError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Query(_) => ErrorKind::Invalid,
            Self::Store(error) => error.kind(),
            Self::Layout { .. } | Self::Cohort { .. } | Self::Worker => ErrorKind::Internal,
            Self::SpineLost | Self::Stopped(Stop::Left) => ErrorKind::Unavailable,
            Self::Stopped(Stop::TimeUp) => ErrorKind::Timeout,
            Self::Sql(error) => error.kind(),
        }
    }
}
