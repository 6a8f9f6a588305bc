package cli

import "testing"

// The first parts are shown as long as they fit, without a gap.
func TestFit(t *testing.T) {
	parts := []string{"loss 0.5", "accuracy 0.9", "9 tok/s"}
	for _, test := range []struct {
		room int
		want string
	}{
		{32, "loss 0.5  accuracy 0.9  9 tok/s"},
		{31, "loss 0.5  accuracy 0.9  9 tok/s"},
		{30, "loss 0.5  accuracy 0.9"},
		{21, "loss 0.5"},
		{7, ""},
		{-20, ""},
	} {
		if got := fit(parts, test.room); got != test.want {
			t.Errorf("room %d: found %q, want %q", test.room, got, test.want)
		}
	}
}
