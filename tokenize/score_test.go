package tokenize

import "testing"

// Expected: the scores that tokenizers 0.23.3 writes for a vocabulary with these.
func TestParseScore(t *testing.T) {
	for s, want := range map[string]float64{
		"-10.5863":                             -0x1.52c2f837b4a23p+3,
		"-2.0122928619384766":                  -0x1.0192d00000001p+1, // its nearest float64 ends in 0
		"-13.142486572265625":                  -0x1.a48f3ffffffffp+3,
		"-9.313225746154785e-10":               -0x1.ffffffffffffep-31,
		"-0.000012345678901234567":             -0x1.9e409302678bap-17,
		"-7.123456789012345678901234567890":    -0x1.c7e6b74dd1bdap+2,
		"0":                                    0,
		"-17":                                  -17,
		"2.5e+4":                               0x1.86a0000000000p+14,
		"-1.5E-3":                              -0x1.89374bc6a7efap-10,
		"12345678901234567890":                 0x1.56a95319d63e1p+63,
		"98765432109876543210987":              0x1.4ea15b5a63f1fp+76,
		"1844674407370955161.6":                0x1.999999999999ap+60,
		"123456789012345678e-330":              0x0.00005d165967ap-1022,
		"4.9e-324":                             0x0.0000000000001p-1022,
		"179769313486231570e291":               0x1.fffffffffffffp+1023,
		"0.1e-400":                             0,
		"0e999999999999":                       0,
		"-1e-99999999999999999999999999999999": 0,
	} {
		if got, ok := parseScore(s); got != want || !ok {
			t.Errorf("%s: %x, %v, want %x", s, got, ok, want)
		}
	}
	for _, s := range []string{"1e309", "1e400", "-1e310", "1e999999999999", "1e99999999999999999999999999999999"} {
		if got, ok := parseScore(s); ok {
			t.Errorf("%s: %x, want none", s, got)
		}
	}
}
