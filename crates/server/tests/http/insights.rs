//! Findings in words: what a shop is told, in which language, and why it is told nothing.

use ebbtide_model::pack::{Pack, Texts};
use ebbtide_model::{Instant, Language};
use ebbtide_server::Settings;
use ebbtide_server::apps::bundled;
use serde_json::{Value as Json, json};

use crate::storefront::{click, of, shop};
use crate::support::*;

/// Sessions that leave at a step with a click, long ago.
fn leaving(step: &str, count: i64, from: i64) -> Vec<Json> {
    let session = |number: i64| {
        let name = format!("{step}-{number}");
        let mut first = click(&name, "home", step, -9_000 - from - number * 10);
        first["system_latency"] = json!(if step == "cart" { 900 } else { 40 });
        let mut last = click(&name, step, "exit", -9_000 - from - number * 10 + 5);
        last["user_think_time"] = json!(600);
        last["system_latency"] = first["system_latency"].clone();
        [first, last]
    };
    (0..count).flat_map(session).collect()
}

async fn fill(club: &Club, tenant: &str, events: Vec<Json>) {
    assert_eq!(club.post("/events", &of("admin", tenant), &Json::Array(events)).await.status, 201);
}

async fn insights(club: &Club, path: &str, languages: Option<&str>) -> Vec<Json> {
    let headers: Vec<(&str, &str)> =
        languages.iter().map(|languages| ("accept-language", *languages)).collect();
    let answer = club.get_with(path, &of("viewer", "north"), &headers).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["insights"].as_array().unwrap().clone()
}

fn rule<'j>(insights: &'j [Json], name: &str) -> Option<&'j Json> {
    insights.iter().find(|insight| insight["rule"] == name)
}

#[tokio::test]
async fn the_largest_loss_is_told_with_its_evidence_and_what_to_do() {
    let club = shop(Settings::default());
    fill(&club, "north", leaving("product", 40, 0)).await;
    fill(&club, "north", leaving("cart", 30, 5_000)).await;
    let told = insights(&club, "/funnel/summary", None).await;
    let loss = rule(&told, "largest_loss").unwrap();
    assert_eq!(loss["severity"], "high");
    assert_eq!(loss["title"], "Most people leave at the product page");
    assert_eq!(loss["finding"], "57.14% of all exits are at the product page: 40 of 70.");
    assert!(loss["action"].as_str().unwrap().starts_with("Show the price with shipping"), "{loss}");
    assert_eq!(loss["evidence"], json!({"step": "product", "exit_share": 57.14, "exits": 40, "total": 70}));
    assert_eq!(loss.get("test"), None);
    let slow = rule(&told, "slow_system").unwrap();
    assert_eq!((&slow["severity"], &slow["evidence"]["step"]), (&json!("high"), &json!("cart")));
    let severities: Vec<&str> = told.iter().map(|insight| insight["severity"].as_str().unwrap()).collect();
    let order = |name: &&str| ["high", "medium", "low", "info"].iter().position(|known| known == name);
    assert!(severities.is_sorted_by_key(order), "{severities:?}");
}

#[tokio::test]
async fn a_shop_with_too_few_sessions_is_told_so_and_so_is_an_empty_one() {
    let club = shop(Settings::default());
    let empty = insights(&club, "/funnel/summary", None).await;
    assert_eq!(empty.len(), 1);
    assert_eq!((&empty[0]["severity"], &empty[0]["rule"]), (&json!("info"), &json!("few")));
    assert_eq!(empty[0]["evidence"], json!({"sessions": 0, "least": 30}));
    fill(&club, "north", leaving("product", 29, 0)).await;
    let few = insights(&club, "/funnel/summary", None).await;
    assert_eq!(few.len(), 1);
    assert!(
        few[0]["finding"].as_str().unwrap().starts_with("Sessions so far: 29. Findings begin at 30"),
        "{few:?}"
    );
    fill(&club, "north", leaving("cart", 1, 5_000)).await;
    assert!(rule(&insights(&club, "/funnel/summary", None).await, "few").is_none());
    assert_eq!(club.post("/events/clear", &of("admin", "north"), &json!({})).await.status, 200);
    assert_eq!(insights(&club, "/funnel/summary", None).await, empty);
}

