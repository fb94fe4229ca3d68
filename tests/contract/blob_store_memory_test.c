/* SPDX-License-Identifier: Apache-2.0 */
/* The suite on memory. */
#include "blob_store_suite.h"

#include "blob_store_memory.h"
#include "test.h"

struct dic_blob_store dic_blob_suite_open(void)
{
    return dic_blob_store_memory_new();
}

void dic_blob_suite_close(struct dic_blob_store store)
{
    store.ops->destroy(store.impl);
}

static enum dic_code fail_puts(void *context, enum dic_blob_op op, struct dic_str key,
                               struct dic_err *err)
{
    (void)context;
    (void)key;
    return op == DIC_BLOB_PUT ? dic_fail(err, DIC_E_UPSTREAM, "no puts today") : DIC_OK;
}

static void a_hook_can_fail_an_operation_and_calls_are_counted(void **state)
{
    (void)state;
    struct dic_blob_store store = dic_blob_suite_open();
    struct dic_blob_info info;
    dic_blob_store_memory_set_hook(store, fail_puts, NULL);
    assert_code(store.ops->put(store.impl, dic_str("k"), dic_str("x"), false, NULL),
                DIC_E_UPSTREAM);
    assert_code(store.ops->head(store.impl, dic_str("k"), &info, NULL), DIC_E_NOT_FOUND);
    dic_blob_store_memory_set_hook(store, NULL, NULL);
    assert_ok(store.ops->put(store.impl, dic_str("k"), dic_str("x"), false, NULL));
    assert_int_equal(dic_blob_store_memory_calls(store, DIC_BLOB_PUT), 2);
    dic_blob_suite_close(store);
}

bool dic_blob_suite_lacks(const char *test)
{
    (void)test;
    return false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hook_can_fail_an_operation_and_calls_are_counted),
    };
    return dic_run_blob_store_suite() + cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
