package compat_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/models"
)

// seq2seqBases are tiny encoder-decoders: the arguments of the oracle's make-base, and the
// methods that are trained on them. What MULTITASK_PROMPT_TUNING starts from is so small that
// T5's norms make much of its rounding.
var seq2seqBases = []struct {
	name, arguments, set string
	trains               []string
}{
	{
		"t5", "--arch t5 --layers 4", `{"d_ff": 40, "d_kv": 8, "num_decoder_layers": 4, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 9, "decoder_start_token_id": 0}`,
		[]string{"prompt", "ptuning-lstm", "prefix", "prefix-projection", "cartridge", "lora"},
	},
	{"mt5", "--arch mt5 --layers 3 --untied", `{"d_ff": 40, "d_kv": 8, "num_decoder_layers": 2}`, nil},
	{
		"bart", "--arch bart --layers 3", `{"decoder_layers": 3, "encoder_ffn_dim": 40, "decoder_ffn_dim": 32, "decoder_attention_heads": 3, "scale_embedding": true}`,
		[]string{"prompt", "prefix", "multitask"},
	},
	{"mbart", "--arch mbart --layers 2", `{"decoder_layers": 2, "encoder_ffn_dim": 40, "decoder_ffn_dim": 32, "decoder_attention_heads": 3, "decoder_start_token_id": 2}`, nil},
	{"pegasus", "--arch pegasus --layers 2", `{"decoder_layers": 2, "encoder_ffn_dim": 40, "decoder_ffn_dim": 32, "decoder_attention_heads": 3, "scale_embedding": true}`, nil},
}

var seq2seqVariants = []variant{
	{name: "prompt", method: "prompt", always: true},
	{name: "ptuning-lstm", method: "ptuning-lstm", fields: map[string]any{"encoder_hidden_size": 12}},
	{name: "prefix", method: "prefix", always: true},
	{name: "prefix-projection", method: "prefix-projection", fields: map[string]any{"encoder_hidden_size": 24}},
	{name: "cartridge", method: "cartridge"},
	{name: "multitask", method: "multitask", always: true},
	{name: "lora", method: "lora", fields: map[string]any{"r": 4, "lora_alpha": 2}},
}

// TestLiveSeq2Seq compares encoder-decoders: the round trip of methods that are trained,
// and of some that are loaded, on all. The numbers of layers decide which rows of a prefix have an effect.
func TestLiveSeq2Seq(t *testing.T) {
	o := needOracle(t)
	for _, b := range seq2seqBases {
		t.Run(b.name, func(t *testing.T) {
			base := tinySeq2Seq(t, o, b.arguments, b.set)
			c := taskCase{name: "SEQ_2_SEQ_LM", task: models.Seq2SeqLM}
			c.shift = openBase(t, base.dir, models.HeadSpec{}, 0).Backbone.(models.EncoderDecoder).ShiftRight
			for _, v := range seq2seqVariants {
				if b.name == "mbart" && v.method == "multitask" {
					continue // PEFT shifts labels as BART does, which is not what mBART reads
				}
				if c.steps = slices.Contains(b.trains, v.method); c.steps || v.always {
					t.Run(v.name, func(t *testing.T) { roundTrip(t, o, c, base, v) })
				}
			}
		})
	}
}

// tinySeq2Seq makes a base.
func tinySeq2Seq(t *testing.T, o *oracle, arguments, set string) liveBase {
	t.Helper()
	base := liveBase{dir: t.TempDir(), vocab: 40, hidden: 24}
	sizes := strings.Fields("--hidden 24 --heads 3 --vocab 40 --max-positions 40 --task SEQ_2_SEQ_LM")
	o.call(t, append([]string{"make-base", base.dir, "--set", set}, append(strings.Fields(arguments), sizes...)...)...)
	return base
}
