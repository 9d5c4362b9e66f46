//! Companies with chatbots that never were: visitors who ask, answers that are sure of themselves or not,
//! and questions that nobody taught a bot. Every name says that it is synthetic.

use ebbtide_model::Instant;

use super::Size;
use super::random::Random;
use super::rows::{HOUR_S, Rows, Span, instant, seconds};

const SEED: u64 = 0x0eb_b71d_e004;
const SPAN_DAYS: i64 = 90;

/// A company's owner, plan, and its bots: a name, conversations over all time, whether it is published.
struct Company {
    plan: &'static str,
    bots: &'static [(&'static str, i64, bool)],
}

const COMPANIES: [Company; 3] = [
    Company {
        plan: "pro",
        bots: &[("Shop assistant", 3_600, true), ("Returns desk", 1_500, true), ("Draft", 40, false)],
    },
    Company { plan: "starter", bots: &[("Front desk", 900, true)] },
    Company { plan: "free", bots: &[("Helper", 120, true)] },
];

/// What visitors ask, how often (out of all weights), and how sure the answer is of itself.
const QUESTIONS: [(&str, i64, f64); 18] = [
    ("Where is my order?", 30, 0.86),
    ("How do I return an item?", 22, 0.82),
    ("What are your opening hours?", 16, 0.93),
    ("How do I reset my password?", 15, 0.88),
    ("Do you deliver on Saturdays?", 11, 0.72),
    ("Can I change my address?", 10, 0.75),
    ("What does shipping cost?", 10, 0.84),
    ("Is this still in stock?", 9, 0.61),
    ("How long does delivery take?", 9, 0.83),
    ("I would like to speak to a person", 8, 0.55),
    ("Do you have gift cards?", 6, 0.66),
    ("Can I pay by invoice?", 7, 0.13),
    ("Is there a student discount?", 6, 0.11),
    ("Do you repair what you sell?", 4, 0.12),
    ("Can I order from a shop and pick it up elsewhere?", 3, 0.15),
    ("Which of these is vegan?", 3, 0.14),
    ("Do you sponsor clubs?", 2, 0.10),
    ("What is your position on animal testing?", 1, 0.12),
];

/// How many times as many bots there are, at most, where there are more conversations.
const BOTS_TIMES: i64 = 3;

const LANGUAGES: [(&str, i64); 5] = [("en", 60), ("de", 14), ("fr", 11), ("es", 9), ("", 6)];

/// The tables as CSV, parents first, up to `end`: the same gives the same bytes.
pub(super) fn tables(end: Instant, size: Size) -> Vec<(&'static str, String)> {
    let mut service = Service {
        random: Random::new(SEED),
        span: Span::before(end, SPAN_DAYS),
        names_orders: size != Size::DEMO,
        companies: Rows::new("companies", "id,owner_id,name"),
        subscriptions: Rows::new("subscriptions", "id,user_id,plan,status"),
        bots: Rows::new("chatbots", "id,company_id,name,is_published,average_rating,created_at"),
        conversations: Rows::new("conversations", "id,chatbot_id,session_id,language,created_at"),
        messages: Rows::new("messages", "id,conversation_id,role,content,confidence_score,created_at"),
        feedback: Rows::new("message_feedback", "id,chatbot_id,feedback,created_at"),
    };
    for (company, Company { plan, bots }) in (1..).zip(COMPANIES) {
        let size = if company == 1 { size } else { Size::DEMO };
        service.company(company, plan, bots, size);
    }
    let Service { companies, subscriptions, bots, conversations, messages, feedback, .. } = service;
    [companies, subscriptions, bots, conversations, messages, feedback].map(Rows::finish).into()
}

struct Service {
    random: Random,
    span: Span,
    /// Whether a visitor now and then asks what nobody else asks.
    names_orders: bool,
    companies: Rows,
    subscriptions: Rows,
    bots: Rows,
    conversations: Rows,
    messages: Rows,
    feedback: Rows,
}

