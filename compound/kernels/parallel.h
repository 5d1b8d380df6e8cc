/* Work divided among the threads of the OpenMP that torch has loaded: a second pool of threads would fight the first.
 *
 * Its two functions are handed over at run time (see __init__.py), so nothing here is linked against it. Without them
 * there is one thread. What a part computes follows from its index, never from the thread that takes it: results are
 * the same digits with any number of threads.
 */
#ifndef COMPOUND_PARALLEL_H
#define COMPOUND_PARALLEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef void (*Part)(void *task, size_t index);

/* Calls part(task, index) for every index below count. */
void compound_parallel(int threads, size_t count, Part part, void *task);

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FAST
#endif
#define INLINE static inline __attribute__((always_inline))

/* Sixteen numbers at once; where registers are shorter the compiler takes several. */
enum { LANES = 16 };
typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t Mask __attribute__((vector_size(4 * LANES)));
typedef float Anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* The first `count` of LANES numbers; zeros behind them. */
INLINE Vec load(const float *from, size_t count) {
    if (count >= LANES) return *(const Anywhere *)from;
    Vec found = {0};
    memcpy(&found, from, count * sizeof(float));
    return found;
}

INLINE void store(float *to, size_t count, Vec values) {
    if (count >= LANES)
        *(Anywhere *)to = values;
    else
        memcpy(to, &values, count * sizeof(float));
}

INLINE Vec select_(Mask where, Vec yes, Vec no) { return (Vec)((where & (Mask)yes) | (~where & (Mask)no)); }

#endif
