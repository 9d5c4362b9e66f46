//! Sessions that take events one by one, in any order, and what they come to at a moment that goes on.

use hashbrown::HashMap;

use super::ended::Ended;
use super::users::{Print, Users, table_bytes};
use super::wheel::Wheel;
use crate::answer::Ending;
use crate::behaviour::dropoff::{Counts, Session, SessionRules, Shown};

/// What each of those takes who wait for a place.
const WAITING_BYTES: usize = 64;

#[derive(Debug)]
pub(super) struct Sessions {
    rules: SessionRules,
    now: i64,
    slots: Vec<Slot>,
    /// Slots of sessions that were joined with others.
    free: Vec<u32>,
    by_id: HashMap<Print, u32>,
    /// Those with an id that have been idle, and are in no slot; their counts are as they were.
    ended: Ended,
    /// Of actors whose events have no session of their own, each ascending in time.
    by_actor: HashMap<Print, Vec<u32>>,
    /// Who was in sessions that were at none of the steps yet.
    waiting: HashMap<u32, Vec<Print>>,
    waiting_count: usize,
    counts: Counts,
    users: Users,
    /// When active ones will be idle.
    wheel: Wheel,
    /// When others with an id will be, and may leave their slots.
    leaving: Wheel,
}

#[derive(Debug)]
struct Slot {
    /// `None`: it was joined with another, or has left.
    session: Option<Session>,
    /// Its own, where it has one.
    id: Option<Print>,
    /// As what it is counted; `None`: it is not.
    counted: Option<Ending>,
    /// Whether the wheel has a timer of it.
    is_timed: bool,
    /// And that of those that may leave.
    may_leave: bool,
}

