/* One attention call, as Python fills it in; `library.py` names the same fields in the same order.
 *
 * A matrix is one leading index of the scores.  Arrays named `…_at` hold for each matrix where its data begins, in
 * elements, so that broadcast and grouped leading axes need no copies.  Strides count elements.  A null pointer means
 * that the argument is absent.  Every field has eight bytes, so that one format describes the whole.
 */
#ifndef ATTENTION_CALL_H
#define ATTENTION_CALL_H

#include <stdint.h>

enum score { DOT = 0, SQUARED_DISTANCE = 1, ABSOLUTE_DISTANCE = 2, ADDITIVE = 3, PROJECTION = 4 };
enum storage { COMPUTED = 0, HALF = 1, BFLOAT = 2 }; /* numbers of the kernel's type; two bytes: IEEE binary16, bfloat16 */
enum division { WHOLE_ROWS = 0, SINGLE_SPANS = 1, LEFT_SPANS = 2, MERGED_SPANS = 3, CONTINUED_ROWS = 4 };
enum normalizer { SOFTMAX = 0, PROPORTIONAL = 1, SIGMOID = 2, RELU = 3, NONE = 4, SCORES_ONLY = 5 };

struct call {
    int64_t n_matrices, n_queries, n_keys, n_features, n_value_features;
    int64_t group;          /* matrices in succession that share keys and values: query heads of one key and value head */
    int64_t task_rows;      /* rows of a task: (matrix of the group, query) pairs, queries fastest */
    int64_t split_spans;    /* enum division, what a task takes of its rows: WHOLE_ROWS: all spans; SINGLE_SPANS: one, and the last task merges
                             * all partial results; LEFT_SPANS: one, and nothing is merged; MERGED_SPANS: partial results alone,
                             * which it merges; CONTINUED_ROWS: all spans, from a partial result on, to another in its place */
    int64_t first_span, n_spans; /* spans that the tasks take, of all keys; keys and values of others are not read */
    int64_t matrix_keys;    /* numbers from a row of a matrix of the result to the next */
    int64_t score, normalizer;

    const void *query, *key, *value; /* rows of contiguous features */
    const int64_t *query_at, *key_at, *value_at;
    int64_t query_stride, key_stride, value_stride; /* from a row to the next */
    int64_t key_storage, value_storage;      /* enum storage; not COMPUTED: the kernel in float, forward pass */

    const double *scale;                     /* of each matrix: factor of the pair function */
    const void *query_terms, *key_terms;     /* added to the scores, one a query and one a key; both or neither */
    const int64_t *query_terms_at, *key_terms_at;
    const void *score_vector;                /* additive: v, one number a feature */
    const int64_t *score_vector_at;
    double softcap;                          /* 0: none */
    const void *bias;
    const int64_t *bias_at;
    int64_t bias_row_stride, bias_key_stride;
    const double *slopes;                    /* ALiBi: of each matrix */
    const int64_t *query_position;           /* ALiBi: of each query among the keys */
    const int64_t *query_position_at;
    const int64_t *key_position;             /* ALiBi: of each key; null: its index */
    const int64_t *key_position_at;

    const int64_t *first_key, *end_key;      /* each query sees keys of [first, end); null: all */
    const int64_t *range_at;                 /* where a matrix's ranges begin */
    const uint8_t *allowed;                  /* and of those the keys whose byte is not 0; null: all */
    const int64_t *allowed_at;
    int64_t allowed_row_stride, allowed_key_stride;

    const double *temperature;               /* of each matrix: 1/T of softmax, or the bias of sigmoid */
    const double *sink;                      /* softmax: of each matrix */
    int64_t nan_rows;                        /* whether NaN or +∞ among visible logits makes the row NaN */
    int64_t plain;                           /* whether logits are scale · score, hidden by ranges alone, and no matrix is asked for */

    void *output;                            /* (matrices, queries, value features) */
    void *maximum, *logsumexp;               /* (matrices, queries) */
    void *divisor;                           /* (matrices, queries): exp((z − maximum)/T), z or max(z, 0) over a weight */
    void *scores, *capped_scores, *logits, *weights; /* (matrices, queries, keys) */
    int64_t n_ranked;                        /* keys of the ranking of each row, of whose logits it is made; 0: none */
    int64_t *ranked_keys;                    /* (matrices, queries, n_ranked): visible ones by descending weight, then hidden ones */
    void *ranked_weights;                    /* (matrices, queries, n_ranked) */
    int64_t *ranked_counts;                  /* (matrices, queries): visible keys */
    uint8_t *unsafe;                         /* (matrices, queries): whether a row's numbers are not all finite */

    void *partial_output, *partial_state;    /* but for WHOLE_ROWS: (spans, matrices, queries, value features) and (…, 4) */

    const void *gradients;                   /* a struct gradients: run the backward pass, after the forward pass */

    /* Shared by the threads; rows that are unsafe, and rows whose maximum is not finite, are counted. */
    int64_t next_task, n_tasks, tasks_done, cancelled, unsafe_rows, notable_rows;
};

/* The key with nearly all the weight of a row, if there is one, whose ∂logit is made of those of the other keys. */
struct dominant {
    int64_t number;       /* of the key, from 1 on; 0: no key of the row is dominant */
    double slope, score;  /* of the soft cap, 1 without one; before it, 0 where `score_dot` is null */
};

/* What the backward pass of a call needs and fills beside it.  `output`, `maximum` and `divisor` of the call are those
 * of the forward pass.  The gradients of key and value are summed over the queries of a group.  For distances, those of
 * query and key are Σ ∂score · scale · (key − query), or its sign, and the other way around: factors are the caller's.
 */
struct gradients {
    const void *output_gradient;             /* rows of contiguous features */
    const int64_t *output_gradient_at;
    int64_t output_gradient_stride;
    int64_t finite;                          /* whether no number of query and output gradient is NaN or infinite */
    int64_t chunk_keys, n_chunks;            /* keys of a task, a multiple of KEY_BLOCK, and how many times that */
    int64_t all_groups;                      /* 1: a task takes its keys of every group, which share a gradient of the bias */
    int64_t *chunks_done;                    /* (groups), 0: shared by the threads */

    void *query, *query_partial;             /* (matrices, queries, features) of the first chunk, and (chunks − 1, …) */
    void *key, *value;                       /* (groups, keys, features), (groups, keys, value features) */
    void *query_dot;                         /* (matrices, queries): query · its gradient: Σ score · ∂score of products */
    void *score_dot;                         /* (chunks, matrices, queries), 0: Σ score · ∂score of any score; or null */
    void *query_terms;                       /* (chunks, matrices, queries), 0: Σ ∂score over the keys; or null */
    void *key_terms;                         /* (groups, keys), 0: Σ ∂score over the queries; or null */
    void *score_vector;                      /* additive: (chunks, matrices, features), 0 */
    void *parameter;                         /* (chunks, matrices, queries), 0: Σ (z − maximum) · ∂z of softmax, Σ ∂z of sigmoid; or null */
    void *rest;                              /* softmax, proportional: (chunks, matrices, queries), 0; rows with a dominant key have
                                              * Σ ∂z or Σ w · ∂z of their other keys here */
    void *dominant;                          /* softmax, proportional: (matrices, queries) of struct dominant, 0; or null */
    void *bias_pairs;                        /* 0, where the bias has both axes: its own shape */
    const int64_t *bias_at;
    int64_t bias_row_stride;
    void *bias_keys;                         /* (matrices, keys), 0, where one bias serves all queries */
    void *bias_rows;                         /* (chunks, matrices, queries), 0, where one bias serves all keys */
};
#endif
