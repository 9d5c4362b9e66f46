//! How the counts of sessions went, change by change: what they came to at any moment is what had changed until then.

use ebbtide_model::query::Dropoff;
use hashbrown::HashMap;

use super::durations::Durations;
use super::moments::Moments;
use super::starts::Start;
use crate::answer::Ending;
use crate::behaviour::dropoff::{Counts, Runs, Session, SessionRules, Shown};
use crate::behaviour::fold::{Actor, Fold, Run};
use crate::behaviour::key::OwnedKey;
use crate::behaviour::load::NO_CODE;
use crate::behaviour::standing::Prints;
use crate::behaviour::wire::wire;

/// After so many changes what they have come to is kept.
const BLOCK: usize = 2_048;

/// What changes at once, in bits: those of the steps that were reached; whether somebody was seen for the first
/// time; and for a session, how it was counted and how it is, as [`code_of`] tells.
type Change = u64;

const SOMEBODY: Change = 1 << 30;
/// Those who were at the steps, not sessions.
const OF_USER: Change = 1 << 31;
const BEFORE: u32 = 32;
const AFTER: u32 = 40;

/// A session that is not counted; one that is, as what: active, converted, or ended at a step.
fn code_of(ending: Option<Ending>) -> u64 {
    match ending {
        None => 0,
        Some(Ending::Active) => 1,
        Some(Ending::Converted) => 2,
        Some(Ending::Exited(step)) => 3 + u64::from(step),
    }
}

/// A change, when it was, and for how long thereafter its session was active, unless something came before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    at: i64,
    change: Change,
    active: u64,
}

/// Somebody was at some steps, by bit, perhaps at none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    user: u32,
    steps: u64,
    at: i64,
}

#[derive(Debug, Default)]
pub(super) struct Turns {
    turns: Vec<Turn>,
    seen: Vec<Seen>,
    /// Where runs are of actors: who is seen, by number.
    actors: Vec<OwnedKey>,
    starts: Vec<Start>,
}

wire!(Turn { at, change, active });
wire!(Seen { user, steps, at });
wire!(Turns { turns, seen, actors, starts });

/// Of each session, whatever changes.
#[derive(Debug)]
pub(super) struct CourseFold<'a> {
    pub(super) rules: SessionRules,
    pub(super) runs: Runs<'a>,
    pub(super) prints: &'a Prints,
}

impl CourseFold<'_> {
    /// A session's events.
    fn walk(&self, into: &mut Turns, run: Run<'_>, (actor, print): (u32, u64)) {
        let idle = self.rules.idle;
        let mut session: Option<Session> = None;
        let mut counted: (u64, Option<Ending>) = (0, None);
        for (index, at) in run.times.iter().enumerate() {
            let event = Session::begin(Shown::of_run(run, index));
            let known = match session.take() {
                Some(known) => known.joined(event),
                None => event,
            };
            let known = session.insert(known);
            let next = run.times.get(index + 1).copied();
            if next == Some(*at) {
                continue;
            }
            let ending = known.ending(self.rules, *at);
            let is_active = ending == Some(Ending::Active);
            let pause = next.map_or(u64::MAX, |next| next.abs_diff(*at));
            let change =
                (known.reached & !counted.0) | code_of(counted.1) << BEFORE | code_of(ending) << AFTER;
            let active = if is_active { pause.min(idle.unsigned_abs()) } else { 0 };
            // What has not changed counts as long as time may change it.
            if is_active || counted != (known.reached, ending) {
                into.turns.push(Turn { at: *at, change, active });
            }
            counted = (known.reached, ending);
            if is_active
                && pause > idle.unsigned_abs()
                && let Some(idle_at) = at.checked_add(idle)
            {
                let ending = known.ending(self.rules, idle_at);
                let change = code_of(counted.1) << BEFORE | code_of(ending) << AFTER;
                into.turns.push(Turn { at: idle_at, change, active: 0 });
                counted.1 = ending;
            }
        }
        self.see(into, run, (actor, print));
    }

    /// Who was in a session: from when on it was at a step.
    fn see(&self, into: &mut Turns, run: Run<'_>, (actor, print): (u32, u64)) {
        let steps_at = |index: usize| Shown::of_run(run, index).steps();
        let Some(placed) = (0..run.len()).find(|index| steps_at(*index) != 0) else { return };
        into.starts.push(Start {
            at: run.times[0],
            placed_at: run.times[placed],
            print: self.runs.told_apart(print),
        });
        let mut known = (NO_CODE, 0);
        for index in 0..run.len() {
            let user = match self.runs {
                Runs::Sessions(_) => run.value(index),
                Runs::Actors => actor,
            };
            let steps = steps_at(index);
            if user == NO_CODE || user == known.0 && steps & !known.1 == 0 {
                continue;
            }
            known = (user, if user == known.0 { known.1 | steps } else { steps });
            into.seen.push(Seen { user, steps, at: run.times[index].max(run.times[placed]) });
        }
    }
}

