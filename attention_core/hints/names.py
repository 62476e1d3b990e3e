"""What others call score models, normalizers, positions, number types, fields of a result and places of query 0."""

from collections.abc import Mapping

from attention_core.hints.translation import Kind, Translation

SCORE_MODELS: tuple[Translation, ...] = (
    # Keras score_mode="concat", Luong's concat, Bahdanau, Vaswani 2017 section 3.2.1.
    Translation(
        "concat concatenation bahdanau bahdanau_attention mlp tanh additive_attention feed_forward "
        "feedforward perceptron add",
        "Here it is {score_model.additive}: vᵀ tanh(W_q q + W_k k + b). Luong's W, which multiplies [q; k], is "
        "{score_model.additive.query_weight} beside {score_model.additive.key_weight}.",
    ),
    Translation(
        "dot luong_dot inner_product inner unscaled_dot_product plain_dot matmul",
        "Here it is {score_model.dot_product}, without a scale.",
    ),
    Translation(
        "dot_product_attention dotproduct_attention dot_attention",
        "jax.nn.dot_product_attention scales by 1/√D: {score_model.scaled_dot_product}. q·k alone is "
        "{score_model.dot_product}.",
    ),
    Translation(
        "scaled_dot scaled_dot_product_attention sdpa scaled vaswani transformer flash_attention flash "
        "softmax_attention dot_product_scaled",
        "Here it is {score_model.scaled_dot_product}.",
    ),
    Translation(
        "self_attention cross_attention multihead multi_head multi_head_attention mha gqa mqa "
        "grouped_query multi_query attention",
        "That is no score: with {score_model.scaled_dot_product} the shapes of query and key say how many heads "
        "there are.",
    ),
    Translation(
        "general luong_general bilinear_attention weighted_dot_product",
        "Here it is {score_model.bilinear}: qᵀ W k.",
    ),
    Translation(
        "luong luong_attention multiplicative multiplicative_attention",
        "Luong's dot is {score_model.dot_product}, his general {score_model.bilinear}, his concat "
        "{score_model.additive}.",
    ),
    Translation(
        "cos cosine_similarity cosine_sim cos_sim content content_base content_based angular cosine_attention",
        "Here it is {score_model.cosine}; Swin's 1/τ is its scale.",
    ),
    Translation(
        "rbf gaussian_kernel gauss normal nadaraya_watson squared_exponential kernel_regression l2 "
        "squared_euclidean sqeuclidean euclidean squared_distance mse",
        "Here it is {score_model.gaussian}, minus the squared distance over 2·bandwidth²: the bandwidth 1/√2 takes the "
        "distance as it is. There is none that is not squared.",
    ),
    Translation(
        "l1 manhattan cityblock laplace laplace_kernel laplacian_kernel absolute mae",
        "Here it is {score_model.laplacian}, minus the sum of absolute differences over bandwidth.",
    ),
    Translation(
        "custom formula function user_defined own callable score_fn",
        "Here it is {score_model.expression}: any {score_model.expression.formula} of q and k.",
    ),
    Translation(
        "bidaf trilinear_similarity bidaf_similarity",
        "Here it is {score_model.trilinear}: wᵀ[q; k; q∘k].",
    ),
    Translation(
        "linear linear_attention performer kernelized",
        "Apply the feature map to query and key, and send them with {score_model.dot_product} and "
        "{normalizer.proportional}.",
    ),
    Translation(
        "location location_based location_sensitive monotonic",
        "No score looks at positions: send what depends on them as {bias}.",
    ),
)

