use super::*;

fn read(text: &str) -> Result<DatabaseUrl, InvalidUrl> {
    DatabaseUrl::parse(text)
}

#[test]
fn the_modes_are_those_of_libpq() {
    for (text, mode) in [
        ("postgres://u:p@h/d", Mode::Prefer),
        ("postgres://u:p@h/d?sslmode=", Mode::Prefer),
        ("postgres://u:p@h/d?sslmode=disable", Mode::Disable),
        ("postgres://u:p@h/d?sslmode=prefer", Mode::Prefer),
        ("postgres://u:p@h/d?sslmode=require", Mode::Require),
        ("host=h sslmode=verify-ca sslrootcert='a b'", Mode::VerifyCa),
        (
            "postgres://h?sslmode=verify-full&sslrootcert=%2Fca",
            Mode::VerifyFull,
        ),
        ("postgres://h?sslrootcert=%2Fca", Mode::VerifyFull),
        ("postgres://h?sslrootcert=system", Mode::VerifyFull),
    ] {
        assert_eq!(read(text).unwrap().tls.mode, mode, "{text}");
    }
}

#[test]
fn what_verifies_nothing_is_not_passed_over_in_silence() {
    for (text, wrong) in [
        ("postgres://h?sslmode=allow", InvalidUrl::Mode),
        (
            "postgres://h?sslmode=verify-full",
            InvalidUrl::NoAuthorities(Mode::VerifyFull),
        ),
        (
            "host=h sslmode=verify-ca",
            InvalidUrl::NoAuthorities(Mode::VerifyCa),
        ),
        (
            "postgres://h?sslmode=prefer&sslrootcert=/ca",
            InvalidUrl::UnusedAuthorities(Mode::Prefer),
        ),
        (
            "postgres://h?sslmode=disable&sslrootcert=/ca",
            InvalidUrl::UnusedAuthorities(Mode::Disable),
        ),
        (
            "postgres://h?sslmode=require&sslrootcert=system",
            InvalidUrl::WeakSystem(Mode::Require),
        ),
        ("postgres://h?sslcert=/c", InvalidUrl::HalfIdentity),
        (
            "postgres://h?sslmode=disable&sslcert=/c&sslkey=/k",
            InvalidUrl::UnusedIdentity,
        ),
        (
            "postgres://h?target_session_attrs=read-only",
            InvalidUrl::Target,
        ),
        (
            "postgres://h?tcp_user_timeout=soon",
            InvalidUrl::Value("tcp_user_timeout"),
        ),
        ("postgres://h?gssencmode=disable", InvalidUrl::Text),
        ("user=u", InvalidUrl::NoHost),
        ("host='h", InvalidUrl::Text),
        ("http://h", InvalidUrl::Text),
    ] {
        assert_eq!(read(text).unwrap_err(), wrong, "{text}");
    }
}

#[test]
fn a_file_beside_the_url_counts_before_one_in_it() {
    let files = DatabaseFiles {
        ca: Some("/mine".into()),
        ..DatabaseFiles::default()
    };
    let url = DatabaseUrl::with_files("postgres://h?sslrootcert=/other", files).unwrap();
    assert_eq!(url.tls.roots, Some(Roots::File("/mine".into())));
}

#[test]
fn of_several_hosts_the_one_that_takes_writes_is_meant() {
    let target = |text| read(text).unwrap().config.get_target_session_attrs();
    assert_eq!(target("postgres://a,b/d"), TargetSessionAttrs::ReadWrite);
    assert_eq!(target("host=a,b"), TargetSessionAttrs::ReadWrite);
    assert_eq!(target("postgres://a/d"), TargetSessionAttrs::Any);
    let any = "postgres://a,b/d?target_session_attrs=any";
    assert_eq!(target(any), TargetSessionAttrs::Any);
}

