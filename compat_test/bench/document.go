package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// table is lines of cells, the first of which is the heading.
type table [][]string

func (t table) String() string {
	var b strings.Builder
	for i, cells := range t {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			b.WriteString("|" + strings.Repeat(" --- |", len(cells)) + "\n")
		}
	}
	return b.String()
}

// format writes a figure with its unit.
func (r row) format(figure float64) string {
	switch {
	case !r.byTime() && figure < 99.95:
		return fmt.Sprintf("%.1f tok/s", figure)
	case !r.byTime():
		return thousands(figure) + " tok/s"
	case figure < 1:
		return fmt.Sprintf("%.3g ms", figure*1e3)
	}
	return fmt.Sprintf("%.3g s", figure)
}

// thousands writes a number without decimals, with a comma before each three digits.
func thousands(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

const none = "–"

func (b *bench) speedTable() table {
	t := table{{"what", "gopeft", "(best)", "Python PEFT", "(best)", "ratio", "goal", "reached", "share of peak: gopeft", "Python", "goal"}}
	for _, p := range b.prepared {
		python := p.python()
		ratio := p.ratio(p.ours, python)
		t = append(t, []string{
			p.title,
			p.format(median(p.ours.figures)), p.format(p.best(p.ours.figures)),
			p.format(median(python.figures)), p.format(p.best(python.figures)),
			fmt.Sprintf("**%.2f×**", ratio), fmt.Sprintf("≥ %g×", p.goal), yes(ratio >= p.goal),
			b.share(p, p.ours), b.share(p, python), percentGoal(p.share),
		})
	}
	return t
}

// share is how much of what the processors can do at most a side did.
func (b *bench) share(p *prepared, s *side) string {
	most := b.peak.Float32
	switch {
	case p.readsMemory():
		most = b.peak.Read
	case p.bf16:
		most = b.peak.BFloat16
	}
	if most == 0 || median(s.rates) == 0 {
		return none
	}
	return fmt.Sprintf("%.0f %%", 100*median(s.rates)/most)
}

// bytesOfToken says what must be read for a token of the rows that decode one sequence of SmolLM2.
func (b *bench) bytesOfToken() string {
	var list []string
	for _, p := range b.prepared {
		if p.base == smolLM2 && p.readsMemory() && p.data.batch == 1 {
			format := "%.0f MB in float32"
			if p.bf16 {
				format = "%.0f MB in bfloat16"
			}
			list = append(list, fmt.Sprintf(format, p.bytes(p.sizes, p.lengths)/float64(p.data.calls*p.data.written)/1e6))
		}
	}
	return cmp.Or(strings.Join(list, " and "), none)
}

func percentGoal(share float64) string {
	if share == 0 {
		return none
	}
	return fmt.Sprintf("≥ %.0f %%", 100*share)
}

func yes(reached bool) string {
	if reached {
		return "yes"
	}
	return "no"
}

// memoryTable compares the peaks of the rows that have a goal for them.
func (b *bench) memoryTable() table {
	t := table{{"peak memory", "gopeft", "Python PEFT", "gopeft's part", "goal", "reached"}}
	for _, p := range b.prepared {
		ours, theirs := median(p.ours.memory), median(p.python().memory)
		if p.memory == 0 || theirs == 0 {
			continue
		}
		t = append(t, []string{
			p.title, thousands(ours/1e6) + " MB", thousands(theirs/1e6) + " MB",
			fmt.Sprintf("%.2f", ours/theirs), fmt.Sprintf("≤ %.2f", p.memory), yes(ours/theirs <= p.memory),
		})
	}
	return t
}

// operatorTable has a column for every row that was profiled.
func (b *bench) operatorTable() table {
	heading := []string{"of a step"}
	shares := map[string][]string{}
	weight := map[string]float64{}
	columns := 0
	for _, p := range b.prepared {
		if p.operators == nil {
			continue
		}
		heading = append(heading, p.title)
		for _, o := range p.operators {
			cells := shares[o.name]
			for len(cells) < columns {
				cells = append(cells, none)
			}
			shares[o.name] = append(cells, fmt.Sprintf("%.1f %%", 100*o.share))
			weight[o.name] += o.share
		}
		columns++
	}
	t := table{heading}
	names := slices.SortedFunc(maps.Keys(shares), func(a, b string) int {
		if weight[a] > weight[b] || weight[a] == weight[b] && a < b {
			return -1
		}
		return 1
	})
	for _, name := range names {
		cells := shares[name]
		for len(cells) < columns {
			cells = append(cells, none)
		}
		t = append(t, append([]string{name}, cells...))
	}
	return t
}

// checkTable says how Python ran, and how far apart the numbers were.
func (b *bench) checkTable() table {
	t := table{{"row", "greatest difference", "allowed", "OMP_WAIT_POLICY of the best Python"}}
	for _, p := range b.prepared {
		allowed := fmt.Sprintf("%.1e", p.tolerance(p.sizes))
		if p.kind == training {
			steps := p.data.warm + p.data.calls
			allowed = fmt.Sprintf("%.1e, in step %d %.1e", p.stepTolerance(p.sizes, 1), steps, p.stepTolerance(p.sizes, steps))
		}
		t = append(t, []string{p.title, fmt.Sprintf("%.1e", p.apart), allowed, cmp.Or(p.python().policy, "default")})
	}
	return t
}

func (b *bench) versionList() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(b.versions)) {
		list = append(list, name+" "+strings.TrimPrefix(b.versions[name], "go"))
	}
	return strings.Join(list, ", ")
}
