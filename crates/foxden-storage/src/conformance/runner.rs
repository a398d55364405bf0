//! Runs the tests for each engine and reports like `cargo test`, with *ignored* for engines that cannot be reached, and one such line
//! for an engine whose name begins with `long::`: its tests run where ignored tests are asked for.

#![expect(clippy::print_stdout, reason = "the report goes to the standard output")]

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::context::{Opener, TestContext};
use super::{TESTS, Test};

/// With this begin the names of engines whose tests are ignored, as those of a module `long` are.
const LONG: &str = "long::";

/// An engine to test.
pub struct TestedEngine {
    /// The engine's name, with which the names of its tests begin.
    pub engine: &'static str,
    /// Opens the engine, or says which setting is missing.
    pub opener: Result<Opener, String>,
}

/// How tests of an engine that cannot be reached are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// As ignored.
    Ignored,
    /// As failed.
    Failed,
}

/// Runs every test for every engine. The arguments are those of `cargo test`.
pub fn run(
    engines: &[TestedEngine],
    unreachable: Unreachable,
    arguments: impl IntoIterator<Item = String>,
) -> ExitCode {
    let arguments = Arguments::parse(arguments);
    let all = engines.iter().flat_map(Case::all_of);
    let (cases, others): (Vec<_>, Vec<_>) = all.partition(|case| arguments.asks_for(case));
    if arguments.lists {
        for case in &cases {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    let results = results(&cases, unreachable, &arguments);
    let count = |wanted| results.iter().filter(|(result, _)| *result == wanted).count();
    let failed = count(TestResult::Failed);
    if failed > 0 {
        println!("\nfailures:");
        let failures = results.iter().filter(|(result, _)| *result == TestResult::Failed);
        for (_, name) in failures {
            println!("    {name}");
        }
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out\n",
        if failed == 0 { "ok" } else { "FAILED" },
        count(TestResult::Passed),
        count(TestResult::Ignored),
        others.len(),
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One test of one engine.
struct Case<'a> {
    name: String,
    engine: &'static str,
    test: &'static Test,
    opener: &'a Result<Opener, String>,
}

/// The result of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TestResult {
    Passed,
    Failed,
    Ignored,
}

impl<'a> Case<'a> {
    fn all_of(fixture: &'a TestedEngine) -> impl Iterator<Item = Self> {
        TESTS.iter().map(|test| Self {
            name: format!("{}::{}", fixture.engine, test.name),
            engine: fixture.engine,
            test,
            opener: &fixture.opener,
        })
    }

    fn is_long(&self) -> bool {
        self.engine.starts_with(LONG)
    }

    fn run(&self, unreachable: Unreachable) -> TestResult {
        let opener = match self.opener {
            Ok(opener) => *opener,
            Err(wanted) => {
                return match unreachable {
                    Unreachable::Ignored => {
                        println!("test {} ... ignored, {wanted}", self.name);
                        TestResult::Ignored
                    }
                    Unreachable::Failed => {
                        println!("test {} ... FAILED, {wanted}", self.name);
                        TestResult::Failed
                    }
                };
            }
        };
        let test = self.test.run;
        // A panic message names the thread, and so the test.
        let thread = std::thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build();
                let runtime = runtime.expect("a runtime can be built");
                runtime.block_on(async { test(TestContext::open_with(opener).await).await });
            });
        let (result, word) = match thread.expect("a thread can be started").join() {
            Ok(()) => (TestResult::Passed, "ok"),
            Err(_) => (TestResult::Failed, "FAILED"),
        };
        println!("test {} ... {word}", self.name);
        result
    }
}

