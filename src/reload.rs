//! What is read again while the process serves: the key ring, the certificates and the log's
//! level.
//!
//! Each file is looked at once a second, by its metadata, and read when it has changed and
//! stays as it is; so a swap of symlinks, as Kubernetes makes one, is seen, and a file that
//! is being written is not read by halves. SIGHUP reads all at once. What cannot be read, or
//! makes no sense, changes nothing.

use crate::{
    authority::{Authority, RingKept},
    domain::instruments::RELOADS,
    grpc::transport::Tls,
    keyfile,
};
use futures_util::future::BoxFuture;
use opentelemetry::KeyValue;
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::signal::unix::Signal;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a failure is counted again that lasts: who looks at the counter sees it for as long.
const COUNT_EVERY: Duration = Duration::from_mins(1);

/// Why what was in use stays in use.
#[derive(Debug)]
pub struct Kept {
    /// What is wrong. Nothing secret.
    pub why: String,
    /// Whether the same file may do a moment later.
    pub again: bool,
}

/// Reads a file again, and says whether anything changed.
pub type Reload = Box<dyn Fn() -> BoxFuture<'static, Result<bool, Kept>> + Send + Sync>;

/// A file that is read again.
struct Watched {
    what: &'static str,
    path: PathBuf,
    reload: Reload,
    /// As it was when it was last read.
    read: Option<Fingerprint>,
    /// As it was at the last look.
    seen: Option<Fingerprint>,
    /// What is wrong with it, as the log was told.
    wrong: Option<String>,
    /// When that was last counted.
    counted: Option<Instant>,
}

/// Reads a listener's certificates again. Certificate and key may be written one after the
/// other, so what does not fit is tried again.
pub fn certificates(tls: &Arc<Tls>) -> Reload {
    let tls = Arc::clone(tls);
    Box::new(move || {
        let renewed = tls.renew().map_err(|error| Kept {
            why: error.to_string(),
            again: true,
        });
        Box::pin(std::future::ready(renewed))
    })
}

/// Device, inode, size and moment of change of the file behind a path: all links are followed.
type Fingerprint = (u64, u64, u64, i64, i64);

/// Everything that is read again.
#[derive(Default)]
pub struct Reloading {
    files: Vec<Watched>,
    hangup: Option<Signal>,
}

impl Reloading {
    /// Reads `path` again with `reload` whenever it changes; `what` names it in metrics.
    pub fn add(&mut self, what: &'static str, path: PathBuf, reload: Reload) {
        self.files.push(Watched {
            what,
            path,
            reload,
            // Not as it is now: it may have changed since its first reading.
            read: None,
            seen: None,
            wrong: None,
            counted: None,
        });
    }

    /// Reads everything again at this signal, SIGHUP.
    pub fn at(&mut self, hangup: Signal) {
        self.hangup = Some(hangup);
    }

    /// Watches until the future is dropped.
    pub async fn run(mut self) {
        let reloads = opentelemetry::global::meter("countersign")
            .u64_counter(RELOADS.name)
            .with_unit(RELOADS.unit)
            .with_description(RELOADS.description)
            .build();
        // An alarm counts the first failure, too.
        for file in &self.files {
            let what = KeyValue::new("what", file.what);
            reloads.add(0, &[what, KeyValue::new("outcome", "failed")]);
        }
        loop {
            let asked = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                _ = asked => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            for file in &mut self.files {
                if let Some(outcome) = file.look(asked, Instant::now()).await {
                    let what = KeyValue::new("what", file.what);
                    reloads.add(1, &[what, KeyValue::new("outcome", outcome)]);
                }
            }
        }
    }
}

impl Watched {
    /// Reads the file again, if it is time to, and says what is to be counted.
    async fn look(&mut self, asked: bool, at: Instant) -> Option<&'static str> {
        let now = fingerprint(&self.path);
        let steady = now == self.seen;
        self.seen = now;
        if !asked && (now == self.read || !steady) {
            let lasts = |counted| at.saturating_duration_since(counted) >= COUNT_EVERY;
            if !self.counted.is_some_and(lasts) {
                return None;
            }
            self.counted = Some(at);
            return Some("failed");
        }
        self.read = now;
        match (self.reload)().await {
            Ok(changed) => {
                self.counted = None;
                if self.wrong.take().is_some() {
                    tracing::info!(what = self.what, "the file can be used again");
                }
                Some(if changed { "changed" } else { "unchanged" })
            }
            Err(Kept { why, again }) => {
                self.counted = Some(at);
                if self.wrong.as_ref() != Some(&why) || asked {
                    tracing::error!(what = self.what, %why, "not reloaded: what was in use stays");
                }
                self.wrong = Some(why);
                if again {
                    self.read = None;
                }
                Some("failed")
            }
        }
    }
}

fn fingerprint(path: &Path) -> Option<Fingerprint> {
    let file = fs::metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        file.ctime(),
        file.ctime_nsec(),
    ))
}

/// Reads a key file again into the authority's ring.
pub fn keys(authority: &Arc<Authority>, path: &Path) -> Reload {
    let (authority, path) = (Arc::clone(authority), path.to_owned());
    Box::new(move || {
        let (authority, path) = (Arc::clone(&authority), path.clone());
        Box::pin(async move {
            let ring = keyfile::load_key_file(&path).map_err(|problem| Kept {
                why: problem.to_string(),
                again: false,
            })?;
            match authority.replace_ring(ring).await {
                Ok(None) => Ok(false),
                Ok(Some(change)) => {
                    tracing::info!(
                        keys = ?change.keys, added = ?change.added, retired = ?change.retired,
                        "the key ring has changed"
                    );
                    Ok(true)
                }
                Err(kept) => Err(Kept {
                    again: matches!(kept, RingKept::Store(_)),
                    why: kept.to_string(),
                }),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_stays_wrong_is_counted_once_a_minute() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keys");
        fs::write(&path, "bad").unwrap();
        let read = path.clone();
        let reload: Reload = Box::new(move || {
            let well = fs::read_to_string(&read).unwrap() == "good";
            let kept = || Kept {
                why: "it is bad".to_owned(),
                again: false,
            };
            Box::pin(std::future::ready(well.then_some(true).ok_or_else(kept)))
        });
        let mut reloading = Reloading::default();
        reloading.add("keys", path.clone(), reload);
        let file = &mut reloading.files[0];
        let began = Instant::now();
        let mut counted = Vec::new();
        for second in 0..150 {
            if let Some(outcome) = file.look(false, began + Duration::from_secs(second)).await {
                counted.push((second, outcome));
            }
        }
        let failed = [1, 61, 121].map(|second| (second, "failed"));
        assert_eq!(counted, failed);

        fs::write(&path, "good").unwrap();
        let mut counted = Vec::new();
        for second in 150..300 {
            let at = began + Duration::from_secs(second);
            counted.extend(file.look(false, at).await);
        }
        assert_eq!(counted, ["changed"]);
    }
}