impl Sessions {
    pub(super) fn new(rules: SessionRules, steps: usize) -> Self {
        Self {
            rules,
            now: i64::MIN,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            ended: Ended::new(),
            by_actor: HashMap::new(),
            waiting: HashMap::new(),
            waiting_count: 0,
            counts: Counts::of_steps(steps),
            users: Users::new(steps),
            wheel: Wheel::new(rules.idle),
            leaving: Wheel::new(rules.idle),
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    /// Time has passed: sessions that have become idle have ended.
    pub(super) fn pass_to(&mut self, now: i64) {
        self.now = now;
        self.wheel.turn_to(now);
        self.leaving.turn_to(now);
        while let Some((_, slot)) = self.wheel.due(now) {
            self.look_again(slot);
        }
        self.make_room();
    }

    /// Sessions that have been idle leave their slots. No event may be added after that has arrived before one that
    /// is in here.
    pub(super) fn make_room(&mut self) {
        while let Some((_, slot)) = self.leaving.due(self.now) {
            self.let_leave(slot);
        }
    }

    fn let_leave(&mut self, slot: u32) {
        let Some(known) = self.slots.get_mut(slot as usize) else { return };
        known.may_leave = false;
        if let (Some(session), Some(id)) = (&known.session, known.id) {
            let idle_at = session.idle_at(self.rules);
            if idle_at > self.now {
                // One that is active by now is timed as such.
                if known.counted.is_some_and(|ending| ending != Ending::Active) {
                    known.may_leave = true;
                    self.leaving.add((idle_at, slot));
                }
                return;
            }
            if !self.ended.put(id, session) {
                return;
            }
            self.by_id.remove(&id);
            (known.session, known.counted, known.id) = (None, None, None);
        }
        self.free_if_untimed(slot);
    }

    /// A slot that is empty is taken anew once no timer is of it.
    fn free_if_untimed(&mut self, slot: u32) {
        let is_free = |slot: &Slot| slot.session.is_none() && !slot.is_timed && !slot.may_leave;
        if self.slots.get(slot as usize).is_some_and(is_free) {
            self.free.push(slot);
        }
    }

    /// When the first of the active ones will be idle.
    pub(super) fn idle_at(&mut self) -> Option<i64> {
        while let Some((due, slot)) = self.wheel.first() {
            let known = self.slots.get(slot as usize);
            let is_active = known.is_some_and(|slot| slot.counted == Some(Ending::Active));
            let session = known.and_then(|slot| slot.session.as_ref()).filter(|_| is_active);
            if session.is_some_and(|session| session.idle_at(self.rules) == due) {
                return Some(due);
            }
            self.wheel.take_first();
            self.look_again(slot);
        }
        None
    }

    /// A timer was taken: its session is counted as what it is by now, and timed again where it is active.
    fn look_again(&mut self, slot: u32) {
        let Some(known) = self.slots.get_mut(slot as usize) else { return };
        known.is_timed = false;
        match known.session.clone() {
            Some(session) => self.put(slot, session),
            None => self.free_if_untimed(slot),
        }
    }

    /// An event of a session that has an id. It is not later than the moment.
    pub(super) fn add_to_session(&mut self, id: Print, user: Option<Print>, event: Shown) {
        let slot = match self.by_id.get(&id) {
            Some(slot) => *slot,
            None => {
                let slot = self.vacancy(Some(id));
                self.by_id.insert(id, slot);
                self.come_back(slot, id);
                slot
            }
        };
        let session = self.joined(slot, Session::begin(event));
        let is_placed = session.is_placed();
        self.put(slot, session);
        if !is_placed {
            let waiting = self.waiting.entry(slot).or_default();
            if let Some(user) = user.filter(|user| !waiting.contains(user)) {
                waiting.push(user);
                self.waiting_count += 1;
            }
            return;
        }
        if let Some(user) = user {
            self.users.see(user, event.steps());
        }
        if let Some(waited) = self.waiting.remove(&slot) {
            self.waiting_count -= waited.len();
            waited.into_iter().for_each(|user| self.users.see(user, 0));
        }
    }

    /// A session that had left is in a slot again, if it is there, as what it was counted all the time.
    fn come_back(&mut self, slot: u32, id: Print) {
        let Some(session) = self.ended.take(id) else { return };
        if let Some(known) = self.slots.get_mut(slot as usize) {
            known.counted = session.ending(self.rules, self.now);
            known.session = Some(session);
        }
    }

    /// An event of an actor's that has no session of its own. It may lie between two, and make them one.
    pub(super) fn add_to_actor(&mut self, actor: Print, event: Shown) {
        let event = Session::begin(event);
        let own = self.by_actor.get(&actor).map_or(&[][..], Vec::as_slice);
        let session = |slot: &u32| self.slots.get(*slot as usize).and_then(|slot| slot.session.as_ref());
        let ended = |slot: &u32| {
            session(slot).is_none_or(|session| self.rules.are_apart(session.last(), event.started))
        };
        let begun = |slot: &u32| {
            session(slot).is_some_and(|session| !self.rules.are_apart(event.started, session.started))
        };
        let first = own.partition_point(ended);
        let count = own[first..].iter().take_while(|slot| begun(slot)).count();
        let joins: Vec<u32> = own[first..first + count].to_vec();
        let mut joined = event;
        for slot in &joins {
            joined = self.joined(*slot, joined);
        }
        let (slot, others) = match joins.split_first() {
            Some((slot, others)) => (*slot, others),
            None => (self.vacancy(None), &[][..]),
        };
        others.iter().for_each(|other| self.vacate(*other));
        if joined.is_placed() {
            self.users.see(actor, joined.reached);
        }
        self.put(slot, joined);
        self.by_actor.entry(actor).or_default().splice(first..first + count, [slot]);
    }

    /// A session with what is in a slot.
    fn joined(&self, slot: u32, session: Session) -> Session {
        match self.slots.get(slot as usize).and_then(|slot| slot.session.clone()) {
            Some(known) => known.joined(session),
            None => session,
        }
    }

    /// An empty slot, for a session that has an id or none.
    fn vacancy(&mut self, id: Option<Print>) -> u32 {
        let empty = Slot { session: None, id, counted: None, is_timed: false, may_leave: false };
        if let Some(slot) = self.free.pop()
            && let Some(known) = self.slots.get_mut(slot as usize)
        {
            *known = empty;
            return slot;
        }
        self.slots.push(empty);
        // There are fewer than there can be rows in memory.
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    fn vacate(&mut self, slot: u32) {
        let Some(known) = self.slots.get_mut(slot as usize) else { return };
        if let (Some(session), Some(ending)) = (&known.session, known.counted) {
            self.counts.remove(session.reached, ending);
        }
        (known.session, known.counted) = (None, None);
        // Else its timer frees it.
        self.free_if_untimed(slot);
    }

    /// Counts a session as what it is at the moment, in the place of what the slot had.
    fn put(&mut self, slot: u32, session: Session) {
        let Some(known) = self.slots.get_mut(slot as usize) else { return };
        if let (Some(session), Some(ending)) = (&known.session, known.counted) {
            self.counts.remove(session.reached, ending);
        }
        known.counted = session.ending(self.rules, self.now);
        if let Some(ending) = known.counted {
            self.counts.add(session.reached, ending);
            let timer = (session.idle_at(self.rules), slot);
            let is_active = ending == Ending::Active;
            if is_active && !known.is_timed {
                known.is_timed = true;
                self.wheel.add(timer);
            } else if !is_active && known.id.is_some() && !known.may_leave {
                known.may_leave = true;
                self.leaving.add(timer);
            }
        }
        known.session = Some(session);
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.free.capacity() * size_of::<u32>()
            + table_bytes::<u32>(self.by_id.capacity())
            + self.ended.bytes()
            + table_bytes::<Vec<u32>>(self.by_actor.capacity())
            // Each slot that has no id stands in the list of an actor.
            + self.slots.len().saturating_sub(self.by_id.len()) * 4 * size_of::<u32>()
            + (self.waiting.capacity() + self.waiting_count) * WAITING_BYTES
            + self.users.bytes()
            + self.wheel.bytes()
            + self.leaving.bytes()
    }
}
