//! The mass-delete guard: many artifacts that vanish at once are looked for twice.

/// Fewer removals than this are believed at once.
const FEW: usize = 20;

/// Whether so many removals among so many known artifacts need a second look before rows are deleted: a
/// disk being unmounted, or a checkout half-way, looks just like a user's `rm -r`.
pub(super) const fn needs_second_look(removals: usize, known: usize) -> bool {
    removals >= FEW && removals > known / 2
}

#[cfg(test)]
mod tests {
    use super::needs_second_look;

    #[test]
    fn only_large_losses_are_doubted() {
        assert!(!needs_second_look(3, 3));
        assert!(!needs_second_look(20, 40));
        assert!(needs_second_look(21, 40));
        assert!(needs_second_look(20, 20));
    }
}
