//! What the page says in words: what is so, then what to look at.

use crate::display::{bytes, count, date, day, milliseconds, rate, seconds, thousands};
use crate::fault::FaultKind;
use crate::number::{fraction, ratio, whole};
use crate::result::{LoginKind, RunResult};

/// A figure with what to compare it with.
pub struct Tile {
    /// What it is.
    pub name: String,
    /// The figure.
    pub value: String,
    /// Its unit.
    pub unit: &'static str,
    /// The comparison.
    pub beside: String,
}

/// Something to look at.
pub struct Notice {
    /// The class of its colour.
    pub class: &'static str,
    /// What is so.
    pub title: String,
    /// What it means.
    pub text: String,
}

/// When the run was.
pub fn when(result: &RunResult) -> String {
    let began = date(result.began);
    let lasted = whole(super::charts::end(result));
    let ended = date(result.began.saturating_add_unsigned(lasted));
    format!(
        "{}, {:02}:{:02} to {:02}:{:02} UTC",
        day(result.began),
        began.hour(),
        began.minute(),
        ended.hour(),
        ended.minute()
    )
}

/// The most important sentence.
pub fn heading(result: &RunResult) -> String {
    let (wrong, faults) = (result.wrong(), result.faults());
    if result.figures.requests == 0 {
        return "The server answered nothing".to_owned();
    }
    if wrong > 0 {
        return format!("The server answered wrongly {}", times(wrong));
    }
    if faults > 0 {
        return format!("{} failed", count(faults, "request"));
    }
    if result.missing().is_some() {
        return "Not everything could be checked".to_owned();
    }
    if let Some(highest) = result.highest() {
        return format!(
            "All is right: up to {} requests a second, with {}",
            rate(highest.rate),
            count(u64::from(highest.users), "user")
        );
    }
    format!(
        "All is right: {} requests a second, 99 of 100 within {}",
        rate(result.figures.rate),
        spaced(&milliseconds(result.figures.all.response.p99))
    )
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{} times", thousands(more)),
    }
}

