/* The gradient of a depthwise convolution's weights, kernels k × k with k = 3, 5 or 7:
 *
 *     ∂L/∂w[c, i, j] = Σ over images n and output positions (y, x) of g[n, c, y, x] · x[n, c, y·s + i − above, x·s + j − left]
 *
 * Maps have the channels innermost. LANES channels are taken at once: their rows are copied, with the zeros
 * around them, into a buffer small enough for the cache, so that no border is a special case and what is LANES numbers
 * wide in memory stands side by side; then every output position is multiplied with its k × k window, two rows of the
 * window at a time, whose sums fit into registers. Some images, by the size of their maps, are summed in float32, these
 * sums in float64: the digits are the same with any number of threads.
 */
#include <stdlib.h>

#include "parallel.h"
#include "vectors.h"

enum { POSITIONS = 2048, BUFFER = 12288, LARGEST = 7 }; /* BUFFER floats: 48 KiB, of which a window moves through a part */

typedef struct {
    const Map *x, *g;
    size_t images, channels, high, wide, rows, columns; /* of the input, of the output */
    int kernel, down, along, above, left;
    size_t slabs, together; /* images that a task sums */
    float *sums; /* of each task, kernel² × LANES */
} Task;

INLINE void add_windows(const Task *t, const float *buffer, size_t across, size_t row, size_t count, const Map *g,
                        size_t n, const int k, const int from, const int to, Vec *sums) {
    Vec acc[2 * LARGEST];
    for (int i = 0; i < (to - from) * k; i++) acc[i] = sums[from * k + i];
    for (size_t y = 0; y < count; y++)
        for (size_t x = 0; x < t->columns; x++) {
            Vec gradient = load_map(g + ((row + y) * t->columns + x) * t->channels, n);
            const float *window = buffer + (y * t->down * across + x * t->along) * LANES;
#pragma GCC unroll 2
            for (int i = from; i < to; i++)
#pragma GCC unroll 7
                for (int j = 0; j < k; j++)
                    acc[(i - from) * k + j] += gradient * load(window + (i * across + j) * LANES, LANES);
        }
    for (int i = 0; i < (to - from) * k; i++) sums[from * k + i] = acc[i];
}

/* Rows of one image from `top` on and LANES of its channels, with zeros where there are none. */
INLINE void copy_rows(const Task *t, const Map *x, long top, size_t down, size_t across, size_t n, float *buffer) {
    for (size_t r = 0; r < down; r++)
        for (size_t c = 0; c < across; c++) {
            long y = top + (long)r, z = (long)c - t->left, inside = y >= 0 && y < (long)t->high && z >= 0 && z < (long)t->wide;
            Vec values = {0};
            if (inside) values = load_map(x + ((size_t)y * t->wide + (size_t)z) * t->channels, n);
            store(buffer + (r * across + c) * LANES, LANES, values);
        }
}

FAST static void sum_images(void *task, size_t index) {
    const Task *t = task;
    size_t slab = index % t->slabs, first = index / t->slabs * t->together, k = (size_t)t->kernel;
    size_t n = t->channels - slab * LANES, across = (t->columns - 1) * t->along + k;
    size_t last = first + t->together < t->images ? first + t->together : t->images;
    size_t band = BUFFER / LANES / across; /* rows of the input that are copied at once */
    band = band < k ? 1 : (band - k) / t->down + 1;
    Vec sums[LARGEST * LARGEST] = {{0}};
    float *buffer = malloc(((band - 1) * t->down + k) * across * LANES * sizeof(float));
    for (size_t image = first; image < last; image++) {
        const Map *x = t->x + image * t->high * t->wide * t->channels + slab * LANES;
        const Map *g = t->g + image * t->rows * t->columns * t->channels + slab * LANES;
        for (size_t row = 0; row < t->rows; row += band) {
            size_t count = t->rows - row < band ? t->rows - row : band;
            copy_rows(t, x, (long)(row * t->down) - t->above, (count - 1) * t->down + k, across, n, buffer);
#define ROWS(K, FROM, TO) add_windows(t, buffer, across, row, count, g, n, K, FROM, TO, sums)
            if (k == 3)
                ROWS(3, 0, 2), ROWS(3, 2, 3);
            else if (k == 5)
                ROWS(5, 0, 2), ROWS(5, 2, 4), ROWS(5, 4, 5);
            else
                ROWS(7, 0, 2), ROWS(7, 2, 4), ROWS(7, 4, 6), ROWS(7, 6, 7);
        }
    }
    memcpy(t->sums + index * k * k * LANES, sums, k * k * sizeof(Vec));
    free(buffer);
}

/* to_weight[c, i, j] from x (images, high, wide, channels) and g (images, rows, columns, channels). */
void OF_MAP(compound_depthwise_weight)(const Map *x, const Map *g, const size_t *extents, const int *geometry, float *to_weight, int threads) {
    Task t = {x, g, extents[0], extents[1], extents[2], extents[3], extents[4], extents[5],
              geometry[0], geometry[1], geometry[2], geometry[3], geometry[4], 0, 0, NULL};
    t.together = POSITIONS / (t.rows * t.columns) + 1;
    size_t area = (size_t)t.kernel * (size_t)t.kernel, groups = (t.images + t.together - 1) / t.together;
    t.slabs = (t.channels + LANES - 1) / LANES;
    t.sums = malloc(groups * t.slabs * area * LANES * sizeof(float));
    compound_parallel(threads, groups * t.slabs, sum_images, &t);
    for (size_t c = 0; c < t.channels; c++)
        for (size_t i = 0; i < area; i++) {
            double total = 0;
            for (size_t group = 0; group < groups; group++)
                total += t.sums[((group * t.slabs + c / LANES) * area + i) * LANES + c % LANES];
            to_weight[c * area + i] = (float)total;
        }
    free(t.sums);
}
