package hfio

import (
	"maps"
	"strings"
)

// ggufArchitecture says how llama.cpp stores a model of transformers: under which
// names, and what it changed in the tensors and in the config.
// Source: ggml-org/llama.cpp, convert_hf_to_gguf.py and gguf-py/gguf/tensor_mapping.py;
// transformers, modeling_gguf_pytorch_utils.py and integrations/ggml.py.
type ggufArchitecture struct {
	modelType, class string
	fields           []ggufField
	config           map[string]any    // what the files do not say, because llama.cpp knows it
	finish           ggufFinish        // nil: nothing more
	block            string            // the name of a layer before its number
	names            map[string]string // of tensors, without .weight and .bias; those of a layer begin with "blk."
	restore          ggufRestore       // nil: tensors are stored as transformers has them
}

// ggufField is a key of the metadata, below the architecture's name, and of config.json.
type ggufField struct {
	key, config string
	optional    bool // else it must be there
}

// ggufArchitectures is the table of them, by general.architecture.
var ggufArchitectures = map[string]ggufArchitecture{
	"llama":  {"llama", "LlamaForCausalLM", rotaryFields, silu, finishLlama, "model.layers.", llamaNames, restoreLlama},
	"qwen2":  {"qwen2", "Qwen2ForCausalLM", rotaryFields, with(silu, "use_sliding_window", false), finishRotary, "model.layers.", llamaNames, nil},
	"qwen3":  {"qwen3", "Qwen3ForCausalLM", rotaryFields, with(silu, "use_sliding_window", false), finishRotary, "model.layers.", llamaNames, nil},
	"phi3":   {"phi3", "Phi3ForCausalLM", rotaryFields, silu, finishPhi3, "model.layers.", phi3Names, nil},
	"gemma":  {"gemma", "GemmaForCausalLM", rotaryFields, map[string]any{"hidden_act": "gelu_pytorch_tanh"}, finishRotary, "model.layers.", llamaNames, restoreGemma},
	"gemma2": {"gemma2", "Gemma2ForCausalLM", rotaryFields, geluTanh, finishGemma2, "model.layers.", gemmaNames, restoreGemma},
	"gemma3": {"gemma3_text", "Gemma3ForCausalLM", rotaryFields, geluTanh, finishGemma3, "model.layers.", gemmaNames, restoreGemma},
	"gpt2":   {"gpt2", "GPT2LMHeadModel", gpt2Fields, map[string]any{"activation_function": "gelu_new"}, nil, "transformer.h.", gpt2Names, restoreGPT2},
	"bloom":  {"bloom", "BloomForCausalLM", bloomFields, map[string]any{"tie_word_embeddings": true}, nil, "transformer.h.", bloomNames, restoreBloom},
}

var (
	silu     = map[string]any{"hidden_act": "silu"}
	geluTanh = map[string]any{"hidden_activation": "gelu_pytorch_tanh"}
)

// with returns the map with one more value.
func with[V any](m map[string]V, key string, value V) map[string]V {
	m = maps.Clone(m)
	m[key] = value
	return m
}

var rotaryFields = []ggufField{
	{key: "block_count", config: "num_hidden_layers"},
	{key: "context_length", config: "max_position_embeddings"},
	{key: "embedding_length", config: "hidden_size"},
	{key: "feed_forward_length", config: "intermediate_size"},
	{key: "attention.head_count", config: "num_attention_heads"},
	{key: "attention.head_count_kv", config: "num_key_value_heads", optional: true},
	{key: "attention.layer_norm_rms_epsilon", config: "rms_norm_eps"},
	{key: "attention.key_length", config: "head_dim", optional: true},
	{key: "rope.freq_base", config: "rope_theta", optional: true},
	{key: "attention.sliding_window", config: "sliding_window", optional: true},
	{key: "attn_logit_softcapping", config: "attn_logit_softcapping", optional: true},
	{key: "final_logit_softcapping", config: "final_logit_softcapping", optional: true},
}

var gpt2Fields = []ggufField{
	{key: "block_count", config: "n_layer"},
	{key: "context_length", config: "n_positions"},
	{key: "embedding_length", config: "n_embd"},
	{key: "feed_forward_length", config: "n_inner", optional: true},
	{key: "attention.head_count", config: "n_head"},
	{key: "attention.layer_norm_epsilon", config: "layer_norm_epsilon"},
}

var bloomFields = []ggufField{
	{key: "block_count", config: "n_layer"},
	{key: "embedding_length", config: "hidden_size"},
	{key: "attention.head_count", config: "n_head"},
	{key: "attention.layer_norm_epsilon", config: "layer_norm_epsilon"},
}

var llamaNames = map[string]string{
	"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
	"blk.attn_norm": "input_layernorm", "blk.attn_q": "self_attn.q_proj", "blk.attn_k": "self_attn.k_proj", "blk.attn_v": "self_attn.v_proj",
	"blk.attn_q_norm": "self_attn.q_norm", "blk.attn_k_norm": "self_attn.k_norm", "blk.attn_output": "self_attn.o_proj",
	"blk.ffn_norm": "post_attention_layernorm", "blk.ffn_gate": "mlp.gate_proj", "blk.ffn_up": "mlp.up_proj", "blk.ffn_down": "mlp.down_proj",
}

var phi3Names = with(with(llamaNames, "blk.attn_qkv", "self_attn.qkv_proj"), "blk.ffn_up", "mlp.gate_up_proj")

var gemmaNames = with(with(with(llamaNames, "blk.ffn_norm", "pre_feedforward_layernorm"),
	"blk.post_attention_norm", "post_attention_layernorm"), "blk.post_ffw_norm", "post_feedforward_layernorm")

var gpt2Names = map[string]string{
	"token_embd": "transformer.wte", "position_embd": "transformer.wpe", "output_norm": "transformer.ln_f", "output": "lm_head",
	"blk.attn_norm": "ln_1", "blk.attn_qkv": "attn.c_attn", "blk.attn_output": "attn.c_proj",
	"blk.ffn_norm": "ln_2", "blk.ffn_up": "mlp.c_fc", "blk.ffn_down": "mlp.c_proj",
}

var bloomNames = map[string]string{
	"token_embd": "transformer.word_embeddings", "token_embd_norm": "transformer.word_embeddings_layernorm",
	"output_norm": "transformer.ln_f", "output": "lm_head",
	"blk.attn_norm": "input_layernorm", "blk.attn_qkv": "self_attention.query_key_value", "blk.attn_output": "self_attention.dense",
	"blk.ffn_norm": "post_attention_layernorm", "blk.ffn_up": "mlp.dense_h_to_4h", "blk.ffn_down": "mlp.dense_4h_to_h",
}

// name returns transformers' name of a tensor, and its key in names.
func (a *ggufArchitecture) name(stored string) (name, key string, ok bool) {
	prefix, stem := "", stored
	if rest, inBlock := strings.CutPrefix(stored, "blk."); inBlock {
		number, below, _ := strings.Cut(rest, ".")
		prefix, stem = a.block+number+".", "blk."+below
	}
	dot := strings.LastIndexByte(stem, '.')
	if dot < 0 {
		return "", "", false
	}
	key = stem[:dot]
	name, ok = a.names[key]
	return prefix + name + stem[dot:], key, ok
}
