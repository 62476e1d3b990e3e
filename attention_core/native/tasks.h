/* Tiles, spans and tasks; included once for each type of number, by `kernel.c`.
 *
 * Keys come in blocks of BLOCK from key 0; SPAN keys make a span.  Every span starts anew and is merged into those
 * before it in the order of the keys, so that a row's result is the same whether one task takes all its spans or each
 * span is a task.
 */
struct T(workspace) {
    REAL *queries; /* (task rows, features) */
    REAL *panels;  /* (BLOCK, features) as panels */
    REAL *tile;    /* (TILE_ROWS, BLOCK): pair function, logits, weights */
    REAL *logits;  /* (TILE_ROWS, BLOCK), kept where values are not finite */
    REAL *sums;    /* (task rows, value features) of the span */
    REAL *totals;  /* (task rows, value features) of the spans before */
    REAL *keys;    /* (PANEL, features), widened from two bytes */
    REAL *values;  /* (BLOCK, value features), widened from two bytes */
    struct T(row) *rows;
};

/* A block of keys, for the rows of a task. */
struct T(key_block) {
    int64_t begin;
    int n;
    int alone;    /* whether one tile has all rows, so that each panel of keys is read once */
    int in_place; /* whether that one row reads values of two bytes as they lie */
    int finite;   /* whether no value is NaN or infinite */
};

/* Turn n keys of a block into panels. */
static void T(load_keys)(const struct call *call, const struct T(workspace) *space, int64_t matrix, int64_t begin, int n) {
    const int64_t at = call->key_at[matrix] + begin * call->key_stride, features = call->n_features;
    if (call->key_storage == COMPUTED) {
        const REAL *keys = (const REAL *)call->key + at;
        T(read_ahead)(keys, call->key_stride, n, features);
        T(pack_keys)(keys, call->key_stride, n, features, space->panels);
    } else {
        T(pack_stored_keys)((const uint16_t *)call->key + at, call->key_stride, call->key_storage, n, features, space->keys,
                            space->panels);
    }
}

/* Score `rows` rows of a tile against the panels of a block; or, if `alone`, against one panel after the other as it is
 * turned, so that it stays in the first cache. */
INLINE void T(score_tile)(int rows, const struct call *call, const struct T(workspace) *space, const struct T(row) *row,
                          int64_t begin, int low, int n, int alone) {
    const int64_t features = call->n_features;
    const REAL *queries = space->queries + (row - space->rows) * features;
    REAL *tile = space->tile;
    const REAL *vector = call->score == ADDITIVE ? T(score_vector)(call, row->matrix) : 0;
#if defined(__AVX512F__)
    if (sizeof(REAL) == 4 && rows == 1 && alone && call->score == DOT && features % SQUARE == 0) {
        const int64_t at = call->key_at[row->matrix] + begin * call->key_stride;
        for (; low + PANEL <= n; low += PANEL)
            score_whole_panel(call->key_storage, (const float *)queries, call->key, at + low * call->key_stride,
                              call->key_stride, features, (float *)(tile + low));
    }
#endif
#define SCORE(NAME)                                                                                                    \
    for (int first = low; first < n; first += PANEL) {                                                                 \
        const int present = n - first < PANEL ? n - first : PANEL;                                                     \
        if (alone) T(load_keys)(call, space, row->matrix, begin + first, present);                                     \
        T(NAME)(rows, queries, features, space->panels + (alone ? 0 : first * features), features, vector, tile + first); \
    }
    if (call->score == DOT) SCORE(score_dot)
    else if (call->score == PROJECTION) SCORE(score_projection)
    else if (call->score == SQUARED_DISTANCE) SCORE(score_squared)
    else if (call->score == ABSOLUTE_DISTANCE) SCORE(score_absolute)
    else SCORE(score_rows_additive)
#undef SCORE
}

