//! What belongs to one evaluation: its deadline, its cancellation and the calls it may make.
//!
//! The engine is shared by all evaluations, so its callbacks find the current one in a thread-local. Actions are
//! called by the thread that started the script: the script runs on a thread of its own and sends it requests.
//! So [`HostCalls`] may borrow, and the script's stack has a known size.

use crate::convert;
use keybook_api::{Cancel, Map, Value};
use rhai::{Dynamic, Position};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

/// What hooks and `script:` steps can do besides computing.
pub trait HostCalls {
    /// Calls an action, as `act("x509.read", #{ path: "/x" })` in the script. The error becomes a Rhai error that
    /// the script may catch.
    fn call(&self, action: &str, args: Map) -> Result<Value, String>;
    /// Takes down a remark, as `note("…")` in the script.
    fn note(&self, text: &str);
    /// A secret input, as `secret("name")` in a hook; null when it was not given. By default there is none to be had.
    fn secret(&self, name: &str) -> Result<Value, String> {
        Err(format!("`secret` is for hooks; a script reads `inputs.{name}`"))
    }
}

/// What a script asks of the thread that started it.
pub(crate) enum Request {
    Act { action: String, args: Map, reply: Sender<Result<Value, String>> },
    Note(String),
    Secret { name: String, reply: Sender<Result<Value, String>> },
}

pub(crate) struct Session {
    deadline: Instant,
    cancel: Cancel,
    requests: Option<Sender<Request>>,
    /// An error that Rhai would swallow, raised at the next operation.
    raised: Option<(String, Position)>,
}

thread_local! {
    static CURRENT: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Why [`progress`] ended an evaluation.
pub(crate) const OUT_OF_TIME: &str = "time";
/// The run was stopped.
pub(crate) const CANCELLED: &str = "cancelled";
/// See [`Session::raised`].
const RAISED: &str = "raised";

/// Ends the session when it goes out of scope, whatever happens.
struct Restore(Option<Session>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        CURRENT.with_borrow_mut(|current| *current = before);
    }
}

/// Runs `work` as one evaluation. Evaluations may nest on a thread (a function that evaluates an expression).
/// Returns its result, and the error that was raised while Rhai could not report it.
pub(crate) fn run<T>(
    wall: Duration,
    cancel: &Cancel,
    requests: Option<Sender<Request>>,
    work: impl FnOnce() -> T,
) -> (T, Option<(String, Position)>) {
    let deadline = Instant::now() + wall;
    let session = Session { deadline, cancel: cancel.clone(), requests, raised: None };
    let restore = Restore(CURRENT.with_borrow_mut(|current| current.replace(session)));
    let result = work();
    let raised =
        CURRENT.with_borrow_mut(|current| current.as_mut().and_then(|session| session.raised.take()));
    drop(restore);
    (result, raised)
}

/// Called by the engine after every operation; a value ends the evaluation.
pub(crate) fn progress(operations: u64) -> Option<Dynamic> {
    const EVERY: u64 = 8;
    if !operations.is_multiple_of(EVERY) {
        return None;
    }
    CURRENT.with_borrow(|current| {
        let session = current.as_ref()?;
        if session.cancel.is_cancelled() {
            Some(CANCELLED.into())
        } else if session.raised.is_some() {
            Some(RAISED.into())
        } else if Instant::now() >= session.deadline {
            Some(OUT_OF_TIME.into())
        } else {
            None
        }
    })
}

/// Ends the evaluation with an error although Rhai swallows errors where this is called from.
pub(crate) fn raise(message: &str, position: Position) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(session) = current {
            session.raised.get_or_insert_with(|| (message.to_owned(), position));
        }
    });
}

fn requests() -> Option<Sender<Request>> {
    CURRENT.with_borrow(|current| current.as_ref().and_then(|session| session.requests.clone()))
}

/// Calls an action for a script.
pub(crate) fn act(action: &str, args: Map) -> Result<Value, String> {
    ask(|reply| Request::Act { action: action.to_owned(), args, reply })
}

/// A secret input for a hook.
pub(crate) fn secret(name: &str) -> Result<Value, String> {
    ask(|reply| Request::Secret { name: name.to_owned(), reply })
}

/// Waits for an answer of the run; the time it takes does not count.
fn ask(request: impl FnOnce(Sender<Result<Value, String>>) -> Request) -> Result<Value, String> {
    let requests = requests().ok_or("the run can be asked only from hooks and `script:` steps")?;
    let gone = "the run no longer listens to this script";
    let (reply, answer) = channel();
    let begun = Instant::now();
    requests.send(request(reply)).map_err(|_| gone)?;
    let result = answer.recv().map_err(|_| gone)?;
    CURRENT.with_borrow_mut(|current| {
        if let Some(session) = current {
            session.deadline += begun.elapsed();
        }
    });
    result
}

/// Takes down a remark; without anybody who listens it is dropped.
pub(crate) fn note(text: &str) {
    if let Some(requests) = requests() {
        // A run that is gone needs no notes.
        let _ = requests.send(Request::Note(text.to_owned()));
    }
}

/// True while the evaluation is cancelled.
pub(crate) fn cancelled() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|session| session.cancel.is_cancelled()))
}

/// The stack of a script's thread. Rhai's own limits keep far below it, in debug builds too.
const STACK: usize = 16 * 1024 * 1024;

/// Runs `work` on a thread of its own and serves its requests on this one until it ends.
/// `None` when the thread could not be started or panicked.
pub(crate) fn serve<T: Send>(
    calls: &dyn HostCalls,
    work: impl FnOnce(Sender<Request>) -> T + Send,
) -> Option<T> {
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("script".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, move || work(sender))
            .ok()?;
        answer(calls, &receiver);
        thread.join().ok()
    })
}

fn answer(calls: &dyn HostCalls, receiver: &Receiver<Request>) {
    while let Ok(request) = receiver.recv() {
        match request {
            Request::Act { action, args, reply } => {
                let result = contain(|| calls.call(&action, args));
                // A script that ended meanwhile needs no answer.
                let _ = reply.send(result.and_then(|result| result));
            }
            Request::Note(text) => {
                let _ = contain(|| calls.note(&text));
            }
            Request::Secret { name, reply } => {
                let _ = reply.send(contain(|| calls.secret(&name)).and_then(|result| result));
            }
        }
    }
}

/// Runs code of the host; a panic becomes an error.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "an internal error happened (a panic)".to_owned())
}

/// The arguments of an action from a Rhai map.
pub(crate) fn args_of(map: &rhai::Map) -> Result<Map, String> {
    map.iter().map(|(key, item)| Ok((key.to_string(), convert::from_dynamic(item)?))).collect()
}
