//! Reads a conversation, and writes it down again with other answers.

use anyhow::{Context, Result, bail, ensure};

use crate::run::Answered;

/// A file, read.
pub struct Conversation {
    /// The steps, each with the number of its first line.
    pub steps: Vec<(usize, Step)>,
    lines: Vec<String>,
}

/// Something that happens.
pub enum Step {
    /// A directive: its first word and the rest.
    Directive(String, String),
    /// A request and its answer.
    Exchange(Exchange),
}

/// A request and its answer.
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// `None`: not recorded yet.
    pub answer: Option<Expected>,
    /// The lines the answer takes up.
    answer_lines: std::ops::Range<usize>,
}

/// The expected response, as the file describes it.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub status: String,
    /// The headers that matter; without a value, they must not be there.
    pub headers: Vec<(String, Option<String>)>,
    pub body: String,
}

impl Conversation {
    pub fn parse(text: &str) -> Result<Self> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        ensure!(
            lines.first().is_some_and(|line| line.starts_with("# ")),
            "a conversation begins with a comment that says what it promises"
        );
        let mut steps = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let line = &lines[at];
            if line.starts_with('>') {
                let exchange = Exchange::parse(&lines, at).with_context(|| format!("line {}", at + 1))?;
                let next = exchange.answer_lines.end;
                steps.push((at + 1, Step::Exchange(exchange)));
                at = next;
                continue;
            }
            if !line.trim().is_empty() && !line.starts_with('#') {
                let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
                ensure!(word != "<", "line {}: an answer without a request", at + 1);
                steps.push((at + 1, Step::Directive(word.to_owned(), rest.trim().to_owned())));
            }
            at += 1;
        }
        Ok(Self { steps, lines })
    }

    /// The file with these answers in place of its own.
    pub fn with_answers(&self, answers: &[Answered]) -> String {
        let exchanges = self.steps.iter().filter_map(|(_, step)| match step {
            Step::Exchange(exchange) => Some(exchange),
            Step::Directive(..) => None,
        });
        let mut out = Vec::new();
        let mut at = 0;
        for (exchange, answer) in exchanges.zip(answers) {
            out.extend_from_slice(&self.lines[at..exchange.answer_lines.start]);
            match &answer.difference {
                None => out.extend_from_slice(&self.lines[exchange.answer_lines.clone()]),
                Some(_) => out.extend(answer.now.lines()),
            }
            at = exchange.answer_lines.end;
        }
        out.extend_from_slice(&self.lines[at..]);
        out.join("\n") + "\n"
    }
}

impl Exchange {
    fn parse(lines: &[String], at: usize) -> Result<Self> {
        let marked = |mark: char, from: usize| {
            let count = lines[from..]
                .iter()
                .take_while(|line| line.starts_with(mark))
                .count();
            from..from + count
        };
        let request_lines = marked('>', at);
        let answer_lines = marked('<', request_lines.end);
        let request: Vec<&str> = lines[request_lines].iter().map(|line| unmarked(line)).collect();
        let (method, rest) = request[0]
            .split_once(' ')
            .context("a request has a method and a path")?;
        let (path, rest) = rest.split_at(end_of_path(rest));
        let (headers, body) = headers_and_body(rest, &request[1..]);
        let headers = headers.into_iter().map(|(name, value)| match value {
            Some(value) => Ok((name, value)),
            None => bail!("a request cannot lack {name}"),
        });
        let answer: Vec<&str> = lines[answer_lines.clone()]
            .iter()
            .map(|line| unmarked(line))
            .collect();
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers.collect::<Result<_>>()?,
            body,
            answer: answer
                .split_first()
                .map(|(first, rest)| Expected::parse(first, rest)),
            answer_lines,
        })
    }
}

impl Expected {
    fn parse(first: &str, rest: &[&str]) -> Self {
        let (status, after) = first.split_once(' ').unwrap_or((first, ""));
        let (headers, body) = headers_and_body(after, rest);
        Self {
            status: status.to_owned(),
            headers,
            body,
        }
    }

    /// The lines that say so.
    pub fn lines(&self) -> Vec<String> {
        let mut pieces = vec![format!("< {}", self.status)];
        pieces.extend(self.headers.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}: {value}"),
            None => format!("!{name}"),
        }));
        if self.body.contains('\n') {
            let body = self
                .body
                .split('\n')
                .map(|line| format!("< {line}").trim_end().to_owned());
            return std::iter::once(pieces.join("  ")).chain(body).collect();
        }
        if !self.body.is_empty() {
            pieces.push(self.body.clone());
        }
        vec![pieces.join("  ")]
    }
}

/// Where a path ends: at a space that is not part of a repetition.
fn end_of_path(text: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth -= 1,
            b' ' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn unmarked(line: &str) -> &str {
    let line = &line[1..];
    line.strip_prefix(' ').unwrap_or(line)
}

type Header = (String, Option<String>);

/// Reads headers, each after two spaces or on a line of its own, and then a body.
fn headers_and_body(first: &str, further: &[&str]) -> (Vec<Header>, String) {
    let mut headers = Vec::new();
    let mut rest = first.trim_start();
    while !rest.is_empty() {
        let (piece, after) = rest.split_once("  ").unwrap_or((rest, ""));
        let Some(header) = header(piece) else { break };
        headers.push(header);
        rest = after.trim_start();
    }
    let mut body: Vec<&str> = if rest.is_empty() { vec![] } else { vec![rest] };
    for line in further {
        match header(line).filter(|_| body.is_empty()) {
            Some(header) => headers.push(header),
            None => body.push(line),
        }
    }
    (headers, body.join("\n"))
}

fn header(text: &str) -> Option<Header> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if let Some(name) = text.strip_prefix('!').filter(|name| is_name(name)) {
        return Some((name.to_owned(), None));
    }
    let (name, value) = text.split_once(':')?;
    // Without a space after the colon it is a body: an address, for instance.
    let is_value = value.is_empty() || value.starts_with(' ');
    (is_name(name) && is_value).then(|| (name.to_owned(), Some(value.trim().to_owned())))
}
