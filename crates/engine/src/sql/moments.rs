//! What of a plan follows from its moment and from nothing else. It is taken out before the plan is optimized, so that
//! the plan is as good for every other moment, and put in again when the statement is asked as of one.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF, Volatility, lit};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use ebbtide_model::{Calendar, Instant, Unit};

use super::functions::{Ticks, days_between, timestamp, timestamp_type, today};
use super::statement::parameter_function;

/// Of a moment: itself, and its day.
const COLUMNS: [&str; 2] = ["as_of", "today"];
const DAY: &str = "day";
const DAYS_BETWEEN: &str = "days_between";

/// What was taken out of a plan.
#[derive(Debug)]
pub(super) struct Moments {
    /// Over a row of [`COLUMNS`]; each stands in the plan as the placeholder of its number.
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    schema: Arc<Schema>,
}

/// A plan without what follows from its moment.
pub(super) struct Timeless {
    pub(super) plan: LogicalPlan,
    pub(super) moments: Moments,
}

/// `None` where something else in it may be another the next time. The plan's types must be cast already; `bucket`
/// is the calendar's.
pub(super) fn taken_out(plan: LogicalPlan, bucket: &Arc<ScalarUDF>) -> Result<Option<Timeless>> {
    let mut taking = Taking { bucket, taken: Vec::new(), is_sure: true };
    let plan = plan.transform_down_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let taken = expr.transform_down(|expr| taking.take(expr))?;
            Ok(taken.update_data(|expr| name.restore(expr)))
        })
    });
    let plan = plan.data()?;
    if !taking.is_sure {
        return Ok(None);
    }
    let fields = [timestamp_type(), DataType::Date32];
    let fields = COLUMNS.iter().zip(fields).map(|(name, of)| Field::new(*name, of, true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = DFSchema::try_from(schema.clone())?;
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let physical = |expr: Expr| {
        let expr = expr.transform_up(|expr| {
            Ok(match moment(&expr) {
                Some(column) => Transformed::yes(Expr::Column(column.into())),
                None => Transformed::no(expr),
            })
        });
        create_physical_expr(&expr.data()?, &columns, &props, &context)
    };
    let exprs = taking.taken.into_iter().map(physical).collect::<Result<_>>()?;
    Ok(Some(Timeless { plan, moments: Moments { exprs, schema } }))
}

struct Taking<'b> {
    bucket: &'b Arc<ScalarUDF>,
    taken: Vec<Expr>,
    /// Whether all else is the same whenever it is asked.
    is_sure: bool,
}

impl Taking<'_> {
    fn take(&mut self, expr: Expr) -> Result<Transformed<Expr>> {
        if let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr {
            // It takes note of each answer, so it has to be asked each time.
            let is_noted = func.name() == DAYS_BETWEEN && args.iter().all(is_constant);
            self.is_sure &= func.signature().volatility == Volatility::Immutable && !is_noted;
        }
        if is_of_moment(&expr) {
            return self.placed(expr).map(|place| Transformed::new(place, true, TreeNodeRecursion::Jump));
        }
        let Expr::ScalarFunction(ScalarFunction { func, mut args }) = expr else {
            return Ok(Transformed::no(expr));
        };
        // Whichever period of days the moment is in, the start of its day is in, too: that is the same all day.
        if matches!(func.name(), "bucket" | "bucket_label")
            && args.first().is_some_and(is_days)
            && let Some(near) = args.get_mut(1).filter(|near| moment(near) == Some(COLUMNS[0]))
        {
            *near = Expr::ScalarFunction(ScalarFunction {
                func: self.bucket.clone(),
                args: vec![lit(DAY), std::mem::take(near)],
            });
        }
        Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })))
    }

    fn placed(&mut self, expr: Expr) -> Result<Expr> {
        let nothing = DFSchema::empty();
        let field = Field::new("", expr.get_type(&nothing)?, expr.nullable(&nothing)?);
        let known = self.taken.iter().position(|known| *known == expr);
        let number = known.unwrap_or_else(|| {
            self.taken.push(expr);
            self.taken.len() - 1
        });
        Ok(Expr::Placeholder(Placeholder::new_with_field(format!("${number}"), Some(Arc::new(field)))))
    }
}

