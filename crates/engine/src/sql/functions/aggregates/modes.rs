//! The modes of `window_funnel`, written as in `ClickHouse`.

use ebbtide_model::nearest;

/// How a mode is written, and the bit that stands for it.
const NAMES: [(&str, u8); 5] = [
    ("strict_once", Modes::ONCE),
    ("strict_order", Modes::ORDER),
    ("strict_increase", Modes::INCREASE),
    ("strict_deduplication", Modes::DEDUPLICATION),
    ("allow_reentry", Modes::REENTRY),
];

/// What modes may be wrong for. The text is for whoever wrote the statement.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ModeFault {
    #[error("window_funnel has no mode {given:?}{}; allowed are {}, with commas between", meant(.given), all())]
    Unknown { given: String },
    #[error("window_funnel's mode allow_reentry is only for strict_order, which is not given")]
    ReentryWithoutOrder,
}

fn all() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

fn meant(given: &str) -> String {
    // Its name until there was more than one that is strict.
    let known = if given == "strict" { Some("strict_deduplication") } else { None };
    let meant = known.or_else(|| nearest(given, NAMES.map(|(name, _)| name)));
    meant.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

/// Which modes are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modes(u8);

impl Modes {
    pub(super) const ONCE: u8 = 1;
    pub(super) const ORDER: u8 = 2;
    pub(super) const INCREASE: u8 = 4;
    pub(super) const DEDUPLICATION: u8 = 8;
    pub(super) const REENTRY: u8 = 16;

    /// Of names with commas between them; of nothing, none.
    pub(super) fn parse(text: &str) -> Result<Self, ModeFault> {
        const CHARS_MAX: usize = 60;
        let mut modes = 0;
        let named = if text.trim().is_empty() { None } else { Some(text) };
        for name in named.into_iter().flat_map(|text| text.split(',')).map(str::trim) {
            let known = NAMES.iter().find(|(known, _)| *known == name);
            let unknown = || ModeFault::Unknown { given: name.chars().take(CHARS_MAX).collect() };
            modes |= known.ok_or_else(unknown)?.1;
        }
        let modes = Self(modes);
        if modes.has(Self::REENTRY) && !modes.has(Self::ORDER) {
            return Err(ModeFault::ReentryWithoutOrder);
        }
        Ok(modes)
    }

    pub(super) fn has(self, mode: u8) -> bool {
        self.0 & mode != 0
    }

    /// Whether a row of which no condition holds says something.
    pub(super) fn tell_rows_between(self) -> bool {
        self.has(Self::ORDER)
    }
}
