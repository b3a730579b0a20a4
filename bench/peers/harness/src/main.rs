#![forbid(unsafe_code)]

mod driver;
mod engine;
mod harness;
mod peers;

use harness::*;
use std::time::Duration;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let a: Vec<&str> = args.iter().map(|s| s.as_str()).collect();
    match a.as_slice() {
        // peers server PEER WORK
        ["server", peer, work] => {
            pin(1);
            let p = find(peer)?;
            p.serve(find_work(work)?, |port| {
                use std::io::Write;
                println!("READY {port}");
                let _ = std::io::stdout().flush();
            })
        }
        // peers client PEER WORK PORT SERVER_PID WARM_MS SPAN_MS
        ["client", peer, work, port, pid, warm, span] => {
            pin(0);
            let p = find(peer)?;
            let w = find_work(work)?;
            let ms = |s: &str| s.parse().map(Duration::from_millis);
            let meter = Meter::new(w, pid.parse()?, ms(warm)?, ms(span)?);
            p.drive(w, ([127, 0, 0, 1], port.parse()?).into(), meter)?;
            anyhow::bail!("the client ended before the meter did")
        }
        ["list"] => {
            for p in peers::all() {
                println!("{:24} {}", p.name(), p.about());
            }
            Ok(())
        }
        ["run", rest @ ..] => driver::run(rest),
        ["table", files @ ..] => driver::table(files),
        ["musts", files @ ..] => driver::musts(files),
        ["plot", out, files @ ..] => driver::plot(files, out),
        _ => {
            eprintln!(
                "usage: peers list | run [--peers a,b] [--work W1,..] [--runs 5] [--warm 200] [--span 800] [--out FILE] | table FILE... | musts FILE... | plot OUT.svg FILE..."
            );
            std::process::exit(2)
        }
    }
}

fn find(name: &str) -> anyhow::Result<&'static dyn Peer> {
    peers::all()
        .into_iter()
        .find(|p| p.name() == name)
        .ok_or_else(|| anyhow::anyhow!("no peer named {name}"))
}
fn find_work(name: &str) -> anyhow::Result<Work> {
    Work::by_name(name).ok_or_else(|| anyhow::anyhow!("no workload named {name}"))
}