NORMALIZERS: tuple[Translation, ...] = (
    Translation(
        "softmax_one softmax1 softmax_1 softmax_plus_one softmax_plus1 softmax_off_by_one off_by_one "
        "quiet_softmax quiet_attention smooth_softmax softmax_zero softmax_with_sink sink softermax_one "
        "off_by_one_softmax",
        "It adds exp(0) to the denominator: {normalizer.softmax.sink=0}.",
    ),
    Translation(
        "safe_softmax stable_softmax online_softmax masked_softmax softmax_fp32 boltzmann gibbs exp_normalize vanilla",
        "Here it is {normalizer.softmax}: it never overflows, and a row without visible keys weighs 0.",
    ),
    Translation(
        "log_softmax logsoftmax",
        "Weights are those of {normalizer.softmax}; their logarithms are the logits minus {include=logsumexp}.",
    ),
    Translation(
        "sparse_softmax simplex simplex_projection euclidean_projection sparsemax_attention",
        "The projection on the simplex is {normalizer.sparsemax}.",
    ),
    Translation(
        "entmax15 entmax_15 entmax1_5 entmax_1_5 tsallis15 1_5_entmax entmax_1.5",
        "Here it is {normalizer.entmax.alpha=1.5}, the default of {normalizer.entmax}.",
    ),
    Translation(
        "entmax_bisect alpha_entmax tsallis entmax_alpha",
        "Here it is {normalizer.entmax.alpha}.",
    ),
    Translation(
        "argmax one_hot onehot hard hard_attention max greedy top1 winner_takes_all",
        "Here it is {normalizer.hardmax}.",
    ),
    Translation(
        "softmin hardmin argmin sparsemin",
        "There is none for small scores: negate the scale in {score_model.scaled_dot_product.scale}, and choose "
        "{normalizer.softmax} or another.",
    ),
    Translation("gumbel_softmax gumbel", "Nothing is random here: {normalizer.softmax}, or {normalizer.hardmax}."),
    Translation(
        "l1 l1_norm normalize sum ratio proportion linear linear_attention divide_by_sum share",
        "A score over the sum of scores is {normalizer.proportional}.",
    ),
    Translation(
        "mean uniform average equal average_pooling avg",
        "Equal weights are {normalizer.softmax} over {score_model.scaled_dot_product.scale=0}.",
    ),
    Translation(
        "identity null raw no off unnormalized unnormalised no_softmax",
        "Here it is {normalizer.none}: the weights are the logits.",
    ),
    Translation(
        "logistic sigmoid_attention sigm flash_sigmoid expit",
        "Here it is {normalizer.sigmoid}, whose bias is often −ln(number of keys).",
    ),
    Translation(
        "relu_attention rectified rela",
        "Here it is {normalizer.relu}, over the number of visible keys.",
    ),
    Translation(
        "squared_relu relu2 relu6 relu_squared gelu silu swish softplus elu exp square",
        "There is none of that shape: choose {normalizer.relu} or {normalizer.sigmoid}, or take {include=logits} and "
        "apply it yourself.",
    ),
)

DYNAMIC = (
    "It depends on the length of the sequence: send {position.rotary.scaling.kind=ntk} with the factor "
    "factor · length / max_position_embeddings − (factor − 1)."
)

POSITIONS: tuple[Translation, ...] = (
    # Hugging Face, vLLM, FlashInfer ROPE_LLAMA.
    Translation(
        "rope rotary_emb rotary_embedding rotary_embeddings rotary_position_embedding roformer rope_llama "
        "neox gpt_neox rope_neox llama half",
        "Here it is {position.rotary}, pairs (m, m + D/2).",
    ),
    Translation(
        "gptj gpt_j rope_interleaved rotary_interleaved rope_gptj complex",
        "Here it is {position.rotary.interleaved=true}, pairs (2m, 2m + 1).",
    ),
    Translation("alibi_bias linear_bias linear_biases press alibi_slopes", "Here it is {position.alibi}."),
    Translation(
        "t5 t5_bias relative rel_pos relative_position relative_bias shaw kerple fire swin",
        "Send the numbers to add to the scores as {bias}.",
    ),
    Translation(
        "sinusoidal sinusoid absolute learned learned_absolute sin_cos positional_encoding embedding",
        "It is added to the inputs of a model, before their projections: leave {position} out.",
    ),
    Translation("none nope no off no_position", "There is none by default: leave {position} out."),
    Translation("yarn", "Here it is {position.rotary.scaling.kind=yarn}."),
    Translation("ntk ntk_aware", "Here it is {position.rotary.scaling.kind=ntk}."),
    Translation("llama3", "Here it is {position.rotary.scaling.kind=llama3}."),
    Translation("linear position_interpolation", "Here it is {position.rotary.scaling.kind=linear}."),
    Translation("dynamic dynamic_ntk", DYNAMIC),
    Translation(
        "longrope mrope xpos su",
        "There are no such angles in {position.rotary}: turn query and key yourself, and leave {position} out.",
    ),
)

SCALINGS: tuple[Translation, ...] = (
    # Hugging Face rope_type.
    Translation("default none original no", "Leave {position.rotary.scaling} out for angles that are not scaled."),
    Translation("dynamic dynamic_ntk ntk_dynamic", DYNAMIC),
    Translation("ntk_aware ntkaware ntk_alpha", "Here it is {position.rotary.scaling.kind=ntk}."),
    Translation(
        "interpolation position_interpolation pi linear_scaling", "Here it is {position.rotary.scaling.kind=linear}."
    ),
    Translation("deepseek_yarn yarn_scaling ntk_by_parts", "Here it is {position.rotary.scaling.kind=yarn}."),
    Translation("llama llama3_1 llama31 llama3_2", "Here it is {position.rotary.scaling.kind=llama3}."),
    Translation(
        "longrope su proportional mrope",
        "There is no such scaling: turn query and key yourself, and leave {position} out.",
    ),
)
"""Kinds of scaling of rotary angles."""

