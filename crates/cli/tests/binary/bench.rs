//! A tiny run of every part of the benchmark, so that it stays whole. What it measures is of no interest here.

use std::fs;

use serde_json::Value as Json;

use crate::ebbtide::Folder;

/// Runs a part; gives what its figures are of.
fn figures(folder: &Folder, arguments: &[&str]) -> Vec<String> {
    let fixed = [
        "--runs",
        "1",
        "--seconds",
        "1",
        "--cached-rate",
        "50",
        "--uncached-rate",
        "3",
        "--rate",
        "200",
        "--listeners",
        "3",
        "--json",
        "out.json",
    ];
    let run = folder.run(&[&["bench"], arguments, &fixed[..]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let told: Json = serde_json::from_str(&fs::read_to_string(folder.path("out.json")).unwrap()).unwrap();
    assert!(told["about"]["machine"]["cores"].as_u64() > Some(0), "{told}");
    let figures = told["figures"].as_array().unwrap();
    for figure in figures {
        let what = figure["what"].as_str().unwrap();
        assert!(run.stdout.contains(what), "{what} is not in {}", run.stdout);
        let numbers = figure["numbers"].as_object().unwrap();
        assert!(!numbers.is_empty() && numbers.values().all(|value| value.as_f64().is_some()), "{figure}");
    }
    figures.iter().map(|figure| figure["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_part_of_the_benchmark_runs_over_few_events() {
    let folder = Folder::new();
    let found = figures(&folder, &["all", "--events", "3k"]);
    let has =
        |part: &str| assert!(found.iter().any(|what| what.contains(part)), "{part} is not in {found:?}");
    for part in [
        "import of Parquet",
        "import of NDJSON",
        "16 writers of 500",
        "64 writers of 1",
        "start over segments",
        "start over a log",
        "cohorts, cached",
        "to listener",
    ] {
        has(part);
    }
    for letter in ["a", "b", "c", "d", "e", "f", "g"] {
        for way in ["by the engine", "over HTTP"] {
            has(&format!("{letter} of all tenants, {way}"));
            assert!(
                found
                    .iter()
                    .any(|what| what.starts_with(&format!("{letter} of tenant ")) && what.ends_with(way))
            );
        }
    }
}

#[test]
fn the_benchmark_asks_for_every_report_of_the_packs() {
    let folder = Folder::new();
    let few = ["report", "--rows", "1", "--connections", "1,2", "--requests", "2"];
    let found = figures(&folder, &[&few[..], &["--packs", "all", "--keep", "made"]].concat());
    // Each report with each load, and after a start.
    assert_eq!(found.len(), 18 * 3, "{found:?}");
    let again = figures(&folder, &[&few[..], &["--packs", "loyalty", "--keep", "made"]].concat());
    assert!(again.len() == 9 && again.iter().all(|what| what.starts_with("loyalty ")), "{again:?}");
    let unknown = folder.run(&["bench", "report", "--packs", "loyality"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("loyalty, storefront"), "{unknown:?}");
}

#[test]
fn the_benchmark_takes_a_file_or_a_folder_of_yours() {
    let folder = Folder::new();
    folder.write("events.csv", b"tenant,event,actor,ts\nacme,home,1,2025-02-01T00:00:00Z\n");
    assert_eq!(figures(&folder, &["ask", "--file", "events.csv", "--keep", "kept"]).len(), 15);
    assert_eq!(figures(&folder, &["tenant", "--data", "kept/data", "--tenant", "acme"]).len(), 15);
    let nobody = folder.run(&["bench", "tenant", "--data", "kept/data"]);
    assert!(nobody.code == 2 && nobody.stderr.contains("--tenant"), "{nobody:?}");
    let stranger = folder.run(&["bench", "tenant", "--data", "kept/data", "--tenant", "acm"]);
    assert!(stranger.code == 1 && stranger.stderr.contains("no event of tenant acm"), "{stranger:?}");
}