#[tokio::test]
async fn texts_are_in_the_language_that_is_asked_for() {
    let club = shop(Settings::default());
    fill(&club, "north", leaving("product", 40, 0)).await;
    fill(&club, "north", leaving("cart", 30, 5_000)).await;
    let title = async |path: &str, languages: Option<&str>| {
        let told = insights(&club, path, languages).await;
        rule(&told, "largest_loss").unwrap()["title"].as_str().unwrap().to_owned()
    };
    let (english, korean, russian) = (
        "Most people leave at the product page",
        "이탈이 가장 많은 단계: 상품 페이지",
        "Чаще всего уходят на шаге «Товар»",
    );
    // Each several times, so that one is not answered with another's.
    for _ in 0..2 {
        assert_eq!(title("/funnel/summary", None).await, english);
        assert_eq!(title("/funnel/summary?lang=ko", None).await, korean);
        assert_eq!(title("/funnel/summary?lang=ru", Some("ko")).await, russian);
        assert_eq!(title("/funnel/summary", Some("ko-KR,ko;q=0.9,en;q=0.8")).await, korean);
        assert_eq!(title("/funnel/summary", Some("fr, ru;q=0.5")).await, russian);
        assert_eq!(title("/funnel/summary", Some("fr")).await, english);
    }
    let told = insights(&club, "/funnel/summary?lang=ru", None).await;
    assert_eq!(
        rule(&told, "largest_loss").unwrap()["finding"],
        "На шаг «Товар» приходится 57,14\u{a0}% всех уходов: 40 из 70."
    );
    let viewer = of("viewer", "north");
    let refused = club.get("/funnel/summary?lang=de", &viewer).await;
    refused.assert_problem(422, "parameter_invalid");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("lang") && detail.contains("\"de\"") && detail.contains("en, ko, ru"),
        "{detail}"
    );
    assert_eq!(club.get("/funnel/summary?lang=ko", &viewer).await.header("vary"), "");
    let negotiated = club.get_with("/funnel/summary", &viewer, &[("accept-language", "ko")]).await;
    assert_eq!(negotiated.header("vary"), "accept-language");
    // The same question in the same language is one answer.
    let kept = club.get("/funnel/summary?lang=ko", &viewer).await;
    assert_eq!((kept.header("x-cache"), kept.body == negotiated.body), ("hit", true));
    assert_eq!(kept.header("etag"), negotiated.header("etag"));
    assert_ne!(kept.header("etag"), club.get("/funnel/summary?lang=ru", &viewer).await.header("etag"));
    // Reports without texts have no such parameter.
    let sessions = club.get("/sessions?lang=de", &viewer).await;
    assert_eq!((sessions.status.as_u16(), sessions.header("vary")), (200, ""));
}

#[tokio::test]
async fn the_document_tells_of_findings_and_their_language() {
    let club = shop(Settings::default());
    let document = club.get("/openapi.json", "").await.json();
    let summary = &document["paths"]["/funnel/summary"]["get"];
    let of_answer =
        &summary["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["insights"];
    assert_eq!(*of_answer, json!({"type": "array", "items": {"$ref": "#/components/schemas/Insight"}}));
    let schema = &document["components"]["schemas"]["Insight"];
    assert_eq!(schema["properties"]["severity"]["enum"], json!(["high", "medium", "low", "info"]));
    let lang = |path: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        parameters.iter().find(|parameter| parameter["name"] == "lang").map(|lang| lang["schema"].clone())
    };
    let want = json!({"type": "string", "enum": ["en", "ko", "ru"], "default": "en"});
    assert_eq!(lang("/funnel/summary"), Some(want.clone()));
    assert_eq!(lang("/ws/metrics"), Some(want));
    assert_eq!(lang("/sessions"), None);
}

#[tokio::test]
async fn files_hold_the_lists_and_no_findings() {
    let club = shop(Settings::default());
    fill(&club, "north", leaving("product", 40, 0)).await;
    let viewer = of("viewer", "north");
    let csv = club.get("/funnel/summary?format=csv", &viewer).await;
    assert_eq!(csv.status, 200, "{}", csv.text());
    assert!(csv.text().lines().count() == 5 && !csv.text().contains("largest_loss"), "{}", csv.text());
    club.get("/funnel/summary?format=csv&table=insights", &viewer)
        .await
        .assert_problem(422, "parameter_invalid");
}