/* Evaluate a tile at one block, with a height that the compiler knows. */
INLINE void T(tile_of)(int rows, const struct call *call, const struct T(workspace) *space, int64_t first_row,
                       const struct T(key_block) *block, int low, int n, int seen) {
    REAL rescale[TILE_ROWS];
    struct T(row) *row = space->rows + first_row;
    REAL *tile = space->tile;
    const int64_t begin = block->begin;
    const int finite = block->finite;
    T(score_tile)(rows, call, space, row, begin, low, n, block->alone);
    const int padded = (n + PANEL - 1) / PANEL * PANEL;
    for (int r = 0; r < rows; r++) {
        REAL *logits = tile + r * BLOCK;
        VECTOR scale = T(all)(row[r].scale);
        if (!call->plain || row[r].first > begin + low || row[r].end < begin + n || n % PANEL) {
            T(finish_logits)(call, row + r, begin, low, n, logits);
            scale = T(all)((REAL)1);
        }
        rescale[r] = 1;
        if (!seen || call->normalizer == SCORES_ONLY) continue;
        if (!finite) memcpy(space->logits + r * BLOCK, logits, padded * sizeof(REAL));
        if (call->normalizer == SOFTMAX) rescale[r] = T(update_softmax)(row + r, low, padded, logits, scale);
        else T(update_elementwise)((int)call->normalizer, row + r, low, padded, logits, scale);
    }
    if (!call->output || !seen) return;
    const int is_widened = call->value_storage != COMPUTED;
    const int64_t width = call->n_value_features, stride = is_widened ? width : call->value_stride;
    const int64_t at = call->value_at[row->matrix] + begin * call->value_stride;
    const REAL *values = is_widened ? space->values : (const REAL *)call->value + at;
    REAL *sums = space->sums + first_row * width;
    if (rows == 1 && block->in_place) {
        T(add_stored_values)(call->value_storage, low, n, tile, (const uint16_t *)call->value + at, call->value_stride,
                             width, sums, rescale);
        return;
    }
    int few = 0;
    for (int r = 0; r < rows; r++) few |= row[r].few;
    if (finite && !few) {
        T(add_values)(rows, low, n, tile, values, stride, width, sums, rescale);
        return;
    }
    for (int r = 0; r < rows; r++) {
        const REAL *weights = tile + r * BLOCK, *logits = finite ? 0 : space->logits + r * BLOCK;
        if (finite && !row[r].few)
            T(add_values)(1, low, n, weights, values, stride, width, sums + r * width, rescale + r);
        else
            T(add_values_of_row)(row[r].few, low, n, weights, logits, values, stride, width, sums + r * width, rescale[r]);
    }
}

INLINE int T(is_cancelled)(const struct call *call) { return __atomic_load_n(&call->cancelled, __ATOMIC_RELAXED) != 0; }

INLINE int T(asks_for_matrices)(const struct call *call) {
    return call->scores || call->capped_scores || call->logits || call->weights;
}

/* Whether a tile may have this number of rows: the heights of `one_tile`. */
INLINE int T(is_height)(int64_t rows) {
    return rows == TILE_ROWS || (TILE_ROWS > 8 && rows == 8) || rows == 4 || rows == 2 || rows == 1;
}

/* Evaluate a tile of up to `rows_left` rows; return its height. */
static __attribute__((noinline)) int64_t T(one_tile)(const struct call *call, const struct T(workspace) *space,
                                                     int64_t first_row, int64_t rows_left,
                                                     const struct T(key_block) *block, int seen) {
    const int64_t begin = block->begin;
    int low = 0, n = block->n;
    if (!T(asks_for_matrices)(call)) {
        /* Leave out keys that none of the rows sees: panels before the first, and keys after the last that one sees. */
        int64_t first = n, end = 0;
        const int64_t tall = rows_left < TILE_ROWS ? rows_left : TILE_ROWS;
        for (int64_t r = first_row; r < first_row + tall; r++) {
            if (space->rows[r].first - begin < first) first = space->rows[r].first - begin;
            if (space->rows[r].end - begin > end) end = space->rows[r].end - begin;
        }
        if (first > 0) low = (int)first / PANEL * PANEL;
        if (end < n) n = (int)end;
    }
#define HEIGHT(rows)                                                                                                   \
    if (rows_left >= rows) {                                                                                           \
        T(tile_of)(rows, call, space, first_row, block, low, n, seen);                                                 \
        return rows;                                                                                                   \
    }
    HEIGHT(TILE_ROWS)
#if TILE_ROWS > 8
    HEIGHT(8)
#endif
    HEIGHT(4)
    HEIGHT(2)
    HEIGHT(1)
#undef HEIGHT
    return 1;
}

