package hfio

import (
	"encoding/json"
	"maps"
	"math"
)

// loraDefaults are the settings of LoRA that no field of an AdapterConfig holds, as
// PEFT 0.21.2 writes them where they are not used.
var loraDefaults = map[string]json.RawMessage{
	"alora_invocation_tokens": json.RawMessage("null"),
	"arrow_config":            json.RawMessage("null"),
	"corda_config":            json.RawMessage("null"),
	"ensure_weight_tying":     json.RawMessage("false"),
	"eva_config":              json.RawMessage("null"),
	"kasa_config":             json.RawMessage("null"),
	"layer_replication":       json.RawMessage("null"),
	"loftq_config":            json.RawMessage("{}"),
	"lora_ga_config":          json.RawMessage("null"),
	"megatron_config":         json.RawMessage("null"),
	"megatron_core":           json.RawMessage(`"megatron.core"`),
	"monteclora_config":       json.RawMessage("null"),
	"qalora_group_size":       json.RawMessage("16"),
	"target_parameters":       json.RawMessage("null"),
	"trainable_token_indices": json.RawMessage("null"),
	"use_bdlora":              json.RawMessage("null"),
	"use_qalora":              json.RawMessage("false"),
	"velora_config":           json.RawMessage("null"),
}

// LoraDefaults returns the settings of LoRA that have no field in [AdapterConfig], with
// the values that PEFT 0.21.2 writes where they are not used.
func LoraDefaults() map[string]json.RawMessage { return maps.Clone(loraDefaults) }

func (c *AdapterConfig) loraFields() []configField {
	return []configField{
		field("r", &c.R, countCodec),
		field("lora_alpha", &c.LoraAlpha, numberCodec),
		field("lora_dropout", &c.LoraDropout, floatCodec),
		field("bias", &c.Bias, textCodec),
		field("use_rslora", &c.UseRSLora, boolCodec),
		field("use_dora", &c.UseDora, boolCodec),
		field("lora_bias", &c.LoraBias, boolCodec),
		field("fan_in_fan_out", &c.FanInFanOut, boolCodec),
		field("target_modules", &c.TargetModules, anyCodec),
		field("exclude_modules", &c.ExcludeModules, anyCodec),
		field("layers_to_transform", &c.LayersToTransform, anyCodec),
		field("layers_pattern", &c.LayersPattern, anyCodec),
		field("init_lora_weights", &c.InitLoraWeights, anyCodec),
		field("rank_pattern", &c.RankPattern, objectCodec),
		field("alpha_pattern", &c.AlphaPattern, objectCodec),
	}
}

// numberCodec writes a whole number as Python writes an int.
var numberCodec = codec[float64]{"a number", jsonFloat, func(f float64) jsonValue {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return jsonIntValue(int(f))
	}
	return jsonFloatValue(f)
}}
