/* Work divided among the threads of the OpenMP that torch has loaded: a second pool of threads would fight the first.
 *
 * Its two functions are handed over at run time (see __init__.py), so nothing here is linked against it. Without them
 * there is one thread. What a part computes follows from its index, never from the thread that takes it: results are
 * the same digits with any number of threads.
 */
#ifndef COMPOUND_PARALLEL_H
#define COMPOUND_PARALLEL_H

#include <stddef.h>

typedef void (*Part)(void *task, size_t index);

/* Calls part(task, index) for every index below count. */
void compound_parallel(int threads, size_t count, Part part, void *task);

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FAST
#endif

#endif
