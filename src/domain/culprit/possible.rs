//! Which culprits can be named at all: the label combinations that exist.

use super::Culprit;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;

/// The culprits that [`conclude`](super::conclude()) can name for a kind and an ending: the label combinations that exist.
pub const fn possible_culprits(kind: Kind, ending: Ending) -> &'static [Culprit] {
    use Culprit::{
        LifetimeLimit, MassDisconnect, NetworkIdleTimeout, NetworkStateLoss, ProxyIdleTimeout,
        ServerIdleTimeout, ServerKill, ServerRestart, Unknown,
    };
    match (kind, ending) {
        (Kind::Active, Ending::ResetOnUse) => {
            &[ServerIdleTimeout, ServerKill, ServerRestart, MassDisconnect, NetworkStateLoss, Unknown]
        }
        (Kind::Active, Ending::Silence) => {
            &[ServerIdleTimeout, ServerKill, ServerRestart, NetworkStateLoss, Unknown]
        }
        (Kind::Active, _) => {
            &[ServerIdleTimeout, ServerKill, ServerRestart, MassDisconnect, LifetimeLimit, Unknown]
        }
        (_, Ending::Goodbye | Ending::Fin | Ending::Reset) => &[
            ServerIdleTimeout,
            ServerKill,
            ServerRestart,
            ProxyIdleTimeout,
            NetworkIdleTimeout,
            MassDisconnect,
            LifetimeLimit,
            Unknown,
        ],
        (_, Ending::ResetOnUse) => &[
            ServerIdleTimeout,
            ServerKill,
            ServerRestart,
            NetworkIdleTimeout,
            MassDisconnect,
            NetworkStateLoss,
            Unknown,
        ],
        (_, Ending::Silence) => {
            &[ServerIdleTimeout, ServerKill, ServerRestart, NetworkIdleTimeout, NetworkStateLoss, Unknown]
        }
    }
}
