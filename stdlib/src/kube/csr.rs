//! Certificate signing requests (certificates.k8s.io), read the same from v1 and from v1beta1.

use super::{api::Api, resource::Kind};
use crate::{kubectl, support::files::sha256};
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::{Ctx, Fault};
use keybook_pki::CertificateRequest;
use serde_json::Value as Json;
use std::time::Duration;

/// Servers before 1.19 have only v1beta1, those from 1.22 only v1.
const RESOURCE: &str = "certificatesigningrequests.certificates.k8s.io";

/// The kind as this server has it.
pub async fn kind(ctx: &Ctx, api: &Api) -> Result<Kind, Fault> {
    Kind::find(ctx, api, RESOURCE).await
}

/// A request as the API server has it.
pub struct Csr {
    /// Its name.
    pub name: String,
    /// Who shall sign; empty where a server before 1.18 has it.
    pub signer: String,
    /// Who asks.
    pub username: String,
    /// What the certificate shall be good for.
    pub usages: Vec<String>,
    /// How long it shall be good, where the request says so (1.22 and later).
    pub expiration: Option<Duration>,
    /// Its UID.
    pub uid: String,
    /// SHA-256 of what is asked, as the server holds it.
    pub digest: String,
    /// The request itself, or why it cannot be read.
    pub request: Result<CertificateRequest, String>,
    /// `Pending`, `Approved`, `Denied` or `Failed`.
    pub condition: &'static str,
    /// Is the certificate there?
    pub issued: bool,
}

impl Csr {
    /// Reads an object.
    pub fn read(object: &Json) -> Self {
        let text = |pointer| kubectl::text(object, pointer).to_owned();
        let usages = object.pointer("/spec/usages").and_then(Json::as_array).into_iter().flatten();
        let pem =
            STANDARD.decode(kubectl::text(object, "/spec/request")).map_err(|_| "it is no base64".to_owned());
        Self {
            name: text("/metadata/name"),
            signer: text("/spec/signerName"),
            username: text("/spec/username"),
            expiration: object
                .pointer("/spec/expirationSeconds")
                .and_then(Json::as_u64)
                .map(Duration::from_secs),
            uid: text("/metadata/uid"),
            digest: sha256(kubectl::text(object, "/spec/request").as_bytes()),
            usages: usages.filter_map(Json::as_str).map(str::to_owned).collect(),
            request: pem.and_then(|pem| CertificateRequest::one_pem(&pem).map_err(|error| error.to_string())),
            condition: condition(object),
            issued: !kubectl::text(object, "/status/certificate").is_empty(),
        }
    }

    /// The alternative names that it asks for, as text.
    pub fn sans(&self) -> Vec<String> {
        let request = self.request.as_ref().ok();
        request.map(|request| request.sans().iter().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

/// Denied counts most, and Approved least: a request may be approved and fail.
fn condition(object: &Json) -> &'static str {
    let all = object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let types: Vec<&str> = all.map(|one| kubectl::text(one, "/type")).collect();
    ["Denied", "Failed", "Approved"].into_iter().find(|known| types.contains(known)).unwrap_or("Pending")
}
