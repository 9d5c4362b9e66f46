//! Servers over all bundled packs: one with the rows of all tenants, and one for each tenant alone.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use ebbtide_engine::sql::{Sql, SqlSettings, StatementProcess};
use ebbtide_model::pack::Pack;
use ebbtide_model::{Clock, Instant};
use ebbtide_server::apps::{bundled, bundled_names};
use ebbtide_server::report::PlannedStatements;
use ebbtide_server::sign_in::{Keys, SigningKey, WriteKeys};
use ebbtide_server::{App, Components, Server, Settings, router};
use ebbtide_store::fs::SimFs;
use ebbtide_store::{FreshIds, Store};
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::rows::Shape;

pub(crate) const SECRET: &[u8] = b"a secret of forty bytes for these tests.";
pub(crate) const NOW: &str = "2026-03-15T12:00:00Z";

struct FixedClock(Instant);

impl Clock for FixedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

pub(crate) fn now() -> Instant {
    Instant::parse(NOW).unwrap()
}

/// Statements of callers run here, too: this is not the binary that their processes are of.
fn here() -> SqlSettings {
    SqlSettings { process: StatementProcess::InProcess, ..SqlSettings::default() }
}

/// Every bundled pack.
pub(crate) fn shapes() -> Vec<Shape> {
    let sql = Sql::new(&SqlSettings::default()).unwrap();
    let shape = |name: &str| {
        let yaml = bundled(name).unwrap();
        let pack = Pack::parse_with(yaml, &PlannedStatements::new(&sql)).unwrap();
        Shape::new(pack, yaml)
    };
    bundled_names().map(shape).collect()
}

/// A request, as often as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn entropy(bytes: &mut [u8]) -> Result<(), String> {
    bytes.fill(7);
    Ok(())
}

pub(crate) struct World {
    router: Router,
}

impl World {
    /// With the rows of these tenants.
    pub(crate) async fn open(shapes: &[Shape], tenants: &[u32]) -> Self {
        let packs: Vec<Pack> = shapes.iter().map(|shape| shape.pack.clone()).collect();
        let components = Components {
            clock: Arc::new(FixedClock(now())),
            keys: Keys::hs256(SECRET).unwrap(),
            signer: None,
            write_keys: WriteKeys::in_memory(entropy),
            sql: Sql::new(&here()).unwrap(),
            seed: 7,
        };
        let schemas = packs.iter().map(|pack| pack.schema.clone()).collect();
        let apps = packs.into_iter().map(App::new).collect();
        let server = Server::new(components, apps, Settings::default()).unwrap();
        let folder = ebbtide_store::Components {
            fs: Arc::new(SimFs::new(1)),
            fresh: FreshIds { folder: 1, secret: 2 },
        };
        let store = Store::open(folder, ebbtide_store::Settings::default(), schemas).unwrap();
        assert!(server.opened(store).is_ok());
        let world = Self { router: router(&server) };
        for shape in shapes {
            world.load(shape, tenants).await;
        }
        world
    }

    async fn load(&self, shape: &Shape, tenants: &[u32]) {
        let token = token(json!({"aud": shape.app(), "role": "admin"}));
        let (mut stored, mut waiting) = (0, 0);
        for table in &shape.pack.schema.tables {
            let rows: Vec<Json> = tenants.iter().flat_map(|tenant| shape.rows(table, *tenant)).collect();
            let ask = Ask {
                method: Method::POST,
                path: format!("/v1/tables/{}/rows", table.name),
                token: token.clone(),
                headers: vec![],
                body: Json::Array(rows.clone()).to_string(),
            };
            let answer = self.send(&ask).await.json();
            assert_eq!(answer["rejected"], json!([]), "{} of {}: {answer}", table.name, shape.app());
            let count = |name: &str| answer[name].as_u64().unwrap_or_else(|| panic!("{answer}"));
            stored += count("accepted");
            waiting += count("waiting");
        }
        assert!(stored > 0 && waiting == 0, "parents come before their children in {}", shape.app());
    }

    pub(crate) async fn send(&self, ask: &Ask) -> Answer {
        let mut request = Request::builder().method(ask.method.clone()).uri(&ask.path);
        if !ask.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", ask.token));
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(ask.body.clone()))
            .unwrap_or_else(|error| panic!("{error}: {}", ask.path));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status, headers: head.headers, body: body.to_vec() }
    }
}

/// A token with these claims; `exp` is an hour from now unless they say otherwise.
pub(crate) fn token(claims: Json) -> String {
    token_of(SECRET, claims)
}

pub(crate) fn token_of(secret: &[u8], mut claims: Json) -> String {
    let claims = claims.as_object_mut().unwrap();
    let expires = now().micros() / Instant::MICROS_PER_SECOND + 3_600;
    claims.entry("exp").or_insert_with(|| json!(expires));
    SigningKey::hs256(secret).unwrap().sign(claims).unwrap()
}
