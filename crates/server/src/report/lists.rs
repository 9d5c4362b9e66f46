//! Which list of a report a file with one list holds.

use ebbtide_model::pack::{ParamError, Report};

/// The query parameter that names a list.
pub const TABLE: &str = "table";

/// The report's only list, or the one that `table` names. `format` is what was asked for, to be told
/// of where the report has no list.
pub fn choose_list<'r>(report: &'r Report, format: &str, table: Option<&str>) -> Result<&'r str, ParamError> {
    if report.lists.is_empty() {
        return Err(ParamError::refused("format", format, "json, since the report has no list"));
    }
    let allowed = || format!("one of {}", report.lists.join(", "));
    match (table, report.lists.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(ParamError::Missing { name: TABLE.to_owned(), allowed: allowed() }),
        (Some(name), lists) => {
            let found = lists.iter().find(|list| *list == name);
            found.map(String::as_str).ok_or_else(|| ParamError::refused(TABLE, name, allowed()))
        }
    }
}

#[cfg(test)]
mod tests {
    use ebbtide_model::pack::Pack;

    use super::*;

    #[test]
    fn a_list_is_the_only_one_or_named() {
        let pack = Pack::parse(crate::apps::bundled("loyalty").unwrap()).unwrap();
        let check = |report: usize, table: Option<&str>, want: Result<&str, &str>| {
            let chosen = choose_list(&pack.reports[report], "csv", table).map_err(|error| error.to_string());
            assert_eq!(chosen, want.map_err(str::to_owned), "{table:?}");
        };
        check(1, None, Ok("cards"));
        check(1, Some("cards"), Ok("cards"));
        check(2, Some("by_store"), Ok("by_store"));
        check(2, None, Err("parameter table is missing; allowed is one of monthly, by_store"));
        check(2, Some("x"), Err("parameter table: \"x\" was given; allowed is one of monthly, by_store"));
        let mut bare = pack.reports[1].clone();
        bare.lists.clear();
        let told = choose_list(&bare, "csv", None).unwrap_err().to_string();
        assert_eq!(
            told,
            "parameter format: \"csv\" was given; allowed is json, since the report has no list"
        );
    }
}
