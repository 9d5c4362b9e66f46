//! Where each row of an import stood in its file, as runs: rows are refused long after they were read,
//! and a number for each of ten million rows would be too much to keep.

/// Row numbers of an import → lines of its file.
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// (first row, its line): rows from here have the following lines, up to the next run.
    runs: Vec<(u64, u64)>,
    rows: u64,
}

impl Positions {
    pub(super) fn extend(&mut self, lines: &[u64]) {
        for &line in lines {
            let continues = self.runs.last().is_some_and(|(row, first)| first + (self.rows - row) == line);
            if !continues {
                self.runs.push((self.rows, line));
            }
            self.rows += 1;
        }
    }

    /// The line of a row; 0 for one that was never there.
    pub(super) fn line(&self, row: usize) -> u64 {
        let row = u64::try_from(row).unwrap_or(u64::MAX);
        let after = self.runs.partition_point(|(first, _)| *first <= row);
        match after.checked_sub(1).map(|index| self.runs[index]) {
            Some((first, line)) if row < self.rows => line + (row - first),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_finds_its_line() {
        let mut positions = Positions::default();
        let lines: Vec<u64> = (2..500).filter(|line| line % 7 != 0).collect();
        for part in lines.chunks(31) {
            positions.extend(part);
        }
        let got: Vec<u64> = (0..lines.len()).map(|row| positions.line(row)).collect();
        assert_eq!(got, lines);
        assert_eq!(positions.line(lines.len()), 0);
        assert!(positions.runs.len() < 100);
    }
}
