package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/gopeft/gopeft/adapters"
)

// describe returns everything that a run's bytes depend on, by name. Data, config
// and base are given by hashes.
func (r *run) describe() (map[string]string, error) {
	c := r.cfg
	model := r.m.base()
	base, err := adapters.DescribeBase(model.Backbone)
	if err != nil {
		return nil, err
	}
	s, err := r.m.describe()
	if err != nil {
		return nil, err
	}
	s["base"] = base.WordEmbeddings
	for name, value := range map[string]any{
		"task": model.Task, "dtype": model.DType, "problem_type": model.ProblemType,
		"steps": r.steps, "batch_size": c.BatchSize, "batch_tokens": c.BatchTokens, "accumulate": c.Accumulate,
		"learning_rate": c.LearningRate, "schedule": c.Schedule, "warmup_steps": r.warmup, "clip_norm": c.ClipNorm,
		"weight_decay": c.WeightDecay, "beta1": c.Beta1, "beta2": c.Beta2, "epsilon": c.Epsilon,
		"seed": c.Seed, "dropout": !c.NoDropout, "head_only": c.HeadOnly,
		"eval_steps": c.EvalSteps, "eval_batch_size": c.EvalBatchSize, "metric": c.Metric, "patience": c.Patience,
	} {
		s[name] = fmt.Sprint(value)
	}
	for name, features := range map[string][]Feature{"train_data": r.data.Train, "dev_data": r.data.Dev} {
		if s[name], err = hashFeatures(features); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func hashFeatures(features []Feature) (string, error) {
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, f := range features {
		if err := e.Encode(f); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
