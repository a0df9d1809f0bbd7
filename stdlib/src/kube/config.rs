//! The way to an API server and the identity there that a kubeconfig on a host gives (kubernetes.io, Config v1).

use super::resource::check_name;
use crate::{
    kubeconfig::current,
    support::{files, tell::failed},
    tls::handshake::{self, Identity},
    trust::kubeconfig::{Cas, cas_of},
    x509,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use keybook_api::{Args, Ctx, Fault, Secret};
use keybook_pki::{Certificate, rfc3339};
use serde_yaml::Value as Yaml;

/// Where kubeadm keeps the administrator's.
const DEFAULT: &str = "/etc/kubernetes/admin.conf";

/// What is needed to ask an API server.
pub struct Access {
    /// The server.
    pub server: Server,
    /// The name that its certificate must have.
    pub name: String,
    /// The CAs that may have signed it.
    pub roots: Vec<Certificate>,
    /// Where those are from.
    pub roots_from: String,
    /// The client's certificate and key.
    pub identity: Option<Identity>,
    /// The value of the header `Authorization`.
    pub authorization: Option<Secret>,
    /// Who the kubeconfig says that we are.
    pub who: String,
    /// The namespace of its context.
    pub namespace: String,
    /// Take a server certificate that has ended.
    pub accept_expired: bool,
}

/// A server by its URL.
#[derive(Clone, Debug)]
pub struct Server {
    /// As it is written.
    pub url: String,
    /// HTTPS, not HTTP.
    pub tls: bool,
    /// Address or name, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What comes before each path; empty for most.
    pub prefix: String,
}

impl Server {
    /// Reads an URL; the error says why it is none.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is no URL of a server, such as https://10.0.0.1:6443", url.escape_debug());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        if uri.query().is_some() {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if !tls && !is_loopback(host) {
            return Err(format!(
                "`{}` has no TLS: anybody on the way could read and change what is asked; only an address of the host itself may",
                url.escape_debug()
            ));
        }
        Ok(Self {
            url: url.to_owned(),
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// `host:port`, as the header `Host` has it.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// Does a name or address never leave the host? A name counts only where every resolver must take it for that (RFC 6761).
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// A kubeconfig that is being read.
struct Reading<'a> {
    ctx: &'a Ctx,
    path: &'a str,
}

impl Access {
    /// Reads the kubeconfig that the arguments name, and every file that it names. Nothing of it is kept for later: what
    /// a rotation writes is used by the next action.
    pub async fn read(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let path = args.opt_path("kubeconfig")?.unwrap_or(DEFAULT);
        let reading = Reading { ctx, path };
        let file = files::need(&*ctx.target, path).await?;
        let config: Yaml =
            serde_yaml::from_slice(file.content.expose()).map_err(|_| reading.fault("it is no YAML"))?;
        let context = reading.context(&config, args.opt_text("context")?)?;
        let namespace = text(context, "namespace").unwrap_or("default");
        check_name("namespace", namespace)
            .map_err(|fault| reading.fault(format!("its namespace: {}", fault.cause)))?;
        let cluster =
            reading.named(&config, "clusters", "cluster", text(context, "cluster").unwrap_or_default())?;
        reading.refuse_cluster(cluster)?;
        let server = match args.opt_text("server")? {
            Some(url) => Server::parse(url).map_err(|why| Fault::usage("read the argument `server`", why))?,
            None => Server::parse(text(cluster, "server").unwrap_or_default())
                .map_err(|why| reading.fault(format!("the server of its cluster: {why}")))?,
        };
        let (roots, roots_from) = match server.tls {
            true => reading.roots(cluster).await?,
            false => (Vec::new(), String::new()),
        };
        let mut access = Self {
            name: text(cluster, "tls-server-name").unwrap_or(&server.host).to_owned(),
            server,
            roots,
            roots_from,
            identity: None,
            authorization: None,
            who: "nobody: the context names no user, or it has no credentials".to_owned(),
            namespace: namespace.to_owned(),
            accept_expired: args.bool_or("accept_expired", false)?,
        };
        if let Some(name) = text(context, "user") {
            let user = reading.named(&config, "users", "user", name)?;
            reading.identify(&mut access, user, name).await?;
        }
        Ok(access)
    }
}

impl Reading<'_> {
    fn fault(&self, why: impl std::fmt::Display) -> Fault {
        failed(self.ctx, format!("read the kubeconfig {}", self.path), why)
    }

    /// An entry of one of its lists.
    fn named<'y>(&self, config: &'y Yaml, list: &str, inner: &str, name: &str) -> Result<&'y Yaml, Fault> {
        current::named(config, list, inner, name).map_err(|why| self.fault(why))
    }

    fn context<'y>(&self, config: &'y Yaml, wanted: Option<&str>) -> Result<&'y Yaml, Fault> {
        current::context(config, wanted)
            .map_err(|why| self.fault(why).hint("name one of its contexts in `context`"))
    }

    fn refuse_cluster(&self, cluster: &Yaml) -> Result<(), Fault> {
        if cluster.get("insecure-skip-tls-verify").and_then(Yaml::as_bool) == Some(true) {
            let why = "its cluster has insecure-skip-tls-verify: nobody would know which server answers";
            return Err(self.fault(why).hint(
                "Name the cluster's CA in it instead; where only the server's certificate has ended, `accept_expired: true` \
                 still checks its chain and name.",
            ));
        }
        match text(cluster, "proxy-url") {
            Some(_) => {
                Err(self.fault("its cluster has a proxy-url, which `kube` does not use").hint(BY_KUBECTL))
            }
            None => Ok(()),
        }
    }

    async fn roots(&self, cluster: &Yaml) -> Result<(Vec<Certificate>, String), Fault> {
        match cas_of(cluster, self.path).map_err(|why| self.fault(why))? {
            Cas::Here(pem) => {
                let all = Certificate::load_all_pem(&pem)
                    .map_err(|error| self.fault(format!("its certificate-authority-data: {error}")))?;
                Ok((all, format!("the certificate-authority-data of {}", self.path)))
            }
            Cas::In(path) => Ok((x509::every(&*self.ctx.target, &path).await?, path)),
        }
    }

    async fn identify(&self, access: &mut Access, user: &Yaml, name: &str) -> Result<(), Fault> {
        for plugin in ["exec", "auth-provider"] {
            if user.get(plugin).is_some_and(|value| !value.is_null()) {
                let why = format!("its user `{name}` gets its credentials from a program (`{plugin}`)");
                return Err(self.fault(why).hint(BY_KUBECTL));
            }
        }
        if ["as", "as-uid", "as-groups", "as-user-extra"].iter().any(|key| user.get(key).is_some()) {
            return Err(self
                .fault(format!("its user `{name}` acts as somebody else (`as`)"))
                .hint(BY_KUBECTL));
        }
        let cert = self.material(user, "client-certificate").await?;
        let key = self.material(user, "client-key").await?;
        match (cert, key) {
            (Some(cert), Some(key)) => self.certify(access, name, &cert, &key)?,
            (None, None) => {}
            _ => return Err(self.fault(format!("its user `{name}` has only one of certificate and key"))),
        }
        if let Some(header) = self.header(user).await? {
            if !access.server.tls {
                let why = "its user has a token or password, which would go through the network in clear";
                return Err(self.fault(why));
            }
            // A server looks at the certificate first.
            if access.identity.is_none() {
                access.who =
                    format!("the bearer of the token or password of the user `{name}` in {}", self.path);
            }
            access.authorization = Some(header);
        }
        Ok(())
    }

    fn certify(&self, access: &mut Access, name: &str, cert: &Secret, key: &Secret) -> Result<(), Fault> {
        let chain = Certificate::load_all_pem(cert.expose())
            .map_err(|error| self.fault(format!("the certificate of its user `{name}`: {error}")))?;
        let own = chain.first().ok_or_else(|| self.fault(format!("its user `{name}` has no certificate")))?;
        access.who = format!("{} by a certificate that ends {}", own.subject(), rfc3339(own.not_after()));
        let identity = handshake::identity(&chain, key)
            .map_err(|error| self.fault(format!("the key of its user `{name}`: {error}")))?;
        access.identity = Some(identity);
        Ok(())
    }

    /// Data of the file, as clients prefer it, or the file that it names.
    async fn material(&self, user: &Yaml, key: &str) -> Result<Option<Secret>, Fault> {
        if let Some(data) = text(user, &format!("{key}-data")) {
            let bytes = STANDARD.decode(data.trim());
            return bytes
                .map(|bytes| Some(Secret::new(bytes)))
                .map_err(|_| self.fault(format!("its {key}-data is no base64")));
        }
        match text(user, key) {
            Some(file) => self.file(file).await.map(Some),
            None => Ok(None),
        }
    }

    async fn file(&self, file: &str) -> Result<Secret, Fault> {
        let beside = files::join(files::parent(self.path), file);
        let path = if file.starts_with('/') { file } else { &beside };
        Ok(files::need(&*self.ctx.target, path).await?.content)
    }

    /// The value of `Authorization`. A token file counts before a token, as for client-go.
    async fn header(&self, user: &Yaml) -> Result<Option<Secret>, Fault> {
        let token = match (text(user, "tokenFile"), text(user, "token")) {
            (Some(file), _) => Some(self.file(file).await?),
            (None, token) => token.map(Secret::new),
        };
        if let Some(token) = token {
            let token = token.expose_str().unwrap_or_default().trim();
            return Ok(Some(Secret::new(format!("Bearer {token}"))));
        }
        let (name, password) = (text(user, "username"), text(user, "password"));
        Ok(name.zip(password).map(|(name, password)| {
            Secret::new(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
        }))
    }
}

/// Where kubectl can do what this family does not.
const BY_KUBECTL: &str =
    "Use the `kubectl` family, whose kubectl knows how, or a kubeconfig with a certificate or token.";

/// A text that is not empty.
fn text<'a>(map: &'a Yaml, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Yaml::as_str).filter(|text| !text.trim().is_empty())
}
