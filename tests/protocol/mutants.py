# SPDX-License-Identifier: Apache-2.0
"""Rules of the protocol, broken one at a time: the simulator must notice each of them."""

MUTANTS = {
    # submit
    "key_taken_always": "the idempotency item is put without a condition",
    "key_after_job": "the idempotency item is put after the job",
    "request_not_compared": "another request under the same key gets the first one's job",
    "loser_does_not_help": "who loses the key answers without creating the job it names",
    "helper_cuts_its_own_way": "who helps cuts with its own chunk size, though the idempotency item says another",
    "key_before_live_child": "a retry puts the idempotency item before it has decided on the live child",
    "live_child_taken_always": "the live child is replaced without a condition",
    "job_before_segment": "a job of one segment is committed before its segment",
    "tally_after_job": "the tally is put after the job",
    "replay_sends_nothing": "a replay of a job that nothing was done for leaves its messages to the sweeper",
    "replay_sends_only_what_nobody_began": "a replay sends nothing once a chunk is booked",
    "replay_marked_before_sending": "a replay sets the job's `snt` before it sends PLAN",
    # plan
    "no_ensure_at_begin": "a planner does not ensure the segment that was reserved last",
    "segment_before_reservation": "a segment is created before it is reserved",
    "reserved_always": "a segment is reserved without comparing `cur`",
    "manifest_overwritten": "a manifest is put without if-absent",
    "loser_keeps_its_cut": "who loses a manifest goes on with its own cut",
    "planner_ends_by_its_own_cut": "a planner ends when its own cut is the last, not when the winner's is",
    "overtaken_planner_ends": "a planner that was overtaken deletes its message",
    "planner_stops_running_job": "a planner that finds a bad source stops a job that others have planned",
    "sent_before_segment_exists": "a segment's messages are sent before it is created",
    "marked_sent_before_sending": "`snt` is set before the messages are sent",
    "empty_segment_is_not_filled": "nobody fills a last segment without chunks",
    "planning_ends_always": "RUNNING is set without asking for PLANNING",
    "end_without_complete": "the end of planning is not followed by COMPLETE",
    "begin_refused_without_complete": "a planner that comes when planning has ended does not COMPLETE",
    # work
    "booked_twice": "a chunk is booked without asking whether it is booked",
    "booked_when_closed": "a chunk is booked without asking whether its segment is open",
    "shard_without_attempt": "the shard's key has no attempt id",
    "no_second_look": "the job is not looked at again after classifying",
    "tally_is_a_counter": "the tally counts full segments instead of naming them",
    "tally_before_labels": "a segment is tallied before its labels are there",
    "tally_makes_ghosts": "the tally is updated without asking whether it exists",
    "message_deleted_early": "a message is deleted before what follows from it is done",
    "loser_does_not_follow_up": "a worker whose booking was refused does not follow up",
    "booked_chunk_is_not_followed_up": "a message whose chunk is booked is deleted without following up",
    "stopped_job_is_left_to_the_sweeper": "a message of a stopping job is deleted without SEAL",
    "finalizing_job_is_left_to_the_sweeper": "a message of a FINALIZING job is deleted without COMPLETE",
    # end
    "stale_reads": "COMPLETE reads job and tally without consistency",
    "complete_forgives_failures": "COMPLETE does not compare the failures with max_failures",
    "labels_of_one_segment_are_expected": "the end of a job of one segment relies on labels/0",
    "ended_always": "SUCCEEDED is set without asking for FINALIZING",
    "finalizing_job_is_stopped": "a job can be stopped while FINALIZING",
    "sealed_always": "the sealed state is set without asking for the stopping one",
    "sealed_sums_too_early": "SEAL sums what it read before closing",
    "sealed_without_tombstone": "SEAL closes only the segments that exist",
    "tombstone_is_tried_once": "a tombstone that loses is not followed by closing",
    "reserved_segment_is_not_sealed": "SEAL leaves out the segment that was reserved last",
    "ttl_after_end": "the tally gets its ttl after the job has ended",
    # sweeper, dead letters
    "sweeper_claims_always": "the sweeper moves `obd` without a condition",
    "sweeper_does_not_plan": "the sweeper does not send PLAN again",
    "sweeper_plans_on_an_empty_queue_only": "the sweeper sends PLAN again only when the queue holds nothing at all",
    "sweeper_does_not_complete": "the sweeper does not move on jobs that are stopping or full",
    "sweeper_does_not_send_again": "the sweeper does not send missing chunks again",
    "sweeper_does_not_fill": "the sweeper does not fill full segments",
    "sweeper_waits_for_an_idle_queue": "the sweeper never sends again while the queue has visible messages",
    "sweeper_sends_booked_chunks_again": "of the few that the sweeper sends to a busy queue, booked chunks are part",
    "dead_letter_deleted_first": "a dead letter is deleted before it is booked",
    "dead_plan_is_dropped": "a dead PLAN does not end its job",
    "plan_that_gets_on_is_dropped": "a dead PLAN of a job that is planned further meanwhile is not sent again",
}

# Noticed in so few schedules that new seeds may have none; the recorded ones have.
RARE = {"plan_that_gets_on_is_dropped"}

# Rules that only save work: breaking one must change nothing.
HARMLESS = {
    "worker_does_not_look_first": "a chunk is classified without looking whether it is booked",
    "booked_chunk_is_only_filled": "a message whose chunk is booked does not note start, model and failures again",
    "refused_move_is_left_to_others": "who finds a job stopped as it would end or fail it does not SEAL",
}
