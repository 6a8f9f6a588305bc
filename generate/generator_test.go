package generate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

// A service loads adapters and drops them: what the generator keeps of one ends with it.
func TestAdaptersAreForgotten(t *testing.T) {
	model := tinyLlama(t)
	g, err := New(model)
	if err != nil {
		t.Fatal(err)
	}
	run := func(kept *adapters.Frozen) {
		requests := []Request{{IDs: []int{1, 2, 3}, Adapter: kept, Config: Default()}, {IDs: []int{1, 2, 3}, Adapter: frozen(t, model), Config: Default()}}
		if _, err := g.Run(context.Background(), requests); err != nil {
			t.Fatal(err)
		}
	}
	kept := frozen(t, model)
	for range 3 {
		run(kept)
	}
	left := func() int {
		g.lock.Lock()
		defer g.lock.Unlock()
		return len(g.begun)
	}
	for deadline := time.Now().Add(10 * time.Second); left() > 1 && time.Now().Before(deadline); {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if n := left(); n != 1 {
		t.Errorf("the beginnings of %d adapters are kept, want that of the one that is left", n)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(g)
}

// An adapter may outlive a generator.
func TestGeneratorsAreForgotten(t *testing.T) {
	model := tinyLlama(t)
	kept := frozen(t, model)
	used := func() weak.Pointer[Generator] {
		g, err := New(model)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Run(context.Background(), []Request{{IDs: []int{1, 2, 3}, Adapter: kept, Config: Default()}}); err != nil {
			t.Fatal(err)
		}
		return weak.Make(g)
	}()
	for deadline := time.Now().Add(10 * time.Second); used.Value() != nil && time.Now().Before(deadline); {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if used.Value() != nil {
		t.Error("an adapter keeps a generator that nobody else has")
	}
	runtime.KeepAlive(kept)
}

// An answer ends with the first token after which its text holds a stop string, though that is
// decided later, or lies across tokens.
func TestStopStrings(t *testing.T) {
	g, err := New(tinyLlama(t))
	if err != nil {
		t.Fatal(err)
	}
	g.Text = func() Text { return &letters{} }
	config := Default()
	config.MaxNewTokens, config.DoSample, config.Temperature = 40, true, 3
	answer := func(stops ...string) Answer {
		t.Helper()
		config.StopStrings = stops
		answers, err := g.Run(context.Background(), []Request{{IDs: []int{1, 2, 3}, Config: config}})
		if err != nil {
			t.Fatal(err)
		}
		return answers[0][0]
	}
	all := answer().IDs
	text := textOf(all)
	for from := range len(text) {
		for _, length := range []int{1, 2, 3, 7} {
			stop := text[from:min(from+length, len(text))]
			want := 0
			for !strings.Contains(textOf(all[:want]), stop) {
				want++
			}
			if got := answer("no such text", stop); len(got.IDs) != want || got.Finish != FinishString && want < len(all) {
				t.Errorf("%q in %q: found %d tokens, %s, want %d", stop, text, len(got.IDs), got.Finish, want)
			}
		}
	}
}

// letters gives two letters for each token, of which it holds the second back.
type letters struct{ held string }

func (l *letters) Add(id int) string {
	text := l.held + string(rune('a'+id%26))
	l.held = string(rune('A' + id/2%26))
	return text
}

func (l *letters) Flush() string { return l.held }

func (l *letters) Clone() Text { c := *l; return &c }

func textOf(ids []int) string {
	text := ""
	for _, id := range ids {
		text += string(rune('a'+id%26)) + string(rune('A'+id/2%26))
	}
	return text
}

// A number of answers that no memory holds is refused, and the greatest that is not is said. Each takes 40
// scores of 4 bytes, 2·2·6 numbers of 4 bytes a token and, as a beam, these twice and at most 40 continuations
// of 32 bytes.
func TestTooManyAnswers(t *testing.T) {
	g, err := New(tinyLlama(t))
	if err != nil {
		t.Fatal(err)
	}
	answer := func(change func(*Config)) error {
		r := Request{IDs: []int{1, 2, 3}, Config: Default()}
		r.MaxNewTokens = 2
		change(&r.Config)
		_, err := g.Run(context.Background(), []Request{r})
		return err
	}
	const scores, cache = 40 * 4, (3 + 2) * 2 * 2 * 6 * 4
	for name, test := range map[string]struct {
		change func(*Config)
		most   int
		field  string
	}{
		"beams":     {func(c *Config) { c.NumBeams = 1 << 40 }, 4 << 30 / (scores + 2*cache + 40*32), "num_beams"},
		"sequences": {func(c *Config) { c.NumReturnSequences, c.DoSample = 1<<40, true }, 4 << 30 / (scores + cache), "num_return_sequences"},
	} {
		var wrong *ConfigError
		if err := answer(test.change); !errors.As(err, &wrong) || wrong.Field != test.field || !strings.HasPrefix(wrong.Want, fmt.Sprintf("at most %d:", test.most)) {
			t.Errorf("%s: found %v, want at most %d", name, err, test.most)
		}
	}
	if err := answer(func(c *Config) { c.NumBeams = 64 }); err != nil {
		t.Error(err)
	}
}

// Requests with the same settings are told once of too many beams, with the number that is not too many for any.
func TestTooManyAnswersAreSaidOnce(t *testing.T) {
	g, err := New(tinyLlama(t))
	if err != nil {
		t.Fatal(err)
	}
	settings := Default()
	settings.MaxNewTokens, settings.NumBeams = 2, 1<<40
	longest := []int{1, 2, 3, 4, 5}
	_, err = g.Run(context.Background(), []Request{{IDs: longest[:2], Config: settings}, {IDs: longest, Config: settings}, {IDs: longest[:3], Config: settings}, {Config: settings}})
	several, ok := err.(interface{ Unwrap() []error })
	if !ok || len(several.Unwrap()) != 2 {
		t.Fatalf("found %v, want 2 problems", err)
	}
	parts := several.Unwrap()
	var input *InputError
	var wrong *ConfigError
	most := fmt.Sprintf("at most %d:", 4<<30/(40*4+2*(5+2)*2*2*6*4+40*32))
	if !errors.As(parts[0], &input) || input.Input != 1 || !errors.As(parts[0], &wrong) || !strings.HasPrefix(wrong.Want, most) {
		t.Errorf("found %v, want input 1 to have %s", parts[0], most)
	}
	if !errors.As(parts[1], &input) || input.Input != 3 || !errors.Is(parts[1], models.ErrTokenID) {
		t.Errorf("found %v, want input 3 to have no token", parts[1])
	}
}

// As many answers as several requests may have at once one may have, however long they may become.
func TestLongAnswers(t *testing.T) {
	g, err := New(tinyLlama(t))
	if err != nil {
		t.Fatal(err)
	}
	q := &request{Request: Request{Config: Default()}}
	for beams, want := range map[int]bool{64: true, 65: false} {
		q.NumBeams = beams
		if err := g.checkWidth(q, 1<<40); (err == nil) != want {
			t.Errorf("%d beams: found %v", beams, err)
		}
	}
}

func tinyLlama(t *testing.T) *models.Model {
	t.Helper()
	model, base, err := auto.Load(hfio.Dir("../compat_test/testdata/goldens/decoder-llama/base"), &auto.Options{Task: models.CausalLM})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = base.Close() })
	return model
}

func frozen(t *testing.T, model *models.Model) *adapters.Frozen {
	t.Helper()
	config := hfio.NewAdapterConfig(hfio.PromptTuning)
	config.TaskType, config.NumVirtualTokens = hfio.CausalLM, 3
	m, err := adapters.New(model, config, adapters.Init{Rand: rand.New(rand.NewPCG(1, 1))})
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	return f
}
