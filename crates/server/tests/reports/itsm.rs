//! The rules of the itsm pack that its published data set does not reach.

use ebbtide_server::apps::bundled;
use serde_json::{Value as Json, json};

use super::data::{App, Request, wait};

/// The pack with these rows: a table, its columns, and its rows with blanks between them.
fn desk(tables: &[(&str, &str)]) -> App {
    let app = App::new(bundled("itsm").unwrap());
    for (table, rows) in tables {
        app.load_rows(table, columns(table), rows);
    }
    app
}

fn columns(table: &str) -> &'static str {
    match table {
        "institutions" => "id,name,created_at",
        "users" => "id,tenant_id,name,role,created_at",
        "sr_requests" => "id,tenant_id,requester_id,title,status,created_at,updated_at,resolved_at",
        "logins" => "id,tenant_id,user_id,at",
        _ => "id,tenant_id,created_at",
    }
}

fn ask(app: &App, path: &str, tenant: Option<&str>, as_of: &str) -> Json {
    let query = [("as_of".to_owned(), as_of.to_owned()), ("cohort_months".to_owned(), "3".to_owned())];
    let path = format!("/api/cohort/{path}");
    wait(app.ask(&Request { path: &path, query: &query, tenant })).unwrap().body
}

fn row<'j>(answer: &'j Json, month: &str) -> &'j Json {
    let rows = answer["data"].as_array().unwrap();
    rows.iter().find(|row| row["cohort"] == month).unwrap_or_else(|| panic!("no {month} in {answer}"))
}

#[test]
fn growth_counts_what_the_cohorts_own_institutions_asked_for() {
    let app = desk(&[
        (
            "institutions",
            "1,a,2024-01-31T23:59:59.999999Z 2,b,2024-01-10T00:00:00Z 3,c,2024-02-01T00:00:00Z 4,d,2024-04-02T00:00:00Z",
        ),
        (
            "sr_requests",
            // Before the institution joined, in the cohort's month, after it, of another cohort, of nobody.
            "1,1,9,t,OPEN,2023-12-31T00:00:00Z,2024-01-31T00:00:00Z, 2,1,9,t,DONE,2024-01-31T23:59:59Z,2024-03-01T00:00:00Z, \
             3,2,9,t,OPEN,2024-03-01T00:00:00Z,2024-03-01T00:00:00Z, 4,3,9,t,OPEN,2024-03-05T00:00:00Z,2024-03-05T00:00:00Z, \
             5,77,9,t,OPEN,2024-02-05T00:00:00Z,2024-02-05T00:00:00Z, 6,2,9,t,OPEN,2024-04-01T00:00:00Z,2024-04-01T00:00:00Z,",
        ),
    ]);
    let check = |tenant, as_of, want: Json| {
        assert_eq!(ask(&app, "tenant-growth", tenant, as_of)["data"], want, "{tenant:?} {as_of}");
    };
    check(
        None,
        "2024-04-01T00:00:00Z",
        json!([
            {"cohort": "2024-01", "monthly_sr": [1, 0, 1], "new_tenants": 2},
            {"cohort": "2024-02", "monthly_sr": [0, 1, 0], "new_tenants": 1},
            // April has begun, to the instant; May has not.
            {"cohort": "2024-03", "monthly_sr": [0, 0, null], "new_tenants": 0},
        ]),
    );
    check(
        Some("1"),
        "2024-03-31",
        json!([
            {"cohort": "2023-12", "monthly_sr": [0, 0, 0], "new_tenants": 0},
            {"cohort": "2024-01", "monthly_sr": [1, 0, 0], "new_tenants": 1},
            {"cohort": "2024-02", "monthly_sr": [0, 0, null], "new_tenants": 0},
        ]),
    );
}

