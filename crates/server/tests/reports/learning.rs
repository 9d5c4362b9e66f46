//! The rules of the learning pack that its published data set does not reach.

use ebbtide_server::apps::bundled;
use ebbtide_server::{Code, Problem};
use serde_json::{Value as Json, json};

use super::data::{App, Request, wait};

/// The pack with these rows: a table, and its rows with blanks between them.
fn site(tables: &[(&str, &str)]) -> App {
    let app = App::new(bundled("learning").unwrap());
    for (table, rows) in tables {
        app.load_rows(table, columns(table), rows);
    }
    app
}

fn columns(table: &str) -> &'static str {
    match table {
        "users" => "id,username,role,is_verified,created_at",
        "sessions" => "id,mentor_id,student_id,status,duration_minutes,created_at",
        "courses" => "id,title,is_published,created_at",
        "course_enrollments" => "id,user_id,course_id,created_at",
        "progress" => "id,user_id,course_id,progress,updated_at",
        "reviews" => "id,user_id,course_id,rating,created_at",
        "payments" => "id,user_id,amount,currency,status,created_at",
        other => panic!("{other} is no table"),
    }
}

fn ask(app: &App, path: &str, as_of: &str) -> Json {
    let query = [("as_of".to_owned(), as_of.to_owned()), ("days".to_owned(), "3".to_owned())];
    let path = format!("/api/v1/analytics/{path}");
    wait(app.ask(&Request { path: &path, query: &query, tenant: Some("main") })).unwrap().body
}

const AS_OF: &str = "2024-03-03T12:00:00Z";

#[test]
fn engagement_is_scored_from_what_is_not_rounded() {
    let app = site(&[
        ("users", "1,ann,student,true,2024-01-01T00:00:00Z 2,bob,mentor,true,2024-01-01T00:00:00Z"),
        (
            "sessions",
            // Completed as either side, with oneself once; others are activity alone.
            "1,2,1,completed,30,2024-02-01T00:00:00Z 2,1,2,completed,30,2024-02-02T00:00:00Z \
             3,1,1,completed,30,2024-02-03T00:00:00Z 4,2,1,cancelled,,2024-03-01T00:00:00Z \
             5,2,1,completed,30,2024-03-03T12:00:00.000001Z",
        ),
        // The mean is 125 / 3, three tenths of it 12.5, and nothing of that is a float.
        (
            "progress",
            "1,1,1,41.7,2024-02-05T00:00:00Z 2,1,2,41.6,2024-02-05T00:00:00Z 3,1,3,41.7,2024-02-05T00:00:00Z",
        ),
        ("course_enrollments", "1,1,1,2024-02-01T00:00:00Z 2,1,1,2024-02-01T00:00:00Z"),
        ("reviews", "1,1,,4,2024-02-01T00:00:00Z"),
        ("payments", "1,1,10,EUR,failed,2024-03-03T12:00:00Z"),
    ]);
    assert_eq!(
        ask(&app, "user/1/engagement", AS_OF),
        json!({
            "user_id": 1, "username": "ann", "sessions_attended": 3, "courses_enrolled": 2, "avg_progress": 41.7,
            "reviews_written": 1, "last_activity": "2024-03-03T12:00:00Z", "engagement_score": 9 + 10 + 13 + 5,
        })
    );
    let bob = ask(&app, "user/2/engagement", AS_OF);
    assert_eq!((&bob["sessions_attended"], &bob["engagement_score"]), (&json!(2), &json!(6)));
    assert_eq!((&bob["avg_progress"], &bob["last_activity"]), (&Json::Null, &json!("2024-03-01T00:00:00Z")));
}

#[test]
fn each_term_of_a_score_has_its_most() {
    let many = |rows: u64, row: &dyn Fn(u64) -> String| (1..=rows).map(row).collect::<Vec<_>>().join(" ");
    let at = "2024-02-01T00:00:00Z";
    let sessions = many(11, &|id| format!("{id},2,1,completed,30,{at}"));
    let enrollments = many(6, &|id| format!("{id},1,{id},{at}"));
    let reviews = many(4, &|id| format!("{id},1,{id},5,{at}"));
    let app = site(&[
        ("users", "1,ann,student,true,2024-01-01T00:00:00Z"),
        ("sessions", &sessions),
        ("course_enrollments", &enrollments),
        ("reviews", &reviews),
        ("progress", "1,1,1,100,2024-02-01T00:00:00Z"),
    ]);
    assert_eq!(ask(&app, "user/1/engagement", AS_OF)["engagement_score"], 100);
}

#[test]
fn a_period_is_calendar_days_that_end_with_that_of_as_of() {
    let app = site(&[
        (
            "users",
            "1,a,student,true,2024-02-29T23:59:59.999999Z 2,b,student,true,2024-03-01T00:00:00Z \
             3,c,mentor,false,2024-03-03T12:00:00Z 4,d,student,true,2024-03-03T12:00:00.000001Z",
        ),
        (
            "sessions",
            "1,7,1,completed,30,2024-02-29T23:59:59Z 2,7,1,completed,45,2024-03-01T00:00:00Z \
             3,8,1,completed,20,2024-03-02T00:00:00Z 4,8,1,scheduled,99,2024-03-02T00:00:00Z \
             5,7,1,cancelled,,2024-03-03T00:00:00Z 6,9,1,completed,,2024-03-03T00:00:00Z",
        ),
    ]);
    assert_eq!(
        ask(&app, "user-growth", AS_OF),
        json!({"period_days": 3, "data": [
            {"date": "2024-03-01", "new_users": 1}, {"date": "2024-03-02", "new_users": 0},
            {"date": "2024-03-03", "new_users": 1},
        ]})
    );
    let mut sessions = ask(&app, "sessions", AS_OF);
    let insights = sessions.as_object_mut().unwrap().shift_remove("insights").unwrap();
    assert_eq!(insights[0]["evidence"], json!({"sessions": 5, "least": 30}));
    assert_eq!(
        sessions,
        json!({"period_days": 3, "analytics": {
            "total": 5,
            "by_status": {"cancelled": 1, "completed": 3, "scheduled": 1},
            // Of completed ones that have a duration: 65 / 2.
            "avg_duration_minutes": 32.5,
            "top_mentors": [{"mentor_id": 7, "sessions": 2}, {"mentor_id": 8, "sessions": 2}, {"mentor_id": 9, "sessions": 1}],
        }})
    );
}

