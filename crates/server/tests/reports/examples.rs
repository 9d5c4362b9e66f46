//! The example packs over the public files that they are for, against figures that are known of them or
//! were reckoned apart.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use serde_json::{Value as Json, json};

use super::data::{App, Request, beside_the_project, wait};

const INCIDENTS: &str = include_str!("../../../../examples/incidents/pack.yaml");
const COMPLETE_JOURNEY: &str = include_str!("../../../../examples/completejourney/pack.yaml");
const OULAD: &str = include_str!("../../../../examples/oulad/pack.yaml");

fn ask(app: &App, path: &str, as_of: &str) -> Json {
    ask_with(app, path, None, &[("as_of", as_of)])
}

fn ask_with(app: &App, path: &str, tenant: Option<&str>, query: &[(&str, &str)]) -> Json {
    let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    wait(app.ask(&Request { path, query: &query, tenant })).unwrap().body
}

/// The only file of a ZIP archive, unpacked into `folder` under `name`.
#[expect(clippy::disallowed_methods, reason = "a test reads its data where it lies")]
fn unzipped(archive: &Path, folder: &Path, name: &str) -> PathBuf {
    let bytes = std::fs::read(archive).unwrap();
    let at = |offset: usize| usize::from(u16::from_le_bytes([bytes[offset], bytes[offset + 1]]));
    assert_eq!(&bytes[..4], b"PK\x03\x04", "a local header begins the archive");
    assert_eq!(at(8), 8, "the file is deflated");
    let mut unpacked = Vec::new();
    DeflateDecoder::new(&bytes[30 + at(26) + at(28)..]).read_to_end(&mut unpacked).unwrap();
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().write_all(&unpacked).unwrap();
    path
}

#[test]
fn incidents_took_as_long_as_their_own_time_of_resolution_says() {
    let Some(folder) = beside_the_project("data/itsm_incident_log") else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let log = unzipped(&folder.join("incident_event_log.zip"), here.path(), "incident_event_log.csv");
    let app = App::new(INCIDENTS);
    let incidents = app.load(&log, Some("incidents"));
    assert_eq!((incidents.rows(), incidents.rejected.len()), (141_712, 0));
    assert_eq!(app.load(&log, Some("updates")).accepted, 141_712);

    let as_of = "2018-01-01T00:00:00Z";
    let resolution = ask(&app, "/incidents/resolution", as_of);
    assert_eq!(
        resolution["all"],
        json!({"incidents": 24918, "resolved": 23362, "mean_hours": 178.17, "median_hours": 22.1, "p90_hours": 381.55})
    );
    assert_eq!(resolution["by_last_update"], json!({"mean_hours": 315.33, "median_hours": 145.87}));
    let by_priority = resolution["by_priority"].as_array().unwrap();
    let total: u64 = by_priority.iter().map(|row| row["incidents"].as_u64().unwrap()).sum();
    assert_eq!((by_priority.len(), total), (4, 24_918));

    let monthly = ask(&app, "/incidents/activity", as_of);
    let updates: u64 =
        monthly["monthly"].as_array().unwrap().iter().map(|row| row["updates"].as_u64().unwrap()).sum();
    assert_eq!(updates, 141_712);
    let groups = ask(&app, "/incidents/groups", as_of);
    assert_eq!(groups["groups"].as_array().unwrap().len(), 20);
}

