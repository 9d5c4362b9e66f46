//! Tests of significance: what chance alone would do.

mod holm;
mod normal;
mod proportions;

pub use holm::holm_adjusted;
pub use normal::two_sided_p;
pub use proportions::{Proportion, TwoProportions};
