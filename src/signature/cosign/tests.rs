//! A Sigstore of our own: a certificate authority, a log of certificates, a log of signatures.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
    SerialNumber, SigningKey as _, date_time_ymd,
};
use serde_json::{Value, json};
use sha2::Digest as _;

use super::*;

const SUBJECT: &str = "https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v1.2.3";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// When things are signed, in seconds: within the day for which certificates are made.
const SIGNED_AT: i64 = 1_748_779_200;

type Notes = BTreeMap<String, String>;

struct Sigstore {
    authority: Issuer<'static, KeyPair>,
    authority_der: Vec<u8>,
    authority_key: Vec<u8>,
    log: KeyPair,
    certificate_log: KeyPair,
}

fn hash(content: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(content).into()
}

fn hex(content: &[u8]) -> String {
    content.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn base64(content: impl AsRef<[u8]>) -> String {
    BASE64.encode(content)
}

/// The length of a DER value with its header, and of the header.
fn der_length(der: &[u8]) -> (usize, usize) {
    let count = usize::from(der[1] & 0x7f);
    match der[1] & 0x80 {
        0 => (2 + count, 2),
        _ => {
            let length =
                der[2..2 + count].iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
            (2 + count + length, 2 + count)
        }
    }
}

impl Sigstore {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) =
            (date_time_ymd(2025, 1, 1), date_time_ymd(2035, 1, 1));
        params.distinguished_name.push(DnType::CommonName, "authority");
        let certificate = params.self_signed(&key).unwrap();
        Self {
            authority_der: certificate.der().to_vec(),
            authority_key: key.subject_public_key_info(),
            authority: Issuer::new(params, key),
            log: KeyPair::generate().unwrap(),
            certificate_log: KeyPair::generate().unwrap(),
        }
    }

    /// A certificate for one day, long over by now.
    fn certify(
        &self,
        key: &KeyPair,
        usage: ExtendedKeyUsagePurpose,
        is_logged: bool,
    ) -> Certificate {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) =
            (date_time_ymd(2025, 6, 1), date_time_ymd(2025, 6, 2));
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(42_u64));
        params.subject_alt_names = vec![SanType::URI(SUBJECT.try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let length = u8::try_from(ISSUER.len()).unwrap();
        let issuer = [&[0x0c, length][..], ISSUER.as_bytes()].concat();
        let oid = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, issuer)];
        let first = params.signed_by(key, &self.authority).unwrap();
        if !is_logged {
            return first;
        }
        let list = self.timestamp(first.der());
        let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, list));
        params.signed_by(key, &self.authority).unwrap()
    }

    /// The signed certificate timestamp of a certificate without one (RFC 6962, 3.2 and 3.3).
    fn timestamp(&self, der: &[u8]) -> Vec<u8> {
        let inner = &der[der_length(der).1..];
        let body = &inner[..der_length(inner).0];
        let at = (u64::try_from(SIGNED_AT).unwrap() * 1000).to_be_bytes();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let key = hash(&self.authority_key);
        let signed = [&[0, 0][..], &at, &[0, 1], &key, &length[1..], body, &[0, 0]].concat();
        let signature = self.certificate_log.sign(&signed).unwrap();
        let log = hash(&self.certificate_log.subject_public_key_info());
        let short = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let one =
            [&[0][..], &log, &at, &[0, 0, 4, 3], &short(signature.len()), &signature].concat();
        let list = [&short(one.len() + 2)[..], &short(one.len()), &one].concat();
        [&[4, u8::try_from(list.len()).unwrap()][..], &list].concat()
    }

    fn root(&self) -> TrustRoot {
        let log = |key: &KeyPair| {
            let key = key.subject_public_key_info();
            json!({
                "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256", "logId": {"keyId": base64(hash(&key))},
                "publicKey": {
                    "rawBytes": base64(&key), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": {"start": "2020-01-01T00:00:00Z"},
                },
            })
        };
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log)],
            "ctlogs": [log(&self.certificate_log)],
            "certificateAuthorities": [{
                "uri": "https://authority.example",
                "certChain": {"certificates": [{"rawBytes": base64(&self.authority_der)}]},
                "validFor": {"start": "2020-01-01T00:00:00Z"},
            }],
        });
        TrustRoot::read(Some(&root.to_string())).unwrap()
    }

    fn log_name(&self) -> [u8; 32] {
        hash(&self.log.subject_public_key_info())
    }

    fn promise(&self, body: &str, at: i64, index: u64) -> String {
        let entry = json!({
            "body": body, "integratedTime": at, "logID": hex(&self.log_name()), "logIndex": index,
        });
        base64(self.log.sign(entry.to_string().as_bytes()).unwrap())
    }

    /// The annotations of cosign 2.
    fn annotate(&self, payload: &[u8], key: &KeyPair, certificate: &Certificate, at: i64) -> Notes {
        let signature = base64(key.sign(payload).unwrap());
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hex(&hash(payload))}},
                "signature": {"content": signature, "publicKey": {"content": base64(certificate.pem())}},
            },
        });
        let body = base64(body.to_string());
        let entry = json!({
            "SignedEntryTimestamp": self.promise(&body, at, 7),
            "Payload": {"body": body, "integratedTime": at, "logIndex": 7, "logID": hex(&self.log_name())},
        });
        Notes::from([
            ("dev.cosignproject.cosign/signature".into(), signature),
            ("dev.sigstore.cosign/bundle".into(), entry.to_string()),
            ("dev.sigstore.cosign/certificate".into(), certificate.pem()),
        ])
    }

    /// A bundle of cosign 3, with a log of one entry.
    fn bundle(&self, statement: &Value, key: &KeyPair, certificate: Option<&Certificate>) -> Value {
        let payload = statement.to_string();
        let signed =
            format!("DSSEv1 {} {PAYLOAD_TYPE} {} {payload}", PAYLOAD_TYPE.len(), payload.len());
        let signature = base64(key.sign(signed.as_bytes()).unwrap());
        let verifier = certificate.map_or_else(|| key.public_key_pem(), Certificate::pem);
        let body = json!({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": "00".repeat(32)},
                "payloadHash": {"algorithm": "sha256", "value": hex(&hash(payload.as_bytes()))},
                "signatures": [{"signature": signature, "verifier": base64(verifier)}],
            },
        })
        .to_string();
        let leaf = base64(hash(&[&[0], body.as_bytes()].concat()));
        let note = format!("log.example\n1\n{leaf}\n");
        let by = [&self.log_name()[..4], &self.log.sign(note.as_bytes()).unwrap()].concat();
        let checkpoint = format!("{note}\n\u{2014} log.example {}\n", base64(by));
        let (kind, material) = match certificate {
            Some(certificate) => ("certificate", json!({"rawBytes": base64(certificate.der())})),
            None => ("publicKey", json!({"hint": "x"})),
        };
        let body = base64(&body);
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "dsseEnvelope": {
                "payload": base64(&payload), "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": signature}],
            },
            "verificationMaterial": {
                kind: material,
                "tlogEntries": [{
                    "logIndex": "0", "logId": {"keyId": base64(self.log_name())},
                    "kindVersion": {"kind": "dsse", "version": "0.0.1"},
                    "integratedTime": SIGNED_AT.to_string(),
                    "inclusionPromise": {"signedEntryTimestamp": self.promise(&body, SIGNED_AT, 0)},
                    "canonicalizedBody": body,
                    "inclusionProof": {
                        "logIndex": "0", "treeSize": "1", "rootHash": leaf, "hashes": [],
                        "checkpoint": {"envelope": checkpoint},
                    },
                }],
            },
        })
    }
}

