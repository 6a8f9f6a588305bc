package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// waitPolicies are the values of OMP_WAIT_POLICY that Python is tried with: how torch's threads
// wait for work. Which is better depends on the machine and on what else it does.
var waitPolicies = []string{"", "PASSIVE"}

// side is what was measured of gopeft, or of Python with one policy, in every round.
type side struct {
	policy  string    // Python's OMP_WAIT_POLICY; "" is torch's own choice
	figures []float64 // tokens a second, or seconds a call
	rates   []float64 // floating-point operations a second
	memory  []float64 // bytes
}

func threads() int { return runtime.NumCPU() }

// measure compares the numbers of every row, then takes the rounds, then the profiles.
func (b *bench) measure(ctx context.Context) error {
	defer func() {
		for _, s := range b.servers {
			s.close() // a worker that failed has been reported
		}
	}()
	for _, p := range b.prepared {
		if err := b.verify(ctx, p); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		if err := b.notePeak(ctx); err != nil {
			return err
		}
		for _, p := range b.prepared {
			if err := b.round(ctx, p, round); err != nil {
				return err
			}
		}
	}
	for _, p := range b.prepared {
		if p.profile {
			if err := b.breakDown(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) notePeak(ctx context.Context) error {
	r, err := b.worker("peak", job{Kind: peaking}, b.itself(ctx, nil))
	b.peak.Float32, b.peak.BFloat16 = max(b.peak.Float32, r.Peak.Float32), max(b.peak.BFloat16, r.Peak.BFloat16)
	b.peak.Read = max(b.peak.Read, r.Peak.Read)
	return err
}

// verify checks, without dropout, that both sides compute the same. Its times count for
// nothing: this is where files are read for the first time.
func (b *bench) verify(ctx context.Context, p *prepared) error {
	plain := *p
	plain.job.Dropout = false
	var err error
	if p.expected, err = b.gopeft(ctx, &plain, ""); err != nil {
		return err
	}
	theirs, err := b.peft(ctx, &plain, waitPolicies[0])
	if err != nil {
		return err
	}
	if err := b.agree(p, p.expected, theirs); err != nil {
		return err
	}
	for _, policy := range waitPolicies {
		p.theirs = append(p.theirs, &side{policy: policy})
	}
	fmt.Fprintf(os.Stderr, "%s: the same numbers, %.2g apart\n", p.name, p.apart)
	return nil
}

func (b *bench) agree(p *prepared, expected, found result) error {
	apart, err := p.compare(expected, found, p.sizes)
	p.apart = max(p.apart, apart)
	return err
}

// trialRounds is in how many rounds every policy runs; then the best one goes on.
const trialRounds = 1

// round runs gopeft and Python once; the one that goes first changes from round to round.
func (b *bench) round(ctx context.Context, p *prepared, round int) error {
	if round == trialRounds {
		p.theirs = []*side{p.python()}
	}
	sides := append([]*side{p.ours}, p.theirs...)
	if round%2 == 1 {
		slices.Reverse(sides)
	}
	for _, s := range sides {
		if err := b.runSide(ctx, p, s); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "%s: round %d of %d: gopeft %s, Python %s\n", p.name, round+1, b.rounds,
		p.format(last(p.ours.figures)), p.format(last(p.python().figures)))
	return nil
}

func (b *bench) runSide(ctx context.Context, p *prepared, s *side) error {
	var r result
	var err error
	if s == p.ours {
		r, err = b.gopeft(ctx, p, "")
	} else {
		r, err = b.peft(ctx, p, s.policy)
	}
	if err != nil {
		return err
	}
	s.add(p, r)
	if p.dropout { // which draws other numbers on each side
		return nil
	}
	return b.agree(p, p.expected, r)
}

func (s *side) add(p *prepared, r result) {
	s.figures = append(s.figures, p.figure(r))
	s.memory = append(s.memory, float64(r.PeakRSS))
	s.rates = append(s.rates, p.needs(p.sizes, p.lengths)/sum(r.Seconds))
}

// figure is the number that a row compares.
func (r row) figure(found result) float64 {
	if r.byTime() {
		return median(found.Seconds)
	}
	tokens := 0
	for _, n := range found.Tokens {
		tokens += n
	}
	return float64(tokens) / sum(found.Seconds)
}

// gopeft runs this program as a worker. With a profile it has one processor: there all
// work of an operator is on the goroutine that called it, and so under its name.
func (b *bench) gopeft(ctx context.Context, p *prepared, profile string) (result, error) {
	j := p.job
	var environment []string
	if profile != "" {
		j.Profile, environment = profile, []string{"GOMAXPROCS=1"}
	}
	if j.Kind == starting {
		j.Command = []string{b.settings.gopeft, "predict", "--base", j.Base, "--adapter", j.Adapters[0], "--json"}
	}
	return b.worker(p.name+".gopeft", j, b.itself(ctx, environment))
}

func (b *bench) peft(ctx context.Context, p *prepared, policy string) (result, error) {
	j := p.job
	if j.Kind == starting {
		j.Command = []string{b.python, filepath.Join(b.oracle, "first_answer.py"), j.Base, j.Adapters[0]}
		var environment []string
		if policy != "" {
			environment = []string{"OMP_WAIT_POLICY=" + policy}
		}
		return b.worker(p.name+".python", j, b.itself(ctx, environment))
	}
	s, err := b.server(ctx, policy)
	if err != nil {
		return result{}, err
	}
	return b.worker(p.name+".python", j, s.run)
}

// itself runs this program as a worker on the job in a file.
func (b *bench) itself(ctx context.Context, environment []string) func(path string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		argv := slices.Concat(b.under, []string{b.self, workCommand, path})
		command := exec.CommandContext(ctx, argv[0], argv[1:]...)
		command.Env = append(os.Environ(), environment...)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		output, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, stderr.Bytes())
		}
		return output, nil
	}
}

// worker writes the job, has it run and reads the answer.
func (b *bench) worker(name string, j job, run func(path string) ([]byte, error)) (result, error) {
	var r result
	path := filepath.Join(b.work, name+".json")
	if err := writeJSON(path, j); err != nil {
		return r, err
	}
	b.noteLoad()
	output, err := run(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(output, &r); err != nil {
		return r, fmt.Errorf("the worker of %s printed %q: %w", path, output, err)
	}
	maps.Copy(b.versions, r.Versions)
	return r, nil
}
