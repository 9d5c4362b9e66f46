//! The documents tell of every code, and of none that is gone.

use std::collections::BTreeSet;

use ebbtide_server::Code;
use ebbtide_server::sources::RejectCode;
use ebbtide_store::RejectionCode;

const ERRORS: &str = include_str!("../../../../docs/errors.md");

/// The first cells of a table's rows under a heading, without their back ticks.
fn documented(heading: &str) -> BTreeSet<&'static str> {
    let (_, section) = ERRORS.split_once(heading).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = rows.take_while(|line| line.starts_with('|')).flat_map(|line| {
        let cell = line.split('|').nth(1).unwrap_or_default();
        cell.split(',').map(|code| code.trim().trim_matches('`'))
    });
    cells.collect()
}

#[test]
fn every_code_of_a_problem_is_documented_with_its_status() {
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), Code::ALL.len(), "no code is there twice");
    assert_eq!(documented("# Errors"), codes);
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
        assert!(ERRORS.contains(&row), "{row}");
    }
}

#[test]
fn every_code_of_a_refused_row_is_documented() {
    let admission = RejectionCode::ALL.map(RejectionCode::as_str);
    let codes: BTreeSet<&str> =
        admission.into_iter().chain(RejectCode::ALL.map(RejectCode::as_str)).collect();
    assert_eq!(documented("## Rows that are refused"), codes);
}
