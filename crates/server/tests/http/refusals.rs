//! Sixty and more wrong questions: each is refused with the path of the field, what was given there and what
//! is allowed.

use serde_json::{Value as Json, json};

use crate::support::*;

/// A question with fields of its own instead of, or besides, some that would do.
fn with(base: Json, more: Json) -> Json {
    let mut query = base;
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    query
}

fn trend(more: Json) -> Json {
    with(json!({"kind": "trend", "stream": "visits"}), more)
}

fn funnel(more: Json) -> Json {
    let steps = json!([{"event": "swim"}, {"event": "sauna"}, {"event": "swim"}]);
    with(json!({"kind": "funnel", "stream": "visits", "steps": steps}), more)
}

fn retention(more: Json) -> Json {
    with(json!({"kind": "retention", "stream": "visits"}), more)
}

fn filtered(filter: Json) -> Json {
    json!({"kind": "churn", "stream": "visits", "filters": [filter]})
}

/// A question, the path of what is wrong with it, what its detail says was given, and what is allowed.
struct Wrong(Json, &'static str, &'static str, &'static str);

fn of_every_kind() -> Vec<Wrong> {
    vec![
        Wrong(json!([]), "(the whole)", "[] was given", "allowed is an object"),
        Wrong(json!({}), "kind", "is missing", "\"funnel\", \"retention\""),
        Wrong(json!({"kind": "funel"}), "kind", "\"funel\" was given", "did you mean \"funnel\"?"),
        Wrong(json!({"kind": null}), "kind", "is missing", "\"retention\""),
        Wrong(json!({"kind": ["trend"]}), "kind", "[\"trend\"] was given", "\"trend\""),
        Wrong(
            trend(json!({"intervall": "day"})),
            "intervall",
            "is no field here",
            "did you mean \"interval\"?",
        ),
        Wrong(trend(json!({"stream": "visit"})), "stream", "\"visit\" was given", "did you mean \"visits\"?"),
        Wrong(trend(json!({"stream": 5})), "stream", "5 was given", "allowed is text"),
        Wrong(trend(json!({"tz": "Mars/Olympus"})), "tz", "\"Mars/Olympus\" was given", "IANA"),
        Wrong(trend(json!({"tz": "+25:00"})), "tz", "\"+25:00\" was given", "IANA"),
        Wrong(
            trend(json!({"week_start": "friday"})),
            "week_start",
            "\"friday\" was given",
            "\"monday\" or \"sunday\"",
        ),
        Wrong(trend(json!({"as_of": "tomorrow"})), "as_of", "\"tomorrow\" was given", "RFC 3339"),
        Wrong(trend(json!({"from": "2026-02-30"})), "from", "\"2026-02-30\" was given", "RFC 3339"),
        Wrong(trend(json!({"to": 20260101})), "to", "20260101 was given", "allowed is"),
        Wrong(
            trend(json!({"from": "2026-02-01", "to": "2026-01-01"})),
            "to",
            "2025-12-31T15:00:00Z was given",
            "after `from`",
        ),
        Wrong(trend(json!({"interval": "fortnight"})), "interval", "\"fortnight\" was given", "\"hour\""),
        Wrong(
            trend(json!({"from": "1900-01-01", "to": "2026-01-01", "interval": "hour"})),
            "interval",
            "\"hour\" was given",
            "more than 20000",
        ),
        Wrong(
            trend(json!({"aggregate_by": "membr_id"})),
            "aggregate_by",
            "\"membr_id\" was given",
            "did you mean \"member_id\"?",
        ),
        Wrong(trend(json!({"cache": "no"})), "cache", "\"no\" was given", "true or false"),
        Wrong(trend(json!({"filters": {}})), "filters", "{} was given", "a list"),
    ]
}

fn of_filters() -> Vec<Wrong> {
    let mut deep = json!({"prop": "kind", "op": "is_set"});
    for _ in 0..9 {
        deep = json!({"any": [deep]});
    }
    vec![
        Wrong(
            filtered(json!({"op": "eq", "value": 1})),
            "filters[0].prop",
            "is missing",
            "the name of a property",
        ),
        Wrong(
            filtered(json!({"prop": "knd", "value": "x"})),
            "filters[0].prop",
            "\"knd\" was given",
            "did you mean \"kind\"?",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "equals", "value": "x"})),
            "filters[0].op",
            "\"equals\" was given",
            "\"eq\"",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "eq"})),
            "filters[0].value",
            "is missing",
            "\"eq\" needs one",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "value": 5})),
            "filters[0].value",
            "5 was given",
            "allowed is text",
        ),
        Wrong(
            filtered(json!({"prop": "id", "value": "5"})),
            "filters[0].value",
            "\"5\" was given",
            "allowed is a number",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "in", "value": "swim"})),
            "filters[0].value",
            "\"swim\" was given",
            "a list",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "in", "value": ["swim", {}]})),
            "filters[0].value[1]",
            "{} was given",
            "text, a number",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "is_set", "value": 1})),
            "filters[0].value",
            "1 was given",
            "no value with \"is_set\"",
        ),
        Wrong(
            filtered(json!({"prop": "id", "op": "contains", "value": "1"})),
            "filters[0].value",
            "\"contains\" was given",
            "for text only",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "matches", "value": "(swim"})),
            "filters[0].value",
            "\"(swim\" was given",
            "unclosed group",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "matches", "value": "a{1000}{1000}"})),
            "filters[0].value",
            "was given",
            "more than is allowed",
        ),
        Wrong(
            filtered(json!({"prop": "at", "op": "lt", "value": "soon"})),
            "filters[0].value",
            "\"soon\" was given",
            "RFC 3339",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "op": "lt", "value": true})),
            "filters[0].value",
            "true was given",
            "a number or text",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "value": "x", "scope": "user"})),
            "filters[0].scope",
            "\"user\" was given",
            "\"event\" or \"actor\"",
        ),
        Wrong(
            filtered(json!({"prop": "kind", "value": "x", "scope": "actor"})),
            "filters[0].scope",
            "\"actor\" was given",
            "actors have no properties",
        ),
        Wrong(filtered(json!({"any": [], "all": []})), "filters[0].all", "is no field here", "allowed"),
        Wrong(
            filtered(json!({"any": [{"prop": "kind"}]})),
            "filters[0].any[0].value",
            "is missing",
            "needs one",
        ),
        Wrong(
            filtered(deep),
            "filters[0].any[0].any[0].any[0].any[0].any[0].any[0].any[0].any[0]",
            "was given",
            "deeper than 8",
        ),
        Wrong(filtered(json!("kind = 'swim'")), "filters[0]", "\"kind = 'swim'\" was given", "an object"),
    ]
}

