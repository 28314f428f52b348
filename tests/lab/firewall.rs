//! A real stateful firewall: client, router and server are network namespaces, the router forgets flows that
//! were idle too long.
//!
//! ```text
//! client 10.99.1.2 ── 10.99.1.1 router 10.99.2.1 ── 10.99.2.2:3306 server (MariaDB)
//! ```
//!
//! The addresses exist in the namespaces alone, so every firewall has the same ones. The kernel gives a flow
//! its time on each packet: a new timeout reaches a flow with its next packet.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::haproxy::HaProxy;
use super::mariadb::{MariaDb, MariaDbOptions};
use super::namespace::Namespace;
use super::process::{bound_command, spawn};
use super::python::Python;
use super::server::Server;

const CLIENT: &str = "10.99.1.2";
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 2, 2));
/// The server's address on a wire around the router.
const AROUND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 3, 2));
const MYSQL: u16 = 3306;
/// Where a proxy may listen beside the server.
const PROXY: u16 = 3307;

/// The program that makes the router forget flows.
const FORGET: &str = "tests/lab/forget.py";

/// How far a flow's age by the client's clock may lie from its age by the firewall's, in seconds.
///
/// The firewall counts from the last packet: the client's ACK of the last answer, which the kernel holds back for
/// 40 ms as a rule and for 200 ms at most (`TCP_DELACK_MIN`, `TCP_DELACK_MAX`). The client reads its own clock a
/// moment after a packet came and before one goes: some tens of milliseconds on a busy machine.
pub(crate) const CLOCK_SLACK: f64 = 0.25;

/// What the router does with a packet of a flow it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnInvalid {
    /// Nothing: the sender waits for ever.
    #[default]
    Drop,
    /// Answers with RST in the receiver's name.
    RejectWithReset,
}

/// A line between client and router that is long or bad.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct LongWire {
    /// What a packet takes longer, in each direction.
    pub(crate) delay_ms: u32,
    /// How many packets of a hundred are lost, in each direction.
    pub(crate) loss_percent: u32,
}

/// How to start a firewall.
#[derive(Debug, Clone)]
pub(crate) struct FirewallOptions {
    /// `nf_conntrack_tcp_timeout_established`, in seconds.
    pub(crate) established_timeout_s: u32,
    /// What becomes of packets of forgotten flows.
    pub(crate) on_invalid: OnInvalid,
    /// Whether the server sees the router's address instead of the client's.
    pub(crate) nat: bool,
    /// A long wire between client and router; a direct one if `None`.
    pub(crate) long_wire: Option<LongWire>,
    /// The server behind it; its namespace and port are the firewall's choice.
    pub(crate) mariadb: MariaDbOptions,
}

impl Default for FirewallOptions {
    fn default() -> Self {
        Self {
            established_timeout_s: 8,
            on_invalid: OnInvalid::default(),
            nat: false,
            long_wire: None,
            mariadb: MariaDbOptions::default(),
        }
    }
}

/// A running firewall with a MariaDB behind it. Dropping it removes all of it.
#[derive(Debug)]
pub(crate) struct Firewall {
    // Before the namespaces: fields are dropped in this order, and nothing may run in a namespace that is
    // removed.
    server: Server,
    wire: Option<Python>,
    client: Namespace,
    router: Namespace,
    server_side: Namespace,
}

impl Firewall {
    /// Starts the namespaces, the rules and the server; ready when this returns.
    pub(crate) fn start(options: FirewallOptions) -> Self {
        let (client, router, server_side) =
            (Namespace::new("client"), Namespace::new("router"), Namespace::new("server"));
        let wire = options.long_wire.map(|wire| lay_long_wire(&client, &router, wire));
        if wire.is_none() {
            router.ip(&format!("link add toclient type veth peer name eth0 netns {}", client.name()));
        }
        router.ip(&format!("link add toserver type veth peer name eth0 netns {}", server_side.name()));
        connect(&router, "toclient", "10.99.1.1", &client, CLIENT);
        connect(&router, "toserver", "10.99.2.1", &server_side, "10.99.2.2");
        load_rules(&router, options.on_invalid, options.nat);
        router.set("ipv4/ip_forward", 1);
        router.set("netfilter/nf_conntrack_tcp_loose", 0);
        router.set("netfilter/nf_conntrack_tcp_timeout_established", options.established_timeout_s);
        let server = MariaDb::start(MariaDbOptions {
            netns: Some((server_side.name().to_owned(), SERVER)),
            port: Some(MYSQL),
            ..options.mariadb
        });
        Self { server, wire, client, router, server_side }
    }

