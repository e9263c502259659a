//! How many requests a service takes in which time: Cloudflare (contract 1.5), and SSM.

use std::str::FromStr;
use std::time::{Duration, Instant};

/// So many requests in so long; more block all calls for as long again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    requests: u64,
    time: Duration,
}

impl Default for Budget {
    /// What Cloudflare grants: 1,200 requests in 5 minutes.
    fn default() -> Self {
        Budget { requests: 1200, time: Duration::from_secs(300) }
    }
}

impl FromStr for Budget {
    type Err = String;

    /// `N/SECONDS`.
    fn from_str(text: &str) -> Result<Budget, String> {
        let wrong = || "write it as REQUESTS/SECONDS, both at least 1".to_owned();
        let (requests, seconds) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(wrong);
        Ok(Budget { requests: number(requests)?, time: Duration::from_secs(number(seconds)?) })
    }
}

/// A budget as it is used up.
#[derive(Debug)]
pub struct Account {
    budget: Budget,
    since: Instant,
    used: u64,
    blocked: bool,
}

impl Account {
    /// Nothing used yet.
    pub fn new(budget: Budget, now: Instant) -> Account {
        Account { budget, since: now, used: 0, blocked: false }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// The budget is exceeded: the seconds until it is granted anew, rounded up.
    pub fn count(&mut self, now: Instant) -> Result<(), u64> {
        if now.duration_since(self.since) >= self.budget.time {
            *self = Account::new(self.budget, now);
        }
        if self.used >= self.budget.requests && !self.blocked {
            self.since = now;
            self.blocked = true;
        }
        if self.blocked {
            return Err(self.seconds_left(now));
        }
        self.used += 1;
        Ok(())
    }

    fn seconds_left(&self, now: Instant) -> u64 {
        let left = self.budget.time.saturating_sub(now.duration_since(self.since));
        (left + Duration::from_millis(999)).as_secs().max(1)
    }

    /// The headers `Ratelimit` and `Ratelimit-Policy`.
    pub fn headers(&self, now: Instant) -> [(String, String); 2] {
        let Budget { requests, time } = self.budget;
        let left = requests.saturating_sub(self.used);
        [
            ("ratelimit".to_owned(), format!("\"default\";r={left};t={}", self.seconds_left(now))),
            (
                "ratelimit-policy".to_owned(),
                format!("\"default\";q={requests};w={}", time.as_secs()),
            ),
        ]
    }

    /// What is said to who exceeds it.
    pub fn refusal(&self) -> String {
        let Budget { requests, time } = self.budget;
        format!(
            "More than {requests} requests per {} seconds reached. Please wait and consider \
             throttling your request speed",
            time.as_secs()
        )
    }
}

/// What SSM takes: writes of parameters, and reads of their values, all three ways together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throughput {
    puts: Budget,
    reads: Budget,
}

impl Default for Throughput {
    /// 3 writes and 40 reads a second. How many may come at once is not documented: here, what is
    /// granted in a minute.
    fn default() -> Self {
        let a_minute = |requests| Budget { requests, time: Duration::from_secs(60) };
        Throughput { puts: a_minute(180), reads: a_minute(2400) }
    }
}

impl FromStr for Throughput {
    type Err = String;

    /// `N/SECONDS,N/SECONDS`: writes and reads.
    fn from_str(text: &str) -> Result<Throughput, String> {
        let (puts, reads) = text
            .split_once(',')
            .ok_or("write it as PUTS/SECONDS,READS/SECONDS, all of them at least 1")?;
        Ok(Throughput { puts: puts.parse()?, reads: reads.parse()? })
    }
}

/// What SSM takes, as it is used up: buckets that fill up again steadily.
#[derive(Debug)]
pub struct Buckets {
    puts: Bucket,
    reads: Bucket,
}

impl Buckets {
    /// Both full.
    pub fn new(throughput: Throughput, now: Instant) -> Buckets {
        let full = |of: Budget| Bucket { of, left: of.requests as f64, at: now };
        Buckets { puts: full(throughput.puts), reads: full(throughput.reads) }
    }

    /// Whether SSM takes one more call of an operation.
    pub fn take(&mut self, operation: &str, now: Instant) -> bool {
        match operation {
            "PutParameter" => self.puts.take(now),
            "GetParameter" | "GetParameters" | "GetParametersByPath" => self.reads.take(now),
            _ => true,
        }
    }
}

#[derive(Debug)]
struct Bucket {
    of: Budget,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let Budget { requests, time } = self.of;
        let most = requests as f64;
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + most * passed / time.as_secs_f64()).min(most);
        self.at = now;
        let takes = self.left >= 1.0;
        if takes {
            self.left -= 1.0;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_is_granted_blocks_for_as_long_again() {
        let budget: Budget = "2/10".parse().unwrap();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut account = Account::new(budget, start);
        assert_eq!(account.count(at(1)), Ok(()));
        assert_eq!(account.headers(at(1))[0].1, "\"default\";r=1;t=9");
        assert_eq!(account.count(at(8)), Ok(()));
        assert_eq!(account.headers(at(8))[0].1, "\"default\";r=0;t=2");
        assert_eq!(account.headers(at(8))[1].1, "\"default\";q=2;w=10");
        assert_eq!(account.count(at(9)), Err(10));
        assert_eq!(account.count(at(18)), Err(1));
        assert_eq!(account.count(at(19)), Ok(()));
        assert_eq!(account.count(at(29)), Ok(()), "who waits is not blocked");
    }

    #[test]
    fn buckets_fill_up_again_steadily_and_are_shared_by_the_ways_to_read() {
        let start = Instant::now();
        let mut buckets = Buckets::new("2/1,3/1".parse().unwrap(), start);
        let mut takes = |operation, ms| buckets.take(operation, start + Duration::from_millis(ms));
        let put = "PutParameter";
        assert!(takes(put, 0) && takes(put, 0) && !takes(put, 0));
        assert!(!takes(put, 400) && takes(put, 600) && !takes(put, 700));
        assert!(takes(put, 9_000) && takes(put, 9_000) && !takes(put, 9_000), "no more than full");
        assert!(takes("GetParameter", 0) && takes("GetParameters", 0));
        assert!(takes("GetParametersByPath", 0) && !takes("GetParameter", 0));
        assert!((0..100).all(|_| takes("DescribeParameters", 0)));
        assert!("9/3".parse::<Throughput>().is_err() && "9/3,0/1".parse::<Throughput>().is_err());
        assert_eq!("180/60,2400/60".parse(), Ok(Throughput::default()));
    }

    #[test]
    fn budgets_are_written_as_requests_in_seconds() {
        assert_eq!("1200/300".parse(), Ok(Budget::default()));
        for wrong in ["", "5", "0/5", "5/0", "a/b", "-1/5"] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
    }
}
