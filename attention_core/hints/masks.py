"""What others call masks, biases and positions among the keys."""

from attention_core.hints.translation import Translation

ADDED = "Numbers to be added go to {bias}, with null for minus infinity."
NO_QUERY_MASK = (
    "There is no mask of queries: leave it out and drop the rows of padded queries from the answer. To have these rows "
    "zero, send {mask.allowed} of shape (B, 1, Lq, 1), or (B, Lq, 1) at rank 3, with false for them."
)
ENDS = "FlashAttention and FlashInfer align the ends when Lq and Lk differ: {mask.offset=bottom_right}."

MASKS: tuple[Translation, ...] = (
    # PyTorch scaled_dot_product_attention and nn.MultiheadAttention, ONNX Attention.
    Translation(
        "attn_mask",
        "Booleans go to {mask.allowed}, where true = may see, as in scaled_dot_product_attention and ONNX; invert a "
        f"mask of nn.MultiheadAttention, whose True hides. {ADDED}",
    ),
    # Keras and JAX; FlashInfer's custom_mask; the textbooks.
    Translation(
        "mask custom_mask boolean_mask bool_mask allow visible keep may_attend",
        "Booleans, true = may see, go to {mask.allowed}: the same meaning as in JAX, Keras and FlashInfer. "
        f"{ADDED} A causal mask is {{mask.causal=true}}, and a condition such as j <= p is {{mask.formula}}.",
    ),
    Translation(
        "masked hidden blocked ignore_mask masked_positions",
        "The opposite goes to {mask.allowed}, where true = may see: invert it.",
    ),
    # Hugging Face transformers.
    Translation(
        "attention_mask encoder_attention_mask decoder_attention_mask cross_attention_mask",
        "1 or True, which keep a key in Hugging Face transformers and Keras, is true in {mask.allowed}; a padding mask "
        f"(B, Lk) goes to {{mask.key_allowed}}. {ADDED}",
    ),
    # PyTorch nn.MultiheadAttention and nn.Transformer.
    Translation(
        "key_padding_mask src_key_padding_mask tgt_key_padding_mask memory_key_padding_mask",
        "True hides a key in PyTorch: invert it into {mask.key_allowed}, (Lk) or (B, Lk). For padding at the end "
        "{mask.key_lengths} does as well.",
    ),
    Translation(
        "src_mask tgt_mask memory_mask",
        f"True hides a key in nn.Transformer: invert it into {{mask.allowed}}. {ADDED}",
    ),
    # Keras MultiHeadAttention and Attention.
    Translation(
        "key_mask value_mask kv_mask",
        "True keeps a key in Keras: {mask.key_allowed}, (Lk) or (B, Lk). For padding at the end {mask.key_lengths} "
        "does as well.",
    ),
    Translation(
        "padding_mask pad_mask padding",
        "Send {mask.key_allowed}, (Lk) or (B, Lk), where true = may see; invert a mask whose True or 1 marks the "
        "padding. For padding at the end {mask.key_lengths} does as well.",
    ),
    Translation("query_mask q_mask query_padding_mask query_attention_mask", NO_QUERY_MASK),
    # JAX query_seq_lengths, FlashAttention seqused_q, vLLM seq_lens_q.
    Translation(
        "query_lengths query_length q_lengths q_lens query_lens query_seq_lengths query_seq_len "
        "query_seqlens q_seqlens q_seq_lens seqused_q seqlens_q valid_query_lens",
        NO_QUERY_MASK,
    ),
    # D2L valid_lens; JAX key_value_seq_lengths; FlashAttention seqused_k; vLLM seq_lens; ONNX nonpad_kv_seqlen.
    Translation(
        "valid_lens valid_len valid_length valid_lengths key_value_seq_lengths kv_seq_lengths kv_seq_lens "
        "kv_seqlens kv_lengths kv_lens key_lens seqused_k seq_lens seqlens seq_lengths lengths "
        "context_lens context_lengths nonpad_kv_seqlen memory_lengths src_lengths source_lengths "
        "input_lengths key_value_lengths",
        "Here it is {mask.key_lengths}: one length for each batch row, (B), or for each query, (B, Lq); keys from the "
        "length on are hidden.",
    ),
    Translation(
        "seqlens_k",
        "Here it is {mask.key_lengths}, which counts every key; GroupQueryAttention of onnxruntime sends one less: "
        "add 1.",
    ),
    Translation(
        "cache_seqlens cache_lengths cache_lens",
        "Here it is {mask.key_lengths}, which counts past and new keys together: add the new ones to the length of the "
        "cache.",
    ),
    # FlashAttention's and FlashInfer's packed sequences.
    Translation(
        "cu_seqlens cu_seqlens_q cu_seqlens_k cu_seqlens_kv cu_seq_lens_q cu_seq_lens_k qo_indptr "
        "kv_indptr paged_kv_indptr seq_offsets jagged_offsets",
        "Packed documents are {mask.query_segments} and {mask.key_segments}, the number of the document for each "
        "position: the boundaries 0, 3, 5 become 0, 0, 0, 1, 1. Where queries and keys are packed alike, "
        "{mask.causal=true} holds inside each.",
    ),
    Translation(
        "segment_ids segments segment document_ids document_id doc_ids doc_id seq_idx documents",
        "Here it is {mask.query_segments} and {mask.key_segments}: a key is visible when the numbers are equal.",
    ),
    Translation(
        "q_segment_ids query_segment_ids q_segments",
        "Here it is {mask.query_segments}, together with {mask.key_segments}.",
    ),
    Translation(
        "kv_segment_ids key_segment_ids kv_segments k_segments",
        "Here it is {mask.key_segments}, together with {mask.query_segments}.",
    ),
    # FlashAttention and FlashInfer causal; PyTorch, JAX and ONNX is_causal; Keras use_causal_mask; onnxruntime
    # unidirectional.
    Translation("causal", f"Here it is {{mask.causal=true}}. {ENDS}"),
    Translation(
        "is_causal use_causal_mask use_causal unidirectional autoregressive is_decoder lower_triangular "
        "tril mask_future causality",
        "Here it is {mask.causal=true}: query i sees key j when j ≤ i + offset. It counts from the top left corner, as "
        "in PyTorch; {mask.offset=bottom_right} aligns the ends.",
    ),
    Translation(
        "causal_mask look_ahead_mask subsequent_mask future_mask",
        "Without an array it is {mask.causal=true}. An array of booleans is {mask.allowed}, where true = may see. "
        + ADDED,
    ),
    Translation(
        "bidirectional is_bidirectional non_causal full_attention",
        "Every key is visible by default: leave it out. To hide later keys send {mask.causal=true}.",
    ),
    # FlashAttention window_size (left, right); FlashInfer window_left.
    Translation(
        "window_size window_sizes sliding_window_left_right attn_window local_window",
        "The sides of (left, right) are {mask.window.left} and {mask.window.right}; -1, which is unbounded in "
        f"FlashAttention, is null here. {ENDS}",
    ),
    Translation(
        "window_left left_window left_window_size window_size_left",
        "Here it is {mask.window.left}; -1, unbounded elsewhere, is null here.",
    ),
    Translation(
        "window_right right_window right_window_size window_size_right",
        "Here it is {mask.window.right}; -1, unbounded elsewhere, is null here.",
    ),
    # JAX local_window_size; onnxruntime GroupQueryAttention has one of the same name.
    Translation(
        "local_window_size",
        "In JAX (left, right) are {mask.window.left} and {mask.window.right}, and one number is both; -1, unused in "
        "onnxruntime, is null here. With {mask.window.left=3} a query sees the three keys before its own.",
    ),
    # Hugging Face transformers and vLLM.
    Translation(
        "sliding_window sliding_window_size max_window attention_window_size",
        "A sliding window of W keys that counts the query's own is {mask.window.left} = W − 1, with "
        "{mask.causal=true}.",
    ),
    Translation(
        "attention_window window_radius",
        "Here it is {mask.window.left} and {mask.window.right}, the keys on each side; Longformer's counts both sides "
        "together: half of it each.",
    ),
    Translation(
        "size width before after lookback lookahead",
        "Here it is {mask.window.left} and {mask.window.right}; null is unbounded.",
        within="window",
    ),
    # PyTorch FlexAttention.
    Translation(
        "mask_mod block_mask mask_function mask_fn",
        "Functions are not sent; the condition of mask_mod(b, h, q_idx, kv_idx) goes to {mask.formula}, such as "
        "j <= p: j is kv_idx, and p is q_idx counted among the keys, past ones included; i indexes tables, doc[i]. "
        "Booleans for every pair are {mask.allowed}; {mask.causal=true}, {mask.window} and the segments need neither.",
    ),
    Translation(
        "score_mod score_modification score_fn_mod",
        "Functions are not sent; what score_mod(score, b, h, q_idx, kv_idx) returns goes to {score_modifier.formula}, "
        "such as score + slope * (j - p): j is kv_idx, and p is q_idx counted among the keys, past ones included; i "
        "indexes tables, table[i, j]. Numbers that are added alone are {bias}, tanh capping is {softcap}, and ALiBi is "
        "{position.alibi}.",
    ),
    Translation(
        "modifier modifiers score_modifiers score_transform logit_modifier logits_modifier",
        "Here it is {score_modifier.formula}: a number made of score and of the positions, such as "
        "score + slope * (j - p).",
    ),
    Translation(
        "params args kwargs constants coefficients param arguments formula_parameters",
        "Values of the names in a formula are {score_modifier.parameters}, {mask.parameters} and "
        "{score_model.expression.parameters}.",
    ),
    # xFormers attn_bias; onnxruntime attention_bias; T5 position_bias; Triton.
    Translation(
        "attn_bias attention_bias additive_mask mask_bias rel_pos_bias relative_position_bias "
        "position_bias relative_attention_bias core_attention_bias pair_bias extra_bias",
        "Here it is {bias}: numbers added to the scores after scale and soft cap; null is minus infinity. Of xFormers' "
        "objects LowerTriangularMask is {mask.causal=true}.",
    ),
    # Hugging Face transformers, vLLM, FlashAttention's kvcache.
    Translation(
        "cache_position past_length past_sequence_length position_offset seqlen_offset start_pos q_start "
        "query_offset q_offset causal_offset diagonal",
        "Here it is {mask.offset}: the position of query 0 among the keys; by default the length of the past.",
    ),
    Translation(
        "position_ids input_positions pos_ids segment_positions",
        "Here it is {positions.query} for the queries and {positions.key} for the keys, past and new; by default "
        "queries stand at {mask.offset} + i and keys at j.",
    ),
    # The last name of each row is that of the input of the Open Inference Protocol.
    Translation(
        "q_positions query_position_ids q_position_ids query_positions",
        "Here it is {positions.query}, without an offset.",
    ),
    Translation(
        "kv_positions k_positions key_position_ids kv_position_ids key_positions",
        "Here it is {positions.key}, past and new.",
    ),
    Translation("q queries query_positions", "Here it is {positions.query}.", within="positions"),
    Translation("k kv keys key_positions", "Here it is {positions.key}.", within="positions"),
    # T5 and GLM prefixes; PyTorch's prefix_lm mask_mod.
    Translation(
        "prefix prefix_length prefix_len prefix_lens prefix_lm prefix_size num_prefix_tokens prefix_causal",
        "Here it is {mask.prefix_lengths}, one for each batch row, with {mask.causal=true}: every query sees the keys "
        "of the prefix.",
    ),
)
"""Masks, lengths, windows, biases, and where queries stand among the keys."""
