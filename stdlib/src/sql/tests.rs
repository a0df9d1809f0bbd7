//! Against a real MariaDB server.

use super::{
    backup_table::BackupTable, copy_rows::CopyRows, put_files::PutFiles, query::Query,
    transaction::Transaction, *,
};
use crate::testing::{Bench, DB_PASSWORD, MariaDb, args};
use keybook_api::{Action, Change, Receipt, Reconcile, value::map};

fn with(db: &MariaDb, extra: &[(&str, Value)]) -> Args {
    let mut all = args([
        ("database", "d".into()),
        ("user", "keybook".into()),
        ("password", Value::Secret(Secret::new(DB_PASSWORD))),
        ("socket", db.socket().into()),
    ]);
    all.0.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    all
}

fn statements(list: &[(&str, i64)]) -> Value {
    let one =
        |(sql, rows): &(&str, i64)| Value::Map(map([("sql", (*sql).into()), ("rows", Value::Int(*rows))]));
    Value::List(list.iter().map(one).collect())
}

#[tokio::test]
async fn rows_are_asked_for_and_nothing_can_be_written() {
    let (bench, db) = (Bench::new(), MariaDb::start().await);
    let ask = |sql: &str| with(&db, &[("sql", sql.into())]);
    let plan = bench.describe(&Query, &ask("SELECT * FROM t")).await.unwrap();
    assert!(plan.lines[0].starts_with("mysql --defaults-file=/dev/fd/3 --batch"), "{:?}", plan.lines);
    assert!(!format!("{plan:?}").contains("p#a"));
    let value = bench.apply(&Query, &ask("SELECT id, v AS `a b` FROM t ORDER BY id;")).await.unwrap().value;
    assert_eq!(
        value.get("rows").unwrap().to_string(),
        r#"[{"id":"1","a b":"a"},{"id":"2","a b":"b<>"},{"id":"3","a b":null}]"#
    );
    let none = bench.apply(&Query, &ask("SELECT id FROM t WHERE id > 9")).await.unwrap().value;
    assert_eq!(none.get("count"), Some(&Value::Int(0)));
    for sql in
        ["DELETE FROM t", "SELECT 1; DELETE FROM t", "SELECT id INTO OUTFILE '/x' FROM t", "SELECT '", ""]
    {
        assert!(bench.describe(&Query, &ask(sql)).await.is_err(), "{sql}");
        assert!(bench.apply(&Query, &ask(sql)).await.is_err(), "{sql}");
    }
    db.root("DELIMITER //\nCREATE FUNCTION d.f() RETURNS INT MODIFIES SQL DATA BEGIN DELETE FROM d.t; RETURN 1; END//");
    let fault = bench.apply(&Query, &ask("SELECT f()")).await.unwrap_err();
    assert!(fault.cause.contains("READ ONLY"), "{fault}");
    assert!(bench.apply(&Query, &ask("SELECT x FROM t")).await.unwrap_err().cause.contains("ERROR 1054"));
    assert_eq!(db.root("SELECT COUNT(*) FROM d.t"), "3\n");
}

