use super::{
    DAY, fault,
    kubeconfig::{KINDS, embedded},
    paths,
};
use crate::support::{
    files::{self, Current},
    tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FileKind, Plan, Returns, Value,
    WayBack,
    returns::{Key, Keys},
    value::map,
};
use keybook_pki::{Certificate, PkiError, rfc3339};

/// When certificates end.
pub struct Expiry;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.expiry",
    summary: "Lists when every certificate in some files ends.",
    doc: "Each file is PEM with one or more certificates, or a kubeconfig, of which the embedded `certificate-authority-data` and \
`client-certificate-data` are read. A directory stands for the files in it whose names end in .pem, .crt, .cer or .conf, without those of \
its own directories; files there that hold no certificate (keys) are passed over. An expired certificate is no error: demand what is needed \
in `expect`, for example `result.expiring == 0`. One that ends within `warn_within` is noted for the operator.\n\n\
Errors: no paths; a path that names nothing; a named file without a certificate (a kubeconfig that only names files, too); a directory, or a \
whole selection, without one; a damaged certificate.",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("paths", ArgKind::Texts, "Absolute paths of files or directories."),
        ArgSpec::optional("warn_within", ArgKind::Duration, "30d", "What counts as expiring."),
    ],
    returns: Returns::map(&[
        Key::plain("total", "How many certificates there are."),
        Key::plain("expired", "How many have expired."),
        Key::plain("expiring", "How many end within `warn_within`, the expired ones included."),
        Key::map("first", "The certificate that ends first.", Keys::own(ROW)),
        Key::list("certificates", "All of them.", Keys::of("`first`", ROW)),
    ]),
    way_back: WayBack::Nothing,
    example: "x509.expiry:\n  paths: [/etc/kubernetes/pki, /etc/kubernetes/admin.conf]\n  warn_within: 60d\n",
};

#[async_trait]
impl Action for Expiry {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("read the certificates in {}", paths(args, "paths")?.join(", "))))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let within = args.opt_duration("warn_within")?.map_or(30 * DAY, |within| within.as_secs() as i64);
        let mut rows = Vec::new();
        for path in paths(args, "paths")? {
            rows.extend(at(ctx, &path).await?);
        }
        let limit = ctx.now.saturating_add(within);
        let expired = rows.iter().filter(|row| row.certificate.not_after() < ctx.now).count();
        let expiring: Vec<&Row> = rows.iter().filter(|row| row.certificate.not_after() < limit).collect();
        for row in &expiring {
            let (name, end) = (row.certificate.subject(), rfc3339(row.certificate.not_after()));
            let verb = if row.certificate.not_after() < ctx.now { "ended" } else { "ends" };
            ctx.sink.note(&format!("{}: {}: {name} {verb} {end}", ctx.target.name(), row.path));
        }
        let first = rows.iter().min_by_key(|row| row.certificate.not_after());
        Ok(Applied::unchanged(map([
            ("total", Value::Int(rows.len() as i64)),
            ("expired", Value::Int(expired as i64)),
            ("expiring", Value::Int(expiring.len() as i64)),
            ("first", first.map(|row| row.value(ctx.now)).into()),
            ("certificates", Value::List(rows.iter().map(|row| row.value(ctx.now)).collect())),
        ])))
    }
}

/// What is told of one certificate of one file.
const ROW: &[Key] = &[
    Key::plain("path", "The file."),
    Key::plain("index", "From 0, within the file."),
    Key::plain("entry", "`user NAME` or `cluster NAME` of a kubeconfig, else null."),
    Key::plain("subject", "Whose it is."),
    Key::plain("issuer", "Who signed it."),
    Key::plain("serial", "Decimal."),
    Key::plain("not_after", "RFC 3339."),
    Key::plain("not_after_unix", "In seconds since 1970."),
    Key::plain("days_left", "Whole days, negative when expired."),
    Key::plain("expired", "Whether it has expired."),
    Key::plain("is_ca", "Whether it is a CA."),
];

/// One certificate of one file.
struct Row {
    path: String,
    index: usize,
    entry: Option<String>,
    certificate: Certificate,
}

