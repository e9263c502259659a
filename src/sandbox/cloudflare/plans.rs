//! What the plan of a zone includes (contract 3.1, 3.3, 3.5).

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The plan of a zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// Costs nothing.
    #[default]
    Free,
    /// The smallest that is paid for.
    Pro,
    /// The one above.
    Business,
    /// The largest.
    Enterprise,
}

impl Plan {
    /// Tags that a record may have.
    pub fn tags(self) -> usize {
        if self == Plan::Free { 0 } else { 20 }
    }

    /// Characters that a record's comment may have.
    pub fn comment(self) -> usize {
        if self == Plan::Free { 100 } else { 500 }
    }

    /// Operations that a batch may hold.
    pub fn batch(self) -> usize {
        if self == Plan::Free { 200 } else { 3_500 }
    }

    /// The shortest time to live of a record, in seconds.
    pub fn ttl(self) -> u64 {
        if self == Plan::Enterprise { 30 } else { 60 }
    }

    /// Whether records may answer with one kind of address only.
    pub fn has_address_settings(self) -> bool {
        self != Plan::Free
    }

    /// The plan as a zone shows it.
    pub fn shown(self) -> Value {
        let (name, legacy, price) = match self {
            Plan::Free => ("Free Website", "free", 0),
            Plan::Pro => ("Pro Website", "pro", 25),
            Plan::Business => ("Business Website", "business", 250),
            Plan::Enterprise => ("Enterprise Website", "enterprise", 0),
        };
        json!({
            "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": name, "price": price,
            "currency": "USD", "frequency": if price > 0 { "monthly" } else { "" },
            "is_subscribed": self != Plan::Free, "can_subscribe": false,
            "legacy_id": legacy, "legacy_discount": false, "externally_managed": false,
        })
    }
}

/// A zone and the plan that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZonePlan {
    /// The domain.
    pub zone: String,
    /// Its plan.
    pub plan: Plan,
}

impl FromStr for ZonePlan {
    type Err = String;

    /// `DOMAIN:PLAN`.
    fn from_str(text: &str) -> Result<ZonePlan, String> {
        let wrong =
            || "write it as DOMAIN:PLAN; there are free, pro, business, enterprise".to_owned();
        let (zone, plan) = text.rsplit_once(':').ok_or_else(wrong)?;
        let plan = match plan {
            "free" => Plan::Free,
            "pro" => Plan::Pro,
            "business" => Plan::Business,
            "enterprise" => Plan::Enterprise,
            _ => return Err(wrong()),
        };
        Ok(ZonePlan { zone: zone.trim_end_matches('.').to_lowercase(), plan })
    }
}
