/* Batch norm and the activation behind it, y = f(z), z = a·x + b, a = weight / √(var + ε), b = bias − mean · a: forward
 * in two passes over the map (statistics, output), backward in two (sums, gradient), where operators one by one take
 * four and five.
 *
 * Maps have the channels innermost: `rows` positions of `channels` numbers. The gradient is that of Ioffe & Szegedy
 * (2015), Section 3, with d = ∂L/∂z = g · f'(z), x̂ = (x − mean) / √(var + ε), means over all n rows:
 *
 *     ∂L/∂bias = Σ d        ∂L/∂weight = Σ d·x̂        ∂L/∂x = a · (d − mean(d) − x̂ · mean(d·x̂))
 *
 * Rows are joined until they fill whole vectors ("wide" rows of `wide` lanes), so that 24 channels cost no more than 32;
 * what a lane is to be multiplied by is repeated as often. Sums are taken in blocks of a fixed size, in float32 within a
 * block (variances about the block's first row, so that a large mean costs no digits) and in float64 between blocks.
 */
#include <stdlib.h>

#include "parallel.h"
#include "vectors.h"

enum { IDENTITY, RELU, RELU6, SILU, HARD_SWISH };
enum { BLOCK = 16384 };

/* e^x to 2 units in the last place: x = n·ln 2 + r with |r| ≤ ln 2 / 2, and e^r by a polynomial (Cephes). NaN stays. */
INLINE Vec exponential(Vec x) {
    x = select_(x < -87.0f, x * 0 - 87.0f, select_(x > 87.0f, x * 0 + 87.0f, x));
    Vec whole = x * 1.44269504f + 12582912.0f; /* 1.5·2²³ rounds to a whole number, which stands in the last bits */
    Vec scale = (Vec)(((Mask)whole + 127) << 23);
    whole -= 12582912.0f;
    Vec r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (p * r * r + r + 1.0f) * scale;
}

INLINE Vec sigmoid(Vec z) { return 1.0f / (1.0f + exponential(-z)); }

INLINE Vec activated(int act, Vec z) {
    const Vec none = {0};
    switch (act) {
        case RELU: return select_(z < 0.0f, none, z);
        case RELU6: return select_(z < 0.0f, none, select_(z > 6.0f, none + 6.0f, z));
        case SILU: return z * sigmoid(z);
        case HARD_SWISH: return select_(z < -3.0f, none, select_(z > 3.0f, z, z * (z + 3.0f) * (1 / 6.0f)));
        default: return z;
    }
}

/* f'(z); at a kink what torch takes, and NaN at NaN. */
INLINE Vec slope(int act, Vec z) {
    const Vec none = {0};
    switch (act) {
        case RELU: return select_(z > 0.0f, none + 1.0f, select_(z <= 0.0f, none, z));
        case RELU6: return select_((z > 0.0f) & (z < 6.0f), none + 1.0f, select_(z == z, none, z));
        case SILU: { Vec s = sigmoid(z); return s * (1.0f + z * (1.0f - s)); }
        case HARD_SWISH: return select_(z <= -3.0f, none, select_(z >= 3.0f, none + 1.0f, z * (1 / 3.0f) + 0.5f));
        default: return none + 1.0f;
    }
}

typedef struct {
    const Map *x, *g; /* map and gradient of the output */
    Map *y;           /* output, or gradient of the map */
    size_t rows, channels, joined, wide, block, blocks;
    const float *a, *b, *mean, *p, *q; /* of each lane */
    double *first, *second;            /* sums of each block and lane */
    int act;
} Task;

static size_t divisor(size_t a, size_t b) { return b ? divisor(b, a % b) : a; }

static Task divide(const Map *x, size_t rows, size_t channels) {
    Task t = {.x = x, .rows = rows, .channels = channels};
    t.joined = LANES / divisor(channels, LANES);
    if (t.joined > rows) t.joined = 1;
    t.wide = channels * t.joined;
    t.block = BLOCK / t.wide + 1; /* wide rows */
    size_t whole = rows / t.joined;
    t.blocks = (whole + t.block - 1) / t.block + (rows % t.joined ? 1 : 0);
    return t;
}

