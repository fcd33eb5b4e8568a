package sealed

import (
	"context"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// Batches is a [batches.Store] that opens answers. The rest of a batch is in plain: what
// is secret of a line is in the file that it is read from.
//
// An answer that was erased, or that opens for nobody, is Dropped.
type Batches struct {
	batches.Store

	sealer *Store
}

var _ batches.Store = (*Batches)(nil)

// Batches returns a store of batches that stands on b and opens with s's keys.
func (s *Store) Batches(b batches.Store) *Batches { return &Batches{Store: b, sealer: s} }

// Answers opens the answers: see [batches.BatchStore].
func (b *Batches) Answers(ctx context.Context, q batches.AnswerQuery) ([]batches.Answer, error) {
	list, err := b.Store.Answers(ctx, q)
	if err != nil {
		return nil, err
	}
	for i, a := range list {
		if list[i], err = b.openAnswer(ctx, q.Tenant, a); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (b *Batches) openAnswer(ctx context.Context, tenant string, a batches.Answer) (batches.Answer, error) {
	result, err := b.sealer.open(ctx, answeredBy(tenant, a, resultBody), a.Result)
	if gone := refusal(err); gone.Code != "" {
		a.Forget(&jobs.Error{Code: jobs.Code(gone.Code), Message: gone.Message})
		return a, nil
	}
	if err != nil {
		return batches.Answer{}, err
	}
	a.Result = result
	a.Message, err = b.sealer.openMessage(ctx, answeredBy(tenant, a, message), a.Message)
	return a, err
}