fn of_funnels() -> Vec<Wrong> {
    vec![
        Wrong(funnel(json!({"steps": []})), "steps", "0 were given", "allowed are 1 to 20"),
        Wrong(funnel(json!({"steps": vec![json!({}); 21]})), "steps", "21 were given", "allowed are 1 to 20"),
        Wrong(funnel(json!({"steps": ["swim"]})), "steps[0]", "\"swim\" was given", "an object"),
        Wrong(funnel(json!({"steps": [{"event": 1}]})), "steps[0].event", "1 was given", "an event's name"),
        Wrong(
            funnel(json!({"steps": [{"evnt": "swim"}]})),
            "steps[0].evnt",
            "is no field here",
            "did you mean \"event\"?",
        ),
        Wrong(
            funnel(json!({"steps": [{"table": "visit"}]})),
            "steps[0].table",
            "\"visit\" was given",
            "did you mean \"visits\"?",
        ),
        Wrong(funnel(json!({"steps": [{"table": "clubs"}]})), "steps[0]", "clubs", "have no time"),
        Wrong(
            funnel(json!({"steps": [{"first_time": "once"}]})),
            "steps[0].first_time",
            "\"once\" was given",
            "\"ever\" or \"matching\"",
        ),
        Wrong(funnel(json!({"order": "any"})), "order", "\"any\" was given", "\"ordered\""),
        Wrong(funnel(json!({"window": 0})), "window", "0 was given", "a positive number of seconds"),
        Wrong(
            funnel(json!({"window": "-7d"})),
            "window",
            "\"-7d\" was given",
            "a positive number of seconds",
        ),
        Wrong(funnel(json!({"window": "a week"})), "window", "\"a week\" was given", "\"7d\""),
        Wrong(
            funnel(json!({"exclusions": [{"event": "x", "after": 1, "before": 1}]})),
            "exclusions[0].before",
            "1 was given",
            "from 2 to 2",
        ),
        Wrong(
            funnel(json!({"exclusions": [{"event": "x", "after": 2, "before": 1}]})),
            "exclusions[0].after",
            "2 was given",
            "from 0 to 1",
        ),
        Wrong(
            funnel(json!({"exclusions": [{"event": "x", "before": 3}]})),
            "exclusions[0].before",
            "3 was given",
            "from 1 to 2",
        ),
        Wrong(
            funnel(json!({"order": "unordered", "exclusions": [{"event": "x", "after": 1}]})),
            "exclusions[0]",
            "was given",
            "the full span",
        ),
        Wrong(funnel(json!({"time_between": [1, 0]})), "time_between[1]", "0 was given", "from 2 to 2"),
        Wrong(funnel(json!({"viz": "bars"})), "viz", "\"bars\" was given", "\"steps\" or \"trends\""),
        Wrong(funnel(json!({"viz": "trends", "from_step": 3})), "from_step", "3 was given", "from 0 to 2"),
        Wrong(funnel(json!({"breakdown": {"props": []}})), "breakdown.props", "[] was given", "1 to 5"),
        Wrong(
            funnel(json!({"breakdown": {"props": ["knd"]}})),
            "breakdown.props[0]",
            "\"knd\" was given",
            "visits has",
        ),
        Wrong(
            funnel(json!({"breakdown": {"props": ["kind"], "attribution": {"step": 3}}})),
            "breakdown.attribution.step",
            "3 was given",
            "from 0 to 2",
        ),
        Wrong(funnel(json!({"list_actors": 1})), "list_actors", "1 was given", "true or false"),
    ]
}

