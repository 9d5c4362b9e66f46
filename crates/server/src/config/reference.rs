//! The page that tells of every key, made from the declaration.

use super::Config;
use super::keys::{KEYS, Key};

const HEAD: &str = "\
# Configuration

`ebbtide serve` is told what to do by a file, by the environment and by its command line. Each key below has a name in the file and a
variable. Over its default counts the file, over that the variable, over that the flag; a list is replaced whole, not added to.

- **The file** is TOML: `--config FILE`, or `EBBTIDE_CONFIG`, or `ebbtide.toml` in the folder that the server is started in, where there is
  one. Paths in it are relative to its own folder.
- **The environment**: `EBBTIDE_` and the key's name. A variable that is empty counts as not set. Lists are separated by commas, texts
  stand without quotes: `EBBTIDE_CORS_ORIGINS=https://a.example.com,https://b.example.com`.
- **Flags** of `ebbtide serve`: `--data`, `--app` (several times), `--listen`, `--token-leeway`, `--log`, `--log-format`.

A key that does not exist and a value that does not fit are refused before anything is opened, all of them at once, each with its file
and line (or its variable), what was given and what is allowed. A variable that is no key is passed over, since others name variables
with this prefix too; where it is nearly one, a warning says so.

```sh
ebbtide config check --config ebbtide.toml   # what is wrong, or every key with its value and where that is from
ebbtide config reference                     # this page
```

```toml
# ebbtide.toml
data = \"/var/lib/ebbtide\"
apps = [\"loyalty\", \"shop=./shop-pack\"]
listen = \"0.0.0.0:8080\"

[jwt]
jwks_url = \"https://login.example.com/.well-known/jwks.json\"
issuers = [\"https://login.example.com\"]

[cors]
origins = [\"https://app.example.com\"]
```
";

/// What is said before a section's keys: its heading, and a few words.
const SECTIONS: [(&str, &str); 11] = [
    ("", "## Before all sections\n"),
    (
        "jwt",
        "## `[jwt]`: the keys that tokens are checked with\n\n\
A token's algorithm must be that of the key that it is checked with: HS256 for secrets, EdDSA for Ed25519 keys, RS256 for RSA keys. Where a key has\n\
a `kid`, tokens that name another are not its. Several keys may hold at one time.\n\n\
- **Rotating a secret**: give the new one as `secret` and the old one as `secret_previous`, restart; let the host sign with the new one; once\n\
  the last old token has expired, take `secret_previous` away.\n\
- **Rotating a public key**: list the new one beside the old one, or publish both in the JWKS.\n\n\
Without any key a random secret is made, and stored in the data folder as `jwt-secret` (mode 0600); then only this machine may connect.\n",
    ),
    (
        "cors",
        "## `[cors]`: browsers on other origins\n\n\
Origins are compared letter by letter: scheme, host, and port where it is not the scheme's own. `*` lets every page call that has a token, and is\n\
refused together with `credentials`.\n",
    ),
    ("http", "## `[http]`: limits of requests\n"),
    ("queries", "## `[queries]`: behavioural questions\n"),
    ("cache", "## `[cache]`: answers of reports that are kept\n"),
    ("exports", "## `[exports]`: files of reports\n"),
    (
        "rejects",
        "## `[rejects]`: rows that were refused\n\n\
They are kept for the admins of their tenant (`GET /v1/rejects`). The oldest are let go of in bulk, so that there may be an eighth more for a while.\n",
    ),
    ("live", "## `[live]`: reports that are listened to\n"),
    ("sql", "## `[sql]`: statements, of reports and of callers\n"),
    ("store", "## `[store]`: rows in memory and on disk\n"),
];

/// `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut defaults = Config::default();
    for (section, intro) in SECTIONS {
        page.push_str(&format!(
            "\n{intro}\n| key | variable | default | allowed | |\n|---|---|---|---|---|\n"
        ));
        for key in KEYS.iter().filter(|key| key.section() == section) {
            page.push_str(&row(key, &mut defaults));
        }
    }
    page
}

fn row(key: &Key, defaults: &mut Config) -> String {
    let slot = key.slot(defaults);
    let default = slot.shown().map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
    format!(
        "| `{}` | `{}` | {default} | {} | {} |\n",
        key.last_name(),
        key.variable(),
        slot.allowed().replace('|', "\\|"),
        key.about
    )
}
