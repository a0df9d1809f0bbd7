//! `trust:`: servers, clients and bundles.

use super::{
    Decoder, Diagnostic, Effect, IndexMap, Located, MapReader, Node, NodeValue, Step, read, suggest,
};
use crate::model::{
    Dynamic,
    trust::{Bundle, Client, Reads, Server, Trust},
};

/// Names that a step has and trust has not.
const NO_STEP: &[&str] = &[];

type Bundles = IndexMap<String, Option<Bundle>>;

impl Decoder<'_> {
    pub(super) fn trust(&mut self, node: &Node) -> Trust {
        let Some(mut map) = MapReader::new(node, "`trust`", &mut self.problems) else {
            return Trust::default();
        };
        let bundles = map.optional("bundles");
        let servers = map.required("servers", &mut self.problems);
        let clients = map.required("clients", &mut self.problems);
        map.finish(&mut self.problems);
        let bundles = bundles.map(|n| self.bundles(n)).unwrap_or_default();
        let mut trust = Trust::default();
        let servers = servers.map(|n| self.entries(n, "`servers`")).unwrap_or_default();
        let names: Vec<&str> = servers.iter().map(|(key, _)| key.name.as_str()).collect();
        for (key, value) in &servers {
            if let Some(server) = self.server(value, &bundles) {
                trust.servers.insert(key.name.clone(), server);
            }
        }
        for (key, value) in clients.map(|n| self.entries(n, "`clients`")).unwrap_or_default() {
            if names.contains(&key.name.as_str()) {
                let message = format!("`{}` is a server already", key.name);
                self.problems.push(
                    Diagnostic::error("duplicate-id", message, key.span.clone())
                        .help(format!("give the client a name of its own, such as `{}-client`", key.name)),
                );
            }
            if let Some(client) = self.client(value, &bundles, &names) {
                trust.clients.insert(key.name.clone(), client);
            }
        }
        trust
    }

    /// By name; one that could not be read is there all the same.
    fn bundles(&mut self, node: &Node) -> Bundles {
        let mut bundles = IndexMap::new();
        for (key, value) in self.entries(node, "`bundles`") {
            let Some(mut map) = MapReader::new(value, "a bundle", &mut self.problems) else { continue };
            let (file, kubeconfig) = (map.optional("file"), map.optional("kubeconfig"));
            let (holder, after) = (map.optional("named_in"), map.optional("after"));
            map.finish(&mut self.problems);
            let bundle = match (file, kubeconfig, holder, after) {
                (Some(file), None, None, None) => self.text(file).map(Bundle::File),
                (None, Some(kubeconfig), None, None) => self.text(kubeconfig).map(Bundle::Kubeconfig),
                (None, None, Some(holder), Some(after)) => {
                    let (holder, after) = (self.text(holder), self.text(after));
                    holder.zip(after).map(|(holder, after)| Bundle::Named { holder, after })
                }
                _ => {
                    let message =
                        "a bundle is a `file`, a `kubeconfig`, or `named_in` a file `after` some text";
                    self.problems.push(Diagnostic::error("bundle", message, value.span.clone()));
                    None
                }
            };
            bundles.insert(key.name.clone(), bundle);
        }
        bundles
    }

    fn server(&mut self, node: &Node, bundles: &Bundles) -> Option<Server> {
        let mut map = MapReader::new(node, "a server", &mut self.problems)?;
        let on = map.required("on", &mut self.problems);
        let port = map.required("port", &mut self.problems);
        let cert = map.required("cert", &mut self.problems);
        let (address, name) = (map.optional("address"), map.optional("server_name"));
        let (key, clients) = (map.optional("key"), map.optional("clients"));
        let (reads, started) = (map.optional("reads"), map.optional("started"));
        map.finish(&mut self.problems);
        // Each is read before any of them is missed, so that every problem is told.
        let on = on.and_then(|n| self.choice(n, false));
        let (address, name) = (self.opt_text(address), self.opt_text(name));
        let port = port.and_then(|n| self.port(n));
        let cert = cert.and_then(|n| self.text(n));
        let key = self.opt_text(key);
        let clients = clients.map_or(Some(None), |n| self.bundle(n, bundles).map(Some));
        let reads = self.reads(reads, started);
        Some(Server {
            on: on?,
            address: address?,
            port: port?,
            server_name: name?,
            cert: cert?,
            key: key?,
            clients: clients?,
            reads: reads?,
            span: node.span.clone(),
        })
    }

    fn client(&mut self, node: &Node, bundles: &Bundles, servers: &[&str]) -> Option<Client> {
        let mut map = MapReader::new(node, "a client", &mut self.problems)?;
        let on = map.required("on", &mut self.problems);
        let uses = map.required("uses", &mut self.problems);
        let trusts = map.required("trusts", &mut self.problems);
        let (cert, key) = (map.optional("cert"), map.optional("key"));
        let (reads, started) = (map.optional("reads"), map.optional("started"));
        map.finish(&mut self.problems);
        let on = on.and_then(|n| self.choice(n, false));
        let uses = uses.and_then(|n| self.uses(n, servers));
        let trusts = trusts.and_then(|n| self.bundle(n, bundles));
        let (cert, key) = (self.opt_text(cert), self.opt_text(key));
        let reads = self.reads(reads, started);
        Some(Client {
            on: on?,
            uses: uses?,
            trusts: trusts?,
            cert: cert?,
            key: key?,
            reads: reads?,
            span: node.span.clone(),
        })
    }

    fn uses(&mut self, node: &Node, servers: &[&str]) -> Option<Vec<String>> {
        let mut used = Vec::new();
        for item in read::list(node, &mut self.problems)? {
            let name = read::string(item, &mut self.problems)?;
            if !servers.contains(&name.as_str()) {
                let message = format!("`{name}` is none of the servers");
                let mut problem = Diagnostic::error("unknown-server", message, item.span.clone());
                problem.help = suggest(&name, servers.iter().copied());
                self.problems.push(problem);
            }
            used.push(name);
        }
        Some(used)
    }

    /// A text that may be absent.
    fn opt_text(&mut self, node: Option<&Node>) -> Option<Option<Dynamic>> {
        match node {
            Some(node) => self.text(node).map(Some),
            None => Some(None),
        }
    }

    fn port(&mut self, node: &Node) -> Option<Dynamic> {
        if let NodeValue::Int(_) = node.value {
            read::int(node, 1..=65535, &mut self.problems)?;
        }
        self.dynamic(node, NO_STEP)
    }

    /// A text that may hold templates.
    fn text(&mut self, node: &Node) -> Option<Dynamic> {
        read::string(node, &mut self.problems)?;
        self.dynamic(node, NO_STEP)
    }

    fn bundle(&mut self, node: &Node, bundles: &Bundles) -> Option<Bundle> {
        let name = read::string(node, &mut self.problems)?;
        let known = bundles.get(&name).cloned();
        if known.is_none() {
            let message = format!("there is no bundle `{name}`");
            let mut problem = Diagnostic::error("unknown-bundle", message, node.span.clone());
            problem.help = suggest(&name, bundles.keys().map(String::as_str));
            self.problems.push(problem);
        }
        known.flatten()
    }

    /// `reads: each-time`, or `started:` with a call that tells when the process began.
    fn reads(&mut self, reads: Option<&Node>, started: Option<&Node>) -> Option<Reads> {
        let words = ["each-time", "at-start"];
        let word = match reads {
            Some(node) => {
                read::enum_word(node, &words, "moment at which files are read", &mut self.problems)?
            }
            None => "at-start",
        };
        match (word, started) {
            ("each-time", None) => Some(Reads::EachTime),
            ("each-time", Some(node)) => {
                let message = "`started` says nothing of a process that reads its files each time";
                self.problems.push(Diagnostic::error("reads", message, node.span.clone()));
                None
            }
            (_, started) => self.started(started),
        }
    }

    fn started(&mut self, node: Option<&Node>) -> Option<Reads> {
        let Some(node) = node else { return Some(Reads::CannotTell) };
        let call = self.single_call(node, "`started`", NO_STEP)?;
        if self.registry.get(&call.action).is_some_and(|action| action.spec().effect != Effect::Reads) {
            let message =
                format!("`{}` is not read-only, so it cannot tell when something started", call.action);
            self.problems.push(Diagnostic::error("fact-changes", message, call.span.clone()));
        }
        Some(Reads::Started(call))
    }

    /// `breaks`: servers and clients whose edges may be broken while and after this step runs.
    pub(super) fn breaks(&mut self, node: &Node) -> Vec<Located<String>> {
        let texts: Vec<&Node> = match &node.value {
            NodeValue::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        let mut named = Vec::new();
        for item in texts {
            let Some(name) = read::string(item, &mut self.problems) else { continue };
            named.push(Located::new(name, item.span.clone()));
        }
        named
    }

    /// Every name under a `breaks` is a server or client.
    pub(super) fn known_breaks(&mut self, trust: &Trust, steps: &[Step]) {
        for step in steps {
            for name in step.breaks.iter().filter(|name| !trust.knows(&name.value)) {
                let message = format!("`{}` is neither a server nor a client of `trust`", name.value);
                let mut problem = Diagnostic::error("unknown-server", message, name.span.clone());
                let known = trust.servers.keys().chain(trust.clients.keys());
                problem.help = suggest(&name.value, known.map(String::as_str));
                self.problems.push(problem);
            }
            self.known_breaks(trust, step.children());
        }
    }
}
