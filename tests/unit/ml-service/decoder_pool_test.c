/* SPDX-License-Identifier: Apache-2.0 */
/* What a decoder process can do to its parent when a picture takes it over: nothing but one row. */
#include "decoder_pool.h"
#include "sandbox.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MAX_BYTES = 8 * 1024 * 1024,
    TIMEOUT_MS = 300,
    SLOW_MS = 150,
    SIDE = 8,
    VALUES = SIDE * SIDE * 3
};

/* The first byte of a "picture" says what its decoding does. */
enum deed {
    BE_GOOD = 'g',
    BE_EMPTY = '0',
    BE_CORRUPT = 'c',
    SEGFAULT = 's',
    ABORT = 'a',
    HANG = 'h',
    TAKE_8_GIB = 'm',
    TAKE_UNTIL_DEATH = 'M',
    OPEN_FILE = 'o',
    CONNECT = 'n',
    EXECUTE = 'x',
    KILL_PARENT = 'k',
    TRACE_PARENT = 'p',
    FORK = 'f',
    WRITE_OUTSIDE = 'w',
    EXIT_0 = 'e',
    MAP_CODE = 'X',
    SEND_GARBAGE = 'G',
    REPORT_NONSENSE = 'N',
    READ_ENVIRONMENT = 'v',
    READ_OTHER_FD = 'r',
    BE_SLOW = 'S',
};

/* An address of the parent that decoders inherit but must not see changes of. */
static volatile int parents_memory = 1;
static int parents_secret_fd = -1;

static _Noreturn void hang(void)
{
    for (;;) {
        __asm__ volatile("" ::: "memory");
    }
}

static void be_slow(void)
{
    const int64_t start_ms = dic_clock_mono_ms(dic_clock_system());
    while (dic_clock_mono_ms(dic_clock_system()) - start_ms < SLOW_MS) {
        __asm__ volatile("" ::: "memory");
    }
}

static void take_memory_until_death(void)
{
    for (;;) {
        const size_t size = 64U * 1024 * 1024;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            abort();
        }
    }
}

static void connect_somewhere(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    (void)connect(fd, (const struct sockaddr *)&address, sizeof address);
}

static void execute(void)
{
    char *const arguments[] = {(char *)(uintptr_t) "true", NULL};
    execve("/bin/true", arguments, NULL);
}

/* In strict builds seccomp ends it; in loose ones a limit makes it fail, and it must show. */
static void open_file(struct dic_image_report *report)
{
    if (open("/etc/passwd", O_RDONLY) < 0) {
        abort();
    }
    report->error = DIC_ROW_OK;
}

static void map_executable(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || DIC_SANDBOX_LOOSE) {
        abort();
    }
}

static void send_garbage(void)
{
    for (int fd = 0; fd < 64; fd++) {
        (void)send(fd, "garbage", 7, MSG_NOSIGNAL);
    }
}

static void take_8_gib(struct dic_image_report *report)
{
    void *memory =
        mmap(NULL, (size_t)8 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        report->error = DIC_ROW_TOO_LARGE;
        snprintf(report->message, sizeof report->message, "no memory for it");
    }
}

static void read_environment(struct dic_image_report *report)
{
    if (getenv("PATH") != NULL || getenv("DIC_TEST_SECRET") != NULL) {
        report->error = DIC_ROW_CORRUPT_IMAGE;
    }
}

static void read_other_fd(struct dic_image_report *report)
{
    char byte = 0;
    if (read(parents_secret_fd, &byte, 1) >= 0) {
        report->error = DIC_ROW_CORRUPT_IMAGE;
    }
}

static volatile uintptr_t bad_address = 8; /* volatile: the compiler is not to know */

