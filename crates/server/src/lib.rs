//! The server: packs become reports, files and HTTP become rows, tokens become scopes.

pub mod sources;
