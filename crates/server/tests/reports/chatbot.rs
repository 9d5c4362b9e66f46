//! The rules of the chatbot pack, from its contract.

use ebbtide_server::apps::bundled;
use serde_json::{Value as Json, json};

use super::data::{App, Request, wait};

const AS_OF: &str = "2024-03-06T12:00:00Z"; // a Wednesday

/// A company with these rows of each table: lines of CSV.
fn company(tables: &[(&str, &str)]) -> App {
    let app = App::new(bundled("chatbot").unwrap());
    load(&app, "companies", "co,ann,Us\nother,bob,Them");
    for (table, rows) in tables {
        load(&app, table, rows);
    }
    app
}

fn load(app: &App, table: &str, rows: &str) {
    let columns = match table {
        "companies" => "id,owner_id,name",
        "chatbots" => "id,company_id,name,is_published,average_rating,created_at",
        "conversations" => "id,chatbot_id,session_id,language,created_at",
        "messages" => "id,conversation_id,role,content,confidence_score,created_at",
        _ => "id,chatbot_id,feedback,created_at",
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{table}.csv"));
    std::fs::write(&file, format!("{columns}\n{rows}\n")).unwrap();
    let receipt = app.load(&file, None);
    assert_eq!((receipt.rejected.len(), receipt.waiting), (0, 0), "{table}");
}

fn ask(app: &App, path: &str) -> Json {
    let query = [("as_of".to_owned(), AS_OF.to_owned())];
    wait(app.ask(&Request { path, query: &query, tenant: Some("co") })).unwrap().body
}

fn bot(app: &App) -> Json {
    ask(app, "/analytics/chatbot/b")
}

const BOT: (&str, &str) = ("chatbots", "b,co,Help,true,4.26,2024-01-01T00:00:00Z");

/// One conversation with these messages: role, content, confidence and minute.
fn talk(messages: &[(&str, &str, &str, &str)]) -> App {
    let lines: Vec<String> = messages
        .iter()
        .enumerate()
        .map(|(index, (role, content, score, minute))| {
            let content = content.replace('"', "\"\"");
            let content = if content.is_empty() { content } else { format!("\"{content}\"") };
            format!("m{index},t,{role},{content},{score},2024-03-01T10:{minute}:00Z")
        })
        .collect();
    company(&[BOT, ("conversations", "t,b,,,2024-03-01T00:00:00Z"), ("messages", &lines.join("\n"))])
}

#[test]
fn a_bot_without_anything_has_zeros_and_nulls() {
    let app = company(&[("chatbots", "b,co,,false,,2024-01-01T00:00:00Z")]);
    let want = json!({
        "chatbot_id": "b", "chatbot_name": "Untitled", "total_conversations": 0, "unique_sessions": 0,
        "total_messages": 0, "average_messages_per_conversation": 0.0, "average_rating": null, "total_ratings": 0,
        "conversations_today": 0, "conversations_this_week": 0, "conversations_this_month": 0,
        "unanswered_count": 0, "feedback_positive": 0, "feedback_negative": 0, "daily_conversations": [],
        "top_queries": [], "languages_used": {}, "peak_hour": null, "unanswered_queries": [],
    });
    assert_eq!(bot(&app), want);
    assert_eq!(ask(&app, "/analytics/chatbot/b/gaps"), json!([]));
    let overview = ask(&app, "/analytics/overview");
    assert_eq!(overview["chatbots"], json!([want]));
    assert_eq!((&overview["total_chatbots"], &overview["published_chatbots"]), (&json!(1), &json!(0)));
    assert_eq!(overview["average_rating"], Json::Null);
}

#[test]
fn periods_are_calendar_ones_up_to_as_of() {
    let app = company(&[
        BOT,
        (
            "conversations",
            "a,b,s1,,2024-03-06T00:00:00Z\nb,b,s1,fr,2024-03-06T11:59:59Z\nc,b,,fr,2024-03-05T23:59:59.999999Z
d,b,s2,,2024-03-04T00:00:00Z\ne,b,,,2024-03-03T23:59:59Z\nf,b,,de,2024-03-01T00:00:00Z\ng,b,,,2024-02-29T23:59:59Z
h,b,,,2024-02-06T00:00:00Z\ni,b,,,2024-02-05T23:59:59Z\nlate,b,s9,xx,2024-03-06T12:00:01Z",
        ),
    ]);
    let bot = bot(&app);
    let counts = [
        "total_conversations",
        "unique_sessions",
        "conversations_today",
        "conversations_this_week",
        "conversations_this_month",
    ];
    assert_eq!(counts.map(|name| bot[name].as_i64().unwrap()), [9, 2, 2, 4, 6]);
    let day = |date: &str, count: i64| json!({"date": date, "count": count});
    let days = [
        day("2024-02-06", 1),
        day("2024-02-29", 1),
        day("2024-03-01", 1),
        day("2024-03-03", 1),
        day("2024-03-04", 1),
        day("2024-03-05", 1),
        day("2024-03-06", 2),
    ];
    assert_eq!(bot["daily_conversations"], json!(days), "30 days that end with the one of as_of");
    assert_eq!(bot["languages_used"], json!({"en": 6, "fr": 2, "de": 1}));
    assert_eq!(bot["peak_hour"], 0, "of hours with as many the earlier");
    let overview = ask(&app, "/analytics/overview");
    assert_eq!(
        (&overview["conversations_used"], &overview["conversations_this_month"]),
        (&json!(6), &json!(6))
    );
}

#[test]
fn a_query_is_cut_then_stripped_and_queries_rank_by_count_then_code_points() {
    let long = format!("{}\u{3000}\u{a0}tail", "x".repeat(98));
    let app = talk(&[
        ("user", "\u{2003} hi\t", "", "01"),
        ("user", "hi", "", "02"),
        ("user", &long, "", "03"),
        ("user", &format!("  {}", "😀".repeat(100)), "", "04"),
        ("user", " \u{85}\u{2028} ", "", "05"),
        ("user", "", "", "06"),
        ("user", "Z", "", "07"),
        ("user", "a", "", "08"),
        ("user", "é", "", "09"),
        ("user", "\u{ff21}", "", "10"),
        ("user", "\u{200b}w", "", "11"),
        ("assistant", "hi", "", "12"),
        ("User", "hi", "", "13"),
    ]);
    let query = |query: &str, count: i64| json!({"query": query, "count": count});
    let want = [
        query("hi", 2),
        query("Z", 1),
        query("a", 1),
        query(&"x".repeat(98), 1),
        query("é", 1),
        query("\u{200b}w", 1),
        query("\u{ff21}", 1),
        query(&"😀".repeat(98), 1),
    ];
    let bot = bot(&app);
    assert_eq!(bot["top_queries"], json!(want));
    assert_eq!(
        (&bot["total_messages"], &bot["average_messages_per_conversation"]),
        (&json!(13), &json!(13.0))
    );
    assert_eq!(ask(&app, "/analytics/overview")["chatbots"][0]["top_queries"], json!(want[..5]));
}

#[test]
fn each_low_answer_counts_the_question_that_came_before_it() {
    let app = talk(&[
        ("assistant", "none before", "0.1", "00"),
        ("user", "one", "", "01"),
        ("user", "two", "", "02"),
        ("assistant", "low", "0.19", "03"),
        ("assistant", "low again", "0.0", "04"),
        ("assistant", "enough", "0.2", "05"),
        ("assistant", "unknown", "", "05"),
        // Of simultaneous questions the higher id counts, and one at the answer's own time does not.
        ("user", "m7", "", "06"),
        ("user", "m8", "", "06"),
        ("user", "same time", "", "07"),
        ("assistant", "low", "0.1", "07"),
        // An empty question is left out, without looking further back.
        ("user", "  ", "", "08"),
        ("assistant", "low", "0.1", "09"),
    ]);
    let bot = bot(&app);
    assert_eq!(bot["unanswered_count"], 5);
    let want = json!([{"query": "two", "count": 2}, {"query": "m8", "count": 1}]);
    assert_eq!(bot["unanswered_queries"], want);
    assert_eq!(ask(&app, "/analytics/chatbot/b/gaps"), want);
}

#[test]
fn the_overview_sums_over_the_bots_that_there_are() {
    let app = company(&[
        (
            "chatbots",
            "c,co,Third,true,0,2024-01-02T00:00:00Z\nb,co,Second,true,4.25,2024-01-02T00:00:00Z\na,co,Later,false,,2024-01-03T00:00:00Z
z,co,First,false,2.0,2024-01-01T00:00:00Z\nfuture,co,Not yet,true,5.0,2024-04-01T00:00:00Z\nx,other,Theirs,true,1.0,2024-01-01T00:00:00Z",
        ),
        (
            "conversations",
            "1,b,s,,2024-03-01T00:00:00Z\n2,c,s,,2024-03-01T00:00:00Z\n3,x,s,,2024-03-01T00:00:00Z\n4,c,t,,2024-03-01T00:00:00Z",
        ),
        ("messages", "1,1,user,q,,2024-03-01T00:00:00Z\n2,3,user,secret,,2024-03-01T00:00:00Z\n3,4,user,r,,2024-03-01T00:00:00Z"),
        ("message_feedback", "1,c,positive,2024-03-01T00:00:00Z\n2,c,negative,2024-03-01T00:00:00Z\n3,c,neutral,2024-03-01T00:00:00Z"),
    ]);
    let overview = ask(&app, "/analytics/overview");
    let ids: Vec<&str> = overview["chatbots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bot| bot["chatbot_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["z", "b", "c", "a"]);
    let names =
        ["total_chatbots", "published_chatbots", "total_conversations", "total_messages", "unique_sessions"];
    assert_eq!(
        names.map(|name| overview[name].as_i64().unwrap()),
        [4, 2, 3, 2, 3],
        "a session counts in each bot"
    );
    assert_eq!(
        overview["average_rating"], 3.1,
        "(4.25 + 2) / 2, half away from zero, without the 0 and the null"
    );
    let third = &overview["chatbots"][2];
    assert_eq!(
        (&third["feedback_positive"], &third["feedback_negative"], &third["total_ratings"]),
        (&json!(1), &json!(2), &json!(3))
    );
    assert_eq!(third["average_messages_per_conversation"], 0.5);
    assert!(!overview.to_string().contains("secret"));
}

#[test]
fn a_conversation_that_begins_later_has_no_unanswered_question_yet() {
    // The second has two questions of one instant, of which the key decides.
    let talks = "now,b,,,2024-03-01T00:00:00Z\nlater,b,,,2024-03-20T00:00:00Z";
    let answered = |talk: &str| {
        format!(
            "{talk}1,{talk},user,from {talk},,2024-03-01T10:00:00Z\n{talk}2,{talk},assistant,Hm,0.1,2024-03-01T10:01:00Z"
        )
    };
    let tied = "now0,now,user,other,,2024-03-01T10:00:00Z";
    let check = |messages: String| {
        let app = company(&[BOT, ("conversations", talks), ("messages", &messages)]);
        let told = bot(&app);
        assert_eq!(told["unanswered_queries"], json!([{"query": "from now", "count": 1}]));
        assert_eq!(
            (&told["unanswered_count"], &told["total_messages"]),
            (&json!(1), &json!(messages.lines().count() - 2))
        );
        assert_eq!(ask(&app, "/analytics/chatbot/b/gaps")[0]["query"], "from now");
        assert_eq!(ask(&app, "/analytics/chatbot/b/gaps").as_array().unwrap().len(), 1);
    };
    check(format!("{}\n{}", answered("now"), answered("later")));
    check(format!("{}\n{tied}\n{}", answered("now"), answered("later")));
}