static void do_crime(char deed, struct dic_image_report *report)
{
    switch (deed) {
    case SEGFAULT:
        *(volatile int *)bad_address = 1;
        break;
    case ABORT:
        abort();
    case HANG:
        hang();
    case TAKE_UNTIL_DEATH:
        take_memory_until_death();
        break;
    case CONNECT:
        connect_somewhere();
        break;
    case EXECUTE:
        execute();
        break;
    case KILL_PARENT:
        kill(getppid(), SIGKILL);
        break;
    case TRACE_PARENT:
        ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
        break;
    case FORK:
        if (fork() == -1) {
            abort();
        }
        break;
    case EXIT_0:
        _exit(0);
    case MAP_CODE:
        map_executable();
        break;
    case SEND_GARBAGE:
        send_garbage();
        break;
    case BE_SLOW:
        be_slow();
        break;
    case OPEN_FILE:
        open_file(report);
        break;
    default:
        break;
    }
}

static void evil_decode(const uint8_t *bytes, size_t len, const struct dic_tensor_spec *spec,
                        float *tensor_out, struct dic_image_report *report)
{
    *report = (struct dic_image_report){.format = "test", .width = 3, .height = 4};
    if (len == 0) {
        report->error = DIC_ROW_EMPTY;
        return;
    }
    switch ((char)bytes[0]) {
    case BE_CORRUPT:
        report->error = DIC_ROW_CORRUPT_IMAGE;
        snprintf(report->message, sizeof report->message, "not a picture");
        return;
    case TAKE_8_GIB:
        take_8_gib(report);
        return;
    case WRITE_OUTSIDE: {
        parents_memory = 666;
        volatile uint8_t *before = (volatile uint8_t *)tensor_out;
        before -= (size_t)64 << 20;
        *before = 1; /* most likely nothing is mapped there; if it is, it is its own copy */
        abort();
    }
    case REPORT_NONSENSE:
        report->error = (enum dic_row_error)(DIC_ROW_ERROR_COUNT + 5);
        memset(report->message, 'x', sizeof report->message);
        return;
    case READ_ENVIRONMENT:
        read_environment(report);
        return;
    case READ_OTHER_FD:
        read_other_fd(report);
        return;
    default:
        do_crime((char)bytes[0], report);
    }
    for (size_t i = 0; i < (size_t)spec->width * spec->height * 3; i++) {
        tensor_out[i] = (float)bytes[len - 1];
    }
}

static struct dic_decoder_pool *start_pool(uint32_t decoders, uint32_t slots)
{
    const struct dic_decoder_pool_options options = {
        .decoders = decoders,
        .tensors_per_decoder = slots,
        .max_image_bytes = MAX_BYTES,
        .memory_limit_bytes = (uint64_t)256 << 20,
        .timeout_ms = TIMEOUT_MS,
        .spec = {.width = SIDE, .height = SIDE, .short_side = SIDE},
        .decode = evil_decode,
    };
    struct dic_decoder_pool *pool = NULL;
    struct dic_err err = {0};
    if (dic_decoder_pool_start(&options, &pool, &err) != DIC_OK) {
        fail_msg("%s", err.msg);
    }
    return pool;
}

static struct dic_image_report decode(struct dic_decoder_pool *pool, uint32_t decoder,
                                      const char *bytes)
{
    struct dic_image_report report = {0};
    dic_decoder_pool_decode(pool, decoder, 0, dic_str(bytes), &report);
    return report;
}

static void assert_next_is_fine(struct dic_decoder_pool *pool, uint32_t decoder)
{
    struct dic_image_report report = decode(pool, decoder, "g*");
    assert_int_equal(report.error, DIC_ROW_OK);
    const float *tensor = dic_decoder_pool_tensor(pool, decoder, 0);
    assert_true(tensor[0] == (float)'*' && tensor[VALUES - 1] == (float)'*');
}

static size_t count_open_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    size_t count = 0;
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

