//! A node of a cluster as a process of its own, for tests: `node tokio|smol REDIS-URL` serves
//! [`lobby`] until its standard input ends, and says at which address.

use std::error::Error;
use std::io::Read;

use wirestream::Server;
use wirestream_redis::RedisBus;
use wirestream_tests::lobby::lobby;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, adapter, url] = &arguments[..] else { return Err("node tokio|smol REDIS-URL".into()) };
    let server = Server::builder().endpoint(lobby()).bus(RedisBus::new(url)?).build()?;
    match adapter.as_str() {
        "tokio" => on_tokio(server),
        "smol" => smol::block_on(on_smol(server)),
        other => Err(format!("{other} is no adapter").into()),
    }
}

#[tokio::main]
async fn on_tokio(server: Server) -> Result<(), Box<dyn Error>> {
    let listener = wirestream_tokio::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let input_ends = async { drop(tokio::task::spawn_blocking(wait_for_the_end).await) };
    wirestream_tokio::serve(listener, server, input_ends).await?;
    Ok(())
}

async fn on_smol(server: Server) -> Result<(), Box<dyn Error>> {
    let listener = wirestream_smol::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    wirestream_smol::serve(listener, server, smol::unblock(wait_for_the_end)).await?;
    Ok(())
}

fn wait_for_the_end() {
    // Whatever is said meanwhile, and also if it cannot be read.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
