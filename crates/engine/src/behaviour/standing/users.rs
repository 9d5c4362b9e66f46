//! Who was at which step, counted as they are seen.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;

use crate::behaviour::key::Key;

/// What stands for a tenant's key, whatever its length: 128 bits of two hashes with secrets of this process, so
/// that no two keys have the same one, by chance or by design.
pub(crate) type Print = [u64; 2];

#[derive(Debug, Default)]
pub(crate) struct Prints {
    hashers: [RandomState; 2],
}

impl Prints {
    pub(crate) fn of(&self, tenant: &str, key: Key<'_>) -> Print {
        [self.hashers[0].hash_one((tenant, key)), self.hashers[1].hash_one((tenant, key))]
    }

    /// `None`: nobody in particular.
    pub(crate) fn of_user(&self, tenant: &str, user: Key<'_>) -> Option<Print> {
        (user != Key::Null).then(|| self.of(tenant, user))
    }
}

#[derive(Debug)]
pub(super) struct Users {
    /// By bit: at which steps each was.
    seen: HashMap<Print, u64>,
    at: Vec<u64>,
}

impl Users {
    pub(super) fn new(steps: usize) -> Self {
        Self { seen: HashMap::new(), at: vec![0; steps] }
    }

    /// Somebody was at these steps, perhaps at none.
    pub(super) fn see(&mut self, user: Print, steps: u64) {
        let known = self.seen.entry(user).or_default();
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
        table_bytes::<u64>(self.seen.capacity())
    }
}

/// What a table by prints takes that has room for so many.
pub(super) fn table_bytes<T>(capacity: usize) -> usize {
    // One of eight places stays empty, and each has a byte besides.
    capacity * 8 / 7 * (size_of::<(Print, T)>() + 1)
}
