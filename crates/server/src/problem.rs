//! What a caller is told when a request fails: RFC 9457 problem details with a stable code, a sentence
//! of what is wrong and one of what to do next. Every code stands in one table here, and in
//! `docs/errors.md`; one other table turns an [`ErrorKind`] into a status.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ebbtide_model::ErrorKind;

/// A problem's `type` is this and the code: a name, not an address to fetch.
const TYPE_PREFIX: &str = "urn:ebbtide:error:";

pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $code:literal $kind:ident $title:literal $hint:literal)*) => {
        /// What went wrong, as clients tell it apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code that an answer may carry.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            pub fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind),* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint),* }
            }
        }
    };
}

codes! {
    TokenMissing "token_missing" Unauthenticated "No token"
        "Send `Authorization: Bearer <JWT>`, signed with a key of this server."
    TokenInvalid "token_invalid" Unauthenticated "Bad token"
        "Sign the token with a key and an algorithm that this server is configured with."
    TokenExpired "token_expired" Unauthenticated "Expired token"
        "Sign in again for a token with a later `exp`."
    TokenEarly "token_early" Unauthenticated "Token not yet valid"
        "Wait until the token's `nbf`, or set the clock of the host that signs."
    TokenClaims "token_claims" Unauthenticated "Bad claim"
        "Mend the claim that is named; see docs/http.md for all claims."
    TokenAudience "token_audience" Unauthenticated "Token for another app"
        "Ask with a token whose `aud` is the app that owns this path."
    TokenIssuer "token_issuer" Unauthenticated "Token of another issuer"
        "Ask with a token whose `iss` this server is configured with."
    PlanRequired "plan_required" PlanRequired "Plan without this feature"
        "Move to a plan that has the feature."
    RoleForbidden "role_forbidden" Forbidden "Role not allowed"
        "Ask with a token whose `role` is allowed."
    TenantRequired "tenant_required" Forbidden "Tenant needed"
        "Ask with a token that names a `tenant`."
    Forbidden "forbidden" Forbidden "Not allowed"
        "Ask with a token that may do this."
    PathUnknown "path_unknown" NotFound "No such path"
        "`GET /v1/schema` lists the paths that your token may call."
    TenantUnknown "tenant_unknown" NotFound "No such tenant"
        "Check the tenant that the path or the token names."
    TableUnknown "table_unknown" NotFound "No such table"
        "`GET /v1/schema` lists the tables."
    CohortUnknown "cohort_unknown" NotFound "No such cohort"
        "`GET /v1/cohorts` lists the cohorts."
    CardUnknown "card_unknown" NotFound "No such card"
        "`GET /v1/cards` lists the cards."
    NotFound "not_found" NotFound "Not found"
        "Check the name."
    MethodNotAllowed "method_not_allowed" Invalid "Method not allowed"
        "Use a method that the `Allow` header names."
    UpgradeRequired "upgrade_required" Invalid "WebSocket wanted"
        "Connect by a WebSocket; `GET /v1/live/{report}` tells the same as server-sent events."
    MediaType "media_type" Invalid "Unsupported media type"
        "Send plain JSON with `Content-Type: application/json`."
    JsonInvalid "json_invalid" Invalid "Body is no JSON"
        "Mend the JSON at the line and column that are named."
    BodyInvalid "body_invalid" Invalid "Body of the wrong shape"
        "Mend the field that is named; see docs/http.md for the shape."
    BodySlow "body_slow" Timeout "Body came too slowly"
        "Send the body faster, or in smaller pieces."
    BodyTooLarge "body_too_large" TooLarge "Body too large"
        "Split the body into several requests."
    ParameterInvalid "parameter_invalid" Invalid "Bad parameter"
        "Give the parameter a value that is allowed."
    QueryInvalid "query_invalid" Invalid "Bad query"
        "Mend the field that is named; see the query language for what is allowed."
    SqlInvalid "sql_invalid" Invalid "Bad SQL"
        "Mend the statement: one read-only SELECT over the tables that `GET /v1/schema` lists."
    NumberTooLarge "number_too_large" Invalid "A number too large to be added up"
        "Correct or delete the row that holds it."
    ReportUnanswerable "report_unanswerable" Invalid "No answer for these values"
        "Ask with other parameters, or correct the row that holds the value."
    AppAmbiguous "app_ambiguous" Invalid "Several apps"
        "Name one of them with `?app=`."
    CohortExists "cohort_exists" Conflict "Cohort exists"
        "Delete the cohort of that name, or choose another."
    MintingUnavailable "minting_unavailable" Conflict "No secret to sign with"
        "Have the host sign the token with its own key, or give the server a secret (`jwt.secret`)."
    Conflict "conflict" Conflict "Conflict"
        "Look at what is stored, and decide again."
    TooLarge "too_large" TooLarge "Past a limit"
        "Ask for less: a shorter range, fewer groups, a limit."
    Overloaded "overloaded" Unavailable "Too busy"
        "Wait for as long as `Retry-After` says, then ask again."
    SqlUnavailable "sql_unavailable" Unavailable "No process for the statement"
        "Ask again later; the server's log says why none could be started."
    Recovering "recovering" Unavailable "Still starting"
        "Wait until `/readyz` answers 200."
    Draining "draining" Unavailable "Stopping"
        "Ask again; another server, or this one once it is back, answers."
    KeysUnavailable "keys_unavailable" Unavailable "Keys not there yet"
        "Ask again later; the server's log says why the key set could not be fetched."
    StorageFailed "storage_failed" Unavailable "Storage does not take writes"
        "See the server's log and its disk; restart it once the disk is sound."
    Unavailable "unavailable" Unavailable "Not now"
        "Ask again later."
    Timeout "timeout" Timeout "Took too long"
        "Ask for less: a shorter range, fewer groups."
    SqlFell "sql_fell" Internal "The statement's process ended"
        "Ask for less, or in a simpler form; where that does not help, report it with the request_id."
    Corrupt "corrupt" Corrupt "Damaged data"
        "Run `ebbtide verify` on the server's data folder."
    Internal "internal" Internal "Defect in the server"
        "Report it with the request_id; the server's log has the cause."
}

