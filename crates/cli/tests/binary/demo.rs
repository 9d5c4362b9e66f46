//! The demo: what it prints can be asked, and each request has an answer that is worth a look.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::ebbtide::{Folder, Server};

/// The address that the demo prints where it is not told another.
const PRINTED: &str = "http://127.0.0.1:8080";

#[test]
fn every_request_that_the_demo_prints_is_answered() {
    let folder = Folder::new();
    let run = folder.run(&["demo", "--data", "data", "--no-serve"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("synthetic"), "{}", run.stdout);
    let export = |line: &str| {
        let (name, rest) = line.strip_prefix("export ")?.split_once('=')?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    let tokens: BTreeMap<String, String> = run.stdout.lines().filter_map(export).collect();

    let mut serve = folder.command(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    for app in ["loyalty", "itsm", "chatbot", "learning", "storefront", "product"] {
        serve.args(["--app", app]);
    }
    let server = Server::start_by(serve);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut asked = 0;
    for line in run.stdout.lines().filter(|line| line.starts_with("curl ")) {
        let quoted: Vec<&str> = line.split('"').collect();
        let [_, header, _, url, rest] = quoted.as_slice() else {
            // The one that posts a question of its own goes on in the next line.
            let is_posted = ["/v1/query", "/v1/capture", "/events"].iter().any(|path| line.contains(path));
            assert!(is_posted, "{line}");
            continue;
        };
        assert_eq!(*rest, "", "{line}");
        let variable = header.strip_prefix("Authorization: Bearer $").unwrap();
        let path = url.strip_prefix(PRINTED).unwrap();
        let bearer = format!("Bearer {}", tokens[variable]);
        let mut response =
            agent.get(format!("{}{path}", server.url)).header("Authorization", bearer).call().unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        let want = if variable == "FREE_OWNER" { 402 } else { 200 };
        assert_eq!(response.status(), want, "{line}: {body}");
        assert!(
            path.contains("csv") || lists_have_rows(&serde_json::from_str(&body).unwrap()),
            "{line}: {body}"
        );
        asked += 1;
    }
    assert!(asked > 15, "{asked} requests");
    server.stop();
    let again = folder.run(&["demo", "--data", "data", "--no-serve"]);
    assert!(!again.stdout.contains("loading"), "what is there is not made up anew: {}", again.stdout);
}

/// Whether no list in an answer is empty, but for findings, which there need not be.
fn lists_have_rows(answer: &Json) -> bool {
    match answer {
        Json::Array(rows) => !rows.is_empty() && rows.iter().all(lists_have_rows),
        Json::Object(fields) => {
            fields.iter().all(|(name, value)| name == "insights" || lists_have_rows(value))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}
