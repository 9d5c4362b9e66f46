//! `ebbtide token`: a token of one's own, for trying out and for machines of the operator.

use std::path::PathBuf;

use clap::Args;
use ebbtide_model::{Clock, Instant};
use ebbtide_server::config::Flag;
use ebbtide_server::sign_in::{Claims, Embed, seconds_of};

use crate::Outcome;
use crate::clock::SystemClock;
use crate::config::ConfigChoice;
use crate::failure::{Failure, print};
use crate::secret::{Secret, signing_key};

/// Sign a token with the server's secret, or with a private key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ebbtide token --data ./data --app loyalty --role admin\n  \
    ebbtide token --app loyalty --role merchant --tenant 1 --expires 7d\n  \
    ebbtide token --key ./ed25519.pem --app loyalty --role admin\n  \
    ebbtide token --app learning --role admin --embed user_growth --param days=30 \\\n    \
    --origin https://school.example --expires 1h")]
pub(crate) struct Token {
    #[command(flatten)]
    config: ConfigChoice,
    /// The app that the token is for.
    #[arg(long, value_name = "NAME")]
    app: String,
    /// What its bearer may do, as the app's reports name roles.
    #[arg(long)]
    role: String,
    /// Whose rows its bearer sees; an admin without one sees all.
    #[arg(long)]
    tenant: Option<String>,
    /// Who its bearer is.
    #[arg(long, value_name = "ID")]
    sub: Option<String>,
    /// The bearer's plan.
    #[arg(long)]
    plan: Option<String>,
    /// Bind the token to this report, for other sites' pages (docs/embed.md); it opens nothing else.
    #[arg(long, value_name = "REPORT", requires = "origin")]
    embed: Option<String>,
    /// A parameter of that report and the value that it has, as often as there are some; the bearer cannot choose
    /// another.
    #[arg(long = "param", value_name = "NAME=VALUE", requires = "embed", value_parser = parse_param)]
    params: Vec<(String, String)>,
    /// Whose pages may show that report: scheme, host and port, as browsers write it.
    #[arg(long, value_name = "ORIGIN", requires = "embed")]
    origin: Option<String>,
    /// How long the token is good, such as 30m, 12h or 7d.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = parse_seconds)]
    expires: i64,
    /// The data folder whose `jwt-secret` signs, where no secret is configured. [env: EBBTIDE_DATA]
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// A file with the Ed25519 private key that signs (EdDSA), in PEM, instead of a secret.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The name of that key, for the token's `kid`.
    #[arg(long, value_name = "ID", requires = "key")]
    kid: Option<String>,
    /// Who makes the token, for its `iss`; without it the first of the configured issuers, where there is one.
    #[arg(long, value_name = "ISSUER")]
    iss: Option<String>,
}

impl Token {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let data = self.data.map(|data| Flag { option: "--data", key: "data", values: vec![data] });
        let loaded = self.config.load(&Vec::from_iter(data))?;
        let key = match (&self.key, self.kid) {
            (None, _) => Secret::find(&loaded)?.signing()?,
            (Some(path), None) => signing_key(path)?,
            (Some(path), Some(kid)) => signing_key(path)?.with_id(kid),
        };
        let embed = match (self.embed, self.origin) {
            (Some(report), Some(origin)) => Some(embed(report, self.params, &origin)?),
            (_, _) => None,
        };
        let expires = SystemClock.now().micros() + self.expires * Instant::MICROS_PER_SECOND;
        let claims = Claims {
            app: self.app,
            role: self.role,
            tenant: self.tenant,
            subject: self.sub,
            plan: self.plan,
            issuer: self.iss.or_else(|| loaded.config.settings.token.issuers.first().cloned()),
            embed,
            expires: Instant::from_micros(expires),
        };
        let token = claims.sign(&key).map_err(Failure::new)?;
        print(&format!("{token}\n"))?;
        Ok(Outcome::Done)
    }
}

fn embed(report: String, params: Vec<(String, String)>, origin: &str) -> Result<Embed, Failure> {
    Embed::of(report, params, origin)
        .map_err(|fault| Failure::usage(format_args!("the embedded report: {fault}")))
}

/// A name, and all after the first `=`.
fn parse_param(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| format!("{text:?} was given; allowed is NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Seconds of `30s`, `15m`, `12h` or `7d`.
fn parse_seconds(text: &str) -> Result<i64, String> {
    const SECONDS_MAX: i64 = 10 * 366 * 86_400;
    let seconds = seconds_of(text).filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| {
        format!("{text:?} was given; allowed is a number with s, m, h or d, up to ten years, such as 12h")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        let check = |text: &str, want: Option<i64>| assert_eq!(parse_seconds(text).ok(), want, "{text:?}");
        check("30s", Some(30));
        check("15m", Some(900));
        check("12h", Some(43_200));
        check("7d", Some(604_800));
        for bad in [
            "",
            "h",
            "12",
            "-1h",
            "+1h",
            "1.5h",
            "0s",
            "12 h",
            "12H",
            "1w",
            "99999999999d",
            "9223372036854775807d",
            "1é",
        ] {
            check(bad, None);
        }
    }
}
