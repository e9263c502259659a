//! `GetCallerIdentity`, in the query protocol: a form in, XML out.

use super::{AwsError, Call, Response, State, caller};
use crate::sandbox::env::Env;

/// Answers one STS request.
pub fn handle(state: &State, call: &Call<'_>, env: &mut Env) -> Response {
    let request = env.ids.uuid();
    let outcome =
        caller(state, call.authorization).map_err(named_as_sts_does).and_then(|caller| match call
            .operation
        {
            "GetCallerIdentity" => Ok(caller),
            action => Err(AwsError::new(
                "InvalidAction",
                format!("Could not find operation {action} for version 2011-06-15"),
            )),
        });
    let space = "https://sts.amazonaws.com/doc/2011-06-15/";
    let text = match outcome {
        Ok(caller) => {
            format!(
                "<GetCallerIdentityResponse xmlns=\"{space}\">\n  <GetCallerIdentityResult>\n    \
                 <Arn>{}</Arn>\n    <UserId>{}</UserId>\n    <Account>{}</Account>\n  \
                 </GetCallerIdentityResult>\n  <ResponseMetadata>\n    \
                 <RequestId>{request}</RequestId>\n  </ResponseMetadata>\n\
                 </GetCallerIdentityResponse>\n",
                caller.arn, caller.user_id, state.account
            )
        }
        Err(error) => return refusal(&error, &request),
    };
    Response { status: 200, content_type: "text/xml", error: None, json: None, text }
}

/// The answer to a request whose signature is refused.
pub fn refuse(error: AwsError, env: &mut Env) -> Response {
    let request = env.ids.uuid();
    refusal(&named_as_sts_does(error), &request)
}

fn refusal(error: &AwsError, request: &str) -> Response {
    let text = error_text(error.kind, &error.message, request);
    let (status, error) = (error.status, Some(error.kind));
    Response { status, content_type: "text/xml", error, json: None, text }
}

/// A refusal as XML.
pub fn error_text(kind: &str, message: &str, request: &str) -> String {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    \
         <Type>Sender</Type>\n    <Code>{kind}</Code>\n    <Message>{message}</Message>\n  </Error>\n  \
         <RequestId>{request}</RequestId>\n</ErrorResponse>\n"
    )
}

fn named_as_sts_does(error: AwsError) -> AwsError {
    let kind = match error.kind {
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "IncompleteSignatureException" => "IncompleteSignature",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        kind => kind,
    };
    AwsError { status: 403, kind, ..error }
}
