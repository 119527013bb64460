//! What must hold for every token and every text.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use countersign::domain::{
    keys::{KeyRing, new_key_line},
    tokens::{AccessToken, ClientSecret, Malformed, RefreshToken, Token},
};
use proptest::{array, prelude::*};
use uuid::Uuid;

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// Every way in which a text is read as a token; `None`: it was refused.
const PARSERS: [fn(&str, &KeyRing) -> Option<String>; 4] = [
    |text, ring| {
        let token = AccessToken::parse(text, ring).ok()?;
        Some(token.plaintext().reveal().to_owned())
    },
    |text, ring| {
        let token = RefreshToken::parse(text, ring).ok()?;
        Some(token.plaintext().reveal().to_owned())
    },
    |text, ring| {
        let secret = ClientSecret::parse(text, ring).ok()?;
        Some(secret.plaintext().reveal().to_owned())
    },
    |text, ring| match Token::parse(text, ring).ok()? {
        Token::Access(token) => Some(token.plaintext().reveal().to_owned()),
        Token::Refresh(token) => Some(token.plaintext().reveal().to_owned()),
    },
];

fn refused_by_all(text: &str, ring: &KeyRing) -> bool {
    PARSERS.iter().all(|parse| parse(text, ring).is_none())
}

/// A ring of one to three keys.
fn ring() -> impl Strategy<Value = KeyRing> {
    prop::collection::vec((any::<u32>(), array::uniform32(any::<u8>())), 1..4)
        .prop_map(|keys| {
            let line = |(id, secret): (u32, [u8; 32])| {
                let mut random = [0; 36];
                random[..4].copy_from_slice(&id.to_be_bytes());
                random[4..].copy_from_slice(&secret);
                new_key_line(&random)
            };
            keys.into_iter().map(line).collect::<String>()
        })
        .prop_filter_map("an id twice", |text| KeyRing::parse(&text).ok())
}

