//! Which test shows which kind of bad input: its message, its exit code, and that nothing was lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::cli::root;
use std::fs;

/// Kinds of bad input, and the tests that show each.
const TABLE: &[(&str, &[&str])] = &[
    (
        "certificate files: empty, DER, bundles, with trailing data, cut off, damaged, missing",
        &["bad_input_certificate_files_are_refused_by_name"],
    ),
    (
        "certificate files: expired, not yet valid",
        &[
            "bad_input_certificates_out_of_their_time_stop_the_run_at_etcd",
            "bad_input_certificates_that_do_not_verify_say_why",
        ],
    ),
    (
        "certificate files: of another key",
        &["bad_input_certificate_of_another_ca_is_refused", "bad_input_ca_keys_are_refused_by_name"],
    ),
    (
        "keys: encrypted, of the wrong mode",
        &["bad_input_ca_keys_are_refused_by_name", "bad_input_host_that_refuses_the_login"],
    ),
    (
        "hosts: unreachable, refused",
        &[
            "bad_input_host_that_refuses_connections_does_not_hide_the_others",
            "bad_input_host_that_refuses_the_login",
        ],
    ),
    (
        "hosts: with a changed host key",
        &[
            "bad_input_host_with_another_key_than_before_is_never_asked_about",
            "bad_input_host_with_an_unknown_key_is_refused_unless_a_person_accepts_it",
            "bad_input_host_that_became_another_one_is_refused_on_resume",
        ],
    ),
    (
        "hosts: hanging",
        &[
            "bad_input_host_that_says_nothing_is_given_up",
            "bad_input_command_that_hangs_is_ended",
            "bad_input_host_that_freezes_during_a_command",
        ],
    ),
    ("hosts: printing megabytes", &["bad_input_command_that_prints_megabytes_is_kept_in_bounds"]),
    (
        "state directory: read-only",
        &["bad_input_state_directory_read_only", "bad_input_state_directory_that_is_a_file"],
    ),
    (
        "state directory: full",
        &[
            "bad_input_state_directory_full_from_the_beginning",
            "bad_input_state_directory_that_fills_up_stops_the_run",
        ],
    ),
    (
        "state directory: foreign",
        &["bad_input_state_directory_of_somebody_else", "bad_input_state_directory_behind_a_link"],
    ),
    ("state directory: from a newer version", &["bad_input_journal_edited_reordered_shortened_or_newer"]),
    (
        "journal: torn, edited, reordered",
        &[
            "bad_input_journal_torn_in_its_last_line_is_cut_and_goes_on",
            "bad_input_journal_without_a_beginning_says_that_nothing_began",
            "bad_input_journal_edited_reordered_shortened_or_newer",
            "bad_input_copy_of_the_runbook_that_was_edited_is_refused",
        ],
    ),
    (
        "two runs at once",
        &["bad_input_two_processes_for_one_run", "sandbox_second_run_on_a_locked_cluster_begins_nothing"],
    ),
    (
        "Ctrl-C at every prompt",
        &[
            "bad_input_interrupt_at_every_prompt_of_a_run",
            "bad_input_interrupt_at_the_word_for_what_cannot_be_taken_back",
            "bad_input_interrupt_at_the_question_for_an_input",
        ],
    ),
    (
        "Ctrl-C in every unit",
        &[
            "bad_input_interrupt_in_every_unit",
            "bad_input_interrupt_in_a_restart_waits_for_the_host",
            "bad_input_interrupt_ends_waiting_and_commands",
            "bad_input_second_interrupt_ends_the_program_at_once",
            "bad_input_sigterm_ends_the_program_and_the_run_goes_on_later",
            "bad_input_hangup_stops_in_order",
        ],
    ),
    (
        "no terminal",
        &[
            "sandbox_run_without_a_terminal_is_refused_unless_it_is_unattended",
            "sandbox_guided_silence_is_no_yes",
        ],
    ),
    (
        "a file changed by someone else between plan and apply",
        &[
            "bad_input_file_changed_while_the_gate_waits_is_asked_about_again",
            "bad_input_file_that_became_no_certificate_while_the_run_rested_is_seen",
            "sandbox_approve_does_not_count_for_another_plan",
        ],
    ),
    (
        "a file changed by someone else before a restore",
        &[
            "bad_input_file_changed_before_a_restore_is_left_alone_and_named",
            "bad_input_new_files_of_somebody_else_survive_a_rollback",
        ],
    ),
    (
        "runbooks, inventories, answers and inputs with mistakes",
        &[
            "bad_input_runbook_with_unknown_and_double_keys",
            "bad_input_runbook_that_is_no_yaml",
            "bad_input_runbook_with_mistakes_inside_rhai",
            "bad_input_runbook_with_a_mistake_in_its_hooks",
            "bad_input_runbook_that_fails_while_running_names_its_line",
            "bad_input_inventory_is_located",
            "bad_input_answers_are_located",
            "bad_input_values_of_inputs",
            "bad_input_secret_on_the_command_line_or_another_one_on_resume",
        ],
    ),
];

#[test]
fn bad_input_table_names_tests_that_exist() {
    let files = fs::read_dir(root().join("tests/tests")).unwrap().flatten();
    let all: String = files.map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    for (what, tests) in TABLE {
        for test in *tests {
            assert!(all.contains(&format!("#[test]\nfn {test}()")), "{what}: there is no test {test}");
        }
    }
    // And no test of bad input is missing from the table.
    let begins = "#[test]\nfn bad_input_";
    for (at, _) in all.match_indices(begins) {
        let name = all[at + "#[test]\nfn ".len()..].split('(').next().unwrap();
        let known = TABLE.iter().any(|(_, tests)| tests.contains(&name.trim_start_matches(' ')));
        assert!(known || name == "bad_input_table_names_tests_that_exist", "{name} is not in the table");
    }
}
