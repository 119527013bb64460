//! What holds of any text.

use countersign::domain::dpop::{Algorithm, Origin, Proof, TargetUri};
use proptest::prelude::*;
use std::env;

/// RFC 9449 section 4.1.
const OF_RFC: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

/// So many cases of each property; a million and more with `--long`.
fn cases() -> ProptestConfig {
    let long = env::var_os("COUNTERSIGN_TEST_LONG").is_some();
    ProptestConfig::with_cases(if long { 1_000_000 } else { 2_000 })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_text_panics_the_reader(text in "\\PC{0,200}") {
        prop_assert!(Proof::read(&text, &Algorithm::ALL).is_err());
    }

    #[test]
    fn no_header_and_no_claims_panic_the_reader(
        header in "[\\x20-\\x7e]{0,120}", claims in prop::collection::vec(any::<u8>(), 0..120),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B};
        let text = format!("{}.{}.{}", B.encode(header), B.encode(claims), B.encode(signature));
        prop_assert!(Proof::read(&text, &Algorithm::ALL).is_err());
    }

    #[test]
    fn no_change_of_one_character_is_taken(at in 0usize..OF_RFC.len(), to in "[A-Za-z0-9_.-]") {
        let mut changed = OF_RFC.to_owned();
        changed.replace_range(at..=at, &to);
        let same = changed == OF_RFC;
        prop_assert_eq!(Proof::read(&changed, &Algorithm::ALL).is_ok(), same);
    }

    #[test]
    fn no_uri_panics_its_reader(text in "(https?:/{0,2})?[\\x21-\\x7e]{0,60}") {
        if let Some(uri) = TargetUri::parse(&text) {
            prop_assert_eq!(TargetUri::parse(uri.as_str()), Some(uri.clone()));
        }
        let _ = Origin::parse(&text);
    }
}