fn digest(letter: &str) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.repeat(64))).unwrap()
}

fn payload(digest: &Digest) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": "r.example/shop"},
            "image": {"docker-manifest-digest": digest.as_str()},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    payload.to_string().into()
}

fn statement(digest: &Digest, kind: &str) -> Value {
    let hex = &digest.as_str()[7..];
    json!({"_type": STATEMENT, "subject": [{"digest": {"sha256": hex}}], "predicateType": kind})
}

fn keyless(root: &TrustRoot, identity: Identity, issuer: &str) -> Verifier {
    let signer = Signer::Keyless { identity, issuer: issuer.into() };
    Verifier::new(&signer, None, root).unwrap()
}

fn by_key(root: &TrustRoot, key: &KeyPair) -> Verifier {
    let signer = Signer::Key { path: "k.pub".into() };
    Verifier::new(&signer, Some(&key.public_key_pem()), root).unwrap()
}

fn exact(text: &str) -> Identity {
    Identity::Exact(text.into())
}

#[track_caller]
fn check(name: &str, want: Option<&str>, verdict: &Verdict) {
    match (want, verdict) {
        (None, Verdict::Verified) => {}
        (Some(part), Verdict::Not(why)) if why.contains(part) => {}
        (want, verdict) => panic!("{name}: {verdict:?}, and not {want:?}"),
    }
}