#[test]
fn sockets_notice_that_nobody_is_there_unless_told_otherwise() {
    let url = read("postgres://h").unwrap();
    assert_eq!(url.config.get_tcp_user_timeout(), Some(&USER_TIMEOUT));
    assert_eq!(url.config.get_keepalives_idle(), KEEPALIVE.0);
    let text = "postgres://h?tcp_user_timeout=1500&keepalives_idle=7&keepalives_count=9\
                &keepalives_interval=2&connect_timeout=4";
    let url = read(text).unwrap();
    let ms = Duration::from_millis(1500);
    assert_eq!(url.config.get_tcp_user_timeout(), Some(&ms));
    assert_eq!(url.config.get_keepalives_idle(), Duration::from_secs(7));
    assert_eq!(url.config.get_keepalives_retries(), Some(9));
    let interval = url.config.get_keepalives_interval();
    assert_eq!(interval, Some(Duration::from_secs(2)));
    let limit = url.config.get_connect_timeout();
    assert_eq!(limit, Some(&Duration::from_secs(4)));
    let off = read("postgres://h?tcp_user_timeout=0&keepalives=0").unwrap();
    assert_eq!(off.config.get_tcp_user_timeout(), None);
    assert!(!off.config.get_keepalives());
}

#[test]
fn a_password_of_any_letters_survives_both_forms() {
    let password = |text| {
        let url = read(text).unwrap();
        let password = url.config.get_password().unwrap().to_vec();
        String::from_utf8(password).unwrap()
    };
    assert_eq!(
        password("postgres://u:a?b&c=d@h/d?sslmode=require"),
        "a?b&c=d"
    );
    let pairs = r"host=h password='it\'s a \\ b=c' sslmode = require user=u";
    assert_eq!(password(pairs), r"it's a \ b=c");
    assert_eq!(password(r"password=a\ b host=h"), "a b");
}

#[test]
fn what_is_written_reads_the_same() {
    let text = "postgres://u:p%3F@a:1,[::1]:2,%2Frun%2Fpg:3/d?sslmode=verify-ca&sslrootcert=/ca\
                &sslcert=/a%20b&sslkey=/k&load_balance_hosts=random";
    let url = read(text).unwrap();
    let again = read(&url.to_url()).unwrap();
    assert_eq!(again.to_url(), url.to_url());
    assert_eq!(again.tls.mode, Mode::VerifyCa);
    assert_eq!(again.tls.identity, Some(("/a b".into(), "/k".into())));
    assert_eq!(again.config.get_hosts(), url.config.get_hosts());
}

#[test]
fn what_cannot_be_a_host_may_be_of_a_password_and_is_refused() {
    for text in [
        "postgres://u:Tr0ub4dor@hunter2@db.example/d",
        "postgres://u:Tr0ub4dor@hunter2/3@db.example/d",
        "postgres://u:Tr0ub4dor@hunter2,3@db.example:5432,other/d?sslmode=require",
        "postgres://u:Tr0ub4dor@hunter2%40db.example/d",
        "postgres://u:Tr0ub4dor@hunter2!/d",
        "host=hunter2@db.example",
        "host='hunter2 db.example'",
    ] {
        let wrong = read(text).unwrap_err();
        assert_eq!(wrong, InvalidUrl::Host, "{text}");
        assert!(!format!("{wrong} {wrong:?}").contains("hunter2"), "{text}");
    }
    for text in [
        "postgres://u:Tr0ub4dor%40hunter2@db-1.example_2.:5432/a%40b",
        "postgres://u:p@[fe80::1%25eth0],127.0.0.1,b\u{fc}cher.example/d?application_name=a@b",
        "postgres://u:p@%2Frun%2Fa%40b/d",
        "host=::1",
    ] {
        assert!(read(text).is_ok(), "{text}");
    }
}

#[test]
fn no_word_of_the_text_is_told() {
    let url = read("postgres://u:hunter2@h/d").unwrap();
    assert!(!format!("{url:?}").contains("hunter2"));
    let wrong = read("postgres://u:hunter2@h/d?nobody=knows").unwrap_err();
    assert!(!wrong.to_string().contains("hunter2"));
}