DTYPES: tuple[Translation, ...] = (
    Translation(
        "fp16 half f16 halftensor e5m10 type_fp16 f2 binary16",
        "Here it is {dtype=float16}.",
    ),
    Translation("bf16 brain_float bfloat type_bf16 brainfloat16", "Here it is {dtype=bfloat16}."),
    Translation(
        "fp32 f32 single type_fp32 f4 binary32 tf32 tfloat32",
        "Here it is {dtype=float32}.",
    ),
    Translation(
        "fp64 f64 double type_fp64 f8 binary64 float128 longdouble",
        "Here it is {dtype=float64}, the widest.",
    ),
    Translation(
        "float floating real number",
        "PyTorch and C mean {dtype=float32} by it, Python and NumPy {dtype=float64}.",
    ),
    Translation(
        "fp8 float8 float8_e4m3fn float8_e5m2 e4m3 e5m2 fp4 int8 int4 uint8 int16 int32 int64 int integer "
        "long bool complex64 complex128",
        "Queries, keys and values are floating-point numbers: {dtype=float16} is the smallest type.",
    ),
    Translation("auto default mixed amp none", "Leave {dtype} out for the default."),
)

INCLUDES: tuple[Translation, ...] = (
    # PyTorch attn_output_weights; Hugging Face attentions; Bahdanau's α.
    Translation(
        "attn_weights attention_weights attention attentions attn attn_probs attention_probs probs "
        "probabilities p alpha alphas alignments alignment attn_output_weights attention_map softmax",
        "Here it is {include=weights}.",
    ),
    Translation(
        "attention_scores attn_scores",
        "Keras means {include=weights} by it, others {include=scores}.",
    ),
    Translation(
        "similarity similarities energy energies qk raw_scores raw compatibility dots",
        "Here it is {include=scores}.",
    ),
    Translation(
        "attn_logits attention_logits masked_scores pre_softmax masked_logits biased_scores",
        "After bias and mask it is {include=logits}, before them {include=scores}.",
    ),
    Translation("modified_scores scores_modified score_mod_scores", "Here it is {include=modified}."),
    Translation("softcapped capped softcapped_scores tanh_scores", "Here it is {include=capped_scores}."),
    Translation(
        "lse softmax_lse log_normalizer log_z residual stats aux softmax_stats",
        "Here it is {include=logsumexp}, in natural logarithms; FlashInfer's have base 2: multiply ours by log2(e).",
    ),
    Translation(
        "present_key present_value present_keys present_values present_key_value present_key_values "
        "past_key_values past_key_value past_key past_value kv_cache cache presents present_kv new_cache "
        "key_cache value_cache",
        "Here it is {include=present}.",
    ),
    Translation(
        "context context_vector context_layer attn_output attention_output out o y result "
        "last_hidden_state hidden_states values value",
        "Here it is {include=output}.",
    ),
    Translation(
        "average_attn_weights average_weights avg_weights mean_attention average_attention averaged_weights "
        "weights_mean mean_attn_weights mean_attention_weights mean head_mean",
        "Weights averaged over the heads come with {include=mean_weights}, those of every head with {include=weights}.",
    ),
    Translation(
        "entropy effective_keys max_weight top_key softmax_sensitivity received_weight statistics",
        "It comes with {include=diagnostics}.",
    ),
    Translation("top_k topk ranks rank order argsort", "Here it is {include=ranking}."),
    Translation("all everything full", "Name each field, as in {include=weights}."),
)

OFFSETS: tuple[Translation, ...] = (
    # PyTorch causal_lower_right; xFormers LowerTriangularFromBottomRightMask.
    Translation(
        "lower_right causal_lower_right right end ends bottom from_bottom_right align_right right_aligned "
        "lower_right_causal last",
        "Here it is {mask.offset=bottom_right}.",
    ),
    Translation(
        "top_left upper_left causal_upper_left left start top begin beginning zero first",
        "Here it is {mask.offset=0}, the default without a past.",
    ),
)

LAYOUTS: tuple[Translation, ...] = (
    # JAX; FlashAttention and xFormers; Transformer Engine qkv_format; FlashInfer kv_layout; ONNX Attention.
    Translation(
        "bthd btnh bsnh bsnd blhd bmhk bqhd nhd blnd batch_first batch_length_heads_features heads_third",
        "Here it is {layout=bshd}: (batch, length, heads, features).",
    ),
    Translation(
        "bnsh bhtd bnsd bhld bhqd bntd hnd bhnd batch_heads_length_features heads_second heads_first",
        "Here it is {layout=bhsd}, the default: (batch, heads, length, features).",
    ),
    Translation(
        "bsh bse bld btd bsd packed",
        "Heads that are packed into the last axis have no layout: leave {layout} out, and send {heads}.",
    ),
    Translation(
        "sbhd tbhd lbhd sbh lbd tnd thd sbnd",
        "Batches come first: move their axis to the front, then it is {layout=bshd}. Of sequences that are packed one "
        "behind the other, {mask.query_segments} and {mask.key_segments} keep each query to its own.",
    ),
)

CHOICE_NAMES: Mapping[Kind, tuple[Translation, ...]] = {
    "score_model": SCORE_MODELS,
    "normalizer": NORMALIZERS,
    "position": POSITIONS,
    "scaling": SCALINGS,
    "dtype": DTYPES,
    "include": INCLUDES,
    "offset": OFFSETS,
    "layout": LAYOUTS,
}
"""The rows by the field that the names are chosen for."""
