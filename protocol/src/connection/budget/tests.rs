use core::time::Duration;

use super::Budget;
use crate::Time;

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// How many may be used at this time.
fn all(budget: &mut Budget, now: Time) -> usize {
    (0..1_000).take_while(|_| budget.take(now)).count()
}

#[test]
fn ten_seconds_worth_may_be_used_at_once() {
    let mut budget = Budget::new(2, at(0));
    assert!(!budget.is_spent(at(0)));
    assert_eq!(all(&mut budget, at(0)), 20);
    assert!(budget.is_spent(at(0)));
}

#[test]
fn what_is_left_of_a_second_is_for_the_next_one() {
    let mut budget = Budget::new(2, at(0));
    assert_eq!(all(&mut budget, at(0)), 20);
    assert_eq!(all(&mut budget, at(499)), 0);
    assert_eq!(all(&mut budget, at(500)), 1);
    assert_eq!(all(&mut budget, at(1_400)), 1);
    assert_eq!(all(&mut budget, at(1_499)), 0);
    assert_eq!(all(&mut budget, at(1_500)), 1);
    assert_eq!(all(&mut budget, at(4_000)), 5);
}

#[test]
fn a_long_rest_earns_ten_seconds_worth_and_not_a_fraction_more() {
    let mut budget = Budget::new(1, at(0));
    assert_eq!(all(&mut budget, at(0)), 10);
    assert_eq!(all(&mut budget, at(10_500)), 10);
    assert_eq!(all(&mut budget, at(11_499)), 0);
    assert_eq!(all(&mut budget, at(11_500)), 1);
    assert_eq!(all(&mut budget, at(1_000_000_000)), 10);
    // More than a `u32` counts.
    assert_eq!(all(&mut budget, at(u64::MAX / 2)), 10);
}

#[test]
fn what_else_is_earned_counts_up_to_ten_seconds_worth() {
    let mut budget = Budget::new(1, at(0));
    for _ in 0..4 {
        assert!(budget.take(at(0)));
    }
    budget.add(3);
    assert_eq!(all(&mut budget, at(0)), 9);
    budget.add(u32::MAX);
    assert_eq!(all(&mut budget, at(0)), 10);
}

#[test]
fn without_a_rate_there_is_nothing_ever() {
    let mut budget = Budget::new(0, at(0));
    budget.add(5);
    assert_eq!(all(&mut budget, at(1_000_000)), 0);
    assert!(budget.is_spent(at(2_000_000)));
}
