//! The OpenAPI 3.1 document: every path of the server and of its packs' reports, made of the same
//! declarations that answer them.

pub(crate) mod capture;
pub(crate) mod cards;
mod described;
mod document;
mod examples;
mod folds;
mod incoming;
mod operation;
pub(crate) mod own;
mod planned;
pub(crate) mod rejects;
mod reports;
mod schemas;
mod shapes;

pub(crate) use document::Document;
pub(crate) use operation::Operation;
