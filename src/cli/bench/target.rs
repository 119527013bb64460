//! Against a server that runs already, with credentials as the other commands take them.
//! What is opened there is revoked at the end.

use super::{
    BenchArgs,
    child::Echo,
    engine::Engine,
    machine, plotted,
    prepared::{Made, Preparation},
    progress::Progress,
};
use crate::{
    bench::{
        Stop, ends,
        report::Report,
        rows::{By, Row},
        wire::Wire,
    },
    cli::{
        connection::{CallOptions, DEFAULT_TARGET},
        credentials::Credentials,
        failure::Failure,
        input::Stdin,
        output,
    },
};
use http::{HeaderValue, Uri};
use std::{env, time::Duration};
use uuid::Uuid;

/// How long an answer to a revocation is waited for, at least.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom to call, as whom.
pub(super) struct Target {
    url: String,
    authorization: HeaderValue,
    subject: Option<Uuid>,
    timeout: Duration,
}

impl Target {
    /// Finds them.
    pub(super) fn find(options: &CallOptions, subject: Option<Uuid>) -> Result<Self, Failure> {
        let tls = &options.tls;
        if tls.ca_file.is_some() || tls.certificate_file.is_some() {
            let why = "bench speaks no TLS: leave --ca-file, --certificate-file and --key-file \
                       out, and the variables of these names";
            return Err(Failure::Input(why.to_owned()));
        }
        let stdin = &mut Stdin::default();
        let credentials = Credentials::find(options, &|name| env::var_os(name), stdin)?;
        let url = credentials.target.as_deref().unwrap_or(DEFAULT_TARGET);
        plain(url)?;
        let header = credentials
            .header()?
            .ok_or_else(|| Failure::Input("bench calls with a client's secret".into()))?;
        let mut authorization = HeaderValue::from_bytes(header.as_bytes())
            .map_err(|error| Failure::Input(error.to_string()))?;
        // HPACK may remember it, as it does for most clients in the field.
        authorization.set_sensitive(false);
        Ok(Self {
            url: url.to_owned(),
            authorization,
            subject: subject.or(credentials.subject),
            timeout: options.timeout,
        })
    }

    /// Runs the rows that need no database, and ends what they opened.
    pub(super) async fn run(
        &self,
        args: &BenchArgs,
        rows: &[&'static Row],
        progress: &Progress,
        stop: Stop,
    ) -> Result<Report, Failure> {
        let echo = Echo::start().await?;
        let wire = |url: &str| {
            let authorization = Some(self.authorization.clone());
            let (url, connections, timeout) = (url.to_owned(), args.connections, self.timeout);
            async move {
                let wire = Wire::open(&url, connections, authorization, timeout).await;
                wire.map_err(|error| Failure::unreachable(&url, &error))
            }
        };
        let preparation = Preparation {
            authority: wire(&self.url).await?,
            subject: self.subject,
            limit: self.timeout,
            stop: stop.clone(),
            progress: progress.clone(),
            made: Made::default(),
        };
        let prepared = preparation.field(args, wire(&echo.target).await?).await;
        let report = match prepared {
            Ok((field, lease)) => {
                let engine = Engine {
                    plan: args.plan(),
                    field: &field,
                    instance: None,
                    lease: Some(&lease),
                    echo_pid: echo.pid(),
                    progress,
                    stop,
                };
                self.rows(args, rows, &engine).await
            }
            Err(failure) => Err(failure),
        };
        progress.says("revoking what was opened");
        let limit = self.timeout.max(PATIENCE);
        let things = preparation.made.things();
        let left = ends::end(&preparation.authority, args.concurrency, things, limit).await;
        match (report, left) {
            (Ok(report), not_revoked) => Ok(Report {
                not_revoked,
                ..report
            }),
            (Err(failure), None) => Err(failure),
            (Err(failure), Some(left)) => {
                progress.ends();
                output::say(&format!("{left}\n"));
                Err(failure)
            }
        }
    }

    async fn rows(
        &self,
        args: &BenchArgs,
        rows: &[&'static Row],
        engine: &Engine<'_>,
    ) -> Result<Report, Failure> {
        let field = engine.field;
        let mut left_out = Vec::new();
        let mut kept = Vec::new();
        for row in rows {
            match row.by {
                By::Database => left_out.push((row.name, "needs the database itself".to_owned())),
                By::Checks if field.audience.is_none() => left_out.push((
                    row.name,
                    "needs a client with the role introspector, and tokens with an audience"
                        .to_owned(),
                )),
                By::Sessions if field.sessions.is_none() => left_out.push((
                    row.name,
                    "give --subject, a user that sessions may be opened for".to_owned(),
                )),
                _ => kept.push(*row),
            }
        }
        let reports = engine.rounds(&kept).await?;
        let alone = if args.only.is_empty() && args.rate.is_none() {
            engine.alone().await?
        } else {
            None
        };
        let points = plotted(args, engine, &reports).await?;
        let mut facts = machine::facts(args, &engine.plan);
        facts.push(("target", self.url.clone().into()));
        facts.extend(machine::broken(field));
        Ok(Report {
            facts,
            rows: reports,
            through: Vec::new(),
            left_out,
            server: None,
            alone,
            points,
            open_loop: args.rate.is_some(),
            not_revoked: None,
        })
    }
}

/// Refuses what would have the secret go in the clear where TLS was asked for.
fn plain(url: &str) -> Result<(), Failure> {
    let bad = |why: &str| Err(Failure::Input(format!("the target `{url}`: {why}")));
    match url.parse::<Uri>().ok().as_ref().and_then(Uri::scheme_str) {
        Some("http") => Ok(()),
        Some("https") => bad("bench speaks no TLS: give an http:// address"),
        _ => bad("expected an address like http://127.0.0.1:7300"),
    }
}