/// A number and its unit stay on one line.
pub fn spaced(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// What was done, in a few sentences.
pub fn lead(result: &RunResult) -> Vec<String> {
    let settings = &result.settings;
    let mut sentences = vec![format!(
        "{} used {} for {} in the scenario {}. {}",
        count(u64::from(settings.users), "user"),
        settings.target,
        spaced(&seconds(result.figures.seconds)),
        settings.scenario,
        settings.about
    )];
    let comparison = &result.comparison;
    let compared = comparison.in_run + comparison.after;
    let (wrong, missing) = (result.wrong(), result.missing());
    let checked = if result.faults() == wrong {
        "Every answer was checked."
    } else {
        "Every answer that came was checked."
    };
    sentences.push(match (wrong, &missing) {
        (0, None) => format!(
            "{checked} {} came back letter for letter as they were stored, {} of them when everything was read again at the end.",
            count(compared, "object"),
            thousands(comparison.after)
        ),
        (0, Some(_)) if compared == 0 => checked.to_owned(),
        (0, Some(_)) => format!(
            "{checked} {} came back letter for letter as they were stored.",
            count(compared, "object")
        ),
        _ => format!(
            "{checked} {} came back as they were stored; what did not is listed below.",
            count(compared, "object")
        ),
    });
    sentences.extend(missing);
    sentences
}

/// The figures that one looks at first.
pub fn tiles(result: &RunResult) -> Vec<Tile> {
    let figures = &result.figures;
    let all = &figures.all.response;
    let share = |count: u64| whole(ratio(100.0 * fraction(count), fraction(figures.requests)));
    let used = result.server.as_ref().map(|used| {
        let microseconds = format!("{} µs", thousands(whole(used.seconds_a_request * 1e6)));
        let cores = format!("{:.2} cores busy", used.cores);
        let before = format!("{} at the start", spaced(&bytes(used.memory_before)));
        vec![
            tile("Processor a request", &microseconds, cores),
            tile("Memory, highest", &bytes(used.memory), before),
        ]
    });
    let mut tiles = vec![
        tile(
            "Requests a second",
            &rate(figures.rate),
            format!("{}\u{a0}% of them write", share(figures.writes.service.count)),
        ),
        tile(
            "99 of 100 within",
            &milliseconds(all.p99),
            format!("half within {}", spaced(&milliseconds(all.p50))),
        ),
        tile(
            "Slowest",
            &milliseconds(all.most),
            format!("999 of 1,000 within {}", spaced(&milliseconds(all.p999))),
        ),
        tile(
            "Failed or wrong",
            &thousands(result.faults()),
            format!("of {}", count(figures.requests, "request")),
        ),
    ];
    tiles.extend(used.unwrap_or_else(|| {
        vec![tile(
            "Data a second",
            &bytes(whole(ratio(fraction(figures.bytes), figures.seconds))),
            format!("{} in all", spaced(&bytes(figures.bytes))),
        )]
    }));
    tiles
}

/// A figure with its unit.
pub fn tile(name: &str, value: &str, beside: String) -> Tile {
    let (value, unit) = split(value);
    Tile {
        name: name.to_owned(),
        value,
        unit,
        beside,
    }
}

/// Splits a number from its unit.
fn split(text: &str) -> (String, &'static str) {
    let units = ["ms", "µs", "GB", "MB", "KB", "B", "s"];
    let unit = units.into_iter().find(|unit| text.ends_with(&format!(" {unit}")));
    match unit {
        Some(unit) => (text[..text.len() - unit.len() - 1].to_owned(), unit),
        None => (text.to_owned(), ""),
    }
}

/// What to look at.
pub fn notices(result: &RunResult) -> Vec<Notice> {
    let mut notices = Vec::new();
    for fault in &result.figures.faults {
        let is_grave = !fault.kind.is_silence() && fault.kind != FaultKind::Status;
        notices.push(Notice {
            class: if is_grave { "n-bad" } else { "n-warn" },
            title: format!("{}: {}", capital(fault.kind.name()), thousands(fault.count)),
            text: meaning(fault.kind).to_owned(),
        });
    }
    for worker in result.workers.iter().filter(|worker| worker.failure.is_some()) {
        notices.push(Notice {
            class: "n-warn",
            title: format!("The worker at {} is lost", worker.address),
            text: format!(
                "Nothing of its {} is in the figures: {}.",
                count(u64::from(worker.users), "user"),
                worker.failure.as_deref().unwrap_or_default()
            ),
        });
    }
    if result.figures.dropped > 0 {
        notices.push(Notice {
            class: "n-bad",
            title: "These figures are not to be trusted".to_owned(),
            text: format!(
                "The machine that made the load was too busy to take down {}. Use fewer users, or a faster machine.",
                count(result.figures.dropped, "answer")
            ),
        });
    }
    if result.is_cut {
        notices.push(Notice {
            class: "n-warn",
            title: "The run was ended before its time".to_owned(),
            text: format!("It was to last {}.", seconds(result.settings.length)),
        });
    }
    if let Some(missing) = result.missing() {
        notices.push(Notice {
            class: "n-warn",
            title: "Not everything was read again".to_owned(),
            text: format!("{missing} Whether writes were lost there is not known."),
        });
    }
    notices
}

const fn meaning(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Connect => {
            "The server took no connection. It may have been down, or had no room for more."
        }
        FaultKind::Broken => {
            "The connection ended before the answer did. The server may have ended, or cut the client off."
        }
        FaultKind::Timeout => "No answer came in time. The request may or may not have been carried out.",
        FaultKind::Status => "The server refused a request that it should have carried out.",
        FaultKind::Form => "A browser could not have read these answers, or would have misread them.",
        FaultKind::Time => {
            "Browsers find what is new by these times. Where one is wrong, changes are missed."
        }
        FaultKind::Lost => {
            "The server acknowledged these writes, and they are gone. A person would have lost data."
        }
        FaultKind::Changed => {
            "Objects came back in another form than they were stored. A browser could not decrypt them."
        }
        FaultKind::Surplus => "Objects came that were never stored, or that had been deleted.",
    }
}