fn salt() -> impl Strategy<Value = [u8; 16]> {
    array::uniform16(any::<u8>())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// A first refresh token and the ring of its key.
fn refresh() -> impl Strategy<Value = (KeyRing, RefreshToken)> {
    (ring(), uuid(), array::uniform20(any::<u8>())).prop_map(|(ring, session, secret)| {
        let token = RefreshToken::first(ring.minting(), session, secret);
        (ring, token)
    })
}

/// The text of a token of any kind, and the ring of its key.
fn real() -> impl Strategy<Value = (KeyRing, String)> {
    let parts = (0..3, any::<u32>(), uuid(), array::uniform24(any::<u8>()));
    (ring(), parts).prop_map(|(ring, (kind, minted_at, id, random))| {
        let key = ring.minting();
        let text = match kind {
            0 => AccessToken::mint(key, minted_at, &random).plaintext(),
            1 => {
                let secret = std::array::from_fn(|at| random[at]);
                RefreshToken::first(key, id, secret).plaintext()
            }
            _ => ClientSecret::mint(key, id, &random).plaintext(),
        };
        let text = text.reveal().to_owned();
        (ring, text)
    })
}

/// The text with the right checksum for a prefix and a body.
fn checked(start: &str) -> String {
    let crc = crc32fast::hash(start.as_bytes()) as usize;
    let digits = (0..6).map(|at| char::from(ALPHABET.as_bytes()[crc / 62_usize.pow(5 - at) % 62]));
    start.chars().chain(digits).collect()
}

proptest! {
    #[test]
    fn no_text_is_a_token_by_accident_and_none_panics(ring in ring(), text in any::<String>()) {
        prop_assert!(refused_by_all(&text, &ring));
    }

    #[test]
    fn no_text_like_a_token_is_one_and_none_panics(
        ring in ring(),
        text in "cs_(at|rt|cs)_([A-Za-z0-9_-]{70}|[A-Za-z0-9_-]{86}|\\PC{60,90})",
    ) {
        prop_assert!(refused_by_all(&text, &ring));
    }

    /// Past the checksum too: any characters, any length, any bytes.
    #[test]
    fn a_right_checksum_makes_no_token_and_none_panics(
        ring in ring(),
        prefix in "cs_(at|rt|cs)_",
        body in prop_oneof![
            "[A-Za-z0-9_=+/ -]{64}|[A-Za-z0-9_=+/ -]{80}|\\PC{0,90}",
            prop::collection::vec(any::<u8>(), 48).prop_map(|bytes| BASE64URL.encode(bytes)),
            prop::collection::vec(any::<u8>(), 60).prop_map(|bytes| BASE64URL.encode(bytes)),
        ],
    ) {
        let text = checked(&format!("{prefix}{body}"));
        prop_assert!(refused_by_all(&text, &ring), "{}", text);
    }

    #[test]
    fn a_token_with_one_character_changed_is_refused(
        (ring, text) in real(),
        at in any::<prop::sample::Index>(),
        to in prop_oneof![prop::sample::select(ALPHABET.chars().collect::<Vec<_>>()), any::<char>()],
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        prop_assume!(characters[at] != to);
        characters[at] = to;
        let changed: String = characters.iter().collect();
        prop_assert!(refused_by_all(&changed, &ring), "{}", changed);
    }

    #[test]
    fn a_token_with_a_character_more_or_less_is_refused(
        (ring, text) in real(),
        at in any::<prop::sample::Index>(),
        more in any::<char>(),
    ) {
        let at = at.index(text.len());
        let (before, after) = text.split_at(at);
        for changed in [
            format!("{before}{more}{after}"),
            format!("{before}{}", &after[1..]),
            format!("{text}{more}"),
        ] {
            prop_assert!(refused_by_all(&changed, &ring), "{}", changed);
        }
    }

    /// The checksum is public: behind it stands the MAC.
    #[test]
    fn a_token_with_one_bit_of_its_body_changed_is_forged(
        (ring, text) in real(),
        bit in any::<prop::sample::Index>(),
    ) {
        let (prefix, rest) = text.split_at(6);
        let mut body = BASE64URL.decode(&rest[..rest.len() - 6]).expect("a real body");
        let bit = bit.index(body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
        let forged = checked(&format!("{prefix}{}", BASE64URL.encode(body)));
        let cause = match prefix {
            "cs_at_" => AccessToken::parse(&forged, &ring).err(),
            "cs_rt_" => RefreshToken::parse(&forged, &ring).err(),
            _ => ClientSecret::parse(&forged, &ring).err(),
        };
        // A changed key id may name another key of the ring, whose MAC fails as well.
        prop_assert!(
            cause == Some(Malformed::Mac) || (bit < 32 && cause == Some(Malformed::UnknownKey)),
            "bit {}: {:?}",
            bit,
            cause
        );
    }

    #[test]
    fn a_token_under_another_secret_of_the_same_id_is_forged(
        (ring, text) in real(),
        secret in array::uniform32(any::<u8>()),
    ) {
        let line = format!("{} {}", ring.minting().id(), BASE64URL.encode(secret));
        let other = KeyRing::parse(&line).expect("a key file");
        prop_assert!(refused_by_all(&text, &other));
    }

    #[test]
    fn a_token_is_read_back_by_its_own_parser_alone((ring, text) in real()) {
        let read: Vec<bool> = PARSERS
            .iter()
            .map(|parse| match parse(&text, &ring) {
                None => false,
                Some(again) => again == text,
            })
            .collect();
        let expected = match &text[..6] {
            "cs_at_" => [true, false, false, true],
            "cs_rt_" => [false, true, false, true],
            _ => [false, false, true, false],
        };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn an_access_token_keeps_its_parts(
        ring in ring(),
        minted_at in any::<u32>(),
        random in array::uniform24(any::<u8>()),
    ) {
        for id in ring.ids() {
            let key = ring.get(id).expect("its own id");
            let minted = AccessToken::mint(key, minted_at, &random);
            let read = AccessToken::parse(minted.plaintext().reveal(), &ring).expect("a token");
            prop_assert_eq!(read.digest(), minted.digest());
            prop_assert_eq!(&read.digest().0[..4], minted_at.to_be_bytes());
            prop_assert_eq!(read.key_id(), id);
        }
    }

    #[test]
    fn a_client_secret_keeps_its_parts(
        ring in ring(),
        client_id in uuid(),
        random in array::uniform24(any::<u8>()),
    ) {
        let minted = ClientSecret::mint(ring.minting(), client_id, &random);
        let read = ClientSecret::parse(minted.plaintext().reveal(), &ring).expect("a secret");
        prop_assert_eq!(read.digest(), minted.digest());
        prop_assert_eq!(read.client_id(), client_id);
        prop_assert_eq!(read.key_id(), ring.minting().id());
    }

    #[test]
    fn a_refresh_token_keeps_its_parts_at_every_step(
        (ring, first) in refresh(),
        salt in salt(),
        steps in 0_u32..20,
    ) {
        let token = (0..steps).fold(first.clone(), |token, _| token.successor(&salt));
        let read = RefreshToken::parse(token.plaintext().reveal(), &ring).expect("a token");
        prop_assert_eq!(read.digest(), token.digest());
        prop_assert_eq!(read.session(), first.session());
        prop_assert_eq!(read.counter(), steps);
        prop_assert_eq!(read.key().id(), first.key().id());
    }

    #[test]
    fn a_successor_is_the_same_from_every_copy((ring, token) in refresh(), salt in salt()) {
        let copy = RefreshToken::parse(token.plaintext().reveal(), &ring).expect("a token");
        let (one, other) = (token.successor(&salt), copy.successor(&salt));
        prop_assert_eq!(one.digest(), other.digest());
        let (one, other) = (one.plaintext(), other.plaintext());
        prop_assert_eq!(one.reveal(), other.reveal());
    }

    /// What is compared is the derived secret: session and counter differ anyway.
    #[test]
    fn a_successor_depends_on_secret_salt_session_and_counter(
        (ring, token) in refresh(),
        salt in salt(),
        other_salt in salt(),
        other_session in uuid(),
        other_secret in array::uniform20(any::<u8>()),
    ) {
        prop_assume!(salt != other_salt && token.session() != other_session);
        let own = secret(&token.successor(&salt));
        prop_assert_ne!(own, secret(&token));
        prop_assert_ne!(own, secret(&token.successor(&other_salt)));

        let moved = RefreshToken::first(ring.minting(), other_session, secret(&token));
        prop_assert_ne!(own, secret(&moved.successor(&salt)));
        let elsewhere = RefreshToken::first(ring.minting(), token.session(), other_secret);
        prop_assert_ne!(own, secret(&elsewhere.successor(&salt)));

        // The same secret at another counter; only a successor has one.
        let next = token.successor(&salt);
        let back = RefreshToken::first(ring.minting(), token.session(), secret(&next));
        prop_assert_ne!(secret(&next.successor(&salt)), secret(&back.successor(&salt)));
    }

    #[test]
    fn nothing_of_a_token_is_printed((ring, text) in real()) {
        let body = &text[6..];
        let printed = [
            AccessToken::parse(&text, &ring).map(|token| format!("{token:?} {:?}", token.plaintext())),
            RefreshToken::parse(&text, &ring).map(|token| format!("{token:?} {:?}", token.plaintext())),
            ClientSecret::parse(&text, &ring).map(|token| format!("{token:?} {:?}", token.plaintext())),
        ];
        let printed: Vec<String> = printed.into_iter().flatten().collect();
        prop_assert_eq!(printed.len(), 1);
        for at in 0..body.len() - 8 {
            prop_assert!(!printed[0].contains(&body[at..at + 8]), "{}", printed[0]);
        }
    }
}

/// The 20 secret bytes of a refresh token.
fn secret(token: &RefreshToken) -> [u8; 20] {
    let text = token.plaintext().reveal().to_owned();
    let body = BASE64URL.decode(&text[6..86]).expect("a real body");
    std::array::from_fn(|at| body[24 + at])
}
