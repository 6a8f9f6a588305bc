package layer_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models/layer"
)

// readRope reads parameters as a config has them.
func readRope(t *testing.T, parameters string, sizes layer.RopeSizes) (*layer.Rope, error) {
	t.Helper()
	text := fmt.Sprintf(`{"model_type": "llama", "rope_parameters": %s}`, parameters)
	config, err := hfio.OpenConfig(fstest.MapFS{"config.json": {Data: []byte(text)}}, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	r := config.Reader()
	object, _ := r.Sub("rope_parameters")
	rope := layer.ReadRope(object, sizes)
	return rope, r.Err()
}

// Outside witness: transformers' frequencies. Powers in float32 differ in the last place.
func TestRope(t *testing.T) {
	text, err := os.ReadFile("testdata/rope.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		MadeBy string `json:"made_by"`
		Cases  []struct {
			Name         string
			Parameters   json.RawMessage
			Head         int
			MaxPositions int `json:"max_positions"`
			Angles       []struct {
				Length      int
				Frequencies []float64
				Scale       float64
			}
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	t.Log("expected values by", file.MadeBy)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			rope, err := readRope(t, string(c.Parameters), layer.RopeSizes{Head: c.Head, Theta: 10000, MaxPositions: c.MaxPositions})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.Angles {
				got := rope.Of(want.Length)
				numtest.Close(t, got.Frequencies, want.Frequencies, 3e-7, 0)
				if scale := cmp.Or(got.Scale, 1); scale != float32(want.Scale) {
					t.Errorf("length %d: scale %v, want %v", want.Length, scale, want.Scale)
				}
			}
		})
	}
}

func TestRopeProblems(t *testing.T) {
	for _, c := range []struct{ parameters, want string }{
		{`{"rope_type": "mrope"}`, `field "rope_parameters.rope_type": found "mrope", want default, linear`},
		{`{"type": "su"}`, `field "rope_parameters.type": found "su", want default, linear`},
		{`{"rope_type": "linear", "factor": 0}`, `field "rope_parameters.factor": found 0, want a number above 0`},
		{`{"rope_type": "longrope", "short_factor": [1], "long_factor": [1, 2]}`, `field "rope_parameters.short_factor": found a list of 1, want 2 numbers`},
		{`{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}`, `field "rope_parameters.high_freq_factor": found 1, want a number above low_freq_factor`},
		{`{"partial_rotary_factor": 0.8}`, `field "rope_parameters.partial_rotary_factor": found 0.8, want one that turns an even number`},
		{`{"rope_theta": "1e4"}`, `field "rope_parameters.rope_theta": found "1e4", want a number`},
	} {
		_, err := readRope(t, c.parameters, layer.RopeSizes{Head: 4, Theta: 10000, MaxPositions: 32})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: found %v, want %s", c.parameters, err, c.want)
		}
	}
	for _, c := range []struct{ parameters, want string }{
		{`{"partial_rotary_factor": 0.5}`, `field "rope_parameters.partial_rotary_factor": found 0.5, want 1: in transformers`},
		{`{"rope_type": "yarn", "factor": 2, "truncate": false}`, `field "rope_parameters.truncate": found false, want true: transformers reads no other`},
	} {
		_, err := readRope(t, c.parameters, layer.RopeSizes{Head: 4, Theta: 10000, MaxPositions: 32, Whole: true, Nested: true})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: found %v, want %s", c.parameters, err, c.want)
		}
	}
}
