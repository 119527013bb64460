//! What Linux tells of processes in `/proc`; on other systems nothing, not zero.

use std::{fs, time::Duration};

/// Processor time is counted in these (`USER_HZ`, which is 100 everywhere).
const TICK: Duration = Duration::from_millis(10);

/// Processor time that a process has used, in ticks of 10 ms.
pub fn cpu(pid: u32) -> Option<Duration> {
    Some(stat(pid)?.cpu)
}

/// The same of all children of a process, such as PostgreSQL's backends.
pub fn cpu_of_children(parent: u32) -> Option<Duration> {
    let mut total = cpu(parent)?;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has just ended is no more.
        if let Some(stat) = stat(pid).filter(|stat| stat.parent == parent) {
            total += stat.cpu;
        }
    }
    Some(total)
}

/// Bytes of memory that a process holds now.
pub fn resident(pid: u32) -> Option<u64> {
    status(pid, "VmRSS:")
}

/// The most that it held since it started, or since [`forget_peak`].
pub fn peak(pid: u32) -> Option<u64> {
    status(pid, "VmHWM:")
}

/// Lets the peak begin anew, where that is allowed.
pub fn forget_peak(pid: u32) {
    // Where it is not, the peak stays that of the process's life.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The processor's name.
pub fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Bytes of memory of the machine.
pub fn memory() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

struct Stat {
    parent: u32,
    cpu: Duration,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, brackets too.
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some(Stat {
        parent: number(1)?,
        cpu: TICK * (number(11)? + number(12)?),
    })
}

fn status(pid: u32, name: &str) -> Option<u64> {
    kilobytes(
        &fs::read_to_string(format!("/proc/{pid}/status")).ok()?,
        name,
    )
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_and_time() {
        let pid = std::process::id();
        let busy = std::time::Instant::now();
        while busy.elapsed() < Duration::from_millis(50) {}
        assert!(cpu(pid).unwrap() >= TICK);
        assert!(resident(pid).unwrap() > 1 << 20);
        assert!(peak(pid).unwrap() >= resident(pid).unwrap() / 2);
        assert_eq!(cpu(u32::MAX), None);
        assert!(memory().unwrap() > 1 << 20);
    }
}
