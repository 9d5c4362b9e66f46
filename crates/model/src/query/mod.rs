//! The query language: one definition and one parser for HTTP, packs, the command line and tests.
