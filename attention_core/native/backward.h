/* The backward pass: blocks of queries against blocks of keys, weights computed again; included once for each type of
 * number, by `kernel.c`.
 *
 *     ∂value = weightsᵀ · ∂output        ∂query = ∂scores · key · scale
 *     ∂weights = ∂output · valueᵀ        ∂key = ∂scoresᵀ · query · scale
 *
 * A task takes a chunk of keys of a group and all queries that see them: it alone writes the gradients of these keys.
 * Gradients of queries are kept for each chunk, and the task that ends last adds them up in the order of the chunks.
 * Chunks depend on the number of keys alone, so that results do not depend on the number of threads.
 *
 * Dao et al. 2022, "FlashAttention", algorithm 4; Dao 2023, "FlashAttention-2", algorithm 2.
 */

/* Start the rows of a block of queries; return whether one of them sees a key of the block.  Rows that the forward pass
 * found unsafe see none: they are NumPy's. */
static int T(start_block)(const struct call *call, const struct T(backward_workspace) *space, struct T(block) *block) {
    int seen = 0;
    for (int r = 0; r < block->rows; r++) {
        struct T(row) *row = space->rows + r;
        T(place_row)(call, block->matrix, block->first_query + r, row);
        if (call->unsafe[row->matrix * call->n_queries + row->query]) row->first = row->end = 0;
        seen |= row->end > block->begin && row->first < block->begin + block->n && row->end > row->first;
    }
    return seen;
}

/* Point a block at its queries and ∂outputs, and at copies where a number is not finite. */
static void T(point_block)(const struct call *call, const struct T(backward_workspace) *space, struct T(block) *block) {
    const struct gradients *g = call->gradients;
    block->query_stride = block->finite_query_stride = call->query_stride;
    block->queries = (const REAL *)call->query + call->query_at[block->matrix] + block->first_query * call->query_stride;
    block->output_gradient_stride = block->finite_output_gradient_stride = g->output_gradient_stride;
    block->output_gradients = (const REAL *)g->output_gradient + g->output_gradient_at[block->matrix] +
                              block->first_query * g->output_gradient_stride;
    block->finite_queries = block->queries;
    block->finite_output_gradients = block->output_gradients;
    if (g->finite) return;
    if (!T(all_finite)(block->queries, block->query_stride, block->rows, call->n_features)) {
        T(copy_finite)(block->queries, block->query_stride, block->rows, call->n_features, space->queries);
        block->finite_queries = space->queries;
        block->finite_query_stride = call->n_features;
    }
    if (!T(all_finite)(block->output_gradients, block->output_gradient_stride, block->rows, call->n_value_features)) {
        T(copy_finite)(block->output_gradients, block->output_gradient_stride, block->rows, call->n_value_features,
                       space->output_gradients);
        block->finite_output_gradients = space->output_gradients;
        block->finite_output_gradient_stride = call->n_value_features;
    }
}

/* Differentiate a tile of queries against the block of keys, with ∂query; return its height. */
static int T(differentiate_tile)(const struct call *call, const struct T(backward_workspace) *space,
                                 struct T(block) *block, int first_row) {
    const int left = block->rows - first_row, tall = left < TILE_ROWS ? left : TILE_ROWS;
    int64_t first = block->n, end = 0;
    int rows = 0;
#define RUN(height) rows = height;
    FOR_HEIGHT(tall, RUN)
#undef RUN
    for (int r = first_row; r < first_row + rows; r++) {
        const struct T(row) *row = space->rows + r;
        if (row->first >= row->end) continue;
        if (row->first - block->begin < first) first = row->first - block->begin;
        if (row->end - block->begin > end) end = row->end - block->begin;
    }
    const int low = first > 0 ? (int)first / PANEL * PANEL : 0, n = end < block->n ? (int)end : block->n;
    for (int r = first_row; r < first_row + rows; r++) {
        block->low[r] = low;
        block->end[r] = n;
        if (low < n) continue;
        memset(space->weights + r * PAIR_STRIDE, 0, PAIR_STRIDE * sizeof(REAL));
        memset(space->score_gradients + r * PAIR_STRIDE, 0, PAIR_STRIDE * sizeof(REAL));
    }
    if (low >= n) return rows;
    T(score_pairs)(call, space, block, first_row, rows, low, n);
    for (int r = 0; r < rows; r++) T(differentiate_row)(call, space, block, first_row + r, r, low, n);
    if (call->score == ADDITIVE) {
        T(differentiate_additive)(call, space, block, first_row, rows, low, n);
        return rows;
    }
    const struct T(vectors) keys = {block->keys, block->key_stride};
    const struct T(vectors) queries = {block->finite_queries + first_row * block->finite_query_stride,
                                       block->finite_query_stride};
    const REAL *score_gradients = space->score_gradients + first_row * PAIR_STRIDE;
    REAL *sums = block->query_gradient + (block->first_query + first_row) * call->n_features;
#define ADD(NAME) T(NAME)(rows, low, n, score_gradients, keys, queries, call->n_features, sums)
    if (call->score == SQUARED_DISTANCE) ADD(add_keys_squared);
    else if (call->score == ABSOLUTE_DISTANCE) ADD(add_keys_absolute);
    else ADD(add_keys);
#undef ADD
    return rows;
}

