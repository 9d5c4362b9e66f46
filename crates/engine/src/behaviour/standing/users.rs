//! Who was at which step, counted as they are seen.

use hashbrown::{Equivalent, HashMap};

use crate::behaviour::key::{Key, OwnedKey};

/// A key of a tenant, which goes by its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OfTenant {
    pub(super) tenant: u32,
    pub(super) key: OwnedKey,
}

/// The same, before it is known whether it is new. Its hash is that of what it would be.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Asked<'k> {
    pub(super) tenant: u32,
    pub(super) key: Key<'k>,
}

impl Equivalent<OfTenant> for Asked<'_> {
    fn equivalent(&self, owned: &OfTenant) -> bool {
        self.tenant == owned.tenant && self.key.is(&owned.key)
    }
}

impl Asked<'_> {
    pub(super) fn to_owned(self) -> OfTenant {
        OfTenant { tenant: self.tenant, key: self.key.to_owned() }
    }
}

/// What an owned key takes besides itself.
pub(super) fn heap_bytes(key: Key<'_>) -> usize {
    // An allocation has some bytes of its own.
    if let Key::Text(text) = key { text.len() + 16 } else { 0 }
}

#[derive(Debug)]
pub(super) struct Users {
    /// By bit: at which steps each was.
    seen: HashMap<OfTenant, u64>,
    at: Vec<u64>,
    text_bytes: usize,
}

impl Users {
    pub(super) fn new(steps: usize) -> Self {
        Self { seen: HashMap::new(), at: vec![0; steps], text_bytes: 0 }
    }

    /// Somebody was at these steps, perhaps at none.
    pub(super) fn see(&mut self, user: Asked<'_>, steps: u64) {
        if user.key == Key::Null {
            return;
        }
        let known = match self.seen.get_mut(&user) {
            Some(known) => known,
            None => {
                self.text_bytes += heap_bytes(user.key);
                self.seen.entry(user.to_owned()).or_default()
            }
        };
        let new = steps & !*known;
        *known |= new;
        if new != 0 {
            let at = self.at.iter_mut().enumerate();
            at.filter(|(step, _)| new & (1 << step) != 0).for_each(|(_, count)| *count += 1);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// By step.
    pub(super) fn at(&self) -> &[u64] {
        &self.at
    }

    pub(super) fn bytes(&self) -> usize {
        self.seen.capacity() * (size_of::<(OfTenant, u64)>() + 1) + self.text_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_what_it_was_made_of() {
        let mut numbers: HashMap<OfTenant, usize> = HashMap::new();
        let keys = [Key::Null, Key::Int(0), Key::Int(-7), Key::Decimal(0), Key::Text(""), Key::Text("a")];
        let asked = |tenant| keys.iter().map(move |key| Asked { tenant, key: *key });
        for (number, asked) in asked(0).chain(asked(1)).enumerate() {
            assert_eq!(numbers.get(&asked), None, "{asked:?}");
            numbers.insert(asked.to_owned(), number);
        }
        for (number, asked) in asked(0).chain(asked(1)).enumerate() {
            assert_eq!(numbers.get(&asked), Some(&number), "{asked:?}");
        }
    }
}
