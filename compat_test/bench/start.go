package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// startProcess runs the command and takes the time until it has printed its first
// answer, a line of JSON with the probability of every label under "scores".
func startProcess(ctx context.Context, j job) (result, error) {
	command := exec.CommandContext(ctx, j.Command[0], j.Command[1:]...)
	command.Stdin, command.Stderr = strings.NewReader(j.Input), os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if err := command.Start(); err != nil {
		return result{}, err
	}
	reader := bufio.NewReader(output)
	line, readErr := reader.ReadBytes('\n')
	seconds := time.Since(began).Seconds()
	_, copyErr := io.Copy(io.Discard, reader)
	if err := command.Wait(); err != nil {
		return result{}, fmt.Errorf("%s: %w", j.Command[0], err)
	}
	if readErr != nil || copyErr != nil {
		return result{}, fmt.Errorf("%s printed no whole line: %q", j.Command[0], line)
	}
	var answer struct {
		Scores map[string]float64 `json:"scores"`
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return result{}, fmt.Errorf("%s printed %q: %w", j.Command[0], line, err)
	}
	r := result{Seconds: []float64{seconds}, Tokens: []int{0}}
	for _, label := range slices.Sorted(maps.Keys(answer.Scores)) {
		r.Check = append(r.Check, answer.Scores[label])
	}
	return r, nil
}