impl Row {
    fn value(&self, now: i64) -> Value {
        let end = self.certificate.not_after();
        Value::Map(map([
            ("path", self.path.as_str().into()),
            ("index", Value::Int(self.index as i64)),
            ("entry", self.entry.clone().into()),
            ("subject", self.certificate.subject().into()),
            ("issuer", self.certificate.issuer().into()),
            ("serial", self.certificate.serial().into()),
            ("not_after", rfc3339(end).into()),
            ("not_after_unix", Value::Int(end)),
            ("days_left", Value::Int(end.saturating_sub(now).div_euclid(DAY))),
            ("expired", (end < now).into()),
            ("is_ca", self.certificate.is_ca().into()),
        ]))
    }
}

/// The certificates of one path. Never empty.
async fn at(ctx: &Ctx, path: &str) -> Result<Vec<Row>, Fault> {
    let (_, Some(stat)) = files::follow(&*ctx.target, path).await? else {
        return Err(files::missing(&*ctx.target, path));
    };
    if stat.kind != FileKind::Directory {
        return rows(ctx, &files::need(&*ctx.target, path).await?, path);
    }
    let mut found = Vec::new();
    for name in ctx.target.list(path).await? {
        let file = files::join(path, &name);
        if ![".pem", ".crt", ".cer", ".conf"].iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let (_, stat) = files::follow(&*ctx.target, &file).await?;
        if stat.is_some_and(|stat| stat.kind == FileKind::File) {
            let current = files::need(&*ctx.target, &file).await?;
            if has_certificate(&current) {
                found.extend(rows(ctx, &current, &file)?);
            }
        }
    }
    if found.is_empty() {
        return Err(tell::failed(
            ctx,
            format!("read the certificates in {path}"),
            "there is none in the directory",
        ));
    }
    Ok(found)
}

/// Is there anything to read in a file of a directory? Damage is found when it is read.
fn has_certificate(file: &Current) -> bool {
    let text = String::from_utf8_lossy(file.content.expose());
    text.contains("BEGIN CERTIFICATE-----")
        || text.contains("BEGIN X509 CERTIFICATE-----")
        || KINDS.iter().any(|(.., field)| text.contains(field))
}

