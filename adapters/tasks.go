package adapters

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// ErrTaskID: a sequence names a task that the adapter does not have.
var ErrTaskID = errors.New("task id out of range")

// multitask is an adapter with a prompt for each of several tasks.
type multitask interface {
	// Prompts makes the prompts of some different tasks, as Adapter.Prompt makes one.
	Prompts(tasks []int, dropout *layer.Dropout, pool *models.Pool) ([]*models.Prompt, error)
}

// tasksOf counts the tasks of an adapter.
func tasksOf(cfg hfio.AdapterConfig) int {
	if cfg.PeftType == hfio.MultitaskPromptTuning {
		return cfg.NumTasks
	}
	return 1
}

// promptsOf makes the prompts of some different tasks, by task.
func promptsOf(a Adapter, tasks []int, dropout *layer.Dropout, pool *models.Pool) (map[int]*models.Prompt, error) {
	m, ok := a.(multitask)
	if !ok {
		prompt, err := a.Prompt(dropout, pool)
		return map[int]*models.Prompt{0: prompt}, err
	}
	prompts, err := m.Prompts(tasks, dropout, pool)
	if err != nil {
		return nil, err
	}
	byTask := map[int]*models.Prompt{}
	for i, task := range tasks {
		byTask[task] = prompts[i]
	}
	return byTask, nil
}

// taskIDs returns the tasks of a batch in ascending order. Only sequences that bring
// no prompt of their own are asked for theirs.
func taskIDs(batch models.Batch, cfg hfio.AdapterConfig) ([]int, error) {
	var ids []int
	for i, s := range batch.Sequences {
		switch {
		case s.Prompt != nil || slices.Contains(ids, s.TaskID):
		case s.TaskID < 0 || s.TaskID >= tasksOf(cfg):
			return nil, fmt.Errorf("sequence %d: %w: %d, want 0 to %d", i, ErrTaskID, s.TaskID, tasksOf(cfg)-1)
		default:
			ids = append(ids, s.TaskID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