/// A session that goes on to the cart, so many seconds ago, and buys or leaves there.
fn at_cart(name: &str, device: &str, buys: bool, ago_s: i64) -> Vec<Json> {
    let way = [("home", "product"), ("product", "cart"), ("cart", if buys { "success" } else { "exit" })];
    let event = |(at_s, (from, to)): (i64, (&str, &str))| {
        let mut event = click(name, from, to, at_s - ago_s);
        event["user_id"] = json!(name);
        event["device"] = json!(device);
        event
    };
    (0..).zip(way).map(event).collect()
}

/// Of each device so many, so many of which leave; some hours ago.
fn on_devices(devices: &[(&str, i64, i64)]) -> Vec<Json> {
    let of_device = |(device, all, lost): &(&str, i64, i64)| {
        let session =
            |number: i64| at_cart(&format!("{device}-{number}"), device, number >= *lost, 20_000 + number);
        (0..*all).flat_map(session).collect::<Vec<Json>>()
    };
    devices.iter().flat_map(of_device).collect()
}

#[tokio::test]
async fn a_segment_that_loses_more_than_chance_allows_is_told_with_the_test() {
    const PATH: &str = "/funnel/summary?as_of=2026-03-15T12:30:00Z";
    let club = shop(Settings::default());
    for events in on_devices(&[("phone", 200, 120), ("desktop", 200, 60)]).chunks(600) {
        fill(&club, "north", events.to_vec()).await;
    }
    let told = insights(&club, PATH, None).await;
    let found = rule(&told, "segment_loses_more").unwrap().clone();
    assert_eq!(found["severity"], "high");
    assert_eq!(found["title"], "The cart loses more people where device is phone");
    assert_eq!(
        found["evidence"],
        json!({
            "step": "cart", "property": "device", "value": "phone", "lost_share": 60.0, "lost": 120, "sessions": 200,
            "lost_share_others": 30.0, "lost_others": 60, "sessions_others": 200, "difference": 30.0,
        })
    );
    let test = &found["test"];
    assert_eq!(
        (&test["looks"], &test["level"], &test["correction"]),
        (&json!(1), &json!(0.05), &json!("Holm"))
    );
    // (0.3 − 0.005) / √(0.45 · 0.55 · 0.01)
    assert!((test["z"].as_f64().unwrap() - 5.929_72).abs() < 1e-4, "{test}");
    assert!(
        found["finding"].as_str().unwrap().contains("p < 0.001 (comparisons taken into account: 1)"),
        "{found}"
    );
    let russian = insights(&club, &format!("{PATH}&lang=ru"), None).await;
    let title = &rule(&russian, "segment_loses_more").unwrap()["title"];
    assert_eq!(title, "На шаге «Корзина» теряется больше людей — устройство: phone");
    // What happens now is of the hour that has not ended; what comes late is of its own.
    fill(&club, "north", at_cart("now", "phone", false, -600)).await;
    let told = insights(&club, PATH, None).await;
    assert_eq!(rule(&told, "segment_loses_more"), Some(&found));
    fill(&club, "north", at_cart("late", "phone", false, 30_000)).await;
    let told = insights(&club, PATH, None).await;
    assert_eq!(rule(&told, "segment_loses_more").unwrap()["evidence"]["sessions"], 201);
    let cleared = club.post("/events/clear", &of("admin", "north"), &json!({})).await;
    assert_eq!(cleared.status, 200);
    let told = insights(&club, PATH, None).await;
    assert_eq!((told.len(), &told[0]["rule"]), (1, &json!("few")));
}

#[tokio::test]
async fn segments_that_differ_by_chance_or_that_nobody_names_are_not_told() {
    let club = shop(Settings::default());
    fill(&club, "north", on_devices(&[("phone", 100, 45), ("desktop", 100, 40)])).await;
    let nameless: Vec<Json> = (0..100)
        .flat_map(|number| at_cart(&format!("n{number}"), "", number % 10 == 0, 20_000 + number))
        .map(|mut event| {
            event.as_object_mut().unwrap().shift_remove("device");
            event
        })
        .collect();
    fill(&club, "north", nameless).await;
    let told = insights(&club, "/funnel/summary", None).await;
    assert_eq!(rule(&told, "segment_loses_more"), None);
    assert!(rule(&told, "largest_loss").is_some());
}

