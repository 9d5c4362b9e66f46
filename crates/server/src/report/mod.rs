//! A report's answer: parameters are checked, the leaves of its response are asked, and the result is JSON
//! or a file of its lists. Knows nothing of HTTP.

mod arguments;
mod asked;
mod assemble;
mod cells;
mod check;
mod columns;
mod evaluate;
pub mod export;
mod findings;
mod lists;
mod settled;
mod shape;
mod values;

pub use arguments::{Arguments, Asker, Pair};
pub use check::PlannedStatements;
pub use columns::{CellType, Column, ListColumn};
pub use evaluate::{Answer, Engines, Evaluation, List, ReportError, Settling};
pub(crate) use lists::statement_of;
pub use lists::{TABLE, choose_lists};