/* Differentiate a block of queries against a block of keys. */
static void T(differentiate_block)(const struct call *call, const struct T(backward_workspace) *space,
                                   struct T(block) *block) {
    const int64_t features = call->n_features, width = call->n_value_features;
    if (!T(start_block)(call, space, block)) return;
    T(point_block)(call, space, block);
    for (int r = 0; r < block->rows;) r += T(differentiate_tile)(call, space, block, r);
    for (int k = 0; k < block->n;) {
        const int left = block->n - k, tall = left < TILE_ROWS ? left : TILE_ROWS;
        int first = 0, end = block->rows; /* rows whose tiles were computed for one of these keys */
        while (first < end && (block->low[first] >= k + tall || block->end[first] <= k)) first++;
        while (end > first && (block->low[end - 1] >= k + tall || block->end[end - 1] <= k)) end--;
        const struct T(vectors) output_gradients = {block->finite_output_gradients, block->finite_output_gradient_stride};
        const struct T(vectors) queries = {block->finite_queries, block->finite_query_stride};
        const struct T(vectors) keys = {block->keys + k * block->key_stride, block->key_stride};
        const int done = T(add_queries)(left, first, end, space->weights + k, output_gradients, keys, width,
                                        block->value_gradient + k * width);
#define ADD(NAME)                                                                                                      \
    T(NAME)(left, first, end, space->score_gradients + k, queries, keys, features, block->key_gradient + k * features)
        if (call->score == SQUARED_DISTANCE) ADD(add_queries_squared);
        else if (call->score == ABSOLUTE_DISTANCE) ADD(add_queries_absolute);
        else if (call->score == DOT) ADD(add_queries);
#undef ADD
        k += done;
    }
}

INLINE REAL *T(query_gradient)(const struct call *call, int64_t chunk, int64_t matrix) {
    const struct gradients *g = call->gradients;
    const int64_t size = call->n_queries * call->n_features;
    return chunk ? (REAL *)g->query_partial + ((chunk - 1) * call->n_matrices + matrix) * size
                 : (REAL *)g->query + matrix * size;
}

/* Differentiate all queries of a group against a chunk of keys. */
static void T(differentiate_chunk)(struct call *call, const struct T(backward_workspace) *space, int64_t group,
                                   int64_t chunk) {
    const struct gradients *g = call->gradients;
    const int64_t features = call->n_features, width = call->n_value_features, first = group * call->group;
    const int64_t end = (chunk + 1) * g->chunk_keys < call->n_keys ? (chunk + 1) * g->chunk_keys : call->n_keys;
    for (int64_t m = first; m < first + call->group; m++)
        memset(T(query_gradient)(call, chunk, m), 0, call->n_queries * features * sizeof(REAL));
    for (int64_t begin = chunk * g->chunk_keys; begin < end; begin += KEY_BLOCK) {
        struct T(block) block = {.group = group, .chunk = chunk, .begin = begin, .key_stride = call->key_stride};
        block.n = end - begin < KEY_BLOCK ? (int)(end - begin) : KEY_BLOCK;
        block.keys = (const REAL *)call->key + call->key_at[first] + begin * call->key_stride;
        T(pack_keys)(block.keys, call->key_stride, block.n, features, space->key_panels);
        T(pack_keys)((const REAL *)call->value + call->value_at[first] + begin * call->value_stride, call->value_stride,
                     block.n, width, space->value_panels);
        if (!T(all_finite)(block.keys, call->key_stride, block.n, features)) {
            T(copy_finite)(block.keys, call->key_stride, block.n, features, space->keys);
            block.keys = space->keys;
            block.key_stride = features;
        }
        block.key_gradient = (REAL *)g->key + (group * call->n_keys + begin) * features;
        block.value_gradient = (REAL *)g->value + (group * call->n_keys + begin) * width;
        memset(block.key_gradient, 0, block.n * features * sizeof(REAL));
        memset(block.value_gradient, 0, block.n * width * sizeof(REAL));
        if (call->score == ADDITIVE) memset(space->key_sums, 0, KEY_BLOCK * features * sizeof(REAL));
        for (block.matrix = first; block.matrix < first + call->group; block.matrix++) {
            block.query_gradient = T(query_gradient)(call, chunk, block.matrix);
            for (int64_t query = 0; query < call->n_queries; query += QUERY_BLOCK) {
                if (T(is_cancelled)(call)) return;
                block.first_query = query;
                block.rows = call->n_queries - query < QUERY_BLOCK ? (int)(call->n_queries - query) : QUERY_BLOCK;
                T(differentiate_block)(call, space, &block);
            }
        }
        if (call->score == ADDITIVE) T(write_key_sums)(call, space, &block);
    }
}

