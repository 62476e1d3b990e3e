/* Attention for one instruction set, in float and double; `hatch_build.py` compiles it once for each. */
#include <float.h>

#include "call.h"
#include "functions.h"
#include "squares.h"

#define BLOCK 256 /* keys of a block */
#define FEW_KEYS 64 /* rows that see at most as many keys take care of every rounding error */
#define DOMINANT_WEIGHT 0.75 /* backward: weight from which on a key dominates its row; more than ½, so that one key alone does */
#define SPAN 2048 /* keys of a span, which starts anew */
#define KEY_BLOCK (TILE_ROWS == 14 ? 224 : 192) /* backward: keys of a block, whole tiles and whole panels */
#define QUERY_BLOCK (112 / TILE_ROWS * TILE_ROWS) /* backward: queries of a block */
#define PAIR_STRIDE (KEY_BLOCK + 16) /* from a row of a block to the next: no power of two, which would fill one cache set */

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define T(name) PASTE(name, REAL) /* the variant of a function or type for REAL */
#define VECTOR PASTE(REAL, vector)
#define UNALIGNED PASTE(PASTE(unaligned, REAL), vector)
#define LANES ((int)(VECTOR_BYTES / sizeof(REAL)))
#define MAX_COLUMN_VECTORS 8 /* vectors of outputs of one row that one pass over the values adds up */
#define PANEL (2 * LANES) /* keys of a panel, and outputs that one pass over the values adds up at least */

#define REAL float
#define MIN_NORMAL FLT_MIN
#include "panels.h"
#include "rows.h"
#include "tasks.h"
#include "backward_rows.h"
#include "dominant.h"
#include "backward_logits.h"
#include "backward.h"
#undef REAL
#undef MIN_NORMAL
#define REAL double
#define MIN_NORMAL DBL_MIN
#include "panels.h"
#include "rows.h"
#include "tasks.h"
#include "backward_rows.h"
#include "dominant.h"
#include "backward_logits.h"
#include "backward.h"
#undef REAL
#undef MIN_NORMAL

#define EXPORT __attribute__((visibility("default")))

EXPORT void attention_float(struct call *call, float *scratch) {
    if (call->gradients) run_backward_float(call, scratch);
    else run_float(call, scratch);
}
EXPORT void attention_double(struct call *call, double *scratch) {
    if (call->gradients) run_backward_double(call, scratch);
    else run_double(call, scratch);
}
EXPORT int64_t attention_float_scratch(const struct call *call) {
    return call->gradients ? backward_scratch_size_float(call) : scratch_size_float(call);
}
EXPORT int64_t attention_double_scratch(const struct call *call) {
    return call->gradients ? backward_scratch_size_double(call) : scratch_size_double(call);
}
EXPORT int attention_call_size(void) { return sizeof(struct call); }
EXPORT int attention_gradients_size(void) { return sizeof(struct gradients); }
EXPORT int attention_key_block(void) { return KEY_BLOCK; }
EXPORT int attention_tile_rows(void) { return TILE_ROWS; }
EXPORT int attention_span(void) { return SPAN; }
