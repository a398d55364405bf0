//! `foxden migrate`: moves all objects to another engine.
//!
//! - [`progress_bar`]: how far it has come, on a terminal and elsewhere
//! - [`units`]: numbers as people read them

mod progress_bar;
mod units;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use foxden_storage::engine::movable::{MovableError, MovableStore, MoveFlag, MoveRole, MoveTotals};
use foxden_storage::moving::{self, Move, MoveError, MoveProgress, MoveState, NamedStore};
use foxden_storage::{MoveSide, StoreUrl};
use tokio::signal::unix::{SignalKind, signal};

use self::progress_bar::{ProgressBar, watch};
use self::units::{bytes, counted, duration, grouped};
use super::confirm;
use crate::config::{Config, Flags};
use crate::data;
use crate::rng::SystemRng;
use crate::terminal::{self, Style, styled};

/// How long the opening of a store may take before something is said.
const QUIET: Duration = Duration::from_secs(1);
/// How a program ends that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// The stores of a move.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The store that holds the objects, as `storage.url` names it; name a file with `password_file=` instead of a password, which
    /// other users of this machine can read here
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "give_up",
        requires = "to"
    )]
    from: Option<String>,
    /// The store to move them to, which is empty or does not exist yet
    #[arg(long, value_name = "URL", required_unless_present = "give_up")]
    to: Option<String>,
    /// Give a move up, for one of its stores: the one that objects are or were moved from can be served again, the one that they are
    /// being moved to is emptied
    #[arg(long, value_name = "URL", conflicts_with_all = ["from", "to"])]
    give_up: Option<String>,
    /// Do not ask
    #[arg(long, requires = "give_up")]
    yes: bool,
}

/// Runs the command.
pub fn run(flags: &Flags, args: MigrateArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags)?;
    let folder = data::storage_folder(&config.server.data_dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match (args.from, args.to, args.give_up) {
        (Some(from), Some(to), _) => {
            let stores = Stores::new(&from, &to, folder)?;
            let text =
                "Interrupted. Nothing is lost: the same command goes on. Until then neither store is served.";
            runtime.block_on(interruptible(text, Box::pin(stores.migrate())))
        }
        (_, _, Some(url)) => {
            let url = parse("--give-up", &url)?;
            // Ctrl-C ends the program while it asks.
            let (store, flag) = runtime.block_on(find_flag(&url, &folder))?;
            let shown = url.shown(&folder);
            if !args.yes {
                confirm(&harm_of(&flag, &shown), "give up", "giving a move up")?;
            }
            let text = "Interrupted. The same command goes on.";
            let work = Box::pin(give_up(store, &flag, &shown));
            runtime.block_on(interruptible(text, work))
        }
        _ => bail!("name two stores: foxden migrate --from URL --to URL"),
    }
}

/// Does the work unless Ctrl-C or the system ends it before, which it then says.
async fn interruptible(
    text: &str,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => return done.map(|()| ExitCode::SUCCESS),
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
    progress_bar::clear();
    terminal::eprint_line(text);
    Ok(ExitCode::from(INTERRUPTED))
}

/// The stores of a move.
struct Stores {
    from: StoreUrl,
    to: StoreUrl,
    folder: PathBuf,
}

impl Stores {
    fn new(from: &str, to: &str, folder: PathBuf) -> anyhow::Result<Self> {
        let stores = Self {
            from: parse("--from", from)?,
            to: parse("--to", to)?,
            folder,
        };
        if stores.from.is_same_store(&stores.to, &stores.folder) {
            bail!("--from and --to name the same store; name an empty one, or a new folder, with --to");
        }
        if stores.from.is_nested_with(&stores.to, &stores.folder) {
            bail!(
                "the folder of one store lies in that of the other, and who deletes the old one later deletes both; name another \
                 folder with --to"
            );
        }
        Ok(stores)
    }

