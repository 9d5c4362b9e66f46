//! The loyalty pack against answers that an independent implementation gave.

use ebbtide_server::apps::bundled;
use ebbtide_server::report::export::ExportFormat;
use ebbtide_server::report::{Pair, choose_lists};
use serde_json::Value as Json;

use super::comparing::{csv_differences, differences};
use super::data::{App, Request, beside_the_project, file_of, wait};

fn text<'j>(case: &'j Json, pointer: &str) -> Option<&'j str> {
    case.pointer(pointer).and_then(Json::as_str)
}

/// What is wrong with the answer to a case; `None` where the case is not about a report's answer.
fn problems(app: &App, case: &Json) -> Option<Vec<String>> {
    let query: Vec<Pair> = case["query"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let format = text(case, "/query/format").unwrap_or("json");
    let request =
        Request { path: text(case, "/path").unwrap(), query: &query, tenant: text(case, "/claims/tenant") };
    match case["status"].as_u64().unwrap() {
        200 => {
            let answer = wait(app.ask(&request)).map_err(|error| error.to_string());
            let answer = match answer {
                Ok(answer) => answer,
                Err(problem) => return Some(vec![problem]),
            };
            if format == "json" {
                return Some(differences(&case["body"], &answer.body, "$"));
            }
            let format = ExportFormat::from_name(format).unwrap();
            let chosen = choose_lists(app.route(request.path).0, format, None).unwrap();
            let file = file_of(answer, format, chosen[0]);
            if format == ExportFormat::Csv {
                let want = case["body"].as_array().unwrap();
                return Some(csv_differences(want, &file));
            }
            let lines = String::from_utf8(file).unwrap();
            let got: Json = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()).collect();
            Some(differences(&case["body"], &got, "$"))
        }
        422 if format == "json" => Some(match wait(app.ask(&request)) {
            Ok(_) => vec!["an answer, where a parameter is wrong".to_owned()],
            Err(error) => {
                let told = error.to_string();
                let wanted = case.pointer("/body/detail/$contains").and_then(Json::as_array).unwrap();
                let missing = wanted.iter().filter(|want| !told.contains(want.as_str().unwrap()));
                missing.map(|want| format!("{told} lacks {want}")).collect()
            }
        }),
        _ => None,
    }
}

#[test]
fn every_answer_about_the_published_data_set_is_right() {
    let Some(folder) = beside_the_project("conformance/datasets/a") else {
        return;
    };
    let app = App::new(bundled("loyalty").unwrap());
    for table in ["merchants", "stores", "cards", "transactions"] {
        let receipt = app.load(&folder.join("loyalty").join(format!("{table}.csv")), None);
        assert_eq!(receipt.rejected, [], "{table}");
    }
    let cases = read(&folder.join("cases.json"));
    let cases = cases.as_array().unwrap().iter().filter(|case| case["pack"] == "loyalty");
    let (mut asked, mut wrong) = (0, Vec::new());
    for case in cases {
        if let Some(problems) = problems(&app, case) {
            asked += 1;
            let told = problems.first().map(|first| format!("{} {}: {first}", case["name"], case["path"]));
            wrong.extend(told);
        }
    }
    let path = "/store/loyalty/analytics/revenue";
    let as_of = [("as_of".to_owned(), "2024-03-15T10:30:00Z".to_owned())];
    let request = Request { path, query: &as_of, tenant: Some("1") };
    let (once, again) = (wait(app.ask(&request)).unwrap(), wait(app.ask(&request)).unwrap());
    assert_eq!(once.body.to_string(), again.body.to_string(), "the same question is the same bytes");
    assert!(wrong.is_empty(), "{} of {asked} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 300, "{asked} cases were asked");
}

#[expect(clippy::disallowed_methods, reason = "a test reads its data where it lies")]
fn read(path: &std::path::Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
