//! What clients meet: every way to be refused, and every answer's shape.

mod access;
mod answers;
mod documents;
mod inputs;
mod lifetime;
mod rows;
mod support;
