//! A certificate and its key in two files of the host, and where a new key is staged.

use super::{certificate_value, fault, key as key_of, told::CERTIFICATE_FILE};
use crate::support::{
    change::{FileChange, Wanted, basis, missing_dirs, refuse_missing},
    files::{self, Current},
    shown, tell,
};
use keybook_api::{
    ArgKind, ArgSpec, Args, Ctx, Diff, Fault, Returns, Value, Write, returns::Key, value::map,
};
use keybook_pki::{Certificate, KeyForm, KeyKind, PrivateKey};

pub const OUT_KEY: ArgSpec = ArgSpec::required("out_key", ArgKind::Path, "The key file to write (0600).");

/// What the actions return that write both.
pub const RETURNS: Returns =
    Returns::keys(CERTIFICATE_FILE.and(&[Key::plain("key_path", "The path of `out_key`.")]));

/// The two files to write, as they are now.
pub struct Files {
    pub cert_path: String,
    pub cert_real: String,
    pub cert: Option<Current>,
    pub key_path: String,
    pub key_real: String,
    pub key: Option<Current>,
}

impl Files {
    /// Looks at `out_cert` and `out_key`. The directories must be there.
    pub async fn look(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (cert_path, key_path) = (args.path("out_cert")?.to_owned(), args.path("out_key")?.to_owned());
        if cert_path == key_path {
            return Err(Fault::usage("read the arguments", "`out_cert` and `out_key` are the same file"));
        }
        for path in [&cert_path, &key_path] {
            refuse_missing(ctx, path, &missing_dirs(ctx, path).await?)?;
        }
        let (cert_real, cert) = files::look(&*ctx.target, &cert_path).await?;
        let (key_real, key) = files::look(&*ctx.target, &key_path).await?;
        Ok(Self { cert_path, cert_real, cert, key_path, key_real, key })
    }

    /// The certificate and the key in them, when there are both.
    pub fn pair(&self) -> Option<(Certificate, PrivateKey)> {
        let certificate = Certificate::one_pem(self.cert.as_ref()?.content.expose()).ok()?;
        Some((certificate, PrivateKey::load(&self.key.as_ref()?.content, None).ok()?))
    }

    /// Both diffs, which only describe.
    pub fn diffs(&self, key_text: String, cert_text: String) -> Vec<Diff> {
        let diff = |path: &str, file: &Option<Current>, after: String| Diff {
            path: path.to_owned(),
            before: file.as_ref().map(shown::described),
            after: Some(after),
            described: true,
        };
        vec![diff(&self.key_real, &self.key, key_text), diff(&self.cert_real, &self.cert, cert_text)]
    }

    /// What is there, for a plan's basis.
    pub fn basis(&self) -> String {
        let one = |file: &Option<Current>| {
            file.as_ref().map_or_else(|| "none".to_owned(), |file| basis(&file.mark()))
        };
        format!("{}; {}", one(&self.cert), one(&self.key))
    }

    /// What is there, for a plan's memo.
    pub fn memo(&self) -> Value {
        let mark = |file: &Option<Current>| Value::from(file.as_ref().map(|file| file.mark().to_value()));
        Value::Map(map([("cert", mark(&self.cert)), ("key", mark(&self.key))]))
    }

    /// The certificate's map, with the key's path.
    pub fn result(&self, certificate: &Certificate) -> Value {
        let mut result = certificate_value(certificate, &self.cert_path);
        result.insert("key_path".to_owned(), self.key_path.as_str().into());
        Value::Map(result)
    }
}

/// Where the key of this unit for a key file is staged.
pub fn staged_path(ctx: &Ctx, out: &str) -> String {
    let name = files::sha256(format!("{}\n{out}", ctx.unit).as_bytes());
    files::join(&ctx.staging(), &format!("{}.key", name.get(..16).unwrap_or(&name)))
}

/// The key of this unit, made once: from the staging folder when an earlier attempt left it there, else new.
/// The first value is its path there.
pub async fn staged_key(
    ctx: &Ctx,
    kind: KeyKind,
    form: KeyForm,
    out: &str,
) -> Result<(String, PrivateKey), Fault> {
    let path = staged_path(ctx, out);
    if ctx.target.stat(&path).await?.is_some() {
        let (_, key) = key_of(&*ctx.target, &path, None).await?;
        if key.kind() == kind {
            return Ok((path, key));
        }
        // Left by an attempt with other arguments; nothing was issued for it.
        ctx.target.remove(&path).await?;
    }
    let attempted = || format!("make an {kind} key");
    let key = tokio::task::spawn_blocking(move || PrivateKey::generate(kind))
        .await
        .map_err(|error| tell::failed(ctx, attempted(), error))?
        .map_err(|error| fault(&*ctx.target, attempted(), &error))?;
    let content = key.to_pem(form).map_err(|error| fault(&*ctx.target, attempted(), &error))?;
    ctx.target.make_dir(&ctx.staging(), 0o700).await?;
    let write = Write { mode: Some(0o600), create_new: true, ..Write::keep(content) };
    ctx.target.write(&path, write).await?;
    Ok((path, key))
}

/// Writes a key file, 0600.
pub async fn write_key(ctx: &Ctx, path: &str, key: &PrivateKey, form: KeyForm) -> Result<(), Fault> {
    let pem = key.to_pem(form).map_err(|error| fault(&*ctx.target, format!("write {path}"), &error))?;
    let file = Wanted { mode: Some(0o600), ..Wanted::content(path, pem) };
    FileChange::new(ctx, file).await?.apply(ctx).await.map(drop)
}
