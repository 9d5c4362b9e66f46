//! The cohorts that a query names: who is in each, as sets that whole columns are put to.

use arrow::buffer::BooleanBuffer;
use ebbtide_model::query::{BoundQuery, CohortTest, Membership, bind};
use ebbtide_model::{CohortMode, Fault, Instant, Scope, nearest, selecting};
use ebbtide_store::Snapshot;
use hashbrown::{HashMap, HashSet};

use super::ask::{Depth, select_within};
use super::columns::Columns;
use super::key::{KeyColumn, OwnedKey};
use crate::cohorts::{SavedCohort, find_cohort, list_cohorts, members_of};
use crate::{EngineError, Interrupt};

/// By name.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    sets: HashMap<String, Set>,
}

#[derive(Debug, Default)]
struct Set {
    tenants: HashMap<Box<str>, HashSet<OwnedKey>>,
}

/// Whose rows, as of when.
pub(crate) struct Asked<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) scope: &'a Scope,
    pub(crate) as_of: Instant,
    pub(crate) interrupt: &'a dyn Interrupt,
    pub(crate) depth: Depth,
}

impl Memberships {
    /// `own_name` is what a member is called now, by its tenant, where it has become another's alias.
    pub(crate) fn load(
        asked: &Asked<'_>,
        query: &BoundQuery,
        own_name: &dyn Fn(&str, &OwnedKey) -> Option<OwnedKey>,
    ) -> Result<Self, EngineError> {
        let mut sets = HashMap::new();
        for test in query.sources.iter().flat_map(|source| source.cohort_tests()) {
            if sets.contains_key(&test.cohort) {
                continue;
            }
            let fault = |problem: String| Fault { path: test.path.clone(), problem };
            let Some(saved) = find_cohort(asked.snapshot, asked.scope, &test.cohort)? else {
                return Err(fault(unknown(asked, &test.cohort)?).into());
            };
            check_counted(&saved, query, test).map_err(fault)?;
            let members = match saved.cohort.mode {
                CohortMode::Static => members_of(asked.snapshot, asked.scope, &saved)?,
                CohortMode::Live => {
                    let depth = asked.depth.next().ok_or_else(|| {
                        fault(format!("{:?} was given; cohorts name one another too deeply", test.cohort))
                    })?;
                    let query = selecting(&saved.cohort.query);
                    // It has its own names of properties.
                    let texts = query.texts();
                    let snapshot = asked.snapshot.evolved(asked.scope, texts.iter().map(String::as_str));
                    let bound = bind(&query, snapshot.app()).map_err(|told| {
                        fault(format!("{:?} was given, whose query no longer fits: {told}", test.cohort))
                    })?;
                    let asked = Asked { depth, snapshot: &snapshot, ..*asked };
                    select_within(&asked, &bound, &saved.cohort.from)?
                }
            };
            let mut set = Set::default();
            for (tenant, key) in members.list {
                let key = own_name(&tenant, &key).unwrap_or(key);
                set.tenants.entry(tenant).or_default().insert(key);
            }
            sets.insert(test.cohort.clone(), set);
        }
        Ok(Self { sets })
    }

    pub(crate) fn evaluate(
        &self,
        test: &CohortTest,
        columns: &Columns<'_>,
    ) -> Result<BooleanBuffer, EngineError> {
        let keys = KeyColumn::of(columns.declared(test.column)?)?;
        let tenants = columns.tenant()?;
        let set = self.sets.get(&test.cohort);
        let mut last: Option<(i32, OwnedKey, bool)> = None;
        let mut is_in = |row: usize| {
            let (code, key) = (tenants.code(row), keys.at(row));
            if let Some((last_code, last_key, found)) = &last
                && *last_code == code
                && key.is(last_key)
            {
                return *found;
            }
            let key = key.to_owned();
            let own = set.and_then(|set| set.tenants.get(tenants.name(row)));
            let found = key != OwnedKey::Null && own.is_some_and(|own| own.contains(&key));
            last = Some((code, key, found));
            found
        };
        let found = BooleanBuffer::collect_bool(columns.rows(), &mut is_in);
        Ok(match test.membership {
            Membership::In => found,
            Membership::NotIn => !&found,
        })
    }
}

fn unknown(asked: &Asked<'_>, given: &str) -> Result<String, EngineError> {
    let known = list_cohorts(asked.snapshot, asked.scope)?;
    let hint = nearest(given, known.iter().map(|saved| saved.cohort.name.as_str()));
    let hint = hint.map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"));
    Ok(format!(
        "{given:?} was given, and there is no such cohort{hint}; `GET /v1/cohorts` lists those there are"
    ))
}

/// A cohort holds what its query counted.
fn check_counted(saved: &SavedCohort, query: &BoundQuery, test: &CohortTest) -> Result<(), String> {
    let (own, there) = (&query.query.aggregate_by, &saved.cohort.query.aggregate_by);
    let counted = |prop: &Option<String>| {
        prop.as_ref().map_or_else(|| "actors".to_owned(), |prop| format!("values of {prop:?}"))
    };
    if own != there {
        return Err(format!(
            "{:?} was given, which holds {}; allowed is one of {}, which this query counts",
            test.cohort,
            counted(there),
            counted(own)
        ));
    }
    if saved.column_type != test.column_type {
        return Err(format!(
            "{:?} was given, whose members are of type {}; those of this query are of type {}",
            test.cohort,
            saved.column_type.name(),
            test.column_type.name()
        ));
    }
    Ok(())
}