#[test]
fn households_come_back_and_pay_as_their_receipts_say() {
    let Some(folder) = beside_the_project("data/completejourney") else {
        return;
    };
    let app = App::new(COMPLETE_JOURNEY);
    assert_eq!(app.load(&folder.join("transactions_sample.csv.gz"), None).accepted, 75_000);
    assert_eq!(app.load(&folder.join("coupon_redemptions.csv"), None).accepted, 2_102);

    let year = [("as_of", "2017-12-31"), ("months_back", "12")];
    let grocer = |report: &str| {
        let year = if report == "churn" { &year[..1] } else { &year };
        let path = format!("/grocer/store/loyalty/analytics/{report}");
        let own = ask_with(&app, &path, Some("grocer"), year);
        let path = format!("/grocer/admin/loyalty/merchants/grocer/analytics/{report}");
        assert_eq!(ask_with(&app, &path, None, year), own);
        own
    };
    let cohorts = grocer("cohorts");
    let january = &cohorts["cohorts"][0];
    assert_eq!(
        *january,
        // Of 1500: 1194, 1184, 1156, 1161, 1144, 1129, 1147, 1102, 1120, 1120 came back.
        json!({"month": "2017-01", "enrolled": 1500, "retention": [100, 80, 79, 77, 77, 76, 75, 76, 73, 75, 75]})
    );
    let enrolled = cohorts["cohorts"].as_array().unwrap().iter().map(|row| row["enrolled"].as_u64().unwrap());
    assert_eq!(enrolled.sum::<u64>(), 2_377);

    let churn = grocer("churn");
    assert_eq!((&churn["at_risk_count"], &churn["total_cards_checked"]), (&json!(552), &json!(2377)));
    let names = |row: &Json| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let of_card =
        ["card_id", "card_number", "customer_name", "days_inactive", "avg_interval_days", "points_balance"];
    assert_eq!(names(&churn["cards"][0]), of_card);

    let revenue = grocer("revenue");
    let sum = |list: &str, field: &str| -> u64 {
        revenue[list].as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
    };
    assert_eq!(
        (sum("monthly", "estimated_revenue_cents"), sum("by_store", "estimated_revenue_cents")),
        (23_383_286, 23_383_286)
    );
    assert_eq!(sum("monthly", "transactions_count"), 47_225);
    let stores = revenue["by_store"].as_array().unwrap();
    assert_eq!(
        (stores.len(), &stores[0]["store_id"], &stores[0]["estimated_revenue_cents"]),
        (293, &json!(27), &json!(1911))
    );
}

#[test]
fn students_of_all_modules_end_as_the_data_set_says() {
    let Some(folder) = beside_the_project("data/oulad") else {
        return;
    };
    let app = App::new(OULAD);
    for (file, rows) in [
        ("assessment.csv", 206),
        ("student.csv", 32_593),
        ("student_registration.csv", 32_593),
        ("student_assessment.csv", 173_912),
    ] {
        let receipt = app.load(&folder.join(file), None);
        assert_eq!((receipt.accepted, receipt.rejected.len()), (rows, 0), "{file}");
    }
    let results = ask(&app, "/oulad/results", "2024-01-01");
    assert_eq!(results["students"], 32_593);
    assert_eq!(
        results["by_result"],
        json!({"Pass": 12361, "Withdrawn": 10156, "Fail": 7052, "Distinction": 3024})
    );
    let modules = ask(&app, "/oulad/modules", "2024-01-01");
    assert_eq!(
        modules["modules"][0],
        json!({"module": "AAA", "students": 748, "passed_percent": 71.0, "withdrawn_percent": 16.8,
            "submissions": 3149, "mean_score": 69.03})
    );
    let submissions =
        modules["modules"].as_array().unwrap().iter().map(|row| row["submissions"].as_u64().unwrap());
    assert_eq!(submissions.sum::<u64>(), 173_912);

    // A module's own people see it alone, its submissions by way of their assessments.
    let own = Request { path: "/oulad/modules", query: &[], tenant: Some("AAA") };
    let own = wait(app.ask(&own)).unwrap().body;
    assert_eq!(own["modules"].as_array().unwrap().len(), 1);
    assert_eq!(own["modules"][0], modules["modules"][0]);

    let weeks = ask(&app, "/oulad/withdrawals", "2024-01-01");
    let left: u64 =
        weeks["weeks"].as_array().unwrap().iter().map(|row| row["students"].as_u64().unwrap()).sum();
    assert_eq!(left, 10_072);
}
