//! A person who answers from a script.

use async_trait::async_trait;
use keybook_api::event::{Answer, Via};
use keybook_core::run::person::{Card, Conflict, Doubt, Person, Reply, Verdict};
use std::{collections::VecDeque, sync::Mutex, time::Duration};

type OnGate = Box<dyn FnMut(&Card) + Send>;
type OnDoubt = Box<dyn FnMut(&Doubt) -> Option<Verdict> + Send>;

/// Answers gates from a queue, then as `otherwise` says. Keeps everything it was asked.
pub struct Scripted {
    pub gates: Mutex<VecDeque<Option<Answer>>>,
    pub otherwise: Mutex<Option<Answer>>,
    pub overwrite: Mutex<Option<bool>>,
    pub cards: Mutex<Vec<Card>>,
    pub doubts: Mutex<Vec<Doubt>>,
    pub conflicts: Mutex<Vec<Conflict>>,
    pub on_gate: Mutex<Option<OnGate>>,
    /// How long it thinks about a gate.
    pub delay: Mutex<Duration>,
    pub on_doubt: Mutex<Option<OnDoubt>>,
}

impl Scripted {
    /// Says yes to every gate and nothing to anything else.
    pub fn new() -> Self {
        Self {
            gates: Mutex::default(),
            otherwise: Mutex::new(Some(Answer::Run)),
            overwrite: Mutex::new(None),
            cards: Mutex::default(),
            doubts: Mutex::default(),
            conflicts: Mutex::default(),
            on_gate: Mutex::default(),
            delay: Mutex::default(),
            on_doubt: Mutex::default(),
        }
    }

    pub fn will_answer(&self, answers: impl IntoIterator<Item = Option<Answer>>) {
        self.gates.lock().unwrap().extend(answers);
    }

    pub fn asked(&self) -> Vec<String> {
        self.cards.lock().unwrap().iter().map(|card| card.unit.to_string()).collect()
    }
}

#[async_trait]
impl Person for Scripted {
    async fn gate(&self, card: &Card) -> Option<Reply> {
        self.cards.lock().unwrap().push(card.clone());
        if let Some(hook) = self.on_gate.lock().unwrap().as_mut() {
            hook(card);
        }
        let delay = *self.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let given = self.gates.lock().unwrap().pop_front();
        let answer = given.unwrap_or(*self.otherwise.lock().unwrap())?;
        let why = if answer == Answer::Skip { "done by hand" } else { "" };
        Some(Reply { answer, by: "ann@desk".into(), via: Via::Terminal, why: why.into() })
    }

    async fn doubt(&self, doubt: &Doubt) -> Option<Verdict> {
        self.doubts.lock().unwrap().push(doubt.clone());
        self.on_doubt.lock().unwrap().as_mut().and_then(|decide| decide(doubt))
    }

    async fn conflict(&self, conflict: &Conflict) -> Option<bool> {
        self.conflicts.lock().unwrap().push(conflict.clone());
        *self.overwrite.lock().unwrap()
    }

    fn name(&self) -> String {
        "ann@desk".into()
    }
}
