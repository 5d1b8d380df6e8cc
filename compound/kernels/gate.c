/* The gradients of y = x · s, a map times a gate (squeeze-and-excitation), in one pass over what operators read three
 * times:
 *
 *     ∂L/∂x[n, p, c] = g[n, p, c] · s[n, c]        ∂L/∂s[n, c] = Σ over positions p of g[n, p, c] · x[n, p, c]
 *
 * Maps have the channels innermost. An image is a task; ROWS positions are summed in float32, these sums in float64.
 */
#include <stdlib.h>

#include "parallel.h"
#include "vectors.h"

enum { ROWS = 256 };

typedef struct {
    const Map *g, *x, *gate;
    Map *to_x, *to_gate;
    size_t positions, channels;
} Task;

FAST static void image(void *task, size_t index) {
    const Task *t = task;
    const size_t channels = t->channels, start = index * t->positions * channels;
    const Map *g = t->g + start, *x = t->x + start, *gate = t->gate + index * channels;
    Map *to_x = t->to_x + start, *to_gate = t->to_gate + index * channels;
    float *sums = malloc((channels + LANES) * sizeof(float));
    double *totals = calloc(channels, sizeof(double));
    for (size_t from = 0; from < t->positions; from += ROWS) {
        const size_t to = t->positions - from < ROWS ? t->positions : from + ROWS;
        memset(sums, 0, (channels + LANES) * sizeof(float));
        for (size_t p = from; p < to; p++)
            for (size_t c = 0; c < channels; c += LANES) {
                const size_t n = channels - c, at = p * channels + c;
                Vec gradient = load_map(g + at, n);
                store(sums + c, LANES, load(sums + c, LANES) + gradient * load_map(x + at, n));
                store_map(to_x + at, n, gradient * load_map(gate + c, n));
            }
        for (size_t c = 0; c < channels; c++) totals[c] += sums[c];
    }
    for (size_t c = 0; c < channels; c++) {
        Vec total = {(float)totals[c]};
        store_map(to_gate + c, 1, total);
    }
    free(totals);
    free(sums);
}

void OF_MAP(compound_gate_backward)(const Map *g, const Map *x, const Map *gate, size_t images, size_t positions,
                                    size_t channels, Map *to_x, Map *to_gate, int threads) {
    Task t = {g, x, gate, to_x, to_gate, positions, channels};
    compound_parallel(threads, images, image, &t);
}
