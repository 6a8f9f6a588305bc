package tokenize

import (
	"math"
	"strconv"
	"strings"
)

// parseScore reads a JSON number as the reference does, whose last bit can differ from that of the
// nearest float64: where several ways to cut a word are equally likely, that bit decides. s is
// valid JSON; ok is false for a number that is out of range.
// Source: serde_json 1.0, de.rs, parse_integer, parse_decimal and f64_from_parts without float_roundtrip.
func parseScore(s string) (score float64, ok bool) {
	s, negative := strings.CutPrefix(s, "-")
	mantissa, power, _ := strings.Cut(strings.ToLower(s), "e")
	whole, decimals, _ := strings.Cut(mantissa, ".")
	var digits uint64
	exponent := 0
	for _, d := range []byte(whole) {
		if exponent > 0 || !appendDigit(&digits, d) {
			exponent++ // all digits from the first that there is no room for
		}
	}
	for _, d := range []byte(decimals) {
		if !appendDigit(&digits, d) {
			break
		}
		exponent--
	}
	if power != "" {
		more, err := strconv.Atoi(power)
		if err != nil {
			return 0, digits == 0 || more < 0
		}
		exponent += more
	}
	score = float64(digits)
	for ; exponent < -maxPower && score != 0; exponent += maxPower {
		score /= powerOfTen(maxPower)
	}
	switch {
	case score == 0:
	case exponent < 0:
		score /= powerOfTen(-exponent)
	case exponent > maxPower:
		return 0, false
	default:
		score *= powerOfTen(exponent)
	}
	if negative {
		score = -score
	}
	return score, !math.IsInf(score, 0)
}

// maxPower is the exponent of the largest power of ten in a float64.
const maxPower = 308

// powerOfTen is the float64 that is nearest to the power.
func powerOfTen(exponent int) float64 {
	power, _ := strconv.ParseFloat("1e"+strconv.Itoa(exponent), 64)
	return power
}

// appendDigit tells whether there was room for it.
func appendDigit(digits *uint64, digit byte) bool {
	more := uint64(digit - '0')
	if *digits > (math.MaxUint64-more)/10 {
		return false
	}
	*digits = *digits*10 + more
	return true
}
