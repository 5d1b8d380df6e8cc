#include "parallel.h"

#include <stdatomic.h>

typedef void (*Fork)(void (*each)(void *), void *data, unsigned threads, unsigned flags);

static Fork fork_threads = NULL; /* GOMP_parallel */

void compound_threads(void *fork) { fork_threads = (Fork)fork; }

typedef struct {
    Part part;
    void *task;
    size_t count;
    atomic_size_t next;
} Shared;

static void each(void *data) {
    Shared *shared = data;
    for (size_t i; (i = atomic_fetch_add(&shared->next, 1)) < shared->count;) shared->part(shared->task, i);
}

void compound_parallel(int threads, size_t count, Part part, void *task) {
    Shared shared = {part, task, count, 0};
    if (threads > 1 && count > 1 && fork_threads)
        fork_threads(each, &shared, (unsigned)threads, 0);
    else
        each(&shared);
}