/* Write the logits and weights of a row that sees no key of a block. */
static void T(write_hidden)(const struct call *call, const struct T(row) *row, int64_t begin, int n) {
    for (int k = 0; k < n; k++) {
        if (call->logits) T(in_matrix)(call, call->logits, row, begin)[k] = -INFINITY;
        if (call->weights) T(in_matrix)(call, call->weights, row, begin)[k] = -INFINITY;
    }
}

/* Look at the values of a block, of which there may be none, and widen them unless they are read in place. */
static void T(load_values)(const struct call *call, const struct T(workspace) *space, int64_t rows,
                           struct T(key_block) *block) {
    const int64_t width = call->n_value_features, stride = call->value_stride;
    if (!call->output || !width) return;
    const int64_t at = call->value_at[space->rows->matrix] + block->begin * stride;
    if (call->value_storage == COMPUTED) {
        block->finite = T(all_finite)((const REAL *)call->value + at, stride, block->n, width);
        return;
    }
    const uint16_t *values = (const uint16_t *)call->value + at;
    block->in_place = block->alone && rows == 1 && !space->rows->few && width % (VECTOR_BYTES / 2) == 0 &&
                      T(all_stored_finite)(values, stride, call->value_storage, block->n, width);
    if (!block->in_place)
        block->finite = T(widen_rows)(values, stride, call->value_storage, block->n, width, space->values);
}

/* Evaluate the one row of a task at a block without a look at its values before: a sum with NaN or an infinite value in
 * it is not finite, whatever the weight.  Return 1; or 0, with the row as it was, where values must be looked at. */
static int T(evaluate_unchecked)(const struct call *call, const struct T(workspace) *space, struct T(key_block) *block) {
    const int64_t width = call->n_value_features;
    const int fits = call->value_storage == COMPUTED || width % (VECTOR_BYTES / 2) == 0;
    if (!block->alone || !call->output || !width || !fits || space->rows->few || width > TILE_ROWS * BLOCK) return 0;
    const struct T(row) before = *space->rows;
    memcpy(space->logits, space->sums, width * sizeof(REAL));
    block->finite = 1;
    block->in_place = call->value_storage != COMPUTED;
    T(one_tile)(call, space, 0, 1, block, 1);
    if (T(all_finite)(space->sums, width, 1, width)) return 1;
    *space->rows = before;
    memcpy(space->sums, space->logits, width * sizeof(REAL));
    block->in_place = 0;
    return 0;
}

/* Evaluate the rows of a task against one span of keys; stop early, with any numbers, once the call is cancelled. */
static void T(evaluate_span)(const struct call *call, const struct T(workspace) *space, int64_t rows, int64_t span) {
    const int64_t width = call->output ? call->n_value_features : 0;
    const int64_t span_end = span + SPAN < call->n_keys ? span + SPAN : call->n_keys;
    const int scores_everywhere = call->scores || call->capped_scores;
    for (int64_t r = 0; r < rows; r++) space->rows[r].maximum = -INFINITY, space->rows[r].sum = 0;
    memset(space->sums, 0, rows * width * sizeof(REAL));
    for (int64_t begin = span; begin < span_end; begin += BLOCK) {
        const int n = span_end - begin < BLOCK ? (int)(span_end - begin) : BLOCK;
        struct T(key_block) block = {.begin = begin, .n = n, .finite = 1};
        int loaded = 0;
        for (int64_t r = 0; r < rows;) {
            /* Once a tile: where matrices are written, most of its time may be the system's, which provides memory. */
            if (T(is_cancelled)(call)) return;
            const struct T(row) *row = space->rows;
            const int seen = row[r].end > begin && row[r].first < begin + n;
            int64_t count = 0; /* rows in succession that all see keys of the block, or all see none */
            while (r + count < rows && count < TILE_ROWS &&
                   (row[r + count].end > begin && row[r + count].first < begin + n) == seen)
                count++;
            if (!seen && !scores_everywhere) {
                if (call->logits || call->weights)
                    for (int64_t i = 0; i < count; i++) T(write_hidden)(call, row + r + i, begin, n);
                r += count;
                continue;
            }
            if (!loaded) {
                block.alone = count == rows && T(is_height)(rows);
                if (rows == 1 && seen && T(evaluate_unchecked)(call, space, &block)) break;
                T(load_values)(call, space, rows, &block);
                if (!block.alone) T(load_keys)(call, space, space->rows->matrix, begin, n);
            }
            loaded = 1;
            r += T(one_tile)(call, space, r, count, &block, seen);
        }
    }
}

