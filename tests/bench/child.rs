//! What a child process costs, read from `/proc` while it runs and after it ended but before it is reaped.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often the peak is looked at; the kernel's mark only rises, so little is missed.
const LOOK: Duration = Duration::from_millis(1);
/// Clock ticks a second in `/proc/PID/stat`.
const TICKS: f64 = 100.0;

pub struct Cost {
    /// Seconds.
    pub wall: f64,
    /// Seconds in user and kernel mode.
    pub cpu: f64,
    /// Seconds of these in user mode, in steps of 10 ms; 0 where it is not measured.
    pub user: f64,
    /// Highest resident memory.
    pub peak_kib: u64,
    pub code: i32,
}

/// Runs a program to its end with its output thrown away.
pub fn measure(command: &mut Command) -> Cost {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let id = child.id().to_string();
    let mut peak_kib = 0;
    while !ended(&id) {
        peak_kib = peak(&id).unwrap_or(0).max(peak_kib);
        std::thread::sleep(LOOK);
    }
    let wall = start.elapsed().as_secs_f64();
    let cpu = cpu(&id);
    let user = ticks(&stat(&id), 11);
    let code = child.wait().unwrap().code().unwrap_or(-1);
    Cost {
        wall,
        cpu,
        user,
        peak_kib,
        code,
    }
}

/// Seconds this program's first thread has used.
pub fn own_cpu() -> f64 {
    cpu("self")
}

/// Fields of `/proc/PID/stat` behind the name, which may hold anything.
fn stat(id: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().map(str::to_owned).collect()
}

/// It is a zombie: all its figures are final.
fn ended(id: &str) -> bool {
    matches!(stat(id).first().map(String::as_str), None | Some("Z" | "X"))
}

/// To the nanosecond where the kernel counts so, else in ticks of 10 ms.
fn cpu(id: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/schedstat")).unwrap_or_default();
    let nanos: u64 = text
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    if nanos > 0 {
        return nanos as f64 / 1e9;
    }
    let fields = stat(id);
    ticks(&fields, 11) + ticks(&fields, 12)
}

/// Seconds that a field of `stat` counts in ticks.
fn ticks(fields: &[String], n: usize) -> f64 {
    let ticks: Option<f64> = fields.get(n).and_then(|f| f.parse().ok());
    ticks.unwrap_or(0.0) / TICKS
}

fn peak(id: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().split(' ').next()?.parse().ok()
}
