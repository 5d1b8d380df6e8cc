/* RMSProp in TensorFlow's form over many tensors in one pass: seven numbers are moved for each weight, where operators
 * one by one move eighteen. With gradient g, mean square s, momentum m, and weights w:
 *
 *     g ← g + λ·w        s ← ρ·s + (1 − ρ)·g²        m ← μ·m + η·g / √(s + ε)        w ← w − m
 *
 * A tensor is cut into blocks, which are divided among the threads. No number depends on another, so the digits do not
 * depend on the cut.
 */
#include <math.h>

#include "parallel.h"

enum { BLOCK = 1 << 14 };

typedef struct {
    float *weights;
    const float *gradient;
    float *square, *momentum;
    size_t count;
} Tensor;

typedef struct {
    float rate, decay, momentum, eps, weight_decay;
} Settings;

typedef struct {
    const Tensor *tensors;
    Settings settings;
} Update;

FAST static void update(float *restrict w, const float *restrict g, float *restrict s, float *restrict m, size_t count,
                        Settings by) {
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] + by.weight_decay * w[i];
        s[i] = by.decay * s[i] + (1.0f - by.decay) * (gradient * gradient);
        m[i] = by.momentum * m[i] + by.rate * gradient / sqrtf(s[i] + by.eps);
        w[i] -= m[i];
    }
}

static size_t blocks(const Tensor *tensor) { return (tensor->count + BLOCK - 1) / BLOCK; }

static void block(void *task, size_t index) {
    const Update *job = task;
    const Tensor *of = job->tensors;
    while (index >= blocks(of)) index -= blocks(of++);
    size_t start = index * BLOCK, rest = of->count - start;
    update(of->weights + start, of->gradient + start, of->square + start, of->momentum + start,
           rest < BLOCK ? rest : BLOCK, job->settings);
}

void compound_rmsprop(const Tensor *tensors, size_t count, const float settings[5], int threads) {
    Update job = {tensors, {settings[0], settings[1], settings[2], settings[3], settings[4]}};
    size_t all = 0;
    for (size_t i = 0; i < count; i++) all += blocks(tensors + i);
    compound_parallel(threads, all, block, &job);
}
