//! `notify:` of `boxctl.yaml`: who is told of drift.

use serde::Deserialize;

use super::source::{Diagnostics, Mark};
use crate::model::notify::{Notify, Webhook, WebhookShape};

/// Webhooks, or webhooks with how they are told.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(super) enum NotifyText {
    /// Webhooks alone.
    Webhooks(Vec<WebhookText>),
    /// With more to say.
    Settings(SettingsText),
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsText {
    /// Where it is sent.
    webhooks: Vec<WebhookText>,
    /// Whether what was told is kept beside the state, so that only what changed is told (the
    /// default); without, every run that finds drift tells.
    remember: Option<bool>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookText {
    /// What it takes.
    #[serde(rename = "type")]
    shape: WebhookShape,
    /// The variable of the environment that holds its URL: whoever has the URL can write there.
    url_env: String,
}

/// What the file says.
pub(super) fn settings(
    text: NotifyText,
    at: &dyn Fn(&str) -> Mark,
    diagnostics: &mut Diagnostics,
) -> Notify {
    let (list, base, remember) = match text {
        NotifyText::Webhooks(list) => (list, "notify", true),
        NotifyText::Settings(text) => {
            (text.webhooks, "notify.webhooks", text.remember.unwrap_or(true))
        }
    };
    let mut webhooks: Vec<Webhook> = Vec::new();
    for (i, one) in list.into_iter().enumerate() {
        let mark = at(&format!("{base}[{i}].url_env"));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if one.url_env.is_empty() || !one.url_env.chars().all(is_name) {
            // It may be the URL itself.
            diagnostics.mask_document(mark.source, mark.line, mark.line);
            diagnostics.error_hint(
                mark,
                "this is not the name of a variable of the environment",
                Some("put the URL into a variable, like SLACK_WEBHOOK_URL, and write its name"),
            );
        } else if webhooks.iter().any(|other| other.url_env == one.url_env) {
            diagnostics.error(mark, "this variable stands here twice");
        }
        webhooks.push(Webhook { shape: one.shape, url_env: one.url_env });
    }
    Notify { webhooks, remember }
}