impl Service {
    fn company(&mut self, company: i64, plan: &str, bots: &[(&str, i64, bool)], size: Size) {
        self.companies
            .push(format_args!("company-{company},owner-{company},Demo company {company} (synthetic)"));
        self.subscriptions.push(format_args!("subscription-{company},owner-{company},{plan},active"));
        let copies = size.times.min(BOTS_TIMES);
        for (name, conversations, published) in (0..copies).flat_map(|_| bots) {
            let conversations = conversations * size.times / copies;
            let bot = self.bots.next_id();
            let rating = if *published { (32 + self.random.below(16)).to_string() } else { String::new() };
            let rating = rating.split_at_checked(1).map(|(whole, tenth)| format!("{whole}.{tenth}"));
            self.bots.push(format_args!(
                "bot-{bot},company-{company},{name} (synthetic),{published},{},{}",
                rating.unwrap_or_default(),
                instant(self.span.start_s + bot * HOUR_S),
            ));
            // Visitors come in growing numbers, most of them in the evening.
            let mut begun: Vec<i64> =
                (0..conversations).map(|_| self.span.growing(&mut self.random)).collect();
            begun.sort_unstable();
            for at_s in begun {
                let evening_s = at_s.div_euclid(24 * HOUR_S) * 24 * HOUR_S
                    + 11 * HOUR_S
                    + self.random.below(6 * HOUR_S)
                    + self.random.below(6 * HOUR_S);
                let at_s = if self.random.chance(0.8) { evening_s } else { at_s };
                self.conversation(bot, at_s);
            }
        }
    }

    fn conversation(&mut self, bot: i64, begun_s: i64) {
        let created_s = self.span.start_s + bot * HOUR_S;
        if begun_s <= created_s || begun_s + HOUR_S >= self.span.end_s {
            return;
        }
        let id = self.conversations.next_id();
        // A visitor comes back now and then.
        let session = if self.random.chance(0.25) { 1 + self.random.below(id) } else { id };
        let language = pick(&LANGUAGES, &mut self.random);
        let row =
            format_args!("conversation-{id},bot-{bot},session-{session},{language},{}", instant(begun_s));
        self.conversations.push(row);
        let mut at_s = begun_s;
        loop {
            at_s = self.question(id, at_s + 2);
            at_s += 20 + seconds(self.random.waiting(0.0005));
            if !self.random.chance(0.55) || at_s + 60 >= self.span.end_s {
                break;
            }
        }
        if self.random.chance(0.12) {
            let feedback = if self.random.chance(0.72) { "positive" } else { "negative" };
            let id = self.feedback.next_id();
            let row =
                format_args!("feedback-{id},bot-{bot},{feedback},{}", instant(at_s.min(self.span.end_s - 1)));
            self.feedback.push(row);
        }
    }

    /// A question and its answer; the moment of the latter.
    fn question(&mut self, conversation: i64, at_s: i64) -> i64 {
        let weighted = QUESTIONS.map(|(question, weight, sure)| ((question, sure), weight));
        let (question, sure) = pick(&weighted, &mut self.random);
        // Nobody types a question the same way each time.
        let typed = match self.random.below(10) {
            0 => question.to_lowercase(),
            1 => format!("  {question} "),
            _ if self.names_orders && self.random.chance(0.3) => {
                format!("{question} It is about order {}", self.random.below(1_000_000))
            }
            _ => question.to_owned(),
        };
        let id = self.messages.next_id();
        let row = format_args!("message-{id:07},conversation-{conversation},user,{typed},,{}", instant(at_s));
        self.messages.push(row);
        let confidence = (sure * self.random.around(1.0, 0.25)).min(0.99);
        let answered_s = at_s + 1 + self.random.below(4);
        let id = self.messages.next_id();
        self.messages.push(format_args!(
            "message-{id:07},conversation-{conversation},assistant,A made-up answer (synthetic),{confidence:.3},{}",
            instant(answered_s),
        ));
        answered_s
    }
}

/// One of several, each as likely as its weight says.
fn pick<T: Copy + Default>(weighted: &[(T, i64)], random: &mut Random) -> T {
    let mut left = random.below(weighted.iter().map(|(_, weight)| weight).sum());
    for (item, weight) in weighted {
        if left < *weight {
            return *item;
        }
        left -= weight;
    }
    T::default()
}

#[cfg(test)]
mod tests {
    use super::super::rows::check_made_up;
    use super::*;

    #[test]
    fn the_companies_are_made_up_the_same_way_each_time() {
        let least = [
            ("companies", 3),
            ("chatbots", 5),
            ("conversations", 4_000),
            ("messages", 12_000),
            ("message_feedback", 300),
        ];
        check_made_up(tables, &["companies", "chatbots"], &least);
    }
}
