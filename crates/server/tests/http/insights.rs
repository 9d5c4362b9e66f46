//! Findings in words: what a shop is told, in which language, and why it is told nothing.

use ebbtide_model::pack::Pack;
use ebbtide_server::Settings;
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
    assert_eq!(loss["finding"], "57.14 % of all exits are at the product page: 40 of 70.");
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
        "На шаг «Товар» приходится 57,14 % всех уходов: 40 из 70."
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
