//! Reports of whole packs over whole data sets, from files through the store to JSON, CSV and NDJSON.
//! Data that is not part of the project is looked for beside it; without it a test says that it skips.

mod cdnow;
mod check;
mod comparing;
mod data;
mod examples;
mod itsm;
mod learning;
mod loyalty;
