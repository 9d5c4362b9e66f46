//! The example pack over the public file that it is for.

use serde_json::json;

use super::data::{App, Request, beside_the_project, wait};

const PACK: &str = include_str!("../../../../examples/cdnow/pack.yaml");

#[test]
fn the_cdnow_example_meets_the_figures_that_are_known_of_it() {
    let Some(folder) = beside_the_project("data/cdnow") else {
        return;
    };
    let app = App::new(PACK);
    let file = folder.join("CDNOW_master.txt");
    let first = app.load(&file, None);
    assert_eq!((first.accepted, first.duplicates, first.rows()), (69_659, 0, 69_659));
    let again = app.load(&file, None);
    assert_eq!((again.accepted, again.duplicates), (0, 69_659), "a file read twice adds nothing");

    let ask = |path| wait(app.ask(&Request { path, query: &[], tenant: None })).unwrap();
    let cohorts = ask("/cdnow/cohorts").body;
    let january = &cohorts["cohorts"][0];
    assert_eq!(january["month"], "1997-01");
    assert_eq!(
        january["active"],
        json!([7846, 1157, 964, 810, 679, 736, 720, 582, 559, 594, 673, 634, 528, 511, 664, 472, 497, 498])
    );
    let sizes: Vec<&serde_json::Value> =
        cohorts["cohorts"].as_array().unwrap().iter().map(|cohort| &cohort["customers"]).collect();
    assert_eq!(sizes, [7846, 8476, 7248]);

    let revenue = ask("/cdnow/revenue");
    assert_eq!(
        revenue.body["total"].to_string(),
        r#"{"purchases":69659,"customers":23570,"dollars":2500315.63}"#
    );
    let list = revenue.lists.iter().find(|list| list.path == "monthly").unwrap();
    let columns: Vec<&str> = list.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["month", "purchases", "customers", "dollars"]);
    let months = revenue.rows(list);
    assert_eq!(months.len(), 18);
    let purchases: u64 = months.iter().map(|month| month["purchases"].as_u64().unwrap()).sum();
    assert_eq!(purchases, 69_659);
}