fn rows(ctx: &Ctx, file: &Current, path: &str) -> Result<Vec<Row>, Fault> {
    let attempted = || format!("read the certificates {path}");
    let wrong = |error: PkiError| fault(&*ctx.target, attempted(), &error);
    let entries = embedded(&file.content).map_err(|why| tell::failed(ctx, attempted(), why))?;
    let mut found: Vec<(Option<String>, Certificate)> = Vec::new();
    match entries {
        None => {
            let all = Certificate::load_all_pem(file.content.expose()).map_err(wrong)?;
            found.extend(all.into_iter().map(|one| (None, one)));
        }
        Some(entries) if entries.is_empty() => {
            let why = "it is a kubeconfig without an embedded certificate";
            return Err(tell::failed(ctx, attempted(), why).hint("List the files that it names instead."));
        }
        Some(entries) => {
            for (entry, pem) in entries {
                let all = Certificate::load_all_pem(&pem).map_err(wrong)?;
                found.extend(all.into_iter().map(|one| (Some(entry.clone()), one)));
            }
        }
    }
    let row = |(index, (entry, certificate))| Row { path: path.to_owned(), index, entry, certificate };
    Ok(found.into_iter().enumerate().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, Issue, args, ca, leaf};
    use base64::{Engine, engine::general_purpose::STANDARD};

    fn config(bench: &Bench) -> String {
        let coded = |name: &str| STANDARD.encode(bench.read(name));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: k8s\n  cluster:\n    server: https://a:6443\n    \
certificate-authority-data: {}\nusers:\n- name: admin\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n\
- name: token\n  user: {{token: abcdef}}\n",
            coded("both.pem"),
            coded("leaf.pem"),
            coded("leaf-key.pem")
        )
    }

    fn setup(bench: &Bench) {
        let root = ca(bench, "ca", &Issue { cn: "root", not_after: 400 * DAY, ..Issue::default() });
        ca(bench, "new", &Issue { cn: "new", not_after: 500 * DAY, ..Issue::default() });
        leaf(bench, &root, "leaf", &Issue { cn: "gone", not_after: -DAY, ..Issue::default() });
        leaf(bench, &root, "soon", &Issue { cn: "soon", not_after: 20 * DAY, ..Issue::default() });
        bench.file("both.pem", format!("{}{}", bench.read("ca.pem"), bench.read("new.pem")));
        bench.file("admin.conf", config(bench));
    }

    fn column<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
        let rows = value.get("certificates").and_then(Value::as_list).unwrap();
        rows.iter().map(|row| row.get(name).unwrap()).collect()
    }

    #[tokio::test]
    async fn bundles_and_kubeconfigs_are_listed() {
        let bench = Bench::new();
        setup(&bench);
        let paths = vec![bench.path("both.pem"), bench.path("admin.conf"), bench.path("soon.pem")];
        let asked = args([("paths", paths.into())]);
        bench.describe(&Expiry, &asked).await.unwrap();
        let value = bench.apply(&Expiry, &asked).await.unwrap().value;
        let counts = ["total", "expired", "expiring"].map(|name| value.get(name).unwrap().as_int().unwrap());
        assert_eq!(counts, [6, 1, 2]);
        let entries: Vec<String> = column(&value, "entry").iter().map(ToString::to_string).collect();
        assert_eq!(entries, ["null", "null", "cluster k8s", "cluster k8s", "user admin", "null"]);
        let index: Vec<_> = column(&value, "index").iter().map(|index| index.as_int().unwrap()).collect();
        assert_eq!(index, [0, 1, 0, 1, 2, 0]);
        assert_eq!(column(&value, "days_left")[0].as_int().unwrap() / 10, 40);
        assert!(column(&value, "days_left")[4].as_int().unwrap() < 0);
        assert_eq!(column(&value, "is_ca")[..2], [&Value::Bool(true); 2]);
        assert_eq!(value.get("first").unwrap().get("subject"), Some(&"CN=gone,O=Keybook".into()));
        assert_eq!(bench.told.notes.lock().unwrap().len(), 2);
        assert!(!value.to_string().contains("PRIVATE"));
        let strict = args([("paths", bench.path("soon.pem").into()), ("warn_within", "1d".into())]);
        let value = bench.apply(&Expiry, &strict).await.unwrap().value;
        assert_eq!(value.get("expiring"), Some(&Value::Int(0)));
    }

    #[tokio::test]
    async fn a_directory_stands_for_its_certificates() {
        let bench = Bench::new();
        setup(&bench);
        let value = bench.apply(&Expiry, &args([("paths", bench.path("").into())])).await.unwrap().value;
        // ca, new, leaf, soon, two in both, three in the kubeconfig; keys are passed over.
        assert_eq!(value.get("total"), Some(&Value::Int(9)));
        bench.file("broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        let fault = bench.apply(&Expiry, &args([("paths", bench.path("").into())])).await.unwrap_err();
        assert!(fault.attempted.contains("broken.crt"), "{fault}");
    }

    #[tokio::test]
    async fn an_empty_selection_is_a_fault() {
        let bench = Bench::new();
        setup(&bench);
        bench.file("empty/key.pem", bench.read("ca-key.pem"));
        bench.file(
            "bare.conf",
            "kind: Config\nclusters: []\nusers: [{name: a, user: {client-certificate: /x}}]\n",
        );
        bench.file(
            "bad.conf",
            config(&bench).replace("client-certificate-data: ", "client-certificate-data: '*'#"),
        );
        for (paths, message) in [
            (Value::List(vec![]), "the list is empty"),
            (bench.path("empty").into(), "none in the directory"),
            (bench.path("none").into(), "there is no"),
            (bench.path("ca-key.pem").into(), "a private key where"),
            (bench.path("bare.conf").into(), "without an embedded certificate"),
            (bench.path("bad.conf").into(), "is not base64"),
        ] {
            let fault = bench.apply(&Expiry, &args([("paths", paths)])).await.unwrap_err();
            assert!(fault.cause.contains(message), "{message}: {fault}");
        }
    }
}
