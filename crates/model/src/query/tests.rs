use serde_json::{Value as Json, json};

use super::*;
use crate::{
    AppName, AppSchema, Calendar, Column, ColumnType, TableKind, TableSchema, TenantId, TenantRule, Unit,
};

fn table(name: &str, kind: TableKind, columns: &[(&str, ColumnType)]) -> TableSchema {
    let columns: Vec<Column> = columns
        .iter()
        .map(|(name, column_type)| Column {
            name: (*name).to_owned(),
            column_type: *column_type,
            nullable: true,
        })
        .collect();
    let index = |name: &str| columns.iter().position(|column| column.name == name);
    TableSchema {
        name: TableName::new(name),
        kind,
        key: index("id").into_iter().collect(),
        tenant: TenantRule::Fixed(TenantId::new("main")),
        actor: index("card"),
        time: index("at"),
        event_name: index("type"),
        open: None,
        aliases: None,
        actor_props: None,
        columns,
    }
}

fn schema() -> AppSchema {
    use ColumnType::{Bool, Date, Decimal, Float, Int, Text, Timestamp};
    AppSchema {
        app: AppName::new("shop"),
        calendar: Calendar::new(TimeZone::get("Europe/Paris").unwrap(), WeekStart::Sunday),
        tables: vec![
            table("cards", TableKind::Entity, &[("id", Int), ("at", Timestamp), ("tier", Text)]),
            table("plans", TableKind::Entity, &[("id", Text), ("price", Int)]),
            table("people", TableKind::Entity, &[("id", Text), ("at", Timestamp)]),
            table(
                "sales",
                TableKind::Events,
                &[
                    ("card", Int),
                    ("at", Timestamp),
                    ("type", Text),
                    ("amount", Float),
                    ("cost", Decimal),
                    ("open", Bool),
                    ("day", Date),
                    ("place", Text),
                ],
            ),
            table("views", TableKind::Events, &[("card", Int), ("at", Timestamp), ("page", Text)]),
            table("ticks", TableKind::Events, &[("at", Timestamp), ("load", Float)]),
        ],
    }
}