#[tokio::test]
async fn a_conversion_that_fell_is_told_and_one_that_rose_is_no_alarm() {
    const DAY_S: i64 = 86_400;
    let weeks = |now: i64, before: i64| -> Vec<Json> {
        let week = |name: &'static str, first_day: i64, converted: i64| {
            (0..300).map(move |number| {
                let to = if number < converted { "success" } else { "exit" };
                let ago_s = DAY_S / 2 + (first_day + number % 7) * DAY_S + 1_000 + number;
                click(&format!("{name}-{number}"), "cart", to, -ago_s)
            })
        };
        week("now", 0, now).chain(week("before", 7, before)).collect()
    };
    let check = async |now: i64, before: i64, want: Option<(&str, &str, f64)>| {
        let club = shop(Settings::default());
        fill(&club, "north", weeks(now, before)).await;
        let told = insights(&club, "/funnel/summary", None).await;
        let found = told.iter().find(|insight| insight["rule"].as_str().unwrap().starts_with("conversion"));
        let got = found.map(|insight| {
            let evidence = &insight["evidence"];
            assert_eq!((&evidence["sessions"], &evidence["sessions_before"]), (&json!(300), &json!(300)));
            let text = |name: &str| insight[name].as_str().unwrap().to_owned();
            (text("rule"), text("severity"), evidence["difference"].as_f64().unwrap())
        });
        let want = want.map(|(rule, severity, points)| (rule.to_owned(), severity.to_owned(), points));
        assert_eq!(got, want, "{now} {before}");
    };
    check(75, 120, Some(("conversion_fell", "high", 15.0))).await;
    check(120, 75, Some(("conversion_rose", "low", 15.0))).await;
    check(110, 120, None).await;
}

#[tokio::test]
async fn a_rule_that_asks_too_much_leaves_the_rest_of_the_answer_as_it_is() {
    let club = shop(quick(|settings| settings.sql_limits.bytes_max = 1));
    fill(&club, "north", on_devices(&[("phone", 100, 80), ("desktop", 100, 20)])).await;
    let told = insights(&club, "/funnel/summary", None).await;
    assert_eq!(rule(&told, "segment_loses_more"), None);
    assert_eq!(rule(&told, "largest_loss").unwrap()["evidence"]["exits"], 100);
}

/// What is kept of hours and days that have ended is what would be found anew, whenever rows come and of whenever
/// they are.
#[tokio::test]
async fn what_was_settled_is_what_would_be_found() {
    let long = shop(Settings::default());
    let mut all: Vec<Json> = Vec::new();
    for round in 0..6_i64 {
        let late = if round % 2 == 0 { 20_000 } else { 60 };
        let session = |number: i64| {
            let device = if (number + round) % 3 == 0 { "phone" } else { "desktop" };
            let buys = device == "desktop" || number % 4 == 0;
            at_cart(&format!("r{round}-{number}"), device, buys, late + round * 90_000 + number * 7)
        };
        let events: Vec<Json> = (0..60).flat_map(session).collect();
        fill(&long, "north", events.clone()).await;
        all.extend(events);
        let fresh = shop(Settings::default());
        for events in all.chunks(900) {
            fill(&fresh, "north", events.to_vec()).await;
        }
        for path in ["/funnel/summary", "/funnel/summary?lang=ko&as_of=2026-03-15"] {
            assert_eq!(
                insights(&long, path, None).await,
                insights(&fresh, path, None).await,
                "{round} {path}"
            );
        }
    }
    assert!(rule(&insights(&long, "/funnel/summary", None).await, "segment_loses_more").is_some());
}

async fn of_pack(pack: &str, rows: &[(&str, Vec<Json>)]) -> Club {
    let pack = Pack::parse(bundled(pack).unwrap()).unwrap();
    let server = start(vec![pack.clone()], Settings::default()).unwrap();
    assert!(server.opened(memory_store(std::slice::from_ref(&pack))).is_ok());
    let club = Club::of(server);
    let admin = token(json!({"aud": pack.schema.app.as_str(), "role": "admin"}));
    for (table, rows) in rows {
        let answer = club.post(&format!("/v1/tables/{table}/rows"), &admin, &json!(rows)).await;
        assert_eq!(answer.json()["accepted"], json!(rows.len()), "{table}: {}", answer.text());
    }
    club
}

