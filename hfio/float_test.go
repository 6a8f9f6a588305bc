package hfio

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"testing"

	"github.com/x448/float16"
)

func TestEveryHalfWidensAsFloat16Library(t *testing.T) {
	for h := range 1 << 16 {
		got, want := float16To32(uint16(h)), math.Float32bits(float16.Frombits(uint16(h)).Float32())
		if float16.Frombits(uint16(h)).IsNaN() {
			want &^= 0x400000 // the library makes NaN quiet; here its payload only moves
			want |= uint32(h&0x200) << 13
		}
		if got != want {
			t.Fatalf("half %04x = %08x, want %08x", h, got, want)
		}
	}
}

// TestHalvesRoundAsFloat16Library tries every float32 whose lower 12 bits are near
// a tie of a half, 4096 · 2^16 / 2^12 patterns of all signs and exponents.
func TestHalvesRoundAsFloat16Library(t *testing.T) {
	for top := range 1 << 20 {
		for _, low := range []uint32{0, 1, 0x7ff, 0x800, 0xfff} {
			f := uint32(top)<<12 | low
			value := math.Float32frombits(f)
			got, want := float16From32(f), float16.Fromfloat32(value).Bits()
			if value != value {
				if got&0x7fff <= 0x7c00 || got&0x200 == 0 {
					t.Fatalf("%08x = %04x, want a quiet NaN", f, got)
				}
				continue
			}
			if got != want {
				t.Fatalf("%08x = %04x, want %04x", f, got, want)
			}
		}
	}
}

// TestConversionsEqualTorch compares SHA-256 of conversions by torch; NaN, whose
// bits torch leaves open, counts as 0. The patterns are those of hfio_fixtures.py.
func TestConversionsEqualTorch(t *testing.T) {
	var want map[string]string
	if err := json.Unmarshal(fixture(t, "floats.json"), &want); err != nil {
		t.Fatal(err)
	}
	halves, wide, doubles := conversionPatterns()
	for _, tt := range []struct {
		name string
		from Tensor
		to   DType
	}{
		{"f16_to_f32", Tensor{DType: F16, Data: halves}, F32},
		{"bf16_to_f32", Tensor{DType: BF16, Data: halves}, F32},
		{"f16_to_bf16", Tensor{DType: F16, Data: halves}, BF16},
		{"bf16_to_f16", Tensor{DType: BF16, Data: halves}, F16},
		{"f32_to_f16", Tensor{DType: F32, Data: wide}, F16},
		{"f32_to_bf16", Tensor{DType: F32, Data: wide}, BF16},
		{"f32_to_f64", Tensor{DType: F32, Data: wide}, F64},
		{"f64_to_f32", Tensor{DType: F64, Data: doubles}, F32},
		{"f64_to_f16", Tensor{DType: F64, Data: doubles}, F16},
		{"f64_to_bf16", Tensor{DType: F64, Data: doubles}, BF16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.from.Shape = []int{len(tt.from.Data) * 8 / tt.from.DType.Bits()}
			got, err := tt.from.Convert(tt.to)
			if err != nil {
				t.Fatal(err)
			}
			clearNaN(got)
			sum := sha256.Sum256(got.Data)
			if hex.EncodeToString(sum[:]) != want[tt.name] {
				t.Errorf("Convert differs from torch: sha256 %x, want %s", sum, want[tt.name])
			}
			if tt.to != F32 {
				return
			}
			values, err := tt.from.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			view := NewFloat32("", tt.from.Shape, values)
			clearNaN(view)
			if sum := sha256.Sum256(view.Data); hex.EncodeToString(sum[:]) != want[tt.name] {
				t.Errorf("Float32s differs from torch: sha256 %x, want %s", sum, want[tt.name])
			}
		})
	}
}

// conversionPatterns builds the inputs of save_floats in hfio_fixtures.py.
func conversionPatterns() (halves, wide, doubles []byte) {
	for h := range 1 << 16 {
		halves = le.AppendUint16(halves, uint16(h))
	}
	for i := range 1 << 20 {
		wide = le.AppendUint32(wide, uint32(i*4099+12345))
	}
	for _, d := range []int{0x7fff, 0x8000, 0x8001} {
		for h := range 1 << 16 {
			wide = le.AppendUint32(wide, uint32(h<<16+d))
		}
	}
	for _, d := range []int{-0x1001, -0x1000, -0xfff, 0xfff, 0x1000, 0x1001} {
		for h := range 1 << 16 {
			wide = le.AppendUint32(wide, float16To32(uint16(h))+uint32(d))
		}
	}
	for i := range uint64(1 << 18) {
		doubles = le.AppendUint64(doubles, i*0x9e3779b97f4a7c15)
	}
	for _, factor := range []float64{1 + 0x1p-11, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-9 - 0x1p-45} {
		for h := range 1 << 16 {
			value := float64(math.Float32frombits(float16To32(uint16(h))))
			doubles = le.AppendUint64(doubles, math.Float64bits(value*factor))
		}
	}
	return halves, wide, doubles
}

func clearNaN(t Tensor) {
	width := t.DType.Bits() / 8
	load, _ := float64Loader(t)
	for at := 0; at < len(t.Data); at += width {
		if math.IsNaN(load(t.Data[at:])) {
			clear(t.Data[at : at+width])
		}
	}
}

func TestFloat32sViewAndCopy(t *testing.T) {
	tensor := NewFloat32("x", []int{2}, []float32{1, -2})
	unaligned := append([]byte{0}, tensor.Data...)[1:]
	for _, data := range [][]byte{tensor.Data, unaligned} {
		tensor.Data = data
		values, err := tensor.Float32s()
		if err != nil || len(values) != 2 || values[0] != 1 || values[1] != -2 {
			t.Errorf("Float32s() = %v, %v", values, err)
		}
	}
	if _, ok := inPlace[float32](unaligned); ok {
		t.Error("unaligned data was viewed in place")
	}
	if _, err := (Tensor{Name: "x", DType: I64, Shape: []int{0}}).Float32s(); err == nil {
		t.Error("Float32s() of I64 gives no error")
	}
}