#[tokio::test]
async fn the_password_is_in_no_argument_and_a_wrong_one_is_refused() {
    let (bench, db) = (Bench::new(), MariaDb::start().await);
    // A client that tells what anyone on the host could see of it, then is the client.
    let seen = bench.path("seen");
    let spy = bench.file(
        "spy",
        format!("#!/bin/sh\n{{ tr '\\0' ' ' </proc/$$/cmdline; env; ls -l /proc/$$/fd; }} >{seen}\nexec mysql \"$@\"\n"),
    );
    bench.chmod("spy", 0o755);
    let asked = with(&db, &[("sql", "SELECT 1 AS one".into()), ("client", spy.into())]);
    bench.apply(&Query, &asked).await.unwrap();
    let seen = bench.read("seen");
    assert!(!seen.contains("p#a") && !seen.contains("SELECT"), "{seen}");
    assert!(seen.contains("3 -> pipe:"), "{seen}");
    let wrong = with(&db, &[("sql", "SELECT 1".into()), ("password", "no".into())]);
    assert!(bench.apply(&Query, &wrong).await.unwrap_err().cause.contains("Access denied"));
    let line = with(&db, &[("sql", "SELECT 1".into()), ("password", "a\nb".into())]);
    assert!(bench.apply(&Query, &line).await.unwrap_err().cause.contains("line break"));
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let (bench, db) = (Bench::new(), MariaDb::start().await);
    let content = || db.root("SELECT id, v FROM d.t ORDER BY id");
    let before = content();
    let asked = |list: &[(&str, i64)]| with(&db, &[("statements", statements(list))]);
    for (list, cause) in [
        (
            &[("UPDATE t SET v = 'x' WHERE id = 1", 1), ("UPDATE t SET v = 'y' WHERE id > 1", 3)][..],
            "statement 2 changed 2 rows, must be 3 rows",
        ),
        (&[("DELETE FROM t", 1)], "statement 1 changed 3 rows, must be 1 row"),
        (&[("DELETE FROM t WHERE id = 1", 1), ("UPDATE t SET nope = 1", 1)], "ERROR 1054"),
        (&[("DELETE FROM t WHERE id = 1", 1), ("INSERT INTO t VALUES (2, 'b')", 1)], "ERROR 1062"),
    ] {
        let fault = bench.apply(&Transaction, &asked(list)).await.unwrap_err();
        assert!(fault.cause.contains(cause), "{fault}");
        assert!(fault.now_true.as_deref().unwrap().contains("rolled back"));
        assert_eq!(content(), before);
    }
    let good =
        asked(&[("UPDATE t SET v = 'it''s; new' WHERE id <= 2;", 2), ("DELETE FROM t WHERE id = 3", 1)]);
    let plan = bench.describe(&Transaction, &good).await.unwrap();
    assert!(plan.lines[2].ends_with("(must change 2 rows)"), "{:?}", plan.lines);
    let applied = bench.apply(&Transaction, &good).await.unwrap();
    assert_eq!(applied.value.get("rows"), Some(&Value::List(vec![Value::Int(2), Value::Int(1)])));
    assert_eq!(content(), "1\tit's; new\n2\tit's; new\n");
    let reconcile = async || Transaction.reconcile(&bench.ctx(), &good, &Value::Null).await.unwrap();
    assert!(matches!(reconcile().await, Reconcile::Done(_)));
    for (receipt, unknown) in [(Receipt::Absent, false), (Receipt::Cut, true), (Receipt::Ended(1), true)] {
        bench.set_receipt(receipt);
        assert_eq!(matches!(reconcile().await, Reconcile::Unknown(_)), unknown, "{receipt:?}");
    }
}

#[tokio::test]
async fn statements_that_commit_by_themselves_are_refused() {
    let (bench, db) = (Bench::new(), MariaDb::start().await);
    for sql in [
        "DROP TABLE t",
        "COMMIT",
        "SET autocommit = 1",
        "TRUNCATE t",
        "DELETE FROM t; COMMIT",
        "CREATE TABLE u (i INT)",
    ] {
        let asked = with(&db, &[("statements", statements(&[("DELETE FROM t", 3), (sql, 0)]))]);
        let fault = bench.apply(&Transaction, &asked).await.unwrap_err();
        assert!(fault.cause.starts_with("statement 2: "), "{fault}");
    }
    for wrong in
        [Value::List(vec![]), Value::List(vec!["DELETE FROM t".into()]), statements(&[("DELETE FROM t", -1)])]
    {
        assert!(bench.apply(&Transaction, &with(&db, &[("statements", wrong)])).await.is_err());
    }
    assert_eq!(db.root("SELECT COUNT(*) FROM d.t"), "3\n");
    // A statement that is a secret is shown neither before nor in the server's own words.
    let secret = Value::Secret(Secret::new("UPDATE t SET v = 'hunter2' hunter2"));
    let list = Value::List(vec![Value::Map(map([("sql", secret), ("rows", Value::Int(1))]))]);
    let asked = with(&db, &[("statements", list)]);
    assert!(!format!("{:?}", bench.describe(&Transaction, &asked).await.unwrap()).contains("hunter2"));
    let fault = bench.apply(&Transaction, &asked).await.unwrap_err();
    assert!(fault.cause.contains("1064") && !fault.cause.contains("hunter2"), "{fault}");
    // A client that is gone before it told: nobody knows.
    let gone = with(&db, &[("statements", statements(&[("DELETE FROM t", 3)])), ("client", "false".into())]);
    assert_eq!(bench.apply(&Transaction, &gone).await.unwrap_err().kind, keybook_api::FaultKind::Unknown);
}