    /// Where the client namespace reaches the server.
    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::new(SERVER, MYSQL)
    }

    /// The server behind the firewall.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The server behind the firewall, to be stopped or restarted.
    pub(crate) fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Puts a proxy beside the server that forgets connections idle for `idle`; it must go before the firewall.
    pub(crate) fn proxy(&self, idle: Duration) -> HaProxy {
        HaProxy::inside(&self.server_side, SocketAddr::new(SERVER, PROXY), self.addr(), idle)
    }

    /// Lays a second wire from client to server, around the router. Gives where the client reaches the server over it.
    pub(crate) fn bypass(&self) -> SocketAddr {
        self.client
            .ip(&format!("link add around type veth peer name around netns {}", self.server_side.name()));
        for (end, address) in [(&self.client, "10.99.3.1"), (&self.server_side, "10.99.3.2")] {
            end.ip(&format!("address add {address}/24 dev around"));
            end.ip("link set around up");
        }
        SocketAddr::new(AROUND, MYSQL)
    }

    /// As [`Firewall::proxy`], but reached over the [bypass](Firewall::bypass).
    pub(crate) fn proxy_on_bypass(&self, idle: Duration) -> HaProxy {
        let backend = SocketAddr::new(AROUND, MYSQL);
        HaProxy::inside(&self.server_side, SocketAddr::new(AROUND, PROXY), backend, idle)
    }

    /// Forgets every flow at once, as a failover without state does.
    pub(crate) fn forget_all(&self) {
        Python::start(&self.router.around(), FORGET, &["all"]).finish();
    }

    /// Forgets the flows that come from these ports of the client, as a full table does. How many there were.
    pub(crate) fn forget(&self, ports: &[u16]) -> usize {
        let server = self.addr().to_string();
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let words: Vec<&str> =
            [CLIENT, &server].into_iter().chain(ports.iter().map(String::as_str)).collect();
        let told = Python::start(&self.router.around(), FORGET, &words).finish();
        told[0]["flows"].as_u64().expect("it tells how many") as usize
    }

    /// The client's namespace.
    pub(crate) fn client(&self) -> &Namespace {
        &self.client
    }

    /// The words that run a program in the client namespace.
    pub(crate) fn client_around(&self) -> [&str; 4] {
        self.client.around()
    }

    /// A command that will run in the client namespace and die with the test; start it with [`spawn`].
    pub(crate) fn client_command(&self, program: &str) -> Command {
        bound_command(&self.client.around(), program)
    }

    /// Runs `work` in a thread inside the client namespace.
    pub(crate) fn in_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.client.enter(work)
    }

    /// Runs `work` in a thread inside the router, at 10.99.1.1 for the client.
    pub(crate) fn in_router<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.router.enter(work)
    }

    /// Sets a kernel parameter of the client, below `/proc/sys/net`.
    pub(crate) fn set_client(&self, parameter: &str, value: u32) {
        self.client.set(parameter, value);
    }

    /// Another timeout, for every flow from its next packet on.
    pub(crate) fn set_established_timeout(&self, seconds: u32) {
        self.router.set("netfilter/nf_conntrack_tcp_timeout_established", seconds);
    }

    /// Another delay and loss; only where the firewall was started with a long wire.
    pub(crate) fn set_long_wire(&mut self, wire: LongWire) {
        let python = self.wire.as_mut().expect("the firewall was started with a long wire");
        python.tell(&format!("{} {}", wire.delay_ms, wire.loss_percent));
        python.event("tuned");
    }
}

fn connect(router: &Namespace, port: &str, router_address: &str, host: &Namespace, host_address: &str) {
    router.ip(&format!("address add {router_address}/24 dev {port}"));
    router.ip(&format!("link set {port} up"));
    host.ip(&format!("address add {host_address}/24 dev eth0"));
    host.ip("link set eth0 up");
    host.ip(&format!("route add default via {router_address} dev eth0"));
}

/// A process copies the packets between the client's device and the router's. Many kernels lack netem; TUN
/// devices are everywhere.
fn lay_long_wire(client: &Namespace, router: &Namespace, wire: LongWire) -> Python {
    let settings = [wire.delay_ms.to_string(), wire.loss_percent.to_string()];
    let mut python =
        Python::start(&router.around(), "tests/lab/long_wire.py", &settings.each_ref().map(String::as_str));
    python.event("ready");
    router.ip(&format!("link set eth0 netns {}", client.name()));
    python
}

fn load_rules(router: &Namespace, on_invalid: OnInvalid, nat: bool) {
    let invalid = match on_invalid {
        OnInvalid::Drop => "drop",
        OnInvalid::RejectWithReset => "meta l4proto tcp reject with tcp reset",
    };
    let source_nat = if nat {
        "chain source_nat { type nat hook postrouting priority srcnat; oifname \"toserver\" masquerade; }"
    } else {
        ""
    };
    let rules = format!(
        "table ip lab {{
            chain filter_forward {{
                type filter hook forward priority filter; policy drop;
                ct state established,related accept
                ct state invalid {invalid}
                ct state new tcp dport {{ {MYSQL}, {PROXY} }} tcp flags syn / fin,syn,rst,ack accept
            }}
            {source_nat}
        }}\n"
    );
    let mut command = bound_command(&router.around(), "nft");
    command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut nft = spawn(command).expect("nft starts");
    nft.stdin.take().expect("its input is piped").write_all(rules.as_bytes()).expect("nft reads its rules");
    let output = nft.wait_with_output().expect("nft ends");
    assert!(
        output.status.success(),
        "THE KERNEL REFUSES THE FIREWALL'S RULES: {}\
         The firewall tests need nftables with connection tracking: load the modules nf_tables and nf_conntrack.",
        String::from_utf8_lossy(&output.stderr)
    );
}