#[test]
fn a_bad_query_is_told_where_it_is_bad_and_what_is_allowed() {
    let check = |json: Json, path: &str, problem: &str| {
        let fault = Query::parse(&json).unwrap_err();
        assert_eq!(fault.path, path, "{json}: {fault}");
        assert!(fault.problem.contains(problem), "{json}: {fault}");
    };
    check(json!([]), "", "allowed is an object");
    check(json!({}), "kind", "is missing");
    check(json!({"kind": "trends"}), "kind", "did you mean \"trend\"?");
    check(json!({"kind": 7}), "kind", "7 was given");
    check(json!({"kind": "churn", "entty": {}}), "entty", "did you mean \"entity\"?");
    check(json!({"kind": "churn", "limit": 0}), "limit", "a whole number from 1 to 1000000");
    check(json!({"kind": "churn", "inactivity_multiplier": 0}), "inactivity_multiplier", "above 0");
    check(
        json!({"kind": "churn", "inactivity_multiplier": 0.1234567}),
        "inactivity_multiplier",
        "six decimals",
    );
    check(json!({"kind": "churn", "model": "pareto"}), "model", "allowed is \"none\" or \"bg_nbd\"");
    check(json!({"kind": "churn", "model": "bg_nbd", "unit": "month"}), "unit", "\"day\" or \"week\"");
    check(json!({"kind": "churn", "model": "bg_nbd", "horizon": 0}), "horizon", "from 1 to 10000");
    check(
        json!({"kind": "churn", "as_of": "yesterday"}),
        "as_of",
        "\"yesterday\" was given; allowed is an RFC",
    );
    check(json!({"kind": "churn", "tz": "Mars/Olympus"}), "tz", "\"Mars/Olympus\" was given");
    check(json!({"kind": "churn", "tz": "../../etc/passwd"}), "tz", "IANA");
    check(json!({"kind": "churn", "week_start": "friday"}), "week_start", "\"monday\" or \"sunday\"");
    check(json!({"kind": "retention", "period": "fortnight"}), "period", "allowed is \"hour\"");
    check(json!({"kind": "retention", "periods": 1001}), "periods", "from 1 to 1000");
    check(
        json!({"kind": "retention", "window": "rolling", "period": "year"}),
        "window",
        "\"day\" (24 hours)",
    );
    check(json!({"kind": "retention", "start": {"event": 5}}), "start.event", "5 was given");
    check(json!({"kind": "trend", "measure": "mean"}), "measure", "allowed is \"total\"");
    check(json!({"kind": "trend", "measure": []}), "measure", "one at least");
    check(json!({"kind": "trend", "measure": ["sum", "sum"], "prop": "x"}), "measure", "different");
    check(json!({"kind": "trend", "measure": "sum"}), "prop", "\"sum\" needs one");
    check(json!({"kind": "trend", "measure": "p90", "prop": "x", "cumulative": true}), "cumulative", "p90");
    let formula = |more: Json| {
        let mut json = json!({"kind": "trend", "formula": "A / B", "entities": [{}, {}]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    check(json!({"kind": "trend", "formula": "A / B"}), "entities", "is missing, and `formula` needs them");
    check(json!({"kind": "trend", "entities": [{}]}), "entities", "without a `formula`");
    check(formula(json!({"entity": {}})), "entity", "beside `entities`");
    check(formula(json!({"measure": ["total"]})), "measure", "allowed with `formula` is one measure");
    check(formula(json!({"formula": "A / C"})), "formula", "at character 5 allowed is an entity from A to B");
    check(formula(json!({"formula": "A"})), "formula", "does not use B");
    check(formula(json!({"entities": []})), "entities", "allowed are 1 to 26");
    check(formula(json!({"entities": [{}, {"measure": "sum"}]})), "entities[1].prop", "\"sum\" needs one");
    check(formula(json!({"entities": [{}, {"evnt": "x"}]})), "entities[1].evnt", "did you mean \"event\"?");
    let p90 = formula(json!({"entities": [{}, {"measure": "p90", "prop": "x"}], "cumulative": true}));
    check(p90, "cumulative", "without the measure \"p90\"");
    check(json!({"kind": "lifecycle", "interval": "all"}), "interval", "allowed is \"hour\"");
    check(json!({"kind": "lifecycle", "members_limit": -1}), "members_limit", "from 0 to 100000");
    check(json!({"kind": "stickiness", "interval_count": 0}), "interval_count", "from 1 to 1000");
    check(json!({"kind": "paths", "session_gap": 0}), "session_gap", "a positive number of seconds");
    check(json!({"kind": "paths", "start_at": {}}), "start_at", "text, a number");
    check(json!({"kind": "paths", "steps": 0}), "steps", "from 1 to");
    check(json!({"kind": "trend", "compare": "last_year"}), "compare", "allowed is \"previous_period\"");
    let preceding = |show: Json| json!({"kind": "preceding", "before": {}, "of": {}, "show": show});
    check(json!({"kind": "preceding", "of": {}, "show": "x"}), "before", "is missing");
    check(json!({"kind": "preceding", "before": {}, "show": "x"}), "of", "is missing");
    check(preceding(json!(null)), "show", "is missing");
    check(preceding(json!(5)), "show", "allowed is a property's name, or an object");
    check(preceding(json!({"cut": 5})), "show.prop", "is missing");
    check(preceding(json!({"prop": "x", "cut": 0})), "show.cut", "from 1 to 10000");
    check(json!({"kind": "trend", "breakdown": {"prop": "x", "limit": 0}}), "breakdown.limit", "1 to");
}

#[test]
fn a_bad_dropoff_is_told_where_it_is_bad_and_what_is_allowed() {
    let check = |more: Json, path: &str, problem: &str| {
        let mut json = json!({"kind": "dropoff", "step": "screen", "steps": ["a", "b"]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let fault = Query::parse(&json).unwrap_err();
        assert_eq!(fault.path, path, "{json}: {fault}");
        assert!(fault.problem.contains(problem), "{json}: {fault}");
    };
    check(json!({"steps": null}), "steps", "is missing");
    check(json!({"steps": []}), "steps", "allowed are 1 to 20");
    check(json!({"steps": ["a", {}]}), "steps[1]", "text, a number");
    check(json!({"steps": ["a", null]}), "steps[1]", "allowed is text");
    check(json!({"steps": ["a", "b", "a"]}), "steps[2]", "given twice");
    check(json!({"step": null}), "step", "is missing");
    check(json!({"success": "c"}), "success", "allowed is one of `steps`");
    check(json!({"session": []}), "session", "a property, a positive duration");
    check(json!({"session": "0s"}), "session", "a positive duration");
    check(json!({"session": "-5m"}), "session", "a positive duration");
    check(json!({"session": "1.5h"}), "session", "a positive duration");
    check(json!({"session": {"prop": "s", "gap": 0}}), "session.gap", "a positive number");
    check(json!({"session": {"by": "s"}}), "session.by", "is no field here");
    check(json!({"idle": "soon"}), "idle", "a positive number");
    check(json!({"exit": {"event": 5}}), "exit.event", "5 was given");
    check(json!({"latency": ["a"]}), "latency", "an object");
    check(json!({"latency": {"a b": "x"}}), "latency.a b", "letters, digits and _");
    check(json!({"latency": {"system": 5}}), "latency.system", "a property, or an object");
    check(json!({"latency": {"system": {"table": "t"}}}), "latency.system.prop", "is missing");
    check(json!({"list": "all"}), "list", "\"steps\", \"sessions\" or \"splits\"");
    check(json!({"list": "splits"}), "splits", "is missing");
    check(json!({"list": "sessions", "splits": {"a": "p"}}), "splits", "is no field here");
    let split = |split: Json| json!({"list": "splits", "splits": {"a": split}});
    check(json!({"list": "splits", "splits": {}}), "splits", "allowed are 1 to 8");
    check(json!({"list": "splits", "splits": {"a b": "p"}}), "splits.a b", "letters, digits and _");
    check(json!({"list": "splits", "splits": {"a": "p"}, "days": 0}), "days", "from 1 to 366");
    check(split(json!(5)), "splits.a", "a property, or an object");
    check(split(json!({"then": "x", "else": "y"})), "splits.a", "one of `pause`, `mean` and `days`");
    check(split(json!({"pause": "1d", "then": "x"})), "splits.a.else", "is missing");
    check(split(json!({"mean": "p", "then": "x", "else": "y"})), "splits.a.at_least", "is missing");
    let mean = json!({"mean": "p", "at_least": 1, "then": "x", "else": "y"});
    check(json!({"list": "splits", "splits": {"a": mean, "b": mean}}), "splits", "allowed is one");
    check(json!({"limit": 1001}), "limit", "from 1 to 1000");
}

#[test]
fn an_exclusion_has_its_matchers_fields_or_a_field_with_them() {
    let excluding = |exclusion: Json| {
        Query::parse(&json!({"kind": "funnel", "steps": [{}, {}], "exclusions": [exclusion]}))
    };
    let matcher = json!({"event": "x", "where": [{"prop": "p", "value": 1}]});
    let nested = excluding(json!({"matcher": matcher, "after": 0})).unwrap();
    let beside = excluding(json!({"event": "x", "where": [{"prop": "p", "value": 1}], "after": 0})).unwrap();
    assert_eq!(nested, beside);
    let twice = excluding(json!({"matcher": matcher, "event": "y"})).unwrap_err();
    assert_eq!(twice.path, "exclusions[0].event");
}

#[test]
fn a_bad_funnel_is_told_where_it_is_bad_and_what_is_allowed() {
    let check = |more: Json, path: &str, problem: &str| {
        let mut json = json!({"kind": "funnel", "steps": [{"event": "a"}, {"event": "b"}, {"event": "c"}]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let fault = Query::parse(&json).unwrap_err();
        assert_eq!(fault.path, path, "{json}: {fault}");
        assert!(fault.problem.contains(problem), "{json}: {fault}");
    };
    check(json!({"steps": null}), "steps", "is missing");
    check(json!({"steps": []}), "steps", "allowed are 1 to 20");
    check(json!({"steps": vec![json!({}); 21]}), "steps", "21 were given");
    check(json!({"steps": ["a"]}), "steps[0]", "allowed is an object");
    check(json!({"steps": [{"evnt": "a"}]}), "steps[0].evnt", "did you mean \"event\"?");
    check(json!({"steps": [{"first_time": "once"}]}), "steps[0].first_time", "\"ever\" or \"matching\"");
    check(json!({"steps": [{"where": [{}]}]}), "steps[0].where[0].prop", "is missing");
    check(json!({"order": "any"}), "order", "allowed is \"ordered\", \"strict\" or \"unordered\"");
    check(json!({"window": 0}), "window", "a positive number of seconds");
    check(json!({"window": -5}), "window", "a positive number of seconds");
    check(json!({"window": "5 days"}), "window", "\"7d\"");
    check(json!({"exclusions": {}}), "exclusions", "a list");
    check(json!({"exclusions": [{"event": "x", "after": 2}]}), "exclusions[0].after", "from 0 to 1");
    check(json!({"exclusions": [{"after": 1, "before": 1}]}), "exclusions[0].before", "from 2 to 2");
    check(json!({"exclusions": [{"after": 0, "before": 3}]}), "exclusions[0].before", "from 1 to 2");
    check(json!({"order": "unordered", "exclusions": [{"before": 1}]}), "exclusions[0]", "the full span");
    check(json!({"steps": [{}], "exclusions": [{}]}), "exclusions[0]", "one step");
    check(json!({"exclusions": vec![json!({}); 21]}), "exclusions", "up to 20");
    check(json!({"time_between": [0]}), "time_between", "a list of two steps");
    check(json!({"time_between": [1, 1]}), "time_between[1]", "from 2 to 2");
    check(json!({"time_between": [0, 3]}), "time_between[1]", "from 1 to 2");
    check(json!({"viz": "trend"}), "viz", "did you mean \"trends\"?");
    check(json!({"viz": "trends", "interval": "all"}), "interval", "allowed is \"hour\"");
    check(json!({"viz": "trends", "from_step": 3}), "from_step", "from 0 to 2");
    check(json!({"viz": "trends", "from_step": 2, "to_step": 1}), "to_step", "from 2 to 2");
    check(json!({"breakdown": {"props": []}}), "breakdown.props", "1 to 5 different");
    check(json!({"breakdown": {"props": ["x", "x"]}}), "breakdown.props", "1 to 5 different");
    check(json!({"breakdown": {"prop": "x"}}), "breakdown.props", "is missing");
    let attributed = |attribution: Json| json!({"breakdown": {"props": ["x"], "attribution": attribution}});
    check(attributed(json!("any")), "breakdown.attribution", "\"first_touch\", \"last_touch\"");
    check(attributed(json!({"step": 3})), "breakdown.attribution.step", "from 0 to 2");
    check(json!({"list_actors": "yes"}), "list_actors", "true or false");
}

#[test]
fn a_bad_filter_is_told_where_it_is_bad_and_what_is_allowed() {
    let check = |filter: Json, path: &str, problem: &str| {
        let json = json!({"kind": "churn", "entity": {"where": [filter]}});
        let fault = Query::parse(&json).unwrap_err();
        assert_eq!(fault.path, format!("entity.where[0]{path}"), "{json}: {fault}");
        assert!(fault.problem.contains(problem), "{json}: {fault}");
    };
    check(json!({"op": "eq", "value": 1}), ".prop", "is missing");
    check(json!({"prop": "", "op": "eq", "value": 1}), ".prop", "a name");
    check(json!({"prop": "a", "op": "equals", "value": 1}), ".op", "allowed is \"eq\"");
    check(json!({"prop": "a", "op": "eq"}), ".value", "is missing, and \"eq\" needs one");
    check(json!({"prop": "a", "op": "eq", "value": [1]}), ".value", "text, a number");
    check(json!({"prop": "a", "op": "in", "value": "x"}), ".value", "a list");
    check(json!({"prop": "a", "op": "in", "value": [{}]}), ".value[0]", "text, a number");
    check(json!({"prop": "a", "op": "is_set", "value": 1}), ".value", "no value with \"is_set\"");
    check(json!({"prop": "a", "op": "lt", "value": true}), ".value", "a number or text");
    check(json!({"prop": "a", "op": "contains", "value": 5}), ".value", "text");
    check(json!({"prop": "a", "op": "matches", "value": "("}), ".value", "unclosed group");
    check(
        json!({"prop": "a", "op": "matches", "value": "\\w{1000}{1000}"}),
        ".value",
        "more than is allowed",
    );
    check(json!({"prop": "a", "op": "matches", "value": "x".repeat(1001)}), ".value", "1000 bytes");
    check(json!({"prop": "a", "op": "eq", "value": 1, "scope": "user"}), ".scope", "\"event\" or \"actor\"");
    check(json!({"any": [], "all": []}), ".all", "is no field here");
    check(json!({"any": vec![json!({"any": []}); 101]}), ".any", "up to 100");
    let mut deep = json!({"prop": "a", "op": "is_set"});
    for _ in 0..8 {
        deep = json!({"all": [deep]});
    }
    check(deep, &".all[0]".repeat(8), "deeper than 8");
}

#[test]
fn a_query_that_does_not_fit_the_tables_is_told_where() {
    let check = |json: Json, path: &str, problem: &str| {
        let fault = bind(&Query::parse(&json).unwrap(), &schema()).unwrap_err();
        assert_eq!(fault.path, path, "{json}: {fault}");
        assert!(fault.problem.contains(problem), "{json}: {fault}");
    };
    let churn = |filter: Json| json!({"kind": "churn", "filters": [filter]});
    check(json!({"kind": "churn", "stream": "sale"}), "stream", "did you mean \"sales\"?");
    check(
        json!({"kind": "retention", "return": {"table": "card"}}),
        "return.table",
        "did you mean \"cards\"?",
    );
    check(json!({"kind": "churn", "entity": {"table": "plans"}}), "entity", "have no time");
    check(json!({"kind": "churn", "stream": "ticks"}), "entity", "have no actor");
    check(
        json!({"kind": "churn", "entity": {"table": "cards", "event": "x"}}),
        "entity.event",
        "no event names",
    );
    check(
        json!({"kind": "retention", "start": {"table": "people"}}),
        "return",
        "of type text and those of sales",
    );
    check(json!({"kind": "churn", "aggregate_by": "plase"}), "aggregate_by", "did you mean \"place\"?");
    check(churn(json!({"prop": "amont", "value": 1})), "filters[0].prop", "did you mean \"amount\"?");
    check(
        churn(json!({"prop": "amount", "value": "1"})),
        "filters[0].value",
        "\"1\" was given; allowed is a number",
    );
    check(churn(json!({"prop": "place", "value": 1})), "filters[0].value", "allowed is text");
    check(churn(json!({"prop": "open", "op": "in", "value": [0]})), "filters[0].value", "true or false");
    check(churn(json!({"prop": "at", "op": "lt", "value": "soon"})), "filters[0].value", "RFC 3339");
    check(churn(json!({"prop": "day", "op": "lt", "value": "2024-02-30"})), "filters[0].value", "a date");
    check(
        churn(json!({"prop": "cost", "op": "contains", "value": "1"})),
        "filters[0].value",
        "for text only",
    );
    check(churn(json!({"any": [{"prop": "x", "value": 1}]})), "filters[0].any[0].prop", "sales has");
    check(
        churn(json!({"prop": "place", "value": "x", "scope": "actor"})),
        "filters[0].scope",
        "actors have no properties",
    );
    check(
        json!({"kind": "preceding", "before": {}, "of": {}, "show": {"prop": "amount", "trim": true}}),
        "show",
        "of type float; allowed with `cut` or `trim` is a column of type text",
    );
    let dropoff = |more: Json| {
        let mut json = json!({"kind": "dropoff", "step": "place", "steps": ["x"]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    check(dropoff(json!({"step": "plase"})), "step", "did you mean \"place\"?");
    check(dropoff(json!({"next_step": "nowhere"})), "next_step", "sales has");
    check(dropoff(json!({"steps": ["x", 5]})), "steps[1]", "allowed is text");
    check(dropoff(json!({"session": "visit"})), "session", "sales has");
    check(dropoff(json!({"exit": {"table": "cards"}})), "exit.table", "allowed is sales");
    check(
        dropoff(json!({"exit": {"where": [{"prop": "x", "value": 1}]}})),
        "exit.where[0].prop",
        "sales has",
    );
    check(dropoff(json!({"latency": {"a": "place"}})), "latency.a", "of type text; allowed is a column");
    check(
        dropoff(json!({"latency": {"a": {"prop": "b", "table": "sale"}}})),
        "latency.a.table",
        "\"sales\"?",
    );
    check(dropoff(json!({"latency": {"a": {"prop": "id", "table": "cards"}}})), "latency.a", "cards has");
    let trend = |more: Json| {
        let mut json = json!({"kind": "trend", "entity": {}});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    check(
        trend(json!({"measure": "sum", "prop": "place"})),
        "prop",
        "of type text; allowed with the measure \"sum\"",
    );
    check(trend(json!({"breakdown": {"prop": "size"}})), "breakdown.prop", "\"size\" was given");
    check(trend(json!({"from": "2024-01-02", "to": "2024-01-02"})), "to", "after `from`");
    check(
        trend(json!({"from": "1900-01-01", "to": "2024-01-02", "interval": "hour"})),
        "interval",
        "more than 20000",
    );
    let funnel = |more: Json| {
        let mut json = json!({"kind": "funnel", "steps": [{"event": "buy"}, {"table": "cards"}]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    check(funnel(json!({"steps": [{"table": "cards", "event": "x"}]})), "steps[0].event", "no event names");
    check(funnel(json!({"exclusions": [{"table": "plans"}]})), "exclusions[0]", "have no time");
    check(funnel(json!({"breakdown": {"props": ["place", "plase"]}})), "breakdown.props[1]", "has [");
    check(
        funnel(json!({"breakdown": {"props": ["place"], "scope": "actor"}})),
        "breakdown.scope",
        "actors have no properties",
    );
    check(
        funnel(json!({"viz": "trends", "interval": "hour", "from": "1900-01-01", "to": "2024-01-02"})),
        "interval",
        "more than 20000",
    );
    check(json!({"kind": "paths", "item": "plase"}), "item", "did you mean \"place\"?");
    check(json!({"kind": "paths", "item": "place", "start_at": 5}), "start_at", "allowed is text");
    check(json!({"kind": "paths", "stream": "views"}), "item", "\"event\" was given; views has");
    check(
        json!({"kind": "stickiness", "interval": "hour", "from": "1900-01-01", "to": "2024-01-02"}),
        "interval",
        "more than 20000",
    );
    check(trend(json!({"interval": "all", "compare": true})), "from", "`compare` over all needs it");
    let several = |entities: Json, prop: &str| json!({"kind": "trend", "formula": "A / B", "entities": entities, "breakdown": {"prop": prop}});
    check(several(json!([{}, {"table": "cards"}]), "place"), "breakdown.prop", "cards has");
    check(several(json!([{}, {"table": "plans"}]), "place"), "entities[1]", "have no time");
    check(
        several(json!([{"table": "cards"}, {"table": "people"}]), "id"),
        "breakdown.prop",
        "allowed is one type",
    );
    check(
        several(json!([{}, {"measure": "sum", "prop": "place"}]), "place"),
        "entities[1].prop",
        "of type text",
    );
    let range = json!({"kind": "retention", "from": "2024-01-01", "to": "2024-02-01", "periods": 30});
    check(range, "periods", "there are 31");
    check(json!({"kind": "retention", "to": "2024-02-01"}), "from", "is missing");
    check(json!({"kind": "retention", "from": "2000-01-01", "to": "2024-02-01"}), "to", "more than 1000");
}

#[test]
fn the_app_decides_what_the_query_leaves_open() {
    let query =
        Query::parse(&json!({"kind": "retention", "from": "2024-01-01", "to": "2024-02-01"})).unwrap();
    let bound = bind(&query, &schema()).unwrap();
    let json = bound.to_json();
    for (name, want) in [
        ("stream", json!("sales")),
        ("tz", json!("Europe/Paris")),
        ("week_start", json!("sunday")),
        ("from", json!("2023-12-31T23:00:00Z")),
        ("periods", json!(31)),
        ("columns", json!(31)),
        ("as_of", json!(null)),
    ] {
        assert_eq!(json[name], want, "{name}");
    }
    let again = bind(&Query::parse(&json).unwrap(), &schema()).unwrap();
    assert_eq!(again.query, bound.query);
}

#[test]
fn an_entity_is_a_stream_of_its_rows_by_key_and_the_name_of_an_event_is_a_property() {
    let json = json!({"kind": "retention", "start": {"table": "cards"}, "return": {"event": "buy"}});
    let bound = bind(&Query::parse(&json).unwrap(), &schema()).unwrap();
    assert_eq!(bound.sources[0].actor, Some(0));
    assert_eq!(bound.sources[1].matchers[0].event, Some((2, "buy".to_owned())));
    let json = json!({"kind": "trend", "breakdown": {"prop": "event"}});
    let bound = bind(&Query::parse(&json).unwrap(), &schema()).unwrap();
    assert_eq!(bound.sources[0].breakdown, [Some(2)]);
    assert_eq!(bound.sources[0].actor, None, "a count needs no actor");
}

/// A repeatable source of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn pick(&mut self, of: &[Json]) -> Json {
        of[self.below(of.len())].clone()
    }

    fn filter(&mut self, depth: usize) -> Json {
        let list = |choices: &mut Self| (0..choices.below(3)).map(|_| choices.filter(depth + 1)).collect();
        match self.below(if depth < 5 { 4 } else { 2 }) {
            2 => json!({"any": Json::Array(list(self))}),
            3 => json!({"all": Json::Array(list(self))}),
            _ => {
                let (op, value) = [
                    ("eq", json!(null)),
                    ("eq", json!(false)),
                    ("neq", json!(0)),
                    ("in", json!(["a", null, 1.5, u64::MAX])),
                    ("not_in", json!([])),
                    ("contains", json!("É")),
                    ("not_contains", json!("x")),
                    ("matches", json!("^a+$")),
                    ("lt", json!("2024-01-01")),
                    ("gte", json!(-3)),
                ][self.below(10)]
                .clone();
                let scope = self.pick(&[json!(null), json!("event"), json!("actor")]);
                json!({"prop": "p", "op": op, "value": value, "scope": scope})
            }
        }
    }

    fn filters(&mut self) -> Json {
        (0..self.below(3)).map(|_| self.filter(0)).collect()
    }

    fn matcher(&mut self) -> Json {
        json!({
            "event": self.pick(&[json!(null), json!("buy"), json!("")]),
            "table": self.pick(&[json!(null), json!("sales")]),
            "where": self.filters(),
        })
    }

    fn query(&mut self) -> Json {
        let units = Unit::NAMES.map(Json::from);
        let breakdown = json!({"prop": "p", "scope": self.pick(&[json!("actor"), json!(null)]), "limit": 5});
        let breakdown = self.pick(&[json!(null), breakdown]);
        let own = match self.below(11) {
            9 => json!({
                "kind": "dropoff", "entity": self.matcher(), "step": "p", "steps": ["a", 1, true],
                "next_step": self.pick(&[json!(null), json!("q")]), "success": self.pick(&[json!(null), json!(1)]),
                "session": self.pick(&[json!(null), json!("s"), json!("2h"), json!({"prop": "s", "gap": 5})]),
                "exit": self.pick(&[json!(null), json!({"event": "exit"})]), "idle": self.pick(&[json!(null), json!("1h")]),
                "latency": self.pick(&[json!(null), json!({"a": "p", "b": {"prop": "p", "table": "t", "step": "q"}})]),
                "list": self.pick(&[json!(null), json!("sessions")]), "limit": self.pick(&[json!(null), json!(7)]),
            }),
            10 => json!({
                "kind": "dropoff", "entity": self.matcher(), "step": "p", "steps": ["a", "b"], "list": "splits",
                "splits": {
                    "prop": "p", "pause": {"pause": "14d", "then": "x", "else": "y"},
                    "mean": {"mean": "n", "at_least": self.pick(&[json!(1), json!(0.5)]), "then": "x", "else": "y"},
                    "days": {"days": 7, "then": "x", "else": "y"},
                },
                "days": self.pick(&[json!(null), json!(14)]),
            }),
            0 => json!({
                "kind": "retention",
                "type": self.pick(&[json!(null), json!("recurring"), json!("first_time")]),
                "start": self.matcher(), "return": self.matcher(), "period": self.pick(&units),
                "periods": self.pick(&[json!(null), json!(7)]), "columns": self.pick(&[json!(null), json!(3)]),
                "min_occurrences": self.pick(&[json!(null), json!(2)]), "breakdown": breakdown,
                "cumulative": self.pick(&[json!(null), json!(true)]),
                "cell_zero": self.pick(&[json!(null), json!("size"), json!("returned")]),
                "list_actors": self.pick(&[json!(null), json!(true)]),
            }),
            1 => json!({
                "kind": "churn", "entity": self.matcher(), "model": self.pick(&[json!(null), json!("bg_nbd")]),
                "unit": self.pick(&[json!(null), json!("day")]), "horizon": self.pick(&[json!(null), json!(9)]),
                "inactivity_multiplier": self.pick(&[json!(null), json!(0.000_001), json!(1.1), json!(1000), json!(2.5)]),
                "default_days": self.pick(&[json!(null), json!(0)]),
                "min_events": self.pick(&[json!(null), json!(5)]),
                "order": self.pick(&[json!(null), json!("days"), json!("ratio")]),
                "list": self.pick(&[json!(null), json!("all"), json!("at_risk")]),
                "limit": self.pick(&[json!(null), json!(50)]),
            }),
            7 => json!({
                "kind": "funnel",
                "steps": [self.matcher(), self.matcher(), {"event": "x", "first_time": "ever"}],
                "order": self.pick(&[json!(null), json!("ordered"), json!("strict"), json!("unordered")]),
                "window": self.pick(&[json!(null), json!("7d"), json!(0.25)]),
                "exclusions": [{"event": "y", "after": null, "before": 2}],
                "breakdown": self.pick(&[
                    json!(null),
                    json!({"props": ["p", "q"], "attribution": {"step": 1}, "limit": 4}),
                    json!({"props": ["p"], "attribution": "all_events", "scope": "actor"}),
                ]),
                "time_between": self.pick(&[json!(null), json!([0, 2])]),
                "viz": self.pick(&[json!(null), json!("steps"), json!("trends")]), "interval": self.pick(&units),
                "from_step": self.pick(&[json!(null), json!(1)]), "to_step": self.pick(&[json!(null), json!(2)]),
                "count_all_actors": self.pick(&[json!(null), json!(true)]),
                "list_actors": self.pick(&[json!(null), json!(true)]),
            }),
            4 => json!({
                "kind": "lifecycle", "entity": self.matcher(), "interval": self.pick(&units),
                "members_limit": self.pick(&[json!(null), json!(0)]),
            }),
            5 => json!({
                "kind": "stickiness", "entity": self.matcher(), "interval": self.pick(&units),
                "interval_count": self.pick(&[json!(null), json!(7)]),
            }),
            6 => json!({
                "kind": "paths", "entity": self.matcher(), "item": self.pick(&[json!(null), json!("p")]),
                "session_gap": self.pick(&[json!(null), json!("30m"), json!(0.5)]),
                "start_at": self.pick(&[json!(null), json!("x"), json!(1.5), json!(true)]),
                "steps": self.pick(&[json!(null), json!(4)]), "limit": self.pick(&[json!(null), json!(9)]),
            }),
            3 => json!({
                "kind": "trend", "prop": "p", "measure": self.pick(&[json!(null), json!("sum")]),
                "entities": [self.matcher(), {"measure": "avg"}, {"prop": "q", "event": "x"}],
                "formula": self.pick(&[json!("A/B*-C"), json!("(A - 1.50)*(B-(C-A))")]), "breakdown": breakdown,
            }),
            2 => json!({
                "kind": "preceding", "before": self.matcher(), "of": self.matcher(),
                "show": self.pick(&[json!("p"), json!({"prop": "p", "cut": 100, "trim": true})]),
                "skip_empty": self.pick(&[json!(null), json!(true)]),
                "limit": self.pick(&[json!(null), json!(10)]),
                "per_actor": self.pick(&[json!(null), json!(true)]),
            }),
            _ => json!({
                "kind": "trend", "entity": self.matcher(), "prop": "p",
                "measure": self.pick(&[json!(null), json!("sum"), json!(["total", "unique_prop"]), json!(["avg"])]),
                "interval": self.pick(&[json!(null), json!("all"), json!("hour"), json!("quarter")]),
                "cumulative": self.pick(&[json!(null), json!(true)]), "breakdown": breakdown,
                "compare": self.pick(&[json!(null), json!(false), json!(true), json!("previous_period")]),
            }),
        };
        let moments = [json!(null), json!("2024-02-29"), json!("2024-02-29T10:00:00.000001+05:30")];
        let mut query = json!({
            "stream": self.pick(&[json!(null), json!("sales")]), "as_of": self.pick(&moments),
            "from": self.pick(&moments), "to": self.pick(&moments), "filters": self.filters(),
            "tz": self.pick(&[json!(null), json!("UTC"), json!("us/pacific"), json!("Asia/Kolkata")]),
            "week_start": self.pick(&[json!(null), json!("monday"), json!("sunday")]),
            "aggregate_by": self.pick(&[json!(null), json!("p")]), "cache": self.pick(&[json!(null), json!(false)]),
        });
        query.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        query
    }
}

#[test]
fn a_query_written_with_its_defaults_parses_to_the_same() {
    let mut choices = Choices(42);
    for _ in 0..2_000 {
        let json = choices.query();
        let query = Query::parse(&json).unwrap_or_else(|fault| panic!("{json}: {fault}"));
        let text = query.to_json().to_string();
        let again: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(Query::parse(&again).as_ref(), Ok(&query), "{json}\n{text}");
        assert_eq!(Query::parse(&again).unwrap().to_json().to_string(), text);
    }
}

#[test]
fn no_query_whatever_it_holds_panics() {
    let mut choices = Choices(7);
    let odd = [json!(null), json!(-1), json!(1e308), json!("x"), json!([[]]), json!({"any": 1}), json!(true)];
    for _ in 0..2_000 {
        let mut json = choices.query();
        let fields = json.as_object_mut().unwrap();
        let index = choices.below(fields.len());
        let name = fields.keys().nth(index).unwrap().clone();
        fields.insert(name, choices.pick(&odd));
        if let Ok(query) = Query::parse(&json) {
            drop(bind(&query, &schema()));
        }
    }
}
