package hfio

import "fmt"

// ggufRestore undoes what llama.cpp changed in a tensor, whose name is key in the
// architecture's names. It returns nil for a tensor that stayed as it was, and an error
// for one that cannot have been changed so. The result is only called for when the
// tensor is used, and keeps its name.
type ggufRestore func(key string, t Tensor, c *ggufConfig) (restored func() Tensor, err error)

// restoreLlama undoes the permutation of llama.cpp's rotary embedding, which turns
// neighbouring rows where transformers turns row i and i + half of the head.
func restoreLlama(key string, t Tensor, c *ggufConfig) (func() Tensor, error) {
	heads := 0
	switch key {
	case "blk.attn_q":
		heads = c.int("attention.head_count")
	case "blk.attn_k":
		heads = c.keyHeads()
	default:
		return nil, nil
	}
	if heads < 1 || rows(t) == 0 || rows(t)%(2*heads) != 0 {
		return nil, &Mismatch{"shape " + shapeString(t.Shape), fmt.Sprintf("rows for %d heads of an even size", heads), ErrShape}
	}
	half := rows(t) / (2 * heads)
	return t.reordered(func(i int) int {
		head, within := i/(2*half), i%(2*half)
		return 2*half*head + within%half*2 + within/half
	})
}

// restoreBloom puts the three parts of a head, which llama.cpp stores part by part,
// under each other.
func restoreBloom(key string, t Tensor, c *ggufConfig) (func() Tensor, error) {
	if key != "blk.attn_qkv" {
		return nil, nil
	}
	heads := c.int("attention.head_count")
	if heads < 1 || rows(t) == 0 || rows(t)%(3*heads) != 0 {
		return nil, &Mismatch{"shape " + shapeString(t.Shape), fmt.Sprintf("rows for three parts of %d heads", heads), ErrShape}
	}
	size := rows(t) / (3 * heads)
	return t.reordered(func(i int) int {
		head, part, within := i/(3*size), i/size%3, i%size
		return (part*heads+head)*size + within
	})
}

// restoreGPT2 gives the weights of transformers' Conv1D back their order, [in, out].
func restoreGPT2(key string, t Tensor, _ *ggufConfig) (func() Tensor, error) {
	switch key {
	case "blk.attn_qkv", "blk.attn_output", "blk.ffn_up", "blk.ffn_down":
		if len(t.Shape) == 2 {
			return t.transposed, nil
		}
	}
	return nil, nil
}

// restoreGemma takes away the 1 that llama.cpp adds to the weights of the norms.
func restoreGemma(key string, t Tensor, _ *ggufConfig) (func() Tensor, error) {
	switch key {
	case "output_norm", "blk.attn_norm", "blk.ffn_norm", "blk.attn_q_norm", "blk.attn_k_norm", "blk.post_attention_norm", "blk.post_ffw_norm":
		return t.lessOne, nil
	}
	return nil, nil
}

// rows returns the size of the first dimension.
func rows(t Tensor) int {
	if len(t.Shape) == 0 {
		return 0
	}
	return t.Shape[0]
}

// reordered returns the tensor whose row i is row from(i) of t; blocks stay blocks.
func (t Tensor) reordered(from func(i int) int) (func() Tensor, error) {
	if len(t.Shape) == 1 && !t.DType.Valid() {
		return nil, &Mismatch{fmt.Sprintf("one row of %s", t.DType), "F32, F16 or BF16", ErrDType}
	}
	return func() Tensor {
		width := len(t.Data) / t.Shape[0]
		data := make([]byte, 0, len(t.Data))
		for i := range t.Shape[0] {
			data = append(data, t.Data[from(i)*width:][:width]...)
		}
		t.Data = data
		return t
	}, nil
}

// transposed returns the transposed matrix, of blocks as float32.
func (t Tensor) transposed() Tensor {
	if !t.DType.Valid() {
		t = t.asFloat32()
	}
	width, height, columns := t.DType.Bits()/8, t.Shape[0], t.Shape[1]
	data := make([]byte, len(t.Data))
	for row := range height {
		for column := range columns {
			copy(data[(column*height+row)*width:][:width], t.Data[(row*columns+column)*width:])
		}
	}
	return Tensor{Name: t.Name, DType: t.DType, Shape: []int{columns, height}, Data: data}
}

// lessOne returns the tensor minus 1, as float32.
func (t Tensor) lessOne() Tensor {
	values, _ := t.asFloat32().Float32s()
	less := make([]float32, len(values))
	for i, v := range values {
		less[i] = v - 1
	}
	return NewFloat32(t.Name, t.Shape, less)
}

// asFloat32 converts a tensor that was read from GGUF, whose types all are floats.
func (t Tensor) asFloat32() Tensor {
	wide, err := t.Convert(F32)
	if err != nil {
		panic(fmt.Sprintf("hfio: %v", err))
	}
	return wide
}
