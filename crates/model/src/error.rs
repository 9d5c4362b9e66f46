//! What a caller can do about an error; one table in the server turns a kind into an HTTP status.

/// Every error of every crate maps to one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong: mend it and ask again.
    Invalid,
    /// No valid token.
    Unauthenticated,
    /// The caller's plan lacks the feature.
    PlanRequired,
    /// The caller's role may not, or a tenant is needed and missing.
    Forbidden,
    /// No such thing, or it belongs to another tenant.
    NotFound,
    /// It contradicts what is stored or running.
    Conflict,
    /// More bytes, rows or nesting than a limit allows.
    TooLarge,
    /// Not now: recovering, draining, overloaded, or a failed disk.
    Unavailable,
    /// It took longer than its limit.
    Timeout,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A defect of ours.
    Internal,
}