/* Processes whose parent is the given one, zombies included. */
static size_t count_children_of(pid_t parent, pid_t *one_out)
{
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    size_t count = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = fopen(path, "re");
        int pid = 0;
        int ppid = 0;
        if (file != NULL && fscanf(file, "%d (%*[^)]) %*c %d", &pid, &ppid) == 2 &&
            ppid == parent) {
            count++;
            *one_out = pid;
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    closedir(folder);
    return count;
}

static void a_picture_becomes_its_tensor_and_report(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(1, 1);
    struct dic_image_report report = decode(pool, 0, "g!");
    assert_int_equal(report.error, DIC_ROW_OK);
    assert_string_equal(report.format, "test");
    assert_int_equal(report.width, 3);
    assert_int_equal(report.height, 4);
    assert_true(dic_decoder_pool_tensor(pool, 0, 0)[5] == (float)'!');
    dic_decoder_pool_destroy(pool);
}

static void a_refused_picture_costs_no_process(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(1, 1);
    struct dic_image_report report = decode(pool, 0, "c");
    assert_int_equal(report.error, DIC_ROW_CORRUPT_IMAGE);
    assert_string_equal(report.message, "not a picture");
    assert_int_equal(decode(pool, 0, "").error, DIC_ROW_EMPTY);
    assert_int_equal(dic_decoder_pool_respawns(pool), 0);
    dic_decoder_pool_destroy(pool);
}

static void slots_and_decoders_have_memory_of_their_own(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(2, 3);
    for (uint32_t i = 0; i < 6; i++) {
        char picture[3] = {'g', (char)('A' + i), '\0'};
        struct dic_image_report report = {0};
        dic_decoder_pool_decode(pool, i / 3, i % 3, dic_str(picture), &report);
        assert_int_equal(report.error, DIC_ROW_OK);
    }
    for (uint32_t i = 0; i < 6; i++) {
        const float *tensor = dic_decoder_pool_tensor(pool, i / 3, i % 3);
        assert_int_equal((uintptr_t)tensor % 64, 0);
        assert_true(tensor[0] == (float)('A' + (int)i));
        assert_true(tensor[VALUES - 1] == (float)('A' + (int)i));
    }
    dic_decoder_pool_destroy(pool);
}

static void a_picture_of_the_largest_size_is_decoded_and_one_byte_more_is_refused(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(1, 1);
    char *bytes = calloc(1, MAX_BYTES + 1);
    assert_non_null(bytes);
    bytes[0] = BE_GOOD;
    bytes[MAX_BYTES - 1] = 77;
    static const struct {
        size_t len;
        enum dic_row_error error;
    } cases[] = {
        {MAX_BYTES - 1, DIC_ROW_OK}, {MAX_BYTES, DIC_ROW_OK}, {MAX_BYTES + 1, DIC_ROW_TOO_LARGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dic_image_report report = {0};
        dic_decoder_pool_decode(pool, 0, 0, dic_str_len(bytes, cases[i].len), &report);
        assert_int_equal(report.error, cases[i].error);
    }
    assert_true(dic_decoder_pool_tensor(pool, 0, 0)[0] == 77.0F);
    free(bytes);
    dic_decoder_pool_destroy(pool);
}

static long shared_kib(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    assert_non_null(file);
    char line[200];
    long kib = -1;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "RssShmem:", 9) == 0) {
            kib = strtol(line + 9, NULL, 10);
        }
    }
    fclose(file);
    return kib;
}

static void the_memory_of_a_large_picture_is_given_back(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(1, 1);
    char *bytes = calloc(1, MAX_BYTES);
    assert_non_null(bytes);
    bytes[0] = BE_GOOD;
    const long before_kib = shared_kib();
    struct dic_image_report report = {0};
    dic_decoder_pool_decode(pool, 0, 0, dic_str_len(bytes, MAX_BYTES), &report);
    assert_int_equal(report.error, DIC_ROW_OK);
    assert_in_range(shared_kib() - before_kib + 1024, 0, 2048);
    free(bytes);
    dic_decoder_pool_destroy(pool);
}