impl Code {
    pub fn status(self) -> StatusCode {
        if self == Self::MethodNotAllowed {
            StatusCode::METHOD_NOT_ALLOWED
        } else if self == Self::UpgradeRequired {
            StatusCode::UPGRADE_REQUIRED
        } else if self == Self::MediaType {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        } else if self == Self::BodySlow {
            StatusCode::REQUEST_TIMEOUT
        } else {
            status_of(self.kind())
        }
    }

    /// The code of an error about which no more than its kind is known.
    pub fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::BodyInvalid,
            ErrorKind::Unauthenticated => Self::TokenInvalid,
            ErrorKind::PlanRequired => Self::PlanRequired,
            ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

/// The one table from what a caller can do to an HTTP status.
pub fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PlanRequired => StatusCode::PAYMENT_REQUIRED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Why a request is refused. What its caller may not know (`cause`) goes to the log alone.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Problem {
    code: Code,
    detail: String,
    cause: Option<String>,
}

impl Problem {
    /// `detail` is a sentence for the caller: what was given, what is allowed.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), cause: None }
    }

    /// Nothing that the caller may know; `cause` goes to the log.
    pub fn hidden(code: Code, cause: impl std::fmt::Display) -> Self {
        let kind = code.kind();
        let detail = if kind == ErrorKind::Corrupt {
            "Stored data that this answer needs is damaged."
        } else if kind == ErrorKind::Unavailable {
            "The storage does not take part in this now."
        } else {
            "The server failed at this request, by a defect of its own."
        };
        Self { code, detail: detail.to_owned(), cause: Some(cause.to_string()) }
    }

    /// An error of a lower crate by its kind. Its text is shown only where it speaks of what the
    /// caller sent; of defects and disks the caller learns that they are.
    pub fn of(kind: ErrorKind, error: &dyn std::error::Error) -> Self {
        Self::with_code(Code::of_kind(kind), error)
    }

    /// As [`Problem::of`], with a more telling code of the same kind.
    pub fn with_code(code: Code, error: &dyn std::error::Error) -> Self {
        match code.kind() {
            ErrorKind::Corrupt | ErrorKind::Internal | ErrorKind::Unavailable => {
                Self::hidden(code, chain(error))
            }
            ErrorKind::Invalid
            | ErrorKind::Unauthenticated
            | ErrorKind::PlanRequired
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Timeout => Self::new(code, error.to_string()),
        }
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What the log alone is told.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(crate) fn to_json(&self, request_id: &str) -> serde_json::Value {
        serde_json::json!({
            "type": format!("{TYPE_PREFIX}{}", self.code.as_str()),
            "title": self.code.title(),
            "status": self.code.status().as_u16(),
            "detail": self.detail,
            "code": self.code.as_str(),
            "hint": self.code.hint(),
            "request_id": request_id,
        })
    }

    /// The answer, which names the request.
    pub fn render(&self, request_id: &str) -> Response {
        let status = self.code.status();
        let body = self.to_json(request_id);
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers() {
            headers.insert(name, value);
        }
        response
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let one = |name, value| vec![(name, HeaderValue::from_static(value))];
        let kind = self.code.kind();
        if self.code == Code::TokenMissing {
            one(header::WWW_AUTHENTICATE, "Bearer")
        } else if kind == ErrorKind::Unauthenticated {
            one(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
        } else if kind == ErrorKind::Unavailable {
            one(header::RETRY_AFTER, "1")
        } else {
            Vec::new()
        }
    }
}

/// The problem travels as an extension: the layer that names requests renders it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.code.status();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// As much of a given text as a message shows.
pub(crate) fn shortened(text: &str) -> String {
    const GIVEN_CHARS_MAX: usize = 80;
    if text.chars().count() <= GIVEN_CHARS_MAX {
        return text.to_owned();
    }
    let head: String = text.chars().take(GIVEN_CHARS_MAX).collect();
    format!("{head}…")
}

/// An error with all that caused it, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