/* Where block `index` begins, how many rows it has, and their lanes; rows that fill no wide one are the last block. */
INLINE size_t placed(const Task *t, size_t index, size_t *start, size_t *lanes) {
    size_t whole = t->rows / t->joined, begin = index * t->block;
    if (begin >= whole) {
        *start = whole * t->wide;
        *lanes = t->channels;
        return t->rows % t->joined;
    }
    *start = begin * t->wide;
    *lanes = t->wide;
    return whole - begin < t->block ? whole - begin : t->block;
}

/* Every vector of a block, row by row: `at` is where it begins in the map, `c` its first lane, `n` how many it has. */
#define EACH_VECTOR \
    for (size_t row = 0; row < count; row++) \
        for (size_t c = 0, at = start + row * lanes, n = lanes; c < lanes; c += LANES, at += LANES, n -= LANES)

/* So many floats, zero, in whole vectors. */
static float *zeros(size_t lanes, size_t times) { return calloc((lanes + LANES) * times, sizeof(float)); }

FAST static void sum_block(void *task, size_t index) {
    const Task *t = task;
    size_t start, lanes, count = placed(t, index, &start, &lanes);
    float *sums = zeros(lanes, 2), *squares = sums + lanes + LANES;
    const Map *x = t->x, *first = x + start;
    EACH_VECTOR {
        Vec v = load_map(x + at, n) - load_map(first + c, n);
        store(sums + c, LANES, load(sums + c, LANES) + v);
        store(squares + c, LANES, load(squares + c, LANES) + v * v);
    }
    for (size_t c = 0; c < lanes; c++) {
        t->first[index * t->wide + c] = sums[c] + (double)count * load_map(first + c, 1)[0];
        t->second[index * t->wide + c] = squares[c] - (double)sums[c] * sums[c] / (double)count;
    }
    free(sums);
}

/* Mean and variance (of n, not n − 1) of each channel. */
FAST void OF_MAP(compound_norm_statistics)(const Map *x, size_t rows, size_t channels, float *mean, float *variance, int threads) {
    Task t = divide(x, rows, channels);
    double *sums = malloc(2 * t.blocks * t.wide * sizeof(double));
    t.first = sums, t.second = sums + t.blocks * t.wide;
    compound_parallel(threads, t.blocks, sum_block, &t);
    double *total = calloc(2 * channels, sizeof(double)), *spread = total + channels;
    for (size_t i = 0; i < t.blocks; i++) {
        size_t start, lanes;
        placed(&t, i, &start, &lanes);
        for (size_t from = 0; from < lanes; from += channels)
            for (size_t c = 0; c < channels; c++) total[c] += t.first[i * t.wide + from + c];
    }
    for (size_t c = 0; c < channels; c++) total[c] /= (double)rows;
    for (size_t i = 0; i < t.blocks; i++) {
        size_t start, lanes, count = placed(&t, i, &start, &lanes);
        for (size_t from = 0; from < lanes; from += channels)
            for (size_t c = 0; c < channels; c++) {
                size_t at = i * t.wide + from + c;
                double apart = t.first[at] / (double)count - total[c];
                spread[c] += t.second[at] + (double)count * apart * apart;
            }
    }
    for (size_t c = 0; c < channels; c++) mean[c] = (float)total[c], variance[c] = (float)(spread[c] / (double)rows);
    free(total);
    free(sums);
}

#define EACH_ACT(CALL) \
    switch (t->act) { \
        case RELU: CALL(RELU); break; \
        case RELU6: CALL(RELU6); break; \
        case SILU: CALL(SILU); break; \
        case HARD_SWISH: CALL(HARD_SWISH); break; \
        default: CALL(IDENTITY); \
    }

FAST static void apply_block(void *task, size_t index) {
    const Task *t = task;
    size_t start, lanes, count = placed(t, index, &start, &lanes);
    const Map *x = t->x;
    const float *a = t->a, *b = t->b;
#define APPLY(ACT) EACH_VECTOR store_map(t->y + at, n, activated(ACT, load(a + c, LANES) * load_map(x + at, n) + load(b + c, LANES)))
    EACH_ACT(APPLY)
}