static void every_crime_is_one_bad_row_and_the_next_picture_is_fine(void **state)
{
    (void)state;
    static const char crimes[] = {SEGFAULT, ABORT,       TAKE_UNTIL_DEATH, OPEN_FILE,      CONNECT,
                                  EXECUTE,  KILL_PARENT, TRACE_PARENT,     WRITE_OUTSIDE,  EXIT_0,
                                  MAP_CODE, FORK,        SEND_GARBAGE,     REPORT_NONSENSE};
    struct dic_decoder_pool *pool = start_pool(2, 1);
    for (size_t i = 0; i < sizeof crimes; i++) {
        if ((crimes[i] == TAKE_UNTIL_DEATH || crimes[i] == FORK) && DIC_SANDBOX_LOOSE) {
            continue; /* sanitizers need address space without a limit, and clone for their threads
                       */
        }
        const char picture[] = {crimes[i], '\0'};
        struct dic_image_report report = decode(pool, 1, picture);
        if (report.error != DIC_ROW_DECODER_CRASHED) {
            fail_msg("crime '%c' was reported as %d", crimes[i], (int)report.error);
        }
        assert_non_null(strstr(report.message, "decoder process"));
        assert_next_is_fine(pool, 1);
        assert_next_is_fine(pool, 0);
    }
    assert_int_equal(parents_memory, 1);
    dic_decoder_pool_destroy(pool);
}

static void the_way_a_decoder_died_is_in_the_message(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(1, 1);
    struct dic_image_report report = decode(pool, 0, "x");
    assert_non_null(strstr(report.message, "signal 31"));
    report = decode(pool, 0, "e");
    assert_non_null(strstr(report.message, "exit status 0"));
    dic_decoder_pool_destroy(pool);
}

static void a_picture_that_takes_too_long_is_killed_in_time(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(1, 1);
    const int64_t start_ms = dic_clock_mono_ms(dic_clock_system());
    struct dic_image_report report = decode(pool, 0, "h");
    const int64_t took_ms = dic_clock_mono_ms(dic_clock_system()) - start_ms;
    assert_int_equal(report.error, DIC_ROW_DECODE_TIMEOUT);
    assert_string_equal(report.message, "decoding took over 300 ms");
    assert_in_range(took_ms, TIMEOUT_MS - 5, 20 * TIMEOUT_MS);
    assert_int_equal(dic_decoder_pool_respawns(pool), 1);
    assert_next_is_fine(pool, 0);
    dic_decoder_pool_destroy(pool);
}

static void a_picture_that_wants_8_gib_gets_no_memory(void **state)
{
    (void)state;
    if (DIC_SANDBOX_LOOSE) {
        skip(); /* no RLIMIT_AS with sanitizers */
    }
    struct dic_decoder_pool *pool = start_pool(1, 1);
    assert_int_equal(decode(pool, 0, "m").error, DIC_ROW_TOO_LARGE);
    assert_next_is_fine(pool, 0);
    dic_decoder_pool_destroy(pool);
}

static void a_decoder_has_neither_environment_nor_descriptors_of_its_parent(void **state)
{
    (void)state;
    setenv("DIC_TEST_SECRET", "swordfish", 1);
    int opened = open("/dev/zero", O_RDONLY);
    /* A number that the decoder's own socket cannot have by chance. */
    parents_secret_fd = fcntl(opened, F_DUPFD, 500);
    close(opened);
    assert_true(parents_secret_fd >= 500);
    struct dic_decoder_pool *pool = start_pool(1, 1);
    assert_int_equal(decode(pool, 0, "v").error, DIC_ROW_OK);
    assert_int_equal(decode(pool, 0, "r").error, DIC_ROW_OK);
    assert_string_equal(getenv("DIC_TEST_SECRET"), "swordfish");
    dic_decoder_pool_destroy(pool);
    close(parents_secret_fd);
    unsetenv("DIC_TEST_SECRET");
}

static void a_decoder_killed_while_idle_costs_no_picture(void **state)
{
    (void)state;
    struct dic_decoder_pool *pool = start_pool(1, 1);
    pid_t nursery = 0;
    pid_t decoder = 0;
    assert_int_equal(count_children_of(getpid(), &nursery), 1);
    assert_int_equal(count_children_of(nursery, &decoder), 1);
    kill(decoder, SIGKILL);
    dic_sleep_ms(50); /* until its socket is closed */
    assert_next_is_fine(pool, 0);
    assert_int_equal(dic_decoder_pool_respawns(pool), 1);
    dic_decoder_pool_destroy(pool);
}