impl Fold for CourseFold<'_> {
    type State = Turns;

    fn fresh(&self) -> Turns {
        Turns::default()
    }

    fn take(&self, state: &mut Turns, actor: Actor<'_>, run: Run<'_>) {
        let [print, _] = self.prints.of(actor.tenant, actor.key);
        match self.runs {
            Runs::Sessions(_) => self.walk(state, run, (NO_CODE, print)),
            Runs::Actors => {
                let number = u32::try_from(state.actors.len()).unwrap_or(NO_CODE);
                state.actors.push(actor.key.to_owned());
                self.rules
                    .for_each_session(run, |events| self.walk(state, run.part(events), (number, print)));
            }
        }
    }

    fn merge(&self, into: &mut Turns, other: Turns) {
        let numbers = u32::try_from(into.actors.len()).unwrap_or(NO_CODE);
        into.turns.extend(other.turns);
        let renumbered = |seen: Seen| match self.runs {
            Runs::Sessions(_) => seen,
            Runs::Actors => Seen { user: seen.user.saturating_add(numbers), ..seen },
        };
        into.seen.extend(other.seen.into_iter().map(renumbered));
        into.actors.extend(other.actors);
        into.starts.extend(other.starts);
    }
}

/// Sessions and users up to a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) counts: Counts,
    pub(super) users: u64,
    /// By step.
    pub(super) users_at: Vec<u64>,
}

impl Sums {
    fn new(steps: usize) -> Self {
        Self { counts: Counts::of_steps(steps), users: 0, users_at: vec![0; steps] }
    }

    fn take(&mut self, change: Change) {
        let reached = change & (SOMEBODY - 1);
        if change & OF_USER != 0 {
            self.users += u64::from(change & SOMEBODY != 0);
            add_steps(&mut self.users_at, reached);
            return;
        }
        add_steps(&mut self.counts.reached, reached);
        let ending = |shift: u32| (change >> shift) & 0xFF;
        match ending(BEFORE) {
            0 => self.counts.sessions += u64::from(ending(AFTER) != 0),
            1 => {}
            2 => self.counts.converted -= 1,
            exited => step_of(&mut self.counts.exits, exited).into_iter().for_each(|count| *count -= 1),
        }
        match ending(AFTER) {
            0 | 1 => {}
            2 => self.counts.converted += 1,
            exited => step_of(&mut self.counts.exits, exited).into_iter().for_each(|count| *count += 1),
        }
    }
}

fn add_steps(counts: &mut [u64], mut steps: u64) {
    while steps != 0 {
        if let Some(count) = counts.get_mut(steps.trailing_zeros() as usize) {
            *count += 1;
        }
        steps &= steps - 1;
    }
}

fn step_of(exits: &mut [u64], code: u64) -> Option<&mut u64> {
    exits.get_mut(usize::try_from(code.checked_sub(3)?).ok()?)
}

/// All changes in the order of time.
#[derive(Debug)]
pub(super) struct Course {
    idle: u64,
    at: Moments,
    /// By change, which of the kinds it is.
    kinds_of: Vec<u16>,
    kinds: Vec<Change>,
    active: Durations,
    /// What each full block of changes, and all before it, have come to.
    sums: Vec<Sums>,
    steps: usize,
}

/// Gathers what changed in the events of several sources.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    pub(super) starts: Vec<Start>,
    turns: Vec<Turn>,
    seen: Vec<Seen>,
    /// Who is seen: by number those that events name, then others, each once.
    named: Vec<OwnedKey>,
    others: HashMap<OwnedKey, u32>,
}

impl Gathering {
    /// Of events that have a session of their own, who name their users by number.
    pub(super) fn take_sessions(&mut self, turns: Turns, users: &[OwnedKey]) {
        self.starts.extend(turns.starts);
        self.turns.extend(turns.turns);
        self.seen.extend(turns.seen);
        self.named = users.to_vec();
    }

