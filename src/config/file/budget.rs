//! How many connections each path of a target gets, where a bound of all of them stands above their own.

use super::MAX_CONNECTIONS;
use super::Way;
use super::section::Fault;
use crate::config::settings::{FEWEST_CONNECTIONS, FEWEST_OF_ANOTHER_PATH};

/// The most connections of each path, in their order.
///
/// # Errors
/// Where a path has fewer than it needs.
pub(super) fn divide(target: &str, view_path: &str, ways: &[Way]) -> Result<Vec<usize>, Fault> {
    let mut wishes = Vec::new();
    for way in ways {
        let views = way.name == view_path;
        let least = if views { FEWEST_CONNECTIONS } else { FEWEST_OF_ANOTHER_PATH };
        let most = way.layer.max_connections.as_ref().map_or(MAX_CONNECTIONS, |most| most.value);
        if let Some(wish) = &way.layer.max_connections
            && most < least
        {
            let needs = match views {
                true => {
                    "reads the server view and needs 3 connections (the canary, its witness, the server view): write 3 or more"
                }
                false => "needs 2 connections (the canary and its witness): write 2 or more",
            };
            return Err(wish.fault(format!("path {} of target {target} {needs}", way.name)));
        }
        wishes.push(Wish { least, most });
    }
    let Some(bound) = ways.iter().find_map(|way| way.layer.max_connections_per_target.as_ref()) else {
        return Ok(wishes.iter().map(|wish| wish.most).collect());
    };
    let least: usize = wishes.iter().map(|wish| wish.least).sum();
    share(bound.value, &wishes).ok_or_else(|| {
        bound.fault(format!(
            "too few for target {target}: its path {view_path} needs 3 connections (it reads the server view), each other path 2: write {least} or more"
        ))
    })
}

/// What a path needs, and what it may have.
#[derive(Debug, Clone, Copy)]
struct Wish {
    least: usize,
    most: usize,
}

/// Shares out: everybody's least first, then evenly among those who may have more. `None` where the least is too much.
fn share(total: usize, wishes: &[Wish]) -> Option<Vec<usize>> {
    let mut shares: Vec<usize> = wishes.iter().map(|wish| wish.least).collect();
    let mut left = total.checked_sub(shares.iter().sum())?;
    loop {
        let open: Vec<usize> =
            (0..wishes.len()).filter(|&index| shares[index] < wishes[index].most).collect();
        let Some(lowest) = open.iter().map(|&index| shares[index]).min() else { return Some(shares) };
        let lowest: Vec<usize> = open.into_iter().filter(|&index| shares[index] == lowest).collect();
        for index in lowest {
            if left == 0 {
                return Some(shares);
            }
            shares[index] += 1;
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_is_shared_evenly() {
        let wish = |least, most| Wish { least, most };
        for (total, wishes, shares) in [
            (5, vec![wish(3, 12), wish(2, 12)], Some(vec![3, 2])),
            (4, vec![wish(3, 12), wish(2, 12)], None),
            (6, vec![wish(3, 12), wish(2, 12)], Some(vec![3, 3])),
            (12, vec![wish(3, 12), wish(2, 12)], Some(vec![6, 6])),
            (12, vec![wish(3, 12), wish(2, 4)], Some(vec![8, 4])),
            (100, vec![wish(3, 12), wish(2, 4)], Some(vec![12, 4])),
            (13, vec![wish(3, 9), wish(2, 9), wish(2, 9)], Some(vec![5, 4, 4])),
        ] {
            assert_eq!(share(total, &wishes), shares, "{total} {wishes:?}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_bound_and_nobody_goes_short(
            total in 0_usize..60,
            most in proptest::collection::vec(3_usize..20, 1..8),
        ) {
            let wishes: Vec<Wish> = most
                .iter()
                .enumerate()
                .map(|(index, &most)| Wish { least: if index == 0 { 3 } else { 2 }, most })
                .collect();
            let least: usize = wishes.iter().map(|wish| wish.least).sum();
            let shares = share(total, &wishes);
            prop_assert_eq!(shares.is_some(), total >= least);
            let Some(shares) = shares else { return Ok(()) };
            let all: usize = most.iter().sum();
            prop_assert_eq!(shares.iter().sum::<usize>(), total.min(all));
            for (share, wish) in shares.iter().zip(&wishes) {
                prop_assert!((wish.least..=wish.most).contains(share));
                let richest = shares.iter().max().copied().unwrap_or_default();
                prop_assert!(*share == wish.most || share + 1 >= richest, "{:?}", shares);
            }
        }
    }
}