static void two_hundred_deaths_leave_no_zombie_and_no_descriptor(void **state)
{
    (void)state;
    const size_t fds_before = count_open_fds();
    struct dic_decoder_pool *pool = start_pool(1, 1);
    const size_t fds = count_open_fds();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(decode(pool, 0, "e").error, DIC_ROW_DECODER_CRASHED);
    }
    assert_int_equal(dic_decoder_pool_respawns(pool), 200);
    assert_next_is_fine(pool, 0);
    assert_int_equal(count_open_fds(), fds);
    pid_t nursery = 0;
    pid_t decoder = 0;
    assert_int_equal(count_children_of(getpid(), &nursery), 1);
    assert_int_equal(count_children_of(nursery, &decoder), 1);
    dic_decoder_pool_destroy(pool);
    assert_int_equal(count_children_of(getpid(), &nursery), 0);
    assert_int_equal(count_open_fds(), fds_before);
}

/* True when the process has ended: gone, or a zombie somebody else has to collect. */
static bool has_ended(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return true;
    }
    char run_state = '?';
    int fields = fscanf(file, "%*d (%*[^)]) %c", &run_state);
    fclose(file);
    return fields != 1 || run_state == 'Z';
}

static _Noreturn void run_parent_to_be_killed(int report_fd)
{
    struct dic_decoder_pool *pool = start_pool(1, 1);
    pid_t pids[2] = {0, 0};
    count_children_of(getpid(), &pids[0]);
    count_children_of(pids[0], &pids[1]);
    ssize_t written = write(report_fd, pids, sizeof pids);
    (void)written;
    struct dic_image_report report = {0};
    for (;;) { /* busy in a picture when it dies */
        dic_decoder_pool_decode(pool, 0, 0, dic_str("h"), &report);
    }
}

static void all_processes_die_with_a_killed_parent(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        run_parent_to_be_killed(pair[1]);
    }
    pid_t pids[2] = {0, 0};
    assert_int_equal(read(pair[0], pids, sizeof pids), sizeof pids);
    assert_true(pids[0] > 1 && pids[1] > 1);
    assert_false(has_ended(pids[0]));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    for (int i = 0; i < 500 && !(has_ended(pids[0]) && has_ended(pids[1])); i++) {
        dic_sleep_ms(10);
    }
    assert_true(has_ended(pids[0]));
    assert_true(has_ended(pids[1]));
    close(pair[0]);
    close(pair[1]);
}

