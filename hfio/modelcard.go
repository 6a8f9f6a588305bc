package hfio

import (
	_ "embed"
	"slices"
)

// modelCardBody is the text of the card: the default template of huggingface_hub
// 2.4 (Apache-2.0) with nothing filled in, as PEFT 0.21.2 writes it.
//
//go:embed modelcard.md
var modelCardBody string

// ModelCard returns the README.md that PEFT 0.21.2 makes for an adapter which has
// none, byte for byte. PEFT adds the tag "transformers" where the base model class
// keeps its backbone in a field called model (Llama and its kin; not BERT, GPT-2 or
// T5); the config does not tell, so the caller gives such tags.
//
// Names of the base with a line break in them, or beyond 80 characters with
// characters that cannot be printed, are quoted in another way than PyYAML's.
func ModelCard(c AdapterConfig, tags ...string) []byte {
	tags = append(slices.Clone(tags), "base_model:adapter:"+c.BaseModelNameOrPath)
	if c.PeftType == "LORA" {
		tags = append(tags, "lora", "transformers")
	}
	slices.Sort(tags)
	card := []byte("---\n")
	card = appendYAMLString(append(card, "base_model: "...), c.BaseModelNameOrPath, len("base_model: "))
	card = append(card, "\nlibrary_name: peft\n"...)
	if c.TaskType == CausalLM {
		card = append(card, "pipeline_tag: text-generation\n"...)
	}
	card = append(card, "tags:\n"...)
	for _, tag := range slices.Compact(tags) {
		card = append(appendYAMLString(append(card, "- "...), tag, len("- ")), '\n')
	}
	return append(append(card, "---\n"...), modelCardBody...)
}
