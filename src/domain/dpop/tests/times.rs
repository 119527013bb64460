//! Nonces, and what is remembered for how long.

use super::*;

/// Check 10.
#[test]
fn a_nonce_is_of_this_slot_or_the_last_and_stands_in_for_the_time() {
    let (ring, slot) = (ring(5), rules().nonce_lifetime);
    let later =
        |slots: i64| now() + TimeDelta::from_std(slot).unwrap() * i32::try_from(slots).unwrap();
    let nonce = rules().fresh_nonce(&ring, now());
    assert_eq!(nonce.len(), NONCE_CHARS);
    let mut claims = claims();
    claims["nonce"] = json!(nonce);
    // A clock that is off by years.
    claims["iat"] = json!(7);
    let proof = signed(&header(), &claims);
    let required = Rules {
        nonces: NoncePolicy::Required,
        ..rules()
    };
    let offered = Rules {
        nonces: NoncePolicy::Offered,
        ..rules()
    };
    for rules in [&required, &offered, &rules()] {
        assert!(judged(rules, &proof, later(0)).unwrap().proven.nonce);
        assert!(judged(rules, &proof, later(1)).unwrap().proven.nonce);
    }
    for at in [later(2), later(-1)] {
        assert_eq!(judged(&required, &proof, at).err(), Some(Fault::Nonce));
        assert_eq!(judged(&offered, &proof, at).err(), Some(Fault::Nonce));
        // Nobody offered one, so it says nothing, and the time decides.
        assert_eq!(judged(&rules(), &proof, at).err(), Some(Fault::Stale));
    }
    let without = signed(&header(), &super::claims());
    assert_eq!(
        judged(&required, &without, now()).err(),
        Some(Fault::NonceMissing)
    );
    assert!(judged(&offered, &without, now()).is_ok());
    // Forged, of another ring, or of a retired key.
    let foreign = rules().fresh_nonce(&super::ring(6), now());
    for bad in [
        foreign.as_str(),
        "",
        &"A".repeat(NONCE_CHARS),
        &nonce[1..],
        &format!("{nonce}A"),
    ] {
        let proof = with_claim("nonce", json!(bad));
        assert_eq!(
            judged(&required, &proof, now()).err(),
            Some(Fault::Nonce),
            "{bad}"
        );
    }
}

#[test]
fn a_proof_is_remembered_for_its_whole_life_and_no_more_than_there_is_room() {
    let rules = Rules {
        lifetime: Duration::from_mins(1),
        skew: Duration::from_secs(20),
        nonce_lifetime: Duration::from_mins(5),
        ..rules()
    };
    let proof = |id: u32| {
        let proof = with_claim("jti", json!(id.to_string()));
        judged(&rules, &proof, now()).unwrap()
    };
    let after = |seconds: i64| now() + TimeDelta::seconds(seconds);
    let mut replays = Replays::new(&rules, 3);
    assert!(replays.is_empty());
    assert_eq!(replays.remember(&proof(1), after(0)), Remembered::First);
    assert_eq!(replays.remember(&proof(1), after(0)), Remembered::Replayed);
    assert_eq!(replays.remember(&proof(2), after(99)), Remembered::First);
    assert_eq!(replays.remember(&proof(3), after(100)), Remembered::First);
    assert_eq!(replays.remember(&proof(4), after(101)), Remembered::Full);
    assert_eq!(
        replays.remember(&proof(2), after(199)),
        Remembered::Replayed
    );
    // A clock that was set back forgets nothing.
    assert_eq!(
        replays.remember(&proof(1), after(-500)),
        Remembered::Replayed
    );
    assert_eq!(replays.remember(&proof(2), after(200)), Remembered::First);
    assert_eq!(
        replays.remember(&proof(3), after(201)),
        Remembered::Replayed
    );
    assert_eq!(replays.len(), 2);
    assert_eq!(replays.remember(&proof(5), after(1000)), Remembered::First);
    assert_eq!(replays.len(), 1);
}

#[test]
fn a_proof_with_a_nonce_is_remembered_for_as_long_as_one_is_good() {
    let rules = Rules {
        lifetime: Duration::from_mins(1),
        skew: Duration::from_secs(20),
        nonce_lifetime: Duration::from_mins(5),
        ..rules()
    };
    let nonce = rules.fresh_nonce(&ring(5), now());
    let mut replays = Replays::new(&rules, 3);
    let after = |seconds: i64| now() + TimeDelta::seconds(seconds);
    let with = judged(&rules, &with_claim("nonce", json!(nonce)), now()).unwrap();
    // Not good yet by this clock, perhaps; it will be.
    let other = judged(&rules, &with_claim("nonce", json!("of another")), now()).unwrap();
    assert_eq!(replays.remember(&with, after(0)), Remembered::First);
    assert_eq!(replays.remember(&other, after(0)), Remembered::Replayed);
    for seconds in [100, 250, 599] {
        assert_eq!(
            replays.remember(&with, after(seconds)),
            Remembered::Replayed
        );
    }
    assert_eq!(replays.remember(&with, after(1200)), Remembered::First);
    let without = judged(&rules, &with_claim("nonce", json!(null)), now());
    assert_eq!(
        without.map(|proof| replays.remember(&proof, after(1800))),
        Ok(Remembered::Replayed),
        "one id is one use"
    );
}

/// Or it could be used again when it is forgotten.
#[test]
fn a_proof_is_remembered_for_as_long_as_it_is_taken() {
    let seconds = |length: Duration| TimeDelta::from_std(length).unwrap();
    for nonce_lifetime in [Duration::from_secs(1), Duration::from_hours(1)] {
        let rules = Rules {
            nonces: NoncePolicy::Offered,
            nonce_lifetime,
            ..rules()
        };
        let (first, last) = (
            now() - seconds(rules.skew),
            now() + seconds(rules.lifetime + rules.skew),
        );
        let by_time = signed(&header(), &claims());
        let slot = nonce_lifetime.as_millis();
        let into = now().timestamp_millis() % i64::try_from(slot).unwrap();
        let begins = now() - TimeDelta::milliseconds(into);
        let ends = begins + seconds(nonce_lifetime * 2) - TimeDelta::milliseconds(1);
        let by_nonce = with_claim("nonce", json!(rules.fresh_nonce(&ring(5), begins)));
        for (proof, first, last, life) in [
            (by_time, first, last, rules.life_without_nonce()),
            (by_nonce, begins, ends, rules.life()),
        ] {
            for taken in [first, last] {
                assert!(judged(&rules, &proof, taken).is_ok(), "{taken}");
            }
            assert!(seconds(life) >= last - first);
        }
    }
}

/// While a key is promoted, replicas mint under different ones.
#[test]
fn a_nonce_under_any_key_of_the_ring_is_good() {
    let [old, new] = [6, 5].map(|byte| new_key_line(&[byte; 36]));
    let before = KeyRing::parse(&old).unwrap();
    let after = KeyRing::parse(&format!("{new}{old}")).unwrap();
    let nonce = rules().fresh_nonce(&before, now());
    assert_ne!(nonce, rules().fresh_nonce(&after, now()));
    let good = |ring| super::nonce::is_good(&nonce, ring, now(), rules().nonce_lifetime);
    assert!(good(&before) && good(&after));
    assert!(!good(&KeyRing::parse(&new).unwrap()), "retired");
}