fn of_other_kinds() -> Vec<Wrong> {
    let formula = |formula: &str| json!({"kind": "trend", "stream": "visits", "formula": formula, "entities": [{}, {}]});
    vec![
        Wrong(retention(json!({"period": "decade"})), "period", "\"decade\" was given", "\"hour\""),
        Wrong(retention(json!({"periods": 0})), "periods", "0 was given", "from 1 to 1000"),
        Wrong(
            retention(json!({"type": "first"})),
            "type",
            "\"first\" was given",
            "\"recurring\" or \"first_time\"",
        ),
        Wrong(
            retention(json!({"window": "rolling", "period": "year"})),
            "window",
            "\"rolling\" was given",
            "\"day\" (24 hours)",
        ),
        Wrong(retention(json!({"min_occurrences": 0})), "min_occurrences", "0 was given", "from 1"),
        Wrong(retention(json!({"start": {"table": "clubs"}})), "start", "clubs", "have no time"),
        Wrong(retention(json!({"to": "2026-02-01"})), "from", "is missing", "`to`"),
        Wrong(trend(json!({"measure": "mean", "prop": "id"})), "measure", "\"mean\" was given", "\"total\""),
        Wrong(trend(json!({"measure": "sum"})), "prop", "is missing", "\"sum\" needs one"),
        Wrong(trend(json!({"measure": "sum", "prop": "kind"})), "prop", "of type text", "a column of type"),
        Wrong(
            trend(json!({"measure": "p90", "prop": "id", "cumulative": true})),
            "cumulative",
            "true was given",
            "p90",
        ),
        Wrong(
            trend(json!({"breakdown": {"prop": "kind", "limit": 0}})),
            "breakdown.limit",
            "0 was given",
            "from 1 to",
        ),
        Wrong(trend(json!({"breakdown": "kind"})), "breakdown", "\"kind\" was given", "an object"),
        Wrong(
            trend(json!({"compare": "last_year"})),
            "compare",
            "\"last_year\" was given",
            "\"previous_period\"",
        ),
        Wrong(formula("A / C"), "formula", "\"A / C\" was given", "an entity from A to B"),
        Wrong(formula("A +"), "formula", "\"A +\" was given", "at its end"),
        Wrong(formula("A"), "formula", "\"A\" was given", "does not use B"),
        Wrong(
            formula(&format!("{}A - B{}", "(".repeat(500), ")".repeat(500))),
            "formula",
            "was given",
            "up to 1000 bytes",
        ),
        Wrong(
            json!({"kind": "stickiness", "stream": "visits", "interval_count": 0}),
            "interval_count",
            "0 was given",
            "from 1 to 1000",
        ),
        Wrong(
            json!({"kind": "lifecycle", "stream": "visits", "interval": "all"}),
            "interval",
            "\"all\" was given",
            "\"hour\"",
        ),
        Wrong(
            json!({"kind": "paths", "stream": "visits", "session_gap": "0m"}),
            "session_gap",
            "\"0m\" was given",
            "a positive number of seconds",
        ),
        Wrong(
            json!({"kind": "paths", "stream": "visits", "item": "pge"}),
            "item",
            "\"pge\" was given",
            "visits has",
        ),
        Wrong(
            json!({"kind": "churn", "stream": "visits", "inactivity_multiplier": -1}),
            "inactivity_multiplier",
            "-1 was given",
            "above 0",
        ),
        Wrong(
            json!({"kind": "churn", "stream": "visits", "model": "pareto"}),
            "model",
            "\"pareto\" was given",
            "\"none\" or \"bg_nbd\"",
        ),
        Wrong(
            json!({"kind": "preceding", "stream": "visits", "of": {}, "show": "kind"}),
            "before",
            "is missing",
            "is required",
        ),
    ]
}

