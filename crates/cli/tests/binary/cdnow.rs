//! A user's own pack over a public file as it was found: 69,659 purchases, of which 255 are honest
//! repeats, and the figures that the literature knows of them.

use crate::ebbtide::{Folder, shared};
use serde_json::{Value as Json, json};

const JANUARY_1997: [i64; 18] =
    [7846, 1157, 964, 810, 679, 736, 720, 582, 559, 594, 673, 634, 528, 511, 664, 472, 497, 498];

#[test]
fn the_public_cdnow_file_gives_the_figures_that_are_known_of_it() {
    let Some(file) = shared("data/cdnow/CDNOW_master.txt") else {
        return;
    };
    let folder = Folder::new();
    let pack = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/cdnow");
    let import = || folder.run(&["import", "--data", "data", "--app", pack, file.to_str().unwrap()]);
    let ask = |query: Json| -> Json {
        let run = folder.run(&["query", "--data", "data", "--app", pack, "--json", &query.to_string()]);
        assert_eq!(run.code, 0, "{run:?}");
        serde_json::from_str(&run.stdout).unwrap()
    };

    let first = import();
    assert_eq!((first.code, first.counts("purchases")), (0, [69_659, 0, 0, 0]), "{first:?}");
    for round in 0..2 {
        let cohorts = ask(json!({
            "kind": "retention", "type": "first_time", "period": "month", "from": "1997-01-01", "periods": 18,
            "as_of": "1998-06-30",
        }));
        assert_eq!(cohorts["result"]["matrix"][0], json!(JANUARY_1997), "round {round}");
        let revenue = ask(json!({
            "kind": "trend", "interval": "all", "from": "1997-01-01", "to": "1998-07-01", "measure": ["total", "sum"],
            "prop": "dollars", "as_of": "1998-06-30",
        }));
        let data = &revenue["result"]["data"];
        assert_eq!(data["total"], json!([69_659]), "{revenue}");
        assert_eq!(data["sum"], json!([2_500_315.63]), "{revenue}");
        if round == 0 {
            let again = import();
            assert_eq!((again.code, again.counts("purchases")), (0, [0, 69_659, 0, 0]), "{again:?}");
        }
    }
}
