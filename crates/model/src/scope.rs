//! Who may see whose rows. A scope is a value, and storage reads nothing without one.

use crate::{AppName, TenantId};

/// The rows that a caller may see: those of one tenant of an app, or all of an app.
///
/// Only sign-in makes one (and the operator's own command line, which holds the data folder): the
/// constructor is on the lint's list of disallowed methods everywhere else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    app: AppName,
    tenants: Tenants,
}

/// The tenants of a [`Scope`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tenants {
    One(TenantId),
    /// Every tenant of the app: its platform's admin.
    All,
}

impl Scope {
    /// To be called by sign-in alone.
    pub fn grant(app: AppName, tenants: Tenants) -> Self {
        Self { app, tenants }
    }

    pub fn app(&self) -> &AppName {
        &self.app
    }

    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// This scope cut down to one tenant; `None` where that tenant is not in it.
    pub fn narrowed_to(&self, tenant: &TenantId) -> Option<Self> {
        match &self.tenants {
            Tenants::One(own) if own != tenant => None,
            Tenants::One(_) | Tenants::All => {
                Some(Self { app: self.app.clone(), tenants: Tenants::One(tenant.clone()) })
            }
        }
    }
}