#[tokio::test]
async fn a_cohort_that_comes_back_less_than_the_others_is_told() {
    let months = [("2025-11", "2025-12", 60), ("2025-12", "2026-01", 60), ("2026-01", "2026-02", 30)];
    let (mut cards, mut visits) = (Vec::new(), Vec::new());
    for (index, (month, after, back)) in (0_i64..).zip(months) {
        for number in 0..100 {
            let id = index * 1_000 + number;
            cards.push(json!({
                "id": id, "merchant_id": 1, "card_number": format!("C-{id}"), "points_balance": 0,
                "is_active": true, "created_at": format!("{month}-10T00:00:00Z"),
            }));
            if number < back {
                visits.push(json!({
                    "id": id, "merchant_id": 1, "card_id": id, "transaction_type": "points_earned",
                    "points_delta": 1, "transaction_at": format!("{after}-10T00:00:00Z"),
                }));
            }
        }
    }
    let rows =
        [("merchants", vec![json!({"id": 1, "name": "One"})]), ("cards", cards), ("transactions", visits)];
    let club = of_pack("loyalty", &rows).await;
    let merchant = token(json!({"aud": "loyalty", "role": "merchant", "tenant": "1"}));
    let answer = club.get("/store/loyalty/analytics/cohorts", &merchant).await.json();
    let told = answer["insights"].as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0]["evidence"],
        json!({
            "month": "2026-01", "retention": 30.0, "returned": 30, "enrolled": 100,
            "retention_others": 60.0, "returned_others": 120, "enrolled_others": 200, "difference": 30.0,
        })
    );
    assert_eq!((&told[0]["severity"], &told[0]["test"]["looks"]), (&json!("high"), &json!(3)));
    let few = club.get("/store/loyalty/analytics/cohorts?months_back=1", &merchant).await.json();
    assert_eq!(few["insights"][0]["evidence"], json!({"cards": 0, "least": 30}));
}

#[tokio::test]
async fn a_bot_whose_unanswered_share_grew_is_told_by_its_name() {
    let message = |number: i64, days_ago: i64, open: bool| {
        let at = now().micros() - days_ago * 86_400_000_000 + number;
        json!({
            "id": format!("m{days_ago}-{number}"), "conversation_id": "c", "role": "assistant", "content": "…",
            "confidence_score": if open { 0.1 } else { 0.9 }, "created_at": Instant::from_micros(at).to_string(),
        })
    };
    let recent = (0..200).map(|number| message(number, 10, number < 60));
    let before = (0..200).map(|number| message(number, 40, number < 20));
    let long_ago = "2025-01-01T00:00:00Z";
    let rows = [
        ("companies", vec![json!({"id": "one", "owner_id": "ann", "name": "One"})]),
        ("subscriptions", vec![json!({"id": "s", "user_id": "ann", "plan": "pro", "status": "active"})]),
        (
            "chatbots",
            vec![
                json!({"id": "b", "company_id": "one", "name": "Help", "is_published": true, "created_at": long_ago}),
            ],
        ),
        ("conversations", vec![json!({"id": "c", "chatbot_id": "b", "created_at": long_ago})]),
        ("messages", recent.chain(before).collect()),
    ];
    let club = of_pack("chatbot", &rows).await;
    let owner = token(json!({"aud": "chatbot", "role": "owner", "sub": "ann"}));
    let answer = club.get("/analytics/overview?lang=en", &owner).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json()["insights"].as_array().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["title"], "Help leaves more questions open than before");
    assert_eq!(
        told[0]["evidence"],
        json!({
            "chatbot_name": "Help", "chatbot_id": "b", "unanswered_share": 30.0, "missed": 60, "answers": 200,
            "unanswered_share_before": 10.0, "missed_before": 20, "answers_before": 200, "difference": 20.0,
        })
    );
}

