//! How long things lasted, in four bytes each where none is longer.

#[derive(Debug)]
pub(super) enum Durations {
    Short(Vec<u32>),
    Long(Vec<u64>),
}

impl Durations {
    pub(super) fn of(all: impl Iterator<Item = u64> + Clone) -> Self {
        match all.clone().map(|duration| u32::try_from(duration).ok()).collect() {
            Some(short) => Self::Short(short),
            None => Self::Long(all.collect()),
        }
    }

    pub(super) fn at(&self, place: usize) -> u64 {
        match self {
            Self::Short(all) => all.get(place).copied().map_or(0, u64::from),
            Self::Long(all) => all.get(place).copied().unwrap_or(0),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Short(all) => size_of_val(&**all),
            Self::Long(all) => size_of_val(&**all),
        }
    }
}
