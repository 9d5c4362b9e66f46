//! Names of things: apps, tables, tenants. Each is a cheap clone of immutable text.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({:?})", stringify!($name), &*self.0)
            }
        }
    };
}

name!(
    /// A deployed pack; the `aud` of its tokens.
    AppName
);
name!(
    /// A table of an app, as its pack names it.
    TableName
);
impl TableName {
    /// Whether it is one of the tables that an app has besides those that its pack declares: no query,
    /// statement or file reads it.
    pub fn is_system(&self) -> bool {
        self.as_str().starts_with('_')
    }
}

name!(
    /// A customer of an app, in canonical text: the integer 1 is `1`.
    TenantId
);