#[test]
fn users_are_active_by_logins_or_where_there_are_none_by_requests() {
    let app = desk(&[
        (
            "users",
            "1,1,u,user,2024-01-05T00:00:00Z 2,1,u,user,2024-01-06T00:00:00Z 3,1,u,user,2024-01-07T00:00:00Z \
             1,2,u,user,2024-01-05T00:00:00Z 5,2,u,user,2024-02-05T00:00:00Z",
        ),
        ("logins", "1,1,1,2024-02-10T00:00:00Z 2,1,1,2024-02-11T00:00:00Z 3,1,9,2024-03-10T00:00:00Z"),
        (
            "sr_requests",
            "1,1,2,t,OPEN,2024-02-09T00:00:00Z,2024-02-09T00:00:00Z, 2,2,1,t,OPEN,2024-03-09T00:00:00Z,2024-03-09T00:00:00Z,",
        ),
    ]);
    let check = |tenant, as_of: &str, want: Json| {
        assert_eq!(ask(&app, "user-retention", tenant, as_of)["data"], want, "{tenant:?} {as_of}");
    };
    let january = |users: u64, shares: Json| json!({"cohort": "2024-01", "new_users": users, "retention_by_month": shares});
    // No login has been yet: who asked for something was active, also where logins come later.
    check(Some("1"), "2024-02-09T23:00:00Z", json!([january(3, json!([100.0, 33.3]))]));
    // One login of anybody, and requests say nothing any more. User 1 logged in twice and counts once.
    check(Some("1"), "2024-02-29", json!([january(3, json!([100.0, 33.3]))]));
    check(Some("1"), "2024-03-31", json!([january(3, json!([100.0, 33.3, 0.0]))]));
    // The month that starts at the instant counts; the list ends before the one that starts after it.
    check(Some("1"), "2024-03-01T00:00:00Z", json!([january(3, json!([100.0, 33.3, 0.0]))]));
    check(Some("1"), "2024-06-30", json!([january(3, json!([100.0, 33.3, 0.0, 0.0]))]));
    let february = json!({"cohort": "2024-02", "new_users": 1, "retention_by_month": [100.0, 0.0]});
    check(Some("2"), "2024-03-31", json!([january(1, json!([100.0, 0.0, 100.0])), february]));
    // Over all institutions there are logins, and user 1 of the one is not user 1 of the other.
    check(None, "2024-03-31", json!([january(4, json!([100.0, 25.0, 0.0])), february]));
    // Seven months later nobody is new any more.
    check(Some("1"), "2024-08-01T00:00:00Z", json!([]));
}

#[test]
fn shares_round_half_away_from_zero() {
    let users: Vec<String> = (1..=16).map(|id| format!("{id},1,u,user,2024-01-05T00:00:00Z")).collect();
    let app = desk(&[("users", &users.join(" ")), ("logins", "1,1,1,2024-02-10T00:00:00Z")]);
    let answer = ask(&app, "user-retention", Some("1"), "2024-02-29");
    // 1 of 16 is 6.25.
    assert_eq!(row(&answer, "2024-01")["retention_by_month"], json!([100.0, 6.3]));
}

#[test]
fn resolution_is_by_its_own_time_and_the_benchmark_by_the_exact_mean() {
    let done = |id: u64, month: u64, hours: &str, resolved: &str| {
        format!("{id},1,1,t,DONE,2024-{month:02}-10T00:00:00Z,2024-{month:02}-10T{hours}Z,{resolved}")
    };
    let rows = [
        // 3.99 h shows as 4.0 and is fast all the same; 4 h is not.
        done(1, 1, "03:59:24", ""),
        done(2, 2, "04:00:00", ""),
        // Resolved before it was last touched; exactly 8 h is slow.
        done(3, 3, "23:00:00", "2024-03-10T08:00:00Z"),
        // Linear between the ranks: 1, 2, 3, 10 h.
        done(4, 4, "01:00:00", ""),
        done(5, 4, "02:00:00", ""),
        done(6, 4, "03:00:00", ""),
        done(7, 4, "10:00:00", ""),
        // Not done, or later replaced by a row that is.
        "8,1,1,t,CANCELLED,2024-04-10T00:00:00Z,2024-04-11T00:00:00Z,".to_owned(),
        "9,1,1,t,OPEN,2024-05-10T00:00:00Z,2024-05-10T00:00:00Z,".to_owned(),
        "9,1,1,t,DONE,2024-05-10T00:00:00Z,2024-07-10T00:00:00Z,2024-05-10T00:15:00Z".to_owned(),
        "10,2,1,t,DONE,2024-05-10T00:00:00Z,2024-05-10T01:00:00Z,".to_owned(),
    ];
    let app = desk(&[("sr_requests", &rows.join(" "))]);
    let answer = ask(&app, "sr-resolution", Some("1"), "2024-06-15T00:00:00Z");
    let check = |month: &str, count: u64, mean: f64, benchmark: &str, p50: f64, p90: f64| {
        let want = json!({
            "cohort": month, "sr_count": count, "avg_resolution_hours": mean, "benchmark": benchmark,
            "p50_hours": p50, "p90_hours": p90,
        });
        assert_eq!(*row(&answer, month), want);
    };
    assert_eq!(
        *row(&answer, "2023-12"),
        json!({"cohort": "2023-12", "sr_count": 0, "avg_resolution_hours": null, "benchmark": null,
            "p50_hours": null, "p90_hours": null})
    );
    check("2024-01", 1, 4.0, "빠름", 4.0, 4.0);
    check("2024-02", 1, 4.0, "보통", 4.0, 4.0);
    check("2024-03", 1, 8.0, "느림", 8.0, 8.0);
    check("2024-04", 4, 4.0, "보통", 2.5, 7.9);
    // The latest version counts, though it came after `as_of`; 0.25 h is 0.3 h.
    check("2024-05", 1, 0.3, "빠름", 0.3, 0.3);
    let all = ask(&app, "sr-resolution", None, "2024-06-15T00:00:00Z");
    assert_eq!(row(&all, "2024-05")["sr_count"], 2);
}

