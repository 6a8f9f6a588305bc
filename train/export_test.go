package train

import (
	"context"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/models"
)

// RunWith is Run with memory of the pool, which may be nil.
func RunWith(pool *models.Pool, m *adapters.PeftModel, data Dataset, cfg Config) (Summary, error) {
	r, err := newRun(context.Background(), tuned{m}, data, cfg)
	if err != nil {
		return Summary{}, err
	}
	r.pool = pool
	return r.run()
}
