//! A server over a small pack with two clubs, asked through its router.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use ebbtide_engine::sql::{Sql, SqlSettings, StatementProcess};
use ebbtide_model::pack::Pack;
use ebbtide_model::{Clock, Instant};
use ebbtide_server::sign_in::{Keys, SigningKey, WriteKeys};
use ebbtide_server::{App, Components, PROBLEM_MEDIA_TYPE, Server, Settings, StartError, router};
use ebbtide_store::fs::SimFs;
use ebbtide_store::{FreshIds, Store};
use serde_json::{Value as Json, json};
use tower::ServiceExt;

pub(crate) const SECRET: &[u8] = b"a secret of forty bytes for these tests.";

/// "Now", in every test.
pub(crate) const NOW: &str = "2026-03-15T12:00:00Z";

pub(crate) struct FixedClock(pub(crate) Instant);

impl Clock for FixedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

/// Stands still until it is moved.
#[derive(Default)]
pub(crate) struct MovingClock(AtomicI64);

impl MovingClock {
    pub(crate) fn at(instant: Instant) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(instant.micros())))
    }

    pub(crate) fn forward(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, text: &str) {
        self.0.store(Instant::parse(text).unwrap().micros(), Ordering::SeqCst);
    }
}

impl Clock for MovingClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn now() -> Instant {
    Instant::parse(NOW).unwrap()
}

pub(crate) fn pack() -> Pack {
    Pack::parse(include_str!("club.yaml")).unwrap()
}

/// Other bytes each time, and no secret ones.
pub(crate) fn entropy(bytes: &mut [u8]) -> Result<(), String> {
    static NEXT: AtomicI64 = AtomicI64::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes();
    bytes.iter_mut().zip(number.iter().cycle()).for_each(|(byte, new)| *byte = *new);
    Ok(())
}

/// Statements of callers run here, too: this is not the binary that their processes are of.
fn here() -> SqlSettings {
    SqlSettings { process: StatementProcess::InProcess, ..SqlSettings::default() }
}

pub(crate) fn components() -> Components {
    Components {
        clock: Arc::new(FixedClock(now())),
        keys: Keys::hs256(SECRET).unwrap(),
        signer: Some(SigningKey::hs256(SECRET).unwrap()),
        write_keys: WriteKeys::in_memory(entropy),
        sql: Sql::new(&here()).unwrap(),
        seed: 7,
    }
}

/// A server of the club pack whose rows are not there yet.
pub(crate) fn recovering(settings: Settings) -> Arc<Server> {
    start(vec![pack()], settings).unwrap()
}

pub(crate) fn start(packs: Vec<Pack>, settings: Settings) -> Result<Arc<Server>, StartError> {
    Server::new(components(), packs.into_iter().map(App::new).collect(), settings)
}

/// A server without rows.
pub(crate) fn empty(settings: Settings) -> Arc<Server> {
    let server = recovering(settings);
    assert!(server.opened(memory_store(&[pack()])).is_ok());
    server
}

pub(crate) fn memory_store(packs: &[Pack]) -> Store {
    store_on(Arc::new(SimFs::new(1)), packs)
}

/// A store on a simulated disk.
pub(crate) fn store_on(disk: Arc<SimFs>, packs: &[Pack]) -> Store {
    let schemas = packs.iter().map(|pack| pack.schema.clone()).collect();
    let components = ebbtide_store::Components { fs: disk, fresh: FreshIds { folder: 1, secret: 2 } };
    Store::open(components, ebbtide_store::Settings::default(), schemas).unwrap()
}

pub(crate) struct Club {
    pub(crate) server: Arc<Server>,
    pub(crate) router: Router,
}

impl Club {
    pub(crate) fn of(server: Arc<Server>) -> Self {
        let router = router(&server);
        Self { server, router }
    }

