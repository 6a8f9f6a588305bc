package main

import "testing"

func TestBatches(t *testing.T) {
	p := &prepared{
		row:   row{kind: generating, base: smolLM2, mixed: 4, data: data{batch: 8, tokens: 5, written: 64, warm: 1, calls: 2}},
		sizes: sizes{Vocab: 50},
	}
	p.job.Adapters = (&bench{}).adapterDirs(p.row)
	lines, err := (&bench{}).batches(p)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 3 || lines[0].Written != warmWritten || lines[1].Written != 64 || lines[2].Written != 64 {
		t.Errorf("%d batches of %d, %d, ... tokens, want 3 of %d, 64, 64", len(lines), lines[0].Written, lines[1].Written, warmWritten)
	}
	for _, line := range lines {
		for i, e := range line.Batch {
			if e.Adapter != i/2 {
				t.Errorf("sequence %d of 8 has adapter %d, want %d", i, e.Adapter, i/2)
			}
			if len(e.IDs) != 5 || len(e.Target) != 0 {
				t.Errorf("a sequence of %d tokens with %d to learn, want 5 and none", len(e.IDs), len(e.Target))
			}
			for _, id := range e.IDs {
				if id < 3 || id >= 50 {
					t.Errorf("token %d, want one of 3 to 49", id)
				}
			}
		}
	}
}

// An encoder-decoder learns targets; what a decoder learns is in its sequences.
func TestTargets(t *testing.T) {
	for base, want := range map[string]int{t5Small: 32, gpt2: 0} {
		r := row{kind: training, base: base, data: translation}
		if base == gpt2 {
			r.data = rowsOfText
		}
		if got := r.targets(); got != want {
			t.Errorf("%s: %d tokens to learn, want %d", base, got, want)
		}
	}
}
