//! `daemon`: a node with its services, until it is told to stop.
//!
//! Source: the lines that launchers wait for are Kubo's ("Daemon is ready" and those before it).
//! Invariants: the address files appear after their listeners and go at the end; everything ends
//! within [`STOP_TIMEOUT`] of the first signal, and at once at the second.
//! Not here: what the services do (`cairn-rpc`, `cairn-gateway`).

use crate::{
    address::{multiaddress, reachable},
    args::Globals,
    ask,
    own::init,
    report::{Failure, say},
};
use cairn_node::{InitOptions, Node, OpenOptions};
use cairn_rpc::{Request, VERSION};
use cairn_runtime::raise_open_files;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longest time between the first signal and the end. Source: launchers kill after 10 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(9);

/// A service that listens: a line each, and this is the whole list.
struct Service {
    /// As in `… server listening on`.
    name: &'static str,
    addresses: fn(&cairn_node::config::Addresses) -> &[String],
    key: &'static str,
    serve: fn(TcpListener, Node, CancellationToken) -> BoxFuture<'static, Result<(), String>>,
    /// Leaves the address where others look for it, or takes it away.
    note: fn(&Node, Option<SocketAddr>) -> Result<(), String>,
}

const SERVICES: &[Service] = &[
    Service {
        name: "RPC API",
        addresses: |addresses| &addresses.api,
        key: "Addresses.API",
        serve: |listener, node, stop| {
            let served = cairn_rpc::http::serve(listener, node, stop);
            served.map(|result| result.map_err(|error| error.to_string())).boxed()
        },
        note: |node, address| {
            let text = address.map(|address| multiaddress(reachable(address)));
            node.repo().set_api_address(text.as_deref()).map_err(|error| error.to_string())
        },
    },
    Service {
        name: "Gateway",
        addresses: |addresses| &addresses.gateway,
        key: "Addresses.Gateway",
        serve: |listener, node, stop| {
            let served = cairn_gateway::serve(listener, node, stop);
            served.map(|result| result.map_err(|error| error.to_string())).boxed()
        },
        note: |node, address| {
            let text = address.map(|address| format!("http://{}", reachable(address)));
            node.repo().set_gateway_address(text.as_deref()).map_err(|error| error.to_string())
        },
    },
];

pub(crate) async fn run(request: &Request, globals: &Globals) -> Result<ExitCode, Failure> {
    refuse_unsupported(request)?;
    let mut signals = Signals::new()?;
    raise_open_files();
    let path = ask::repo_path(globals)?;
    line("Initializing daemon...")?;
    line(&format!("Cairn version: {VERSION}"))?;
    line(&format!("Repo version: {}", cairn_rpc::REPO_VERSION))?;
    line(&format!("System version: {}/{}", std::env::consts::ARCH, std::env::consts::OS))?;
    if request.flag("init") && !path.join("config").exists() {
        init_repo(request, &path).await?;
    }
    let online = !request.is_offline();
    let node =
        Node::open(OpenOptions { path, online, pubsub: request.flag("enable-pubsub-experiment") })
            .await?;
    node.collect_when_needed(request.flag("enable-gc"))?;
    node.scrub_in_background();
    let stop = node.shutdown_requested();
    let served = serve(&node, &stop, &mut signals).await;
    stop.cancel();
    let closed = timeout(STOP_TIMEOUT, close(&node)).await;
    served?;
    match closed {
        Ok(result) => result.map(|()| ExitCode::SUCCESS),
        Err(_) => Err(Failure::Failed(format!("not everything ended within {STOP_TIMEOUT:?}"))),
    }
}

fn refuse_unsupported(request: &Request) -> Result<(), Failure> {
    for name in ["mount", "disable-transport-encryption"] {
        if request.flag(name) {
            return Err(Failure::Usage(format!("not supported yet: --{name}")));
        }
    }
    Ok(())
}

#[expect(clippy::field_reassign_with_default, reason = "the type is non-exhaustive")]
async fn init_repo(request: &Request, path: &Path) -> Result<(), Failure> {
    let mut options = InitOptions::default();
    options.profiles = request.text("init-profile").map(str::to_owned).into_iter().collect();
    let config = request.text("init-config").map(Path::new);
    options.config = config.map(init::read_config).transpose()?;
    init::make(path, options).await.map(drop)
}

