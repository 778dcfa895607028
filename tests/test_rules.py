"""What rdbtool never does, as the README says it, and the tests that try to make it do so."""

from __future__ import annotations

import re
from pathlib import Path

from tests.named import missing

README = Path(__file__).resolve().parents[1] / "README.md"

RULES: list[tuple[str, dict[str, list[str]]]] = [
    (
        "A repair never drops a command that can be read",
        {
            "aof/test_salvage.py": ["test_commands_that_can_be_read_are_kept_unless_told_otherwise"],
            "cli/test_check_aof.py": ["test_a_command_that_can_be_read_is_cut_only_if_that_is_asked_for"],
            "aof/test_against_servers.py": ["test_a_salvaged_log_holds_every_command_that_was_not_damaged"],
        },
    ),
    (
        "A state that no server had is never written",
        {
            "engine/test_carrying.py": ["test_what_is_carried_amounts_to_the_log"],
            "inputs/test_parts.py": ["test_parts_are_replayed_in_their_order_and_not_merged"],
            "inputs/test_server_setup.py": ["test_a_replay_that_lacks_something_writes_nothing_unless_told"],
            "servers/test_replay.py": ["test_any_log_means_to_us_what_it_means_to_its_server"],
        },
    ),
    (
        "Nothing is lost in silence",
        {
            "outputs/test_keeping.py": [
                "test_the_inputs_hold_every_fact",
                "test_what_is_missing_is_what_was_told",
                "test_commands_say_to_a_release_what_it_is_said_to_have",
            ],
            "cli/test_exit_codes.py": ["test_no_exit_code_is_decided_elsewhere"],
        },
    ),
    (
        "No verdict is about a server in general",
        {
            "aof/test_against_servers.py": ["test_what_a_release_does_with_a_log_is_what_it_does"],
            "servers/test_cases.py": [
                "test_a_case_is_judged_as_the_server_judges_it",
                "test_releases_that_are_not_here_are_known_too",
            ],
        },
    ),
    (
        "What servers skip is not kept",
        {
            "tasks/test_damaged_snapshots.py": [
                "test_servers_skip_the_same_empty_collections",
                "test_the_expiry_behind_an_auxiliary_field_is_the_keys_for_servers_too",
                "test_a_digest_is_without_the_fields_that_valkey_drops_as_it_loads",
                "test_an_empty_file_is_no_snapshot_and_may_be_a_log",
            ],
        },
    ),
    (
        "No damage makes it slow or talkative",
        {
            "aof/test_salvage.py": ["test_time_stays_linear_whatever_the_bytes", "test_nested_lengths_stay_linear"],
            "tasks/test_damaged_snapshots.py": ["test_a_file_of_zeros_is_read_in_linear_time"],
            "cli/test_check_aof.py": ["test_many_findings_of_a_kind_are_one_line_unless_asked_for"],
        },
    ),
    (
        "What it saves is never refused",
        {
            "tasks/test_damaged_snapshots.py": ["test_nothing_that_is_saved_of_a_mutant_is_refused"],
            "aof/test_against_servers.py": ["test_what_is_repaired_loads_and_holds_what_the_server_would_have_kept"],
            "servers/test_cases.py": ["test_what_is_written_of_a_case_loads_in_a_server_that_looks_at_everything"],
        },
    ),
    (
        "Nothing is left half done",
        {
            "aof/test_repair.py": [
                "test_a_fault_at_any_call_leaves_the_old_or_the_new_state",
                "test_parts_that_lead_out_of_the_directory_are_refused",
                "test_a_log_that_a_process_has_open_is_left_alone_unless_forced",
            ],
            "tasks/test_rewrite.py": [
                "test_two_at_once_leave_a_set_that_loads",
                "test_a_fault_at_any_call_leaves_a_set_that_loads_and_no_litter",
                "test_a_kill_at_any_moment_leaves_a_set_that_loads",
            ],
            "io/test_sink.py": [
                "test_a_device_is_written_to_and_stays_one",
                "test_a_new_file_is_for_nobody_to_whom_an_input_is_closed",
            ],
            "cli/test_ending.py": ["test_a_signal_leaves_nothing_that_is_half_made"],
        },
    ),
    (
        "A file is never trusted",
        {
            "engine/test_scripting.py": [
                "test_a_script_sees_nothing_of_the_machine",
                "test_a_script_that_does_not_end_is_ended_and_the_replay_goes_on",
                "test_a_hostile_script_is_an_error_and_the_next_one_runs",
                "test_bytecode_is_refused_whole",
            ],
            "engine/test_streams.py": ["test_ids_whose_hashes_collide_take_no_longer"],
            "tasks/test_check_aof.py": ["test_any_bytes_give_a_report_or_one_error_and_can_be_repaired"],
            "cli/test_terminal.py": ["test_nothing_that_a_terminal_acts_on_reaches_it"],
            "cli/test_ending.py": ["test_a_bug_is_one_line_and_a_code_of_its_own"],
        },
    ),
]


def test_the_readme_states_the_rules_that_are_tried() -> None:
    section = README.read_text().split("## What it never does\n")[1].split("\n## ")[0]
    stated = re.findall(r"^\d\. \*\*(.+?)\.\*\*", section, re.MULTILINE)
    assert stated == [rule for rule, _ in RULES]


def test_tests_that_try_to_break_a_rule_are_there() -> None:
    for _, tests in RULES:
        assert not missing(tests)
