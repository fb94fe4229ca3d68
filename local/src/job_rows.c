/* SPDX-License-Identifier: Apache-2.0 */
#include "job_rows.h"

#include "schema.h"

#include <inttypes.h>

static enum dic_code unknown_job(const char *job_id, struct dic_err *err)
{
    return dic_fail(err, DIC_E_NOT_FOUND, "there is no job '%s'", job_id);
}

enum dic_code dic_job_head_read(struct dic_db_connection *connection, const char *job_id,
                                struct dic_job_head *out, struct dic_err *err)
{
    sqlite3_stmt *row = NULL;
    bool found = false;
    DIC_TRY(dic_db_bind(connection,
                        "SELECT seq, state, images, planned_images, succeeded, failed, chunks,"
                        " booked, segments, max_failures FROM job WHERE id=?1",
                        &row, err, "s", job_id));
    DIC_TRY(dic_db_step(connection, row, &found, err));
    if (!found) {
        return unknown_job(job_id, err);
    }
    *out = (struct dic_job_head){
        .seq = sqlite3_column_int64(row, 0),
        .images = sqlite3_column_int64(row, 2),
        .planned_images = sqlite3_column_int64(row, 3),
        .succeeded = sqlite3_column_int64(row, 4),
        .failed = sqlite3_column_int64(row, 5),
        .chunks = sqlite3_column_int64(row, 6),
        .booked = sqlite3_column_int64(row, 7),
        .segments = sqlite3_column_int64(row, 8),
        .max_failures = sqlite3_column_int64(row, 9),
    };
    enum dic_code code = dic_job_state_parse(dic_db_text(row, 1), &out->state, err);
    sqlite3_reset(row);
    return code;
}

enum dic_code dic_job_set_state(struct dic_db_connection *connection, int64_t seq,
                                enum dic_job_state state, struct dic_err *err)
{
    return dic_db_run(connection, "UPDATE job SET state=?2 WHERE seq=?1", NULL, err, "is", seq,
                      dic_job_state_word(state));
}

enum dic_code dic_job_complete_if_done(struct dic_db_connection *connection, const char *job_id,
                                       int64_t now_ms, struct dic_err *err)
{
    return dic_db_run(connection,
                      "UPDATE job SET state='SUCCEEDED', ended_ms=?2"
                      " WHERE id=?1 AND state='RUNNING' AND booked=chunks",
                      NULL, err, "si", job_id, now_ms);
}

enum dic_code dic_job_seal_row(struct dic_db_connection *connection, const char *job_id,
                               int64_t now_ms, struct dic_err *err)
{
    struct dic_job_head head;
    DIC_TRY(dic_job_head_read(connection, job_id, &head, err));
    enum dic_job_state sealed = dic_job_sealed_state(head.state);
    if (dic_job_is_terminal(head.state)) {
        return DIC_OK;
    }
    if (sealed == head.state) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s and not being stopped", job_id,
                        dic_job_state_word(head.state));
    }
    int64_t images = head.images >= 0 ? head.images : head.planned_images;
    DIC_TRY(
        dic_db_run(connection,
                   "UPDATE job SET state=?2, images=?3, skipped=?3-succeeded-failed, ended_ms=?4"
                   " WHERE seq=?1",
                   NULL, err, "isii", head.seq, dic_job_state_word(sealed), images, now_ms));
    return dic_db_run(connection, "DELETE FROM queue WHERE job_seq=?1", NULL, err, "i", head.seq);
}

enum dic_code dic_queue_put(struct dic_db_connection *connection, int64_t job_seq,
                            const struct dic_message *message, int64_t now_ms, struct dic_err *err)
{
    return dic_db_run(
        connection, "INSERT INTO queue(kind, job_seq, job, chunk, sent_ms) VALUES(?1,?2,?3,?4,?5)",
        NULL, err, "iisii", (int64_t)message->kind, job_seq, message->job_id,
        (int64_t)message->chunk, now_ms);
}

