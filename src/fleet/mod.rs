//! What runs: one target is a server view and its paths, one path is a connector, a prober and a diagnosis.
//! Whoever starts a loop here ends it.
//!
//! | file | what it holds |
//! |---|---|
//! | `target` | one server: its roster, its view, its paths |
//! | `path` | one way to it, from the connector to the diagnosis |
//! | [`diagnosis`] | joins what the loops found into mismatches and the verdict |
//! | `headroom` | tells the paths how much room the server has |
//! | [`reload`] | who asks for a reload, and how the settings are read anew |
//! | [`published`] | what a target publishes, for the pages |
//! | [`state_file`] | what was observed, kept across restarts |

pub mod diagnosis;
mod headroom;
mod path;
pub mod published;
pub mod reload;
pub mod state_file;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::settings::TargetSettings;
use crate::prober::Epoch;
use crate::prober::standstill::Standstills;
use crate::session::LoginPace;
use crate::session::roster::Rosters;
use crate::supervision::{Health, Supervisor};
pub use path::full_name;
use published::Shown;
use state_file::Keeper;
use target::Target;

/// How long what a reload ends may take to say COM_QUIT.
const LEAVE: Duration = Duration::from_secs(3);

/// What every target stands on.
#[derive(Debug)]
pub struct Ground {
    /// Whether each loop moves.
    pub health: Arc<Health>,
    /// Whether this process runs.
    pub standstills: Standstills,
    /// Whose sessions are this process's own.
    pub rosters: Rosters,
    /// How fast all paths together log in.
    pub logins: LoginPace,
    /// What ties the loops' time to the calendar.
    pub epoch: Epoch,
    /// Whether somebody waits for the answer.
    pub hurried: bool,
    /// Keeps what was observed, where that is wanted.
    pub keeper: Option<Keeper>,
}

/// Every target as it runs.
#[derive(Debug)]
pub struct Fleet {
    ground: Ground,
    targets: BTreeMap<String, Target>,
}

impl Fleet {
    /// Starts every target.
    ///
    /// # Errors
    /// Never for the names of the metrics; the crate checks them all the same.
    pub fn start(
        targets: Vec<TargetSettings>,
        ground: Ground,
        supervisor: &mut Supervisor,
    ) -> prometheus::Result<Self> {
        let mut fleet = Self { ground, targets: BTreeMap::new() };
        for settings in targets {
            fleet.start_target(settings, supervisor)?;
        }
        fleet.retain_state();
        Ok(fleet)
    }

    fn start_target(
        &mut self,
        settings: TargetSettings,
        supervisor: &mut Supervisor,
    ) -> prometheus::Result<()> {
        let name = settings.name.clone();
        let target = Target::start(settings, &self.ground, supervisor)?;
        self.targets.insert(name, target);
        Ok(())
    }

    /// All there is to show.
    pub fn shown(&self) -> Vec<Shown> {
        self.targets.values().map(Target::shown).collect()
    }

    /// Tells every loop to end, for the process ends.
    pub fn stop(&self) {
        self.targets.values().for_each(Target::stop);
    }

    /// Runs these targets from now on: what did not change lives on, what is gone or changed says COM_QUIT first.
    ///
    /// # Errors
    /// Never for the names of the metrics; the crate checks them all the same.
    pub async fn change_to(
        &mut self,
        wanted: Vec<TargetSettings>,
        supervisor: &mut Supervisor,
    ) -> prometheus::Result<()> {
        let mut parts = BTreeSet::new();
        let mut changes = BTreeMap::new();
        let mut ending = Vec::new();
        let by_name: BTreeMap<&str, &TargetSettings> =
            wanted.iter().map(|wanted| (wanted.name.as_str(), wanted)).collect();
        for (name, target) in &self.targets {
            match by_name.get(name.as_str()) {
                Some(wanted) if *wanted == target.settings() => {}
                Some(wanted) => {
                    let (change, leaving) = target.begin_change(wanted);
                    parts.extend(leaving);
                    changes.insert(name.clone(), change);
                }
                None => {
                    parts.extend(target.leave());
                    ending.push(name.clone());
                }
            }
        }
        supervisor.part_with(&parts, LEAVE).await;
        for name in ending {
            if let Some(target) = self.targets.remove(&name) {
                target.withdraw(&self.ground);
            }
        }
        for settings in wanted {
            match self.targets.get_mut(&settings.name) {
                None => self.start_target(settings, supervisor)?,
                Some(target) => {
                    if let Some(change) = changes.get(&settings.name) {
                        target.end_change(settings, change, &self.ground, supervisor)?;
                    }
                }
            }
        }
        self.retain_state();
        Ok(())
    }

    /// The state file keeps what paths are there, and for a while those that were.
    fn retain_state(&self) {
        let Some(keeper) = &self.ground.keeper else { return };
        let mut paths: Vec<(&str, &str)> = Vec::new();
        for settings in self.targets.values().map(Target::settings) {
            paths.extend(settings.paths.iter().map(|path| (settings.name.as_str(), path.name.as_str())));
        }
        keeper.retain(&paths);
    }
}
