//! How the loop tells a living canary what it wants of it now: the newest word counts. One teller, one hearer, and little
//! room, for there may be thousands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::life::{Directive, Orders};

/// A teller and a hearer.
pub fn channel(orders: Orders) -> (Teller, Hearer) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { orders, told: 0, gone: false }),
        changed: Notify::new(),
    });
    (Teller(Arc::clone(&shared)), Hearer { shared, heard: 0 })
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    orders: Orders,
    /// How many times something was told.
    told: u32,
    /// The teller is.
    gone: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's end.
#[derive(Debug)]
pub struct Teller(Arc<Shared>);

impl Teller {
    /// What was told last.
    pub fn orders(&self) -> Orders {
        self.0.lock().orders
    }

    /// Tells something else.
    pub fn change(&self, change: impl FnOnce(&mut Orders)) {
        let mut state = self.0.lock();
        change(&mut state.orders);
        state.told = state.told.wrapping_add(1);
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.lock().gone = true;
        self.0.changed.notify_one();
    }
}

/// The canary's end.
#[derive(Debug)]
pub struct Hearer {
    shared: Arc<Shared>,
    /// How many times it heard.
    heard: u32,
}

/// The loop is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl Hearer {
    /// What was told last.
    pub fn orders(&self) -> Orders {
        self.shared.lock().orders
    }

    /// The same, so that [`Self::changed`] waits for more.
    pub fn heed(&mut self) -> Orders {
        let state = self.shared.lock();
        self.heard = state.told;
        state.orders
    }

    /// Waits until something is told that was not heard. May be dropped while it waits.
    ///
    /// # Errors
    /// When nobody can tell any more.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        loop {
            {
                let state = self.shared.lock();
                if state.told != self.heard {
                    self.heard = state.told;
                    return Ok(());
                }
                if state.gone {
                    return Err(Gone);
                }
            }
            self.shared.changed.notified().await;
        }
    }

    /// Waits until it is to be held no more, or the loop is gone.
    pub async fn unleashed(&mut self) {
        while self.orders().directive == Directive::Hold && self.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Orders = Orders { age: 60.0, directive: Directive::Hold };

    #[tokio::test(start_paused = true)]
    async fn the_newest_word_is_heard_once() {
        let (teller, mut hearer) = channel(HOLD);
        let soon = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, hearer.changed()).await.is_err(), "nothing was told");
        teller.change(|orders| orders.age = 90.0);
        teller.change(|orders| orders.age = 120.0);
        assert_eq!(hearer.changed().await, Ok(()));
        assert_eq!(hearer.orders().age, 120.0);
        assert!(tokio::time::timeout(soon, hearer.changed()).await.is_err(), "it was heard");
        teller.change(|orders| orders.directive = Directive::Recall);
        assert_eq!(hearer.heed(), teller.orders());
        assert!(tokio::time::timeout(soon, hearer.changed()).await.is_err(), "it was heeded");
        hearer.unleashed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_gone_tells_nothing_more() {
        let (teller, mut hearer) = channel(HOLD);
        let waiting = tokio::spawn(async move {
            hearer.unleashed().await;
            hearer.changed().await
        });
        tokio::task::yield_now().await;
        drop(teller);
        assert_eq!(waiting.await.expect("no panic"), Err(Gone));
    }
}
