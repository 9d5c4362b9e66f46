//! The server's own paths, each with what answers it and what the OpenAPI document says of it. The router and
//! the document are made of this one list, so that neither has what the other lacks.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, post, put};

use super::{
    beacon, capture, cards, cohorts, embed, explain, keys, live, probes, query, reference, rejects, rows,
    schema, sql, tokens,
};
use crate::openapi::{Operation, capture as describe, cards as of_cards, own, rejects as of_rejects};
use crate::server::Server;

/// How a path is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// And `HEAD`.
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    /// As OpenAPI writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }

    /// The methods that it allows.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What surrounds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// As many at one time as may be, each in its time, and for pages of other origins where they may.
    Work,
    /// As `Work`, and for pages of the origin that the caller's token is bound to.
    Embedded,
    /// Nothing: it answers whatever else the server is busy with.
    Probe,
}

/// One path of the server's own.
pub(crate) struct OwnPath {
    pub(crate) path: &'static str,
    pub(crate) verb: Verb,
    pub(crate) describe: fn(&Server) -> Operation,
    pub(super) surroundings: Surroundings,
    pub(super) answer: fn() -> MethodRouter<Arc<Server>>,
}

/// As the document orders them. One for each way to call a path; those of one path stand together.
pub(crate) const OWN_PATHS: &[OwnPath] = &[
    OwnPath {
        path: "/v1/schema",
        verb: Verb::Get,
        describe: own::schema,
        surroundings: Surroundings::Work,
        answer: || get(schema::schema),
    },
    OwnPath {
        path: "/v1/live/{report}",
        verb: Verb::Get,
        describe: own::live,
        surroundings: Surroundings::Work,
        answer: || get(live::report),
    },
    OwnPath {
        path: "/v1/tables/{table}/rows",
        verb: Verb::Post,
        describe: own::rows,
        surroundings: Surroundings::Work,
        answer: || post(rows::append),
    },
    OwnPath {
        path: "/v1/capture",
        verb: Verb::Post,
        describe: describe::capture,
        surroundings: Surroundings::Work,
        answer: || post(capture::events),
    },
    OwnPath {
        path: "/v1/actors",
        verb: Verb::Post,
        describe: describe::actors,
        surroundings: Surroundings::Work,
        answer: || post(capture::actors),
    },
    OwnPath {
        path: "/v1/alias",
        verb: Verb::Post,
        describe: describe::alias,
        surroundings: Surroundings::Work,
        answer: || post(capture::aliases),
    },
    OwnPath {
        path: "/v1/beacon",
        verb: Verb::Post,
        describe: describe::beacon,
        surroundings: Surroundings::Work,
        answer: || post(beacon::take),
    },
    OwnPath {
        path: "/v1/rejects",
        verb: Verb::Get,
        describe: of_rejects::list,
        surroundings: Surroundings::Work,
        answer: || get(rejects::list),
    },
    OwnPath {
        path: "/v1/rejects",
        verb: Verb::Delete,
        describe: of_rejects::delete,
        surroundings: Surroundings::Work,
        answer: || delete(rejects::delete),
    },
    OwnPath {
        path: "/v1/rejects/retry",
        verb: Verb::Post,
        describe: of_rejects::retry,
        surroundings: Surroundings::Work,
        answer: || post(rejects::retry),
    },
    OwnPath {
        path: "/v1/keys",
        verb: Verb::Get,
        describe: describe::keys,
        surroundings: Surroundings::Work,
        answer: || get(keys::list),
    },
    OwnPath {
        path: "/v1/keys",
        verb: Verb::Post,
        describe: describe::create_key,
        surroundings: Surroundings::Work,
        answer: || post(keys::create),
    },
    OwnPath {
        path: "/v1/keys/{id}",
        verb: Verb::Delete,
        describe: describe::revoke_key,
        surroundings: Surroundings::Work,
        answer: || delete(keys::revoke),
    },
    OwnPath {
        path: "/v1/embed",
        verb: Verb::Get,
        describe: describe::embed,
        surroundings: Surroundings::Embedded,
        answer: || get(embed::declaration),
    },
    OwnPath {
        path: embed::ANSWER,
        verb: Verb::Get,
        describe: describe::embed_answer,
        surroundings: Surroundings::Embedded,
        answer: || get(embed::answer),
    },
    OwnPath {
        path: embed::LIVE,
        verb: Verb::Get,
        describe: describe::embed_live,
        surroundings: Surroundings::Embedded,
        answer: || get(live::bound),
    },
    OwnPath {
        path: "/v1/tokens",
        verb: Verb::Post,
        describe: describe::mint_token,
        surroundings: Surroundings::Work,
        answer: || post(tokens::mint),
    },
    OwnPath {
        path: "/v1/query",
        verb: Verb::Post,
        describe: own::query,
        surroundings: Surroundings::Work,
        answer: || post(query::ask),
    },
    OwnPath {
        path: "/v1/explain",
        verb: Verb::Post,
        describe: own::explain,
        surroundings: Surroundings::Work,
        answer: || post(explain::ask),
    },
    OwnPath {
        path: "/v1/members",
        verb: Verb::Post,
        describe: own::members,
        surroundings: Surroundings::Work,
        answer: || post(cohorts::members),
    },
    OwnPath {
        path: "/v1/cohorts",
        verb: Verb::Get,
        describe: own::list_cohorts,
        surroundings: Surroundings::Work,
        answer: || get(cohorts::list),
    },
    OwnPath {
        path: "/v1/cohorts",
        verb: Verb::Post,
        describe: own::save_cohort,
        surroundings: Surroundings::Work,
        answer: || post(cohorts::save),
    },
    OwnPath {
        path: "/v1/cohorts/{name}",
        verb: Verb::Get,
        describe: own::cohort,
        surroundings: Surroundings::Work,
        answer: || get(cohorts::get),
    },
    OwnPath {
        path: "/v1/cohorts/{name}",
        verb: Verb::Delete,
        describe: own::delete_cohort,
        surroundings: Surroundings::Work,
        answer: || delete(cohorts::delete),
    },
    OwnPath {
        path: "/v1/cards",
        verb: Verb::Get,
        describe: of_cards::list,
        surroundings: Surroundings::Work,
        answer: || get(cards::list),
    },
    OwnPath {
        path: "/v1/cards/{name}",
        verb: Verb::Get,
        describe: of_cards::card,
        surroundings: Surroundings::Work,
        answer: || get(cards::get),
    },
    OwnPath {
        path: "/v1/cards/{name}",
        verb: Verb::Put,
        describe: of_cards::save,
        surroundings: Surroundings::Work,
        answer: || put(cards::put),
    },
    OwnPath {
        path: "/v1/cards/{name}",
        verb: Verb::Delete,
        describe: of_cards::delete,
        surroundings: Surroundings::Work,
        answer: || delete(cards::delete),
    },
    OwnPath {
        path: "/v1/sql",
        verb: Verb::Post,
        describe: own::sql,
        surroundings: Surroundings::Work,
        answer: || post(sql::ask),
    },
    OwnPath {
        path: "/healthz",
        verb: Verb::Get,
        describe: own::healthz,
        surroundings: Surroundings::Probe,
        answer: || get(probes::healthz),
    },
    OwnPath {
        path: "/readyz",
        verb: Verb::Get,
        describe: own::readyz,
        surroundings: Surroundings::Probe,
        answer: || get(probes::readyz),
    },
    OwnPath {
        path: "/metrics",
        verb: Verb::Get,
        describe: own::metrics,
        surroundings: Surroundings::Probe,
        answer: || get(probes::metrics),
    },
    OwnPath {
        path: "/openapi.json",
        verb: Verb::Get,
        describe: own::openapi,
        surroundings: Surroundings::Work,
        answer: || get(reference::document),
    },
    OwnPath {
        path: "/docs",
        verb: Verb::Get,
        describe: own::docs,
        surroundings: Surroundings::Work,
        answer: || get(reference::page),
    },
    OwnPath {
        path: "/docs/{file}",
        verb: Verb::Get,
        describe: own::docs_file,
        surroundings: Surroundings::Work,
        answer: || get(reference::file),
    },
];

/// The paths of the server's own, each with its parameters in braces.
pub fn own_paths() -> impl Iterator<Item = &'static str> {
    OWN_PATHS.chunk_by(|one, next| one.path == next.path).filter_map(|of_path| Some(of_path.first()?.path))
}
