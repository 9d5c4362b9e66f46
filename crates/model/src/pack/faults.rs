//! What is wrong with a pack: every fault of a file at once, each with its line.

use std::fmt::Write as _;

use super::yaml::Document;
use crate::{Fault, Fields};

/// Faults that are told of one file; who has more starts with these.
const FAULTS_MAX: usize = 100;

/// One thing that is wrong with a pack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct PackFault {
    /// From 1.
    pub line: usize,
    /// `tables.cards.tenant`; empty for the whole file.
    pub path: String,
    /// What was given and what is allowed.
    pub problem: String,
}

/// One line per fault: `pack.yaml:12: tables.cards.tenant: …`.
pub fn render_faults(file: &str, faults: &[PackFault]) -> String {
    faults.iter().fold(String::new(), |mut text, fault| {
        // Writing to a text cannot fail.
        _ = writeln!(text, "{file}:{}: {fault}", fault.line);
        text
    })
}

/// Collects faults, so that reading goes on after one.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.found.push(fault);
    }

    /// The value, or nothing and a fault more.
    pub(super) fn keep<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.add(fault)).ok()
    }

    /// To be called when every field that there may be was asked for.
    pub(super) fn unknown(&mut self, fields: Fields<'_>) {
        self.found.extend(fields.unknown());
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// With their lines, in the order of the file.
    pub(super) fn located(self, document: &Document, unread: Vec<PackFault>) -> Vec<PackFault> {
        let located = |fault: Fault| PackFault {
            line: document.line(&fault.path),
            path: fault.path,
            problem: fault.problem,
        };
        let mut faults: Vec<PackFault> =
            unread.into_iter().chain(self.found.into_iter().map(located)).collect();
        faults.sort_by_key(|fault| fault.line);
        faults.dedup();
        faults.truncate(FAULTS_MAX);
        faults
    }
}
