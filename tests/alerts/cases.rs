//! When each alert fires, and when it does not.

/// An alert, what it is looked at after how long, and series in the notation of promtool:
/// name, values while it fires, values while all is well.
pub struct Case(
    pub &'static str,
    pub &'static str,
    pub &'static [(&'static str, &'static str, &'static str)],
);

pub const CASES: &[Case] = &[
    Case(
        "CountersignAbsent",
        "10m",
        &[("countersign_build{version=\"1\"}", "_x20", "1x20")],
    ),
    Case(
        "CountersignNobodyReady",
        "10m",
        &[
            ("countersign_ready{instance=\"a\"}", "0x20", "0x20"),
            ("countersign_ready{instance=\"b\"}", "0x20", "1x20"),
        ],
    ),
    Case(
        "CountersignNotReady",
        "10m",
        &[("countersign_ready{instance=\"a\"}", "0x20", "0x3 1x20")],
    ),
    Case(
        "CountersignDatabaseAway",
        "5m",
        &[("countersign_breaker_open", "1x20", "0x2 1 0x20")],
    ),
    Case(
        "CountersignCallsFail",
        "20m",
        &[
            (
                "countersign_calls_total{code=\"OK\"}",
                "0+600x30",
                "0+600x30",
            ),
            (
                "countersign_calls_total{code=\"UNAVAILABLE\"}",
                "0+60x30",
                "0+1x30",
            ),
            (
                "countersign_calls_total{code=\"UNAUTHENTICATED\"}",
                "0x30",
                "0+600x30",
            ),
        ],
    ),
    Case(
        "CountersignSlow",
        "30m",
        &[
            (
                "countersign_call_duration_seconds_bucket{method=\"/I\",le=\"0.1\"}",
                "0+50x40",
                "0+100x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/I\",le=\"1\"}",
                "0+100x40",
                "0+100x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/I\",le=\"+Inf\"}",
                "0+100x40",
                "0+100x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/ListSessions\",le=\"1\"}",
                "0x40",
                "0x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/ListSessions\",le=\"+Inf\"}",
                "0x40",
                "0+9x40",
            ),
        ],
    ),
    Case(
        "CountersignSheds",
        "20m",
        &[(
            "countersign_batch_shed_total{kind=\"open\",cause=\"wait\"}",
            "0+5x30",
            "5x30",
        )],
    ),
    Case(
        "CountersignPoolExhausted",
        "20m",
        &[("countersign_pool_timeouts_total", "0+1x30", "7x30")],
    ),
    Case(
        "CountersignPurgeLags",
        "60m",
        &[(
            "countersign_purge_lag_seconds{kind=\"family\"}",
            "8000x90",
            "600x90",
        )],
    ),
    Case(
        "CountersignPurgeFails",
        "60m",
        &[("countersign_purge_failures_total", "0+1x90", "0x20 1x90")],
    ),
    Case(
        "CountersignTokensReused",
        "20m",
        &[(
            "countersign_rotations_total{outcome=\"reused\"}",
            "0+2x30",
            "0x10 5x20",
        )],
    ),
    Case(
        "CountersignTokensUnknown",
        "20m",
        &[
            (
                "countersign_rotations_total{outcome=\"unknown\"}",
                "0x15 1x30",
                "0x30",
            ),
            (
                "countersign_rotations_total{outcome=\"rotated\"}",
                "0+5x30",
                "0+5x30",
            ),
        ],
    ),
    Case(
        "CountersignTokensForged",
        "20m",
        &[
            (
                "countersign_tokens_malformed_total{cause=\"mac\"}",
                "0+90x30",
                "0+30x30",
            ),
            (
                "countersign_tokens_malformed_total{cause=\"form\"}",
                "0x30",
                "0+900x30",
            ),
        ],
    ),
    Case(
        "CountersignKeyUnknown",
        "20m",
        &[(
            "countersign_tokens_malformed_total{cause=\"unknown_key\"}",
            "0+60x30",
            "0+1x30",
        )],
    ),
    Case(
        "CountersignKeysDiffer",
        "60m",
        &[
            ("countersign_keys{instance=\"a\"}", "2x90", "2x90"),
            ("countersign_keys{instance=\"b\"}", "1x90", "1x10 2x90"),
        ],
    ),
    Case(
        "CountersignKeyOld",
        "2h",
        &[
            (
                "countersign_key_age_seconds{key=\"minting\"}",
                "34600000x200",
                "34000000x200",
            ),
            (
                "countersign_key_age_seconds{key=\"oldest\"}",
                "34600000x200",
                "34600000x200",
            ),
        ],
    ),
    Case(
        "CountersignCertificateEnds",
        "5m",
        &[("countersign_certificate_left_seconds", "500x20", "1800x20")],
    ),
    Case(
        "CountersignCertificateEndsSoon",
        "8h",
        &[(
            "countersign_certificate_left_seconds",
            "700000 200000x600",
            // A SPIFFE identity, of an hour.
            "3600x600",
        )],
    ),
    Case(
        "CountersignReloadFails",
        "20m",
        &[(
            "countersign_reloads_total{what=\"keys\",outcome=\"failed\"}",
            "0x11 3x30",
            "3x30",
        )],
    ),
    Case(
        "CountersignAuditDropped",
        "20m",
        &[("countersign_audit_dropped_total", "0x15 2x30", "2x30")],
    ),
    Case(
        "CountersignIdsRunOut",
        "30m",
        &[
            (
                "countersign_ids_left{table=\"auth.user\"}",
                "2000000000x60",
                "2000000000x60",
            ),
            (
                "countersign_ids_left{table=\"auth.refresh_session\"}",
                "900x60",
                "20000000x60",
            ),
        ],
    ),
    Case(
        "CountersignVersionsDiffer",
        "2h",
        &[
            ("countersign_build{version=\"1\"}", "1x200", "1x200"),
            ("countersign_build{version=\"2\"}", "1x200", "1x20 stale"),
        ],
    ),
    Case(
        "CountersignForwardedIgnored",
        "40m",
        &[(
            "countersign_forwarded_ignored_total{cause=\"untrusted\"}",
            "0+1x60",
            "9x60",
        )],
    ),
    Case(
        "CountersignTelemetryDropped",
        "60m",
        &[(
            "countersign_telemetry_dropped_total{signal=\"spans\",cause=\"export\"}",
            "0+1x90",
            "9x90",
        )],
    ),
];
