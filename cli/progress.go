package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/gopeft/gopeft/train"
)

// progress shows a run: a bar on a terminal, else a line now and then; with JSON
// events also an object a line on the output stream.
type progress struct {
	err      io.Writer
	out      io.Writer
	isJSON   bool
	terminal *os.File                 // err, where that is a terminal
	bar      *progressbar.ProgressBar // nil before the first step
	metric   string                   // of the last evaluation
	last     time.Time
}

// lineInterval is the time between two lines where there is no terminal.
const lineInterval = 10 * time.Second

func newProgress(err, out io.Writer, isJSON bool) *progress {
	p := &progress{err: err, out: out, isJSON: isJSON}
	if file, ok := err.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.terminal = file
	}
	return p
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
	// The most wanted first: a narrow terminal has no room for all.
	parts := []string{fmt.Sprintf("loss %.4f", e.Loss)}
	if p.metric != "" {
		parts = append(parts, p.metric)
	}
	parts = append(parts, fmt.Sprintf("%.0f tok/s", e.TokensPerSecond), fmt.Sprintf("lr %.2g", e.LearningRate))
	if p.terminal != nil {
		if p.bar == nil {
			p.bar = progressbar.NewOptions(e.Steps,
				progressbar.OptionSetWriter(p.err), progressbar.OptionSetWidth(barWidth), progressbar.OptionShowCount(),
				progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		p.bar.Describe(fit(parts, p.columns()-barColumns(e.Steps)))
		_ = p.bar.Set(e.Step)
		return
	}
	if now := time.Now(); now.Sub(p.last) >= lineInterval || e.Step == e.Steps {
		p.last = now
		p.line("step %d/%d  epoch %.2f  %s  %s left", e.Step, e.Steps, e.Epoch, strings.Join(parts, "  "), e.Remaining.Round(time.Second))
	}
}

const barWidth = 10

// barColumns is the width of all beside the description: percentage, bar, count, and
// times of some hours.
func barColumns(steps int) int {
	return len(" 100% |") + barWidth + len("| ") + len(fmt.Sprintf("(%d/%d)", steps, steps)) + len(" [1h23m45s:1h23m45s]")
}

// columns is the width of the terminal, which may change during the run.
func (p *progress) columns() int {
	width, _, err := term.GetSize(int(p.terminal.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// fit joins as many of the first parts as have room: a line that wraps cannot be
// cleared.
func fit(parts []string, room int) string {
	text := ""
	for _, part := range parts {
		if text != "" {
			part = text + "  " + part
		}
		if utf8.RuneCountInString(part) > room {
			break
		}
		text = part
	}
	return text
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
	what := "adapter"
	if c.Bool(fullFlag) {
		what = "model"
	}
	t.row(what, dir)
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
