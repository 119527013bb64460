//! The token forms against fixed values: `tests/vectors/tokens.json`, which
//! `tests/clients/check_vectors.py` recomputes from docs/tokens.md alone.

use countersign::domain::{
    keys::{Key, KeyFileError, KeyRing},
    tokens::{AccessToken, ClientSecret, Malformed, RefreshToken, Token},
};
use serde::Deserialize;
use std::{fmt::Write as _, sync::Arc};
use uuid::Uuid;

const FILE: &str = include_str!("vectors/tokens.json");

/// What of the file concerns the library; it tells no derived key and no checksum.
#[derive(Deserialize)]
struct Vectors {
    key_file: String,
    key_files: Vec<KeyFile>,
    access: Vec<Access>,
    refresh: Vec<Refresh>,
    successors: Vec<Successors>,
    client_secrets: Vec<Secret>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct KeyFile {
    text: String,
    ids: Option<Vec<String>>,
    refused: Option<String>,
}

#[derive(Deserialize)]
struct Access {
    key_id: String,
    minted_at: u32,
    random: String,
    text: String,
    digest: String,
}

#[derive(Deserialize)]
struct Refresh {
    key_id: String,
    session_id: Uuid,
    counter: u32,
    secret: String,
    text: String,
    digest: String,
}

#[derive(Deserialize)]
struct Successors {
    of: String,
    salt: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    text: String,
    digest: String,
}

#[derive(Deserialize)]
struct Secret {
    key_id: String,
    client_id: Uuid,
    random: String,
    text: String,
    digest: String,
}

#[derive(Deserialize)]
struct Refused {
    kind: String,
    text: String,
    cause: String,
}

fn vectors() -> (Vectors, KeyRing) {
    let vectors: Vectors = serde_json::from_str(FILE).expect("the file has this form");
    let ring = KeyRing::parse(&vectors.key_file).expect("the file's own key file");
    (vectors, ring)
}

fn key<'a>(ring: &'a KeyRing, id: &str) -> &'a Arc<Key> {
    let id = ring.ids().find(|own| own.to_string() == id);
    ring.get(id.expect("a key of the file"))
        .expect("its own id")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N, "{text}");
    std::array::from_fn(|at| {
        u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal digits")
    })
}

#[test]
fn key_files_are_read_as_the_vectors_say() {
    for file in vectors().0.key_files {
        let read = KeyRing::parse(&file.text);
        let cause = read.as_ref().err().map(|error| match error {
            KeyFileError::Empty => "empty",
            KeyFileError::Malformed { .. } => "malformed",
            KeyFileError::Duplicate { .. } => "duplicate",
        });
        let ids = read.ok().map(|ring| {
            let ids = ring.ids().map(|id| id.to_string());
            ids.collect::<Vec<_>>()
        });
        assert_eq!(ids, file.ids, "{:?}", file.text);
        assert_eq!(cause, file.refused.as_deref(), "{:?}", file.text);
    }
}

#[test]
fn access_tokens_are_those_of_the_vectors() {
    let (vectors, ring) = vectors();
    assert!(!vectors.access.is_empty());
    for vector in vectors.access {
        let key = key(&ring, &vector.key_id);
        let minted = AccessToken::mint(key, vector.minted_at, &unhex(&vector.random));
        let read = AccessToken::parse(&vector.text, &ring).expect("a token");
        for token in [minted, read] {
            assert_eq!(token.plaintext().reveal(), vector.text);
            assert_eq!(hex(&token.digest().0), vector.digest);
            assert_eq!(token.key_id(), key.id());
        }
        assert!(matches!(
            Token::parse(&vector.text, &ring),
            Ok(Token::Access(_))
        ));
    }
}

#[test]
fn refresh_tokens_are_those_of_the_vectors() {
    let (vectors, ring) = vectors();
    assert!(vectors.refresh.iter().any(|vector| vector.counter == 0));
    for vector in vectors.refresh {
        let key = key(&ring, &vector.key_id);
        let read = RefreshToken::parse(&vector.text, &ring).expect("a token");
        // The library mints a family's first token alone; later ones are derived.
        let first = (vector.counter == 0)
            .then(|| RefreshToken::first(key, vector.session_id, unhex(&vector.secret)));
        for token in first.into_iter().chain([read]) {
            assert_eq!(token.plaintext().reveal(), vector.text);
            assert_eq!(token.digest().0, vector.digest);
            assert_eq!(token.session(), vector.session_id);
            assert_eq!(token.counter(), vector.counter);
            assert_eq!(token.key().id(), key.id());
        }
        assert!(matches!(
            Token::parse(&vector.text, &ring),
            Ok(Token::Refresh(_))
        ));
    }
}

#[test]
fn successors_are_those_of_the_vectors() {
    let (vectors, ring) = vectors();
    assert!(!vectors.successors.is_empty());
    for vector in vectors.successors {
        let salt = unhex(&vector.salt);
        let mut token = RefreshToken::parse(&vector.of, &ring).expect("a token");
        for step in vector.steps {
            token = token.successor(&salt);
            assert_eq!(token.plaintext().reveal(), step.text);
            assert_eq!(token.digest().0, step.digest);
        }
    }
}

#[test]
fn client_secrets_are_those_of_the_vectors() {
    let (vectors, ring) = vectors();
    assert!(!vectors.client_secrets.is_empty());
    for vector in vectors.client_secrets {
        let key = key(&ring, &vector.key_id);
        let minted = ClientSecret::mint(key, vector.client_id, &unhex(&vector.random));
        let read = ClientSecret::parse(&vector.text, &ring).expect("a secret");
        for secret in [minted, read] {
            assert_eq!(secret.plaintext().reveal(), vector.text);
            assert_eq!(hex(&secret.digest().0), vector.digest);
            assert_eq!(secret.client_id(), vector.client_id);
            assert_eq!(secret.key_id(), key.id());
        }
    }
}

#[test]
fn what_is_no_token_is_refused_by_the_step_that_the_vectors_name() {
    let (vectors, ring) = vectors();
    for vector in vectors.refused {
        let text = &vector.text;
        let refused = match vector.kind.as_str() {
            "access" => AccessToken::parse(text, &ring).err(),
            "refresh" => RefreshToken::parse(text, &ring).err(),
            "client_secret" => ClientSecret::parse(text, &ring).err(),
            other => panic!("no such kind: {other}"),
        };
        let cause = refused.map(|cause| match cause {
            Malformed::Form => "form",
            Malformed::Checksum => "checksum",
            Malformed::UnknownKey => "unknown_key",
            Malformed::Mac => "mac",
        });
        assert_eq!(
            cause,
            Some(vector.cause.as_str()),
            "{} {text:?}",
            vector.kind
        );
    }
}
