/* Sixteen numbers at once, and the numbers of maps, which are float32 or bfloat16: a file that includes this is compiled
 * for float32 as it stands, and for bfloat16 by another that defines MAPS_ARE_BF16 and includes it. All is computed in
 * float32; what the file exports is named `OF_MAP(name)`.
 */
#ifndef COMPOUND_VECTORS_H
#define COMPOUND_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Where registers are shorter the compiler takes several. */
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


#ifdef MAPS_ARE_BF16
#define OF_MAP(name) name##_bf16

/* The upper half of a float32. */
typedef uint16_t Map;
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
typedef uint16_t HalvesAnywhere __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));

INLINE Vec load_map(const Map *from, size_t count) {
    Halves halves = {0};
    if (count >= LANES)
        halves = *(const HalvesAnywhere *)from;
    else
        memcpy(&halves, from, count * sizeof(Map));
    return (Vec)(__builtin_convertvector(halves, Bits) << 16);
}

/* Rounded to the nearest, ties to even; NaN stays one. */
INLINE void store_map(Map *to, size_t count, Vec values) {
    Bits bits = (Bits)values, rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    Mask same = values == values;
    Bits kept = (rounded & (Bits)same) | (0x7fc0 & ~(Bits)same);
    Halves halves = __builtin_convertvector(kept, Halves);
    if (count >= LANES)
        *(HalvesAnywhere *)to = halves;
    else
        memcpy(to, &halves, count * sizeof(Map));
}
#else
#define OF_MAP(name) name

typedef float Map;

INLINE Vec load_map(const Map *from, size_t count) { return load(from, count); }
INLINE void store_map(Map *to, size_t count, Vec values) { store(to, count, values); }
#endif

#endif
