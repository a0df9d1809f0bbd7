//! A person at the terminal. Prompts run on a thread of their own, so that Ctrl-C is heard while one waits.

use super::{conflict, inbox, prompt::Question};
use crate::{output::Output, watch::Screen};
use async_trait::async_trait;
use keybook_api::{
    Cancel,
    event::{Answer, Via},
};
use keybook_core::run::person::{Card, Conflict, Doubt, Person, Reply, Verdict};
use keybook_report::{card, text};
use std::{io::ErrorKind, path::PathBuf, sync::Arc, time::Duration};

/// How often a person may answer with nothing before it counts as no answer (the end of the input says nothing).
const PATIENCE: u32 = 3;

/// Asks at the terminal.
pub struct Guided {
    /// The run's inbox.
    pub inbox: PathBuf,
    /// How to print.
    pub output: Output,
    /// Where progress is drawn; still while a prompt waits.
    pub screen: Arc<Screen>,
    /// The run's stop.
    pub cancel: Cancel,
    /// `user@machine`.
    pub name: String,
    /// One question at a time: what is typed must not answer another host's.
    pub turn: tokio::sync::Mutex<()>,
}

/// How long after Ctrl-C at a prompt the stop may take to be known.
const STOP: Duration = Duration::from_secs(1);

/// What may be typed at a gate, with the letter that is enough.
type Choices = &'static [(&'static str, &'static str)];

const FORWARD: (&str, Choices) = (
    "[r]un, [s]kip, [d]etails, roll [b]ack, [q] stop here",
    &[("run", "r"), ("skip", "s"), ("details", "d"), ("roll back", "b"), ("stop here", "q")],
);

const GOING_BACK: (&str, Choices) = (
    "[r]un, [s]kip, [d]etails, [q] stop here",
    &[("run", "r"), ("skip", "s"), ("details", "d"), ("stop here", "q")],
);

#[async_trait]
impl Person for Guided {
    async fn gate(&self, card: &Card) -> Option<Reply> {
        let _turn = self.turn.lock().await;
        if let Some(reply) = inbox::take(&self.inbox, &card.unit, &card.plan) {
            return Some(reply);
        }
        let _still = self.screen.hold();
        let asking = Asking::begin(&card.cancel);
        self.show(card);
        let reply = self.answer(card, &asking).await;
        // An answer from elsewhere that came meanwhile must not count for a later asking.
        inbox::discard(&self.inbox, &card.unit);
        reply
    }

    async fn doubt(&self, doubt: &Doubt) -> Option<Verdict> {
        let _turn = self.turn.lock().await;
        let _still = self.screen.hold();
        let asking = Asking::begin(&self.cancel);
        self.output.tell(&format!(
            "\n{} was under way when the run was interrupted ({}).\nNobody can tell whether it happened: {}\n\
             Look at {} before you answer.",
            doubt.unit,
            text::clean(&doubt.title),
            text::clean(&doubt.reason),
            doubt.unit.host
        ));
        let choices: &[(&str, &str)] = &[("done", "d"), ("not done", "n"), ("stop here", "q")];
        match self.choose("Had it happened? [d]one, [n]ot done, [q] stop here", choices, &asking).await? {
            "done" => Some(Verdict::Done),
            "not done" => Some(Verdict::NotDone),
            _ => None,
        }
    }