#[test]
fn every_bundled_pack_has_all_its_texts_in_all_languages() {
    let mut rules = 0;
    let mut check = |told: &str, texts: &Texts| {
        let mut languages: Vec<Language> = texts.languages().collect();
        languages.sort_unstable();
        assert_eq!(languages, Language::ALL, "{told}");
        rules += 1;
    };
    for pack in ["chatbot", "itsm", "learning", "loyalty", "product", "storefront"] {
        let pack = Pack::parse(bundled(pack).unwrap()).unwrap();
        for report in &pack.reports {
            for insights in report.response.insights() {
                check(&format!("{} {} few", pack.schema.app, report.name), &insights.few.texts);
                for rule in &insights.rules {
                    check(&format!("{} {} {}", pack.schema.app, report.name, rule.name), &rule.texts);
                }
            }
        }
    }
    assert!(rules >= 22, "{rules}");
}

#[test]
fn what_is_wrong_with_a_rule_is_told_where_it_stands() {
    const SOUND: &str = "pack: a
tables: {t: {kind: entity, key: id, tenant: id, columns: {id: int, n: int, of: int, name: text}}}
reports:
  r:
    routes: [{path: /r}]
    response:
      found:
        few: {of: {row: SELECT count(*) AS rows FROM t}, count: rows, texts: {en: {title: a, finding: '{rows} of {least}', action: c}}}
        rules:
          x:
            kind: largest
            of: {rows: 'SELECT name, n, \"of\" FROM t'}
            key: name
            part: n
            whole: of
            texts: {en: {title: '{name}', finding: '{share} {n} {of}', action: {shop: s, else: e}}}
";
    let sql = ebbtide_engine::sql::Sql::new(&ebbtide_engine::sql::SqlSettings::default()).unwrap();
    let statements = ebbtide_server::report::PlannedStatements::new(&sql);
    let parse = |yaml: &str| Pack::parse_with(yaml, &statements);
    assert!(parse(SOUND).is_ok(), "{:?}", parse(SOUND));
    let check = |from: &str, to: &str, want: &str| {
        assert!(SOUND.contains(from), "{from}");
        let faults = parse(&SOUND.replace(from, to)).unwrap_err();
        let told: Vec<String> = faults.iter().map(|fault| format!("{}: {fault}", fault.line)).collect();
        assert!(told.iter().any(|told| told.contains(want)), "{to}: {told:#?}");
    };
    check(
        "kind: largest",
        "kind: larges",
        "11: reports.r.response.found.rules.x.kind: \"larges\" was given; allowed is \"largest\", \"slow\", \"differs\" or \"changed\" (did you mean \"largest\"?)",
    );
    check(
        "part: n",
        "part: m",
        "12: reports.r.response.found.rules.x.of.rows: gives no column m, which the rule reads; there is name, n, of",
    );
    check("part: n", "part: name", "gives name of type Utf8");
    check(
        "'{share} ",
        "'{shar} ",
        "finding: \"shar\" is no name of the evidence; there is name, share, n, of (did you mean \"share\"?)",
    );
    check("{n} {of}', action", "{n} {of', action", "brace that is never closed");
    check("else: e", "other: e", "action: lacks \"else\"");
    check(
        "whole: of",
        "whole: of\n            severity: {high: 5, low: 5}",
        "severity: {\"high\":5,\"low\":5} was given",
    );
    check(
        "whole: of",
        "whole: of\n            least: 0",
        "least: 0 was given; allowed is a whole number from 1",
    );
    check("whole: of", "whole: of\n            group: name", "group: is no field here");
    check(
        "texts: {en: {title: '{name}'",
        "texts: {fr: {title: '{name}'",
        "\"fr\" is no language of texts; there is en, ko, ru",
    );
    check("texts: {en: {title: '{name}'", "texts: {ko: {title: '{name}'", "texts: lacks en");
    check(
        "of: {rows: 'SELECT name, n, \"of\" FROM t'}",
        "of: {value: SELECT 1}",
        "allowed is a leaf with rows",
    );
    check(
        "few: {of: {row: SELECT count(*) AS rows FROM t}, count: rows",
        "few: {of: {row: SELECT count(*) AS rows FROM t}, count: all",
        "gives no column all",
    );
    check(
        "routes: [{path: /r}]",
        "routes: [{path: /r}]\n    params: {lang: {type: text}}",
        "choose another name",
    );
}
