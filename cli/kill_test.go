package cli_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopeft/gopeft/cli"
)

// TestKilledRunEndsWithTheSameBytes kills the real process at random moments until
// it has come to its end, and compares the directory with that of a run that was left
// alone.
func TestKilledRunEndsWithTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a process many times")
	}
	binary := build(t)
	base := tinyBase(t, "../compat_test/testdata/goldens/SEQ_CLS/base")
	data := toyData(t, 300)
	for name, method := range map[string][]string{
		"PROMPT_TUNING": {"--peft-type", "PROMPT_TUNING", "--num-virtual-tokens", "3"},
		"P_TUNING":      {"--peft-type", "P_TUNING", "--num-virtual-tokens", "3"},
		"PREFIX_TUNING": {"--peft-type", "PREFIX_TUNING", "--num-virtual-tokens", "3"},
		"LORA":          {"--peft-type", "LORA", "--r", "3", "--lora-dropout", "0.2"},
		"full":          {"--full", "--learning-rate", "1e-3", "--weight-decay", "0.1"},
		"template": {
			"--base", tinyBase(t, "../compat_test/testdata/goldens/MASKED_LM/base"),
			"--template", "it is [P1][P2] [MASK] . {text}", "--verbalizer", "plus=good;minus=bad;zero=not good",
		},
	} {
		t.Run(name, func(t *testing.T) {
			train := func(output string, more ...string) *exec.Cmd {
				args := []string{
					"train", "--base", base, "--data", data, "--dev", data, "--output", output,
					"--num-train-epochs", "6", "--save-steps", "1", "--batch-size", "8",
				}
				return exec.Command(binary, slices.Concat(args, method, more)...)
			}
			whole := filepath.Join(t.TempDir(), "adapter")
			start := time.Now()
			if out, err := train(whole).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			duration := time.Since(start)
			killed := filepath.Join(t.TempDir(), "adapter")
			kills := 0
			for tries := 0; kills == 0 && tries < 8; tries++ { // on a busy machine the first run may take many times as long
				if err := os.RemoveAll(killed); err != nil {
					t.Fatal(err)
				}
				kills = runKilling(t, train, killed, duration)
				duration /= 2
			}
			t.Logf("killed %d times", kills)
			if kills == 0 {
				t.Error("the run was never killed: the test shows nothing")
			}
			sameDirectories(t, killed, whole)
		})
	}
}

// runKilling starts the command again and again, killing it after a random time,
// until it ends by itself.
func runKilling(t *testing.T, train func(output string, more ...string) *exec.Cmd, output string, whole time.Duration) (kills int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range 60 {
		command := train(output, "--resume")
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- command.Wait() }()
		limit := time.Duration((0.05 + 0.4*random.Float64()) * float64(whole))
		if kills >= 8 {
			limit = time.Minute // the rest in peace
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			return kills
		case <-time.After(limit):
			_ = command.Process.Kill()
			<-done
			kills++
		}
	}
	t.Fatal("the run never came to its end")
	return kills
}

// TestInterruptedRun sends an interrupt: the status says so, and the run goes on.
func TestInterruptedRun(t *testing.T) {
	binary := build(t)
	base := tinyBase(t, "../compat_test/testdata/goldens/SEQ_CLS/base")
	output := filepath.Join(t.TempDir(), "adapter")
	args := []string{
		"train", "--base", base, "--data", toyData(t, 300), "--output", output,
		"--num-virtual-tokens", "3", "--batch-size", "2", "--num-train-epochs",
	}
	command := exec.Command(binary, append(args, "1000")...)
	said := interrupt(t, command, filepath.Join(output, "adapter_config.json"))
	if !strings.Contains(said, "--resume") {
		t.Errorf("the message does not say how to go on: %s", said)
	}
	stopped := regexp.MustCompile(`interrupted after step (\d+ of \d+)`).FindStringSubmatch(said)
	if stopped == nil {
		t.Fatalf("the message does not say where it stopped: %s", said)
	}
	want := "unfinished, after step " + stopped[1] + ": the same gopeft train with --resume goes on"
	for name, command := range map[string]*exec.Cmd{
		"inspect": exec.Command(binary, "inspect", output),
		"predict": exec.Command(binary, "predict", "--base", base, "--adapter", output, os.DevNull),
		"eval":    exec.Command(binary, "eval", "--base", base, "--adapter", output, "--data", toyData(t, 3)),
	} {
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: found %v, %s, want %q", name, err, out, want)
		}
	}
}

// TestInterruptedCompare: the same command line goes on with the run that was
// interrupted, and ends with the bytes of one that was left alone.
func TestInterruptedCompare(t *testing.T) {
	binary := build(t)
	base := tinyBase(t, "../compat_test/testdata/goldens/SEQ_CLS/base")
	data := toyData(t, 300)
	compare := func(output string) *exec.Cmd {
		return exec.Command(binary, "compare", "--base", base, "--data", data, "--dev", data, "--output", output, "--methods", "PROMPT_TUNING",
			"--seeds", "1", "--num-virtual-tokens", "3", "--batch-size", "2", "--num-train-epochs", "20", "--save-steps", "10")
	}
	whole, output := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "out")
	if out, err := compare(whole).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	command := compare(output)
	said := interrupt(t, command, filepath.Join(output, "PROMPT_TUNING-seed1", "adapter_config.json"))
	if !strings.Contains(said, "the same command goes on") {
		t.Errorf("the message does not say how to go on: %s", said)
	}
	if out, err := compare(output).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sameDirectories(t, filepath.Join(output, "PROMPT_TUNING-seed1"), filepath.Join(whole, "PROMPT_TUNING-seed1"))
}

// interrupt starts a command, interrupts it once a file is there, and returns what it
// said on its error stream.
func interrupt(t *testing.T, command *exec.Cmd, file string) string {
	t.Helper()
	var errs bytes.Buffer
	command.Stderr = &errs
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if _, err := os.Stat(file); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if status := command.ProcessState.ExitCode(); status != cli.StatusInterrupted {
		t.Fatalf("status %d, want %d: %s", status, cli.StatusInterrupted, errs.String())
	}
	return errs.String()
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "gopeft")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/gopeft").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// toyData is a file of sentences whose label is told by one word.
func toyData(t *testing.T, n int) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	words := strings.Fields("a an the is it film movie very not but and story plot acting end i we")
	text := "sentence\tlabel\n"
	for i := range n {
		var sentence []string
		for range 3 + random.IntN(6) {
			sentence = append(sentence, words[random.IntN(len(words))])
		}
		sentence = append(sentence, []string{"good", "bad", "dull"}[i%3])
		text += fmt.Sprintf("%s\t%s\n", strings.Join(sentence, " "), []string{"plus", "minus", "zero"}[i%3])
	}
	path := filepath.Join(t.TempDir(), "toy.tsv")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func sameDirectories(t *testing.T, got, want string) {
	t.Helper()
	files, err := os.ReadDir(want)
	if err != nil {
		t.Fatal(err)
	}
	others, err := os.ReadDir(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range others {
		if strings.Contains(file.Name(), "tmp") {
			continue // what a killed process could not remove
		}
		if _, err := os.Stat(filepath.Join(want, file.Name())); err != nil {
			t.Errorf("%s is left over", file.Name())
		}
	}
	for _, file := range files {
		a, err := os.ReadFile(filepath.Join(got, file.Name()))
		if err != nil {
			t.Error(err)
			continue
		}
		b, err := os.ReadFile(filepath.Join(want, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from that of the run left alone", file.Name())
		}
	}
}
