package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/gopeft/gopeft/train"
)

// progress shows a run: a bar on a terminal, else a line now and then; with JSON
// events also an object a line on the output stream.
type progress struct {
	err    io.Writer
	out    io.Writer
	isJSON bool
	bar    *progressbar.ProgressBar // nil: no terminal
	onTTY  bool
	metric string // of the last evaluation
	last   time.Time
}

// lineInterval is the time between two lines where there is no terminal.
const lineInterval = 10 * time.Second

func newProgress(err, out io.Writer, isJSON bool) *progress {
	file, isFile := err.(*os.File)
	return &progress{err: err, out: out, isJSON: isJSON, onTTY: isFile && term.IsTerminal(int(file.Fd()))}
}

func (p *progress) event(e train.Event) {
	if p.isJSON {
		_ = printJSON(p.out, e) // a closed output stream must not stop the run
	}
	switch e.Kind {
	case train.StepEvent:
		p.step(e)
	case train.EvalEvent:
		p.metric = fmt.Sprintf("%s %.4f", e.Metric, e.Metrics[e.Metric])
		if e.Metric == "loss" {
			p.metric = fmt.Sprintf("dev loss %.4f", e.Loss)
		}
		best := ""
		if e.Best {
			best = ", the best so far"
		}
		p.line("step %d/%d  epoch %.2f  dev loss %.4f  %s%s", e.Step, e.Steps, e.Epoch, e.Loss, metricsText(e.Metrics), best)
	}
}

func metricsText(metrics map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		parts = append(parts, fmt.Sprintf("%s %.4f", name, metrics[name]))
	}
	return strings.Join(parts, "  ")
}

func (p *progress) step(e train.Event) {
	status := fmt.Sprintf("loss %.4f  lr %.2g  %.0f tok/s", e.Loss, e.LearningRate, e.TokensPerSecond)
	if p.metric != "" {
		status += "  " + p.metric
	}
	if p.onTTY {
		if p.bar == nil {
			p.bar = progressbar.NewOptions(e.Steps,
				progressbar.OptionSetWriter(p.err), progressbar.OptionSetWidth(24), progressbar.OptionShowCount(),
				progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		p.bar.Describe(status)
		_ = p.bar.Set(e.Step)
		return
	}
	if now := time.Now(); now.Sub(p.last) >= lineInterval || e.Step == e.Steps {
		p.last = now
		p.line("step %d/%d  epoch %.2f  %s  %s left", e.Step, e.Steps, e.Epoch, status, e.Remaining.Round(time.Second))
	}
}

// line prints a line above the bar.
func (p *progress) line(format string, args ...any) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintf(p.err, format+"\n", args...)
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

func printSummary(c *cli.Context, s train.Summary) error {
	dir := c.String("output")
	if c.Bool("json") {
		return nil // the last event says it
	}
	seconds := s.Elapsed.Seconds()
	t := newTable(c.App.Writer)
	t.row("adapter", dir)
	t.row("trained parameters", fmt.Sprint(s.Parameters))
	t.row("steps", fmt.Sprint(s.Steps))
	t.row("training loss", fmt.Sprintf("%.4f", s.Loss))
	if s.BestStep > 0 {
		t.row("best "+s.Metric, fmt.Sprintf("%.4f (after step %d)", s.Best, s.BestStep))
	}
	t.row("seconds", fmt.Sprintf("%.1f", seconds))
	t.row("tokens", fmt.Sprint(s.Tokens))
	return t.flush()
}