    /// Whether both may be one database, by the names that their URLs give it.
    fn may_be_one_database(&self) -> bool {
        match (self.from.server(), self.to.server()) {
            (Some(from), Some(to)) => {
                (from.engine(), from.database(), from.schema()) == (to.engine(), to.database(), to.schema())
            }
            _ => false,
        }
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        let (from_shown, to_shown) = (self.from.shown(&self.folder), self.to.shown(&self.folder));
        for (word, shown) in [("from", &from_shown), ("to", &to_shown)] {
            terminal::print_line(format_args!(
                "{}  {shown}",
                styled(format!("{word:8}"), Style::Dim)
            ));
        }
        for url in [&self.from, &self.to] {
            if let Some(folder) = url.folder(&self.folder) {
                check_owner(folder)?;
            }
        }
        let rng = Arc::new(SystemRng::new());
        let from = open(&self.from, &self.folder, MoveSide::From, &rng).await;
        let from = from.map_err(|error| refusal("--from", error))?;
        moving::check_source(NamedStore {
            store: &*from,
            shown: &from_shown,
        })
        .await?;
        let to = match open(&self.to, &self.folder, MoveSide::To, &rng).await {
            Err(MovableError::InUse { place, .. }) if self.may_be_one_database() => bail!(
                "{place} is in use once {from_shown} is open; if both URLs name one database, name another one, else stop what uses it"
            ),
            to => to.map_err(|error| refusal("--to", error))?,
        };
        let stores = Move {
            from: NamedStore {
                store: &*from,
                shown: &from_shown,
            },
            to: NamedStore {
                store: &*to,
                shown: &to_shown,
            },
        };
        let moved = async {
            let stage = moving::begin(stores, &*rng).await?;
            match stage {
                MoveState::New | MoveState::Resumed => move_users(stores, stage).await?,
                MoveState::Compared => {}
                MoveState::Ended => return Ok(()),
            }
            moving::finish(stores).await
        };
        let moved = moved.await;
        from.close().await;
        to.close().await;
        match moved {
            Ok(()) => {}
            Err(error @ MoveError::Store { .. }) => {
                return Err(error).context("the move stopped; once that is mended, the same command goes on");
            }
            Err(error) => return Err(error.into()),
        }
        terminal::print_line(format_args!(
            "{} Set storage.url to where they are now, in every Foxden that served them, and start it.",
            styled("All objects were moved.", Style::Good)
        ));
        let left = format!(
            "What was moved is still at {from_shown}, and is not served. Delete it once all is well, or serve it again: \
             foxden migrate --give-up URL"
        );
        terminal::print_line(styled(left, Style::Dim));
        Ok(())
    }
}

/// Refuses to make files as root that the service, which runs as another user, could not open.
fn check_owner(folder: &Path) -> anyhow::Result<()> {
    let whole = std::path::absolute(folder)?;
    let owners = whole
        .ancestors()
        .find_map(|path| Some((path, path.metadata().ok()?.uid())));
    if let Some((path, owner)) = owners
        && owner != 0
        && rustix::process::geteuid().is_root()
    {
        bail!(
            "{} belongs to the user {owner}, who could not open what root makes there; run the command as that user: \
             setpriv --reuid={owner} --clear-groups foxden migrate …",
            path.display()
        );
    }
    Ok(())
}

/// Opens a store, and says what is waited for if that takes a while.
async fn open(
    url: &StoreUrl,
    folder: &Path,
    side: MoveSide,
    rng: &Arc<SystemRng>,
) -> Result<Arc<dyn MovableStore>, MovableError> {
    let mut opened = Box::pin(foxden_storage::open_movable(url, folder, side, rng.clone()));
    if let Ok(opened) = tokio::time::timeout(QUIET, &mut opened).await {
        return opened;
    }
    terminal::print_line(format_args!(
        "{}  for {}, and for others to close it",
        styled("waiting ", Style::Dim),
        url.shown(folder)
    ));
    opened.await
}

/// The error of a store that was not opened, in the words of this command.
fn refusal(option: &str, error: MovableError) -> anyhow::Error {
    let error = match error {
        MovableError::Server { place, source } => {
            anyhow::Error::new(source).context(format!("{option} {place}"))
        }
        error => error.into(),
    };
    let is_forbidden = error.chain().any(|cause| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied)
    });
    if is_forbidden {
        return error.context("run the command as the user whom the service runs as");
    }
    error
}

