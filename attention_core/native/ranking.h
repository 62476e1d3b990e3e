/* The keys of a row by descending weight, from its logits; included once for each type of number, by `kernel.c`. */

#define RANKED_GROUP (8 * LANES) /* keys whose largest weight is compared with the last ranked one first */

/* The ranked keys of a row: a heap whose root is ranked last until `sort_ranked` puts the first key first. */
struct T(ranked) {
    int64_t *keys;
    REAL *weights;
    int64_t size, capacity;
};

/* Whether place `a` is ranked behind place `b`. */
INLINE int T(is_behind)(const struct T(ranked) *ranked, int64_t a, int64_t b) {
    const REAL *weights = ranked->weights;
    return weights[a] < weights[b] || (weights[a] == weights[b] && ranked->keys[a] > ranked->keys[b]);
}

INLINE void T(swap_ranked)(struct T(ranked) *ranked, int64_t a, int64_t b) {
    const int64_t key = ranked->keys[a];
    const REAL weight = ranked->weights[a];
    ranked->keys[a] = ranked->keys[b], ranked->weights[a] = ranked->weights[b];
    ranked->keys[b] = key, ranked->weights[b] = weight;
}

/* Move the root of the first `size` places down to where it belongs. */
static void T(sift_down)(struct T(ranked) *ranked, int64_t size) {
    for (int64_t place = 0, child = 1; child < size; place = child, child = 2 * place + 1) {
        if (child + 1 < size && T(is_behind)(ranked, child + 1, child)) child++;
        if (!T(is_behind)(ranked, child, place)) return;
        T(swap_ranked)(ranked, place, child);
    }
}

/* Rank a key behind those of equal weight; return the weight above which the next key has a rank. */
static REAL T(rank_key)(struct T(ranked) *ranked, int64_t key, REAL weight) {
    if (ranked->size < ranked->capacity) {
        int64_t place = ranked->size++;
        ranked->keys[place] = key, ranked->weights[place] = weight;
        for (; place && T(is_behind)(ranked, place, (place - 1) / 2); place = (place - 1) / 2)
            T(swap_ranked)(ranked, place, (place - 1) / 2);
    } else {
        ranked->keys[0] = key, ranked->weights[0] = weight;
        T(sift_down)(ranked, ranked->size);
    }
    return ranked->size < ranked->capacity ? (REAL)-INFINITY : ranked->weights[0];
}

static void T(sort_ranked)(struct T(ranked) *ranked) {
    for (int64_t end = ranked->size - 1; end > 0; end--) {
        T(swap_ranked)(ranked, 0, end);
        T(sift_down)(ranked, end);
    }
}

/* Write the ranked keys of a row, with their weights, and the number of its visible keys; hidden keys come last. */
static void T(rank_row)(const struct call *call, const struct T(row) *row, REAL factor, REAL divisor) {
    const int64_t at = row->matrix * call->n_queries + row->query, capacity = call->n_ranked;
    const REAL *logits = T(in_matrix)(call, call->logits, row, 0);
    const VECTOR hidden = T(all)((REAL)-INFINITY);
    struct T(ranked) ranked = {call->ranked_keys + at * capacity, (REAL *)call->ranked_weights + at * capacity, 0, capacity};
    REAL weights[RANKED_GROUP], least = -INFINITY;
    int64_t n_hidden = 0;
    for (int64_t first = 0; first < call->n_keys; first += RANKED_GROUP) {
        const int64_t n = call->n_keys - first < RANKED_GROUP ? call->n_keys - first : RANKED_GROUP;
        VECTOR largest = hidden;
        T(mask) unseen_keys = {0}; /* −1 for each */
        for (int k = 0; k < n; k += LANES) {
            VECTOR z = hidden;
            if (n - k >= LANES) z = T(load)(logits + first + k);
            else memcpy(&z, logits + first + k, (n - k) * sizeof(REAL));
            const T(mask) unseen = z == hidden;
            const VECTOR weight = T(select)(unseen, hidden, T(final_weight)(call, row, z, factor, divisor));
            unseen_keys += unseen;
            largest = T(max)(largest, weight);
            T(store)(weights + k, weight);
        }
        for (int i = 0; i < LANES; i++) n_hidden -= unseen_keys[i];
        n_hidden -= (LANES - n % LANES) % LANES;
        if (!(T(max_lanes)(largest) > least)) continue;
        for (int k = 0; k < n; k++)
            if (weights[k] > least) least = T(rank_key)(&ranked, first + k, weights[k]);
    }
    call->ranked_counts[at] = call->n_keys - n_hidden;
    T(sort_ranked)(&ranked);
    for (int64_t k = 0; ranked.size < capacity && k < call->n_keys; k++)
        if (logits[k] == -INFINITY) ranked.keys[ranked.size] = k, ranked.weights[ranked.size++] = 0;
}
