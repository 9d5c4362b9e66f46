//! A site for mentoring and courses that never was: students who join in growing numbers, meet mentors,
//! take courses, review and pay for them. Every name says that it is synthetic.

use ebbtide_model::Instant;

use super::Size;
use super::random::Random;
use super::rows::{HOUR_S, Rows, Span, at_business, instant, seconds};

const SEED: u64 = 0x0eb_b71d_e003;
const SPAN_DAYS: i64 = 400;
const STUDENTS: i64 = 1_400;
const MENTORS: i64 = 36;
const COURSES: [&str; 12] = [
    "First steps in programming",
    "Data analysis",
    "Statistics for everyone",
    "Web pages that last",
    "Databases",
    "Public speaking",
    "Product management",
    "Machine learning",
    "English for engineers",
    "Algorithms",
    "Testing software",
    "Career planning",
];

/// How many times as many courses there are, at most, where there are more students.
const COURSES_TIMES: i64 = 33;

/// The tables as CSV, parents first, up to `end`: the same gives the same bytes.
pub(super) fn tables(end: Instant, size: Size) -> Vec<(&'static str, String)> {
    let mut site = Site {
        random: Random::new(SEED),
        span: Span::before(end, SPAN_DAYS),
        students: STUDENTS * size.times,
        // Nobody takes the last one, which is not published.
        courses_taken: 12 * size.times.min(COURSES_TIMES) - 1,
        users: Rows::new("users", "id,username,role,is_verified,created_at"),
        sessions: Rows::new("sessions", "id,mentor_id,student_id,status,duration_minutes,created_at"),
        courses: Rows::new("courses", "id,title,is_published,created_at"),
        enrollments: Rows::new("course_enrollments", "id,user_id,course_id,created_at"),
        progress: Rows::new("progress", "id,user_id,course_id,progress,updated_at"),
        reviews: Rows::new("reviews", "id,user_id,course_id,rating,created_at"),
        payments: Rows::new("payments", "id,user_id,amount,currency,status,created_at"),
    };
    site.everybody();
    let Site { users, sessions, courses, enrollments, progress, reviews, payments, .. } = site;
    [users, sessions, courses, enrollments, progress, reviews, payments].map(Rows::finish).into()
}

struct Site {
    random: Random,
    span: Span,
    students: i64,
    courses_taken: i64,
    users: Rows,
    sessions: Rows,
    courses: Rows,
    enrollments: Rows,
    progress: Rows,
    reviews: Rows,
    payments: Rows,
}

impl Site {
    /// User 1 is the admin; then come the mentors, then the students in the order they joined.
    fn everybody(&mut self) {
        let start_s = self.span.start_s;
        self.user("admin", start_s + 9 * HOUR_S);
        for (id, title) in (1..=self.courses_taken + 1).zip(COURSES.iter().cycle()) {
            let at = instant(start_s + seconds(1.0 + (id % 13) as f64 * 9.0));
            self.courses.push(format_args!("{id},{title} (synthetic),{},{at}", id <= self.courses_taken));
        }
        for _ in 0..MENTORS {
            let day = self.random.unit() * 120.0;
            self.user("mentor", start_s + seconds(day) + 10 * HOUR_S);
        }
        let mut joined: Vec<i64> = (0..self.students).map(|_| self.span.growing(&mut self.random)).collect();
        joined.sort_unstable();
        for at_s in joined {
            let student = self.user("student", at_s);
            self.mentoring(student, at_s);
            self.studies(student, at_s);
        }
    }

    fn user(&mut self, role: &str, at_s: i64) -> i64 {
        let id = self.users.next_id();
        let verified = role != "student" || self.random.chance(0.78);
        self.users
            .push(format_args!("{id},demo-{role}-{id} (synthetic),{role},{verified},{}", instant(at_s)));
        id
    }

    /// Sessions with a mentor of one's own, until one has had enough.
    fn mentoring(&mut self, student: i64, joined_s: i64) {
        if self.random.chance(0.35) {
            return;
        }
        // Some mentors are much sought after.
        let nr = self.random.below(MENTORS).min(self.random.below(MENTORS));
        let mut day = self.random.waiting(6.0);
        while self.random.chance(0.86) {
            let at_s = at_business(joined_s + seconds(day), &mut self.random);
            if at_s >= self.span.end_s {
                return;
            }
            let recent = self.span.end_s - at_s < 6 * 24 * HOUR_S;
            let status = match self.random.below(100) {
                0..=11 => "cancelled",
                12..=54 if recent => "scheduled",
                _ => "completed",
            };
            let minutes = if status == "completed" {
                (25 + 5 * self.random.below(14)).to_string()
            } else {
                String::new()
            };
            let id = self.sessions.next_id();
            let row = format_args!("{id},{},{student},{status},{minutes},{}", nr + 2, instant(at_s));
            self.sessions.push(row);
            if status == "completed" {
                let amount = 900 + 100 * self.random.below(12);
                self.pays(student, amount, at_s + HOUR_S);
            }
            day += 3.0 + self.random.waiting(8.0);
        }
    }

    /// Courses, how far one gets in them, and what one thinks of them.
    fn studies(&mut self, student: i64, joined_s: i64) {
        let mut day = self.random.waiting(4.0);
        let mut course = 1 + self.random.below(self.courses_taken);
        while self.random.chance(0.62) {
            let at_s = joined_s + seconds(day);
            if at_s >= self.span.end_s {
                return;
            }
            let id = self.enrollments.next_id();
            self.enrollments.push(format_args!("{id},{student},{course},{}", instant(at_s)));
            let amount = 2_500 + 500 * self.random.below(8);
            self.pays(student, amount, at_s + 90);
            let studied_s = at_s + seconds(self.random.waiting(30.0));
            if studied_s < self.span.end_s && self.random.chance(0.9) {
                let part = (1.35 * self.random.unit()).min(1.0);
                let percent = (part * 1_000.0).round() / 10.0;
                let id = self.progress.next_id();
                self.progress.push(format_args!("{id},{student},{course},{percent},{}", instant(studied_s)));
                if percent > 40.0 && self.random.chance(0.5) {
                    let stars = if course == 4 { 2 } else { 3 } + self.random.below(3);
                    let id = self.reviews.next_id();
                    self.reviews.push(format_args!("{id},{student},{course},{stars},{}", instant(studied_s)));
                }
            }
            course = 1 + (course + self.random.below(9)) % self.courses_taken;
            day += 10.0 + self.random.waiting(30.0);
        }
    }

    fn pays(&mut self, student: i64, amount: i64, at_s: i64) {
        if at_s >= self.span.end_s {
            return;
        }
        let (currency, amount) =
            if self.random.chance(0.04) { ("EUR", amount / 100) } else { ("RUB", amount) };
        let status = match self.random.below(100) {
            0..=2 => "refunded",
            3..=6 => "failed",
            7..=8 => "pending",
            _ => "completed",
        };
        let (id, kopecks) = (self.payments.next_id(), 50 * self.random.below(2));
        let row = format_args!("{id},{student},{amount}.{kopecks:02},{currency},{status},{}", instant(at_s));
        self.payments.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check_made_up;
    use super::*;

    #[test]
    fn the_site_is_made_up_the_same_way_each_time() {
        let least = [
            ("users", 1_437),
            ("sessions", 2_000),
            ("courses", 12),
            ("course_enrollments", 1_000),
            ("progress", 700),
            ("reviews", 200),
            ("payments", 3_000),
        ];
        check_made_up(tables, &["users", "courses"], &least);
    }
}