#[tokio::test]
async fn a_wrong_question_is_told_its_field_what_was_given_and_what_is_allowed() {
    let club = Club::open().await;
    let all: Vec<Wrong> =
        [of_every_kind(), of_filters(), of_funnels(), of_other_kinds()].into_iter().flatten().collect();
    assert!(all.len() >= 60, "{}", all.len());
    let mut faults = Vec::new();
    for Wrong(query, path, given, allowed) in all {
        let answer = club.post("/v1/query", &owner(1), &query).await;
        if answer.status.as_u16() != 422 {
            faults.push(format!("{query}: {} {}", answer.status, answer.text()));
            continue;
        }
        answer.assert_problem(422, "query_invalid");
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        if !detail.starts_with(&format!("{path}: ")) || !detail.contains(given) || !detail.contains(allowed) {
            faults.push(format!("{query}\n  wants {path}: … {given} … {allowed}\n  is    {detail}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const DIVIDED: &str = r#"
pack: club
tables:
  visits: {kind: events, key: id, tenant: {fixed: all}, actor: id, time: at, name: kind, columns: {id: int, kind: text, at: timestamp}}
reports:
  divided:
    routes: [{path: /divided, roles: [admin]}]
    params: {by: {type: int, default: 2}}
    response: {quotient: {value: "SELECT 10 / $by"}}
"#;

/// The statement is sound, and the server too: it is the value.
#[tokio::test]
async fn a_report_whose_statement_fails_on_a_value_says_so() {
    let pack = ebbtide_model::pack::Pack::parse(DIVIDED).unwrap();
    let server = start(vec![pack.clone()], ebbtide_server::Settings::default()).unwrap();
    assert!(server.opened(memory_store(&[pack])).is_ok());
    let club = Club::of(server);
    let reader = token(json!({"role": "admin", "tenant": "all"}));
    assert_eq!(club.get("/divided", &reader).await.json(), json!({"quotient": 5}));
    for path in ["/divided?by=0", "/divided?by=0&format=csv"] {
        let answer = club.get(path, &reader).await;
        answer.assert_problem(422, "report_unanswerable");
        assert!(answer.text().contains("Divide by zero"), "{}", answer.text());
    }
}
