//! Connections, identities and reading.

use super::*;
use crate::{
    kube::{get::Get, list::List, raw::Raw},
    testing::{Asked, Issue, Reply, ca, kubeconfig, leaf},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::FaultKind;
use serde_json::json;

#[tokio::test]
async fn objects_are_read_and_secrets_stay_secret() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("pods", "a", "u1", json!({"metadata": {"managedFields": [{"manager": "x"}]}}));
    api.add("pods", "b", "u2", json!({"metadata": {"labels": {"app": "y"}}}));
    api.add("secrets", "s", "u3", json!({"data": {"key": "aHVudGVyMg=="}, "type": "Opaque"}));
    api.add("nodes", "n1", "u4", json!({}));
    let one =
        read(&bench, &Get, &with(&api, [("resource", "pods".into()), ("name", "a".into())])).await.unwrap();
    assert_eq!(one.get("found"), Some(&true.into()));
    let metadata = one.get("object").unwrap().get("metadata").unwrap();
    assert_eq!((metadata.get("uid"), metadata.get("managedFields")), (Some(&"u1".into()), None));
    let none =
        read(&bench, &Get, &with(&api, [("resource", "pod".into()), ("name", "none".into())])).await.unwrap();
    assert_eq!((none.get("found"), none.get("object")), (Some(&false.into()), Some(&Value::Null)));
    let node =
        read(&bench, &Get, &with(&api, [("resource", "nodes".into()), ("name", "n1".into())])).await.unwrap();
    assert_eq!(node.get("found"), Some(&true.into()));

    let pods = read(&bench, &List, &with(&api, [("resource", "pods".into())])).await.unwrap();
    assert_eq!(pods.get("total"), Some(&Value::Int(2)));
    let some =
        with(&api, [("resource", "pods".into()), ("namespace", "n".into()), ("selector", "app=y".into())]);
    assert_eq!(read(&bench, &List, &some).await.unwrap().get("total"), Some(&Value::Int(1)));
    for (action, secrets) in [
        (&Get as &dyn Action, with(&api, [("resource", "secrets".into()), ("name", "s".into())])),
        (&List, with(&api, [("resource", "secrets.v1".into())])),
    ] {
        let secret = read(&bench, action, &secrets).await.unwrap();
        assert!(secret.has_secret() && !secret.to_string().contains("aHVudGVyMg"), "{secret}");
        let known = action.secret_results(&|name| secrets.get(name).cloned());
        assert!(known.iter().all(|key| secret.get(key).unwrap().has_secret()) && known.len() == 1);
    }
    assert!(Get.secret_results(&|_| Some("pods".into())).is_empty());
}

#[tokio::test]
async fn kinds_are_found_and_doubts_are_told() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.add("deployments", "web", "u1", json!({}));
    for resource in ["deployments", "deployment", "deployments.apps", "deployments.v1.apps"] {
        let asked = with(&api, [("resource", resource.into()), ("name", "web".into())]);
        assert_eq!(read(&bench, &Get, &asked).await.unwrap().get("found"), Some(&true.into()), "{resource}");
    }
    let fault = async |resource: &str| {
        let asked = with(&api, [("resource", resource.into()), ("name", "web".into())]);
        bench.apply(&Get, &asked).await.unwrap_err()
    };
    let several = fault("ingresses").await;
    assert!(
        several.cause.contains("ingresses of extensions/v1beta1, ingresses of networking.k8s.io/v1"),
        "{several}"
    );
    for none in ["nonsense", "pods.v1.apps", "pods.none.example", "web.v1"] {
        assert!(fault(none).await.cause.starts_with("there is no kind"), "{none}");
    }
    assert_eq!(fault("-A").await.kind, FaultKind::Usage);
    let odd = with(&api, [("resource", "pods".into()), ("name", "../x".into())]);
    assert_eq!(bench.apply(&Get, &odd).await.unwrap_err().kind, FaultKind::Usage);
}

