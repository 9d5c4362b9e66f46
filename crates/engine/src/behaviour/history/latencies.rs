//! How long something took at a step, in the order of time: what it came to at any moment.

use ebbtide_model::query::BoundQuery;

use super::moments::Moments;
use crate::behaviour::dropoff::Moment;
use crate::behaviour::fold::{Actor, Fold, Run};
use crate::behaviour::latency::Took;
use crate::behaviour::load::Number;
use crate::behaviour::wire::wire;
use crate::exact::ExactSum;

/// After so many numbers their sum is kept.
const BLOCK: usize = 1_024;

/// Numbers by step, and when they were.
#[derive(Debug)]
pub(super) struct Gathered {
    by_step: Vec<Vec<(i64, u64, Number)>>,
}

wire!(Gathered { by_step });

#[derive(Debug)]
pub(super) struct LatencyCourseFold {
    pub(super) steps: usize,
}

impl Fold for LatencyCourseFold {
    type State = Gathered;

    fn fresh(&self) -> Gathered {
        Gathered { by_step: vec![Vec::new(); self.steps] }
    }

    fn take(&self, state: &mut Gathered, _: Actor<'_>, run: Run<'_>) {
        for index in 0..run.len() {
            let Some(number) = run.numbers.get(index).copied().flatten() else { continue };
            let (at, arrival): Moment = (run.times[index], run.arrivals.get(index).copied().unwrap_or(0));
            let steps = run.marks[index] >> BoundQuery::STEP;
            for (step, numbers) in state.by_step.iter_mut().enumerate() {
                if steps & (1 << step) != 0 {
                    numbers.push((at, arrival, number));
                }
            }
        }
    }

    fn merge(&self, into: &mut Gathered, other: Gathered) {
        into.by_step.iter_mut().zip(other.by_step).for_each(|(own, theirs)| own.extend(theirs));
    }
}

/// Of one latency, by step.
#[derive(Debug)]
pub(super) struct LatencyCourse(Vec<OfStep>);

#[derive(Debug)]
struct OfStep {
    at: Moments,
    numbers: Numbers,
    /// Of each full block, and all before it.
    sums: Vec<ExactSum>,
}

/// Numbers of one type, as small as they are.
#[derive(Debug)]
enum Numbers {
    Int(Vec<i64>),
    Short(Vec<f32>),
    Float(Vec<f64>),
    Any(Vec<Number>),
}

impl Numbers {
    fn of(all: &[(i64, u64, Number)]) -> Self {
        let all = || all.iter().map(|(.., number)| *number);
        let ints = all().map(|number| if let Number::Int(value) = number { Some(value) } else { None });
        if let Some(ints) = ints.collect() {
            return Self::Int(ints);
        }
        let floats = all().map(|number| if let Number::Float(value) = number { Some(value) } else { None });
        let Some(floats) = floats.collect::<Option<Vec<f64>>>() else { return Self::Any(all().collect()) };
        match floats.iter().map(|value| short(*value)).collect() {
            Some(short) => Self::Short(short),
            None => Self::Float(floats),
        }
    }

    fn at(&self, place: usize) -> Option<Number> {
        match self {
            Self::Int(all) => all.get(place).copied().map(Number::Int),
            Self::Short(all) => all.get(place).copied().map(f64::from).map(Number::Float),
            Self::Float(all) => all.get(place).copied().map(Number::Float),
            Self::Any(all) => all.get(place).copied(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Int(all) => size_of_val(&**all),
            Self::Short(all) => size_of_val(&**all),
            Self::Float(all) => size_of_val(&**all),
            Self::Any(all) => size_of_val(&**all),
        }
    }
}

/// The same number in half the bytes, where there is one.
fn short(value: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "it is looked at whether it is the same number")]
    let short = value as f32;
    (f64::from(short).to_bits() == value.to_bits()).then_some(short)
}

impl LatencyCourse {
    /// Of no numbers.
    pub(super) fn none(steps: usize) -> Self {
        Self::of(LatencyCourseFold { steps }.fresh())
    }

    pub(super) fn of(gathered: Gathered) -> Self {
        let of_step = |mut all: Vec<(i64, u64, Number)>| {
            all.sort_unstable_by_key(|(at, arrival, _)| (*at, *arrival));
            let (mut sum, mut sums) = (ExactSum::default(), Vec::with_capacity(all.len() / BLOCK));
            for (place, (.., number)) in all.iter().enumerate() {
                sum.add(number.exact());
                if (place + 1) % BLOCK == 0 {
                    sums.push(sum.clone());
                }
            }
            OfStep { at: Moments::of(all.iter().map(|(at, ..)| *at)), numbers: Numbers::of(&all), sums }
        };
        Self(gathered.by_step.into_iter().map(of_step).collect())
    }

    /// By step, what it came to.
    pub(super) fn took(&self, moment: i64) -> Vec<Took> {
        self.0.iter().map(|of_step| of_step.took(moment)).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        let bytes = |of_step: &OfStep| {
            let sums: usize = of_step.sums.iter().map(|sum| size_of::<ExactSum>() + sum.heap_bytes()).sum();
            of_step.at.bytes() + of_step.numbers.bytes() + sums
        };
        self.0.iter().map(bytes).sum()
    }
}

impl OfStep {
    fn took(&self, moment: i64) -> Took {
        let until = self.at.until(moment);
        let full = until / BLOCK;
        let before = full.checked_sub(1).and_then(|last| self.sums.get(last)).cloned();
        let mut sum = before.unwrap_or_default();
        for number in (full * BLOCK..until).filter_map(|place| self.numbers.at(place)) {
            sum.add(number.exact());
        }
        let latest =
            until.checked_sub(1).and_then(|last| Some((self.at.at(last)?, 0, self.numbers.at(last)?)));
        Took { sum, count: until as u64, latest }
    }
}
