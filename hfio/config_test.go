package hfio

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestLabelsAsTransformers compares with id2label of transformers' BertConfig.
func TestLabelsAsTransformers(t *testing.T) {
	var cases []struct {
		Config json.RawMessage
		Labels []string
	}
	if err := json.Unmarshal(fixture(t, "labels.json"), &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		config, err := ParseModelConfig("config.json", c.Config)
		if err != nil {
			t.Fatal(err)
		}
		r := config.Reader()
		if diff := cmp.Diff(c.Labels, r.Labels(), cmpopts.EquateEmpty()); diff != "" || r.Err() != nil {
			t.Errorf("%s: transformers - ours:\n%s%v", c.Config, diff, r.Err())
		}
	}
}

const configText = `{
  "model_type": "bert", "architectures": ["BertModel"],
  "hidden_size": 8, "n_embd": 9, "eps": 1e-12, "act": "gelu", "flag": true, "list": [1, 2], "null": null,
  "text_config": {"hidden_size": 7, "name": 3}, "wrong": {"size": 0, "float": 8.0, "long": 12345678901234567890},
  "limit": [0.0, Infinity], "raw": {"b": 1, "a": [Infinity]}
}`

func TestConfigReader(t *testing.T) {
	config, err := ParseModelConfig("dir/config.json", []byte(configText))
	if err != nil {
		t.Fatal(err)
	}
	r := config.Reader()
	sub, ok := r.Sub("text_config")
	none, noneOK := r.Sub("vision_config")
	got := []any{
		config.ModelType, config.Architectures, r.Int("hidden_size", "n_embd"), r.Int("d_model", "n_embd"), r.Size("hidden_size"),
		r.IntOr("absent", 5), r.IntOr("null", 6), r.Float("eps"), r.FloatOr("absent", 0.5), r.Float("hidden_size"), r.String("act"),
		r.StringOr("null", "none"), r.Bool("flag"), r.BoolOr("absent", true), r.IntsOr("list", nil), r.IntsOr("absent", []int{3}),
		ok, sub.Int("hidden_size"), noneOK, none.IntOr("hidden_size", 4), r.Has("null"), r.Has("act"),
		string(r.RawOr("raw", nil)), r.IntOrNull("absent", 5, -1), r.IntOrNull("null", 5, -1), r.IntOrNull("hidden_size", 5, -1),
	}
	want := []any{
		"bert",
		[]string{"BertModel"},
		8, 9, 8, 5, 6, 1e-12, 0.5, 8.0, "gelu", "none", true, true,
		[]int{1, 2},
		[]int{3},
		true, 7, false, 4, false, true, "{\n  \"a\": [\n    Infinity\n  ],\n  \"b\": 1\n}", 5, -1, 8,
	}
	if diff := cmp.Diff(want, got); diff != "" || r.Err() != nil {
		t.Errorf("want - got:\n%s%v", diff, r.Err())
	}
}

func TestConfigReaderOtherNames(t *testing.T) {
	config, err := ParseModelConfig("config.json", []byte(`{"model_type": "x", "n_head": 4, "num_attention_heads": 4, "hidden_size": 8, "dim": null, "n_layer": 2, "num_hidden_layers": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	r := config.Reader()
	r.AlsoNamed("n_head", "num_attention_heads")
	r.AlsoNamed("dim", "hidden_size")
	r.AlsoNamed("n_positions", "max_position_embeddings")
	if got := []int{r.Size("n_head"), r.SizeOr("dim", 5), r.SizeOr("n_positions", 6)}; !slices.Equal(got, []int{4, 8, 6}) || r.Err() != nil {
		t.Errorf("found %v, %v, want 4, 8, 6", got, r.Err())
	}
	r.AlsoNamed("n_layer", "num_hidden_layers")
	if want := `config.json: field "num_hidden_layers": found 3, want 2, as n_layer has it`; r.Err() == nil || !strings.HasPrefix(r.Err().Error(), want) {
		t.Errorf("found %v, want %s", r.Err(), want)
	}
}

func TestConfigReaderCollectsProblems(t *testing.T) {
	config, err := ParseModelConfig("dir/config.json", []byte(configText))
	if err != nil {
		t.Fatal(err)
	}
	r := config.Reader()
	r.Int("d_model", "dim")
	r.Int("act")
	sub, _ := r.Sub("wrong")
	sub.Size("size")
	sub.Int("float")
	sub.Int("long")
	r.Sub("act")
	r.Strings("limit")
	r.Reject("act", "gelu_new")
	want := `dir/config.json: field "d_model": missing: want an integer
dir/config.json: field "act": found "gelu", want an integer
dir/config.json: field "wrong.size": found 0, want an integer of at least 1
dir/config.json: field "wrong.float": found 8.0, want an integer
dir/config.json: field "wrong.long": found 12345678901234567890, want an integer
dir/config.json: field "act": found "gelu", want an object
dir/config.json: field "limit": found a list of 2, want a list of strings
dir/config.json: field "act": found "gelu", want gelu_new`
	err = r.Err()
	if err == nil || err.Error() != want {
		t.Errorf("Err() =\n%v\nwant\n%s", err, want)
	}
	var field *FieldError
	if !errors.As(err, &field) || field.Field != "d_model" || !errors.Is(err, ErrNotFound) || !errors.Is(err, ErrValue) {
		t.Errorf("errors.As gives %v", field)
	}
}

func TestWrongLabels(t *testing.T) {
	for _, text := range []string{
		`{"id2label": {"0": "a", "2": "b"}}`, `{"id2label": {"x": "a"}}`, `{"id2label": {"-1": "a"}}`, `{"id2label": {"0": 1}}`,
		`{"id2label": ["a"]}`, `{"num_labels": -1}`, `{"num_labels": 1e9}`, `{"num_labels": 999999999}`, `{"num_labels": "2"}`,
	} {
		config, err := ParseModelConfig("config.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r := config.Reader()
		if labels := r.Labels(); r.Err() == nil {
			t.Errorf("%s: no error, labels %v", text, labels)
		}
	}
}