#[tokio::test]
async fn pages_are_read_to_the_end() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let page = |asked: &Asked| {
        let (items, next) = match asked.url.contains("continue=t%2B1") {
            true => (json!([{"metadata": {"name": "b"}}]), ""),
            false => (json!([{"metadata": {"name": "a"}}]), "t+1"),
        };
        let list = json!({"items": items, "metadata": {"continue": next}});
        asked.url.contains("limit=500").then(|| Reply::Json("200 OK", list))
    };
    api.instead(page);
    let all = read(&bench, &List, &with(&api, [("resource", "pods".into())])).await.unwrap();
    assert_eq!(all.get("total"), Some(&Value::Int(2)));
    assert_eq!(all.get("items").unwrap().as_list().unwrap()[1].get("kind"), Some(&"Pod".into()));
    // Pages that are gone each time.
    api.instead(move |asked| match asked.url.contains("continue=") {
        true => Some(Reply::Json("410 Gone", json!({"kind": "Status", "reason": "Expired"}))),
        false => page(asked),
    });
    let fault = bench.apply(&List, &with(&api, [("resource", "pods".into())])).await.unwrap_err();
    assert!(fault.cause.contains("change faster"), "{fault}");
}

#[tokio::test]
async fn paths_are_read_and_refusals_are_results() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    api.instead(|asked| match asked.url.as_str() {
        "/readyz?verbose" => Some(Reply::Text("500 Internal Server Error", "[-]etcd failed".to_owned())),
        "/metrics" => Some(Reply::Json("403 Forbidden", json!({"kind": "Status", "code": 403}))),
        _ => None,
    });
    let raw = async |path: &str| read(&bench, &Raw, &with(&api, [("path", path.into())])).await;
    let version = raw("/version").await.unwrap();
    assert_eq!(version.get("status"), Some(&Value::Int(200)));
    assert_eq!(version.get("body").unwrap().get("minor"), Some(&"32".into()));
    let ready = raw("/readyz?verbose").await.unwrap();
    assert_eq!(
        (ready.get("status"), ready.get("body")),
        (Some(&Value::Int(500)), Some(&"[-]etcd failed".into()))
    );
    assert_eq!(raw("/metrics").await.unwrap().get("status"), Some(&Value::Int(403)));
    for path in [
        "version",
        "/api/v1/secrets",
        "/api/v1/%73ecrets",
        "/a b",
        "/api/v1/nodes/n1/proxy/x",
        "/api/v1/pods?watch=1",
    ] {
        assert_eq!(raw(path).await.unwrap_err().kind, FaultKind::Usage, "{path}");
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_with_who_we_are() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let refuse = |code: &'static str, reason: &'static str| {
        api.instead(move |_| {
            Some(Reply::Json(code, json!({"kind": "Status", "reason": reason, "message": "no way"})))
        });
    };
    let asked = with(&api, [("resource", "pods".into()), ("name", "a".into())]);
    refuse("403 Forbidden", "Forbidden");
    let fault = bench.apply(&Get, &asked).await.unwrap_err();
    assert_eq!(fault.cause, "the server says 403 Forbidden: no way");
    assert!(fault.hints[0].starts_with("We are nobody"), "{fault:?}");
    assert!(fault.attempted.ends_with(&format!("at http://127.0.0.1:{}", api.port)), "{fault}");
    assert_eq!(fault.host.as_deref(), Some("h1"));
    refuse("401 Unauthorized", "Unauthorized");
    assert!(bench.apply(&Get, &asked).await.unwrap_err().hints[0].contains("does not know us"));
    api.instead(|_| Some(Reply::Text("502 Bad Gateway", "<html>".to_owned())));
    assert_eq!(bench.apply(&Get, &asked).await.unwrap_err().cause, "the server says 502 Bad Gateway: <html>");
    api.instead(|_| Some(Reply::Text("200 OK", "<html>".to_owned())));
    assert!(
        bench
            .apply(&List, &with(&api, [("resource", "things.example".into())]))
            .await
            .unwrap_err()
            .cause
            .contains("no JSON")
    );
}