FAST static void reduce_block(void *task, size_t index) {
    const Task *t = task;
    size_t start, lanes, count = placed(t, index, &start, &lanes);
    float *sums = zeros(lanes, 2), *products = sums + lanes + LANES;
    const Map *x = t->x, *g = t->g;
    const float *a = t->a, *b = t->b, *mean = t->mean;
#define REDUCE(ACT) \
    EACH_VECTOR { \
        Vec v = load_map(x + at, n), d = load_map(g + at, n) * slope(ACT, load(a + c, LANES) * v + load(b + c, LANES)); \
        store(sums + c, LANES, load(sums + c, LANES) + d); \
        store(products + c, LANES, load(products + c, LANES) + d * (v - load(mean + c, LANES))); \
        if (t->y) store_map(t->y + at, n, d); \
    }
    EACH_ACT(REDUCE)
    for (size_t c = 0; c < lanes; c++) {
        t->first[index * t->wide + c] = sums[c];
        t->second[index * t->wide + c] = products[c];
    }
    free(sums);
}

FAST static void gradient_block(void *task, size_t index) {
    const Task *t = task;
    size_t start, lanes, count = placed(t, index, &start, &lanes);
    const float *a = t->a, *p = t->p, *q = t->q;
    EACH_VECTOR {
        Vec d = load_map(t->y + at, n), plane = load(p + c, LANES) * load_map(t->x + at, n) + load(q + c, LANES);
        store_map(t->y + at, n, load(a + c, LANES) * d + plane);
    }
}

/* `joined` copies of what belongs to a channel, side by side. */
static void repeat(float *lanes, size_t channels, size_t joined) {
    for (size_t i = 1; i < joined; i++) memcpy(lanes + i * channels, lanes, channels * sizeof(float));
}

/* y = f(a·x + b); a and b of each channel. */
void OF_MAP(compound_norm_apply)(const Map *x, size_t rows, size_t channels, const float *a, const float *b, int act, Map *y, int threads) {
    Task t = divide(x, rows, channels);
    size_t wide = t.wide + LANES;
    float *lanes = zeros(t.wide, 2);
    memcpy(lanes, a, channels * sizeof(float));
    memcpy(lanes + wide, b, channels * sizeof(float));
    repeat(lanes, channels, t.joined), repeat(lanes + wide, channels, t.joined);
    t.a = lanes, t.b = lanes + wide, t.y = y, t.act = act;
    compound_parallel(threads, t.blocks, apply_block, &t);
    free(lanes);
}

/* Gradients of the map (where to_x is given), weight and bias from g, that of y. */
void OF_MAP(compound_norm_backward)(const Map *g, const Map *x, size_t rows, size_t channels, const float *a, const float *b,
                            const float *mean, const float *inverse, int act, Map *to_x, float *to_weight, float *to_bias, int threads) {
    Task t = divide(x, rows, channels);
    size_t wide = t.wide + LANES;
    float *lanes = zeros(t.wide, 5), *p = lanes + 3 * wide, *q = lanes + 4 * wide;
    double *sums = malloc(2 * t.blocks * t.wide * sizeof(double)), *total = calloc(2 * channels, sizeof(double));
    memcpy(lanes, a, channels * sizeof(float));
    memcpy(lanes + wide, b, channels * sizeof(float));
    memcpy(lanes + 2 * wide, mean, channels * sizeof(float));
    for (int i = 0; i < 3; i++) repeat(lanes + i * wide, channels, t.joined);
    t.g = g, t.y = to_x, t.act = act, t.a = lanes, t.b = lanes + wide, t.mean = lanes + 2 * wide, t.p = p, t.q = q;
    t.first = sums, t.second = sums + t.blocks * t.wide;
    compound_parallel(threads, t.blocks, reduce_block, &t);
    for (size_t i = 0; i < t.blocks; i++) {
        size_t start, count;
        placed(&t, i, &start, &count);
        for (size_t c = 0; c < count; c++) {
            total[c % channels] += t.first[i * t.wide + c];
            total[channels + c % channels] += t.second[i * t.wide + c];
        }
    }
    for (size_t c = 0; c < channels; c++) {
        double product = total[channels + c] * inverse[c], step = product * inverse[c] / (double)rows;
        to_bias[c] = (float)total[c], to_weight[c] = (float)product;
        p[c] = (float)(-a[c] * step);
        q[c] = (float)(a[c] * (mean[c] * step - total[c] / (double)rows));
    }
    repeat(p, channels, t.joined), repeat(q, channels, t.joined);
    if (to_x) compound_parallel(threads, t.blocks, gradient_block, &t);
    free(total), free(sums), free(lanes);
}
