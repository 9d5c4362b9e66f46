//! Which names are one actor, as new aliases join them: each set under one actor, so that every name is one
//! step from it.

use ebbtide_model::{AliasTable, Scope, TenantId};
use ebbtide_store::Snapshot;
use hashbrown::HashMap;

use super::Aliases;
use crate::EngineError;

/// The names of a tenant's actors, where those are texts.
#[derive(Clone, Debug, Default)]
pub struct AliasSets {
    /// From each alias to its actor, which is none itself.
    actors: HashMap<Box<str>, Box<str>>,
    /// From each actor that has some to its aliases.
    aliases: HashMap<Box<str>, Vec<Box<str>>>,
}

/// What an alias may bring with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Nothing: it is no actor with aliases, and no alias of another actor.
    Fresh,
    /// All names that it is one actor with.
    Forced,
}

/// Why an alias does not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRefused {
    Itself,
    BelongsToAnother,
    HasAliases,
}

impl AliasSets {
    /// As the snapshot has them.
    pub fn load(
        snapshot: &Snapshot,
        scope: &Scope,
        table: &AliasTable,
        tenant: &TenantId,
    ) -> Result<Self, EngineError> {
        let all = Aliases::load(snapshot, scope, table)?;
        let own = all.tenants.get(tenant.as_str()).map(|own| own.texts.clone());
        Ok(Self::of(own.unwrap_or_default()))
    }

    fn of(actors: HashMap<Box<str>, Box<str>>) -> Self {
        let mut aliases: HashMap<Box<str>, Vec<Box<str>>> = HashMap::new();
        for (alias, actor) in &actors {
            aliases.entry(actor.clone()).or_default().push(alias.clone());
        }
        Self { actors, aliases }
    }

    fn actor_of<'n>(&'n self, name: &'n str) -> &'n str {
        self.actors.get(name).map_or(name, AsRef::as_ref)
    }

    fn has_aliases(&self, actor: &str) -> bool {
        self.aliases.contains_key(actor)
    }

    /// Joins an alias to an actor, or to the actor that this name is itself an alias of. The rows that say
    /// so, alias and actor; none where the two were one before.
    ///
    /// A forced join of an actor to a name of its own puts that name in its place.
    pub fn join(
        &mut self,
        alias: &str,
        actor: &str,
        join: Join,
    ) -> Result<Vec<(Box<str>, Box<str>)>, JoinRefused> {
        if alias == actor {
            return Err(JoinRefused::Itself);
        }
        let (from, to) = (Box::<str>::from(self.actor_of(alias)), Box::<str>::from(self.actor_of(actor)));
        let is_own_alias = from == to && *from == *alias;
        if from == to && !is_own_alias {
            return Ok(Vec::new());
        }
        if join == Join::Fresh {
            if *from != *alias {
                return Err(JoinRefused::BelongsToAnother);
            }
            if self.has_aliases(alias) {
                return Err(JoinRefused::HasAliases);
            }
        }
        let to = if is_own_alias { Box::from(actor) } else { to };
        let mut names = self.aliases.remove(&from).unwrap_or_default();
        names.push(from);
        names.retain(|name| *name != to);
        names.sort_unstable();
        self.actors.remove(&to);
        for name in &names {
            self.actors.insert(name.clone(), to.clone());
        }
        let mut rows: Vec<(Box<str>, Box<str>)> =
            names.iter().map(|name| (name.clone(), to.clone())).collect();
        if is_own_alias {
            // The row that made an alias of it says no more.
            rows.push((to.clone(), to.clone()));
        }
        self.aliases.entry(to).or_default().append(&mut names);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use JoinRefused::{BelongsToAnother, HasAliases, Itself};

    fn known() -> AliasSets {
        // ann has two other names, bob has one.
        let pairs = [("a1", "ann"), ("a2", "ann"), ("b1", "bob")];
        AliasSets::of(pairs.into_iter().map(|(alias, actor)| (alias.into(), actor.into())).collect())
    }

    fn rows(found: Vec<(Box<str>, Box<str>)>) -> Vec<(String, String)> {
        found.into_iter().map(|(alias, actor)| (alias.into_string(), actor.into_string())).collect()
    }

    #[test]
    fn an_alias_joins_unless_it_has_aliases_or_belongs_to_another() {
        let check = |alias: &str, actor: &str, join, want: Result<&[(&str, &str)], JoinRefused>| {
            let want = want.map(|want| {
                want.iter()
                    .map(|(alias, actor)| ((*alias).to_owned(), (*actor).to_owned()))
                    .collect::<Vec<_>>()
            });
            assert_eq!(known().join(alias, actor, join).map(rows), want, "{alias} {actor} {join:?}");
        };
        check("x", "ann", Join::Fresh, Ok(&[("x", "ann")]));
        check("x", "y", Join::Fresh, Ok(&[("x", "y")]));
        check("x", "a1", Join::Fresh, Ok(&[("x", "ann")]));
        check("a1", "ann", Join::Fresh, Ok(&[]));
        check("a1", "a2", Join::Fresh, Ok(&[]));
        check("x", "x", Join::Forced, Err(Itself));
        check("a1", "bob", Join::Fresh, Err(BelongsToAnother));
        check("a1", "y", Join::Fresh, Err(BelongsToAnother));
        check("ann", "bob", Join::Fresh, Err(HasAliases));
        check("ann", "a1", Join::Fresh, Err(HasAliases));
        check("a1", "bob", Join::Forced, Ok(&[("a1", "bob"), ("a2", "bob"), ("ann", "bob")]));
        check("ann", "b1", Join::Forced, Ok(&[("a1", "bob"), ("a2", "bob"), ("ann", "bob")]));
        check("ann", "y", Join::Forced, Ok(&[("a1", "y"), ("a2", "y"), ("ann", "y")]));
        check("ann", "a1", Join::Forced, Ok(&[("a2", "a1"), ("ann", "a1"), ("a1", "a1")]));
        check("x", "ann", Join::Forced, Ok(&[("x", "ann")]));
    }

    #[test]
    fn what_joined_is_one_actor_for_the_next() {
        let mut sets = known();
        sets.join("a1", "bob", Join::Forced).unwrap();
        assert_eq!(sets.join("a2", "b1", Join::Fresh).map(rows), Ok(Vec::new()));
        assert_eq!(sets.join("ann", "z", Join::Fresh), Err(BelongsToAnother));
        assert_eq!(sets.join("bob", "z", Join::Fresh), Err(HasAliases));
        sets.join("bob", "a1", Join::Forced).unwrap();
        assert!(["ann", "a1", "a2", "b1", "bob"].iter().all(|name| sets.actor_of(name) == "a1"));
        assert_eq!(sets.join("x", "bob", Join::Fresh).map(rows), Ok(vec![("x".to_owned(), "a1".to_owned())]));
    }
}
