/* SPDX-License-Identifier: Apache-2.0 */
#include "local_store.h"

#include "base/buf.h"
#include "base/mem.h"
#include "blob_store_fs.h"
#include "job_store_sqlite.h"
#include "local_db.h"

struct dic_local {
    struct dic_local_db *db;
    struct dic_blob_store images;
    struct dic_blob_store results;
};

static enum dic_code open_folder(const char *data_dir, const char *name, struct dic_blob_store *out,
                                 struct dic_err *err)
{
    DIC_CLEANUP(dic_buf_clean_up) struct dic_buf path;
    dic_buf_init(&path, 64 * 1024);
    dic_buf_printf(&path, "%s/%s", data_dir, name);
    return dic_blob_store_fs_new(path.ptr, out, err);
}

enum dic_code dic_local_open(const char *data_dir, const struct dic_clock *clock,
                             struct dic_local **local_out, struct dic_err *err)
{
    struct dic_local *local = dic_calloc(1, sizeof *local);
    enum dic_code code = dic_local_db_open(data_dir, clock, &local->db, err);
    if (code == DIC_OK) {
        code = open_folder(data_dir, "bucket", &local->images, err);
    }
    if (code == DIC_OK) {
        code = open_folder(data_dir, "results", &local->results, err);
    }
    if (code != DIC_OK) {
        dic_local_close(local);
        return code;
    }
    *local_out = local;
    return DIC_OK;
}

static void end_store(struct dic_blob_store *store)
{
    if (store->ops != NULL) {
        store->ops->destroy(store->impl);
    }
}

void dic_local_close(struct dic_local *local)
{
    if (local == NULL) {
        return;
    }
    end_store(&local->images);
    end_store(&local->results);
    dic_local_db_close(local->db);
    dic_free(local);
}

struct dic_job_store dic_local_jobs(const struct dic_local *local)
{
    return dic_job_store_sqlite(local->db);
}

struct dic_job_queue dic_local_queue(const struct dic_local *local)
{
    return dic_job_queue_sqlite(local->db);
}

struct dic_blob_store dic_local_images(const struct dic_local *local)
{
    return local->images;
}

struct dic_blob_store dic_local_results(const struct dic_local *local)
{
    return local->results;
}
