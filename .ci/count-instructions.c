/* A plugin of qemu: how often each run of instructions of a program is executed.
   cc -shared -fPIC -o count.so .ci/count-instructions.c; qemu-ARCH -plugin ./count.so,out=FILE PROGRAM
   At the end FILE has a line "ADDRESS INSTRUCTIONS" for each, the address in hexadecimal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used here of the interface of version 1, which distributions have without its header. */
struct qemu_plugin_tb;
int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int add_u64, void *to, uint64_t count);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t, void *), void *data);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);

struct run {
    uint64_t address, executed;
    struct run *next;
};
static struct run *runs;
static char out[4096];

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
    struct run *run = calloc(1, sizeof *run);
    (void)id;
    if (!run)
        abort();
    run->address = qemu_plugin_tb_vaddr(tb);
    run->next = runs;
    runs = run;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &run->executed, qemu_plugin_tb_n_insns(tb));
}

static void ended(uint64_t id, void *data) {
    FILE *file = fopen(out, "w");
    (void)id, (void)data;
    if (!file)
        abort();
    for (struct run *run = runs; run; run = run->next)
        if (run->executed)
            fprintf(file, "%" PRIx64 " %" PRIu64 "\n", run->address, run->executed);
    if (fclose(file))
        abort();
}

int qemu_plugin_install(uint64_t id, const void *info, int count, char **words) {
    (void)info;
    for (int n = 0; n < count; n++)
        if (!strncmp(words[n], "out=", 4))
            snprintf(out, sizeof out, "%s", words[n] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return *out ? 0 : 1;
}
