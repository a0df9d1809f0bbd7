//! What is to be issued, from the arguments and the files they name.

use super::{
    super::{
        BACKDATE, DAY, End, end, key, one,
        wanted::{key_form, key_kind, sans, subject, usage},
    },
    cfssl::Cfssl,
};
use crate::support::change::basis;
use keybook_api::{Args, Ctx, Fault};
use keybook_pki::{Certificate, KeyForm, KeyKind, LeafRequest, PrivateKey, San, Subject, Usages, rfc3339};

/// The end without `days` and `not_after`: ten years, as cfssl's usual profiles.
const DEFAULT_DAYS: i64 = 3650;

/// What is to be issued.
pub struct Order {
    pub request: LeafRequest,
    pub ca: Certificate,
    pub ca_key: PrivateKey,
    pub key_kind: KeyKind,
    pub key_form: KeyForm,
    end: End,
    subject_text: String,
    basis: String,
}

impl Order {
    pub async fn load(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let passphrase = args.opt_secret("passphrase")?;
        let (ca_file, ca) = one(&*ctx.target, args.path("ca")?).await?;
        let (_, ca_key) = key(&*ctx.target, args.path("ca_key")?, passphrase.as_ref()).await?;
        check_ca(ctx, args, &ca, &ca_key)?;
        let mut basis_text = basis(&ca_file.mark());
        let like = match args.opt_path("like")? {
            None => None,
            Some(path) => {
                let (file, certificate) = one(&*ctx.target, path).await?;
                basis_text.push_str(&format!("; {}", basis(&file.mark())));
                Some(certificate)
            }
        };
        let cfssl = Cfssl::load(ctx, args).await?;
        basis_text.push_str(&cfssl.basis);
        let key_kind = match (args.opt_text("key_kind")?, &cfssl.key_kind) {
            (None, Some(kind)) => kind.parse().map_err(usage("cfssl_csr"))?,
            _ => key_kind(args, like.as_ref())?,
        };
        let (subject, subject_text) = order_subject(args, like.as_ref(), &cfssl)?;
        let (not_before, end) = validity(ctx, args, &cfssl)?;
        let request = LeafRequest {
            subject,
            sans: order_sans(args, like.as_ref(), &cfssl)?,
            usages: usages(args, like.as_ref(), &cfssl)?,
            not_before,
            not_after: end.at,
        };
        if subject_text.is_empty() && request.sans.is_empty() {
            return Err(Fault::usage(
                "read the arguments",
                "neither a subject nor alternative names: give `like`, `subject` or `sans`",
            ));
        }
        let key_form = key_form(args, key_kind)?;
        Ok(Self { request, ca, ca_key, key_kind, key_form, end, subject_text, basis: basis_text })
    }

    /// Digests of what the order was read from.
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// A warning when the certificate ends after its CA.
    pub fn outlives_ca(&self) -> Option<String> {
        let ca_end = self.ca.not_after();
        (self.request.not_after > ca_end).then(|| {
            format!(
                "the certificate is issued until {}, but its CA ends {}; then neither verifies",
                self.end,
                rfc3339(ca_end)
            )
        })
    }

    /// The certificate to be, as plans show it.
    pub fn certificate_text(&self) -> String {
        format!(
            "certificate {}\nissuer {}\nnames {}\nusages {}\nuntil {}",
            self.subject_text,
            self.ca.subject(),
            self.sans_text(),
            self.request.usages.words().join(", "),
            self.end
        )
    }

    pub fn lines(&self, out_cert: &str, out_key: &str) -> Vec<String> {
        let mut lines = vec![
            format!("make an {} key and write it to {out_key} (mode 0600, {})", self.key_kind, self.key_form),
            format!("issue a certificate for {} with the CA {}", self.subject_text, self.ca.subject()),
            format!("names: {}", self.sans_text()),
            format!("usages: {}; until {}", self.request.usages.words().join(", "), self.end),
            format!("write it to {out_cert}"),
        ];
        lines.extend(self.outlives_ca().map(|warning| format!("warning: {warning}")));
        lines
    }

    fn sans_text(&self) -> String {
        let names: Vec<String> = self.request.sans.iter().map(San::to_string).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

fn check_ca(ctx: &Ctx, args: &Args, ca: &Certificate, ca_key: &PrivateKey) -> Result<(), Fault> {
    let refuse = |why: String| {
        Err(Fault::failed(format!("issue a certificate with {}", args.path("ca")?), why)
            .on(ctx.target.name())
            .now("nothing was written"))
    };
    if !ca_key.matches(ca) {
        return refuse(format!("the key {} does not belong to it", args.path("ca_key")?));
    }
    if !ca.is_ca() {
        return refuse(format!("`{}` is not a CA", ca.subject()));
    }
    Ok(())
}

/// `subject`, else that of cfssl's request, else that of `like`.
fn order_subject(args: &Args, like: Option<&Certificate>, cfssl: &Cfssl) -> Result<(Subject, String), Fault> {
    match &cfssl.subject {
        Some(attributes) if args.get("subject").is_none() => {
            let text: Vec<String> =
                attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            Ok((Subject::Attributes(attributes.clone()), text.join(", ")))
        }
        _ => subject(args, like),
    }
}

/// `sans`, else those of cfssl's request, else those of `like`; and `extra_sans`.
fn order_sans(args: &Args, like: Option<&Certificate>, cfssl: &Cfssl) -> Result<Vec<San>, Fault> {
    if args.get("sans").is_some() || cfssl.hosts.is_empty() {
        return sans(args, like);
    }
    let mut all = cfssl.hosts.clone();
    // Without `like` only `extra_sans` are left.
    all.extend(sans(args, None)?.into_iter().filter(|extra| !cfssl.hosts.contains(extra)));
    Ok(all)
}

/// When it begins and ends: cfssl counts its `expiry` from the beginning, `days` count from now.
fn validity(ctx: &Ctx, args: &Args, cfssl: &Cfssl) -> Result<(i64, End), Fault> {
    let backdate = cfssl.profile.as_ref().map_or(BACKDATE, |profile| profile.backdate);
    let begin = ctx.now.saturating_sub(backdate);
    let end = match (end(ctx, args)?, &cfssl.profile) {
        (Some(end), _) => end,
        (None, Some(profile)) => {
            End { at: begin.saturating_add(profile.expiry), days: Some(profile.expiry / DAY) }
        }
        (None, None) => End::in_days(ctx, DEFAULT_DAYS),
    };
    Ok((begin, end))
}

fn usages(args: &Args, like: Option<&Certificate>, cfssl: &Cfssl) -> Result<Usages, Fault> {
    let words = args.texts("usages")?;
    match (&cfssl.profile, like) {
        (Some(profile), _) if words.is_empty() => Ok(profile.usages.clone()),
        (None, Some(like)) if words.is_empty() => Ok(like.usages().clone()),
        _ if words.is_empty() => {
            Err(Fault::usage("read the arguments", "no usages: give `usages`, `cfssl_config` or `like`"))
        }
        _ => Usages::from_words(words.iter().map(String::as_str)).map_err(usage("usages")),
    }
}
