"""What others call scales, caps, normalizers, dropout, outputs and the way of computing."""

from attention_core.hints.translation import Translation

NO_EFFECT = "It would not change the result: leave it out."

OPTIONS: tuple[Translation, ...] = (
    # FlashAttention softmax_scale; FlashInfer and Triton sm_scale; Hugging Face scaling; PyTorch scale.
    Translation(
        "softmax_scale sm_scale attn_scale attention_scale qk_scale scaling scale_factor score_scale "
        "dot_scale attention_multiplier logit_scale logits_scale bmm1_scale",
        "Here it is {score_model.scaled_dot_product.scale}: it multiplies q·k and is 1/√D by default.",
    ),
    Translation(
        "norm_factor scale_divisor sqrt_d sqrt_dk inv_scale",
        "It divides; {score_model.scaled_dot_product.scale} multiplies: send 1 / norm_factor.",
    ),
    Translation(
        "query_pre_attn_scalar",
        "Here it is {score_model.scaled_dot_product.scale} = 1 / √(query_pre_attn_scalar).",
    ),
    # Keras Attention use_scale; Hugging Face scale_attn_weights.
    Translation(
        "use_scale scaled scale_attn_weights scale_attention is_scaled unscaled",
        "With a scale it is {score_model.scaled_dot_product}, without one {score_model.dot_product}.",
    ),
    # FlashInfer logits_soft_cap; Gemma attn_logit_softcapping; Keras attn_logits_soft_cap; ONNX softcap.
    Translation(
        "logits_soft_cap logit_soft_cap attn_logit_softcapping attn_logits_soft_cap "
        "attn_logit_soft_cap logits_softcap logit_softcapping attn_softcap tanh_cap logit_cap logits_cap "
        "attn_logit_cap softcapping soft_capping attention_softcap tanh",
        "Here it is {softcap}: softcap · tanh(score / softcap), before bias and mask. Leave it out where 0 stands for "
        "none.",
    ),
    Translation(
        "temp tau t softmax_temperature temperatures attn_temperature softmax_temp",
        "Here it is {normalizer.softmax.temperature}: the logits are divided by it.",
    ),
    Translation(
        "beta inverse_temperature sharpness inv_temperature",
        "It multiplies the logits; {normalizer.softmax.temperature} divides them: send 1 / beta.",
    ),
    # gpt-oss sinks; FlashInfer and Transformer Engine; onnxruntime head_sink.
    Translation(
        "sinks attn_sink attn_sinks attention_sink s_aux head_sink sink_logits learnable_sink "
        "sink_weights softmax_offset",
        "Here it is {normalizer.softmax.sink}: a logit, or one for each query head, in the denominator alone.",
    ),
    Translation(
        "attention_sinks sink_token_length num_sink_tokens attention_sink_size sink_size n_sink",
        "First keys that stay visible beside a window are true in {mask.allowed}. A logit in the denominator alone is "
        "{normalizer.softmax.sink}.",
    ),
    # onnxruntime GroupQueryAttention smooth_softmax; PyTorch nn.MultiheadAttention add_zero_attn.
    Translation(
        "smooth_softmax use_smooth_softmax softmax_plus_one softmax_one softmax1 off_by_one add_one "
        "use_softmax_one quiet_softmax add_zero_attn",
        "It adds exp(0) to the denominator: {normalizer.softmax.sink=0}.",
    ),
    Translation(
        "add_bias_kv bias_k bias_v bias_kv",
        "Append the learned vectors to {key} and {value} before you send them.",
    ),
    Translation(
        "normalization normalisation normalize normalise normalized norm attention_activation activation "
        "activation_fn softmax_type softmax_fn use_softmax attn_fn softmax_function",
        "How scores become weights is {normalizer}, {normalizer.softmax} by default.",
    ),
    Translation(
        "axis softmax_axis attention_axes softmax_dim",
        "Weights are normalised over the keys, always: leave it out.",
    ),
    Translation(
        "qk_norm use_qk_norm normalize_qk qk_layernorm cosine_sim_attn l2_norm_qk q_norm k_norm",
        "Dot products of unit vectors are {score_model.cosine}. Other norms have weights: apply them to query and key "
        "before you send these.",
    ),
    # Keras score_mode; Luong's and the textbooks' words.
    Translation(
        "score scoring score_fn score_func score_function score_mode score_type scoring_function "
        "attention_type attn_type attention_mode attention_mechanism attention attn_func similarity "
        "similarity_function sim alignment alignment_function alignment_model model model_name model_type "
        "kernel kernel_function distance metric compatibility_function",
        "How a query scores a key is {score_model}.",
    ),
    *(
        Translation(
            "type kind method mode fn function id class class_name",
            "It is called name here.",
            within=field,
        )
        for field in ("score_model", "normalizer", "position")
    ),
    Translation(
        "type method mode function",
        "How a query scores a key is {score_model}, how scores become weights is {normalizer}, and the number "
        "type is {dtype}.",
    ),
    # PyTorch, xFormers, FlashAttention, Keras, Hugging Face.
    Translation(
        "dropout_p dropout dropout_rate dropout_prob p_dropout p attn_dropout attn_drop attention_dropout "
        "attn_pdrop attention_probs_dropout_prob attn_dropout_p dropout_rng broadcast_dropout "
        "dropout_seed seed training is_training deterministic train eval",
        "There is no dropout here: leave it out. Results are those of evaluation.",
    ),
    # FlexAttention return_lse; FlashAttention softmax_lse; JAX return_residual; cuDNN generate_stats.
    Translation(
        "return_lse lse softmax_lse return_softmax_lse return_logsumexp return_residual return_aux "
        "compute_logsumexp generate_stats return_stats need_lse output_lse",
        "It comes with {include=logsumexp}, in natural logarithms; FlashInfer's have base 2: multiply ours by log2(e).",
    ),
    # PyTorch need_weights; Keras return_attention_scores; Hugging Face output_attentions; FlashAttention.
    Translation(
        "need_weights",
        "Weights come with {include=weights}; averaged over the heads, as in PyTorch by default, with "
        "{include=mean_weights}.",
    ),
    Translation(
        "return_attn_probs output_attentions return_attention_scores return_weights "
        "return_attention return_attn return_attn_weights return_attention_weights output_attention "
        "return_softmax return_probs attn_weights attention_weights",
        "Weights come with {include=weights}.",
    ),
    Translation(
        "average_attn_weights average_weights mean_weights avg_weights average_heads return_mean_weights",
        "Weights averaged over the heads come with {include=mean_weights}, those of every head with {include=weights}.",
    ),
    # ONNX Attention qk_matmul_output_mode; onnxruntime qk_output.
    Translation(
        "qk_matmul_output_mode qk_matmul_output qk_output output_qk return_qk return_scores return_logits "
        "return_attn_logits return_raw_scores",
        "Name what to return: {include=scores}, {include=capped_scores}, {include=logits} or {include=weights}.",
    ),
    Translation(
        "outputs output_names return returns fields return_fields includes included select",
        "What to return is listed in {include}.",
    ),
    Translation(
        "head_mask layer_head_mask cross_attn_head_mask",
        "It multiplies the weights of a head: multiply the output of that head yourself.",
    ),
    Translation(
        "top_p nucleus sparse_topk attn_topk num_topk topk_keys sparse_k",
        "No key is left out by its weight. Keys to be hidden are false in {mask.allowed}; {top_k} shortens the ranking "
        "alone.",
    ),
    Translation("top top_n limit", "Here it is {top_k}, with {include=ranking}."),
    Translation(
        "torch_dtype data_type datatype number_type out_dtype o_dtype output_dtype compute_dtype "
        "q_data_type precision softmax_precision float_type",
        "The number type is {dtype}; softmax is computed in it, that of half types in float32.",
    ),
    # PyTorch, JAX, Keras, FlashAttention, FlashInfer, Hugging Face: how to compute, not what.
    Translation(
        "backend sdpa_backend implementation impl attn_implementation flash_attention use_flash "
        "enable_flash use_flash_attention memory_efficient kernel_options num_splits block_size block_m "
        "block_n q_chunk_size kv_chunk_size chunk_size use_fp16_qk_reduction attention_softmax_in_fp32 "
        "softmax_in_fp32 upcast device requires_grad out compile is_static op num_warps num_stages "
        "return_dict name_scope verbose",
        NO_EFFECT,
    ),
    Translation("query_labels query_names row_labels query_tokens", "Here it is {labels.query}."),
    Translation("key_labels key_names column_labels key_tokens names tokens", "Here it is {labels.key}."),
    Translation(
        "round digits ndigits num_decimals decimal_places significant_digits",
        "Numbers are rounded with {decimals}.",
    ),
)
"""Scales, caps, normalizers, dropout, what to return, and what changes nothing."""