/// With a capital letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// How latencies are meant.
pub fn corrected(result: &RunResult) -> String {
    let all = &result.figures.all;
    let (response, service) = (milliseconds(all.response.p99), milliseconds(all.service.p99));
    let is_planned = result.settings.every > 0.0;
    if response == service {
        let from = if is_planned {
            "from when a request was planned"
        } else {
            "with those that would have been sent while a user waited"
        };
        return format!("{from}; there was hardly any wait");
    }
    if is_planned {
        format!(
            "from when a request was planned. Counted from when it was sent, 99 of 100 were answered within {service}, in place \
             of {response}"
        )
    } else {
        format!(
            "with those that would have been sent while a user waited. Without them 99 of 100 were answered within {service}, \
             in place of {response}"
        )
    }
}

/// How to run this again.
pub fn command(result: &RunResult) -> String {
    let settings = &result.settings;
    let rate = settings
        .rate
        .map_or(String::new(), |rate| format!(" --rate {rate}"));
    let ramp = if settings.ramp > 0.0 {
        format!(" --ramp {}s", settings.ramp)
    } else {
        String::new()
    };
    let users = if settings.cycles.is_empty() {
        format!("--users {}", settings.users)
    } else {
        let cycles: Vec<String> = settings.cycles.iter().map(u32::to_string).collect();
        format!("--cycles {}", cycles.join(","))
    };
    let every = settings
        .given_every
        .map_or(String::new(), |every| format!(" --every {every}s"));
    let login = match settings.login {
        LoginKind::Secret => "--secret-file FILE",
        LoginKind::Accounts => "--secret-file FILE --accounts",
        LoginKind::Bearers => "--bearer-file FILE",
    };
    let workers = match result.workers.len() {
        0 => String::new(),
        some => format!(" --workers {some} --shared-secret-file FILE"),
    };
    let is_local = result.machine.is_shared;
    let confirmed = if is_local { "" } else { " --yes-this-is-my-server" };
    format!(
        "foxden-load run {} --target {} --protocol {} {login} {users} --length {}s --warm-up {}s --seed {}{every}{rate}{ramp}{workers}{confirmed}",
        settings.scenario,
        settings.target,
        settings.protocol,
        settings.length,
        settings.warm_up,
        settings.seed
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultKind;
    use crate::result::{FaultCount, Figures, Machine, Settings, Worker};

    /// A run in which everything was read again.
    fn run() -> RunResult {
        let figures = Figures {
            seconds: 10.0,
            requests: 1000,
            ..Figures::default()
        };
        let mut result = RunResult::new(0, Settings::example(), Machine::default(), figures);
        result.comparison.users = result.settings.users;
        result
    }

    #[test]
    fn heading_and_lead_agree() {
        let mut result = run();
        assert!(heading(&result).starts_with("All is right"));
        assert!(lead(&result)[1].contains("when everything was read again at the end"));
        result.comparison.users = 8;
        assert_eq!(heading(&result), "Not everything could be checked");
        let said = lead(&result).join(" ");
        assert!(!said.contains("when everything"), "{said}");
        assert!(
            said.ends_with("The final check could not be made for 2 users: there was no time for it."),
            "{said}"
        );
        result.comparison.users = 0;
        result.comparison.unreadable = 10;
        result.figures.faults = vec![FaultCount {
            kind: FaultKind::Connect,
            count: 16,
        }];
        assert_eq!(heading(&result), "16 requests failed");
        let said = lead(&result).join(" ");
        assert!(said.contains("Every answer that came was checked."), "{said}");
        assert!(
            said.contains("The final check could not be made: the server"),
            "{said}"
        );
    }

    #[test]
    fn users_of_lost_workers_are_not_to_be_read_again() {
        let mut result = run();
        result.comparison.users = 6;
        result.workers = vec![Worker {
            address: "192.0.2.1".to_owned(),
            machine: Machine::default(),
            users: 4,
            requests: 0,
            failure: Some("silent".to_owned()),
        }];
        assert_eq!(result.missing(), None);
    }

    #[test]
    fn what_is_equal_is_not_said_twice() {
        let mut result = run();
        for every in [0.0, 1.0] {
            result.settings.every = every;
            result.figures.all.response.p99 = 77_000_000;
            result.figures.all.service.p99 = 77_000_000;
            assert!(!corrected(&result).contains("77"), "{}", corrected(&result));
            result.figures.all.service.p99 = 60_000_000;
            let said = corrected(&result);
            assert!(said.contains("within 60 ms, in place of 77 ms"), "{said}");
        }
    }
}