    async fn conflict(&self, conflict: &Conflict) -> Option<bool> {
        let _turn = self.turn.lock().await;
        let _still = self.screen.hold();
        let asking = Asking::begin(&self.cancel);
        self.output.tell(&conflict::told(conflict));
        let choices: &[(&str, &str)] = &[("yes", "y"), ("no", "n"), ("details", "d")];
        let prompt = format!("{} [y]es, [n]o, [d]etails", conflict::question(conflict));
        loop {
            match self.choose(&prompt, choices, &asking).await? {
                "details" => conflict::details(conflict).iter().for_each(|(name, is)| self.detail(name, is)),
                answer => return Some(answer == "yes"),
            }
        }
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// What a person is being asked, and what ends it.
struct Asking {
    question: Arc<Question>,
    cancel: Cancel,
}

impl Asking {
    /// To be called before anything of the question is printed.
    fn begin(cancel: &Cancel) -> Self {
        Self { question: Arc::new(Question::begin()), cancel: cancel.clone() }
    }
}

/// Does the card belong to a run that is being taken back already?
fn going_back(card: &Card) -> bool {
    card.unit.step.starts_with("rollback/")
}

const YES_NO: &[(&str, &str)] = &[("yes", "y"), ("no", "n")];

impl Guided {
    /// Asks until there is an answer.
    async fn answer(&self, card: &Card, asking: &Asking) -> Option<Reply> {
        loop {
            let (prompt, choices) = if going_back(card) { GOING_BACK } else { FORWARD };
            let answer = match self.choose(prompt, choices, asking).await? {
                "run" if card.irreversible.is_empty() => Answer::Run,
                "run" => {
                    if !self.typed_word(&card.unit.host, asking).await? {
                        continue;
                    }
                    Answer::Run
                }
                "skip" => {
                    let why =
                        self.line("Why skip it? It is left out until you ask for it again", asking).await?;
                    return Some(self.reply(Answer::Skip, why));
                }
                "details" => {
                    self.details(card);
                    continue;
                }
                // Where nothing was changed yet there is nothing to think twice about.
                "roll back" if !card.begun => Answer::RollBack,
                "roll back" => {
                    let sure =
                        self.choose("Take back everything this run did? [y]es, [n]o", YES_NO, asking).await?;
                    if sure == "no" {
                        continue;
                    }
                    Answer::RollBack
                }
                _ => Answer::Stop,
            };
            return Some(self.reply(answer, String::new()));
        }
    }

    fn reply(&self, answer: Answer, why: String) -> Reply {
        Reply { answer, by: self.name.clone(), via: Via::Terminal, why }
    }

    fn show(&self, asked: &Card) {
        let hosts = [asked.unit.host.clone()];
        let shown = card::Card {
            step: &asked.step,
            position: asked.position,
            hosts: &hosts,
            item: asked.unit.item.as_deref(),
            at: None,
            change: &asked.plan.change,
            lines: &asked.plan.lines,
            diffs: &asked.plan.diffs,
            trust: &asked.trust,
            sandbox: asked.sandbox,
        };
        self.output.say("");
        if going_back(asked) {
            self.output
                .tell("The run is being taken back; this step makes the daemons run the old files again.");
        }
        if let Some(changed) = &asked.changed {
            self.output.tell(&format!("The plan is no longer what you saw: {}.", text::clean(changed)));
        }
        self.output.say(&card::render_card(&shown, self.output.color, self.output.width));
        if !asked.irreversible.is_empty() {
            self.output.tell(&format!("This cannot be taken back: {}", text::clean(&asked.irreversible)));
        }
        self.facts(asked);
        self.output.say(&text::wrap(&text::clean(&asked.question), self.output.width).join("\n"));
    }

    /// The facts, where the gate shows them.
    fn facts(&self, asked: &Card) {
        if let Some(facts) = &asked.facts {
            let facts = serde_json::to_string_pretty(facts).unwrap_or_default();
            facts.lines().for_each(|line| self.detail("facts", line));
        }
    }

    fn details(&self, card: &Card) {
        self.detail("unit", &card.unit.to_string());
        self.detail("written", &card.at.to_string());
        for line in &card.plan.lines {
            self.detail("does", line);
        }
        for path in &card.plan.touches {
            self.detail("touches", path);
        }
        self.facts(card);
    }

    /// A name and a text that keeps to its columns.
    fn detail(&self, name: &str, text: &str) {
        const NAME: usize = 9;
        let lines = text::wrap(&text::clean(text), self.output.width.saturating_sub(NAME));
        for (at, line) in lines.iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            self.output.say(format!("{name:<NAME$}{line}").trim_end());
        }
    }

    /// The host's name, typed out: nothing irreversible happens by a single key.
    async fn typed_word(&self, word: &str, asking: &Asking) -> Option<bool> {
        let typed = self.line(&format!("Type `{word}` to confirm"), asking).await?;
        if typed == word {
            return Some(true);
        }
        self.output.say("That is not it; nothing was done.");
        Some(false)
    }

    async fn choose(
        &self,
        prompt: &str,
        choices: &[(&'static str, &'static str)],
        asking: &Asking,
    ) -> Option<&'static str> {
        for _ in 0..PATIENCE {
            let typed = self.line(prompt, asking).await?.to_lowercase();
            let found = choices.iter().find(|(word, letter)| typed == *word || typed == *letter);
            if let Some((word, _)) = found {
                return Some(word);
            }
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.output.say(&format!("Answer with one of: {}.", words.join(", ")));
        }
        None
    }

    /// One line that is not empty. `None` at the end of the input, on Ctrl-C, and after too many empty lines.
    async fn line(&self, prompt: &str, asking: &Asking) -> Option<String> {
        for _ in 0..PATIENCE {
            let typed = self.read(prompt.to_owned(), asking).await?;
            let typed = typed.trim().to_owned();
            if !typed.is_empty() {
                return Some(typed);
            }
        }
        None
    }

    async fn read(&self, prompt: String, asking: &Asking) -> Option<String> {
        loop {
            let (send, receive) = tokio::sync::oneshot::channel();
            let (prompt, question) = (prompt.clone(), Arc::clone(&asking.question));
            std::thread::spawn(move || {
                // The receiver is gone when a stop was faster.
                let _ = send.send(question.ask(&prompt));
            });
            let typed = tokio::select! {
                () = asking.cancel.cancelled() => {
                    asking.question.end();
                    // What comes next does not go on in the prompt's line.
                    self.output.say("");
                    return None;
                }
                typed = receive => typed,
            };
            match typed {
                Ok(Ok(typed)) => return Some(typed),
                Ok(Err(dialoguer::Error::IO(error))) if error.kind() == ErrorKind::Interrupted => {
                    // The prompt notices Ctrl-C before the stop does; a stop that has to wait asks again.
                    if tokio::time::timeout(STOP, asking.cancel.cancelled()).await.is_ok() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }
}