/// Runs the tests, unless they are to be ignored. For a long engine there is one more result.
fn results(cases: &[Case<'_>], unreachable: Unreachable, arguments: &Arguments) -> Vec<(TestResult, String)> {
    let (long, usual): (Vec<&Case<'_>>, Vec<&Case<'_>>) = cases.iter().partition(|case| case.is_long());
    let mut engines: Vec<&str> = long.iter().map(|case| case.engine).collect();
    engines.dedup();
    let runs_long = arguments.ignored != IgnoredTests::Left;
    let wanted = if runs_long { [usual, long].concat() } else { usual };
    println!("\nrunning {} tests", wanted.len());
    let mut results = run_all(&wanted, unreachable, arguments.threads);
    for engine in engines {
        let is_good = |(result, name): &(TestResult, String)| {
            *result == TestResult::Passed || !name.starts_with(&format!("{engine}::"))
        };
        let (result, said) = match (runs_long, results.iter().all(is_good)) {
            (false, _) => (TestResult::Ignored, "ignored, run by cargo xtask test --long"),
            (true, true) => (TestResult::Passed, "ok"),
            (true, false) => (TestResult::Failed, "FAILED"),
        };
        println!("test {engine} ... {said}");
        results.push((result, engine.to_owned()));
    }
    results
}

fn run_all(cases: &[&Case<'_>], unreachable: Unreachable, threads: usize) -> Vec<(TestResult, String)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = case.run(unreachable);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((result, case.name.clone()));
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The arguments of the command line.
struct Arguments {
    filters: Vec<String>,
    skipped: Vec<String>,
    is_exact: bool,
    lists: bool,
    ignored: IgnoredTests,
    threads: usize,
}

/// What becomes of tests that are ignored by default.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IgnoredTests {
    /// They stay ignored.
    Left,
    /// They run with the others.
    Included,
    /// They alone run.
    Alone,
}

impl Arguments {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut parsed = Self {
            filters: Vec::new(),
            skipped: Vec::new(),
            is_exact: false,
            lists: false,
            ignored: IgnoredTests::Left,
            threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with('-') => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            match name {
                "--exact" => parsed.is_exact = true,
                "--list" => parsed.lists = true,
                "--ignored" => parsed.ignored = IgnoredTests::Alone,
                "--include-ignored" => parsed.ignored = IgnoredTests::Included,
                "--skip" => parsed.skipped.extend(value.or_else(|| arguments.next())),
                "--test-threads" => {
                    let count = value.or_else(|| arguments.next());
                    let count = count.and_then(|count| count.parse().ok());
                    parsed.threads = count.unwrap_or(parsed.threads).max(1);
                }
                "--color" | "--format" | "--logfile" | "--shuffle-seed" | "-Z" if value.is_none() => {
                    arguments.next();
                }
                // Other flags have no effect.
                _ if name.starts_with('-') => {}
                _ => parsed.filters.push(argument),
            }
        }
        parsed
    }

    fn asks_for(&self, case: &Case<'_>) -> bool {
        let matches = |filter: &String| {
            if self.is_exact {
                case.name == *filter
            } else {
                case.name.contains(filter)
            }
        };
        let is_chosen = self.filters.is_empty() || self.filters.iter().any(matches);
        let is_ignored = case.opener.is_err() || case.is_long();
        is_chosen && !self.skipped.iter().any(matches) && (is_ignored || self.ignored != IgnoredTests::Alone)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::MemoryEngine;

    fn arguments(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    fn engines() -> [TestedEngine; 3] {
        let memory: Opener = |fixture| {
            Box::pin(async move {
                let engine = MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone());
                Arc::new(engine) as Arc<dyn crate::engine::Engine>
            })
        };
        [
            TestedEngine {
                engine: "memory",
                opener: Ok(memory),
            },
            TestedEngine {
                engine: "remote",
                opener: Err("FOXDEN_TEST_REMOTE is not set".to_owned()),
            },
            TestedEngine {
                engine: "long::memory",
                opener: Ok(memory),
            },
        ]
    }

    fn chosen(words: &[&str]) -> Vec<String> {
        let arguments = Arguments::parse(arguments(words));
        let engines = engines();
        let cases = engines.iter().flat_map(Case::all_of);
        let chosen = cases.filter(|case| arguments.asks_for(case));
        chosen.map(|case| case.name).collect()
    }

    #[test]
    fn arguments_choose_among_the_tests() {
        assert_eq!(chosen(&[]).len(), 3 * TESTS.len());
        assert_eq!(chosen(&["--ignored"]).len(), 2 * TESTS.len());
        let newest = [
            "memory::order::newest_first",
            "remote::order::newest_first",
            "long::memory::order::newest_first",
        ];
        assert_eq!(chosen(&["newest_first", "--format", "pretty"]), newest);
        assert_eq!(chosen(&["--exact", newest[0]]), newest[..1]);
        assert_eq!(
            chosen(&["newest_first", "--skip=remote", "--skip", "long::"]),
            newest[..1]
        );
        assert_eq!(chosen(&["--test-threads", "1", "newest_first"]), newest);
    }

    #[test]
    fn an_engine_out_of_reach_is_ignored_and_can_be_made_to_fail() {
        let run = |engine, unreachable| {
            let filter = arguments(&["--exact", engine]);
            format!("{:?}", super::run(&engines(), unreachable, filter))
        };
        let (success, failure) = (
            format!("{:?}", ExitCode::SUCCESS),
            format!("{:?}", ExitCode::FAILURE),
        );
        let (memory, remote) = ("memory::order::newest_first", "remote::order::newest_first");
        assert_eq!(run(memory, Unreachable::Failed), success);
        assert_eq!(run(remote, Unreachable::Ignored), success);
        assert_eq!(run(remote, Unreachable::Failed), failure);
    }

    #[test]
    fn the_tests_of_a_long_engine_run_where_ignored_tests_are_asked_for() {
        let results = |words: &[&str]| {
            let arguments = Arguments::parse(arguments(words));
            let engines = engines();
            let cases = engines.iter().flat_map(Case::all_of);
            let cases: Vec<_> = cases.filter(|case| arguments.asks_for(case)).collect();
            let results = super::results(&cases, Unreachable::Ignored, &arguments);
            results
                .into_iter()
                .map(|(result, name)| (name, result))
                .collect::<Vec<_>>()
        };
        let usual = ("memory::order::newest_first".to_owned(), TestResult::Passed);
        let long = ("long::memory::order::newest_first".to_owned(), TestResult::Passed);
        let engine = |result| ("long::memory".to_owned(), result);
        let words = ["memory::order::newest_first", "--test-threads=1"];
        assert_eq!(results(&words), [usual.clone(), engine(TestResult::Ignored)]);
        let only = [long.clone(), engine(TestResult::Passed)];
        assert_eq!(results(&[&words[..], &["--ignored"]].concat()), only);
        let all = [usual, long, engine(TestResult::Passed)];
        assert_eq!(results(&[&words[..], &["--include-ignored"]].concat()), all);
    }
}
