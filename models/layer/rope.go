package layer

import (
	"fmt"
	"math"
	"slices"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
)

// Rope is rotary position embedding as a config describes it.
// Source: transformers 5.23, modeling_rope_utils.py.
type Rope struct {
	// by are the rotations of a sequence whose positions end before length: one, unless they
	// follow the length.
	by func(length int) kernel.RotationOptions
	// fixed: by does not look at the length.
	fixed bool
	// Switch is the length behind which all rows of a sequence are turned otherwise; 0: none.
	Switch int
}

// RopeSizes are what a model gives beside the parameters of its config.
type RopeSizes struct {
	Head         int     // k
	Theta        float64 // rope_theta where the parameters lack it
	Part         float64 // of a head that is turned where the parameters lack it; 0 means 1
	Whole        bool    // the model always turns whole heads
	Nested       bool    // the parameters are those of one type of layers
	MaxPositions int     // max_position_embeddings
	// Original is original_max_position_embeddings of the config itself, which goes before
	// the parameters' own (transformers, standardize_rope_params); 0: it has none.
	Original int
}

// ropes lists the values of rope_type that are known.
var ropes = map[string]func(p *ropeParameters) Rope{
	"default":  defaultRope,
	"linear":   linearRope,
	"dynamic":  dynamicRope,
	"yarn":     yarnRope,
	"longrope": longRope,
	"llama3":   llama3Rope,
}

// RopeParameters returns the object of a config that ReadRope reads: rope_scaling, as older
// configs call it, or rope_parameters.
func RopeParameters(r *hfio.ConfigReader) *hfio.ConfigReader {
	if scaling, ok := r.Sub("rope_scaling"); ok && len(scaling.Keys()) > 0 {
		return scaling
	}
	parameters, _ := r.Sub("rope_parameters")
	return parameters
}

// RopeType returns the kind of rotary embedding that parameters name, and the key under which
// they do: rope_type, or type of older configs.
func RopeType(parameters *hfio.ConfigReader) (key, name string) {
	key = "rope_type"
	if !parameters.Has(key) && parameters.Has("type") {
		key = "type"
	}
	return key, parameters.StringOr(key, "default")
}

// ReadRope reads the rotary embedding that parameters describe: rope_parameters, or
// rope_scaling of older configs. Problems are noted in the reader.
func ReadRope(parameters *hfio.ConfigReader, sizes RopeSizes) *Rope {
	p := &ropeParameters{ConfigReader: parameters, RopeSizes: sizes}
	p.Theta = p.positive("rope_theta", sizes.Theta)
	if p.Part == 0 {
		p.Part = 1
	}
	p.Part = p.positive("partial_rotary_factor", p.Part)
	if p.Whole && p.Part != 1 {
		p.Reject("partial_rotary_factor", "1: in transformers this model turns whole heads")
		return nil
	}
	p.dim = int(float64(p.Head) * p.Part)
	if p.dim < 2 || p.dim > p.Head || p.dim%2 != 0 {
		p.Reject("partial_rotary_factor", fmt.Sprintf("one that turns an even number of the %d elements of a head", p.Head))
		return nil
	}
	key, name := RopeType(parameters)
	make, known := ropes[name]
	if !known {
		p.Reject(key, "default, linear, dynamic, yarn, longrope or llama3")
		return nil
	}
	rope := make(p)
	return &rope
}

// Rotation returns the angles of rows that stand at these positions. Each span is a sequence.
func (r *Rope) Rotation(positions []int, spans []kernel.Span) *kernel.Rotation {
	if r.fixed {
		return kernel.NewRotation(positions, r.by(0))
	}
	rotation := kernel.NewRotation(nil, r.by(0))
	for _, s := range spans {
		if s.Len() > 0 {
			rotation.Append(positions[s.Start:s.End], r.by(positions[s.End-1]+1))
		}
	}
	return rotation
}

// ropeParameters are read by the functions of a rope_type.
type ropeParameters struct {
	*hfio.ConfigReader
	RopeSizes
	dim int // elements of a head that are turned
}

// positive reads a number above 0.
func (p *ropeParameters) positive(key string, def float64) float64 {
	x := p.FloatOr(key, def)
	if !(x > 0) || math.IsInf(x, 0) {
		p.Reject(key, "a number above 0")
		return 1
	}
	return x
}

// factor reads the number by which the context is stretched.
func (p *ropeParameters) factor() float64 {
	if !p.Has("factor") {
		p.Reject("factor", "a number above 0")
		return 1
	}
	return p.positive("factor", 1)
}

// original reads the number of positions that the model was trained with.
func (p *ropeParameters) original() float64 {
	if p.Original > 0 {
		return float64(p.Original)
	}
	return float64(p.SizeOr("original_max_position_embeddings", p.MaxPositions))
}

// inverse returns 1/theta^(2i/dim) for every pair i.
func (p *ropeParameters) inverse(theta float64) []float32 {
	frequencies := make([]float32, p.dim/2)
	for i := range frequencies {
		exponent := float32(2*i) / float32(p.dim)
		frequencies[i] = 1 / float32(math.Pow(theta, float64(exponent)))
	}
	return frequencies
}

// each changes the frequencies one by one, in float64.
func each(frequencies []float32, change func(i int, frequency float64) float64) []float32 {
	for i, f := range frequencies {
		frequencies[i] = float32(change(i, float64(f)))
	}
	return frequencies
}