#[tokio::test]
async fn broken_and_silent_servers_end_the_request() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let asked = with(&api, [("path", "/version".into()), ("timeout", "300ms".into())]);
    api.instead(|_| Some(Reply::Cut));
    let fault = bench.apply(&Raw, &asked).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(fault.cause.starts_with("the connection broke off"), "{fault}");
    api.instead(|_| Some(Reply::Hang));
    let fault = bench.apply(&Raw, &asked).await.unwrap_err();
    assert_eq!((fault.kind, fault.cause.as_str()), (FaultKind::TimedOut, "no whole answer after 300ms"));
    // A port where nobody speaks TLS, and one where nobody is.
    let mut tls = asked.clone();
    tls.0.insert("server".to_owned(), format!("https://127.0.0.1:{}", api.port).into());
    bench.file("admin.conf", kubeconfig("server: \"https://x\", certificate-authority: ca.pem", ""));
    ca(&bench, "ca", &Issue::default());
    let fault = bench.apply(&Raw, &tls).await.unwrap_err();
    assert!(fault.attempted.starts_with("connect to the API server https://127.0.0.1"), "{fault}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    tls.0.insert("server".to_owned(), format!("https://127.0.0.1:{port}").into());
    assert!(bench.apply(&Raw, &tls).await.unwrap_err().cause.contains("refused"));
    bench.cancel.cancel();
    assert_eq!(bench.apply(&Raw, &asked).await.unwrap_err().kind, FaultKind::Stopped);
}

/// A stand-in with TLS, whose kubeconfig trusts `ca.pem` and has the certificate `user.pem`.
async fn secured(bench: &Bench, server: &Issue) -> ApiStandIn {
    let authority = ca(bench, "ca", &Issue { cn: "cluster", ..Issue::default() });
    leaf(bench, &authority, "server", server);
    leaf(bench, &authority, "user", &Issue { cn: "admin", ..Issue::default() });
    let api = ApiStandIn::start_tls(bench, "server", "ca", false).await;
    let user = "client-certificate: user.pem, client-key: user-key.pem";
    trust(bench, &api, "certificate-authority: ca.pem", user);
    api
}

fn trust(bench: &Bench, api: &ApiStandIn, cluster: &str, user: &str) {
    bench.file(
        "admin.conf",
        kubeconfig(&format!("server: \"https://127.0.0.1:{}\", {cluster}", api.port), user),
    );
}

