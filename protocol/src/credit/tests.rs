use super::{ReceiveCredit, SendCredit};
use crate::Violation;
use crate::limits::WINDOW_CEILING;

/// R-CREDIT-4.
#[test]
fn grants_may_lift_a_half_above_its_window_and_up_to_the_ceiling() {
    let mut credit = SendCredit::half(4_096);
    assert_eq!(credit.grant(0), Err(Violation::Grant));
    assert_eq!(credit.grant(1), Ok(()));
    assert_eq!(credit.available(), 4_097);
    assert_eq!(credit.grant(WINDOW_CEILING - 4_096), Err(Violation::Grant));
    assert_eq!(credit.available(), 4_097);
    assert_eq!(credit.grant(WINDOW_CEILING - 4_097), Ok(()));
    assert_eq!(credit.available(), i64::from(WINDOW_CEILING));
}

/// R-CREDIT-4.
#[test]
fn grants_give_a_connection_back_at_most_what_was_taken() {
    let mut credit = SendCredit::connection(16_384);
    assert_eq!(credit.grant(1), Err(Violation::Grant));
    credit.take(100);
    assert_eq!(credit.grant(101), Err(Violation::Grant));
    assert_eq!(credit.available(), 16_284);
    assert_eq!(credit.grant(100), Ok(()));
    assert_eq!(credit.available(), 16_384);
}

/// R-CREDIT-3.
#[test]
fn credit_covers_what_it_is_and_no_more() {
    let mut credit = SendCredit::connection(100);
    assert!(credit.covers(100) && !credit.covers(101));
    credit.take(40);
    assert!(credit.covers(60) && !credit.covers(61));
}

/// R-CREDIT-2: whoever has credit may send a message that costs more.
#[test]
fn a_half_s_credit_may_fall_below_nothing() {
    let mut credit = SendCredit::half(4_096);
    credit.take(5_000);
    assert_eq!(credit.available(), -904);
    assert_eq!(credit.grant(905), Ok(()));
    assert_eq!(credit.available(), 1);
}

/// R-HELLO-6.
#[test]
fn a_larger_window_adds_what_it_is_larger_by() {
    let mut credit = SendCredit::connection(4_096);
    credit.take(96);
    credit.raise(10_000);
    assert_eq!(credit.available(), 9_904);
    credit.raise(5_000);
    assert_eq!(credit.available(), 9_904);
    assert_eq!(credit.grant(96), Ok(()));
    assert_eq!(credit.available(), 10_000);
}

#[test]
fn a_refund_is_never_above_the_window() {
    let mut credit = SendCredit::connection(1_000);
    credit.take(300);
    credit.refund(200);
    assert_eq!(credit.available(), 900);
    credit.refund(101);
    assert_eq!(credit.available(), 1_000);
    credit.take(1);
    credit.refund(u64::MAX);
    assert_eq!(credit.available(), 1_000);
}

/// R-CREDIT-8, R-CREDIT-9.
#[test]
fn the_window_is_what_is_available_and_held_and_owed() {
    let check = |credit: &ReceiveCredit, window, available, held, owed| {
        let books = (credit.window(), credit.available(), credit.held(), credit.owed());
        assert_eq!(books, (window, available, held, owed));
    };
    let mut credit = ReceiveCredit::half(1_000);
    check(&credit, 1_000, 1_000, 0, 0);
    credit.charge(300);
    check(&credit, 1_000, 700, 300, 0);
    credit.release(200);
    check(&credit, 1_000, 700, 100, 200);
    assert_eq!(credit.take_grant(), 200);
    check(&credit, 1_000, 900, 100, 0);
    credit.grow(500);
    check(&credit, 1_500, 900, 100, 500);
    credit.charge(1_000);
    check(&credit, 1_500, -100, 1_100, 500);
    assert_eq!(credit.take_grant(), 500);
    check(&credit, 1_500, 400, 1_100, 0);
}

/// R-CREDIT-6.
#[test]
fn a_grant_is_due_at_half_a_window() {
    let mut credit = ReceiveCredit::half(1_000);
    assert!(!credit.is_due());
    credit.charge(1_000);
    credit.release(499);
    assert!(!credit.is_due());
    credit.release(1);
    assert!(credit.is_due());
    assert_eq!(credit.take_grant(), 500);
    assert!(!credit.is_due());
}

/// R-CREDIT-6.
#[test]
fn a_grant_of_a_large_window_is_due_at_64_kib() {
    let mut credit = ReceiveCredit::half(1024 * 1024);
    credit.charge(200_000);
    credit.release(64 * 1024 - 1);
    assert!(!credit.is_due());
    credit.release(1);
    assert!(credit.is_due());
    assert_eq!(credit.take_grant(), 64 * 1024);
    assert!(!credit.is_due());
}

/// R-CREDIT-6.
#[test]
fn a_connection_s_grant_is_due_once_its_largest_message_would_not_fit() {
    let mut credit = ReceiveCredit::connection(1_000, 300);
    credit.charge(700);
    credit.release(1);
    assert!(!credit.is_due());
    credit.charge(1);
    assert!(credit.is_due());
    assert_eq!(credit.take_grant(), 1);
    // What nobody has taken can't be granted.
    credit.charge(100);
    assert!(!credit.is_due());
}

#[test]
fn what_is_owed_beyond_one_grant_goes_with_the_next() {
    let mut credit = ReceiveCredit::half(1_000);
    let held = u64::from(u32::MAX) + 7;
    credit.charge(held);
    credit.release(held);
    assert_eq!((credit.take_grant(), credit.owed()), (u32::MAX, 7));
    assert_eq!((credit.take_grant(), credit.owed()), (7, 0));
}
