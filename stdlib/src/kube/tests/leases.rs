//! Leases as locks.

use super::*;
use crate::kube::{lease_acquire::LeaseAcquire, lease_release::LeaseRelease};
use keybook_api::{Change, Reconcile};
use keybook_pki::rfc3339;
use serde_json::json;

#[tokio::test]
async fn a_lease_is_held_by_one_at_a_time() {
    let bench = Bench::new();
    let api = ApiStandIn::start(&bench).await;
    let take = |holder: &str| {
        let own = [
            ("name", "lock".into()),
            ("namespace", "n".into()),
            ("holder", holder.into()),
            ("duration", "1h".into()),
        ];
        with(&api, own)
    };
    let give = |holder: &str| {
        with(&api, [("name", "lock".into()), ("namespace", "n".into()), ("holder", holder.into())])
    };
    let plan = bench.describe(&LeaseAcquire, &take("a")).await.unwrap();
    let reconcile = async || LeaseAcquire.reconcile(&bench.ctx(), &take("a"), &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let applied = bench.apply(&LeaseAcquire, &take("a")).await.unwrap();
    assert!(applied.changed);
    assert_eq!(reconcile().await, Reconcile::Done(applied.value.clone()));
    assert_eq!(applied.value.get("until"), Some(&rfc3339(bench.ctx().now + 3600).into()));

    let fault = bench.apply(&LeaseAcquire, &take("b")).await.unwrap_err();
    assert!(fault.cause.starts_with("a holds it until 20"), "{fault}");
    let warned = bench.describe(&LeaseAcquire, &take("b")).await.unwrap();
    assert!(warned.lines[1].contains("a holds it"), "{:?}", warned.lines);
    // The same holder may take it again, another one when it has ended.
    assert!(bench.apply(&LeaseAcquire, &take("a")).await.unwrap().changed);
    api.objects.lock().unwrap()[0].1["spec"]["renewTime"] = json!("2020-01-01T00:00:00.000000Z");
    assert!(bench.apply(&LeaseAcquire, &take("b")).await.unwrap().changed);
    assert_eq!(api.object("lock")["spec"]["holderIdentity"], "b");

    assert_eq!(bench.describe(&LeaseRelease, &give("a")).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(&LeaseRelease, &give("a")).await.unwrap().changed);
    let undone =
        async |holder: &str| LeaseAcquire.undo(&bench.ctx(), &take(holder), &Value::Null, &Value::Null).await;
    undone("a").await.unwrap();
    assert_eq!(api.object("lock")["spec"]["holderIdentity"], "b", "an undo leaves another's lease alone");
    let released = async || LeaseRelease.reconcile(&bench.ctx(), &give("b"), &Value::Null).await.unwrap();
    assert_eq!(released().await, Reconcile::NotDone);
    assert!(bench.apply(&LeaseRelease, &give("b")).await.unwrap().changed);
    assert!(matches!(released().await, Reconcile::Done(_)));
    assert!(bench.apply(&LeaseAcquire, &take("a")).await.unwrap().changed);
    undone("a").await.unwrap();
    assert_eq!(api.object("lock")["spec"]["holderIdentity"], "");
}
