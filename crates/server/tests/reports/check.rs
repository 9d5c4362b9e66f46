//! Faults in the SQL of a pack, told before anything runs.

use ebbtide_engine::sql::{Sql, SqlSettings};
use ebbtide_model::TableName;
use ebbtide_model::pack::{Pack, render_faults};
use ebbtide_server::report::PlannedStatements;

fn pack(leaf: &str) -> String {
    format!(
        "pack: shop
tables:
  sales: {{kind: events, tenant: shop, time: at, columns: {{shop: int, buyer: text, euros: decimal, at: timestamp}}}}
  shops: {{kind: entity, key: id, tenant: id, columns: {{id: int, name: text}}}}
reports:
  sold:
    routes: [{{path: /sold}}]
    params: {{limit: {{type: int, default: 5}}}}
    with: {{paid: SELECT * FROM sales WHERE euros > $limit}}
    response:
      sold: {leaf}
      limit: {{value: SELECT count(*) FROM paid}}
"
    )
}

fn read(leaf: &str) -> Result<Pack, String> {
    let sql = Sql::new(&SqlSettings::default()).unwrap();
    let pack = Pack::parse_with(&pack(leaf), &PlannedStatements::new(&sql));
    pack.map_err(|faults| render_faults("pack.yaml", &faults))
}

#[test]
fn a_statement_that_does_not_fit_the_tables_is_told_with_its_line() {
    let check = |leaf: &str, want: &str| {
        let told = read(leaf).unwrap_err();
        assert!(
            told.starts_with("pack.yaml:11: reports.sold.response.sold.") && told.contains(want),
            "{leaf}:\n{told}"
        );
    };
    check("{rows: SELECT byer FROM sales}", "buyer");
    check("{rows: SELECT buyer FROM sale}", "sales");
    check("{rows: SELEC buyer FROM sales}", "rows:");
    check("{rows: \"SELECT buyer FROM sales; SELECT 1\"}", "rows:");
    check("{rows: DELETE FROM sales}", "rows:");
    check("{rows: SELECT nonesuch(buyer) FROM sales}", "nonesuch");
    check("{rows: \"SELECT buyer, buyer FROM sales\"}", "rows:");
    check(
        "{value: \"SELECT buyer, euros FROM sales\"}",
        "gives 2 columns (buyer, euros); for `value` there must be 1",
    );
    check("{map: SELECT buyer FROM sales}", "gives 1 columns (buyer); for `map` there must be 2");
}

#[test]
fn a_fault_in_a_with_is_told_there_and_once() {
    let sql = Sql::new(&SqlSettings::default()).unwrap();
    let yaml = pack("{rows: SELECT buyer FROM paid}").replace("WHERE euros", "WHERE euro");
    let faults = Pack::parse_with(&yaml, &PlannedStatements::new(&sql)).unwrap_err();
    let told = render_faults("pack.yaml", &faults);
    assert!(told.starts_with("pack.yaml:9: reports.sold.with.paid: ") && told.contains("euros"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn a_report_depends_on_the_tables_that_its_statements_read() {
    let tables = |leaf: &str| read(leaf).unwrap().reports[0].tables.clone();
    let (sales, shops) = (TableName::new("sales"), TableName::new("shops"));
    assert_eq!(tables("{value: SELECT 1}"), std::slice::from_ref(&sales));
    assert_eq!(
        tables("{rows: SELECT name FROM shops JOIN paid ON shop = id WHERE at < $as_of}"),
        [sales, shops]
    );
}
