//! Gates. They fail closed: only an explicit yes for this unit lets it go on.

use super::{
    person::{Card, Reply},
    stop::Stop,
    unit::{Attempt, unanswered},
};
use crate::model::Show;
use keybook_api::{
    Diff, Event, Fault, Plan, Value,
    event::{Answer, Via},
};
use std::time::Duration;

impl Attempt<'_> {
    /// Asks the gate. `None`: go on. `Some(why)`: leave the unit out.
    pub(super) async fn ask(&self, plan: &Plan, changed: Option<String>) -> Result<Option<String>, Stop> {
        let question = self.question()?;
        let irreversible = self.step.irreversible.clone().unwrap_or_default();
        self.write(Event::GateAsked { question: question.clone(), irreversible: !irreversible.is_empty() })?;
        let card = self.card(question.clone(), irreversible, plan, changed);
        let reply = match self.given(&card) {
            Some(reply) => Some(reply),
            None => self.answer(&card).await,
        };
        let Some(reply) = reply else {
            // Ctrl-C at a prompt is a stop, not a missing answer.
            return Err(match self.cancel.is_cancelled() {
                true => Stop::Operator(self.session.person.name()),
                false => unanswered(&self.unit, &question).into(),
            });
        };
        self.write(Event::GateAnswered {
            answer: reply.answer,
            by: reply.by.clone(),
            via: reply.via,
            why: reply.why.clone(),
        })?;
        match reply.answer {
            Answer::Run => Ok(None),
            Answer::Skip => Ok(Some(reply.why)),
            Answer::Stop => Err(Stop::Operator(reply.by)),
            Answer::RollBack => Err(Stop::RollBack(reply.by)),
        }
    }

    /// The person's answer. Once it is sure that nobody is there to give one, the hook `on_waiting` is called: when
    /// the run is unattended before the inbox is waited for, else when no answer came.
    async fn answer(&self, card: &Card) -> Option<Reply> {
        let waiting = || self.session.on_waiting(self.step, &self.unit, self.number, &card.question);
        let unattended = self.session.options.unattended;
        let mut answer = self.session.person.gate(card);
        let at_once = match unattended {
            // An answer that is there already is taken, and nobody has to be told.
            true => tokio::time::timeout(Duration::ZERO, &mut answer).await.ok(),
            false => None,
        };
        let reply = match at_once {
            Some(reply) => reply,
            None if unattended => {
                waiting().await;
                return answer.await;
            }
            None => answer.await,
        };
        if reply.is_none() && !self.cancel.is_cancelled() {
            waiting().await;
        }
        reply
    }

    fn question(&self) -> Result<String, Stop> {
        let Some(gate) = &self.step.gate else {
            return Ok(format!("Carry out \"{}\" on {}?", self.step.title, self.unit.host));
        };
        let asked =
            self.session.script.render(&gate.ask, &self.scope).map_err(|error| {
                Fault::failed("evaluate the gate's question", &error.message).at(&error.span)
            })?;
        if asked.has_secret() {
            let fault =
                Fault::failed("evaluate the gate's question", "it holds a secret, so nobody could read it");
            return Err(fault.at(&gate.span).into());
        }
        Ok(asked.to_string())
    }

    fn card(&self, question: String, irreversible: String, plan: &Plan, changed: Option<String>) -> Card {
        let shows = |what| self.step.gate.as_ref().is_some_and(|gate| gate.show.contains(&what));
        let show_facts = shows(Show::Facts);
        Card {
            unit: self.unit.clone(),
            cancel: self.cancel.clone(),
            step: self.session.runbook.info(&self.unit.step, self.step),
            position: self.session.runbook.position(&self.unit.step),
            at: self.step.span.clone(),
            sandbox: self.session.options.sandbox,
            begun: self.session.log.state(|state| state.units.values().any(|unit| unit.may_have_changed())),
            question: self.session.redactor.text(&question),
            irreversible,
            plan: self.without_secrets(plan),
            facts: show_facts
                .then(|| self.scope.get("facts").map_or(serde_json::Value::Null, Value::to_json))
                .filter(|_| !self.step.secret)
                .map(|facts| self.session.redactor.json(&facts)),
            trust: match shows(Show::Trust) {
                true => self.session.log.state(|state| state.trust.last.clone()),
                false => Vec::new(),
            },
            changed,
        }
    }

    /// What is shown is kept free of secrets like what is written.
    fn without_secrets(&self, plan: &Plan) -> Plan {
        let clean = |text: &str| self.session.redactor.text(text);
        let diffs = plan.diffs.iter().map(|diff| Diff {
            before: diff.before.as_deref().map(clean),
            after: diff.after.as_deref().map(clean),
            ..diff.clone()
        });
        Plan {
            lines: plan.lines.iter().map(|line| clean(line)).collect(),
            diffs: diffs.collect(),
            memo: Value::Null,
            ..plan.clone()
        }
    }

    /// The answer given beforehand. In a rollback the answer of the step itself counts for its settling again.
    fn given(&self, card: &Card) -> Option<Reply> {
        let own = self.unit.to_string();
        let plain = own.replacen(&self.unit.step, &crate::model::canonical(&self.unit.step), 1);
        let wildcards = card.irreversible.is_empty();
        let given = self
            .session
            .answers
            .get(&own, wildcards)
            .or_else(|| self.session.answers.get(&plain, wildcards))?;
        Some(Reply {
            answer: given.answer,
            by: given.span.to_string(),
            via: Via::Answers,
            why: given.why.clone(),
        })
    }
}