/// What a call gives of the moment, if it is one of those that do.
fn moment(expr: &Expr) -> Option<&'static str> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
    match func.name() {
        _ if !args.is_empty() => None,
        "now" => Some(COLUMNS[0]),
        "current_date" => Some(COLUMNS[1]),
        name => (name == parameter_function("as_of")).then_some(COLUMNS[0]),
    }
}

fn is_of_moment(expr: &Expr) -> bool {
    is_constant(expr) && expr.exists(|expr| Ok(moment(expr).is_some())).unwrap_or(false)
}

/// Whether it is over no row, and calls nothing but functions.
fn is_constant(expr: &Expr) -> bool {
    let is_plain = |expr: &Expr| {
        matches!(
            expr,
            Expr::Literal(..)
                | Expr::ScalarFunction(_)
                | Expr::Cast(_)
                | Expr::TryCast(_)
                | Expr::BinaryExpr(_)
                | Expr::Negative(_)
                | Expr::Not(_)
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
        )
    };
    !expr.exists(|expr| Ok(!is_plain(expr))).unwrap_or(true)
}

/// Whether a unit is written out, and begins only where a day does.
fn is_days(unit: &Expr) -> bool {
    let Expr::Literal(ScalarValue::Utf8(Some(name)), _) = unit else { return false };
    Unit::from_name(name).is_some_and(|unit| unit != Unit::Hour)
}

impl Moments {
    /// What it comes to as of a moment; `None` where that is nothing or an error, of which the statement itself may
    /// make something else.
    pub(super) fn values(&self, calendar: &Calendar, as_of: Instant) -> Result<Option<Vec<ScalarValue>>> {
        if self.exprs.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let columns = [timestamp(Some(as_of.micros())), today(calendar, as_of)];
        let columns = columns.iter().map(|value| value.to_array_of_size(1)).collect::<Result<_>>()?;
        let row = RecordBatch::try_new(self.schema.clone(), columns)?;
        let value = |expr: &Arc<dyn PhysicalExpr>| {
            let value = expr.evaluate(&row).and_then(|value| value.into_array(1)).ok()?;
            ScalarValue::try_from_array(&value, 0).ok().filter(|value| !value.is_null())
        };
        Ok(self.exprs.iter().map(value).collect())
    }
}

/// A plan with the values of a moment in their places, whose days are counted for `ticks`.
pub(super) fn put_in(plan: LogicalPlan, values: &[ScalarValue], ticks: &Ticks) -> Result<LogicalPlan> {
    let counting = Arc::new(days_between(ticks));
    let plan = plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let put = expr.transform_up(|expr| Ok(put(expr, values, &counting)))?;
            Ok(if put.transformed { put.update_data(|expr| name.restore(expr)) } else { put })
        })
    });
    plan.data()
}

fn put(expr: Expr, values: &[ScalarValue], counting: &Arc<ScalarUDF>) -> Transformed<Expr> {
    match expr {
        Expr::Placeholder(place) => {
            let number = place.id.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
            match number.and_then(|number| values.get(number)) {
                Some(value) => Transformed::yes(Expr::Literal(value.clone(), None)),
                None => Transformed::no(Expr::Placeholder(place)),
            }
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == DAYS_BETWEEN => {
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: counting.clone(), args }))
        }
        other => Transformed::no(other),
    }
}

/// A condition with some instant in the place of each that follows from the moment: of those none is nothing.
pub(super) fn as_of_some_moment(filter: &Expr) -> Expr {
    let filter = filter.clone().transform_up(|expr| {
        let Expr::Placeholder(Placeholder { field: Some(field), .. }) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let is_instant = *field.data_type() == timestamp_type();
        Ok(if is_instant {
            Transformed::yes(Expr::Literal(timestamp(Some(0)), None))
        } else {
            Transformed::no(expr)
        })
    });
    filter.data().unwrap_or_default()
}
