//! A service desk that never was: institutions that join one after another, their users, what they ask
//! for, and how the desk gets faster at it. Every name says that it is synthetic.

use ebbtide_model::Instant;

use super::Size;
use super::random::Random;
use super::rows::{HOUR_S, Rows, Span, at_business, instant, is_weekend, seconds, whole};

const SEED: u64 = 0x0eb_b71d_e002;
const SPAN_DAYS: i64 = 330;
/// Days ago on which an institution joined, and how many users it has in the end.
const INSTITUTIONS: [(i64, i64); 14] = [
    (325, 60),
    (290, 45),
    (251, 38),
    (216, 30),
    (188, 42),
    (171, 26),
    (149, 34),
    (128, 22),
    (110, 30),
    (94, 18),
    (69, 24),
    (51, 16),
    (37, 20),
    (19, 12),
];
/// The institution whose logins are not recorded.
const WITHOUT_LOGINS: i64 = 6;
const TITLES: [&str; 8] = [
    "네트워크 접속 장애",
    "비밀번호 초기화 요청",
    "프린터 오류",
    "계정 권한 변경",
    "소프트웨어 설치 요청",
    "메일 수신 불가",
    "PC 교체 요청",
    "VPN 연결 오류",
];
/// A feature's table, how many of the institutions take it up, after how many days, and the days from
/// one use to the next.
const FEATURES: [(&str, i64, f64, f64); 4] = [
    ("rag_feedback", 10, 12.0, 1.6),
    ("auto_workflow_rules", 6, 30.0, 14.0),
    ("kpi_definitions", 3, 45.0, 20.0),
    ("jira_configs", 2, 60.0, 90.0),
];

/// The tables as CSV, parents first, up to `end`: the same gives the same bytes.
pub(super) fn tables(end: Instant, size: Size) -> Vec<(&'static str, String)> {
    let mut desk = Desk {
        random: Random::new(SEED),
        span: Span::before(end, SPAN_DAYS),
        institutions: Rows::new("institutions", "id,name,created_at"),
        users: Rows::new("users", "id,tenant_id,name,role,created_at"),
        requests: Rows::new(
            "sr_requests",
            "id,tenant_id,requester_id,title,status,created_at,updated_at,resolved_at",
        ),
        logins: Rows::new("logins", "id,tenant_id,user_id,at"),
    };
    for (institution, (days_ago, users)) in (1..).zip(INSTITUTIONS) {
        let users = if institution == 1 { users * size.times } else { users };
        desk.institution(institution, days_ago, users);
    }
    let features = FEATURES.map(|feature| desk.feature(feature).finish());
    let Desk { institutions, users, requests, logins, .. } = desk;
    let mut tables = vec![institutions.finish(), users.finish(), requests.finish(), logins.finish()];
    tables.extend(features);
    tables
}

struct Desk {
    random: Random,
    span: Span,
    institutions: Rows,
    users: Rows,
    requests: Rows,
    logins: Rows,
}

/// Whose doing it is.
#[derive(Clone, Copy)]
struct User {
    institution: i64,
    id: i64,
}

impl Desk {
    fn joined_s(&self, days_ago: i64) -> i64 {
        self.span.start_s + (SPAN_DAYS - days_ago) * 24 * HOUR_S + 9 * HOUR_S
    }

    fn institution(&mut self, institution: i64, days_ago: i64, users: i64) {
        let joined_s = self.joined_s(days_ago);
        let row = format_args!("{institution},데모 기관 {institution} (synthetic),{}", instant(joined_s));
        self.institutions.push(row);
        for nr in 0..users {
            // Some are there from the first days; the others come as word gets around.
            let day = if nr * 5 < users * 2 {
                self.random.unit() * 8.0
            } else {
                self.random.unit() * days_ago as f64
            };
            let at_s = at_business(joined_s + seconds(day) + 12 * HOUR_S, &mut self.random);
            if at_s < self.span.end_s {
                let role = if nr == 0 { "manager" } else { "user" };
                self.user(institution, role, at_s);
            }
        }
    }