#[test]
fn keys_sign_payloads() {
    let root = Sigstore::new().root();
    let (one, two) = (digest("1"), digest("2"));
    let other = KeyPair::generate().unwrap();
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let simple = |payload: Vec<u8>, signed: &[u8]| {
            let signature = base64(key.sign(signed).unwrap());
            let annotations =
                Notes::from([("dev.cosignproject.cosign/signature".into(), signature)]);
            Material::Simple { payload, annotations }
        };
        let good = simple(payload(&one), &payload(&one));
        let verifier = by_key(&root, &key);
        check("good", None, &verifier.verify(&one, std::slice::from_ref(&good)));
        check(
            "another digest",
            Some("another digest"),
            &verifier.verify(&two, std::slice::from_ref(&good)),
        );
        check(
            "another key",
            Some("not signed by the key"),
            &by_key(&root, &other).verify(&one, std::slice::from_ref(&good)),
        );
        let altered = simple(payload(&two), &payload(&one));
        check(
            "altered",
            Some("not signed by the key"),
            &verifier.verify(&two, std::slice::from_ref(&altered)),
        );
        check("one of two", None, &verifier.verify(&one, &[altered, good]));
        let other_kind =
            br#"{"critical":{"image":{"docker-manifest-digest":"x"},"type":"atomic"}}"#;
        let other_kind = simple(other_kind.to_vec(), other_kind);
        check(
            "another kind",
            Some("not a signature of an image"),
            &verifier.verify(&one, &[other_kind]),
        );
        let large = simple(vec![b' '; MAX_MATERIAL + 1], b"");
        check("too large", Some("too large"), &verifier.verify(&one, &[large]));
    }
    check("none", Some("no signature"), &by_key(&root, &other).verify(&one, &[]));
}

