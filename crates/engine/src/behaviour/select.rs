//! Which actors another fold counts in some place: each actor is folded by itself, and asked.

use super::fold::{Actor, Fold, Run};
use super::key::OwnedKey;

pub(crate) struct SelectFold<'a, F: Fold> {
    pub(crate) fold: &'a F,
    /// Whether an actor is meant, by the state that its events alone make.
    pub(crate) wanted: &'a (dyn Fn(&F::State) -> bool + Sync),
}

impl<F: Fold> Fold for SelectFold<'_, F> {
    type State = Vec<(Box<str>, OwnedKey)>;

    fn fresh(&self) -> Self::State {
        Vec::new()
    }

    fn take(&self, state: &mut Self::State, actor: Actor<'_>, run: Run<'_>) {
        let mut own = self.fold.fresh();
        self.fold.take(&mut own, actor, run);
        if (self.wanted)(&own) {
            state.push((Box::from(actor.tenant), actor.key.to_owned()));
        }
    }

    fn merge(&self, into: &mut Self::State, other: Self::State) {
        into.extend(other);
    }
}