type Running = FuturesUnordered<BoxFuture<'static, Result<(), Failure>>>;

/// Starts the services and waits until somebody wants the end, or one of them fails.
async fn serve(
    node: &Node,
    stop: &CancellationToken,
    signals: &mut Signals,
) -> Result<(), Failure> {
    announce_swarm(node).await?;
    let mut running: Running = FuturesUnordered::new();
    for service in SERVICES {
        start(service, node, stop, &running).await?;
    }
    line("Daemon is ready")?;
    let first = tokio::select! {
        ended = running.next(), if !running.is_empty() => ended.unwrap_or(Ok(())),
        () = stop.cancelled() => Ok(()),
        () = signals.next() => {
            say("\nReceived interrupt signal, shutting down...\n(Hit ctrl-c again to force-shutdown the daemon.)");
            Ok(())
        }
    };
    stop.cancel();
    let rest = async {
        while let Some(result) = running.next().await {
            result?;
        }
        Ok::<_, Failure>(())
    };
    let ended = tokio::select! {
        ended = timeout(STOP_TIMEOUT, rest) => ended.unwrap_or(Ok(())),
        () = signals.next() => Err(Failure::Interrupted),
    };
    first.and(ended)
}

async fn announce_swarm(node: &Node) -> Result<(), Failure> {
    let Some(network) = node.network() else {
        return line("Swarm not listening, running in offline mode.");
    };
    let mut addresses: Vec<String> =
        network.listen_addrs().await.iter().map(ToString::to_string).collect();
    addresses.sort();
    for address in addresses {
        line(&format!("Swarm listening on {address}"))?;
    }
    for failure in network.listen_failures() {
        say(&format!("Warning: {}", cairn_rpc::RpcError::of(failure)));
    }
    Ok(())
}

/// Opens a service's listeners, says so, and leaves the first address where others look.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a path to the method is not general enough over the lifetime"
)]
async fn start(
    service: &Service,
    node: &Node,
    stop: &CancellationToken,
    running: &Running,
) -> Result<(), Failure> {
    let addresses = node.config().read(|settings| settings.addresses());
    let addresses = addresses.map_err(|error| Failure::Failed(error.to_string()))?;
    let mut noted = false;
    for text in (service.addresses)(&addresses) {
        let listener = listen(service, text).await?;
        let address = listener.local_addr()?;
        line(&format!("{} server listening on {}", service.name, multiaddress(address)))?;
        let name = service.name;
        let work = (service.serve)(listener, node.clone(), stop.clone());
        running.push(
            work.map(move |result| {
                result
                    .map_err(|error| Failure::Failed(format!("the {name} server failed: {error}")))
            })
            .boxed(),
        );
        if !noted {
            (service.note)(node, Some(address)).map_err(Failure::Failed)?;
            noted = true;
        }
    }
    Ok(())
}

async fn listen(service: &Service, text: &str) -> Result<TcpListener, Failure> {
    let endpoint = crate::address::Endpoint::parse(text)
        .map_err(|error| Failure::Failed(format!("{}: {error}", service.key)))?;
    let bound = match endpoint.host.parse::<IpAddr>() {
        Ok(ip) => TcpListener::bind((ip, endpoint.port)).await,
        Err(_) => TcpListener::bind((endpoint.host.as_str(), endpoint.port)).await,
    };
    bound.map_err(|error| {
        let (name, key) = (service.name, service.key);
        Failure::Failed(format!(
            "the {name} server cannot listen on {text}: {error}. Set {key} to another address"
        ))
    })
}

async fn close(node: &Node) -> Result<(), Failure> {
    for service in SERVICES {
        if let Err(error) = (service.note)(node, None) {
            say(&format!("Warning: {error}"));
        }
    }
    Ok(node.shutdown().await?)
}

/// The signals that ask for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Prints a line that launchers wait for; they may be gone by the end.
fn line(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
