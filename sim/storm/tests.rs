use crate::oracle::Tally;
use crate::run::storm;

/// Whether a seed that failed would fail again.
#[test]
fn a_seed_decides_everything() {
    for seed in 0..5 {
        assert_eq!(storm(seed), storm(seed), "seed {seed}");
    }
    assert_ne!(storm(1).trace, storm(2).trace);
}

#[test]
fn storms_end_in_a_calm_and_see_every_kind_of_end() {
    let mut all = Tally::default();
    (100..130).for_each(|seed| all.add(&storm(seed)));
    let ends =
        [all.finished, all.failed, all.broken, all.lost, all.rejected, all.given_up, all.gaps];
    assert!(ends.iter().all(|&count| count > 0), "{all}");
}
