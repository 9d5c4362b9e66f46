//! What a simulated disk holds after the power is gone: of what was not synced, any part may be there,
//! in any order, cut anywhere. A seed decides.

use std::collections::BTreeMap;

/// splitmix64: small, seeded, the same everywhere. (Steele, Lea, Flood 2014.)
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `most`, both included.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        let choices = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        usize::try_from(self.next() % choices).unwrap_or(most)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }
}

/// A file's bytes as running programs see them and as the disk has them for certain.
#[derive(Debug, Default)]
pub(super) struct Contents {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Up to here the two are the same.
    shared_bytes: usize,
    /// A sync failed: the system has dropped what was to be written and calls it clean.
    sync_failed: bool,
}

impl Contents {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.current.extend_from_slice(bytes);
    }

    pub(super) fn truncate(&mut self, bytes: usize) {
        self.current.truncate(bytes);
        self.shared_bytes = self.shared_bytes.min(bytes);
    }

    pub(super) fn sync(&mut self) {
        if self.sync_failed {
            return;
        }
        self.durable.truncate(self.shared_bytes);
        self.durable.extend_from_slice(&self.current[self.shared_bytes..]);
        self.shared_bytes = self.durable.len();
    }

    pub(super) fn fail_sync(&mut self) {
        self.sync_failed = true;
    }

    /// The bytes rot on the disk: changed, and durable.
    pub(super) fn rot(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.current);
        self.durable.clone_from(&self.current);
        self.shared_bytes = self.durable.len();
    }

    /// The power goes.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let survived = match random.up_to(5) {
            0 => self.durable.clone(),
            1 => self.current.clone(),
            2 => self.torn_prefix(random),
            _ => self.scattered_sectors(random),
        };
        self.shared_bytes = survived.len();
        self.current.clone_from(&survived);
        self.durable = survived;
        self.sync_failed = false;
    }

    fn torn_prefix(&self, random: &mut Random) -> Vec<u8> {
        let unsynced = self.current.len() - self.shared_bytes;
        self.current[..self.shared_bytes + random.up_to(unsynced)].to_vec()
    }

    /// Each sector survives or not, one of them in part; where none was, zeros are.
    fn scattered_sectors(&self, random: &mut Random) -> Vec<u8> {
        let sector_bytes = if random.coin() { 512 } else { 4096 };
        let unsynced = self.current.len() - self.shared_bytes;
        let bytes = match random.up_to(2) {
            0 => self.shared_bytes + random.up_to(unsynced),
            _ => self.current.len(),
        };
        let mut survived = self.durable.clone();
        survived.resize(bytes.max(self.shared_bytes), 0);
        let first_sector = self.shared_bytes / sector_bytes;
        let torn_sector = first_sector + random.up_to(unsynced / sector_bytes);
        for sector in first_sector..survived.len().div_ceil(sector_bytes) {
            let start = sector * sector_bytes;
            let whole = survived.len().min(start + sector_bytes).min(self.current.len());
            let end = if sector == torn_sector { start + random.up_to(sector_bytes) } else { whole };
            let end = end.min(whole);
            if random.coin() && start < end {
                survived[start..end].copy_from_slice(&self.current[start..end]);
            }
        }
        survived
    }
}

/// A file, whatever it is called.
pub(super) type FileId = u64;

/// The names in a directory, as running programs see them and as the disk has them for certain.
#[derive(Debug, Default)]
pub(super) struct Directory {
    current: BTreeMap<String, FileId>,
    durable: BTreeMap<String, FileId>,
    unsynced: Vec<NameChange>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Added { name: String, file: FileId },
    Renamed { from: String, to: String, file: FileId },
    Removed { name: String },
}

impl Directory {
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.current.keys()
    }

    pub(super) fn get(&self, name: &str) -> Option<FileId> {
        self.current.get(name).copied()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = FileId> {
        self.current.values().chain(self.durable.values()).copied()
    }

    pub(super) fn add(&mut self, name: &str, file: FileId) {
        self.change(NameChange::Added { name: name.to_owned(), file });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, file: FileId) {
        self.change(NameChange::Renamed { from: from.to_owned(), to: to.to_owned(), file });
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.change(NameChange::Removed { name: name.to_owned() });
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.current);
        self.unsynced.clear();
    }

    /// The power goes: of the changes since the last sync all, none, the first few or any survive.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let changes = std::mem::take(&mut self.unsynced);
        let mut survived = self.durable.clone();
        let kept = match random.up_to(3) {
            0 => 0,
            1 => changes.len(),
            _ => random.up_to(changes.len()),
        };
        let any = random.coin();
        for (index, change) in changes.iter().enumerate() {
            if if any { random.coin() } else { index < kept } {
                change.apply(&mut survived);
            }
        }
        self.current.clone_from(&survived);
        self.durable = survived;
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Added { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Renamed { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Removed { name } => {
                names.remove(name);
            }
        }
    }
}