static enum dic_code insert_chunks(struct dic_db_connection *connection, const char *job_id,
                                   const struct dic_job_head *head,
                                   const struct dic_segment_plan *segment, int64_t *images_out,
                                   int64_t now_ms, struct dic_err *err)
{
    *images_out = 0;
    for (uint32_t i = 0; i < segment->chunk_count; i++) {
        const struct dic_chunk_plan *chunk = &segment->chunks[i];
        struct dic_message message = {.kind = DIC_MESSAGE_CHUNK,
                                      .chunk = segment->segment * DIC_SEGMENT_CHUNKS + i};
        __builtin_memcpy(message.job_id, job_id, DIC_ID_SIZE);
        DIC_TRY(dic_db_run(connection,
                           "INSERT INTO chunk(key, first_image, images, lines) VALUES(?1,?2,?3,?4)",
                           NULL, err, "iiib", dic_row_key(head->seq, message.chunk),
                           chunk->first_image, (int64_t)chunk->images, chunk->lines));
        DIC_TRY(dic_queue_put(connection, head->seq, &message, now_ms, err));
        *images_out += chunk->images;
    }
    return DIC_OK;
}

static enum dic_code check_segment(const char *job_id, const struct dic_job_head *head,
                                   const struct dic_segment_plan *segment, bool *exists_out,
                                   struct dic_err *err)
{
    *exists_out = segment->segment < head->segments;
    bool planned = head->state == DIC_JOB_RUNNING || head->state == DIC_JOB_SUCCEEDED;
    if (planned && *exists_out) {
        return DIC_OK; /* repeated after an unknown outcome, or another planner was first */
    }
    if (head->state != DIC_JOB_ACCEPTED && head->state != DIC_JOB_PLANNING) {
        return dic_fail(err, DIC_E_CONFLICT, "job '%s' is %s and not being planned", job_id,
                        dic_job_state_word(head->state));
    }
    if (segment->segment > head->segments || segment->segment >= DIC_MAX_SEGMENTS ||
        segment->chunk_count > DIC_SEGMENT_CHUNKS) {
        return dic_fail(err, DIC_E_INTERNAL,
                        "segment %" PRIu32 " with %" PRIu32
                        " chunks does not follow segment %" PRId64,
                        segment->segment, segment->chunk_count, head->segments - 1);
    }
    return DIC_OK;
}

enum dic_code dic_segment_insert(struct dic_db_connection *connection, const char *job_id,
                                 const struct dic_segment_plan *segment, int64_t now_ms,
                                 struct dic_err *err)
{
    struct dic_job_head head;
    bool exists = false;
    int64_t images = 0;
    DIC_TRY(dic_job_head_read(connection, job_id, &head, err));
    DIC_TRY(check_segment(job_id, &head, segment, &exists, err));
    if (exists) {
        return DIC_OK;
    }
    DIC_TRY(insert_chunks(connection, job_id, &head, segment, &images, now_ms, err));
    if (segment->resume.len > 0) {
        DIC_TRY(dic_db_run(connection, "INSERT INTO segment(key, resume) VALUES(?1,?2)", NULL, err,
                           "it", dic_row_key(head.seq, segment->segment), segment->resume));
    }
    DIC_TRY(dic_db_run(connection,
                       "UPDATE job SET segments=segments+1, chunks=chunks+?2,"
                       " planned_images=planned_images+?3,"
                       " images=CASE WHEN ?4 THEN planned_images+?3 ELSE images END,"
                       " state=CASE WHEN ?4 THEN 'RUNNING' ELSE 'PLANNING' END WHERE seq=?1",
                       NULL, err, "iiii", head.seq, (int64_t)segment->chunk_count, images,
                       (int64_t)segment->is_last));
    return dic_job_complete_if_done(connection, job_id, now_ms, err);
}
