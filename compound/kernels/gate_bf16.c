/* gate.c for maps of bfloat16. */
#define MAPS_ARE_BF16
#include "gate.c"