func fixedRope(frequencies []float32, scale float64) Rope {
	options := kernel.RotationOptions{Frequencies: frequencies, Scale: float32(scale)}
	return Rope{by: func(int) kernel.RotationOptions { return options }, fixed: true}
}

func defaultRope(p *ropeParameters) Rope { return fixedRope(p.inverse(p.Theta), 1) }

func linearRope(p *ropeParameters) Rope {
	factor := p.factor()
	return fixedRope(each(p.inverse(p.Theta), func(_ int, f float64) float64 { return f / factor }), 1)
}

// dynamicRope stretches the angles of sequences that are longer than those that the model
// was trained with, by their length: a token may turn otherwise once others stand behind it.
// Rows that are read together are turned by the place of the last of them; keys in a cache stay
// as they were turned. So does transformers with the first sequence that a model reads. Later it
// remembers the longest one: the rows of a shorter one, and those of a batch, are turned by that,
// until a pass ends before max_position_embeddings. Here each sequence is turned by its own length.
func dynamicRope(p *ropeParameters) Rope {
	factor, most := p.factor(), float64(p.MaxPositions)
	by := func(length int) kernel.RotationOptions {
		stretch := factor*max(float64(length), most)/most - (factor - 1)
		theta := p.Theta * math.Pow(stretch, float64(p.dim)/float64(p.dim-2))
		return kernel.RotationOptions{Frequencies: p.inverse(theta)}
	}
	if p.dim == 2 {
		p.Reject("rope_type", "another than dynamic for heads of which one pair is turned")
	}
	return Rope{by: by}
}

// yarnRope is YaRN (Peng et al. 2023, arXiv 2309.00071): slow pairs are stretched, fast ones
// are not, those between partly.
func yarnRope(p *ropeParameters) Rope {
	original := p.original()
	factor := p.positive("factor", float64(p.MaxPositions)/original)
	scale := p.yarnScale(factor)
	dim := float64(p.dim)
	turns := func(n float64) float64 { // the pair that turns n times in the original context
		return dim * math.Log(original/(n*2*math.Pi)) / (2 * math.Log(p.Theta))
	}
	low, high := turns(p.positive("beta_fast", 32)), turns(p.positive("beta_slow", 1))
	if p.truncates() {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	return fixedRope(each(p.inverse(p.Theta), func(i int, f float64) float64 {
		stretched := min(max((float64(i)-low)/(high-low), 0), 1)
		return f/factor*stretched + f*(1-stretched)
	}), scale)
}

// truncates reads whether pairs are counted in whole numbers. For transformers null is no, and
// it looks beside the types of layers, not under them.
func (p *ropeParameters) truncates() bool {
	truncates := p.BoolOr("truncate", !slices.Contains(p.Keys(), "truncate"))
	if p.Nested && !truncates {
		p.Reject("truncate", "true: transformers reads no other under a type of layers")
	}
	return truncates
}

func (p *ropeParameters) yarnScale(factor float64) float64 {
	if p.Has("attention_factor") {
		return p.positive("attention_factor", 1)
	}
	by := func(m float64) float64 {
		if factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(factor) + 1
	}
	m, all := p.FloatOr("mscale", 0), p.FloatOr("mscale_all_dim", 0)
	if m != 0 && all != 0 {
		return by(m) / by(all)
	}
	return by(1)
}

// longRope divides each frequency by a factor of its own, of two lists, the second for
// sequences that are longer than those that the model was trained with (Ding et al. 2024,
// arXiv 2402.13753).
func longRope(p *ropeParameters) Rope {
	original := p.original()
	scale := 1.0
	switch factor := p.positive("factor", float64(p.MaxPositions)/original); {
	case p.Has("attention_factor"):
		scale = p.positive("attention_factor", 1)
	case factor > 1:
		scale = math.Sqrt(1 + math.Log(factor)/math.Log(original))
	}
	divided := func(key string) kernel.RotationOptions {
		factors := p.Floats(key)
		if len(factors) != p.dim/2 {
			p.Reject(key, fmt.Sprintf("%d numbers above 0", p.dim/2))
			return kernel.RotationOptions{}
		}
		frequencies := each(p.inverse(p.Theta), func(i int, f float64) float64 { return f / factors[i] })
		return kernel.RotationOptions{Frequencies: frequencies, Scale: float32(scale)}
	}
	short, long := divided("short_factor"), divided("long_factor")
	return Rope{Switch: int(original), by: func(length int) kernel.RotationOptions {
		if float64(length) > original {
			return long
		}
		return short
	}}
}

// llama3Rope stretches the pairs that turn slowly, those between partly: Llama 3.1.
func llama3Rope(p *ropeParameters) Rope {
	factor, original := p.factor(), p.original()
	slow, fast := p.Float("low_freq_factor"), p.Float("high_freq_factor")
	if !(slow > 0) || !(fast > slow) {
		p.Reject("high_freq_factor", "a number above low_freq_factor, which is above 0")
	}
	return fixedRope(each(p.inverse(p.Theta), func(_ int, f float64) float64 {
		turns := original * f / (2 * math.Pi) // in the original context
		switch {
		case turns < slow:
			return f / factor
		case turns > fast:
			return f
		}
		smooth := (turns - slow) / (fast - slow)
		return (1-smooth)*f/factor + smooth*f
	}), 1)
}
