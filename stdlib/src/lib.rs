//! The actions and functions that come with Keybook. One file each: `src/<family>/<verb>.rs`.

#[cfg(test)]
mod conventions;
mod etcd;
mod file;
mod functions;
mod host;
mod kubectl;
mod note;
mod notify;
#[cfg(test)]
mod on_posix;
mod process;
mod service;
mod sh;
mod sql;
mod static_pod;
mod support;
#[cfg(test)]
mod testing;
mod tls;
mod trust;
mod wait;
mod x509;

pub use functions::script_host;
use keybook_api::Registry;
pub use trust::Judge;

/// Every action of the standard library, in the order of the reference.
pub fn registry() -> Registry {
    let mut all = Registry::default();
    all.add(sh::Run);
    all.add(sh::Read);
    all.add(file::Read);
    all.add(file::Stat);
    all.add(file::Digest);
    all.add(file::Assert);
    all.add(file::Put);
    all.add(file::Template);
    all.add(file::Copy);
    all.add(file::EditJson);
    all.add(file::EditYaml);
    all.add(file::Link);
    all.add(file::Remove);
    all.add(file::Move);
    all.add(file::MakeDir);
    all.add(x509::Read);
    all.add(x509::CheckKey);
    all.add(x509::Verify);
    all.add(x509::Expiry);
    all.add(x509::ReadCrl);
    all.add(x509::ReissueCa);
    all.add(x509::NewCa);
    all.add(x509::IssueLeaf);
    all.add(x509::NewCsr);
    all.add(x509::Bundle);
    all.add(tls::Served);
    all.add(etcd::Health);
    all.add(etcd::Status);
    all.add(etcd::Members);
    all.add(etcd::Leader);
    all.add(etcd::Snapshot);
    all.add(process::Started);
    all.add(service::Status);
    all.add(service::Start);
    all.add(service::Stop);
    all.add(service::Restart);
    all.add(sql::Query);
    all.add(sql::Transaction);
    all.add(sql::BackupTable);
    all.add(static_pod::List);
    all.add(static_pod::Stop);
    all.add(static_pod::Start);
    all.add(kubectl::Get);
    all.add(kubectl::Delete);
    all.add(kubectl::RolloutRestart);
    all.add(kubectl::RolloutStatus);
    all.add(wait::For);
    all.add(wait::Port);
    all.add(note::Write);
    all.add(notify::Webhook);
    all.add(host::Add);
    all
}