    fn user(&mut self, institution: i64, role: &str, joined_s: i64) {
        let user = User { institution, id: self.users.next_id() };
        let id = user.id;
        let row =
            format_args!("{id},{institution},데모 사용자 {id} (synthetic),{role},{}", instant(joined_s));
        self.users.push(row);
        let stays_days = if self.random.chance(0.4) { f64::MAX } else { self.random.waiting(75.0) };
        let pace_days = self.random.around(2.4, 0.5);
        let mut day = self.random.waiting(1.0);
        while day <= stays_days {
            let at_s = joined_s + seconds(day);
            if at_s >= self.span.end_s {
                break;
            }
            self.visit(user, at_s);
            day += 0.2 + self.random.waiting(pace_days);
        }
    }

    fn visit(&mut self, user: User, on_s: i64) {
        let at_s = at_business(on_s, &mut self.random);
        let rests = is_weekend(at_s) && !self.random.chance(0.15);
        if rests || at_s >= self.span.end_s {
            return;
        }
        if user.institution != WITHOUT_LOGINS {
            let id = self.logins.next_id();
            self.logins.push(format_args!("{id},{},{},{}", user.institution, user.id, instant(at_s)));
        }
        if self.random.chance(0.22) {
            let asked_s = at_s + 60 + self.random.below(1_200);
            self.request(user, asked_s);
        }
    }

    fn request(&mut self, user: User, at_s: i64) {
        if at_s >= self.span.end_s {
            return;
        }
        // The desk is three times as fast in the end as in the beginning.
        let median_hours = 6.5 - 4.6 * self.span.part(at_s);
        let done_s = at_s + whole(self.random.around(median_hours, 1.0) * 3_600.0) + 300;
        let title = usize::try_from(self.random.below(8)).ok().and_then(|index| TITLES.get(index));
        let (status, updated_s, resolved) = match self.random.below(100) {
            0..=4 => ("CANCELLED", at_s + self.random.below(2 * HOUR_S), String::new()),
            _ if done_s >= self.span.end_s => {
                let status = if self.random.chance(0.5) { "OPEN" } else { "IN_PROGRESS" };
                (status, at_s, String::new())
            }
            // Some are answered once more after they were resolved, and of some the time is not known.
            5..=29 => ("DONE", done_s + self.random.below(90 * HOUR_S), instant(done_s)),
            30..=37 => ("DONE", done_s, String::new()),
            _ => ("DONE", done_s, instant(done_s)),
        };
        let updated = instant(updated_s.min(self.span.end_s - 1));
        let (id, title) = (self.requests.next_id(), title.copied().unwrap_or_default());
        self.requests.push(format_args!(
            "{id},{},{},{title} (synthetic),{status},{},{updated},{resolved}",
            user.institution,
            user.id,
            instant(at_s),
        ));
    }

    fn feature(
        &mut self,
        (table, institutions, after_days, pace_days): (&'static str, i64, f64, f64),
    ) -> Rows {
        let mut rows = Rows::new(table, "id,tenant_id,created_at");
        for (institution, (days_ago, _)) in (1..=institutions).zip(INSTITUTIONS) {
            let joined_s = self.joined_s(days_ago);
            let mut day = self.random.around(after_days, 0.4);
            while joined_s + seconds(day) < self.span.end_s {
                let id = rows.next_id();
                rows.push(format_args!("{id},{institution},{}", instant(joined_s + seconds(day))));
                day += 0.1 + self.random.waiting(pace_days);
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check_made_up;
    use super::*;

    #[test]
    fn the_desk_is_made_up_the_same_way_each_time() {
        let least = [("institutions", 14), ("users", 350), ("sr_requests", 1_800), ("logins", 8_000)];
        check_made_up(tables, &["institutions", "users", "sr_requests"], &least);
    }
}