/* Where the partial result of a row is, for one of the spans that the tasks take; width: of its output. */
INLINE REAL *T(partial_state)(const struct call *call, const struct T(row) *row, int64_t span, int64_t width, REAL **output) {
    const int64_t all = call->n_matrices * call->n_queries;
    const int64_t at = span * all + row->matrix * call->n_queries + row->query;
    *output = (REAL *)call->partial_output + at * width;
    return (REAL *)call->partial_state + 4 * at;
}

/* Store the maximum, the sum and the sums of values of a row, of one span or of those before as well. */
static void T(store_partial)(const struct call *call, const struct T(row) *row, int64_t span, REAL maximum, REAL sum,
                             const REAL *sums) {
    const int64_t width = call->output ? call->n_value_features : 0;
    REAL *output, *state = T(partial_state)(call, row, span, width, &output);
    state[0] = maximum;
    state[1] = sum;
    state[2] = row->not_finite;
    state[3] = row->negative;
    memcpy(output, sums, width * sizeof(REAL));
}

/* Continue a row from a partial result, of the spans before those that the tasks take. */
static void T(load_partial)(const struct call *call, struct T(row) *row, REAL *totals) {
    const int64_t width = call->output ? call->n_value_features : 0;
    REAL *output, *state = T(partial_state)(call, row, 0, width, &output);
    row->total_maximum = state[0];
    row->total_sum = state[1];
    row->not_finite = state[2] != 0;
    row->negative = state[3] != 0;
    memcpy(totals, output, width * sizeof(REAL));
}

/* Merge the partial results of rows, of all spans in the order of the keys. */
static void T(merge_partials)(struct call *call, REAL *totals, int64_t first_row, int64_t end_row) {
    const int64_t rows = call->n_matrices * call->n_queries, width = call->output ? call->n_value_features : 0;
    const int64_t spans = call->n_spans;
    for (int64_t at = first_row; at < end_row && !T(is_cancelled)(call); at++) {
        struct T(row) row;
        T(start_row)(call, at / call->n_queries, at % call->n_queries, &row);
        memset(totals, 0, width * sizeof(REAL));
        for (int64_t span = 0; span < spans; span++) {
            const REAL *state = (const REAL *)call->partial_state + 4 * (span * rows + at);
            row.maximum = state[0];
            row.sum = state[1];
            row.not_finite |= state[2] != 0;
            row.negative |= state[3] != 0;
            T(merge_span)(call, &row, (REAL *)call->partial_output + (span * rows + at) * width, totals);
        }
        T(finish_row)(call, &row, totals);
    }
}

/* Merge the partial results of the rows of a task. */
static void T(run_merge)(struct call *call, const struct T(workspace) *space, int64_t task) {
    const int64_t all = call->n_matrices * call->n_queries, first = task * call->task_rows;
    T(merge_partials)(call, space->totals, first, all - first < call->task_rows ? all : first + call->task_rows);
}

