//! Plays one history on the server and on the model.

use super::{
    answers::{SLACK, named},
    case::Case,
    clients::{ADMIN, CLIENTS},
    operations::{Op, Token, USERS},
    world::{Verdict, World},
};
use crate::support::server::{Deployment, first_key};
use futures_util::FutureExt as _;
use std::{
    any::Any,
    collections::BTreeMap,
    fmt::{Debug, Write as _},
    panic::AssertUnwindSafe,
};

/// How often each kind of answer and event was met.
pub type Tally = BTreeMap<String, usize>;

/// How a case went, where nothing was wrong.
pub enum Played {
    /// So many operations, to the end.
    Whole(usize),
    /// It took so long that the edges of time were no longer clear.
    CutShort,
}

/// Plays a history; an error tells it, one operation a line, and what was wrong with the last.
pub async fn play(
    at: &mut Deployment,
    servers: usize,
    history: &[Op],
    tally: &mut Tally,
) -> Result<Played, String> {
    let mut case = Case::begin(at, servers).await;
    let mut world = World::new();
    let mut told = String::new();
    let mut played = 0;
    let mut cut_short = false;
    let mut result = Ok(());
    for op in history {
        let Some(op) = op.resolved(&world) else {
            continue;
        };
        let Some((next, verdict)) = world.after(&op) else {
            continue;
        };
        played += 1;
        let kinds = verdict
            .events
            .iter()
            .filter_map(|event| event.split(' ').next());
        for met in kinds.chain([verdict.answer.kind()]) {
            *tally.entry(met.to_owned()).or_default() += 1;
        }
        writeln!(told, "{played:>3}. {op}").unwrap();
        // What a helper asserts belongs to the history, too.
        result = AssertUnwindSafe(step(&mut case, &op, &world, &next, &verdict))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(said(panic.as_ref())));
        world = next;
        cut_short = case.took().as_secs() >= SLACK;
        if cut_short || result.is_err() {
            break;
        }
    }
    if result.is_ok() && !cut_short {
        result = whole(&case, &world).await;
        cut_short = case.took().as_secs() >= SLACK;
    }
    if case.keys.len() > 1 {
        case.at.replace_ring(&first_key()).await;
    }
    match result {
        _ if cut_short => Ok(Played::CutShort),
        Ok(()) => Ok(Played::Whole(played)),
        Err(why) => Err(format!("{told}{why}")),
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("     {}", text.unwrap_or("it panicked"))
}

/// One operation: its answer, its events, the rows, and every access token that there is.
async fn step(
    case: &mut Case<'_>,
    op: &Op,
    before: &World,
    after: &World,
    verdict: &Verdict,
) -> Result<(), String> {
    let answer = case.perform(op, before).await;
    same("answer", &verdict.answer, &answer)?;
    let mut events = verdict.events.clone();
    events.sort();
    same("events", &events, &case.new_events().await)?;
    if op.only_reads() {
        return Ok(());
    }
    same("rows", &after.stored(), &case.stored().await)?;
    let tokens: Vec<_> = (0..after.access.len()).map(Token::Access).collect();
    describe(case, after, ADMIN, &tokens).await
}

/// At the end: every caller asks about every token, and for the sessions of every user.
async fn whole(case: &Case<'_>, world: &World) -> Result<(), String> {
    let mut tokens: Vec<_> = (0..world.access.len()).map(Token::Access).collect();
    for (session, found) in world.sessions.iter().enumerate() {
        tokens.extend((0..=found.version()).map(|generation| Token::Refresh {
            session,
            generation,
        }));
    }
    for by in 0..CLIENTS {
        describe(case, world, by, &tokens).await?;
    }
    let visited = |user: &usize| world.sessions.iter().any(|session| session.user == *user);
    for user in (0..USERS).filter(visited) {
        for by in 0..CLIENTS {
            let op = Op::ListSessions {
                by,
                user,
                page_size: 0,
            };
            if let Some((_, verdict)) = world.after(&op) {
                let seen = case.list(by, user, 0, world).await;
                let seen = seen.unwrap_or_else(Case::refusal);
                same(&format!("{op}"), &verdict.answer, &seen)?;
            }
        }
    }
    same("a token in the clear", &None, &case.in_the_clear().await)
}

/// `BatchIntrospect` of tokens whose answer no edge of time makes unclear.
async fn describe(
    case: &Case<'_>,
    world: &World,
    by: usize,
    tokens: &[Token],
) -> Result<(), String> {
    if world.admit(by, None).is_err() {
        return Ok(());
    }
    world.was_near();
    let mut asked = Vec::new();
    let mut expected = Vec::new();
    for token in tokens {
        let description = world.describe(by, *token);
        if !world.was_near() {
            asked.push(*token);
            expected.push(description);
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let seen = case.batch(&case.caller(by, world), &asked).await;
    let seen = seen.map_err(|refused| format!("{refused:?}"))?;
    if seen.len() != expected.len() {
        return Err(format!(
            "{} answers for {} tokens",
            seen.len(),
            expected.len()
        ));
    }
    for ((token, expected), seen) in asked.iter().zip(&expected).zip(&seen) {
        let asked = format!("{token} as {} sees it", named("client", by));
        same(&asked, expected, seen)?;
    }
    Ok(())
}

fn same<T: PartialEq + Debug>(what: &str, expected: &T, seen: &T) -> Result<(), String> {
    if expected == seen {
        return Ok(());
    }
    Err(format!(
        "     {what}\n     expected {expected:?}\n     seen     {seen:?}"
    ))
}
