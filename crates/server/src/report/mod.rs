//! A report's answer: parameters are checked, the leaves of its response are asked, and the result is
//! written as JSON, CSV or NDJSON. Knows nothing of HTTP.

mod arguments;
mod asked;
mod assemble;
mod cells;
mod check;
mod encode;
mod evaluate;
mod lists;
mod shape;
mod values;

pub use arguments::{Arguments, Asker, Pair};
pub use check::PlannedStatements;
pub use encode::{to_csv, to_ndjson};
pub use evaluate::{Answer, Engines, List, ReportError, evaluate};
pub use lists::{TABLE, choose_list};