#[tokio::test]
async fn a_table_is_copied_compared_and_the_copy_dropped() {
    let (bench, db) = (Bench::new(), MariaDb::start().await);
    let asked = |to: &str| with(&db, &[("table", "t".into()), ("to", to.into())]);
    let plan = bench.describe(&BackupTable, &asked("t_bak")).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    let reconcile = async || BackupTable.reconcile(&bench.ctx(), &asked("t_bak"), &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    // As after a crash between the two statements.
    db.root("CREATE TABLE d.t_bak LIKE d.t");
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let applied = bench.apply(&BackupTable, &asked("t_bak")).await.unwrap();
    assert_eq!(applied.value.get("rows"), Some(&Value::Int(3)));
    assert_eq!(db.root("SELECT COUNT(*) FROM d.t_bak"), "3\n");
    assert_eq!(reconcile().await, Reconcile::Done(applied.value.clone()));
    let again = bench.describe(&BackupTable, &asked("t_bak")).await.unwrap();
    assert_eq!(again.change, Change::Wont);
    BackupTable.undo(&bench.ctx(), &asked("t_bak"), &again.memo, &Value::Null).await.unwrap();
    assert_eq!(db.root("SELECT COUNT(*) FROM d.t_bak"), "3\n", "it was there before that step");

    db.root("UPDATE d.t SET v = 'changed' WHERE id = 1");
    assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    let fault = bench.apply(&BackupTable, &asked("t_bak")).await.unwrap_err();
    assert!(fault.cause.contains("is there already, with 3 rows"), "{fault}");
    for _ in 0..2 {
        BackupTable.undo(&bench.ctx(), &asked("t_bak"), &plan.memo, &applied.value).await.unwrap();
        assert_eq!(db.root("SHOW TABLES IN d"), "t\n");
    }
    for (table, to) in [("none", "x"), ("t", "t"), ("t", "a`b"), ("t;", "x")] {
        let args = with(&db, &[("table", table.into()), ("to", to.into())]);
        assert!(bench.apply(&BackupTable, &args).await.is_err(), "{table} {to}");
    }
    assert_eq!(db.root("SHOW TABLES IN d"), "t\n");
}

/// A table as the manager has one, with two rows that are to change and one that is not.
async fn settings() -> (Bench, MariaDb) {
    let (bench, db) = (Bench::new(), MariaDb::start().await);
    db.root(
        "CREATE TABLE d.manager_info (id INT PRIMARY KEY AUTO_INCREMENT, `key` VARCHAR(64), value VARCHAR(4000)) ENGINE=InnoDB; \
         INSERT INTO d.manager_info (`key`, value) VALUES ('ca.pem', 'old ca'), ('key.pem', 'it''s \\\\ old'), ('other', NULL)",
    );
    bench.file("ca.pem", "-----BEGIN CERTIFICATE-----\nnew\n-----END CERTIFICATE-----\n");
    bench.file("key.pem", "-----BEGIN RSA PRIVATE KEY-----\nMIIsecret\n-----END RSA PRIVATE KEY-----\n");
    (bench, db)
}

fn put(bench: &Bench, db: &MariaDb) -> Args {
    let files = map([("ca.pem", bench.path("ca.pem").into()), ("key.pem", bench.path("key.pem").into())]);
    let named = [("table", "manager_info".into()), ("key", "key".into()), ("value", "value".into())];
    with(db, &[named.as_slice(), &[("files", Value::Map(files))]].concat())
}

fn values(db: &MariaDb) -> String {
    db.root("SELECT SHA2(IFNULL(value, 'null'), 256) FROM d.manager_info ORDER BY id")
}

#[tokio::test]
async fn files_go_into_rows_byte_for_byte_and_come_back() {
    let (bench, db) = settings().await;
    let (args, first) = (put(&bench, &db), values(&db));
    let plan = bench.describe(&PutFiles, &args).await.unwrap();
    assert_eq!((plan.change.clone(), plan.lines.len()), (Change::Will, 3));
    assert!(!format!("{plan:?}").contains("MIIsecret"));
    let reconcile = async || PutFiles.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let copied = with(&db, &[("table", "manager_info".into()), ("to", "manager_info_bak".into())]);
    bench.apply(&BackupTable, &copied).await.unwrap();

    let applied = bench.apply(&PutFiles, &args).await.unwrap();
    assert!(applied.changed);
    for name in ["ca.pem", "key.pem"] {
        let row = db.root(&format!("SELECT HEX(value) FROM d.manager_info WHERE `key` = '{name}'"));
        let file = bench.read(name);
        assert_eq!(
            row.trim().to_lowercase(),
            crate::support::files::hex(file.trim_end().as_bytes()),
            "{name}"
        );
    }
    assert_eq!(db.root("SELECT COUNT(*) FROM d.manager_info WHERE value IS NULL"), "1\n");
    assert_eq!(reconcile().await, Reconcile::Done(applied.value));
    assert_eq!(bench.describe(&PutFiles, &args).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(&PutFiles, &args).await.unwrap().changed);

    let mut back = with(
        &db,
        &[
            ("table", "manager_info".into()),
            ("from", "manager_info_bak".into()),
            ("key", "key".into()),
            ("value", "value".into()),
            ("rows", vec!["ca.pem", "key.pem"].into()),
        ],
    );
    let plan = bench.describe(&CopyRows, &back).await.unwrap();
    assert_eq!((plan.change.clone(), plan.lines.len()), (Change::Will, 3));
    assert_eq!(CopyRows.reconcile(&bench.ctx(), &back, &plan.memo).await.unwrap(), Reconcile::NotDone);
    let applied = bench.apply(&CopyRows, &back).await.unwrap();
    assert_eq!(values(&db), first);
    assert_eq!(
        CopyRows.reconcile(&bench.ctx(), &back, &plan.memo).await.unwrap(),
        Reconcile::Done(applied.value)
    );
    assert!(!bench.apply(&CopyRows, &back).await.unwrap().changed);
    // NULL is a value as others are.
    back.0.insert("rows".into(), vec!["other"].into());
    db.root("UPDATE d.manager_info SET value = 'x' WHERE `key` = 'other'");
    assert!(bench.apply(&CopyRows, &back).await.unwrap().changed);
    assert_eq!(values(&db), first);
    back.0.insert("rows".into(), vec!["none"].into());
    assert!(bench.apply(&CopyRows, &back).await.unwrap_err().cause.contains("no row `none`"));
}

#[tokio::test]
async fn rows_that_cannot_hold_a_file_stay_as_they_are() {
    let (bench, db) = settings().await;
    let (args, first) = (put(&bench, &db), values(&db));
    let refused = async |message: &str| {
        let fault = bench.apply(&PutFiles, &args).await.unwrap_err();
        assert!(fault.cause.contains(message), "{message}: {fault}");
        assert!(!format!("{fault:?}").contains("MIIsecret"));
    };
    // A narrow column, with a server that refuses and with one that would cut the value off.
    db.root("ALTER TABLE d.manager_info MODIFY value VARCHAR(60)");
    refused("error 1406").await;
    db.root("SET GLOBAL sql_mode = ''");
    refused("does not hold the whole value").await;
    assert_eq!(values(&db), first);
    db.root("ALTER TABLE d.manager_info MODIFY value TEXT; INSERT INTO d.manager_info (`key`, value) VALUES ('CA.pem', 'twice')");
    refused("more than one row").await;
    db.root("DELETE FROM d.manager_info WHERE value IN ('twice', 'old ca')");
    refused("no row `ca.pem`").await;
    for (name, value) in [
        ("table", "a`b".into()),
        ("files", Value::Map(map([]))),
        ("files", Value::Map(map([("ca.pem", "x".into())]))),
    ] {
        assert!(bench.apply(&PutFiles, &with(&db, &[(name, value)])).await.is_err(), "{name}");
    }
}
