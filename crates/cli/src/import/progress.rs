//! A bar that shows how far an import is, on a terminal only.

use std::cell::Cell;
use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::files::PlannedFile;

pub(super) struct Progress {
    bar: ProgressBar,
    /// Bytes of the files that are over.
    bytes_before: Cell<u64>,
    /// Bytes read of the current file.
    bytes_file: Cell<u64>,
    rows: Cell<u64>,
}

impl Progress {
    pub(super) fn new(files: &[PlannedFile]) -> Self {
        let sizes = files.iter().filter_map(|file| std::fs::metadata(&file.path).ok());
        let bytes = sizes.map(|size| size.len()).sum();
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(bytes), target);
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {msg} rows  {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar, bytes_before: Cell::new(0), bytes_file: Cell::new(0), rows: Cell::new(0) }
    }

    pub(super) fn add(&self, rows: usize) {
        self.rows.set(self.rows.get() + u64::try_from(rows).unwrap_or(0));
        self.bar.set_message(self.rows.get().to_string());
    }

    pub(super) fn file_bytes(&self, bytes: u64) {
        self.bytes_file.set(bytes);
        self.bar.set_position(self.bytes_before.get() + bytes);
    }

    pub(super) fn file_over(&self) {
        self.bytes_before.set(self.bytes_before.get() + self.bytes_file.replace(0));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