#[test]
fn money_is_added_up_in_decimal_and_rounded_once() {
    let app = site(&[(
        "payments",
        // As floats these come to 0.30000000000000004, and half a kopeck is lost.
        "1,1,0.1,RUB,completed,2024-03-01T10:00:00Z 2,1,0.2,RUB,completed,2024-03-01T11:00:00Z \
         3,1,1.005,RUB,completed,2024-03-03T11:00:00Z 4,1,9,EUR,completed,2024-03-03T11:00:00Z \
         5,1,9,RUB,refunded,2024-03-03T11:00:00Z 6,1,100,RUB,completed,2024-02-29T11:00:00Z",
    )]);
    assert_eq!(
        ask(&app, "revenue", AS_OF),
        json!({"period_days": 3, "analytics": {
            "total_revenue": 1.31, "transaction_count": 3, "avg_transaction": 0.44,
            "daily_revenue": [
                {"date": "2024-03-01", "revenue": 0.3}, {"date": "2024-03-02", "revenue": 0.0},
                {"date": "2024-03-03", "revenue": 1.01},
            ],
        }})
    );
    assert_eq!(ask(&app, "platform", AS_OF)["revenue"], json!({"total": 101.31, "currency": "RUB"}));
    let nothing = ask(&app, "revenue", "2023-01-01");
    assert_eq!(nothing["analytics"]["total_revenue"], json!(0.0));
    assert_eq!(nothing["analytics"]["transaction_count"], json!(0));
    assert_eq!(nothing["analytics"]["avg_transaction"], Json::Null);
}

#[test]
fn courses_count_enrolments_and_users_who_are_through() {
    let app = site(&[
        (
            "courses",
            "1,a,true,2024-01-01T00:00:00Z 2,b,false,2024-01-01T00:00:00Z 3,c,true,2025-01-01T00:00:00Z",
        ),
        (
            "course_enrollments",
            "1,1,1,2024-02-01T00:00:00Z 2,1,1,2024-02-02T00:00:00Z 3,2,1,2024-02-02T00:00:00Z",
        ),
        (
            "progress",
            // User 1 is through twice and is one; 66.65 on the mean.
            "1,1,1,100,2024-02-01T00:00:00Z 2,1,1,100,2024-02-01T00:00:00Z 3,2,1,33.3,2024-02-01T00:00:00Z \
             4,3,1,33.3,2024-02-01T00:00:00Z 5,3,1,100,2024-04-01T00:00:00Z",
        ),
        (
            "reviews",
            "1,1,1,4.5,2024-02-01T00:00:00Z 2,2,1,3.75,2024-02-01T00:00:00Z 3,2,,1,2024-02-01T00:00:00Z",
        ),
    ]);
    let course = |id: u64, title: &str| json!({"course_id": id, "course_title": title});
    let mut first = course(1, "a");
    let mut second = course(2, "b");
    for (row, numbers) in
        [(&mut first, json!([3, 66.7, 1, 33.33, 4.13])), (&mut second, json!([0, null, 0, null, null]))]
    {
        for (index, name) in
            ["enrollments", "avg_progress", "completed", "completion_rate", "avg_rating"].iter().enumerate()
        {
            row[*name] = numbers[index].clone();
        }
    }
    assert_eq!(ask(&app, "courses", AS_OF), json!({"courses": [first, second]}));
    let platform = ask(&app, "platform", AS_OF);
    assert_eq!(
        platform["courses"],
        json!({"total": 2, "published": 1, "enrollments": 3, "avg_enrollments_per_course": 1.5})
    );
    // 9.25 / 3 is 3.0833.
    assert_eq!(platform["reviews"], json!({"total": 3, "average_rating": 3.08}));
    assert_eq!(platform["users"]["verification_rate"], Json::Null);
}

#[test]
fn a_number_that_cannot_be_added_up_is_told_of_and_harms_no_other_report() {
    for (amounts, told) in [
        ("1,1,1e25,RUB,completed,2024-03-01T00:00:00Z", "20 digits"),
        (
            "1,1,9e19,RUB,completed,2024-03-01T00:00:00Z 2,1,9e19,RUB,completed,2024-03-01T00:00:00Z",
            "past the largest number",
        ),
    ] {
        let app = site(&[("users", "1,ann,student,true,2024-01-01T00:00:00Z"), ("payments", amounts)]);
        let query = [("as_of".to_owned(), AS_OF.to_owned())];
        let request = |path| Request { path, query: &query, tenant: Some("main") };
        let refused = wait(app.answer(&request("/api/v1/analytics/platform"))).unwrap().unwrap_err();
        let problem = Problem::from(refused);
        assert_eq!(problem.code(), Code::NumberTooLarge, "{problem}");
        assert!(problem.to_string().contains(told), "{problem}");
        assert_eq!(ask(&app, "user-growth", AS_OF)["period_days"], 3);
    }
}
