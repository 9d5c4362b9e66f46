//! The pack `storefront` over HTTP: events of a shop's screens, and what is told of them.

use ebbtide_model::pack::Pack;
use ebbtide_model::{AppName, Instant, TenantId};
use ebbtide_server::apps::bundled;
use ebbtide_server::sign_in::NewWriteKey;
use ebbtide_server::{App, Server, Settings};
use serde_json::{Value as Json, json};

use crate::support::*;

/// A server of the pack without rows.
pub(crate) fn shop(settings: Settings) -> Club {
    let pack = Pack::parse(bundled("storefront").unwrap()).unwrap();
    let server = start(vec![pack.clone()], settings).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    Club::of(server)
}

pub(crate) fn of(role: &str, tenant: &str) -> String {
    token(json!({"aud": "storefront", "role": role, "tenant": tenant}))
}

/// A click at so many seconds after noon.
pub(crate) fn click(session: &str, from: &str, to: &str, at_s: i64) -> Json {
    let at = Instant::from_micros(now().micros() + at_s * 1_000_000).to_string();
    let kind = if to == "exit" { "exit" } else { "navigate" };
    json!({
        "user_id": "u", "session_id": session, "screen": from, "next_screen": to, "event_type": kind,
        "user_think_time": 1200, "system_latency": 35, "timestamp": at,
    })
}

async fn summary(club: &Club, tenant: &str) -> Json {
    let answer = club.get("/funnel/summary", &of("viewer", tenant)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_summary_tells_the_same_by_the_names_of_the_earlier_service_too() {
    let club = shop(Settings::default());
    let events = json!([
        click("a", "home", "product", -100),
        click("a", "product", "exit", -90),
        click("b", "home", "product", -900),
        click("c", "cart", "success", -50),
    ]);
    assert_eq!(club.post("/events", &of("admin", "north"), &events).await.status, 201);
    let told = summary(&club, "north").await;
    assert_eq!(told["total_sessions"], 3);
    assert_eq!((&told["total_exits"], &told["converted"]), (&json!(2), &json!(1)));
    assert_eq!(
        told["kpis"],
        json!({"total_users": 1, "overall_conversion": 33.33, "worst_step": "product", "exit_count": 2})
    );
    let product = &told["steps"][1];
    assert_eq!((&product["step"], &product["name"]), (&json!("product"), &json!("product")));
    assert_eq!((&product["reach_rate"], &product["conversion_rate"]), (&json!(66.67), &json!(66.67)));
    assert_eq!((&product["exit_share"], &product["drop_off_rate"]), (&json!(100.0), &json!(100.0)));
    assert_eq!(product["step_exit_rate"], json!(100.0));
    assert_eq!(
        (&product["system_latency_ms"], &product["avg_user_think_time_ms"]),
        (&json!(35), &json!(1200.0))
    );
    assert_eq!(product["latency"]["client"], json!({"latest": null, "avg": null}));
    assert_eq!(told["insights"][0]["severity"], "info");
    assert_eq!(told["as_of"], json!("2026-03-15T12:00:00Z"));
}

#[tokio::test]
async fn nothing_of_a_list_with_a_bad_event_is_stored() {
    let club = shop(Settings::default());
    let admin = of("admin", "north");
    let mut bad = click("a", "home", "product", 0);
    bad["user_think_time"] = json!(-1);
    let answer = club.post("/events", &admin, &json!([click("a", "home", "product", 0), bad, 5])).await;
    answer.assert_problem(422, "body_invalid");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("[1]: user_think_time: -1 was given"), "{detail}");
    let answer = club.post("/events", &admin, &bad).await;
    assert!(answer.json()["detail"].as_str().unwrap().starts_with("user_think_time: "), "{}", answer.text());
    assert_eq!(summary(&club, "north").await["total_sessions"], 0);
    let many = vec![click("a", "home", "product", 0); 1_001];
    club.post("/events", &admin, &json!(many)).await.assert_problem(413, "body_too_large");
    club.post("/events", &admin, &json!("x")).await.assert_problem(422, "body_invalid");
}

#[tokio::test]
async fn a_write_key_sends_events_and_does_nothing_else() {
    let pack = Pack::parse(bundled("storefront").unwrap()).unwrap();
    let components = components();
    let new = NewWriteKey { app: AppName::new("storefront"), tenant: TenantId::new("north"), name: None };
    let (_, secret) = components.write_keys.create(&new, now()).unwrap();
    let server = Server::new(components, vec![App::new(pack.clone())], Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    let club = Club::of(server);
    let mut event = click("a", "home", "product", 0);
    event["device"] = json!("phone");
    let answer = club.post("/events", &secret, &event).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["event_id"].as_str().unwrap().len(), 32);
    assert_eq!(summary(&club, "north").await["total_sessions"], 1);
    club.get("/funnel/summary", &secret).await.assert_problem(403, "forbidden");
    club.post("/events/clear", &secret, &json!({})).await.assert_problem(403, "forbidden");
    event["shop"] = json!("south");
    club.post("/events", &secret, &event).await.assert_problem(422, "body_invalid");
}

#[tokio::test]
async fn clearing_is_of_the_own_tenant_and_for_those_who_may() {
    let club = shop(Settings::default());
    for tenant in ["north", "south"] {
        let events = json!([click("a", "home", "product", 0), click("a", "product", "cart", 0)]);
        assert_eq!(club.post("/events", &of("viewer", tenant), &events).await.status, 201);
    }
    club.post("/events/clear", &of("viewer", "north"), &json!({}))
        .await
        .assert_problem(403, "role_forbidden");
    let none = token(json!({"aud": "storefront", "role": "admin"}));
    club.post("/events/clear", &none, &json!({})).await.assert_problem(403, "tenant_required");
    club.post("/events", &none, &json!([])).await.assert_problem(403, "tenant_required");
    let cleared = club.post("/events/clear", &of("admin", "north"), &json!({})).await;
    assert_eq!(cleared.json(), json!({"cleared": 2}));
    assert_eq!(summary(&club, "north").await["total_sessions"], 0);
    assert_eq!(summary(&club, "south").await["total_sessions"], 1);
}
