//! Signatures as cosign 1 and 2 attach them: a payload, and everything else in annotations
//! (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::types::Bundle;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";

/// What a payload says that it is.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// More certificates than this are no chain.
const MAX_CHAIN: usize = 4;

/// The annotations of a signature's layer.
pub(super) struct Annotations<'a>(pub(super) &'a BTreeMap<String, String>);

#[derive(Deserialize)]
struct SimplePayload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: SignedImage,
    r#type: String,
}

#[derive(Deserialize)]
struct SignedImage {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// An entry of the transparency log, with the log's promise to include it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogEntry {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// The digest that a payload is about. Its signature has to be verified before.
pub(super) fn payload_digest(payload: &[u8]) -> Result<String, String> {
    let payload: SimplePayload =
        serde_json::from_slice(payload).map_err(|_error| "its payload is not one of cosign's")?;
    if payload.critical.r#type != PAYLOAD_TYPE {
        return Err("its payload is not a signature of an image".to_owned());
    }
    Ok(payload.critical.image.digest)
}

impl Annotations<'_> {
    /// The signature, in base64.
    pub(super) fn signature(&self) -> Result<&str, String> {
        self.get(SIGNATURE, "signature")
    }

    /// The same evidence as a bundle of the first version, so that one verifier judges it: chain,
    /// times, the log's promise, and that its entry is about this signature and this certificate.
    pub(super) fn bundle(&self, payload: &[u8]) -> Result<Bundle, String> {
        let not = |_error| "its entry of the log is not one".to_owned();
        let entry: LogEntry =
            serde_json::from_str(self.get(LOG_ENTRY, "entry of the log")?).map_err(not)?;
        let LogPayload { body, integrated_time, log_index, log_id } = entry.payload;
        let decoded = BASE64.decode(&body).map_err(|_error| "its entry of the log is not one")?;
        let kind: Value = serde_json::from_slice(&decoded).map_err(not)?;
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
            "verificationMaterial": {
                "x509CertificateChain": {"certificates": self.certificates()?},
                "tlogEntries": [{
                    "logIndex": log_index.to_string(),
                    "logId": {"keyId": BASE64.encode(unhex(&log_id)?)},
                    "kindVersion": {"kind": kind["kind"], "version": kind["apiVersion"]},
                    "integratedTime": integrated_time.to_string(),
                    "inclusionPromise": {"signedEntryTimestamp": entry.signed_entry_timestamp},
                    "canonicalizedBody": body,
                }],
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": sha256(payload)},
                "signature": self.signature()?,
            },
        });
        serde_json::from_value(bundle).map_err(|error| error.to_string())
    }

    fn certificates(&self) -> Result<Vec<Value>, String> {
        let mut found = pem(self.get(CERTIFICATE, "certificate")?);
        found.truncate(1);
        found.extend(pem(self.0.get(CHAIN).map_or("", String::as_str)));
        match found.len() {
            0 => Err("it has no certificate".to_owned()),
            count if count > MAX_CHAIN + 1 => {
                Err("its chain of certificates is too long".to_owned())
            }
            _ => Ok(found.into_iter().map(|base64| json!({"rawBytes": base64})).collect()),
        }
    }

    fn get(&self, key: &str, what: &str) -> Result<&str, String> {
        self.0.get(key).map(String::as_str).ok_or_else(|| format!("it has no {what}"))
    }
}

/// The certificates of a PEM text, each in base64 on one line.
fn pem(text: &str) -> Vec<String> {
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    let body = |block: &str| {
        block.split("-----END").next().unwrap_or_default().split_whitespace().collect()
    };
    blocks.map(body).collect()
}

fn sha256(content: &[u8]) -> String {
    use sha2::Digest as _;
    BASE64.encode(sha2::Sha256::digest(content))
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes = (0..text.len()).step_by(2).map(byte).collect::<Option<_>>();
    bytes.ok_or_else(|| "its log has no name".to_owned())
}