#[test]
fn people_sign_payloads_without_keys() {
    let sigstore = Sigstore::new();
    let root = sigstore.root();
    let (one, two) = (digest("1"), digest("2"));
    let key = KeyPair::generate().unwrap();
    let certificate = sigstore.certify(&key, ExtendedKeyUsagePurpose::CodeSigning, true);
    let notes = sigstore.annotate(&payload(&one), &key, &certificate, SIGNED_AT);
    let simple = |annotations: &Notes| {
        [Material::Simple { payload: payload(&one), annotations: annotations.clone() }]
    };
    let verifier = keyless(&root, exact(SUBJECT), ISSUER);
    check("good", None, &verifier.verify(&one, &simple(&notes)));
    let matching =
        Identity::Matching(regex::Regex::new("^(?:https://github.com/acme/.*)$").unwrap());
    check("matching", None, &keyless(&root, matching, ISSUER).verify(&one, &simple(&notes)));
    check("another digest", Some("another digest"), &verifier.verify(&two, &simple(&notes)));
    let evil = keyless(&root, exact("https://github.com/evil/shop"), ISSUER);
    check(
        "somebody else",
        Some("it is signed by https://github.com/acme"),
        &evil.verify(&one, &simple(&notes)),
    );
    let elsewhere = keyless(&root, exact(SUBJECT), "https://accounts.example");
    check("another issuer", Some("vouched for by"), &elsewhere.verify(&one, &simple(&notes)));
    let without = |name: &str| {
        let mut notes = notes.clone();
        notes.remove(name);
        notes
    };
    let none = without("dev.sigstore.cosign/bundle");
    check("not logged", Some("no entry of the log"), &verifier.verify(&one, &simple(&none)));
    let none = without("dev.sigstore.cosign/certificate");
    check("no certificate", Some("no certificate"), &verifier.verify(&one, &simple(&none)));
    // A true entry of the log, but of another signature of the same certificate.
    let foreign = sigstore.annotate(&payload(&two), &key, &certificate, SIGNED_AT);
    let mut mixed = notes.clone();
    mixed
        .insert("dev.sigstore.cosign/bundle".into(), foreign["dev.sigstore.cosign/bundle"].clone());
    check("another entry", Some(""), &verifier.verify(&one, &simple(&mixed)));
    let mut junk = notes.clone();
    junk.insert("dev.cosignproject.cosign/signature".into(), base64("junk"));
    check("junk", Some(""), &verifier.verify(&one, &simple(&junk)));
    let late = sigstore.annotate(&payload(&one), &key, &certificate, SIGNED_AT + 172_800);
    check("signed after the certificate ended", Some(""), &verifier.verify(&one, &simple(&late)));
    let tls = sigstore.certify(&key, ExtendedKeyUsagePurpose::ServerAuth, true);
    let tls = sigstore.annotate(&payload(&one), &key, &tls, SIGNED_AT);
    check("for servers", Some(""), &verifier.verify(&one, &simple(&tls)));
    let hidden = sigstore.certify(&key, ExtendedKeyUsagePurpose::CodeSigning, false);
    let hidden = sigstore.annotate(&payload(&one), &key, &hidden, SIGNED_AT);
    check("certificate not logged", Some(""), &verifier.verify(&one, &simple(&hidden)));
    let other = Sigstore::new();
    let their = other.certify(&key, ExtendedKeyUsagePurpose::CodeSigning, true);
    let theirs = other.annotate(&payload(&one), &key, &their, SIGNED_AT);
    check("another authority", Some(""), &verifier.verify(&one, &simple(&theirs)));
    let mixed = other.annotate(&payload(&one), &key, &certificate, SIGNED_AT);
    check("another log", Some(""), &verifier.verify(&one, &simple(&mixed)));
}