static void bounds_of_the_options_are_checked(void **state)
{
    (void)state;
    static const struct {
        uint32_t decoders;
        uint32_t slots;
        enum dic_code code;
    } cases[] = {{0, 1, DIC_E_INVALID},  {65, 1, DIC_E_INVALID}, {1, 0, DIC_E_INVALID},
                 {1, 17, DIC_E_INVALID}, {64, 1, DIC_OK},        {1, 16, DIC_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct dic_decoder_pool_options options = {
            .decoders = cases[i].decoders,
            .tensors_per_decoder = cases[i].slots,
            .max_image_bytes = 4096,
            .timeout_ms = TIMEOUT_MS,
            .spec = {.width = SIDE, .height = SIDE, .short_side = SIDE},
            .decode = evil_decode,
        };
        struct dic_decoder_pool *pool = NULL;
        assert_int_equal(dic_decoder_pool_start(&options, &pool, NULL), cases[i].code);
        dic_decoder_pool_destroy(pool);
    }
}

static struct dic_decoder_pool_options plain_options(void)
{
    return (struct dic_decoder_pool_options){
        .decoders = 1,
        .tensors_per_decoder = 1,
        .max_image_bytes = 4096,
        .timeout_ms = TIMEOUT_MS,
        .spec = {.width = SIDE, .height = SIDE, .short_side = SIDE},
        .decode = evil_decode,
    };
}

static void a_pool_that_cannot_be_had_is_an_error_and_leaves_nothing_behind(void **state)
{
    (void)state;
    const size_t fds = count_open_fds();
    struct dic_decoder_pool_options options = plain_options();
    struct dic_decoder_pool *pool = NULL;
    struct dic_err err = {0};
    pid_t child = 0;
    struct rlimit before;
    options.max_image_bytes = (size_t)1 << 48; /* more than there are addresses */
    assert_int_equal(dic_decoder_pool_start(&options, &pool, &err), DIC_E_INTERNAL);
    assert_non_null(strstr(err.msg, "for a decoder"));
    options = plain_options();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (rlim_t room = 0; room < 3; room++) { /* for the nursery's sockets, then a decoder's */
        int next = dup(0);
        close(next);
        const struct rlimit few = {(rlim_t)next + room, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        enum dic_code code = dic_decoder_pool_start(&options, &pool, &err);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (code == DIC_OK) {
            dic_decoder_pool_destroy(pool);
        } else {
            assert_int_equal(code, DIC_E_INTERNAL);
            assert_true(err.msg[0] != '\0');
        }
        assert_true(code != DIC_OK || room == 2);
    }
    assert_int_equal(count_open_fds(), fds);
    assert_int_equal(count_children_of(getpid(), &child), 0);
}

/* A process with threads and credentials must not fork decoders itself. */
static void without_the_nursery_the_whole_process_ends(void **state)
{
    (void)state;
    int status = 0;
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's would go on with the next test */
        dic_log_set_level(DIC_LOG_OFF);
        struct dic_decoder_pool *pool = start_pool(1, 1);
        pid_t nursery = 0;
        count_children_of(getpid(), &nursery);
        kill(nursery, SIGKILL);
        waitpid(nursery, NULL, 0);
        decode(pool, 0, "e");
        _exit(0); /* not reached */
    }
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Decodes a slow picture; says so on the way. Ends with what became of it. */
static _Noreturn void decode_slowly(int report_fd)
{
    struct dic_decoder_pool *pool = start_pool(1, 1);
    struct dic_image_report report = {0};
    if (write(report_fd, "!", 1) == 1) {
        report = decode(pool, 0, "S");
    }
    _exit(report.error == DIC_ROW_OK ? 0 : (int)report.error);
}

static void a_frozen_machine_is_no_fault_of_the_picture(void **state)
{
    (void)state;
    pid_t nursery = 0;
    pid_t decoder = 0;
    char byte = 0;
    int status = -1;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    pid_t parent = fork();
    if (parent == 0) {
        decode_slowly(pair[1]);
    }
    assert_int_equal(read(pair[0], &byte, 1), 1);
    assert_int_equal(count_children_of(parent, &nursery), 1);
    assert_int_equal(count_children_of(nursery, &decoder), 1);
    dic_sleep_ms(SLOW_MS / 5);
    kill(parent, SIGSTOP);
    kill(decoder, SIGSTOP);
    dic_sleep_ms(3 * TIMEOUT_MS);
    kill(parent, SIGCONT); /* first of the two, so that it looks before there is an answer */
    dic_sleep_ms(SLOW_MS / 5);
    kill(decoder, SIGCONT);
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_becomes_its_tensor_and_report),
        cmocka_unit_test(a_refused_picture_costs_no_process),
        cmocka_unit_test(slots_and_decoders_have_memory_of_their_own),
        cmocka_unit_test(a_picture_of_the_largest_size_is_decoded_and_one_byte_more_is_refused),
        cmocka_unit_test(the_memory_of_a_large_picture_is_given_back),
        cmocka_unit_test(every_crime_is_one_bad_row_and_the_next_picture_is_fine),
        cmocka_unit_test(the_way_a_decoder_died_is_in_the_message),
        cmocka_unit_test(a_picture_that_takes_too_long_is_killed_in_time),
        cmocka_unit_test(a_frozen_machine_is_no_fault_of_the_picture),
        cmocka_unit_test(a_picture_that_wants_8_gib_gets_no_memory),
        cmocka_unit_test(a_decoder_has_neither_environment_nor_descriptors_of_its_parent),
        cmocka_unit_test(a_decoder_killed_while_idle_costs_no_picture),
        cmocka_unit_test(two_hundred_deaths_leave_no_zombie_and_no_descriptor),
        cmocka_unit_test(all_processes_die_with_a_killed_parent),
        cmocka_unit_test(bounds_of_the_options_are_checked),
        cmocka_unit_test(a_pool_that_cannot_be_had_is_an_error_and_leaves_nothing_behind),
        cmocka_unit_test(without_the_nursery_the_whole_process_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
