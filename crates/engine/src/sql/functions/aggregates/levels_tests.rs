//! Levels against an oracle that keeps every chain.

use super::*;

/// A chain's rows, by their places.
type Chain = Vec<usize>;

/// The level by the rules as they are written, over all chains that there are.
fn oracle(rules: &Rules, rows: &[Row]) -> usize {
    let has = |mode| rules.modes.has(mode);
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    let rows = &sorted[..];
    let mut chains: Vec<Vec<Chain>> = vec![Vec::new(); rules.conditions];
    let deepest =
        |chains: &[Vec<Chain>]| chains.iter().rposition(|some| !some.is_empty()).map_or(0, |at| at + 1);
    let mut times: Vec<i64> = rows.iter().map(|row| row.micros).collect();
    times.dedup();
    for micros in times {
        let now = |row: &&usize| rows[**row].micros == micros;
        let together: Vec<usize> = (0..rows.len()).collect::<Vec<_>>().iter().filter(now).copied().collect();
        let between = together.iter().any(|row| rows[*row].held == 0);
        if has(Modes::ORDER) && between && !chains[0].is_empty() {
            return deepest(&chains);
        }
        for condition in 0..rules.conditions {
            let meeting: Vec<usize> =
                together.iter().copied().filter(|row| rows[*row].held >> condition & 1 == 1).collect();
            if meeting.is_empty() {
                continue;
            }
            if condition == 0 {
                chains[0].extend(meeting.iter().map(|row| vec![*row]));
                continue;
            }
            if has(Modes::DEDUPLICATION) && !chains[condition].is_empty() {
                return deepest(&chains);
            }
            if has(Modes::ORDER) && !chains[0].is_empty() && chains[condition - 1].is_empty() {
                if has(Modes::REENTRY) {
                    continue;
                }
                return chains.iter().position(Vec::is_empty).unwrap();
            }
            let known = &chains[condition - 1];
            // Where each step goes on from the latest chain alone, that is the only one.
            let known = if has(Modes::ONCE) { &known[..] } else { &known[known.len().saturating_sub(1)..] };
            let grown = |row: &usize| -> Vec<Chain> {
                let row = *row;
                let fits = |chain: &&Chain| {
                    micros <= rows_first(rows, chain).saturating_add(rules.window_micros)
                        && (!has(Modes::ONCE) || !chain.contains(&row))
                        && (!has(Modes::INCREASE) || rows[*chain.last().unwrap()].micros < micros)
                };
                known.iter().filter(fits).map(|chain| [&chain[..], &[row]].concat()).collect()
            };
            let grown: Vec<Vec<Chain>> = meeting.iter().map(grown).collect();
            let ends = grown.iter().filter(|chains| !chains.is_empty()).count();
            chains[condition].extend(grown.into_iter().flatten());
            if condition + 1 == rules.conditions && ends > 0 {
                return rules.conditions;
            }
            if has(Modes::DEDUPLICATION) && ends > 1 {
                return deepest(&chains);
            }
        }
    }
    deepest(&chains)
}

fn rows_first(rows: &[Row], chain: &Chain) -> i64 {
    rows[chain[0]].micros
}

/// The longest chain by the definition alone, where no mode ends a search: rows in order of time that meet
/// the conditions one after the other.
fn longest(rules: &Rules, rows: &[Row], chain: &mut Chain) -> usize {
    let depth = chain.len();
    if depth == rules.conditions {
        return depth;
    }
    let mut best = depth;
    for (place, row) in rows.iter().enumerate() {
        let follows = chain.last().is_none_or(|last| rows[*last].micros <= row.micros);
        let inside =
            chain.first().is_none_or(|first| row.micros - rows[*first].micros <= rules.window_micros);
        let is_free = !rules.modes.has(Modes::ONCE) || !chain.contains(&place);
        if row.held >> depth & 1 == 1 && follows && inside && is_free {
            chain.push(place);
            best = best.max(longest(rules, rows, chain));
            chain.pop();
        }
    }
    best
}

/// Random numbers (xorshift), the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn random_rows(random: &mut Random, conditions: usize) -> Vec<Row> {
    let span = 1 + random.below(12);
    (0..random.below(9))
        .map(|_| {
            let one = 1_u32 << random.below(conditions as u64);
            let held = match random.below(6) {
                0 => 0,
                1 => one | 1 << random.below(conditions as u64),
                _ => one,
            };
            Row { micros: random.below(span) as i64, held }
        })
        .collect()
}

#[test]
fn the_level_is_that_of_all_chains_on_random_rows() {
    let names = ["strict_once", "strict_order", "strict_increase", "strict_deduplication", "allow_reentry"];
    let mut random = Random(88_172_645_463_325_252);
    let mut levels = [0; 5];
    for set in 0..6_000 {
        let conditions = 1 + random.below(4) as usize;
        let rows = random_rows(&mut random, conditions);
        let window_micros = 1 + random.below(10) as i64;
        for bits in 0..32_u32 {
            let named: Vec<&str> =
                (0..5).filter(|bit| bits >> bit & 1 == 1).map(|bit| names[bit as usize]).collect();
            let Ok(modes) = Modes::parse(&named.join(",")) else {
                continue;
            };
            let rules = Rules { conditions, window_micros, modes };
            let kept: Vec<Row> =
                rows.iter().copied().filter(|row| row.held != 0 || modes.tell_rows_between()).collect();
            let got = level(&rules, &mut kept.clone());
            assert_eq!(got, oracle(&rules, &kept), "set {set}: {named:?} {rules:?} {kept:?}");
            let mut backwards: Vec<Row> = kept.iter().rev().copied().collect();
            assert_eq!(got, level(&rules, &mut backwards), "set {set}: {named:?} {kept:?}");
            if bits < 2 {
                let want = longest(&rules, &kept, &mut Vec::new());
                assert_eq!(got, want, "set {set}: {named:?} {rules:?} {kept:?}");
            }
            levels[got] += 1;
        }
    }
    assert!(levels.iter().all(|count| *count > 500), "{levels:?}");
}

#[test]
fn many_simultaneous_rows_cost_no_more_than_a_few() {
    let modes = Modes::parse("strict_once,strict_deduplication").unwrap();
    let once = Modes::parse("strict_once").unwrap();
    let check = |modes: Modes, held: u32, want: usize| {
        let rules = Rules { conditions: 32, window_micros: 1, modes };
        let mut rows = vec![Row { micros: 0, held }; 100_000];
        assert_eq!(level(&rules, &mut rows), want, "{modes:?} {held:b}");
    };
    check(once, u32::MAX, 32);
    check(once, 1, 1);
    check(once, 0b1111, 4);
    // The second condition is met by two.
    check(modes, u32::MAX, 2);
}

#[test]
fn a_window_that_reaches_past_all_times_holds_them_all() {
    let rules = Rules { conditions: 2, window_micros: i64::MAX, modes: Modes::default() };
    let mut rows = [Row { micros: 1, held: 1 }, Row { micros: i64::MAX, held: 2 }];
    assert_eq!(level(&rules, &mut rows), 2);
}
