//! Which lists of a report a file holds.

use ebbtide_model::pack::{Composed, ParamError, Report, SqlShape, Tree, WHOLE};

use super::export::ExportFormat;

/// The query parameter that names a list.
pub const TABLE: &str = "table";

/// The list that `table` names, by its path or, where no other ends alike, by the last name of it; without
/// it the only one, or all of them in a format that holds several. A report without a list is one row, whose
/// path is [`WHOLE`].
pub fn choose_lists<'r>(
    report: &'r Report,
    format: ExportFormat,
    table: Option<&str>,
) -> Result<Vec<&'r str>, ParamError> {
    let lists: Vec<&str> = match report.lists.as_slice() {
        [] => vec![WHOLE],
        lists => lists.iter().map(String::as_str).collect(),
    };
    let allowed = || format!("one of {}", lists.join(", "));
    match table {
        Some(name) => {
            let found = lists.iter().find(|list| **list == name).or_else(|| ending_in(&lists, name));
            found.map(|list| vec![*list]).ok_or_else(|| ParamError::refused(TABLE, name, allowed()))
        }
        None if lists.len() == 1 || format.holds_several_lists() => Ok(lists),
        None => Err(ParamError::Missing { name: TABLE.to_owned(), allowed: allowed() }),
    }
}

/// The one path whose last name this is.
fn ending_in<'l, 'r>(lists: &'l [&'r str], name: &str) -> Option<&'l &'r str> {
    let mut ending = lists.iter().filter(|list| list.rsplit('.').next() == Some(name));
    let first = ending.next()?;
    if ending.next().is_some() { None } else { Some(first) }
}

/// The statement whose rows a list is, as they are: where there is one they need not wait for the rest of
/// the answer.
pub(crate) fn statement_of<'r>(report: &'r Report, list: &str) -> Option<&'r Composed> {
    let tree = match list {
        WHOLE => Some(&report.response),
        path => path.split('.').try_fold(&report.response, |tree, name| match tree {
            Tree::Object(entries) => entries.iter().find(|(known, _)| known == name).map(|(_, tree)| tree),
            Tree::Literal(_)
            | Tree::Param(_)
            | Tree::List(_)
            | Tree::Sql { .. }
            | Tree::Each(_)
            | Tree::When { .. }
            | Tree::Behaviour(_)
            | Tree::Insights(_) => None,
        }),
    };
    match tree? {
        Tree::Sql { shape: SqlShape::Rows, statement, .. } => Some(statement),
        Tree::Sql { .. }
        | Tree::Literal(_)
        | Tree::Param(_)
        | Tree::Object(_)
        | Tree::List(_)
        | Tree::Each(_)
        | Tree::When { .. }
        | Tree::Behaviour(_)
        | Tree::Insights(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use ebbtide_model::pack::Pack;

    use super::*;

    #[test]
    fn a_list_is_the_only_one_or_named_and_a_spreadsheet_holds_all() {
        let pack = Pack::parse(crate::apps::bundled("loyalty").unwrap()).unwrap();
        let check = |report: usize, format, table: Option<&str>, want: Result<&[&str], &str>| {
            let chosen = choose_lists(&pack.reports[report], format, table);
            let chosen = chosen.map_err(|error| error.to_string());
            assert_eq!(chosen, want.map(<[&str]>::to_vec).map_err(str::to_owned), "{table:?}");
        };
        let csv = ExportFormat::Csv;
        check(1, csv, None, Ok(&["cards"]));
        check(1, csv, Some("cards"), Ok(&["cards"]));
        check(2, csv, Some("by_store"), Ok(&["by_store"]));
        check(2, ExportFormat::Xlsx, None, Ok(&["monthly", "by_store"]));
        check(2, ExportFormat::Xlsx, Some("by_store"), Ok(&["by_store"]));
        check(2, csv, None, Err("parameter table is missing; allowed is one of monthly, by_store"));
        check(
            2,
            csv,
            Some("x"),
            Err("parameter table: \"x\" was given; allowed is one of monthly, by_store"),
        );
        let mut bare = pack.reports[1].clone();
        bare.lists.clear();
        for format in ExportFormat::ALL {
            assert_eq!(choose_lists(&bare, format, None), Ok(vec![WHOLE]));
        }
    }

    #[test]
    fn the_last_name_of_a_path_will_do_where_no_other_ends_alike() {
        let lists = ["growth.days", "totals.days", "totals.mentors", "mentors.best"];
        let check =
            |name: &str, want: Option<&str>| assert_eq!(ending_in(&lists, name).copied(), want, "{name}");
        check("best", Some("mentors.best"));
        check("mentors", Some("totals.mentors"));
        check("days", None);
        check("totals", None);
        check("", None);
    }

    #[test]
    fn rows_of_a_statement_are_known_by_their_path() {
        let pack = Pack::parse(crate::apps::bundled("loyalty").unwrap()).unwrap();
        let check = |report: usize, path: &str, want: bool| {
            assert_eq!(statement_of(&pack.reports[report], path).is_some(), want, "{path}");
        };
        check(0, "cohorts", false);
        check(1, "cards", true);
        check(1, "at_risk_count", false);
        check(2, "by_store", true);
        check(2, "by_store.store_id", false);
        check(2, "nowhere", false);
        check(2, WHOLE, false);
    }
}
