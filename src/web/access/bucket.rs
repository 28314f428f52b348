//! How often requests are answered at all.

use tokio::time::Instant;

use crate::config::file::web::Rate;

/// A bucket that one token comes into each interval, and that holds so many.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, tokens: f64::from(rate.burst), filled: Instant::now() }
    }

    /// Whether it is one of this rate.
    pub(super) fn is_of(&self, rate: Rate) -> bool {
        self.rate == rate
    }

    /// Takes a token, where there is one.
    pub(super) fn take(&mut self) -> bool {
        let now = Instant::now();
        let came = now.duration_since(self.filled).as_secs_f64() / self.rate.interval.as_secs_f64();
        self.tokens = (self.tokens + came).min(f64::from(self.rate.burst));
        self.filled = now;
        let there_is = self.tokens >= 1.0;
        if there_is {
            self.tokens -= 1.0;
        }
        there_is
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_at_once_and_then_one_an_interval() {
        let mut bucket = Bucket::new(Rate { interval: Duration::from_secs(1), burst: 3 });
        let at_once = |bucket: &mut Bucket| (0..10).filter(|_| bucket.take()).count();
        assert_eq!(at_once(&mut bucket), 3);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(at_once(&mut bucket), 2);
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(at_once(&mut bucket), 1, "half a token was left");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(at_once(&mut bucket), 3, "it holds no more");
        let mut none = Bucket::new(Rate { interval: Duration::from_secs(1), burst: 0 });
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(at_once(&mut none), 0);
    }
}
