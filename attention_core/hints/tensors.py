"""What others call queries, keys, values, caches, heads and the parameters of score models."""

from attention_core.hints.translation import Translation

FROM_SHAPES = "It is read from the shapes of query, key and value: leave it out."
PROJECT = "Nothing is projected here: multiply query, key and value by the weights before you send them."
TURN_YOURSELF = "turn query and key yourself, and leave {position} out."

TENSORS: tuple[Translation, ...] = (
    # D2L queries, keys, values; FlashAttention q, k, v; Hugging Face query_states.
    Translation(
        "q queries query_states query_layer query_tensor xq q_tensor tgt target decoder_state",
        "Here it is {query}.",
    ),
    Translation("k keys key_states key_layer key_tensor xk k_tensor encoder_outputs", "Here it is {key}."),
    Translation("values value_states value_layer value_tensor xv v_tensor", "Here it is {value}."),
    Translation("v", "Here it is {value}; the v of additive attention is {score_model.additive.score_vector}."),
    Translation("keys k", "Here it is {labels.key}.", within="labels"),
    Translation("queries q", "Here it is {labels.query}.", within="labels"),
    Translation(
        "x inputs input hidden_states embeddings tokens_embedded input_ids src source",
        "Send {query}, {key} and {value}; for self-attention they are projections of the same vectors.",
    ),
    Translation(
        "qkv kv packed_qkv qkv_packed kv_packed packed_kv key_value",
        "Split it into {query}, {key} and {value}.",
    ),
    # torch.autograd, FlashAttention's and cuDNN's backward passes, JAX vjp.
    Translation(
        "grad_output grad_outputs grad_out output_grad output_grads out_grad dout d_out doutput d_output do "
        "upstream upstream_grad upstream_gradient grad_o gradient cotangent cotangents gradient_output",
        "Here it is 'output_gradient', beside 'request' in POST /v1/attention/gradients.",
    ),
    # PyTorch nn.MultiheadAttention, D2L MultiHeadAttention, Keras.
    Translation(
        "in_proj_weight in_proj_bias out_proj out_proj_weight out_proj_bias q_proj k_proj v_proj o_proj "
        "q_proj_weight k_proj_weight v_proj_weight use_bias w_o wo qkv_bias kernel_initializer "
        "output_shape use_separate_proj_weight",
        PROJECT,
    ),
    # Hugging Face transformers, ONNX Attention, FlashAttention kvcache.
    Translation(
        "past_key_value past_key_values kv_cache layer_past cache past past_kv key_value_cache past_state "
        "past_keys_values",
        "Here it is {past_key} and {past_value}; the next ones come with {include=present}.",
    ),
    Translation("key_cache k_cache past_k past_keys cached_key prev_key cache_k", "Here it is {past_key}."),
    Translation(
        "value_cache v_cache past_v past_values cached_value prev_value cache_v",
        "Here it is {past_value}.",
    ),
    Translation(
        "use_cache return_present return_kv return_cache output_present use_past",
        "What to send as the next past comes with {include=present}.",
    ),
    Translation(
        "block_table block_tables page_table paged_kv_cache paged_kv_indices slot_mapping page_size "
        "cache_batch_idx kv_page_indices paged_kv_last_page_len",
        "There are no pages: gather them into {past_key} and {past_value}.",
    ),
    # PyTorch, JAX and FlexAttention enable_gqa; Hugging Face.
    Translation(
        "enable_gqa use_gqa gqa pack_gqa num_key_value_groups n_rep num_queries_per_kv gqa_group_size "
        "multi_query use_mqa",
        "Grouped heads need no switch: the head counts of rank 4 imply them, and query head h uses key head "
        "h // (Hq/Hkv). Leave it out; inputs packed as (B, L, H·D) name their heads in {heads}.",
    ),
    Translation(
        "num_heads n_heads n_head nhead nheads num_attention_heads num_query_heads n_query_heads "
        "num_q_heads q_num_heads num_qo_heads q_heads query_heads number_of_heads n_heads_q num_heads_q "
        "head_count",
        "For inputs packed as (B, L, H·D) it is {heads.query}, beside {heads.key_value}. At rank 4 the axis of the "
        "heads says it: leave it out.",
    ),
    Translation(
        "num_kv_heads n_kv_heads num_key_value_heads kv_num_heads kv_heads num_heads_k nheads_k "
        "num_heads_kv n_head_kv head_count_kv key_value_heads num_query_groups n_kv_head key_heads",
        "For inputs packed as (B, L, H·D) it is {heads.key_value}, beside {heads.query}. At rank 4 the axis of the "
        "heads implies it: leave it out.",
    ),
    Translation("q n num total count", "Here it is {heads.query}.", within="heads"),
    Translation(
        "kv k key value v",
        "Here it is {heads.key_value}: keys and values come in the same heads.",
        within="heads",
    ),
    Translation(
        "head_dim head_size d_k d_v d_head dim_head key_dim qk_head_dim v_head_dim value_dim embed_dim "
        "d_model hidden_size num_hiddens kdim vdim query_size key_size value_size dim units batch_size "
        "max_seqlen max_seqlen_q max_seqlen_k max_seq_len max_length seq_len seqlen q_len kv_len "
        "total_sequence_length num_steps n_ctx context_length max_position_embeddings",
        f"{FROM_SHAPES} Padded keys are hidden with {{mask.key_lengths}}.",
    ),
    # FlashAttention, xFormers and JAX keep (B, L, H, D); Transformer Engine qkv_format; FlashInfer kv_layout.
    Translation(
        "qkv_format kv_layout tensor_layout input_layout qkv_layout data_format bshd is_past_bsnh "
        "batch_first kv_format memory_layout q_layout axis_order",
        "Rank 4 is (batch, heads, length, features), and with {layout=bshd} (batch, length, heads, features), which "
        "JAX, FlashAttention and xFormers take. Packed inputs are (batch, length, heads · features).",
    ),
    # Parameters of score models.  Bahdanau: v_a, W_a, U_a; D2L AdditiveAttention: W_q, W_k, w_v; Luong general: W_a.
    Translation(
        "w_q wq w_query q_weight query_kernel query_matrix",
        "Of additive attention it is {score_model.additive.query_weight}, shape (U, Dq). A projection of the queries "
        "is not made here: multiply before you send them.",
    ),
    Translation(
        "w_k wk w_key k_weight key_kernel key_matrix u_a w_memory memory_kernel",
        "Of additive attention it is {score_model.additive.key_weight}, shape (U, Dk). A projection of the keys is not "
        "made here: multiply before you send them.",
    ),
    Translation(
        "w_v v_a attention_v v_weight score_weight",
        "Of additive attention it is {score_model.additive.score_vector}, shape (U). A projection of the values is not "
        "made here: multiply before you send them.",
    ),
    Translation(
        "v vector v_vector value_weight v_att",
        "Here it is {score_model.additive.score_vector}, shape (U).",
        within="score_model",
    ),
    Translation(
        "w_a wa w weight_matrix",
        "Luong's is {score_model.bilinear.weight}, shape (Dq, Dk); Bahdanau's W_a is "
        "{score_model.additive.query_weight}, shape (U, Dq), beside U_a in {score_model.additive.key_weight}.",
    ),
    Translation(
        "b b_a bias biases",
        "Of additive attention it is {score_model.additive.hidden_bias}, shape (U); numbers added to the scores are "
        "{bias}.",
        within="score_model",
    ),
    Translation(
        "sigma width lengthscale length_scale std stddev radius kernel_width",
        "Here it is {score_model.gaussian.bandwidth}: exp(−‖q − k‖² / (2·bandwidth²)).",
    ),
    Translation(
        "gamma kernel_gamma",
        "A gaussian exp(−gamma·‖q − k‖²) has {score_model.gaussian.bandwidth} = 1/√(2·gamma), a laplacian "
        "exp(−gamma·‖q − k‖₁) {score_model.laplacian.bandwidth} = 1/gamma.",
    ),
    # Rotary: Hugging Face rope_theta, FlashInfer rope_scale, FlashAttention rotary_cos, onnxruntime do_rotary.
    Translation(
        "rope use_rope rotary_emb rotary_embedding use_rotary do_rotary apply_rotary use_rotary_emb "
        "apply_rope rotary_positions",
        "Here it is {position.rotary}.",
    ),
    Translation(
        "rope_theta theta rotary_base rope_base rotary_emb_base rope_freq_base freq_base rotary_theta",
        "Here it is {position.rotary.base}.",
    ),
    Translation(
        "rotary_interleaved rope_interleaved interleave interleaved_rope",
        "Here it is {position.rotary.interleaved}: true pairs (2m, 2m + 1), false (m, m + D/2).",
    ),
    Translation(
        "is_neox_style is_neox neox_style neox",
        "It is the opposite of {position.rotary.interleaved}: NeoX pairs (m, m + D/2), which is false.",
    ),
    Translation(
        "rotary_cos rotary_sin cos sin cos_cache sin_cache cos_sin_cache freqs_cis freqs inv_freq "
        "position_embeddings rope_cos rope_sin",
        f"Angles are computed here, from {{position.rotary.base}}. For angles of your own {TURN_YOURSELF}",
    ),
    # Hugging Face partial_rotary_factor, rope_parameters and rope_scaling; FlashInfer rope_scale; llama.cpp.
    Translation(
        "rotary_dim rotary_ndims rotary_embedding_dim rope_dim n_rot rotary_dims",
        "Here it is {position.rotary.dims}: the first features are turned, the others stay.",
    ),
    Translation(
        "rotary_pct partial_rotary_factor rope_pct rotary_percentage",
        "Here it is {position.rotary.dims}, a number of features: partial_rotary_factor · D.",
    ),
    Translation(
        "rope_scaling rope_parameters rotary_scaling rope_config",
        "Here it is {position.rotary.scaling}, where rope_type is {position.rotary.scaling.kind}; rope_theta is "
        "{position.rotary.base}.",
    ),
    Translation("rope_type rope_scaling_type", "Here it is {position.rotary.scaling.kind}."),
    Translation(
        "type rope_type name scaling_type rope_scaling_type method mode",
        "Here it is {position.rotary.scaling.kind}.",
        within="scaling",
    ),
    Translation(
        "scale scaling_factor s rope_factor rope_scale context_factor seq_len_interpolation_factor",
        "Here it is {position.rotary.scaling.factor}.",
        within="scaling",
    ),
    *(
        Translation(
            "max_position_embeddings max_seq_len max_position max_length context_length",
            "The longest sequence in training, before its extension, is "
            "{position.rotary.scaling.original_max_position_embeddings}; {position.rotary.scaling.factor} is the "
            "extended length over it.",
            within=field,
        )
        for field in ("scaling", "position")
    ),
    # Meta's and DeepSeek's code, GGUF and llama.cpp.
    Translation(
        "original_context_length original_max_seq_len original_seq_len original_max_position original_length "
        "orig_ctx yarn_orig_ctx n_ctx_orig old_context_len train_length training_length",
        "Here it is {position.rotary.scaling.original_max_position_embeddings}.",
        within="scaling",
    ),
    Translation("yarn_beta_fast fast", "Here it is {position.rotary.scaling.beta_fast}.", within="scaling"),
    Translation("yarn_beta_slow slow", "Here it is {position.rotary.scaling.beta_slow}.", within="scaling"),
    Translation(
        "attn_factor yarn_attn_factor attention_scaling attn_scale",
        "{position.rotary.scaling.attention_factor} is the whole factor: attn_factor of other code times "
        "(0.1·ln(factor) + 1).",
        within="scaling",
    ),
    Translation(
        "extrapolation_factor ext_factor yarn_ext_factor",
        "The ramp is that of the paper, whose extrapolation factor is 1: leave it out.",
        within="scaling",
    ),
    Translation(
        "short_factor long_factor short_mscale long_mscale mrope_section",
        "There is no such scaling: turn query and key yourself, and leave {position} out.",
        within="scaling",
    ),
    Translation(
        "alpha ntk_alpha",
        "Where alpha scales the base, send it as {position.rotary.scaling.factor}, with "
        "{position.rotary.scaling.kind=ntk}.",
        within="scaling",
    ),
    Translation(
        "rope_theta rotary_base theta base",
        "Here it is {position.rotary.base}, beside the scaling and not in it.",
        within="scaling",
    ),
    Translation(
        "partial_rotary_factor rotary_pct rotary_dim rotary_dims",
        "Here it is {position.rotary.dims}, a number of features beside the scaling: partial_rotary_factor · D.",
        within="scaling",
    ),
    Translation(
        "rope_scale scaling_factor",
        "Here it is {position.rotary.scaling.factor} of {position.rotary.scaling.kind=linear}, which divides angles by "
        "it.",
    ),
    Translation(
        "rope_freq_scale", "It multiplies angles: {position.rotary.scaling.factor} = 1 / rope_freq_scale divides them."
    ),
    Translation(
        "alibi_bias use_alibi alibi_mask linear_biases",
        "Here it is {position.alibi}; its slopes have a default.",
    ),
    Translation(
        "alibi_slopes slope alibi_slope alibi_scale m_slopes",
        "Here it is {position.alibi.slopes}: a number, or one for each query head, which lowers a score by "
        "slope · |i + offset − j|. FlashAttention aligns the ends: {mask.offset=bottom_right}.",
    ),
    Translation(
        "pos_encoding_mode position_embedding_type pos_emb pos_encoding positional_encoding "
        "position_encoding position_embedding positional_embedding use_positional",
        "Here it is {position}: {position.rotary} or {position.alibi}. An encoding that is added to the inputs of a "
        "model is added before you send them.",
    ),
    # FP8 kernels.
    Translation(
        "q_scale k_scale v_scale q_descale k_descale v_descale scale_q scale_k scale_v kv_scale kv_cache_dtype",
        "Nothing is quantized here: multiply the numbers before you send them.",
    ),
)
"""Vectors, caches, heads, shapes, parameters of score models and positions."""
