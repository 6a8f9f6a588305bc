package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// operatorTime is the time of a step that an operator takes.
type operatorTime struct {
	name  string
	share float64 // of the samples
}

// operatorMethod is a frame of an operator of package kernel.
var operatorMethod = regexp.MustCompile(`/internal/kernel\.\(\*(\w+)\)\.(forward|backward)`)

// groups names operators as readers know them; the others keep their own names.
var groups = map[string]string{"layerNorm": "norm", "insertion": "prompt rows"}

// profiles is how many runs a breakdown is made of: a sample is taken every 10 ms.
const profiles = 3

// breakDown profiles runs of gopeft on one processor.
func (b *bench) breakDown(ctx context.Context, p *prepared) error {
	argv := []string{"tool", "pprof", "-traces"}
	for i := range profiles {
		path := filepath.Join(b.work, fmt.Sprintf("%s.%d.prof", p.name, i+1))
		if _, err := b.gopeft(ctx, p, path); err != nil {
			return err
		}
		argv = append(argv, path)
	}
	output, err := exec.CommandContext(ctx, "go", argv...).Output()
	if err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(argv, " "), err)
	}
	p.operators, err = shares(output)
	return err
}

// shares adds up the samples of what `go tool pprof -traces` prints: after a line of
// dashes, the sample's time and its innermost function, then a caller a line.
func shares(traces []byte) ([]operatorTime, error) {
	times := map[string]time.Duration{}
	var total, value time.Duration
	var stack []string
	flush := func() {
		if len(stack) > 0 {
			times[operatorOf(stack)] += value
			total += value
		}
		stack = nil
	}
	inSamples := false
	for scanner := bufio.NewScanner(bytes.NewReader(traces)); scanner.Scan(); {
		line := scanner.Text()
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "-----------+"):
			flush()
			inSamples = true
		case !inSamples || len(fields) == 0:
		case len(stack) == 0:
			var err error
			if value, err = time.ParseDuration(fields[0]); err != nil || len(fields) < 2 {
				return nil, fmt.Errorf("go tool pprof -traces: found %q, want a time and a function", line)
			}
			stack = []string{fields[1]}
		default:
			stack = append(stack, fields[0])
		}
	}
	flush()
	if total == 0 {
		return nil, fmt.Errorf("the profile has no samples")
	}
	var list []operatorTime
	for name, d := range times {
		list = append(list, operatorTime{name, d.Seconds() / total.Seconds()})
	}
	slices.SortFunc(list, func(a, b operatorTime) int {
		return cmp.Or(cmp.Compare(b.share, a.share), strings.Compare(a.name, b.name))
	})
	return list, nil
}

// operatorOf names what a stack, innermost function first, works for.
func operatorOf(stack []string) string {
	operator := ""
	for _, frame := range stack {
		if m := operatorMethod.FindStringSubmatch(frame); m != nil {
			operator = cmp.Or(groups[m[1]], m[1]) + " " + m[2]
			break
		}
	}
	switch {
	case operator == "":
		return rest
	case strings.HasSuffix(stack[0], "memmove"):
		return "copies (memmove)"
	case slices.ContainsFunc(stack, isPacking):
		return "packing"
	}
	return operator
}

const rest = "rest: optimiser, batches, autograd, garbage collection"

// packing is a function that packs an operand, not one that multiplies with a packed one.
var packing = regexp.MustCompile(`/internal/(simd|kernel)\.(\(\*?\w+\)\.)?[pP]ack([^e]|$)`)

func isPacking(frame string) bool { return packing.MatchString(frame) }
