//! The actions and functions that come with Keybook. One file each: `src/<family>/<verb>.rs`.

pub mod certificates;
#[cfg(test)]
mod conventions;
mod etcd;
mod file;
mod functions;
mod host;
mod kube;
mod kubeconfig;
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
    sh::register(&mut all);
    file::register(&mut all);
    x509::register(&mut all);
    kubeconfig::register(&mut all);
    tls::register(&mut all);
    etcd::register(&mut all);
    process::register(&mut all);
    service::register(&mut all);
    sql::register(&mut all);
    static_pod::register(&mut all);
    kubectl::register(&mut all);
    kube::register(&mut all);
    wait::register(&mut all);
    note::register(&mut all);
    notify::register(&mut all);
    host::register(&mut all);
    all
}