/// Copies the users who are not in the target yet, and compares all.
async fn move_users(stores: Move<'_>, stage: MoveState) -> Result<(), MoveError> {
    let Move { from, to } = stores;
    let failed = |place: NamedStore<'_>, source| MoveError::Store {
        place: place.shown.to_owned(),
        source,
    };
    let totals = from.store.totals().await.map_err(|error| failed(from, error))?;
    let before = to.store.totals().await.map_err(|error| failed(to, error))?;
    let held = format!(
        "{}, {}, {} of payload",
        counted(totals.users, "user"),
        counted(totals.objects, "object"),
        bytes(totals.bytes)
    );
    terminal::print_line(format_args!("{}  {held}", styled("to move ", Style::Dim)));
    if stage == MoveState::Resumed {
        terminal::print_line(format_args!(
            "{}  {} of {} are there already, from the time before the interruption",
            styled("resumed ", Style::Dim),
            counted(before.users, "user"),
            grouped(totals.users)
        ));
    }
    let progress = MoveProgress::default();
    let began = Instant::now();
    let bar = ProgressBar::new("copying", totals, before);
    watch(bar, &progress, Box::pin(moving::copy(stores, &progress))).await?;
    let objects = progress.done().objects - before.objects;
    let millis = u64::try_from(began.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let rate = objects.saturating_mul(1000) / millis;
    terminal::print_line(format_args!(
        "{}  {} in {}, {} a second",
        styled("copied  ", Style::Dim),
        counted(objects, "object"),
        duration(began.elapsed()),
        grouped(rate)
    ));
    let progress = MoveProgress::default();
    let began = Instant::now();
    let bar = ProgressBar::new("comparing", totals, MoveTotals::default());
    watch(bar, &progress, Box::pin(moving::compare(stores, &progress))).await?;
    let done = progress.done();
    terminal::print_line(format_args!(
        "{}  {}, {} and {} in {}: both stores are equal",
        styled("compared", Style::Dim),
        counted(done.users, "user"),
        counted(done.objects, "object"),
        counted(progress.batches(), "unfinished upload"),
        duration(began.elapsed())
    ));
    Ok(())
}

/// Opens a store that takes part in a move, and reads its flag.
async fn find_flag(url: &StoreUrl, folder: &Path) -> anyhow::Result<(Arc<dyn MovableStore>, MoveFlag)> {
    let store = open(url, folder, MoveSide::GivingUp, &Arc::new(SystemRng::new())).await;
    let store = store.map_err(|error| refusal("--give-up", error))?;
    match store.flag().await? {
        Some(flag) => Ok((store, flag)),
        None => bail!("{} takes part in no move: it can be served", url.shown(folder)),
    }
}

/// What it means to give a move up.
fn harm_of(flag: &MoveFlag, shown: &str) -> String {
    let peer = &flag.peer;
    match flag.role {
        MoveRole::Source => {
            format!("The move to {peer} ends here, and {shown} can be served again. Give it up there, too.")
        }
        MoveRole::Moved => format!(
            "{shown} was moved to {peer}. What has been written there since is not here, and browsers that synced there will meet \
             older data."
        ),
        MoveRole::Unseen | MoveRole::Target | MoveRole::Arrived => {
            format!("This deletes what has been copied from {peer} to {shown}.")
        }
    }
}

/// Gives up a move, for one of its stores.
async fn give_up(store: Arc<dyn MovableStore>, flag: &MoveFlag, shown: &str) -> anyhow::Result<()> {
    let place = NamedStore {
        store: &*store,
        shown,
    };
    let given_up = moving::give_up(place).await;
    store.close().await;
    given_up?;
    let done = match flag.role {
        MoveRole::Source | MoveRole::Moved => format!("{shown} can be served again."),
        MoveRole::Unseen | MoveRole::Target | MoveRole::Arrived => {
            format!("{shown} is empty, and can be used again.")
        }
    };
    terminal::print_line(styled(done, Style::Good));
    Ok(())
}

fn parse(option: &str, url: &str) -> anyhow::Result<StoreUrl> {
    url.parse()
        .with_context(|| format!("{option} is not the URL of a store"))
}
