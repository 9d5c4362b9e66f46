//! How a statement uses its moment: what that tells of when its answer changes while time goes on.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, Visit, Visitor,
};
use ebbtide_model::{Calendar, Instant, Unit};

use super::statement::parameter_function;

/// What `as_of` is called besides its parameter. `current_date` is not among them: it is a day.
const MOMENTS: [&str; 5] = ["now", "current_timestamp", "current_time", "localtime", "localtimestamp"];

/// How a statement uses `as_of`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClockUse {
    /// For the period of an hour, or of a unit that is not known beforehand.
    hours: bool,
    /// For days that `days_between` counts.
    counted: bool,
    /// In a way from which nothing follows, such as in a comparison.
    freely: bool,
}

impl ClockUse {
    /// Of a statement whose parameters are calls of their functions.
    pub(super) fn of(statement: &Statement) -> Self {
        let mut uses = Uses::default();
        // The visitor never breaks off.
        let ControlFlow::Continue(()) = statement.visit(&mut uses);
        Self { hours: uses.hours, counted: uses.counted, freely: uses.all > uses.understood }
    }

    /// When the answer may change besides at the start of a day, and besides when a day that
    /// `days_between` counts is full.
    pub(super) fn changes_at(self, calendar: &Calendar, as_of: Instant) -> Option<Instant> {
        if self.freely {
            return Some(as_of.next_second());
        }
        self.hours.then(|| calendar.next_boundary(Unit::Hour, as_of))
    }

    /// Whether the statement says the same of its rows for as long as an hour or a day lasts.
    pub(super) fn lasts(self) -> bool {
        !self.freely && !self.counted
    }
}

#[derive(Default)]
struct Uses {
    all: usize,
    /// As the argument of a function of which it is known when its answer changes.
    understood: usize,
    hours: bool,
    counted: bool,
}

impl Visitor for Uses {
    type Break = std::convert::Infallible;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if is_moment(expr) {
            self.all += 1;
        }
        self.counted |= call(expr).is_some_and(|(name, _)| name == "days_between");
        if let Some((name, arguments)) = call(expr)
            && arguments.get(1).is_some_and(|second| is_moment(second))
        {
            match name.as_str() {
                "bucket" | "bucket_label" => {
                    self.understood += 1;
                    self.hours |= !arguments.first().is_some_and(|unit| is_days(unit));
                }
                // The function itself tells.
                "days_between" => self.understood += 1,
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_moment(expr: &Expr) -> bool {
    call(expr)
        .is_some_and(|(name, _)| name == parameter_function("as_of") || MOMENTS.contains(&name.as_str()))
}

/// Whether a calendar unit is written out, and begins only where a day does.
fn is_days(unit: &Expr) -> bool {
    let Expr::Value(value) = unit else {
        return false;
    };
    let Value::SingleQuotedString(name) = &value.value else {
        return false;
    };
    Unit::from_name(name).is_some_and(|unit| unit != Unit::Hour)
}

/// A function's name and plain arguments.
fn call(expr: &Expr) -> Option<(String, Vec<&Expr>)> {
    let Expr::Function(Function { name, args, .. }) = expr else {
        return None;
    };
    let name = name.0.last()?.as_ident()?.value.to_lowercase();
    let arguments = match args {
        FunctionArguments::List(list) => list.args.iter().filter_map(plain).collect(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => Vec::new(),
    };
    Some((name, arguments))
}

fn plain(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        FunctionArg::Unnamed(_) | FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::check;
    use super::*;

    #[test]
    fn what_is_said_of_the_moment_tells_when_an_answer_changes() {
        let uses = |sql: &str| check(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).clock;
        let expect = |sql: &str, hours: bool, freely: bool| {
            let counted = sql.contains("days_between");
            assert_eq!(uses(sql), ClockUse { hours, counted, freely }, "{sql}");
        };
        expect("SELECT count(*) FROM t", false, false);
        expect("SELECT 1 FROM t WHERE at >= bucket('month', $as_of, 1 - $n)", false, false);
        expect("SELECT bucket_label('week', now()), bucket('day', CURRENT_TIMESTAMP)", false, false);
        expect("SELECT current_date, today()", false, false);
        expect("SELECT days_between(at, $as_of) FROM t", false, false);
        expect("SELECT DAYS_BETWEEN(at, began) AS days_between FROM t", false, false);
        expect("SELECT bucket('hour', $as_of)", true, false);
        expect("SELECT bucket($unit, $as_of)", true, false);
        expect("SELECT bucket('hour', at) FROM t", false, false);
        expect("SELECT days_between($as_of, at) FROM t", false, true);
        expect("SELECT $as_of", false, true);
        expect("SELECT 1 FROM t WHERE at > now() - INTERVAL '1 day'", false, true);
        expect("SELECT bucket('day', $as_of - INTERVAL '1 hour')", false, true);
        expect("SELECT bucket('day', $as_of), $as_of", false, true);
        expect("WITH m AS (SELECT $as_of AS m) SELECT m FROM m", false, true);
        expect("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.at < NOW())", false, true);
        expect("SELECT \"now\", '$as_of' FROM t -- now()", false, false);
    }
}