#[test]
fn a_mean_of_centuries_is_no_overflow() {
    let open_for_ages = |id: u64| format!("{id},1,1,t,DONE,2024-01-10T00:00:00Z,9999-01-10T00:00:00Z,");
    let rows: Vec<String> = (1..=40).map(open_for_ages).collect();
    let app = desk(&[("sr_requests", &rows.join(" "))]);
    let answer = ask(&app, "sr-resolution", Some("1"), "2024-02-01T00:00:00Z");
    // 7975 years of which 1934 are leap years: 2,912,809 days.
    assert_eq!(row(&answer, "2024-01")["avg_resolution_hours"], json!(69_907_416.0));
}

#[test]
fn adoption_is_of_the_institutions_that_have_joined() {
    let app = desk(&[
        ("institutions", "1,a,2024-01-01T00:00:00Z 2,b,2024-02-01T00:00:00Z 3,c,2024-03-01T00:00:00Z"),
        (
            "rag_feedback",
            "1,1,2024-01-03T08:00:00Z 2,1,2024-01-02T08:00:00Z 3,2,2024-02-02T00:00:00Z 4,9,2024-01-01T00:00:00Z",
        ),
        ("jira_configs", "1,3,2024-02-15T00:00:00Z"),
    ]);
    let feature = |name: &str, uses: u64, tenants: u64, rate: Json, first: Json| {
        json!({"feature": name, "usage_count": uses, "adopted": uses > 0, "tenants_adopted": tenants,
            "adoption_rate": rate, "first_used_at": first})
    };
    let check = |tenant, as_of: &str, rag: Json, rest: Json| {
        let answer = ask(&app, "feature-adoption", tenant, as_of);
        let want = json!([
            rag,
            feature("자율 워크플로우", 0, 0, rest.clone(), Json::Null),
            feature("KPI 엔진", 0, 0, rest.clone(), Json::Null),
            feature("Jira 연동", 0, 0, rest, Json::Null),
        ]);
        assert_eq!((&answer["feature_adoption"], &answer["as_of"]), (&want, &json!(as_of)), "{tenant:?}");
    };
    let first = json!("2024-01-02T08:00:00Z");
    // Institution 3 has not joined yet, and 9 is none: what is stored for them is in no scope.
    let as_of = "2024-02-20T00:00:00Z";
    check(None, as_of, feature("RAG 검색", 3, 2, json!(100.0), first.clone()), json!(0.0));
    check(Some("1"), as_of, feature("RAG 검색", 2, 1, json!(100.0), first), json!(0.0));
    check(Some("3"), as_of, feature("RAG 검색", 0, 0, Json::Null, Json::Null), Json::Null);
    check(None, "2023-12-31T00:00:00Z", feature("RAG 검색", 0, 0, Json::Null, Json::Null), Json::Null);
    let thirds = ask(&app, "feature-adoption", None, "2024-03-01T00:00:00Z");
    assert_eq!(thirds["feature_adoption"][0]["adoption_rate"], json!(66.7));
}

/// The finding of a rule.
fn finding(answer: &Json, rule: &str) -> Option<Json> {
    answer["insights"].as_array().unwrap().iter().find(|told| told["rule"] == rule).cloned()
}

/// Requests of an institution that were made in a month, `late` of which took ten hours, the others two.
fn resolved(first_id: u32, institution: u32, month: &str, count: u32, late: u32) -> String {
    let row = |number: u32| {
        let hours = if number < late { 10 } else { 2 };
        let id = first_id + number;
        format!(
            "{id},{institution},9,t,DONE,{month}-10T00:00:00Z,{month}-11T00:00:00Z,{month}-10T{hours:02}:00:00Z"
        )
    };
    (0..count).map(row).collect::<Vec<_>>().join(" ")
}

