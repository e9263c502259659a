//! What files write of a parameter.

use schemars::JsonSchema;

/// A parameter of AWS SSM's Parameter Store.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SsmParameterSpec {
    /// The name: letters, digits and `_.-`, or a path that begins with `/`.
    pub name: String,
    /// What it holds.
    pub value: ParameterValue,
    /// `SecureString`, the default, `String` or `StringList`.
    #[serde(rename = "type")]
    pub kind: Option<ParameterType>,
    /// What it is for.
    pub description: Option<String>,
    /// The KMS key that a SecureString is encrypted with; `alias/aws/ssm` by default.
    pub key_id: Option<String>,
    /// `Standard`, the default, `Advanced` or `Intelligent-Tiering`.
    pub tier: Option<Tier>,
    /// A regular expression that values have to match.
    pub allowed_pattern: Option<String>,
    /// `text`, the default, `aws:ec2:image` or `aws:ssm:integration`.
    pub data_type: Option<String>,
    /// Tags; those of others stay.
    pub tags: Option<std::collections::BTreeMap<String, String>>,
}

/// What a parameter holds.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum ParameterValue {
    /// The text: most often a reference, as `${tunnel.<name>.token}`.
    Text(String),
    /// Made by boxctl once.
    Generated(Generated),
    /// Written by someone else and never touched.
    ByHand(ByHand),
}

/// A value that boxctl makes once.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generated {
    /// How.
    pub generate: Generate,
}

/// How a value is made.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// How many random characters.
    pub length: u16,
}

/// A value that is managed elsewhere.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// `true`.
    pub by_hand: bool,
}

/// The types of parameters.
#[derive(Debug, JsonSchema)]
#[allow(missing_docs)]
pub enum ParameterType {
    SecureString,
    String,
    StringList,
}

/// The tiers of parameters.
#[derive(Debug, JsonSchema)]
#[allow(missing_docs)]
pub enum Tier {
    Standard,
    Advanced,
    #[serde(rename = "Intelligent-Tiering")]
    IntelligentTiering,
}