#[test]
fn bundles_are_statements_about_one_image() {
    let sigstore = Sigstore::new();
    let root = sigstore.root();
    let (one, two) = (digest("1"), digest("2"));
    let key = KeyPair::generate().unwrap();
    let certificate = sigstore.certify(&key, ExtendedKeyUsagePurpose::CodeSigning, true);
    let bundle = sigstore.bundle(&statement(&one, SIGNED), &key, Some(&certificate));
    let material = |bundle: &Value| [Material::Bundle(bundle.to_string().into())];
    let verifier = keyless(&root, exact(SUBJECT), ISSUER);
    check("good", None, &verifier.verify(&one, &material(&bundle)));
    check("another digest", Some(""), &verifier.verify(&two, &material(&bundle)));
    let provenance = statement(&one, "https://slsa.dev/provenance/v1");
    let provenance = sigstore.bundle(&provenance, &key, Some(&certificate));
    check("a provenance", Some("another kind"), &verifier.verify(&one, &material(&provenance)));
    let edit = |pointer: &str, value: Value| {
        let mut bundle = bundle.clone();
        *bundle.pointer_mut(pointer).unwrap() = value;
        material(&bundle)
    };
    let entry = "/verificationMaterial/tlogEntries";
    for (name, edited) in [
        (
            "another root",
            edit(&format!("{entry}/0/inclusionProof/rootHash"), json!(base64([7; 32]))),
        ),
        (
            "altered",
            edit("/dsseEnvelope/payload", json!(base64(statement(&two, SIGNED).to_string()))),
        ),
        ("not logged", edit(entry, json!([]))),
        ("old", edit("/mediaType", json!("application/vnd.dev.sigstore.bundle+json;version=0.1"))),
    ] {
        check(name, Some(""), &verifier.verify(&one, &edited));
        check(name, Some(""), &verifier.verify(&two, &edited));
    }
    let keyed = sigstore.bundle(&statement(&one, SIGNED), &key, None);
    check("by a key", None, &by_key(&root, &key).verify(&one, &material(&keyed)));
    let other = KeyPair::generate().unwrap();
    check(
        "by another key",
        Some("not signed by the key"),
        &by_key(&root, &other).verify(&one, &material(&keyed)),
    );
    check("a key where a person must", Some(""), &verifier.verify(&one, &material(&keyed)));
    check(
        "a person where a key must",
        Some("not signed by a key"),
        &by_key(&root, &key).verify(&one, &material(&bundle)),
    );
}

#[test]
fn a_real_signature_is_verified_by_the_root_that_comes_along() {
    let bundle = include_bytes!("../../../tests/data/cosign-v3-bundle.json");
    let digest =
        Digest::parse("sha256:c811d58de79c92f03214e63aa339484e488d694ae8a6283b5f3f17a9faf50172");
    let pattern = r"^(?:https://github\.com/kubewarden/kubewarden-controller/\.github/workflows/release\.yml@refs/tags/.+)$";
    let identity = || Identity::Matching(regex::Regex::new(pattern).unwrap());
    let material = [Material::Bundle(bundle.to_vec())];
    let root = TrustRoot::read(None).unwrap();
    let verifier = keyless(&root, identity(), ISSUER);
    check("good", None, &verifier.verify(&digest.clone().unwrap(), &material));
    check("another digest", Some(""), &verifier.verify(&self::digest("1"), &material));
    let own = Sigstore::new().root();
    check(
        "another root",
        Some(""),
        &keyless(&own, identity(), ISSUER).verify(&digest.unwrap(), &material),
    );
}

#[test]
fn roots_and_keys_that_are_none_are_refused() {
    assert!(TrustRoot::read(Some("{}")).is_err());
    let root = Sigstore::new().root();
    let signer = Signer::Key { path: "k.pub".into() };
    for pem in
        [None, Some(""), Some("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")]
    {
        assert!(Verifier::new(&signer, pem, &root).is_err(), "{pem:?}");
    }
}

#[test]
fn hostile_bundles_are_refused_without_a_panic() {
    let root = TrustRoot::read(None).unwrap();
    let verifier = keyless(&root, exact(SUBJECT), ISSUER);
    let real = include_bytes!("../../../tests/data/cosign-v3-bundle.json");
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
    };
    for _ in 0..500 {
        let mut mutant = real.to_vec();
        let at = random(mutant.len());
        match random(3) {
            0 => mutant[at] = u8::try_from(random(256)).unwrap(),
            1 => drop(mutant.remove(at)),
            _ => mutant.truncate(at),
        }
        check("mutant", Some(""), &verifier.verify(&digest("1"), &[Material::Bundle(mutant)]));
    }
    let deep = Material::Bundle("[".repeat(100_000).into());
    check("deep", Some(""), &verifier.verify(&digest("1"), &[deep]));
}
