//! What readers have made of a table's rows, such as a lookup of them all: kept beside the rows for as long as
//! they are the same, so that the next reader need not make it again.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ebbtide_model::Tenants;

/// What is kept of one table, at most.
const BYTES_MAX: usize = 128 << 20;
const KEPT_MAX: usize = 1_000;

/// The oldest first.
#[derive(Default)]
pub(crate) struct Derived {
    kept: Mutex<VecDeque<Kept>>,
    making: Mutex<Vec<Making>>,
}

/// Something that is being made.
struct Making {
    tenants: Tenants,
    what: String,
    turn: Weak<Mutex<()>>,
}

struct Kept {
    tenants: Tenants,
    what: String,
    /// Of the rows that it was made of.
    version: u64,
    bytes: usize,
    value: Arc<dyn Any + Send + Sync>,
}

impl Derived {
    pub(crate) fn find<T: Any + Send + Sync>(
        &self,
        tenants: &Tenants,
        what: &str,
        version: u64,
    ) -> Option<Arc<T>> {
        let kept = self.lock();
        let found = kept.iter().find(|kept| kept.is(tenants, what) && kept.version == version)?;
        found.value.clone().downcast().ok()
    }

    /// As [`Derived::find`], of whatever rows.
    pub(crate) fn find_any<T: Any + Send + Sync>(&self, tenants: &Tenants, what: &str) -> Option<Arc<T>> {
        let kept = self.lock();
        let found = kept.iter().find(|kept| kept.is(tenants, what))?;
        found.value.clone().downcast().ok()
    }

    /// In the place of what was made of earlier rows. Too large a value is not kept.
    pub(crate) fn keep<T: Any + Send + Sync>(
        &self,
        tenants: &Tenants,
        what: &str,
        version: u64,
        (value, bytes): (Arc<T>, usize),
    ) {
        let mut kept = self.lock();
        if kept.iter().any(|kept| kept.is(tenants, what) && kept.version > version) {
            return;
        }
        kept.retain(|kept| !kept.is(tenants, what));
        if bytes > BYTES_MAX {
            return;
        }
        let mut all: usize = bytes + kept.iter().map(|kept| kept.bytes).sum::<usize>();
        while all > BYTES_MAX || kept.len() >= KEPT_MAX {
            let Some(oldest) = kept.pop_front() else { break };
            all -= oldest.bytes;
        }
        kept.push_back(Kept { tenants: tenants.clone(), what: what.to_owned(), version, bytes, value });
    }

    /// What whoever makes something holds meanwhile, so that others who want the same need not make it, too.
    pub(crate) fn turn(&self, tenants: &Tenants, what: &str) -> Arc<Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.retain(|making| making.turn.strong_count() > 0);
        let known = making.iter().find(|making| making.tenants == *tenants && making.what == what);
        if let Some(turn) = known.and_then(|making| making.turn.upgrade()) {
            return turn;
        }
        let turn = Arc::default();
        let (tenants, what) = (tenants.clone(), what.to_owned());
        making.push(Making { tenants, what, turn: Arc::downgrade(&turn) });
        turn
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is(&self, tenants: &Tenants, what: &str) -> bool {
        self.tenants == *tenants && self.what == what
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Derived").field("kept", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use ebbtide_model::TenantId;

    use super::*;

    fn one(name: &str) -> Tenants {
        Tenants::One(TenantId::new(name))
    }

    #[test]
    fn what_was_made_of_the_same_rows_is_found_and_nothing_else_is() {
        let derived = Derived::default();
        derived.keep(&one("a"), "x", 5, (Arc::new(50_u32), 4));
        derived.keep(&Tenants::All, "x", 7, (Arc::new(70_u32), 4));
        let find = |tenants: &Tenants, what: &str, version| {
            derived.find::<u32>(tenants, what, version).map(|value| *value)
        };
        assert_eq!(find(&one("a"), "x", 5), Some(50));
        assert_eq!(find(&Tenants::All, "x", 7), Some(70));
        assert_eq!(find(&one("a"), "x", 6), None);
        assert_eq!(find(&one("b"), "x", 5), None);
        assert_eq!(find(&one("a"), "y", 5), None);
        assert!(derived.find::<i64>(&one("a"), "x", 5).is_none());
        assert_eq!(derived.find_any::<u32>(&one("a"), "x").as_deref(), Some(&50));
        assert!(derived.find_any::<u32>(&one("b"), "x").is_none());
        // A reader of earlier rows leaves what is made of later ones.
        derived.keep(&one("a"), "x", 4, (Arc::new(40_u32), 4));
        assert_eq!((find(&one("a"), "x", 4), find(&one("a"), "x", 5)), (None, Some(50)));
        derived.keep(&one("a"), "x", 6, (Arc::new(60_u32), 4));
        assert_eq!((find(&one("a"), "x", 5), find(&one("a"), "x", 6)), (None, Some(60)));
    }

    #[test]
    fn who_makes_the_same_takes_turns_and_others_do_not() {
        let derived = Derived::default();
        let turn = derived.turn(&one("a"), "x");
        assert!(Arc::ptr_eq(&turn, &derived.turn(&one("a"), "x")));
        assert!(!Arc::ptr_eq(&turn, &derived.turn(&one("b"), "x")));
        assert!(!Arc::ptr_eq(&turn, &derived.turn(&one("a"), "y")));
        drop(turn);
        derived.turn(&Tenants::All, "x");
        assert_eq!(derived.making.lock().unwrap().len(), 1);
    }

    #[test]
    fn the_oldest_goes_where_there_is_no_room() {
        let derived = Derived::default();
        derived.keep(&one("a"), "x", 1, (Arc::new(1_u8), BYTES_MAX / 2));
        derived.keep(&one("b"), "x", 1, (Arc::new(2_u8), BYTES_MAX / 2));
        derived.keep(&one("c"), "x", 1, (Arc::new(3_u8), 1));
        derived.keep(&one("d"), "x", 1, (Arc::new(4_u8), BYTES_MAX + 1));
        let found = ["a", "b", "c", "d"].map(|name| derived.find::<u8>(&one(name), "x", 1).is_some());
        assert_eq!(found, [false, true, true, false]);
        (0..2 * KEPT_MAX).for_each(|number| {
            derived.keep(&one(&number.to_string()), "x", 1, (Arc::new(1_u8), 1));
        });
        assert_eq!(derived.lock().len(), KEPT_MAX);
    }
}
