//! The SSM outside the sandbox that its secret store reads, where one is named.

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::Credentials;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::SandboxError;

/// A variable of the environment that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What an error says, and what is behind it; never its Debug, which may hold the answer's body.
fn reason(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(source) = next {
        texts.push(source.to_string());
        next = source.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// Names a call of GetParameters may give.
const BATCH: usize = 10;

/// A client of that SSM.
pub struct Upstream {
    client: Client,
    /// Its address.
    pub url: String,
    /// The credentials and region clients use with it, as environment variables.
    pub environment: Vec<(String, String)>,
}

impl Upstream {
    /// A client for `url` with the credentials of the environment, or any where it has none.
    pub async fn connect(url: &str, region: &str) -> Upstream {
        let region = variable("AWS_REGION").unwrap_or_else(|| region.to_owned());
        let sources = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"];
        let given = sources.iter().any(|name| variable(name).is_some());
        let any = || ("sandbox".to_owned(), "sandbox".to_owned());
        Upstream::with_keys(url, &region, (!given).then(any)).await
    }

    /// A client for `url` with this access key, or with the credentials of the environment.
    pub async fn with_keys(url: &str, region: &str, keys: Option<(String, String)>) -> Upstream {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(region.to_owned()))
            .endpoint_url(url);
        let mut environment = vec![("AWS_REGION".to_owned(), region.to_owned())];
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let values = match keys {
            Some((id, secret)) => {
                let source = "sandbox";
                let credentials = Credentials::new(&id, &secret, None, None, source);
                loader = loader.credentials_provider(credentials);
                [Some(id), Some(secret)]
            }
            None => names.map(variable),
        };
        let named = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value?));
        environment.extend(names.into_iter().zip(values).filter_map(named));
        let client = Client::new(&loader.load().await);
        Upstream { client, url: url.to_owned(), environment }
    }

    /// Creates these SecureStrings where they are missing.
    ///
    /// # Errors
    /// The service doesn't answer, or refuses.
    pub async fn preset(&self, parameters: &[(String, String)]) -> Result<(), SandboxError> {
        for (name, value) in parameters {
            let put = self
                .client
                .put_parameter()
                .name(name)
                .value(value)
                .r#type(ParameterType::SecureString)
                .send()
                .await;
            match put {
                Ok(_) => {}
                Err(error) if error.code() == Some("ParameterAlreadyExists") => {}
                Err(error) => {
                    let reason = reason(&error);
                    return Err(SandboxError::Upstream { url: self.url.clone(), reason });
                }
            }
        }
        Ok(())
    }

    /// The decrypted values of those of `names` that exist; what can't be read is left out, as
    /// the secret store would leave its ExternalSecrets not ready.
    pub async fn read(&self, names: &[String]) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for batch in names.chunks(BATCH) {
            let call = self.client.get_parameters().with_decryption(true);
            match call.set_names(Some(batch.to_vec())).send().await {
                Ok(answer) => {
                    for parameter in answer.parameters.unwrap_or_default() {
                        if let (Some(name), Some(value)) = (parameter.name, parameter.value) {
                            values.insert(name, value);
                        }
                    }
                }
                Err(error) => {
                    let code = error.code().unwrap_or("unknown");
                    tracing::warn!(code, url = %self.url, "the secret store cannot be read");
                }
            }
        }
        values
    }
}