#[test]
fn requests_that_take_longer_than_before_are_told_of_and_where() {
    let app = desk(&[
        (
            "institutions",
            "1,North,2023-01-01T00:00:00Z 2,South,2023-01-01T00:00:00Z 3,South,2023-01-01T00:00:00Z",
        ),
        ("sr_requests", &resolved(0, 1, "2024-01", 200, 10)),
        ("sr_requests", &resolved(1_000, 1, "2024-02", 100, 20)),
        ("sr_requests", &resolved(2_000, 2, "2024-02", 100, 90)),
    ]);
    let told = ask(&app, "sr-resolution", None, "2024-03-20T00:00:00Z");
    let slower = finding(&told, "slower_than_before").unwrap();
    // 90 of 200 took ten hours, and 10 of 200 before: 6.4 and 2.4 hours on average.
    let evidence =
        json!({"cohort": "2024-02", "hours": 6.4, "hours_before": 2.4, "times": 2.7, "requests": 200});
    assert_eq!((&slower["evidence"], &slower["severity"]), (&evidence, &json!("medium")));
    let late = finding(&told, "more_take_long").unwrap();
    assert_eq!(
        late["evidence"],
        json!({
            "late_share": 55.0, "late": 110, "requests": 200, "late_share_before": 5.0, "late_before": 10,
            "requests_before": 200, "difference": 50.0,
        })
    );
    let waits = finding(&told, "institution_waits_longer").unwrap();
    assert_eq!(waits["title"], "South (2) waits longer than the others");
    assert_eq!((&waits["evidence"]["late"], &waits["evidence"]["late_others"]), (&json!(90), &json!(30)));
    // An institution is told of its own requests alone.
    let own = ask(&app, "sr-resolution", Some("1"), "2024-03-20T00:00:00Z");
    assert_eq!(finding(&own, "institution_waits_longer"), None);
    assert_eq!(finding(&own, "more_take_long").unwrap()["evidence"]["requests"], 100);
    assert!(!own["insights"].to_string().contains("South"), "{own}");
    let before = ask(&app, "sr-resolution", None, "2024-02-20T00:00:00Z");
    assert_eq!(before["insights"], json!([]), "nothing is slower than what nobody knows");
    let few = ask(&app, "sr-resolution", Some("3"), "2024-03-20T00:00:00Z");
    assert_eq!(few["insights"][0]["evidence"], json!({"requests": 0, "least": 30}));
}

#[test]
fn features_that_institutions_go_without_are_told_of() {
    // Twenty joined long ago, of whom eighteen search; twenty lately, of whom four do.
    let institution = |id: u32| {
        let joined = if id < 20 { "2023-01-01" } else { "2024-05-01" };
        format!("{id},i{id},{joined}T00:00:00Z")
    };
    let searches = (0..40_u32).filter(|id| *id < 18 || (20..24).contains(id));
    let used: Vec<String> = (0_u32..)
        .zip(searches.flat_map(|id| [id, id]))
        .map(|(nr, tenant)| format!("{nr},{tenant},2024-05-02T00:00:00Z"))
        .collect();
    let app = desk(&[
        ("institutions", &(0..40).map(institution).collect::<Vec<_>>().join(" ")),
        ("rag_feedback", &used.join(" ")),
        ("jira_configs", "1,1,2024-05-02T00:00:00Z 2,2,2024-05-02T00:00:00Z 3,2,2024-05-02T00:00:00Z"),
    ]);
    let told = ask(&app, "feature-adoption", None, "2024-06-20T00:00:00Z");
    let without = finding(&told, "most_go_without").unwrap();
    assert_eq!(without["severity"], "high");
    assert_eq!(
        without["evidence"],
        json!({"feature": "KPI 엔진", "without_share": 100.0, "without": 40, "institutions": 40})
    );
    assert_eq!(without["title"], "Most institutions go without: KPI engine");
    let one = finding(&told, "one_feature_carries_all").unwrap();
    assert_eq!(one["evidence"], json!({"feature": "RAG 검색", "use_share": 93.62, "uses": 44, "total": 47}));
    let lately = finding(&told, "who_joined_then_adopts_less").unwrap();
    assert_eq!(lately["title"], "Institutions that joined in the last six months use it less: RAG search");
    assert_eq!(
        (&lately["evidence"]["adopters"], &lately["evidence"]["adopters_others"]),
        (&json!(4), &json!(18))
    );
    let own = ask(&app, "feature-adoption", Some("1"), "2024-06-20T00:00:00Z");
    assert_eq!(own["insights"][0]["evidence"], json!({"uses": 3, "least": 30}));
}