static void T(run_task)(struct call *call, const struct T(workspace) *space, int64_t task) {
    const int64_t group_rows = call->group * call->n_queries, features = call->n_features;
    const int64_t row_tasks = (group_rows + call->task_rows - 1) / call->task_rows;
    const int64_t spans = call->n_spans, width = call->output ? call->n_value_features : 0;
    const int by_span = call->split_spans == SINGLE_SPANS || call->split_spans == LEFT_SPANS;
    const int64_t row_task = by_span ? task / spans : task;
    const int64_t group = row_task / row_tasks, first = row_task % row_tasks * call->task_rows;
    const int64_t rows = group_rows - first < call->task_rows ? group_rows - first : call->task_rows;
    int64_t first_key = call->n_keys, end_key = 0;
    for (int64_t r = 0; r < rows; r++) {
        struct T(row) *row = space->rows + r;
        T(start_row)(call, group * call->group + (first + r) / call->n_queries, (first + r) % call->n_queries, row);
        if (row->first < first_key) first_key = row->first;
        if (row->end > end_key) end_key = row->end;
        memcpy(space->queries + r * features,
               (const REAL *)call->query + call->query_at[row->matrix] + row->query * call->query_stride,
               features * sizeof(REAL));
    }
    if (by_span) {
        const int64_t span = task % spans;
        T(evaluate_span)(call, space, rows, (call->first_span + span) * SPAN);
        if (call->normalizer == SCORES_ONLY) return;
        for (int64_t r = 0; r < rows; r++) {
            const struct T(row) *row = space->rows + r;
            T(store_partial)(call, row, span, row->maximum, row->sum, space->sums + r * width);
        }
        return;
    }
    const int is_continued = call->split_spans == CONTINUED_ROWS;
    const int64_t last = (call->first_span + spans) * SPAN, end = last < call->n_keys ? last : call->n_keys;
    memset(space->totals, 0, rows * width * sizeof(REAL));
    for (int64_t r = 0; r < rows && is_continued; r++) T(load_partial)(call, space->rows + r, space->totals + r * width);
    for (int64_t span = call->first_span * SPAN; span < end; span += SPAN) {
        if (!T(asks_for_matrices)(call) && (span + SPAN <= first_key || span >= end_key)) continue;
        T(evaluate_span)(call, space, rows, span);
        if (T(is_cancelled)(call)) return;
        for (int64_t r = 0; r < rows; r++)
            T(merge_span)(call, space->rows + r, space->sums + r * width, space->totals + r * width);
    }
    if (call->normalizer == SCORES_ONLY) return;
    for (int64_t r = 0; r < rows && !T(is_cancelled)(call); r++) {
        struct T(row) *row = space->rows + r;
        REAL *totals = space->totals + r * width;
        if (is_continued) T(store_partial)(call, row, 0, row->total_maximum, row->total_sum, totals);
        else T(finish_row)(call, row, totals);
    }
}

/* Numbers of the scratch memory for keys, and for values, that are stored in two bytes. */
INLINE int64_t T(widened_keys)(const struct call *call) {
    return call->key_storage == COMPUTED ? 0 : PANEL * call->n_features;
}
INLINE int64_t T(widened_values)(const struct call *call) {
    return call->value_storage == COMPUTED ? 0 : BLOCK * call->n_value_features;
}

/* Bytes of scratch memory that one thread needs. */
static int64_t T(scratch_size)(const struct call *call) {
    const int64_t rows = call->task_rows, features = call->n_features;
    const int64_t numbers = rows * (features + 2 * call->n_value_features) + BLOCK * features + 2 * TILE_ROWS * BLOCK;
    const int64_t widened = T(widened_keys)(call) + T(widened_values)(call);
    return (numbers + widened + 8 * 16) * (int64_t)sizeof(REAL) + rows * (int64_t)sizeof(struct T(row));
}

static void T(run)(struct call *call, REAL *scratch) {
    struct T(workspace) space;
    const int64_t rows = call->task_rows, width = call->n_value_features;
    const int64_t features = call->n_features;
#define TAKE(count) scratch; scratch += ((count) + 15) / 16 * 16
    space.queries = TAKE(rows * features);
    space.panels = TAKE(BLOCK * features);
    space.tile = TAKE(TILE_ROWS * BLOCK);
    space.logits = TAKE(TILE_ROWS * BLOCK);
    space.sums = TAKE(rows * width);
    space.totals = TAKE(rows * width);
    space.keys = TAKE(T(widened_keys)(call));
    space.values = TAKE(T(widened_values)(call));
    space.rows = (struct T(row) *)scratch;
#undef TAKE
    for (;;) {
        const int64_t task = __atomic_fetch_add(&call->next_task, 1, __ATOMIC_RELAXED);
        if (task >= call->n_tasks || T(is_cancelled)(call)) return;
        if (call->split_spans == MERGED_SPANS) T(run_merge)(call, &space, task);
        else T(run_task)(call, &space, task);
        const int64_t done = __atomic_add_fetch(&call->tasks_done, 1, __ATOMIC_ACQ_REL);
        if (call->split_spans == SINGLE_SPANS && call->normalizer != SCORES_ONLY && done == call->n_tasks)
            T(merge_partials)(call, space.totals, 0, call->n_matrices * call->n_queries);
    }
}
