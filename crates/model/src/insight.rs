//! Rules by which rows become findings for people who read no tables. What is looked at and from which
//! number on it is told is said here; words are the pack's, and the arithmetic is the engine's.

/// How much a finding matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    High,
    Medium,
    Low,
    /// No finding: why there is none.
    Info,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::High, Self::Medium, Self::Low, Self::Info];

    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

/// From which number on a finding matters how much; at least one is there, and none is above a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    pub high: Option<f64>,
    pub medium: Option<f64>,
    pub low: Option<f64>,
}

impl Thresholds {
    /// `None`: below all of them, so it is no finding.
    pub fn severity(&self, measure: f64) -> Option<Severity> {
        let reached = |from: Option<f64>| from.is_some_and(|from| measure >= from);
        if reached(self.high) {
            Some(Severity::High)
        } else if reached(self.medium) {
            Some(Severity::Medium)
        } else if reached(self.low) {
            Some(Severity::Low)
        } else {
            None
        }
    }
}

/// How rows become findings.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightRule {
    pub kind: InsightKind,
    /// The columns that say what a row is about. A row in which one is null is passed over.
    pub key: Vec<String>,
    /// As many must be counted; fewer are too few to say anything.
    pub least: u64,
    /// Of several findings these many are told, the greatest.
    pub most: usize,
    /// Of what the kind measures.
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq)]
pub enum InsightKind {
    /// The row with the largest share. Measures percent.
    Largest { share: Share },
    /// Rows whose time is long beside another. Measures how many times as long.
    Slow {
        value: String,
        against: String,
        /// The column that says how many were measured; without it the data are always enough.
        count: Option<String>,
        /// A shorter time is never slow.
        floor: f64,
    },
    /// A group whose share differs from that of the others by more than chance allows. Measures points
    /// between the two, in percent.
    Differs {
        share: Share,
        /// The column of the key that names the group; groups are compared where the rest of the key is
        /// the same.
        group: String,
        when: Direction,
        /// The chance of even one finding where there is no difference, over all that is looked at.
        level: f64,
    },
    /// A row whose share has changed by more than chance allows. Measures points between the two.
    Changed { share: Share, before: Counted, when: Direction, level: f64 },
}

/// Columns with how many, out of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub part: String,
    pub whole: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// What the share is called in the evidence.
    pub name: String,
    pub part: String,
    /// `None`: the part of all rows together.
    pub whole: Option<String>,
}

/// Which difference is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The share is above what it is compared with.
    More,
    Less,
}

/// What stands behind a name in the evidence: of the others, and of the time before.
pub const OTHERS: &str = "_others";
pub const BEFORE: &str = "_before";
/// Points between two shares.
pub const DIFFERENCE: &str = "difference";
/// How many times as long.
pub const TIMES: &str = "times";
/// The parts of all rows together, where a share is one of them.
pub const TOTAL: &str = "total";

impl Share {
    /// The share, its part and its whole, as the evidence calls them.
    pub fn named(&self) -> [&str; 3] {
        [&self.name, &self.part, self.whole.as_deref().unwrap_or(TOTAL)]
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.part.as_str()).chain(self.whole.as_deref())
    }
}

impl InsightRule {
    /// The columns that hold numbers.
    pub fn numbers(&self) -> Vec<&str> {
        match &self.kind {
            InsightKind::Largest { share } | InsightKind::Differs { share, .. } => share.columns().collect(),
            InsightKind::Changed { share, before, .. } => {
                share.columns().chain([before.part.as_str(), before.whole.as_str()]).collect()
            }
            InsightKind::Slow { value, against, count, .. } => {
                [value.as_str(), against.as_str()].into_iter().chain(count.as_deref()).collect()
            }
        }
    }

    /// The names in the evidence of a finding, in its order.
    pub fn evidence(&self) -> Vec<String> {
        let mut names = self.key.clone();
        let beside = |share: &Share, suffix: &str| {
            let named = share.named();
            named
                .iter()
                .map(|name| (*name).to_owned())
                .chain(named.map(|name| format!("{name}{suffix}")))
                .collect::<Vec<_>>()
        };
        match &self.kind {
            InsightKind::Largest { share } => names.extend(share.named().map(str::to_owned)),
            InsightKind::Slow { value, against, count, .. } => {
                names.extend([value.clone(), against.clone(), TIMES.to_owned()]);
                names.extend(count.clone());
            }
            InsightKind::Differs { share, .. } => {
                names.extend(beside(share, OTHERS));
                names.push(DIFFERENCE.to_owned());
            }
            InsightKind::Changed { share, .. } => {
                names.extend(beside(share, BEFORE));
                names.push(DIFFERENCE.to_owned());
            }
        }
        names
    }

    /// Whether its findings rest on a test of significance.
    pub fn is_tested(&self) -> bool {
        matches!(self.kind, InsightKind::Differs { .. } | InsightKind::Changed { .. })
    }
}
