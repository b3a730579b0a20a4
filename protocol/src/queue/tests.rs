use super::Queue;

#[test]
fn what_comes_first_leaves_first() {
    let mut queue = Queue::default();
    assert!(queue.is_empty() && queue.pop_front().is_none());
    let (mut pushed, mut popped) = (0, 0);
    for (more, less) in [(1, 1), (2, 1), (100, 50), (3, 54), (1, 1)] {
        for _ in 0..more {
            queue.push_back(pushed);
            pushed += 1;
            assert_eq!(queue.back_mut(), Some(&mut (pushed - 1)));
            assert_eq!(queue.front_mut(), Some(&mut popped.clone()));
        }
        assert!(queue.iter().copied().eq(popped..pushed));
        for _ in 0..less {
            assert_eq!(queue.pop_front(), Some(popped));
            popped += 1;
        }
        assert_eq!(queue.is_empty(), popped == pushed);
    }
}

#[test]
fn a_queue_that_was_long_is_cut_by_half_once_three_quarters_are_free() {
    let mut queue: Queue<u8> = Queue::default();
    (0..=200).for_each(|item| queue.push_back(item));
    assert_eq!(queue.rest.capacity(), 256);
    let mut pop_to = |left, room| {
        while queue.rest.len() > left {
            queue.pop_front();
        }
        assert_eq!(queue.rest.capacity(), room, "{left} are left");
    };
    pop_to(64, 256);
    pop_to(63, 128);
    pop_to(32, 128);
    pop_to(31, 64);
    pop_to(3, 8);
    pop_to(0, 8); // as little as a short queue may keep
}

#[test]
fn one_thing_at_a_time_takes_no_memory() {
    let mut queue = Queue::default();
    for item in 0..100 {
        queue.push_back(item);
        assert_eq!(queue.pop_front(), Some(item));
    }
    assert_eq!(queue.rest.capacity(), 0);
}
