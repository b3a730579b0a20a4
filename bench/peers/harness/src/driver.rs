//! Runs cells (server process + client process) interleaved, and tabulates.

use crate::harness::*;
use crate::peers;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Row {
    run: usize,
    peer: String,
    work: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Sample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

struct Killed(Child);
impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cell(peer: &str, work: &str, warm: u64, span: u64) -> anyhow::Result<Sample> {
    let exe = std::env::current_exe()?;
    let mut server = Killed(
        Command::new(&exe)
            .args(["server", peer, work])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line)?;
    let port = line
        .trim()
        .strip_prefix("READY ")
        .ok_or_else(|| anyhow::anyhow!("server said {line:?}"))?
        .to_string();
    let mut client = Killed(
        Command::new(&exe)
            .args(["client", peer, work, &port, &server.0.id().to_string()])
            .args([warm.to_string(), span.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?,
    );
    let limit = Instant::now() + Duration::from_millis(warm + span) + Duration::from_secs(12);
    loop {
        if client.0.try_wait()?.is_some() {
            break;
        }
        if Instant::now() > limit {
            anyhow::bail!("timed out");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut out = String::new();
    client.0.stdout.take().unwrap().read_to_string(&mut out)?;
    if let Some(l) = out.lines().last() {
        if let Ok(s) = serde_json::from_str(l) {
            return Ok(s);
        }
    }
    let mut err = String::new();
    client.0.stderr.take().unwrap().read_to_string(&mut err)?;
    anyhow::bail!("{}", err.lines().next().unwrap_or("client said nothing"))
}

/// Wait (up to 3 s) for a moment when others use less than a fifth of the machine.
fn quiet() {
    for _ in 0..30 {
        let b = busy();
        std::thread::sleep(Duration::from_millis(100));
        if busy() - b < 0.04 {
            return;
        }
    }
}

/// A cell, tried again (twice at most) when others used more than 8 % of the
/// machine meanwhile; the least disturbed of the tries counts.
fn calm_cell(peer: &str, work: &str, warm: u64, span: u64) -> anyhow::Result<Sample> {
    let mut best: Option<Sample> = None;
    for _ in 0..3 {
        quiet();
        let s = cell(peer, work, warm, span)?;
        let o = s.others;
        if best.as_ref().is_none_or(|b| o < b.others) {
            best = Some(s);
        }
        if o < 0.08 {
            break;
        }
    }
    Ok(best.unwrap())
}

pub fn run(args: &[&str]) -> anyhow::Result<()> {
    let opt = |name: &str, default: &str| -> String {
        args.iter()
            .position(|a| *a == name)
            .and_then(|i| args.get(i + 1))
            .unwrap_or(&default)
            .to_string()
    };
    let runs: usize = opt("--runs", "5").parse()?;
    let (warm, span) = (opt("--warm", "200").parse()?, opt("--span", "800").parse()?);
    let peers_wanted = opt("--peers", "all");
    let works_wanted = opt("--work", "all");
    let picks = |want: &str, name: &str| want == "all" || want.split(',').any(|w| w == name);
    let chosen: Vec<_> =
        peers::all().into_iter().filter(|p| picks(&peers_wanted, p.name())).collect();
    let works: Vec<&str> = match works_wanted.as_str() {
        "all" => Work::ALL.to_vec(),
        some => some.split(',').collect(),
    };
    let works = works
        .into_iter()
        .map(|name| match Work::by_name(name) {
            Some(work) => Ok((name, work)),
            None => Err(anyhow::anyhow!("no workload named {name}")),
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let out = opt("--out", "/dev/null");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(out)?;
    for run in 0..runs {
        for (wname, work) in &works {
            // Interleaved: within a run all peers do one workload back to back,
            // starting at another peer every run.
            let n = chosen.len();
            for i in 0..n {
                let p = chosen[(i + run * 7) % n];
                let supports = match work {
                    Work::Loaded { .. } if !p.shares_a_connection() => {
                        Err("one stream on a connection")
                    }
                    _ => p.supports(*work),
                };
                let row = match supports {
                    Err(why) if run == 0 => Row {
                        run,
                        peer: p.name().into(),
                        work: wname.to_string(),
                        sample: None,
                        error: Some(format!("n/a: {why}")),
                    },
                    Err(_) => continue,
                    Ok(()) => {
                        let r = calm_cell(p.name(), wname, warm, span);
                        let (sample, error) = match r {
                            Ok(s) => (Some(s), None),
                            Err(e) => (None, Some(e.to_string())),
                        };
                        Row { run, peer: p.name().into(), work: wname.to_string(), sample, error }
                    }
                };
                match (&row.sample, &row.error) {
                    (Some(s), _) => println!(
                        "{run} {wname:8} {:22} {:>11.0} msg/s  p50 {:>7.1} p99 {:>7.1} µs  cpu c {:.2} s {:.2}  sleeps/msg c {:.3} s {:.3}  rss {:.0}/{:.0}  others {:.0}%",
                        p.name(),
                        s.msgs as f64 / s.secs,
                        s.p50_us.unwrap_or(f64::NAN),
                        s.p99_us.unwrap_or(f64::NAN),
                        s.cpu_client / s.msgs as f64 * 1e6,
                        s.cpu_server / s.msgs as f64 * 1e6,
                        s.csw_client as f64 / s.msgs as f64,
                        s.csw_server as f64 / s.msgs as f64,
                        s.rss_server.unwrap_or(0.0),
                        s.rss_client.unwrap_or(0.0),
                        s.others * 100.0,
                    ),
                    (_, Some(e)) => println!("{run} {wname:8} {:22} -- {e}", p.name()),
                    _ => {}
                }
                writeln!(file, "{}", serde_json::to_string(&row)?)?;
            }
        }
    }
    Ok(())
}

fn median(v: &mut [f64]) -> f64 {
    v.sort_by(|a, b| a.total_cmp(b));
    let n = v.len();
    if n == 0 {
        f64::NAN
    } else if n % 2 == 1 {
        v[n / 2]
    } else {
        (v[n / 2 - 1] + v[n / 2]) / 2.0
    }
}

/// Half the spread between the quartiles, relative to the median.
fn spread(v: &[f64]) -> f64 {
    let mut v = v.to_vec();
    let m = median(&mut v);
    let n = v.len();
    if n < 2 { 0.0 } else { (v[n - 1 - n / 4] - v[n / 4]) / 2.0 / m * 100.0 }
}

/// What was measured. Disturbed samples are left out where at least three calm ones are there.
fn read(files: &[&str]) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = vec![];
    for f in files {
        for l in std::fs::read_to_string(f)?.lines() {
            rows.push(serde_json::from_str(l)?);
        }
    }
    let calm = |r: &Row| r.sample.as_ref().is_some_and(|s| s.others < 0.12);
    let mut calm_count: BTreeMap<(String, String), usize> = BTreeMap::new();
    for r in rows.iter().filter(|r| calm(r)) {
        *calm_count.entry((r.work.clone(), r.peer.clone())).or_default() += 1;
    }
    rows.retain(|r| {
        r.sample.is_none()
            || calm(r)
            || calm_count.get(&(r.work.clone(), r.peer.clone())).copied().unwrap_or(0) < 3
    });
    Ok(rows)
}

/// The works that there are rows of: those of the list first.
fn works_of(rows: &[Row]) -> Vec<String> {
    let mut works: Vec<String> = Work::ALL.iter().map(|w| w.to_string()).collect();
    works.retain(|w| rows.iter().any(|r| r.work == *w));
    for r in rows {
        if !works.contains(&r.work) {
            works.push(r.work.clone());
        }
    }
    works
}

fn rate(s: &Sample) -> f64 {
    s.msgs as f64 / s.secs
}

pub fn table(files: &[&str]) -> anyhow::Result<()> {
    let rows = read(files)?;
    let works = works_of(&rows);
    let order: Vec<&str> = peers::all().iter().map(|p| p.name()).collect();
    let mut by: BTreeMap<(String, usize), Vec<Sample>> = BTreeMap::new();
    let mut why: BTreeMap<(String, usize), String> = BTreeMap::new();
    for r in rows {
        let Some(i) = order.iter().position(|n| *n == r.peer) else {
            continue;
        };
        let key = (r.work, i);
        match (r.sample, r.error) {
            (Some(s), _) => by.entry(key).or_default().push(s),
            (_, Some(e)) => drop(why.insert(key, e)),
            _ => {}
        }
    }
    for wname in &works {
        let Some(work) = Work::by_name(wname) else { continue };
        println!("\n### {wname} {work:?}\n");
        let extra = match work {
            Work::Push { .. } => "MB/s | ",
            Work::Echo { .. } | Work::Loaded { .. } => "p50 µs | p99 µs | ",
            Work::Fan { .. } => {
                "round p50 µs | round p99 µs | server KiB/conn | client KiB/conn | "
            }
            _ => "",
        };
        println!(
            "| peer | msgs/s (median) | ± % | × raw tt-batch | {extra}server CPU ns/msg | client CPU ns/msg | server sleeps/msg | runs |"
        );
        println!("|{}", "---|".repeat(8 + extra.matches('|').count()));
        let med = |i: usize, f: &dyn Fn(&Sample) -> f64| -> Option<f64> {
            by.get(&(wname.to_string(), i))
                .map(|v| median(&mut v.iter().map(f).collect::<Vec<_>>()))
        };
        let base = order.iter().position(|n| *n == "tt-batch").and_then(|i| med(i, &rate));
        let mut idx: Vec<usize> = (0..order.len()).collect();
        idx.sort_by(|a, b| med(*b, &rate).unwrap_or(0.0).total_cmp(&med(*a, &rate).unwrap_or(0.0)));
        for i in idx {
            let key = (wname.to_string(), i);
            let Some(v) = by.get(&key) else { continue };
            let r = med(i, &rate).unwrap();
            let sp = spread(&v.iter().map(rate).collect::<Vec<_>>());
            let extra = match work {
                Work::Push { size } => format!("{:.0} | ", r * size as f64 / 1e6),
                Work::Echo { .. } | Work::Loaded { .. } => format!(
                    "{:.1} | {:.1} | ",
                    med(i, &|s| s.p50_us.unwrap_or(f64::NAN)).unwrap(),
                    med(i, &|s| s.p99_us.unwrap_or(f64::NAN)).unwrap()
                ),
                Work::Fan { .. } => format!(
                    "{:.0} | {:.0} | {:.1} | {:.1} | ",
                    med(i, &|s| s.p50_us.unwrap_or(f64::NAN)).unwrap(),
                    med(i, &|s| s.p99_us.unwrap_or(f64::NAN)).unwrap(),
                    med(i, &|s| s.rss_server.unwrap_or(f64::NAN)).unwrap() / 1024.0,
                    med(i, &|s| s.rss_client.unwrap_or(f64::NAN)).unwrap() / 1024.0
                ),
                _ => String::new(),
            };
            println!(
                "| {} | {:.0} | {:.0} | {} | {extra}{:.0} | {:.0} | {:.3} | {} |",
                order[i],
                r,
                sp,
                base.map(|b| format!("{:.2}", r / b)).unwrap_or("–".into()),
                med(i, &|s| s.cpu_server / s.msgs as f64 * 1e9).unwrap(),
                med(i, &|s| s.cpu_client / s.msgs as f64 * 1e9).unwrap(),
                med(i, &|s| s.csw_server as f64 / s.msgs as f64).unwrap(),
                v.len()
            );
        }
        for (i, n) in order.iter().enumerate() {
            let key = (wname.to_string(), i);
            if !by.contains_key(&key) {
                if let Some(e) = why.get(&key) {
                    println!("\n{n}: {e}");
                }
            }
        }
    }
    Ok(())
}

/// What ours has to reach, as a share of what the raw WebSocket does: on tokio, and nine tenths
/// of it on smol.
const MUSTS: [(&str, f64); 8] = [
    ("W1", 0.95),
    ("W2-32", 1.5),
    ("W2-1k", 0.95),
    ("W2-64k", 0.8),
    ("W3-100", 1.2),
    ("W3-1000", 1.2),
    ("W4", 0.65),
    ("W5", 0.8),
];

/// Ours beside the raw WebSocket of the same run, and the best of the others with streams or
/// calls. The ratios are medians of the runs' own.
pub fn musts(files: &[&str]) -> anyhow::Result<()> {
    let rows = read(files)?;
    let rates = |peer: &str, work: &str| -> BTreeMap<usize, f64> {
        let of_peer = rows.iter().filter(|r| r.peer == peer && r.work == work);
        of_peer.filter_map(|r| Some((r.run, rate(r.sample.as_ref()?)))).collect()
    };
    let ratio = |peer: &str, base: &str, work: &str| -> Vec<f64> {
        let (ours, raw) = (rates(peer, work), rates(base, work));
        ours.iter().filter_map(|(run, r)| Some(r / raw.get(run)?)).collect()
    };
    let others =
        ["tonic", "tonic-tuned", "jsonrpsee", "tarpc", "remoc", "rsocket", "socketioxide", "yamux"];
    println!(
        "| work | peer | its base /s | messages /s | ratio | ± % | must | | runs | best other |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---|---:|---|");
    for (work, must) in MUSTS {
        let fan = work == "W5";
        let pairs = [
            ("ours", if fan { "tt-batch-8k" } else { "tt-batch" }, must),
            ("ours-smol", "smol-tt-batch", must * 0.9),
        ];
        for (peer, base, must) in pairs {
            let mut ratios = ratio(peer, base, work);
            if ratios.is_empty() {
                continue;
            }
            let spread = spread(&ratios);
            let got = median(&mut ratios);
            let med = |peer: &str| median(&mut rates(peer, work).into_values().collect::<Vec<_>>());
            let best = match peer {
                "ours" => others
                    .iter()
                    .map(|other| (median(&mut ratio(other, base, work)), *other))
                    .filter(|(r, _)| !r.is_nan())
                    .max_by(|a, b| a.0.total_cmp(&b.0))
                    .map_or(String::new(), |(r, other)| format!("{other} {r:.2}")),
                _ => String::new(),
            };
            println!(
                "| {work} | {peer} | {:.0} | {:.0} | {got:.2} | {spread:.0} | {must:.2} | {} | {} | {best} |",
                med(base),
                med(peer),
                if got >= must { "reached" } else { "missed" },
                ratios.len(),
            );
        }
    }
    Ok(())
}

/// Throughput over the number of streams, the size of messages and the number of connections, of
/// each peer in the files, as an SVG.
pub fn plot(files: &[&str], out: &str) -> anyhow::Result<()> {
    use plotters::prelude::*;
    let rows = read(files)?;
    let peers: Vec<&str> = peers::all()
        .iter()
        .map(|p| p.name())
        .filter(|name| rows.iter().any(|r| r.peer == *name && r.sample.is_some()))
        .collect();
    let point = |row: &Row| -> Option<(usize, f64, f64)> {
        let r = rate(row.sample.as_ref()?);
        Some(match Work::by_name(&row.work)? {
            Work::Mux { streams, .. } => (0, streams as f64, r),
            Work::Push { size } => (1, size as f64, r),
            Work::Fan { conns } => (2, conns as f64, r),
            _ => return None,
        })
    };
    let titles = [
        ("echo of 64 B, 8 under way a stream", "streams of one connection"),
        ("the server pushes on one stream", "bytes a message"),
        ("64 B to every connection", "connections"),
    ];
    let area = SVGBackend::new(out, (1260, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    for (panel, area) in area.split_evenly((1, 3)).iter().enumerate() {
        let mut lines: Vec<(usize, Vec<(f64, f64)>)> = vec![];
        for (i, peer) in peers.iter().enumerate() {
            let mut by: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
            for (_, x, y) in
                rows.iter().filter(|r| r.peer == *peer).filter_map(point).filter(|p| p.0 == panel)
            {
                by.entry(x as u64).or_default().push(y);
            }
            let line: Vec<_> =
                by.into_iter().map(|(x, mut ys)| (x as f64, median(&mut ys))).collect();
            if !line.is_empty() {
                lines.push((i, line));
            }
        }
        let all = || lines.iter().flat_map(|(_, line)| line.iter());
        let (mut x, mut y) = ((f64::MAX, 0f64), (f64::MAX, 0f64));
        for &(px, py) in all() {
            x = (x.0.min(px), x.1.max(px));
            y = (y.0.min(py), y.1.max(py));
        }
        if y.1 == 0.0 {
            continue;
        }
        let (title, of) = titles[panel];
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(
                (x.0 / 1.3..x.1 * 1.3).log_scale(),
                (y.0 / 2.0..y.1 * 2.0).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc(of)
            .y_desc("messages a second")
            .light_line_style(WHITE)
            .y_label_formatter(&|y| match *y {
                y if y >= 1e6 => format!("{} M", y / 1e6),
                y if y >= 1e3 => format!("{} k", y / 1e3),
                y => format!("{y}"),
            })
            .draw()?;
        for (i, line) in lines {
            let color = Palette99::pick(i).to_rgba();
            let width = if peers[i].starts_with("ours") { 3 } else { 1 };
            let style = color.stroke_width(width);
            let dots = line.iter().map(|&at| Circle::new(at, 3, color.filled()));
            chart.draw_series(dots)?;
            chart
                .draw_series(LineSeries::new(line.clone(), style))?
                .label(peers[i])
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    }
    area.present()?;
    Ok(())
}