/* Add up ∂query of the chunks of a group, add what dominant keys contribute, and multiply it with the queries. */
static void T(finish_group)(const struct call *call, int64_t group) {
    const struct gradients *g = call->gradients;
    const int64_t features = call->n_features;
    for (int64_t matrix = group * call->group; matrix < (group + 1) * call->group; matrix++)
        for (int64_t query = 0; query < call->n_queries; query++) {
            REAL *total = T(query_gradient)(call, 0, matrix) + query * features;
            const REAL *queries = (const REAL *)call->query + call->query_at[matrix] + query * call->query_stride;
            for (int64_t c = 0; c < features && g->n_chunks > 1; c += LANES) {
                const int64_t present = features - c < LANES ? features - c : LANES;
                VECTOR sum = T(load_part)(total + c, present);
                for (int64_t chunk = 1; chunk < g->n_chunks; chunk++)
                    sum += T(load_part)(T(query_gradient)(call, chunk, matrix) + query * features + c, present);
                memcpy(total + c, &sum, present * sizeof(REAL));
            }
            if (g->dominant) T(add_dominant)(call, group, matrix, query, total);
            VECTOR product = {0};
            for (int64_t c = 0; c < features; c += LANES) {
                const VECTOR own = T(finite_or_zero)(T(load_part)(queries + c, features - c));
                product = T(fma)(own, T(load_part)(total + c, features - c), product);
            }
            ((REAL *)g->query_dot)[matrix * call->n_queries + query] = T(sum_lanes)(product);
        }
}

/* Bytes of scratch memory that one thread of the backward pass needs. */
static int64_t T(backward_scratch_size)(const struct call *call) {
    const int64_t features = call->n_features, width = call->n_value_features;
    const int64_t numbers = (3 * KEY_BLOCK + QUERY_BLOCK) * features + (KEY_BLOCK + QUERY_BLOCK) * width +
                            (3 * TILE_ROWS + 1) * BLOCK + 2 * QUERY_BLOCK * PAIR_STRIDE;
    return (numbers + 12 * 16) * (int64_t)sizeof(REAL) + QUERY_BLOCK * (int64_t)sizeof(struct T(row));
}

static void T(run_backward)(struct call *call, REAL *scratch) {
    const struct gradients *g = call->gradients;
    const int64_t features = call->n_features, width = call->n_value_features, groups = call->n_matrices / call->group;
    struct T(backward_workspace) space;
#define TAKE(count) scratch; scratch += ((count) + 15) / 16 * 16
    space.key_panels = TAKE(KEY_BLOCK * features);
    space.value_panels = TAKE(KEY_BLOCK * width);
    space.logits = TAKE(TILE_ROWS * BLOCK);
    space.logit_gradients = TAKE(TILE_ROWS * BLOCK);
    space.slopes = TAKE(TILE_ROWS * BLOCK);
    space.scores = TAKE(BLOCK);
    space.key_sums = TAKE(KEY_BLOCK * features);
    space.weights = TAKE(QUERY_BLOCK * PAIR_STRIDE);
    space.score_gradients = TAKE(QUERY_BLOCK * PAIR_STRIDE);
    space.keys = TAKE(KEY_BLOCK * features);
    space.queries = TAKE(QUERY_BLOCK * features);
    space.output_gradients = TAKE(QUERY_BLOCK * width);
    space.rows = (struct T(row) *)scratch;
#undef TAKE
    for (;;) {
        const int64_t task = __atomic_fetch_add(&call->next_task, 1, __ATOMIC_RELAXED);
        if (task >= call->n_tasks) return;
        const int64_t chunk = g->all_groups ? task : task / groups, group = g->all_groups ? 0 : task % groups;
        for (int64_t one = group; one < (g->all_groups ? groups : group + 1); one++) {
            T(differentiate_chunk)(call, &space, one, chunk);
            if (T(is_cancelled)(call)) return;
            if (g->all_groups) continue;
            if (__atomic_add_fetch(g->chunks_done + one, 1, __ATOMIC_ACQ_REL) == g->n_chunks) T(finish_group)(call, one);
        }
        /* Finishing a group writes to a gradient of the bias that all groups share. */
        if (g->all_groups && __atomic_add_fetch(g->chunks_done, 1, __ATOMIC_ACQ_REL) == g->n_chunks)
            for (int64_t one = 0; one < groups; one++) T(finish_group)(call, one);
        __atomic_add_fetch(&call->tasks_done, 1, __ATOMIC_ACQ_REL);
    }
}
#undef FOR_HEIGHT