#[tokio::test]
async fn only_the_server_that_the_kubeconfig_trusts_is_asked_and_a_new_ca_counts_at_once() {
    let bench = Bench::new();
    let api = secured(&bench, &Issue::default()).await;
    let asked = with(&api, [("path", "/version".into())]);
    read(&bench, &Raw, &asked).await.unwrap();
    // Data counts before files, keys and all.
    let data = |name: &str| STANDARD.encode(bench.read(name));
    let user =
        format!("client-certificate-data: {}, client-key-data: {}", data("user.pem"), data("user-key.pem"));
    trust(&bench, &api, &format!("certificate-authority-data: {}", data("ca.pem")), &user);
    read(&bench, &Raw, &asked).await.unwrap();
    // Another CA of the same name, then the right one again: nothing was kept in between.
    let right = bench.read("ca.pem");
    trust(&bench, &api, "certificate-authority: trusted.pem", "");
    ca(&bench, "trusted", &Issue { cn: "stranger", ..Issue::default() });
    let fault = bench.apply(&Raw, &asked).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Failed);
    assert!(fault.cause.starts_with("the server's certificate does not verify"), "{fault}");
    assert!(
        fault.hints[0].contains("trusted.pem trusts") && fault.hints[0].contains("stranger"),
        "{fault:?}"
    );
    bench.file("trusted.pem", right);
    read(&bench, &Raw, &asked).await.unwrap();
    // The name counts, unless the kubeconfig names another.
    let mut by_name = asked.clone();
    by_name.0.insert("server".to_owned(), format!("https://127.0.0.2:{}", api.port).into());
    trust(&bench, &api, "certificate-authority: trusted.pem, tls-server-name: localhost", "");
    read(&bench, &Raw, &asked).await.unwrap();
    trust(&bench, &api, "certificate-authority: trusted.pem, tls-server-name: other.example", "");
    let fault = bench.apply(&Raw, &asked).await.unwrap_err();
    assert!(
        fault.cause.contains("does not name other.example; it names DNS:localhost, IP:127.0.0.1"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_taken_where_that_is_asked_for() {
    let bench = Bench::new();
    let ended = Issue { not_before: -9000, not_after: -3600, ..Issue::default() };
    let api = secured(&bench, &ended).await;
    let asked = |accept: bool| with(&api, [("path", "/version".into()), ("accept_expired", accept.into())]);
    let fault = bench.apply(&Raw, &asked(false)).await.unwrap_err();
    assert!(fault.cause.contains("expired") && fault.hints[0].contains("accept_expired"), "{fault:?}");
    read(&bench, &Raw, &asked(true)).await.unwrap();
    let notes = bench.told.notes.lock().unwrap().clone();
    assert!(notes.len() == 1 && notes[0].contains("accept_expired"), "{notes:?}");
    // The chain and the name are still judged.
    trust(&bench, &api, "certificate-authority: ca.pem, tls-server-name: other.example", "");
    assert!(bench.apply(&Raw, &asked(true)).await.unwrap_err().cause.contains("does not name"));
    ca(&bench, "other", &Issue { cn: "other", ..Issue::default() });
    trust(&bench, &api, "certificate-authority: other.pem", "");
    assert!(bench.apply(&Raw, &asked(true)).await.unwrap_err().cause.contains("does not verify"));
}

#[tokio::test]
async fn a_ca_that_has_ended_is_taken_where_that_is_asked_for() {
    let bench = Bench::new();
    let authority = ca(&bench, "ca", &Issue { not_before: -9000, not_after: -3600, ..Issue::default() });
    leaf(&bench, &authority, "server", &Issue { not_before: -8000, ..Issue::default() });
    ca(&bench, "clients", &Issue::default());
    let api = ApiStandIn::start_tls(&bench, "server", "clients", false).await;
    trust(&bench, &api, "certificate-authority: ca.pem", "");
    let asked = |accept: bool| with(&api, [("path", "/version".into()), ("accept_expired", accept.into())]);
    assert!(bench.apply(&Raw, &asked(false)).await.unwrap_err().cause.contains("expired"));
    read(&bench, &Raw, &asked(true)).await.unwrap();
}

#[tokio::test]
async fn servers_that_demand_a_client_certificate_get_it_or_say_no() {
    let bench = Bench::new();
    let authority = ca(&bench, "ca", &Issue { cn: "cluster", ..Issue::default() });
    let strange = ca(&bench, "strange", &Issue { cn: "strange", ..Issue::default() });
    leaf(&bench, &authority, "server", &Issue::default());
    leaf(&bench, &authority, "user", &Issue { cn: "admin", ..Issue::default() });
    leaf(&bench, &strange, "stranger", &Issue { cn: "mallory", ..Issue::default() });
    let api = ApiStandIn::start_tls(&bench, "server", "ca", true).await;
    let asked = with(&api, [("path", "/version".into())]);
    let as_user = |user: &str| trust(&bench, &api, "certificate-authority: ca.pem", user);
    as_user("client-certificate: user.pem, client-key: user-key.pem");
    read(&bench, &Raw, &asked).await.unwrap();
    as_user("client-certificate: stranger.pem, client-key: stranger-key.pem");
    let fault = bench.apply(&Raw, &asked).await.unwrap_err();
    assert!(fault.cause.contains("the server refused the client"), "{fault:?}");
    assert!(fault.hints[0].contains("CN=mallory"), "{fault:?}");
    as_user("client-certificate: user.pem, client-key: stranger-key.pem");
    assert!(bench.apply(&Raw, &asked).await.unwrap_err().attempted.starts_with("use the identity"));
    as_user("client-certificate: user.pem");
    assert!(bench.apply(&Raw, &asked).await.unwrap_err().cause.contains("only one of certificate and key"));
}

#[tokio::test]
async fn tokens_go_to_the_server_and_nowhere_else() {
    let bench = Bench::new();
    let api = secured(&bench, &Issue::default()).await;
    bench.file("token", "from-file\n");
    let asked = with(&api, [("path", "/version".into())]);
    for (user, expected) in [
        ("token: hunter2", "authorization: Bearer hunter2"),
        ("token: hunter2, tokenFile: token", "authorization: Bearer from-file"),
        ("username: a, password: b", "authorization: Basic YTpi"),
    ] {
        trust(&bench, &api, "certificate-authority: ca.pem", user);
        read(&bench, &Raw, &asked).await.unwrap();
        assert!(api.asked().last().unwrap().head.contains(expected), "{user}");
    }
    api.instead(|_| Some(Reply::Json("403 Forbidden", json!({}))));
    trust(&bench, &api, "certificate-authority: ca.pem", "token: hunter2");
    let fault = bench
        .apply(&Get, &with(&api, [("resource", "pods".into()), ("name", "a".into())]))
        .await
        .unwrap_err();
    assert!(
        fault.hints[0].contains("the bearer of the token") && !format!("{fault:?}").contains("hunter2"),
        "{fault:?}"
    );
    bench.file("admin.conf", kubeconfig("server: \"http://127.0.0.1:1\"", "token: hunter2"));
    assert!(bench.apply(&Raw, &asked).await.unwrap_err().cause.contains("in clear"));
}

#[tokio::test]
async fn kubeconfigs_that_cannot_be_followed_are_refused() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let asked = with(&api, [("path", "/version".into())]);
    let https = "server: \"https://127.0.0.1:1\", certificate-authority: ca.pem";
    ca(&bench, "ca", &Issue::default());
    for (cluster, user, cause, hint) in [
        (
            "server: \"https://x\", insecure-skip-tls-verify: true",
            "",
            "insecure-skip-tls-verify",
            "accept_expired",
        ),
        ("server: \"https://x\", proxy-url: \"http://p\"", "", "proxy-url", "kubectl"),
        ("server: \"https://x\"", "", "neither certificate-authority-data", ""),
        ("server: \"ftp://x\"", "", "is no URL of a server", ""),
        ("server: \"http://10.0.0.1:8080\"", "", "has no TLS", ""),
        ("server: \"http://localhost.example\"", "", "has no TLS", ""),
        (https, "exec: {command: aws}", "gets its credentials from a program", "kubectl"),
        (https, "auth-provider: {name: gcp}", "gets its credentials from a program", "kubectl"),
        (https, "as: root", "acts as somebody else", "kubectl"),
        (https, "client-certificate-data: '%'", "is no base64", ""),
    ] {
        bench.file("admin.conf", kubeconfig(cluster, user));
        let fault = bench.apply(&Raw, &asked).await.unwrap_err();
        assert!(fault.cause.contains(cause), "{fault}");
        assert!(hint.is_empty() || fault.hints.iter().any(|one| one.contains(hint)), "{fault:?}");
    }
    let mut other = asked.clone();
    other.0.insert("context".to_owned(), "none".into());
    assert!(bench.apply(&Raw, &other).await.unwrap_err().cause.contains("no context `none`"));
    bench.file("admin.conf", "kind: Config");
    assert!(bench.apply(&Raw, &asked).await.unwrap_err().cause.contains("no current-context"));
    std::fs::remove_file(bench.path("admin.conf")).unwrap();
    assert!(bench.apply(&Raw, &asked).await.unwrap_err().cause.starts_with("there is no "));
}