    /// Of actors, after those of sessions.
    pub(super) fn take_actors(&mut self, turns: Turns) {
        let Self { named, others, .. } = self;
        let number = |actor: OwnedKey| match named.binary_search_by(|known| known.cmp_null_last(&actor)) {
            Ok(number) => u32::try_from(number).unwrap_or(NO_CODE),
            Err(_) => {
                let next = u32::try_from(named.len() + others.len()).unwrap_or(NO_CODE);
                *others.entry(actor).or_insert(next)
            }
        };
        let numbers: Vec<u32> = turns.actors.into_iter().map(number).collect();
        self.starts.extend(turns.starts);
        self.turns.extend(turns.turns);
        self.seen.extend(
            turns
                .seen
                .into_iter()
                .filter_map(|seen| Some(Seen { user: numbers.get(seen.user as usize).copied()?, ..seen })),
        );
    }

    /// When each user was seen first, and first at each step.
    fn see(&mut self) {
        self.seen.sort_unstable_by_key(|seen| seen.at);
        let mut known = vec![0_u64; self.named.len() + self.others.len()];
        let seen = std::mem::take(&mut self.seen);
        let turns = seen.into_iter().filter_map(|Seen { user, steps, at }| {
            let known = known.get_mut(user as usize)?;
            let new = (steps | SOMEBODY) & !*known;
            *known |= new;
            (new != 0).then_some(Turn { at, change: new | OF_USER, active: 0 })
        });
        self.turns.extend(turns);
    }
}

impl Course {
    /// `None` where there are too many kinds of changes.
    pub(super) fn of(mut gathered: Gathering, dropoff: &Dropoff) -> Option<Self> {
        let steps = dropoff.steps.len();
        gathered.see();
        let mut turns = gathered.turns;
        turns.sort_unstable_by_key(|turn| turn.at);
        let mut numbers: HashMap<Change, u16> = HashMap::new();
        let mut course = Self {
            idle: dropoff.idle.micros().unsigned_abs(),
            at: Moments::of(turns.iter().map(|turn| turn.at)),
            kinds_of: Vec::with_capacity(turns.len()),
            kinds: Vec::new(),
            active: Durations::of(turns.iter().map(|turn| turn.active)),
            sums: Vec::with_capacity(turns.len() / BLOCK),
            steps,
        };
        let mut sums = Sums::new(steps);
        for (place, turn) in turns.iter().enumerate() {
            let number = match numbers.get(&turn.change) {
                Some(number) => *number,
                None => {
                    let number = u16::try_from(course.kinds.len()).ok()?;
                    numbers.insert(turn.change, number);
                    course.kinds.push(turn.change);
                    number
                }
            };
            course.kinds_of.push(number);
            sums.take(turn.change);
            if (place + 1) % BLOCK == 0 {
                course.sums.push(sums.clone());
            }
        }
        Some(course)
    }

    /// What all that had changed by a moment came to.
    pub(super) fn sums(&self, moment: i64) -> Sums {
        let until = self.at.until(moment);
        let full = until / BLOCK;
        let before = full.checked_sub(1).and_then(|last| self.sums.get(last)).cloned();
        let mut sums = before.unwrap_or_else(|| Sums::new(self.steps));
        for kind in self.kinds_of.get(full * BLOCK..until).unwrap_or_default() {
            sums.take(self.kinds.get(usize::from(*kind)).copied().unwrap_or(0));
        }
        sums
    }

    /// When the first of the sessions that were active at a moment would be idle.
    pub(super) fn idle_at(&self, moment: i64) -> Option<i64> {
        let since = moment.checked_sub_unsigned(self.idle).map_or(0, |since| self.at.until(since));
        let places = since..self.at.until(moment);
        let mut moments = places.filter_map(|place| Some((self.at.at(place)?, self.active.at(place))));
        let (at, _) = moments.find(|(at, active)| *active > moment.abs_diff(*at))?;
        Some(at.saturating_add_unsigned(self.idle))
    }

    pub(super) fn bytes(&self) -> usize {
        let of_steps = 3 * self.steps * size_of::<u64>() + size_of::<Sums>();
        self.at.bytes()
            + size_of_val(&*self.kinds_of)
            + size_of_val(&*self.kinds)
            + self.active.bytes()
            + self.sums.len() * of_steps
    }
}