    /// Clubs 1 and 2, two members each, and three visits: two of club 1, one of club 2.
    pub(crate) async fn open() -> Self {
        let club = Self::of(empty(Settings::default()));
        let rows = |table: &str, rows: Json| (table.to_owned(), rows);
        for (table, rows) in [
            rows("clubs", json!([{"id": 1, "name": "One"}, {"id": 2, "name": "Two"}])),
            rows(
                "members",
                json!([
                    {"id": 11, "club_id": 1, "name": "=Ann", "joined_at": "2026-01-01T00:00:00Z"},
                    {"id": 12, "club_id": 1, "name": null, "joined_at": "2026-01-02T00:00:00Z"},
                    {"id": 21, "club_id": 2, "name": "Secret Bob", "joined_at": "2026-01-03T00:00:00Z"},
                ]),
            ),
            rows(
                "visits",
                json!([
                    {"id": 1, "club_id": 1, "member_id": 11, "kind": "swim", "at": "2026-01-10T10:00:00Z"},
                    {"id": 2, "club_id": 1, "member_id": 12, "kind": "swim", "at": "2026-02-10T10:00:00+09:00"},
                    {"id": 3, "club_id": 2, "member_id": 21, "kind": "sauna", "at": "2026-01-20T10:00:00Z"},
                ]),
            ),
        ] {
            let answer = club.post(&format!("/v1/tables/{table}/rows"), &admin(), &rows).await;
            assert_eq!(
                answer.json()["accepted"],
                json!(rows.as_array().unwrap().len()),
                "{table}: {}",
                answer.text()
            );
        }
        club
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status, headers: head.headers, body: body.to_vec() }
    }

    /// As a GET, with more headers.
    pub(crate) async fn get_with(&self, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = request(Method::GET, path, token, Body::empty());
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        self.send(request).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(request(Method::GET, path, token, Body::empty())).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send(request(Method::DELETE, path, token, Body::empty())).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: &Json) -> Answer {
        self.send(request(Method::PUT, path, token, Body::from(body.to_string()))).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Json) -> Answer {
        self.post_raw(path, token, body.to_string()).await
    }

    pub(crate) async fn post_raw(&self, path: &str, token: &str, body: impl Into<Body>) -> Answer {
        self.send(request(Method::POST, path, token, body.into())).await
    }
}

/// A request of JSON; an empty token is none.
pub(crate) fn request(method: Method, path: &str, token: &str, body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The problem's status and code, its shape checked.
    pub(crate) fn problem(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(self.header("content-type"), PROBLEM_MEDIA_TYPE, "{json}");
        assert_eq!(json["status"], json!(self.status.as_u16()));
        for field in ["type", "title", "detail", "hint"] {
            assert!(json[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {json}");
        }
        assert_eq!(json["request_id"], json!(self.header("x-request-id")));
        let code = json["code"].as_str().unwrap().to_owned();
        assert_eq!(json["type"], json!(format!("urn:ebbtide:error:{code}")));
        (self.status.as_u16(), code)
    }

    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.problem(), (status, code.to_owned()), "{}", self.text());
    }
}

/// A token with these claims; `exp` is an hour from now unless they say otherwise.
pub(crate) fn token(claims: Json) -> String {
    token_of(SECRET, claims)
}

pub(crate) fn token_of(secret: &[u8], mut claims: Json) -> String {
    let claims = claims.as_object_mut().unwrap();
    claims.entry("aud").or_insert_with(|| json!("club"));
    let expires = now().micros() / Instant::MICROS_PER_SECOND + 3_600;
    claims.entry("exp").or_insert_with(|| json!(expires));
    SigningKey::hs256(secret).unwrap().sign(claims).unwrap()
}

/// A platform's admin.
pub(crate) fn admin() -> String {
    token(json!({"role": "admin"}))
}

/// The owner of a club.
pub(crate) fn owner(club: u32) -> String {
    token(json!({"role": "owner", "tenant": club}))
}

pub(crate) fn quick(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings { drain_timeout: Duration::from_secs(5), ..Settings::default() };
    change(&mut settings);
    settings
}
